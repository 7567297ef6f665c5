#ifndef IFUD_DATA_CRDS_SELECTOR_H
#define IFUD_DATA_CRDS_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include "common/data/crds_match.h"
#include "common/data/crds_rules.h"

/*
 * Inside struct crds_rules: crds_selector.c makes it from a mapping, crds_rules.c asks it.
 * Thread: made by one, read by any.
 */

struct crds_selector;

struct crds_entry {
    char *date;      /* UseAfter */
    char **patterns; /* Match: one for each key */
    struct crds_matcher **matchers;
    const struct crds_node *raw; /* the key as written */
    bool substituted;
    const char *file;            /* or */
    struct crds_selector *inner; /* a nested selector */
};

struct crds_selector {
    bool is_match;
    const struct crds_node *keys; /* tuple of strings */
    struct crds_entry *entries;   /* Match: sorted by pattern, no two the same */
    size_t n;
};

struct crds_rules {
    char *name;
    struct crds_node header, tree; /* taken over by copy: selectors point into them */
    struct crds_selector *top;
    bool merge;
};

/* What a value of a key is to be read as: by the header's substitutions, or by the one rule
 * that holds for all; NULL: as it stands. */
const struct crds_node *crds_substitute(const struct crds_rules *r, const char *key,
                                        const struct crds_node *value);

#endif
