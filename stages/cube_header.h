#ifndef IFUD_STAGES_CUBE_HEADER_H
#define IFUD_STAGES_CUBE_HEADER_H

#include <stdbool.h>
#include "common/base/err.h"
#include "common/data/header.h"

/*
 * The header of something made from several exposures: that of the first, with times,
 * sums and names taken from all (the peer's blending rules).
 * Ownership: header_blend_done releases. Thread: one. Test: tests/stages/test_cube_header.c
 */

#define HEADER_BLEND_KEYS 64 /* at least as many as rules */

struct header_blend {
    struct header primary, science; /* of the first exposure */
    int n;                          /* exposures so far */
    struct header_blend_value {
        int n; /* exposures that have it */
        double sum, min, max;
        char low[72], high[72]; /* texts: least and largest */
    } values[HEADER_BLEND_KEYS];
};

/* Count in the headers of one more exposure. */
int header_blend_add(struct header_blend *b, const struct header *primary,
                     const struct header *science, struct err *err);
/* Apply the rules; from one exposure nothing changes. */
int header_blend_finish(struct header_blend *b, struct err *err);
void header_blend_done(struct header_blend *b);

#endif
