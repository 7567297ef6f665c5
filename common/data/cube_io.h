#ifndef IFUD_DATA_CUBE_IO_H
#define IFUD_DATA_CUBE_IO_H

#include "common/base/err.h"
#include "common/data/cube.h"
#include "common/data/provenance.h"

/*
 * _s3d products: primary, SCI ERR DQ WMAP, WCS-TABLE (the wavelengths; the WCS where
 * they are not linear), ASDF, IFUD_PROVENANCE. The WCS keywords of SCI come from the cube.
 * Thread: any. Test: tests/data/test_products.c
 */

/*
 * Put what the cube says itself into the header of its SCI extension: WCS, BUNIT,
 * S_REGION, PIXAR_SR and PIXAR_A2 (of a spaxel); the pointing keywords of a single
 * exposure go. cube_write does this to a copy; cube_build to c->science, since
 * extract_1d takes PIXAR_SR from there.
 */
int cube_wcs_to_header(const struct cube *c, struct header *h, struct err *err);

/* path: a file that does not exist yet; filename: its final name, for FILENAME. */
int cube_write(const struct cube *c, const char *path, const char *filename,
               const struct provenance *provenance, struct err *err);

/* Read one back (ours or the peer's). The caller frees with cube_free. */
int cube_read(const char *path, struct cube **ret, struct err *err);

#endif
