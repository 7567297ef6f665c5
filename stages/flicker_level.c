#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/math/robust.h"
#include "stages/flicker.h"

#define STATISTICS_SIGMA 3.0
#define ROUNDS 5

int flicker_clip(const float *image, uint8_t *mask, size_t n, double lower,
                 double upper, bool lower_half, struct err *err)
{
    size_t used = 0;
    float *values = mem_alloc(2 * n, sizeof *values, err);
    if (!values) {
        return ERR_NOMEM;
    }
    float *scratch = values + n;
    for (size_t i = 0; i < n; i++) {
        if (mask[i]) {
            values[used++] = image[i];
        }
    }
    if (used == 0) {
        free(values);
        return 0;
    }
    struct robust_stats s =
        robust_clip(values, scratch, used, STATISTICS_SIGMA, ROUNDS);
    if (lower_half) {
        size_t below = 0; /* they are in order now */
        while (below < used && (double)values[below] <= s.median) {
            below++;
        }
        float *both = mem_alloc(4 * below, sizeof *both, err);
        if (!both) {
            free(values);
            return ERR_NOMEM;
        }
        for (size_t i = 0; i < below; i++) {
            both[i] = values[i];
            both[below + i] = (float)(2.0 * s.median - (double)values[i]);
        }
        s = robust_clip(both, both + 2 * below, 2 * below, STATISTICS_SIGMA, ROUNDS);
        free(both);
    }
    free(values);
    const double from = s.median - lower * s.std, to = s.median + upper * s.std;
    for (size_t i = 0; i < n; i++) {
        if ((double)image[i] < from || (double)image[i] > to) {
            mask[i] = 0;
        }
    }
    return 0;
}
