#ifndef IFUD_DATA_WCS_BUILD_H
#define IFUD_DATA_WCS_BUILD_H

#include <stdatomic.h>
#include <stdint.h>
#include "common/base/par.h"
#include "common/data/ref_wcs.h"
#include "common/data/wcs.h"

/* The reference objects that a WCS is built from. Borrowed while building. */
struct wcs_references {
    const struct ref_optics *camera, *collimator, *fore, *ifufore, *ote, *chromcorr;
    const struct ref_fpa *fpa;
    const struct ref_disperser *disperser;
    const struct ref_ifupost *ifupost;
    const struct ref_ifuslicer *ifuslicer;
    const struct ref_wavelengthrange *wavelengthrange;
};

/* The eleven types, in the order in which wcs_references_set counts; ends with NULL. */
extern const char *const wcs_reference_types[];

/* Put the object of type number i (of wcs_reference_types) where it belongs. */
void wcs_references_set(struct wcs_references *refs, size_t i, const void *object);

/*
 * Build the WCS of one exposure from its headers alone.
 *
 * Given:      meta       keywords (see struct exposure_meta)
 *             nx, ny     size of the array, pixels
 *             refs       the eleven references
 *             y_slit     double[2]  lower and upper end of a slit (peer: -0.55, 0.55)
 *             par        may be NULL: one thread
 *             cancel     may be NULL
 * Returned:   *ret       one reference
 *             regions    uint8_t[ny * nx]  slice 1..30 of each pixel, 0 = none; of two
 *                        slices that overlap the higher (may be NULL)
 *             wavelength double[ny * nx]   um, NaN where regions is 0 (may be NULL)
 * Errors:     ERR_INPUT: a keyword is missing or impossible, the disperser never reaches
 *             the detector, or a slice of a full frame has no valid wavelength;
 *             ERR_REFERENCE: references that do not fit the exposure.
 * Algorithm:  as the peer's assign_wcs: bounding boxes from the projected edges of each
 *             slit with margins of 10 and 2 pixels and the peer's stray -1, then
 *             tightened to the pixels that have a wavelength.
 */
int wcs_build(const struct exposure_meta *meta, int nx, int ny,
              const struct wcs_references *refs, const double y_slit[2],
              struct par *par, const atomic_bool *cancel, struct wcs **ret,
              uint8_t *regions, double *wavelength, struct err *err);

/* "POLYGON ICRS  ra dec ..." of the footprint, as the peer writes it. 0, or -1 if any
 * corner is not finite. */
int wcs_s_region(const struct wcs *w, char *ret, size_t size);

#endif
