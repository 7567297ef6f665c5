#ifndef IFUD_STAGES_FLICKER_MESH_H
#define IFUD_STAGES_FLICKER_MESH_H

#include <stdbool.h>
#include <stdint.h>
#include "stages/stage.h"

/*
 * The background as a smooth surface: the median of each box, clipped at 3 sigma in up to
 * five rounds; boxes of which no more than nine tenths is left get the mean of their ten
 * nearest neighbours, weighted by the reciprocal of their distance (in boxes; of several
 * as far as the tenth each counts alike); a median filter of 5 x 5 boxes; a bicubic spline
 * through the boxes' centres, symmetric about the edges, limited to the boxes' range.
 * Boxes that reach beyond the image count as they are (and are seldom nine tenths full).
 * Reference: Bertin & Arnouts 1996, A&AS 117, 393; photutils user documentation,
 * "Background2D". Test: tests/stages/test_flicker_mesh.c
 */
struct flicker_mesh {
    const float *image;
    const uint8_t *mask; /* 1: background pixel */
    int nx, ny;
    int box_x, box_y; /* columns and rows of a box, 1..nx and 1..ny */
};

/* Boxes of the largest size up to 32 that divides the image evenly. */
void flicker_mesh_box(struct flicker_mesh *m);

/* Returned: ret, nx * ny values, untouched if no box is full enough; *ret_found: whether
 * there was one. */
int flicker_mesh(const struct stage_env *env, const struct flicker_mesh *m, float *ret,
                 bool *ret_found, struct err *err);

#endif
