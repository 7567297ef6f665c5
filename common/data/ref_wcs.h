#ifndef IFUD_DATA_REF_WCS_H
#define IFUD_DATA_REF_WCS_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/data/references.h"
#include "common/data/transform.h"

/*
 * The eleven ASDF reference types that the WCS is built from, one struct and one loader
 * each. Lengths are metres, angles degrees where not said.
 *
 * Ownership: what load() gives is released with the type's free().
 * Thread: loaded objects are immutable.
 * Test: tests/data/test_wcs_peer.c, tests/stages/test_assign_wcs.c
 */

#define REF_IFU_SLICES 30

/*
 * One optical element (camera, collimator, fore, ifufore, ote, chromcorr), towards the
 * sky, and back. Inputs and outputs: camera, collimator and ote 2 -> 2 and 2 -> 2; fore
 * and ifufore (x, y, wavelength) -> 2, both ways; chromcorr (x, y, wavelength) -> 3, and
 * (x, y, wavelength) -> 2 or 3 back.
 */
struct ref_optics {
    struct transform *forward, *inverse;
};

/* Pixels of a detector (its own orientation) to the focal plane: NRS1, NRS2. */
struct ref_fpa {
    struct ref_optics detector[2];
};

/* The sensor of the grating wheel: tilt angle (arcsec) from its reading. */
struct ref_tilt {
    struct transform *model; /* 1 -> 1; NULL if the file has none */
    double zero_reading;
};

/* A grating or the prism. */
struct ref_disperser {
    double theta_x, theta_y, theta_z, tilt_y;
    struct ref_tilt tilt_x_sensor, tilt_y_sensor;
    bool has_grooves;
    double grooves_per_m;
    bool has_glass; /* the prism: Sellmeier coefficients, um^2 where squared */
    double prism_angle;
    double kcoef[3], lcoef[3], tcoef[6];
    double tref_k, pref_atm;
};

/* Slices on the slicer: centre and size, then the plane's own transform (2 -> 2). */
struct ref_ifuslicer {
    struct {
        double x, y, size_x, size_y;
    } slice[REF_IFU_SLICES];
    struct ref_optics plane;
};

/*
 * Slicer to the slit plane, per slice: (x, y) = linear(across, along), then
 * x' = x0(x, y) + x1(x, y) * wavelength, and likewise y'.
 */
struct ref_ifupost {
    struct ref_ifupost_slice {
        struct transform *linear;  /* 2 -> 2 */
        struct transform *x0, *x1; /* 2 -> 1 */
        struct transform *y0, *y1;
    } slice[REF_IFU_SLICES];
};

/* Spectral order and nominal range (m) of each filter_disperser pair. */
struct ref_wavelengthrange {
    size_t n;
    struct ref_waverange {
        char selector[32]; /* "F290LP_G395H" */
        int order;
        double min_m, max_m;
    } *row;
};

/* Loaders, as in struct reference_type. */
int ref_optics_load_2to2(const char *path, void **ret, size_t *ret_bytes,
                         struct err *err); /* camera, collimator, ote */
int ref_optics_load_3to2(const char *path, void **ret, size_t *ret_bytes,
                         struct err *err); /* fore, ifufore */
int ref_chromcorr_load(const char *path, void **ret, size_t *ret_bytes,
                       struct err *err);
int ref_fpa_load(const char *path, void **ret, size_t *ret_bytes, struct err *err);
int ref_disperser_load(const char *path, void **ret, size_t *ret_bytes,
                       struct err *err);
int ref_ifuslicer_load(const char *path, void **ret, size_t *ret_bytes,
                       struct err *err);
int ref_ifupost_load(const char *path, void **ret, size_t *ret_bytes, struct err *err);
int ref_wavelengthrange_load(const char *path, void **ret, size_t *ret_bytes,
                             struct err *err);

void ref_optics_free(void *object);
void ref_fpa_free(void *object);
void ref_disperser_free(void *object);
void ref_ifuslicer_free(void *object);
void ref_ifupost_free(void *object);
void ref_wavelengthrange_free(void *object);

#endif
