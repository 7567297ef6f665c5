#ifndef IFUD_DATA_SOURCE_CATALOG_H
#define IFUD_DATA_SOURCE_CATALOG_H

#include <stddef.h>
#include "common/base/err.h"

/* A list of sources on the sky, as a text file that a user has written. */
struct catalog_source {
    int line;       /* of the file, 1-based */
    char name[64];  /* "" if it has none */
    double ra, dec; /* deg */
    double radius;  /* arcsec; 0: not given */
};

/*
 * Read it: ECSV, CSV, or columns between blanks. Lines that begin with # are left out. The
 * first of the others may name the columns: ra, dec (deg), and if there are radius (arcsec)
 * and name, id or label; others are ignored, case too. Without names the columns are RA,
 * Dec, radius and name, as far as they go.
 * A row that cannot be read is left out and told to `bad` as "FILE: line N: column: ...".
 * Returned:  *ret (n of them, free with free()); ERR_INPUT if the file cannot be read, is
 *            larger than 1 MB or has no RA and Dec; it may have no good row
 * Thread:    any. Test: tests/data/test_source_catalog.c
 */
int source_catalog_read(const char *path, void (*bad)(void *user, const char *line),
                        void *user, struct catalog_source **ret, size_t *ret_n,
                        struct err *err);

#endif
