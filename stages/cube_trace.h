#ifndef IFUD_STAGES_CUBE_TRACE_H
#define IFUD_STAGES_CUBE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/exposure.h"
#include "common/data/wcs.h"
#include "stages/cube_geometry.h"

/*
 * Where the pixels of one exposure lie in a cube, in a few bytes per pixel.
 *
 * Along a row of a slice everything that cube_build wants of a pixel is a smooth function
 * of the column. A trace cuts the rows into blocks of at most CUBE_BLOCK pixels, maps
 * four points of each exactly and keeps the cubics through them: within 1e-7 arcsec and
 * 1e-6 of a pixel's wavelength interval, and one tenth of the work. Blocks that are short,
 * touch the end of the slit or belong to the prism (whose wavelengths are piecewise
 * linear) are mapped pixel by pixel instead. Rows may be of samples that lie anywhere in
 * their columns (struct exposure_sampling); where their edges run less smoothly than the
 * cubics follow, the block is mapped sample by sample.
 * Ownership: cube_trace_free. Thread: read-only once made.
 * Test: tests/stages/test_cube_trace.c
 */

#define CUBE_BLOCK 48 /* most pixels of a block */

enum cube_quantity {
    CUBE_LAM,  /* wavelength of the centre, um */
    CUBE_DLAM, /* wavelength interval of the pixel, um */
    CUBE_U0,   /* centre, spaxels as in cube_grid_project */
    CUBE_V0,
    CUBE_U1, /* corners 1 to 4, in order round the edge */
    CUBE_U4 = CUBE_U1 + 3,
    CUBE_V1,
    CUBE_V4 = CUBE_V1 + 3,
    CUBE_QUANTITIES
};

struct cube_block {
    int row, first, n; /* y; x of the first pixel; pixels */
    int slice;         /* 1..30 */
    bool listed;       /* values are per pixel, not cubics */
    double lo, hi;     /* wavelengths that its pixels may touch, um, with a margin */
    size_t at;         /* of its values in the band */
};

/* Blocks of some rows, in order of row and column. */
struct cube_band {
    struct cube_block *blocks;
    size_t n_blocks, room_blocks;
    double *values;
    size_t n_values, room_values;
    double lo, hi; /* of all blocks */
};

struct cube_trace {
    struct cube_band *bands;
    size_t n_bands;
};

/*
 * Map an exposure onto a grid; blocks that lie beyond its wavelengths are left out.
 * Given:     regions uint8_t[ny * nx] slice map; sampling: where the samples lie, NULL:
 *            they are the pixels of the detector; exact: no cubics (the prism)
 * Returned:  *ret, to be freed with cube_trace_free
 */
int cube_trace_make(const struct wcs *wcs, const uint8_t *regions,
                    const struct exposure_sampling *sampling, int nx, int ny,
                    bool exact, const struct cube_grid *grid, struct par *par,
                    const atomic_bool *cancel, struct cube_trace **ret,
                    struct err *err);
void cube_trace_free(struct cube_trace *trace); /* NULL is fine */

/*
 * Values of quantities q0..q1-1 of pixels from..to-1 of a block: value of quantity q of
 * pixel i in ret[q - q0][i]. NaN where the pixel's edge is outside the slit.
 */
void cube_block_values(const struct cube_band *band, const struct cube_block *block,
                       int q0, int q1, int from, int to, double (*ret)[CUBE_BLOCK]);

#endif
