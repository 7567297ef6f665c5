#ifndef IFUD_DATA_EXPOSURE_IO_H
#define IFUD_DATA_EXPOSURE_IO_H

#include <stdbool.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/exposure.h"
#include "common/data/fits_io.h"
#include "common/data/provenance.h"

/*
 * Exposures from and to FITS: _rate in; _cal and every _<stage> product out and in.
 * Thread: any (each call has its own handle). Test: tests/data/test_exposure.c
 */

/*
 * Read an exposure. Needed: primary header, SCI, ERR, DQ, VAR_POISSON, VAR_RNOISE, all of
 * one size; read where present: VAR_FLAT, VAR_BKG, REGIONS, WAVELENGTH, PATHLOSS_PS,
 * PATHLOSS_UN.
 * exposure_read_meta has been applied. ERR_INPUT names file, extension or keyword;
 * ERR_NODATA if SCI holds no finite pixel.
 * The caller frees with exposure_free.
 */
int exposure_read(const char *path, struct exposure **ret, struct err *err);

/*
 * Of a calibrated exposure what a cube is made of: SCI, ERR, DQ and, where they are,
 * REGIONS and VAR_BKG, with NaN and
 * DO_NOT_USE together (exposure_match_nans over the variances too). The others are NULL.
 * par: whose threads read it (NULL: the caller's).
 */
int exposure_read_for_cube(const char *path, struct par *par, struct exposure **ret,
                           struct err *err);

/* Headers and meta only: no pixel is read, the planes are NULL, and cfitsio is not asked:
 * safe for files of strangers. */
int exposure_read_headers(const char *path, struct exposure **ret, struct err *err);
/* The same of a file that is open. */
int exposure_headers_of(struct fits_in *f, const char *path, struct exposure **ret,
                        struct err *err);

/* The same of a file whose SCI may hold no pixels: what the WCS and the choice of
 * references need. The size is then that of SUBSIZE1 and SUBSIZE2 (absent: 2048). */
int exposure_read_headers_alone(const char *path, struct exposure **ret,
                                struct err *err);

/*
 * Write every plane that exists, in the peer's order: SCI ERR DQ REGIONS VAR_POISSON
 * VAR_RNOISE VAR_FLAT VAR_BKG WAVELENGTH PATHLOSS_PS PATHLOSS_UN REASON, then
 * IFUD_PROVENANCE.
 * path: a file that does not exist yet; filename: its final name, for FILENAME.
 */
int exposure_write(const struct exposure *e, const char *path, const char *filename,
                   const struct provenance *provenance, struct err *err);

#endif
