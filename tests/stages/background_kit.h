#ifndef IFUD_TESTS_BACKGROUND_KIT_H
#define IFUD_TESTS_BACKGROUND_KIT_H

#include "stages/stage.h"

/*
 * A source of exposures in memory. Number k is called bkgk_rate.fits: SCI 0.25,
 * VAR_POISSON 0.003, VAR_RNOISE 0.006, DQ 0. It counts how many are open at once.
 */
struct background_kit {
    struct exposure_source source; /* hand out a pointer to it */
    struct exposure **exposures;
    size_t n;
    size_t fail_at; /* opening this one with pixels fails; n: none does */
    int open, most_open;
};

void background_kit_init(struct background_kit *kit, size_t n, int nx, int ny);
void background_kit_done(struct background_kit *kit);
struct exposure *background_kit_exposure(size_t k, int nx, int ny);

#endif
