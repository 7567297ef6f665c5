#ifndef IFUD_DATA_REFERENCE_CACHE_H
#define IFUD_DATA_REFERENCE_CACHE_H

#include <stddef.h>
#include "common/base/err.h"
#include "common/data/references.h"

/*
 * The cache behind references.h: each file is loaded once, shared read-only, counted, and
 * dropped when nobody holds it and the ceiling is passed (least recently used first).
 *
 * States of an entry: loading (one thread reads, others wait on the condition), ready,
 * failed (waiters get the same error; the last one to leave frees it).
 * Thread: any; one mutex inside, never held while a file is read.
 * Test: tests/data/test_references.c
 */
struct reference_cache;

int reference_cache_new(size_t max_bytes, struct reference_cache **ret,
                        struct err *err);
void reference_cache_free(struct reference_cache *cache); /* no handle may be held */

/*
 * The object of `path` with this content, loaded by `type` if it is not there. Beyond the
 * ceiling, entries that nobody holds go; what is held may exceed it.
 */
int reference_cache_get(struct reference_cache *cache,
                        const struct reference_type *type, const char *path,
                        const char *sha256, struct reference **ret_ref,
                        const void **ret_object, struct err *err);

/* For tests and status: entries and bytes now in memory, and loads so far. */
void reference_cache_usage(struct reference_cache *cache, size_t *ret_entries,
                           size_t *ret_bytes, size_t *ret_loads);

#endif
