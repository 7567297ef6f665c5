#ifndef IFUD_JOBS_QUICKLOOK_H
#define IFUD_JOBS_QUICKLOOK_H

#include "common/base/err.h"
#include "common/data/cube.h"
#include "common/data/spectrum.h"

/*
 * A picture of a cube and its spectrum, for a first look: 1600 x 900 pixels, PNG.
 * Left the cube's median over the wavelengths (asinh stretch between percentiles) with
 * offsets in arcsec, north and east, aperture and annulus or the region that was summed; right the spectrum with its
 * error band, and below it signal to noise. The ranges do not follow single bad voxels.
 *
 * Given:     c; s (may be NULL: the picture shows the cube alone); path: the file to
 *            make, replaced if it is there
 * Returned:  0, or ERR_IO or ERR_NOMEM (no file is left)
 * The same input gives the same bytes on one machine (fonts are the system's).
 * Thread:    any. Test: tests/jobs/test_quicklook.c
 */
int quicklook_write(const struct cube *c, const struct spectrum *s, const char *path,
                    struct err *err);

#endif
