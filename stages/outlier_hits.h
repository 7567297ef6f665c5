#ifndef IFUD_STAGES_OUTLIER_HITS_H
#define IFUD_STAGES_OUTLIER_HITS_H

#include <stddef.h>
#include <stdint.h>
#include "common/data/exposure.h"

/*
 * Which pixels outlier_detection rejects, and why: a list for each exposure, or one that
 * several share. Thread: one writer; read by any afterwards.
 * Test: tests/stages/test_outlier_detection.c
 */

/* Pixels of one exposure, in any order, none twice. */
struct outlier_list {
    uint32_t *index; /* y * nx + x */
    uint8_t *reason; /* enum outlier_reason */
    size_t n, room;
    size_t count[OUTLIER_REASONS]; /* pixels by reason */
};

struct outlier_hits {
    size_t n_exposures, n_lists;
    char (*filename)[256]; /* n_exposures; exposures are known by it, in any order */
    size_t *list_of;       /* n_exposures: which list is its own */
    struct outlier_list *lists; /* n_lists */
    const char *method;         /* for the header; static */
};

/* Empty lists; to be freed with outlier_hits_free. list_of starts at 0. */
int outlier_hits_new(size_t n_exposures, size_t n_lists, const char *method,
                     struct outlier_hits **ret, struct err *err);
void outlier_hits_free(struct outlier_hits *h); /* NULL is fine */

int outlier_list_add(struct outlier_list *list, size_t index,
                     enum outlier_reason reason, struct err *err);

/* The list of an exposure; ERR_BUG if it was not looked at. */
int outlier_hits_find(const struct outlier_hits *h, const char *filename,
                      const struct outlier_list **ret, struct err *err);

/*
 * Reject the pixels: NaN in SCI, ERR and the variances, DQ gets DO_NOT_USE and OUTLIER (as
 * in the peer), e->outlier_reason says why.
 */
int outlier_list_apply(const struct outlier_list *list, struct exposure *e,
                       struct err *err);

/* OUTMETH, and with `counts` the number of pixels by reason. */
int outlier_list_describe(const struct outlier_list *list, const char *method,
                          bool counts, struct header *primary, struct err *err);

/* "1204 above what is expected, 3 below ..." into text; "none" if there are none. */
void outlier_list_tell(const struct outlier_list *list, char *text, size_t size);

#endif
