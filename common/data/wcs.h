#ifndef IFUD_DATA_WCS_H
#define IFUD_DATA_WCS_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/exposure.h"

/*
 * The world coordinates of one NIRSpec IFU exposure: detector -> sca -> gwa ->
 * slit_frame -> slicer -> msa_frame -> oteip -> oteip_chromcorr -> v2v3 -> v2v3vacorr
 * -> world, as the peer builds it.
 *
 * Pixels are 0-based in the exposure's own array (a subarray's corner is in the WCS).
 * Slices are 1..30. Towards the sky only the centre line of a slice is known (x_slit
 * = 0). NaN in, NaN out.
 *
 * wcs_build.h makes one; wcs_map.h maps whole exposures.
 * Ownership: immutable, reference counted. Thread: any.
 * Test: tests/data/test_wcs.c, tests/data/test_wcs_peer.c
 */
struct wcs;

#define WCS_SLICES 30

struct wcs_box {
    double x_min, x_max, y_min, y_max; /* pixels, edges inclusive; empty if min > max */
};

struct wcs *wcs_hold(const struct wcs *w); /* another reference */
void wcs_release(struct wcs *w);           /* NULL is fine */

/*
 * Bounding box of a slice: the outer edges of its pixels that have a wavelength, so
 * x_min = column - 0.5. Empty for a slice that a subarray leaves out.
 */
struct wcs_box wcs_bounding_box(const struct wcs *w, int slice);

/* Nominal wavelength range of the disperser and filter, um, and spectral order. */
void wcs_wavelength_range(const struct wcs *w, double *min_um, double *max_um,
                          int *order);

/* Range of the wavelengths of all pixels, um (the peer's spectral_region). */
void wcs_spectral_region(const struct wcs *w, double *min_um, double *max_um);

/* ra_dec of the four corners of the field, degrees: 8 numbers, for S_REGION. */
void wcs_footprint(const struct wcs *w, double ret_ra_dec[8]);

/* Width of a slice as cube_build takes it: |across| between slices 1 and 3, metres. */
double wcs_slice_width(const struct wcs *w);

/* across of a slice's centre (y_slit = 0), metres. */
double wcs_slice_across(const struct wcs *w, int slice);

/* detector -> sky. n points; degrees, degrees, um; NaN outside the slice and its box. */
void wcs_detector_to_sky(const struct wcs *w, int slice, size_t n, const double *x,
                         const double *y, double *ra, double *dec, double *lam_um);

/* detector -> slicer frame. across, along: metres on the slicer; wavelength: metres.
 * The bounding box does not apply (as in the peer's get_transform); y_slit limits do. */
void wcs_detector_to_slicer(const struct wcs *w, int slice, size_t n, const double *x,
                            const double *y, double *across_m, double *along_m,
                            double *lam_m);

/* slicer frame -> sky; needs no slice. */
void wcs_slicer_to_sky(const struct wcs *w, size_t n, const double *across_m,
                       const double *along_m, const double *lam_m, double *ra,
                       double *dec, double *lam_um);

/*
 * sky -> slicer frame, and slicer frame -> detector (for ifusim and round trips). Both
 * are exact inverses of the above: they start from the stored inverses and refine, so
 * that a pixel goes to the sky and back within 1e-6 pixel. across away from the slice's
 * centre moves the point as IFUPOST and collimator do. Beyond the ends of a slice the
 * position goes on smoothly.
 */
void wcs_sky_to_slicer(const struct wcs *w, size_t n, const double *ra,
                       const double *dec, const double *lam_um, double *across_m,
                       double *along_m, double *lam_m);
void wcs_slicer_to_detector(const struct wcs *w, int slice, size_t n,
                            const double *across_m, const double *along_m,
                            const double *lam_m, double *x, double *y);

/* sky -> detector through one slice: the two above in a row. */
void wcs_sky_to_detector(const struct wcs *w, int slice, size_t n, const double *ra,
                         const double *dec, const double *lam_um, double *x, double *y);

#endif
