#ifndef IFUD_DATA_WCS_WRITE_H
#define IFUD_DATA_WCS_WRITE_H

#include "common/base/err.h"
#include "common/data/exposure.h"
#include "common/data/fits_io.h"

/*
 * The ASDF extension of a calibrated exposure: meta.wcs is its gWCS, in the form that
 * jwst 3.0.0 writes (detector to slicer by one transform per slice, chosen by the pixel),
 * so that jwst.datamodels opens it and the peer's cube_build runs on it.
 *
 * Given:   e   with or without wcs and regions; without them, or with samples that are not
 *              detector pixels, there is no meta.wcs
 *          f   the product, after its other extensions
 * Size:    0.6 MB. Thread: that of f. Test: tests/data/test_wcs_write.c
 */
int wcs_write(const struct exposure *e, struct fits_out *f, struct err *err);

#endif
