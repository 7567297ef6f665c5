#ifndef IFUD_STAGES_FLICKER_CHECK_H
#define IFUD_STAGES_FLICKER_CHECK_H

#include "stages/flicker_light.h"
#include "stages/flicker_quality.h"

/*
 * What clean_flicker_noise does before and after the fit that the peer does not: holds
 * pixels out and measures on them (hold_out), and leaves the exposure alone where cleaning
 * would do harm (guard). Without these parameters nothing is done and nothing written.
 * Test: tests/stages/test_flicker_quality.c
 */
struct flicker_check {
    enum flicker_verdict verdict; /* CLEAN: the noise is to be subtracted */
    uint8_t *held;                /* NULL: none */
    struct flicker_light light;   /* what auto_mask has set aside, if it has */
    struct flicker_quality quality;
};

/* Begin with f->image and f->mask ready for the fit; both may change. */
int flicker_check_before(const struct stage_env *env, const struct params *params,
                         struct flicker *f, struct flicker_check *check,
                         struct err *err);

/* After the fit: f->noise is there. Writes keywords of e and a line of the log. */
int flicker_check_after(const struct stage_env *env, const struct params *params,
                        const struct flicker *f, struct exposure *e,
                        struct flicker_check *check, struct err *err);

void flicker_check_done(struct flicker_check *check);

#endif
