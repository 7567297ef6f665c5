#ifndef IFUD_DATA_CUBE_IO_H
#define IFUD_DATA_CUBE_IO_H

#include "common/base/err.h"
#include "common/data/cube.h"
#include "common/data/provenance.h"

/*
 * _s3d products: primary, SCI ERR DQ WMAP, WCS-TABLE (the wavelengths; the WCS where
 * they are not linear), COVARIANCE where it is known, ASDF, IFUD_PROVENANCE. The WCS keywords of SCI come from the cube.
 * Thread: any. Test: tests/data/test_products.c
 */

/* path: a file that does not exist yet; filename: its final name, for FILENAME. */
int cube_write(const struct cube *c, const char *path, const char *filename,
               const struct provenance *provenance, struct err *err);

/* Read one back (ours or the peer's). The caller frees with cube_free. */
int cube_read(const char *path, struct cube **ret, struct err *err);

#endif
