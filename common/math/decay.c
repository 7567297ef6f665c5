#include "common/math/decay.h"

#include <stdint.h>

/* Four at once, wherever they stand. */
typedef double quad __attribute__((vector_size(32), aligned(8), may_alias));
typedef int64_t words __attribute__((vector_size(32)));

#define MOST 700 /* exp(-x) is still a normal number */
/* Added to a number it leaves the nearest whole one in its last bits. */
#define ROUND 0x1.8p52
#define PER_LN2 0x1.71547652b82fep0
#define LN2_HIGH 0x1.62e42fee00000p-1 /* a multiple of it is exact */
#define LN2_LOW 0x1.a39ef35793c76p-33

/* Inlined, so that no vector is handed over. */
static inline __attribute__((always_inline)) void decay_four(const double *x,
                                                             double *ret)
{
    const quad given = *(const quad *)x, most = {MOST, MOST, MOST, MOST};
    const words far = given > most;
    const quad y = (quad)(((words)most & far) | ((words)given & ~far));
    const quad whole = ROUND - y * PER_LN2, k = whole - ROUND;
    const quad r = (-y - k * LN2_HIGH) - k * LN2_LOW;
    /* 1 + r + r^2 / 2! .. r^11 / 11!, by halves: steps that need not wait for each other */
    const quad r2 = r * r, r4 = r2 * r2;
    const quad low = (1 + r) + r2 * (0.5 + r * (1 / 6.0));
    const quad middle =
        (1 / 24.0 + r * (1 / 120.0)) + r2 * (1 / 720.0 + r * (1 / 5040.0));
    const quad high = (1 / 40320.0 + r * (1 / 362880.0)) +
                      r2 * (1 / 3628800.0 + r * (1 / 39916800.0));
    const quad p = low + r4 * (middle + r4 * high);
    *(quad *)ret = (quad)((words)p + ((words)whole << 52)); /* 2^k p */
}

static inline __attribute__((always_inline)) void decay_all(size_t n, const double *x,
                                                            double *ret)
{
    for (size_t i = 0; i < n; i += 4) {
        decay_four(x + i, ret + i);
    }
}

static inline __attribute__((always_inline)) void
squares_all(size_t n, double x, double rate, double *ret_square, double *ret)
{
    quad d = {x, x + 1, x + 2, x + 3};
    for (size_t i = 0; i < n; i += 4, d += 4) {
        const quad square = d * d, scaled = rate * square;
        *(quad *)(ret_square + i) = square;
        decay_four((const double *)&scaled, ret + i);
    }
}

#if defined(__x86_64__)
/* The same arithmetic, so the same bits. */
__attribute__((target("avx2"))) static void decay_avx2(size_t n, const double *x,
                                                       double *ret)
{
    decay_all(n, x, ret);
}

__attribute__((target("avx2"))) static void
squares_avx2(size_t n, double x, double rate, double *ret_square, double *ret)
{
    squares_all(n, x, rate, ret_square, ret);
}
#endif

void decay(size_t n, const double *x, double *ret)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        decay_avx2(n, x, ret);
        return;
    }
#endif
    decay_all(n, x, ret);
}

void decay_squares(size_t n, double x, double rate, double *ret_square, double *ret)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        squares_avx2(n, x, rate, ret_square, ret);
        return;
    }
#endif
    squares_all(n, x, rate, ret_square, ret);
}
