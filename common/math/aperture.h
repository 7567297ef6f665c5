#ifndef IFUD_MATH_APERTURE_H
#define IFUD_MATH_APERTURE_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"

/*
 * Apertures on a grid of pixels: which pixels take part in a sum, and by how much.
 * Pixel (i, j) covers i - 0.5 .. i + 0.5 and j - 0.5 .. j + 0.5; its index is
 * j * nx + i. Only pixels of the grid with weight > 0 are listed, row by row.
 *
 * Ownership: aperture_free releases the lists. Thread: one writer, or many readers.
 * Test: tests/math/test_aperture.c
 */

enum aperture_method {
    APERTURE_CENTER,   /* a pixel counts if its centre is inside */
    APERTURE_SUBPIXEL, /* share of subpixels x subpixels cell centres inside */
    APERTURE_EXACT     /* share of the pixel's area inside */
};

struct aperture {
    int nx, ny;     /* the grid */
    size_t n;       /* pixels listed */
    size_t *index;  /* n of them, ascending */
    double *weight; /* 0 < weight <= 1 */
    double full;    /* geometric area, also of what lies off the grid (pixels) */
};

int aperture_new(int nx, int ny, struct aperture **ret, struct err *err);
void aperture_free(struct aperture *a); /* NULL is fine */

/* Every pixel of the grid with weight 1. */
void aperture_whole(struct aperture *a);

/*
 * A circle, or the ring between two circles.
 * Given:   x, y      centre (pixels, 0-based)
 *          r_in      inner radius, 0 for a full circle (pixels)
 *          r_out     outer radius, > r_in (pixels)
 *          subpixels cells per pixel side, >= 1 (APERTURE_SUBPIXEL only)
 * Cells are tested at their centres, strictly inside; the coordinates of pixels and
 * cells are summed up from the edge of the aperture's bounding box as photutils does,
 * so that cells that lie on the circle fall on the same side.
 * Reference: photutils 3.0 (Bradley et al.), the `subpixel` method.
 */
void aperture_ring(struct aperture *a, double x, double y, double r_in, double r_out,
                   enum aperture_method method, int subpixels);

/*
 * Area shared by a circle round the origin and a rectangle.
 * Given: x0 < x1, y0 < y1, r > 0. Pure.
 */
double aperture_circle_overlap(double x0, double y0, double x1, double y1, double r);

#endif
