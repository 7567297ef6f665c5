#ifndef IFUD_DATA_PRODUCT_ASDF_H
#define IFUD_DATA_PRODUCT_ASDF_H

#include <stdbool.h>
#include "common/base/err.h"
#include "common/data/cube.h"
#include "common/data/fits_io.h"

/*
 * The ASDF extension of a product: a table of one cell that holds an ASDF tree. The
 * readers in specutils know a product by it, and take a cube's world coordinates from
 * it as a generalised WCS (pixel -> RA, Dec, wavelength).
 * Reference: ASDF Standard 1.5.0; asdf-wcs-schemas. Thread: any.
 * Test: tests/data/test_products.c
 */

/* With meta.wcs of the cube: linear, or a table where the wavelengths are not. */
int product_asdf_cube(const struct cube *c, bool linear, struct fits_out *f,
                      struct err *err);

/* Without a WCS. model: DATAMODL. */
int product_asdf_plain(const char *model, struct fits_out *f, struct err *err);

#endif
