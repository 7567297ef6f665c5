#ifndef IFUD_STAGES_CUBE_OFFSETS_H
#define IFUD_STAGES_CUBE_OFFSETS_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * Offsets on the sky for each exposure, from a file of the peer's form (offset_file):
 * ASDF with `units: arcsec` and three lists of one length, `filename`, `raoffset` and
 * `decoffset`. raoffset is along the great circle towards the east.
 * Ownership: cube_offsets_free. Thread: read-only once read.
 * Test: tests/stages/test_cube_offsets.c
 */
struct cube_offsets {
    size_t n;
    char **filename;
    double *ra_arcsec, *dec_arcsec;
};

/* Errors: ERR_PARAM names the file and what is wrong in it. */
int cube_offsets_read(const char *path, struct cube_offsets **ret, struct err *err);
void cube_offsets_free(struct cube_offsets *o); /* NULL is fine */

/* The offset of an exposure: east and north, arcsec. ERR_PARAM if it has none. */
int cube_offsets_find(const struct cube_offsets *o, const char *path,
                      const char *filename, double ret[2], struct err *err);

/* Move a position (degrees) by `offset` arcsec: what lies that far east and north of the
 * origin in a frame whose origin and north are those of the position. Pure. */
void cube_offset_apply(const double offset[2], double *ra, double *dec);

#endif
