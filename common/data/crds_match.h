#ifndef IFUD_DATA_CRDS_MATCH_H
#define IFUD_DATA_CRDS_MATCH_H

#include <stdbool.h>
#include "common/base/err.h"
#include "common/data/crds_literal.h"

/*
 * How one value of an exposure is compared with one pattern of a CRDS rule.
 * Ownership: crds_matcher_free. Thread: a matcher is read by any.
 * Reference: the CRDS user's guide, "Rmap matching"; behaviour of the crds package.
 * Test: tests/data/test_crds.c; against the crds package: tests/peer/crds_rules.py
 */

/* A value in the form in which it is compared: upper case, numbers as 1.0, ANY as "*",
 * "NOT APPLICABLE" and the like as "N/A", truth as "T" or "F". The caller frees. */
char *crds_condition(const char *value, struct err *err);

/*
 * The pattern of a rule's key: a node's value conditioned, alternatives sorted and joined
 * by '|'; "{...}" and "(...)" stay as they are. The caller frees.
 * ERR_REFERENCE if it is no string, number, truth or tuple of these.
 */
char *crds_pattern(const struct crds_node *node, struct err *err);

/* Patterns whose values are not checked: in {}, (), ##, BETWEEN and NOT. */
bool crds_is_esoteric(const char *pattern);

struct crds_matcher; /* NULL is none */

/*
 * A matcher of a conditioned pattern: "A|B*" alternatives with * and ?, "N/A" anything,
 * "{A}" literally, ">1", "<=2", "BETWEEN 1 2", "#>1 AND <2#", "NOT ...".
 * ERR_REFERENCE for regular expressions "(...)", which no rule for NIRSpec has, and for
 * what is malformed. what: for messages.
 */
int crds_matcher_new(const char *pattern, const char *what, struct crds_matcher **ret,
                     struct err *err);
void crds_matcher_free(struct crds_matcher *m);

/* 1: matches; 0: does not care; -1: does not match. value: conditioned. */
int crds_matcher_try(const struct crds_matcher *m, const char *value);

/* Does the text match a pattern of *, ? and [a-z]? Time: length of both multiplied. */
bool crds_glob(const char *pattern, const char *text);

#endif
