#ifndef IFUD_MATH_RNG_H
#define IFUD_MATH_RNG_H

#include <stdint.h>

/*
 * Seeded random numbers that are the same on every machine: xoshiro256++ started by
 * splitmix64. For simulations and tests.
 * Reference: Blackman & Vigna 2021, ACM TOMS 47, 36.
 * Thread: a generator belongs to one thread. Test: tests/math/test_rng.c
 */
struct rng {
    uint64_t state[4];
    double spare; /* second normal deviate of a pair */
    int has_spare;
};

/* Start a generator; `stream` gives independent sequences of one seed. */
void rng_init(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_bits(struct rng *r);
/* Uniform in [0, 1), 53 bits. */
double rng_uniform(struct rng *r);
/* Uniform whole number in 0..n-1, n >= 1. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Normal, mean 0, standard deviation 1. Reference: Marsaglia & Bray 1964, polar form. */
double rng_normal(struct rng *r);

#endif
