/*
 * assign_wcs: what every pixel looks at.
 *
 * Needs:      the headers of a rate exposure
 * Makes:      e->wcs; e->regions (slice of each pixel) and e->wavelength; in the SCI
 *             header S_REGION, WAVSTART, WAVEND, DISPAXIS, SPORDER and SPECSYS
 * Algorithm:  the parametric model of the instrument, plane by plane from detector to
 *             sky (common/data/wcs_build.h).
 * Reference:  Dorner et al. 2016, A&A 592, A113 (the model); Giardino et al. 2019
 *             (its use in the pipeline).
 */
#include "stages/assign_wcs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/wcs_build.h"

enum { type_count = 11 };

static int load_references(const struct stage_env *env,
                           const struct exposure_meta *meta,
                           struct reference *held[type_count],
                           struct wcs_references *refs, struct err *err)
{
    for (size_t i = 0; i < type_count; i++) {
        const void *object;
        int code =
            stage_reference(env, meta, wcs_reference_types[i], &held[i], &object, err);
        if (code) {
            return code;
        }
        wcs_references_set(refs, i, object);
    }
    return 0;
}

int assign_wcs_exposure(const struct stage_env *env, struct exposure *e,
                        const double y_slit[2], bool planes, struct err *err)
{
    static const double whole_slit[2] = {-0.55, 0.55};
    struct reference *held[type_count] = {NULL};
    struct wcs_references refs;
    struct wcs *w = NULL;
    uint8_t *regions = NULL;
    double *wavelength = NULL;
    int code = load_references(env, &e->meta, held, &refs, err);
    if (!code && planes) {
        regions = mem_alloc(exposure_pixels(e), sizeof *regions, err);
        wavelength = mem_alloc(exposure_pixels(e), sizeof *wavelength, err);
        code = regions && wavelength ? 0 : ERR_NOMEM;
    }
    if (!code) {
        code = wcs_build(&e->meta, e->nx, e->ny, &refs, y_slit ? y_slit : whole_slit,
                         env->par, env->cancel, &w, regions, wavelength, err);
    }
    for (size_t i = 0; i < type_count; i++) {
        reference_release(held[i]);
    }
    if (code) {
        free(regions);
        free(wavelength);
        return code;
    }
    wcs_release(e->wcs);
    e->wcs = w;
    e->wavelength_corrected = e->meta.has_velosys;
    if (planes) {
        free(e->regions);
        free(e->wavelength);
        e->regions = regions;
        e->wavelength = wavelength;
    }
    return 0;
}

/* The double nearest to so many micrometres in metres, as the reference file has it. */
static double metres(double um)
{
    char text[40];
    snprintf(text, sizeof text, "%.14ge-6", um);
    return strtod(text, NULL);
}

static int write_keywords(struct exposure *e, struct err *err)
{
    struct header *h = &e->science;
    char region[256];
    double low, high;
    int order;
    wcs_wavelength_range(e->wcs, &low, &high, &order);
    int code = 0;
    if (wcs_s_region(e->wcs, region, sizeof region) == 0) {
        code = header_set_string(h, "S_REGION", region,
                                 "Spatial footprint of the observation", err);
    }
    if (!code) {
        code = header_set_real(h, "WAVSTART", metres(low),
                               "Lower bound of the default wavelength range", err);
    }
    if (!code) {
        code = header_set_real(h, "WAVEND", metres(high),
                               "Upper bound of the default wavelength range", err);
    }
    if (!code) {
        code = header_set_int(h, "DISPAXIS", 1, "Dispersion direction", err);
    }
    if (!code) {
        code = header_set_int(h, "SPORDER", order, "Spectral order number", err);
    }
    if (!code) {
        code = header_set_string(h, "SPECSYS", "BARYCENT", "Spectral reference frame",
                                 err);
    }
    return code;
}

static const struct param params_table_assign_wcs[] = {
    {"slit_y_low", PARAM_REAL, "-0.55", -10.0, 10.0, NULL, "",
     "lower end of a slice, in slice lengths from its centre", false},
    {"slit_y_high", PARAM_REAL, "0.55", -10.0, 10.0, NULL, "",
     "upper end of a slice, in slice lengths from its centre", false},
    {"wcs_source", PARAM_STRING, "auto", 0, 0, "auto|references|file", "",
     "spec3: build the WCS from references, or take the one in the exposure's file; "
     "auto: "
     "of exposures calibrated by this program from references where there are all, "
     "else "
     "from the file",
     false},
};

static int one_exposure(const struct stage_env *env, const struct params *params,
                        struct exposure *e, struct err *err)
{
    const double y_slit[2] = {params_real(params, "slit_y_low"),
                              params_real(params, "slit_y_high")};
    if (!strcmp(params_string(params, "wcs_source"), "file")) {
        return err_set(err, ERR_PARAM,
                       "wcs_source = file: the WCS of an exposure that is not "
                       "calibrated yet comes from references");
    }
    int code = assign_wcs_exposure(env, e, y_slit, true, err);
    if (!code) {
        code = write_keywords(e, err);
    }
    if (!code && !e->meta.has_velosys) {
        stage_warn(env, "%s: VELOSYS is missing; wavelengths are not barycentric",
                   e->meta.filename);
    }
    return code;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    return stage_each_exposure(env, params, data, one_exposure, err);
}

static const char *const reference_types_assign_wcs[] = {
    "camera",          "collimator", "fore",      "ifufore", "ote",
    "chromcorr",       "fpa",        "disperser", "ifupost", "ifuslicer",
    "wavelengthrange", NULL};

const struct stage stage_assign_wcs = {
    .name = "assign_wcs",
    .status_keyword = "S_WCS",
    .suffix = "assign_wcs",
    .summary = "assign slice, sky position and wavelength to every pixel",
    .reference_types = reference_types_assign_wcs,
    .params = params_table_assign_wcs,
    .n_params = sizeof params_table_assign_wcs / sizeof params_table_assign_wcs[0],
    .run = run,
};
