#include "stages/combine_wavelengths.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/math/robust.h"

#define CLUMP                                                                          \
    0.8 /* of its neighbours' spread: closer together than this is one element */

static double mean_of(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += v[i];
    }
    return sum / (double)n;
}

static double spread_of(const double *v, size_t n)
{
    double mean = mean_of(v, n), sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (v[i] - mean) * (v[i] - mean);
    }
    return sqrt(sum / (double)n);
}

/* How many spectra reach over each wavelength, half an element beyond their ends. */
static void count_covering(const struct wavelength_list *lists, size_t n_lists,
                           const double *um, size_t n, size_t *count)
{
    for (size_t l = 0; l < n_lists; l++) {
        const double *w = lists[l].um;
        const size_t last = lists[l].n - 1;
        double low = w[0] - 0.5 * (w[1] - w[0]);
        double high = w[last] + 0.5 * (w[last] - w[last - 1]);
        if (w[1] < w[0]) {
            double t = low;
            low = w[last] - 0.5 * (w[last - 1] - w[last]);
            high = t;
        }
        for (size_t k = 0; k < n; k++) {
            count[k] += um[k] >= low && um[k] < high;
        }
    }
}

/* Means of clumps; NaN where there is none. spread: scratch, n values. */
static void find_clumps(const double *um, const size_t *count, size_t n, double *spread,
                        double *out)
{
    for (size_t k = 0; k < n; k++) {
        const size_t m = count[k], reach = m / 2 + 1;
        spread[k] = INFINITY;
        out[k] = (double)NAN;
        if (m == 1) {
            spread[k] = 0;
            out[k] = um[k];
        } else if (m > 1 && k + reach >= m && k + reach <= n) {
            spread[k] = spread_of(um + k + reach - m, m);
            out[k] = mean_of(um + k + reach - m, m);
        }
    }
    for (size_t k = 0; k < n; k++) {
        double beside = k == 0       ? (n > 1 ? spread[1] : 0)
                        : k == n - 1 ? spread[n - 2]
                                     : (spread[k - 1] + spread[k + 1]) / 2;
        if (spread[k] > 0 && !(spread[k] < CLUMP * beside)) {
            out[k] = (double)NAN;
        }
    }
}

/* Where no element is near, the mean of as many wavelengths as there are spectra. */
static void fill_gaps(const double *um, const size_t *count, size_t n, double *out)
{
    for (size_t i = 0; i < n;) {
        size_t m = count[i], middle = m / 2;
        if (i + middle < n) {
            m = count[i + middle];
            size_t low = i > 0 ? i - 1 : 0;
            size_t high = i + m + 1 < n - 1 ? i + m + 1 : n - 1;
            int is_empty = i + m < n;
            for (size_t k = low; k < high && is_empty; k++) {
                is_empty = isnan(out[k]);
            }
            if (is_empty && m > 0) {
                out[i] = mean_of(um + i, m);
            }
        }
        i += m > 0 ? m : 1;
    }
}

/* Those that are not NaN, ascending, each once. Returns how many. */
static size_t sort_distinct(double *out, size_t n)
{
    size_t finite = 0, kept = 0;
    for (size_t k = 0; k < n; k++) {
        if (isfinite(out[k])) {
            out[finite++] = out[k];
        }
    }
    robust_sort_doubles(out, finite);
    for (size_t k = 0; k < finite; k++) {
        if (!kept || out[k] > out[kept - 1]) {
            out[kept++] = out[k];
        }
    }
    return kept;
}

int combine_wavelengths(const struct wavelength_list *lists, size_t n, double **ret,
                        size_t *ret_n, struct err *err)
{
    size_t all = 0, kept = 0;
    for (size_t l = 0; l < n; l++) {
        all += lists[l].n;
    }
    double *um = mem_alloc(all, sizeof *um, err);
    double *out = mem_alloc(all, sizeof *out, err);
    double *spread = mem_alloc(all, sizeof *spread, err);
    size_t *count = mem_calloc(all, sizeof *count, err);
    int code = um && out && spread && count ? 0 : ERR_NOMEM;
    if (!code) {
        for (size_t l = 0, k = 0; l < n; l++) {
            for (size_t i = 0; i < lists[l].n; i++) {
                um[k++] = lists[l].um[i];
            }
        }
        robust_sort_doubles(um, all);
        count_covering(lists, n, um, all, count);
        find_clumps(um, count, all, spread, out);
        fill_gaps(um, count, all, out);
        kept = sort_distinct(out, all);
    }
    free(um);
    free(spread);
    free(count);
    if (code) {
        free(out);
    } else {
        *ret = out;
        *ret_n = kept;
    }
    return code;
}
