#ifndef IFUD_DATA_WCS_GWCS_H
#define IFUD_DATA_WCS_GWCS_H

#include <stdatomic.h>
#include <stdint.h>
#include "common/base/par.h"
#include "common/data/asdf.h"
#include "common/data/fits_io.h"
#include "common/data/wcs.h"

/*
 * The WCS that a calibrated exposure carries in its ASDF extension, a gWCS at meta.wcs.
 *
 * Two forms are read. The newer one (jwst 1.19 and later) goes from the detector to the
 * slicer by a transform for each slice, chosen by the pixel; it holds the bounding boxes.
 * The older ones (jwst 1.8 to 1.18, and the newer with nrs_ifu_slice_wcs) go through the
 * frames sca, gwa and slit_frame, where the slice is an input or a list of models; boxes
 * are found as the peer does, from the range of wavelengths in WAVSTART and WAVEND.
 */

/*
 * Given:     f         the exposure's file, opened with fits_in_open
 *            path      its name
 *            e         its headers and meta, nx and ny
 *            par       may be NULL: one thread
 *            cancel    may be NULL
 * Returned:  *ret      one reference
 *            regions   uint8_t[ny * nx]  slice of each pixel; NULL: not wanted
 * Errors:    ERR_INPUT: no ASDF extension, no meta.wcs, or one that is not of the NIRSpec
 *            IFU, or cannot be followed; the message names the place in the tree.
 * Thread:    that of f. Test: tests/data/test_wcs_gwcs.c
 */
int wcs_read_gwcs(struct fits_in *f, const char *path, const struct exposure *e,
                  struct par *par, const atomic_bool *cancel, struct wcs **ret,
                  uint8_t *regions, struct err *err);

#endif
