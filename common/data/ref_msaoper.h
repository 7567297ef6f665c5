#ifndef IFUD_DATA_REF_MSAOPER_H
#define IFUD_DATA_REF_MSAOPER_H

#include <jansson.h>
#include <stddef.h>
#include "common/base/err.h"

/*
 * Reference type msaoper, the only one in JSON: how the shutters of the MSA operate. Kept
 * are those that stand open: "state", "TA state" or "Internal state" is "open".
 * Ownership: what load() gives is released with free(). Thread: immutable.
 * Reference: jwst user documentation, "msaoper". Test: tests/stages/test_msa_flagging.c
 */
struct ref_msaoper {
    size_t n;
    struct msaoper_shutter {
        int quadrant, x, y; /* as in the file: from 1 */
    } *open;
};

/* Loader, as in struct reference_type. */
int ref_msaoper_load(const char *path, void **ret, size_t *ret_bytes, struct err *err);
void ref_msaoper_free(void *object);

/* The file as JSON, an object of bounded size; for its metadata. */
int ref_msaoper_parse(const char *path, json_t **ret, struct err *err);

#endif
