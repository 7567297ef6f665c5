#include "stages/outlier_trace.h"

#include <math.h>
#include <string.h>

#define LEAST_ASIDE 0.3f /* half windows: how far a trace bends beyond its neighbours */

/* Values of a window in ascending order. */
struct window {
    float v[2 * OUTLIER_TRACE_HALF + 1];
    size_t n;
};

/* The first that is not less than v. */
static size_t place(const struct window *w, float v)
{
    size_t at = 0, n = w->n;
    while (n) {
        const size_t half = n / 2;
        if (w->v[at + half] < v) {
            at += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return at;
}

static void put(struct window *w, float v)
{
    const size_t at = place(w, v);
    memmove(w->v + at + 1, w->v + at, (w->n - at) * sizeof *w->v);
    w->v[at] = v;
    w->n++;
}

static void take(struct window *w, float v)
{
    const size_t at = place(w, v);
    w->n--;
    memmove(w->v + at, w->v + at + 1, (w->n - at) * sizeof *w->v);
}

/* The value that counts: of the pixel, or how far it is from the trace. */
static float value(const float *sci, const float *trace, size_t x)
{
    return trace ? fabsf(sci[x] - trace[x]) : sci[x];
}

/* The window of pixel x - half: x enters, x - 2 half - 1 leaves. */
static void slide(struct window *w, const float *sci, const float *trace, size_t x,
                  size_t n, size_t half)
{
    if (x < n && !isnan(value(sci, trace, x))) {
        put(w, value(sci, trace, x));
    }
    if (x > 2 * half && !isnan(value(sci, trace, x - 2 * half - 1))) {
        take(w, value(sci, trace, x - 2 * half - 1));
    }
}

/* Between the quartiles. */
static float range(const struct window *w)
{
    return w->v[w->n - 1 - w->n / 4] - w->v[w->n / 4];
}

/* How far a pixel is from the middle of its window, in half windows: little, but for the
 * first and last `half` of n pixels. On a slope so much of the range lies between. */
static float aside(size_t at, size_t n, size_t half)
{
    const size_t low = at > half ? at - half : 0;
    const size_t high = at + half < n ? at + half : n - 1;
    const float off = (float)at - 0.5f * (float)(low + high);
    return fmaxf(2 * fabsf(off) / (float)(high - low + 1), LEAST_ASIDE);
}

/*
 * One run of pixels of a slice: first the trace, and in sigma what the window's place adds;
 * then the distances from the trace, in sci's stead, give the rest of sigma.
 */
static void run(const float *sci, const float *err, size_t n, size_t half, float *trace,
                float *sigma)
{
    struct window w = {.n = 0};
    for (size_t x = 0; x < n + half; x++) {
        slide(&w, sci, NULL, x, n, half);
        const size_t at = x - half;
        if (x >= half && w.n >= OUTLIER_TRACE_LEAST && !isnan(sci[at]) &&
            !isnan(err[at])) {
            trace[at] = w.v[w.n / 2];
            sigma[at] = aside(at, n, half) * range(&w);
        }
    }
    w.n = 0;
    for (size_t x = 0; x < n + half; x++) {
        slide(&w, sci, trace, x, n, half);
        const size_t at = x - half;
        if (x >= half && !isnan(sigma[at])) {
            sigma[at] += fmaxf(err[at], 1.4826f * w.v[w.n / 2]);
        }
    }
}

void outlier_trace_row(const float *sci, const float *err, const uint8_t *slice,
                       size_t n, int half, float *trace, float *sigma)
{
    for (size_t x = 0; x < n; x++) {
        trace[x] = sigma[x] = NAN;
    }
    for (size_t x = 0; x < n;) {
        size_t end = x + 1;
        while (end < n && slice[end] == slice[x]) {
            end++;
        }
        if (slice[x]) {
            run(sci + x, err + x, end - x, (size_t)half, trace + x, sigma + x);
        }
        x = end;
    }
}
