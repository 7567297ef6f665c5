#ifndef IFUD_JOBS_ASSOCIATION_H
#define IFUD_JOBS_ASSOCIATION_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"

/*
 * Association files (`_asn.json`): which exposures make a product. The peer's form: an
 * object with asn_type, asn_rule, asn_id, asn_pool, program and products[], each with a
 * name and members[] of expname and exptype; other keys are ignored, as there.
 *
 * What comes in is hostile: size, depth and counts are bounded, and a name that is no
 * plain file name is refused, so no member is looked for outside of its folder.
 *
 * Ownership: association_done frees what a struct association holds. Thread: any.
 * Test: tests/jobs/test_association.c, tests/fuzz/fuzz_association.c
 */

#define ASSOCIATION_MAX_BYTES ((size_t)1 << 20)
#define ASSOCIATION_MAX_DEPTH 16
#define ASSOCIATION_MAX_PRODUCTS 1000
#define ASSOCIATION_MAX_MEMBERS 4000 /* of all products */

enum association_role {
    ASSOCIATION_SCIENCE,
    ASSOCIATION_BACKGROUND,
    ASSOCIATION_IMPRINT,
    ASSOCIATION_UNUSED /* an exptype that the recipe does not use for NIRSpec IFU */
};

struct association_member {
    char *expname; /* a file name */
    char *base;    /* of its exposure: without _rate, _cal, _crf, _x1d and extension */
    char exptype[32];
    enum association_role role;
};

struct association_product {
    char *name;
    struct association_member *members;
    size_t n_members;
};

struct association {
    char recipe[8];                                /* "spec2" or "spec3" */
    char rule[64], id[32], pool[128], program[32]; /* "" if not given */
    struct association_product *products;
    size_t n_products;
};

/* Does a file name say that it is one: does it end in "_asn.json"? */
bool association_is_name(const char *name);

/*
 * Given:    text of n bytes; file: its name, for messages; recipe: what it must be for,
 *           NULL: what it says (asn_type, else the kind of its science members)
 * ERR_INPUT: what is wrong, with file, product and member, and what would be right.
 * ERR_NODATA: the text ends before its JSON does.
 *
 * In a product of spec2 there is exactly one science member; in one of spec3 all are of
 * one kind (`_cal`, or `_rate`: those that spec2 makes of them), and backgrounds are
 * `_x1d`. No exposure is named twice in a product, no product twice.
 */
int association_parse(const char *text, size_t n, const char *file, const char *recipe,
                      struct association *ret, struct err *err);
/* The same from a regular file. */
int association_read(const char *path, const char *recipe, struct association *ret,
                     struct err *err);
void association_done(struct association *a);

/* "science", "background", "imprint"; "" for what is not used. */
const char *association_role_name(enum association_role role);

#endif
