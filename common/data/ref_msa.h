#ifndef IFUD_DATA_REF_MSA_H
#define IFUD_DATA_REF_MSA_H

#include <stddef.h>
#include "common/base/err.h"
#include "common/data/transform.h"

/*
 * Reference type msa: where the shutters are. Each of the four quadrants has 171 rows of
 * 365 shutters and a transform of its own into the MSA's plane. The fixed slits (Q5)
 * are not read.
 * Ownership: what load() gives is released with free(). Thread: immutable.
 * Reference: jwst user documentation, "msa". Test: tests/stages/test_msa_flagging.c
 */

enum { REF_MSA_QUADRANTS = 4, REF_MSA_COLUMNS = 365, REF_MSA_ROWS = 171 };

struct ref_msa {
    struct msa_quadrant {
        struct transform *plane; /* 2 -> 2, m */
        struct msa_shutter {
            double x, y, size_x, size_y; /* m, in the quadrant */
        } *shutter;                      /* n of them, by number from 1 on */
        size_t n;                        /* 0: the file does not have this quadrant */
    } quadrant[REF_MSA_QUADRANTS];
};

/* Loader, as in struct reference_type. */
int ref_msa_load(const char *path, void **ret, size_t *ret_bytes, struct err *err);
void ref_msa_free(void *object);

#endif
