#ifndef IFUD_DATA_CRDS_EXPR_H
#define IFUD_DATA_CRDS_EXPR_H

#include <stdbool.h>
#include "common/base/err.h"

/*
 * Conditions in the header of a CRDS mapping (rmap_relevance, rmap_omit,
 * parkey_relevance), such as (META.EXPOSURE.TYPE not in ("A", "B")): and, or, not,
 * comparisons, in, parentheses, strings, numbers, True, False and names.
 * Thread: any. Test: tests/data/test_crds.c; tests/peer/crds_rules.py
 */

/* The value of a name such as META.EXPOSURE.TYPE, also with '_' for each '.', or NULL. */
typedef const char *(*crds_lookup)(void *user, const char *name);

/* Evaluate. ERR_REFERENCE if it is malformed or names what there is not (what is not
 * reached, as behind a true `or`, need not exist). */
int crds_expr(const char *text, crds_lookup lookup, void *user, bool *ret,
              struct err *err);

#endif
