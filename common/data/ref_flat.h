#ifndef IFUD_DATA_REF_FLAT_H
#define IFUD_DATA_REF_FLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/ref_planes.h"
#include "common/math/interp.h"

/*
 * The flats of NIRSpec spectroscopy: fore optics (fflat), spectrograph (sflat) and
 * detector (dflat), and a ready-made total flat (flat).
 *
 * FAST_VARIATION is a table over wavelength (um, value, error), common to all pixels.
 * SCI / ERR / DQ are the slow part: one plane, or a stack over the wavelengths of the
 * WAVELENGTH table, interpolated at the pixel. The fore optics have no image, the total
 * flat has no table.
 * Reference: the peer's user documentation, "flatfield", NIRSpec; datamodel
 * NirspecFlatModel. Test: tests/data/test_ref_flat.c
 */
struct ref_flat {
    struct interp fast;       /* value over wavelength in um; n = 0: no table */
    struct interp fast_error; /* its error, the same wavelengths; NaN if not given */
    struct ref_planes sci;    /* n = 0: no image */
    struct ref_planes error;  /* n = 0: none, that is zero; else 1 or sci.n planes */
    struct ref_planes dq;     /* n = 0: none, that is zero; else 1 or sci.n planes */
    float *plane_um; /* wavelengths of sci's planes, if there is more than one */
    size_t x0, y0;   /* the detector pixel (0-based) of the images' first */
    struct dq_translation {
        uint32_t stored, standard;
    } *dq_def; /* from DQ_DEF: what the stored bits mean */
    size_t n_dq_def;
    bool has_dq_def;
};

/* Loaders for reference_types.c (see references.h). */
int ref_fflat_load(const char *path, void **ret, size_t *ret_bytes, struct err *err);
int ref_image_flat_load(const char *path, void **ret, size_t *ret_bytes,
                        struct err *err); /* sflat, dflat */
int ref_total_flat_load(const char *path, void **ret, size_t *ret_bytes,
                        struct err *err); /* flat */
void ref_flat_free(void *object);

/* Does the image cover detector pixels [x, x + nx) x [y, y + ny) (0-based)? */
bool ref_flat_covers(const struct ref_flat *r, size_t x, size_t y, size_t nx,
                     size_t ny);

/* n DQ words of detector row y from column x on, in the standard bits. dq.n > 0. */
int ref_flat_dq(const struct ref_flat *r, size_t plane, size_t x, size_t y, size_t n,
                uint32_t *ret, struct err *err);

#endif
