#ifndef IFUD_DATA_CRDS_CACHE_H
#define IFUD_DATA_CRDS_CACHE_H

#include "common/base/err.h"
#include "common/data/crds_rules.h"
#include "common/data/exposure.h"

/*
 * A CRDS cache folder and one of its contexts, offline and read-only: which reference
 * file the observatory's rules choose, and where it lies.
 * Read: mappings/jwst/NAME.pmap, .imap and .rmap (each with its checksum), the
 * references in references/jwst/nirspec/ or references/jwst/, and config/jwst/server_config for
 * what the observatory says is invalid and for the context "latest".
 * Ownership: crds_cache_free. Thread: one at a time (rules are read as they are needed).
 * Test: tests/data/test_crds.c; against the crds package: tests/peer/crds_rules.py
 */
struct crds_cache;

/*
 * context: "jwst_NNNN.pmap", or "latest": the newest that the cache's server_config
 * names. Reads the context and its NIRSpec mapping; ERR_REFERENCE names what is missing
 * and how to get it.
 */
int crds_cache_open(const char *path, const char *context, struct crds_cache **ret,
                    struct err *err);
void crds_cache_free(struct crds_cache *cache); /* NULL is fine */

/* The context's file name, "jwst_NNNN.pmap". Borrowed. */
const char *crds_cache_context(const struct crds_cache *cache);

/* Is there a config/jwst/server_config, by which "latest" has a meaning? */
bool crds_has_latest(const char *path);

/*
 * The reference for an exposure.
 * Given:      type as in references.h
 * Returned:   *ret; for CRDS_FILE *ret_path (the caller frees; the file may be read),
 *             else NULL (also of a type that the context does not have); ret_why: one line,
 *             which rules chose
 * ERR_REFERENCE: no rule fits, the file is not in the cache, or it is designated invalid.
 */
int crds_cache_choose(struct crds_cache *cache, const char *type,
                      const struct exposure_meta *meta, enum crds_answer *ret,
                      char **ret_path, char ret_why[500], struct err *err);

#endif
