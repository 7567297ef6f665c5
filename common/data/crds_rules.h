#ifndef IFUD_DATA_CRDS_RULES_H
#define IFUD_DATA_CRDS_RULES_H

#include "common/base/err.h"
#include "common/data/crds_expr.h"
#include "common/data/crds_literal.h"

/*
 * The rules of one reference type (.rmap), ready to be asked: nested Match and UseAfter.
 * Of the entries of a Match that fit, those with the most values that match (rather than
 * not care) count; their UseAfters are merged; of these the newest date not after the
 * exposure, then the greater file name; if all are later, the next best entries count.
 * Ownership: crds_rules_free. Thread: read by any.
 * Reference: behaviour of the crds package 14.0 (core/selectors.py, core/rmap.py).
 * Test: tests/data/test_crds.c; against the crds package: tests/peer/crds_rules.py
 */
struct crds_rules;

/* name: of the file, for messages. */
int crds_rules_new(const struct crds_mapping *m, const char *name,
                   struct crds_rules **ret, struct err *err);
void crds_rules_free(struct crds_rules *rules);

enum crds_answer {
    CRDS_FILE, /* ret_file */
    CRDS_NA,   /* not applicable to this exposure */
    CRDS_OMIT  /* to be left out */
};

/*
 * Ask. lookup gives an exposure's conditioned values ("UNDEFINED" for what its headers
 * lack), NULL for keys that it does not know.
 * Returned:   *ret_file (the caller frees; NULL unless CRDS_FILE), ret_why: one line
 * ERR_REFERENCE if a required type has no rule that fits: what stood in the way.
 */
int crds_rules_ask(const struct crds_rules *rules, crds_lookup lookup, void *user,
                   enum crds_answer *ret, char **ret_file, char ret_why[256],
                   struct err *err);

/* "N/A" or "OMIT" in place of a file name (also TEMP_N/A): CRDS_FILE for others. */
enum crds_answer crds_special(const char *name);

#endif
