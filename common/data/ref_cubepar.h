#ifndef IFUD_DATA_REF_CUBEPAR_H
#define IFUD_DATA_REF_CUBEPAR_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * cubepar: spaxel, wavelength step and range of a cube for each disperser and filter.
 * Read-only after loading; the cache of references.h owns it. Thread: any.
 */

struct ref_cubepar_row {
    char disperser[16], filter[16];
    double wave_min_um, wave_max_um; /* outer edges of the first and last plane */
    double spaxel_arcsec, step_um;
};

enum ref_cubepar_weighting { CUBEPAR_DRIZZLE, CUBEPAR_MSM, CUBEPAR_EMSM };
#define CUBEPAR_WEIGHTINGS 3

/* How modified Shepard weighting works; NaN: not in the table. */
struct ref_cubepar_shepard {
    double rois_arcsec,
        roiw_um;           /* how far a pixel reaches on the sky and in wavelength */
    double power, softrad; /* of MSM */
    double scalerad;       /* of EMSM */
};

/* The same for one disperser and filter. */
struct ref_cubepar_region {
    char disperser[16], filter[16];
    struct ref_cubepar_shepard shepard;
};

/* Planes that are not linear in wavelength, one table per weighting and resolution. */
struct ref_cubepar_waves {
    size_t n;
    double *um;                          /* centres, ascending */
    struct ref_cubepar_shepard *shepard; /* n; NULL for drizzle */
};

struct ref_cubepar {
    struct ref_cubepar_row *rows;
    size_t n_rows;
    struct ref_cubepar_region *regions[CUBEPAR_WEIGHTINGS]; /* none for drizzle */
    size_t n_regions[CUBEPAR_WEIGHTINGS];
    /* prism, medium, high; n = 0: not in the file */
    struct ref_cubepar_waves waves[CUBEPAR_WEIGHTINGS][3];
};

/*
 * Read the tables CUBEPAR, CUBEPAR_{MSM,EMSM} and
 * MULTICHAN_{PRISM,MED,HIGH}_{DRIZZLE,MSM,EMSM}; all but the first may be absent.
 * Errors: ERR_REFERENCE names file, table and row. Test: tests/data/test_ref_cubepar.c
 */
int ref_cubepar_load(const char *path, void **ret_object, size_t *ret_bytes,
                     struct err *err);
void ref_cubepar_free(void *object); /* NULL is fine */

/* The row of a disperser and filter (case ignored), or NULL. */
const struct ref_cubepar_row *ref_cubepar_find(const struct ref_cubepar *par,
                                               const char *disperser,
                                               const char *filter);
const struct ref_cubepar_shepard *
ref_cubepar_find_shepard(const struct ref_cubepar *par, enum ref_cubepar_weighting w,
                         const char *disperser, const char *filter);

/* The table for a disperser ("PRISM", "G395M", "G395H"); may be empty. */
const struct ref_cubepar_waves *ref_cubepar_waves_of(const struct ref_cubepar *par,
                                                     enum ref_cubepar_weighting w,
                                                     const char *disperser);

#endif
