#include "common/math/robust.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FEW 24 /* values are sorted fastest by insertion */

/*
 * Move the values below `pivot`, or also those equal to it, to the front of v[lo..hi];
 * returns where the others begin. Without a branch on the values, which no processor
 * can foretell.
 */
static size_t below(float *v, size_t lo, size_t hi, float pivot)
{
    size_t end = lo;
    for (size_t i = lo; i <= hi; i++) {
        const float t = v[i];
        v[i] = v[end];
        v[end] = t;
        end += t < pivot;
    }
    return end;
}

static size_t not_above(float *v, size_t lo, size_t hi, float pivot)
{
    size_t end = lo;
    for (size_t i = lo; i <= hi; i++) {
        const float t = v[i];
        v[i] = v[end];
        v[end] = t;
        end += t <= pivot;
    }
    return end;
}

float robust_select(float *values, size_t n, size_t k)
{
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        /* Median of three keeps sorted and constant input linear. */
        const float a = values[lo], b = values[lo + (hi - lo) / 2], c = values[hi];
        const float pivot =
            a < b ? (b < c ? b : (a < c ? c : a)) : (a < c ? a : (b < c ? c : b));
        size_t end = below(values, lo, hi, pivot);
        if (k < end) {
            hi = end - 1;
            continue;
        }
        if (end == lo) { /* the pivot is the least: all of its kind go */
            end = not_above(values, lo, hi, pivot);
            if (k < end) {
                return pivot;
            }
        }
        lo = end;
    }
    return values[k];
}

float robust_median(float *values, size_t n)
{
    float high = robust_select(values, n, n / 2);
    if (n % 2) {
        return high;
    }
    float low = values[0]; /* the largest of those below */
    for (size_t i = 1; i < n / 2; i++) {
        low = values[i] > low ? values[i] : low;
    }
    return (low + high) / 2.0f;
}

/* Bits of a float in an order that compares like the number, and back. */
static uint32_t key_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

static float of_key(uint32_t u)
{
    u = u & 0x80000000u ? u & 0x7fffffffu : ~u;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

enum { DIGIT_BITS = 11, DIGITS = 3, DIGIT_VALUES = 1 << DIGIT_BITS };

void robust_sort(float *values, float *scratch, size_t n)
{
    size_t count[DIGITS][DIGIT_VALUES];
    memset(count, 0, sizeof count);
    for (size_t i = 0; i < n; i++) {
        uint32_t u = key_of(values[i]);
        for (int d = 0; d < DIGITS; d++) {
            count[d][(u >> (d * DIGIT_BITS)) & (DIGIT_VALUES - 1)]++;
        }
    }
    float *from = values, *to = scratch;
    for (int d = 0; d < DIGITS; d++) {
        size_t sum = 0;
        for (size_t v = 0; v < DIGIT_VALUES; v++) {
            size_t c = count[d][v];
            count[d][v] = sum;
            sum += c;
        }
        for (size_t i = 0; i < n; i++) {
            uint32_t u = key_of(from[i]);
            to[count[d][(u >> (d * DIGIT_BITS)) & (DIGIT_VALUES - 1)]++] = of_key(u);
        }
        float *t = from;
        from = to;
        to = t;
    }
    if (from != values) {
        memcpy(values, from, n * sizeof *values);
    }
}

/* Mean and standard deviation in a fixed order: four interleaved sums. */
static void moments(const float *v, size_t n, double *ret_mean, double *ret_std)
{
    double s[4] = {0.0, 0.0, 0.0, 0.0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (size_t l = 0; l < 4; l++) {
            s[l] += (double)v[i + l];
        }
    }
    for (; i < n; i++) {
        s[0] += (double)v[i];
    }
    double mean = (s[0] + s[1] + s[2] + s[3]) / (double)n;
    double q[4] = {0.0, 0.0, 0.0, 0.0};
    for (i = 0; i + 4 <= n; i += 4) {
        for (size_t l = 0; l < 4; l++) {
            double d = (double)v[i + l] - mean;
            q[l] += d * d;
        }
    }
    for (; i < n; i++) {
        double d = (double)v[i] - mean;
        q[0] += d * d;
    }
    *ret_mean = mean;
    *ret_std = sqrt((q[0] + q[1] + q[2] + q[3]) / (double)n);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void robust_sort_doubles(double *values, size_t n)
{
    if (n > FEW) {
        qsort(values, n, sizeof *values, ascending);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        const double x = values[i];
        size_t k = i;
        for (; k > 0 && values[k - 1] > x; k--) {
            values[k] = values[k - 1];
        }
        values[k] = x;
    }
}

double robust_median_doubles(double *values, size_t n)
{
    robust_sort_doubles(values, n);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

static double middle(const float *sorted, size_t n)
{
    double high = (double)sorted[n / 2];
    return n % 2 ? high : 0.5 * ((double)sorted[n / 2 - 1] + high);
}

struct robust_stats robust_clip(float *values, float *scratch, size_t n, double sigma,
                                int max_rounds)
{
    struct robust_stats s = {(double)NAN, (double)NAN, (double)NAN, 0};
    if (n == 0) {
        return s;
    }
    robust_sort(values, scratch, n);
    /* What is kept is always a run of the sorted values. */
    size_t first = 0, end = n;
    for (int round = 0; round < max_rounds; round++) {
        double mean, std, median = middle(values + first, end - first);
        moments(values + first, end - first, &mean, &std);
        double low = median - sigma * std, high = median + sigma * std;
        size_t was = end - first;
        while (first < end && (double)values[first] < low) {
            first++;
        }
        while (end > first && (double)values[end - 1] > high) {
            end--;
        }
        if (end - first == was || end == first) {
            break;
        }
    }
    s.n = end - first;
    if (s.n > 0) {
        s.median = middle(values + first, s.n);
        moments(values + first, s.n, &s.mean, &s.std);
    }
    return s;
}
