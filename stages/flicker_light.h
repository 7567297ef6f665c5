#ifndef IFUD_STAGES_FLICKER_LIGHT_H
#define IFUD_STAGES_FLICKER_LIGHT_H

#include "stages/flicker.h"

/*
 * Scattered light too wide to be masked: it is everywhere, also under the slices. Noise
 * of the readout that is the same in hundreds of columns is the same in all rows too, for
 * a column takes 20 ms; so what is smooth in x and changes with y is light. It is a short
 * cosine series, orders 0..LIGHT_Y along y and 0..LIGHT_X along x, fitted to the means of
 * boxes of background pixels. Whether there is any is told by what changes with y; if so,
 * what changes with x alone may be light or slow noise: a likely share is taken for light.
 * Thread: any. Test: tests/stages/test_flicker_auto.c
 */
enum { LIGHT_X = 6, LIGHT_Y = 6 };

struct flicker_light {
    int nx, ny;
    int orders_x, orders_y;
    double c[LIGHT_Y + 1][LIGHT_X + 1];
    double ratio; /* power over what noise alone would give the series, about 1 */
    double rms;   /* of what changes with y, over the boxes; unit of the image */
    bool found;   /* ratio is high enough to be believed; otherwise take it for none */
};

/*
 * Median of the masked pixels of each column, 0 where there are none.
 * Given: image, mask (nx * ny). Returned: levels (nx).
 */
int flicker_column_levels(const struct stage_env *env, const float *image,
                          const uint8_t *mask, int nx, int ny, float *levels,
                          struct err *err);

/* Fit the light to image less its columns' levels (nx values), on the masked pixels. */
int flicker_light_fit(const float *image, const uint8_t *mask, const float *levels,
                      int nx, int ny, struct flicker_light *ret, struct err *err);

/* The light of row y: nx values. All 0 if none was found. */
void flicker_light_row(const struct flicker_light *light, int y, float *row);

#endif
