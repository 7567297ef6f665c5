#ifndef IFUD_TESTS_WCS_FIXTURE_H
#define IFUD_TESTS_WCS_FIXTURE_H

#include "common/data/exposure.h"
#include "common/data/wcs_build.h"

/*
 * A small made-up spectrograph for tests that need a WCS but no files: straight camera
 * and collimator, 30 slices one above the other, a grating of 89,408.7 grooves per m
 * over 3.0 to 4.1 um on NRS1 (or the prism), all with plausible scales.
 * Free with wcs_fixture_free. Failures end the test.
 */
struct wcs_fixture {
    struct wcs_references refs;
    struct ref_optics camera, collimator, fore, ifufore, ote, chromcorr;
    struct ref_fpa fpa;
    struct ref_disperser disperser;
    struct ref_ifupost ifupost;
    struct ref_ifuslicer ifuslicer;
    struct ref_wavelengthrange wavelengthrange;
    struct ref_waverange row;
};

struct wcs_fixture *wcs_fixture_new(void);
void wcs_fixture_free(struct wcs_fixture *f);

/* Let light fall onto the disperser at another angle: its tangent in x (0.335 suits the
 * grating, -1.207 the prism, whose row of the wavelength ranges is the caller's). */
void wcs_fixture_set_collimator(struct wcs_fixture *f, double tangent);

/* Keywords that suit it: NRS1, G395H, F290LP, roll 30 degrees, RA 10, Dec -20. */
struct exposure_meta wcs_fixture_meta(void);

#endif
