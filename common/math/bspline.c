#include "common/math/bspline.h"

#include <math.h>

void bspline_basis(const double *t, size_t n, double x, size_t *ret_first,
                   double ret[4])
{
    size_t low = 3, high = n; /* t[low] <= x < t[high], but at the ends */
    while (high - low > 1) {
        const size_t mid = low + (high - low) / 2;
        if (x < t[mid]) {
            high = mid;
        } else {
            low = mid;
        }
    }
    double left[4], right[4];
    ret[0] = 1;
    for (size_t k = 1; k <= 3; k++) {
        double saved = 0;
        left[k] = x - t[low + 1 - k];
        right[k] = t[low + k] - x;
        for (size_t r = 0; r < k; r++) {
            const double share = ret[r] / (right[r + 1] + left[k - r]);
            ret[r] = saved + right[r + 1] * share;
            saved = left[k - r] * share;
        }
        ret[k] = saved;
    }
    *ret_first = low - 3;
}

void bspline_uniform(double start, double step, size_t n, double x, size_t *ret_first,
                     double ret[4])
{
    const double at = (x - start) / step, last = (double)(n - 4);
    double i = floor(at);
    i = i > 0 ? i : 0; /* also NaN */
    i = i < last ? i : last;
    const double f = at - i, g = 1 - f;
    ret[0] = g * g * g / 6;
    ret[1] = (4 - 6 * f * f + 3 * f * f * f) / 6;
    ret[2] = (4 - 6 * g * g + 3 * g * g * g) / 6;
    ret[3] = f * f * f / 6;
    *ret_first = (size_t)i;
}
