#ifndef IFUD_DATA_SPECTRUM_IO_H
#define IFUD_DATA_SPECTRUM_IO_H

#include "common/base/err.h"
#include "common/data/provenance.h"
#include "common/data/spectrum.h"

/*
 * _x1d products: primary, EXTRACT1D (one for each spectrum of the list), ASDF,
 * IFUD_PROVENANCE; _c1d products of combined spectra, with COMBINE1D instead.
 * Thread: any. Test: tests/data/test_products.c
 */

/* path: a file that does not exist yet; filename: its final name, for FILENAME. */
int spectrum_write(const struct spectrum *s, const char *path, const char *filename,
                   const struct provenance *provenance, struct err *err);

/* Read an _x1d back (ours or the peer's), all its spectra. The caller frees with spectrum_free. */
int spectrum_read(const char *path, struct spectrum **ret, struct err *err);

/* Likewise of a _c1d. */
int spectrum_read_combined(const char *path, struct spectrum **ret, struct err *err);

#endif
