#include "stages/outlier_trace.h"

#include <math.h>

#define LEAST_ASIDE 0.3f /* half windows: how far a trace bends beyond its neighbours */

/* Values of a window in ascending order, behind them infinities; twice, so that the next
 * window is made from this one without a step that depends on where a value goes. */
struct window {
    float v[2]
           [1 + 2 * OUTLIER_TRACE_HALF + 1 + 8]; /* from v[][1] on; v[][0]: the least */
    int now;
    size_t n;
};

static void clear(struct window *w)
{
    for (size_t i = 0; i < sizeof w->v[0] / sizeof w->v[0][0]; i++) {
        w->v[0][i] = w->v[1][i] = i ? INFINITY : -INFINITY;
    }
    w->now = 0;
    w->n = 0;
}

/*
 * to: from without the first value that is not less than out, with in. n: values to go
 * through; what lies behind is infinite in both.
 */
__attribute__((optimize("O3"))) static void
replace(const float *restrict from, float *restrict to, size_t n, float out, float in)
{
    for (size_t i = 1; i <= n; i++) {
        const float a = from[i - 1], b = from[i], c = from[i + 1];
        const float before = a < out ? a : b, here = b < out ? b : c;
        const float moved = before > in ? before : in;
        to[i] = here < moved ? here : moved;
    }
}

/* Infinite: none. */
static void put_and_take(struct window *w, float in, float out)
{
    const size_t n = (w->n + 1 + 7) / 8 * 8;
    replace(w->v[w->now], w->v[!w->now], n, out, in);
    w->now = !w->now;
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
    const float in = x < n ? value(sci, trace, x) : NAN;
    const float out = x > 2 * half ? value(sci, trace, x - 2 * half - 1) : NAN;
    put_and_take(w, isnan(in) ? INFINITY : in, isnan(out) ? INFINITY : out);
    w->n += (size_t)!isnan(in) - (size_t)!isnan(out);
}

/* Of the values in ascending order. */
static float nth(const struct window *w, size_t i)
{
    return w->v[w->now][1 + i];
}

/* Between the quartiles. */
static float range(const struct window *w)
{
    return nth(w, w->n - 1 - w->n / 4) - nth(w, w->n / 4);
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
    struct window w;
    clear(&w);
    for (size_t x = 0; x < n + half; x++) {
        slide(&w, sci, NULL, x, n, half);
        const size_t at = x - half;
        if (x >= half && w.n >= OUTLIER_TRACE_LEAST && !isnan(sci[at]) &&
            !isnan(err[at])) {
            trace[at] = nth(&w, w.n / 2);
            sigma[at] = aside(at, n, half) * range(&w);
        }
    }
    clear(&w);
    for (size_t x = 0; x < n + half; x++) {
        slide(&w, sci, trace, x, n, half);
        const size_t at = x - half;
        if (x >= half && !isnan(sigma[at])) {
            sigma[at] += fmaxf(err[at], 1.4826f * nth(&w, w.n / 2));
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
