#include "common/data/cube_io.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/cube_covariance.h"
#include "common/data/cube_file.h"
#include "common/data/fits_io.h"
#include "common/data/product_asdf.h"

#define MAX_SIDE 100000 /* spaxels or planes: more is no cube of ours */

static const char unit_says[] = "physical units of the array values";

/* ---- writing ---------------------------------------------------------------------- */

/* Are the planes where crval3 and cdelt3 say (to a thousandth of a step)? */
static bool is_linear(const struct cube *c)
{
    for (int k = 0; k < c->nw; k++) {
        double at = c->crval3 + (k + 1 - c->crpix3) * c->cdelt3;
        if (!(fabs(c->wavelength[k] - at) <= 1e-3 * fabs(c->cdelt3))) {
            return false;
        }
    }
    return true;
}

/* The box in RA and Dec round the centres of the outer spaxels. */
static void footprint(const struct cube *c, char *ret, size_t size)
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int j = 0; j < c->ny; j++) {
        for (int i = 0; i < c->nx;
             i += j == 0 || j == c->ny - 1 || c->nx == 1 ? 1 : c->nx - 1) {
            double sky[2];
            cube_spaxel_to_sky(c, i, j, &sky[0], &sky[1]);
            /* keep to one side of RA 0 */
            sky[0] -= 360 * round((sky[0] - c->crval1) / 360);
            for (int d = 0; d < 2; d++) {
                low[d] = fmin(low[d], sky[d]);
                high[d] = fmax(high[d], sky[d]);
            }
        }
    }
    double west = low[0] < 0 ? low[0] + 360 : low[0];
    double east = high[0] >= 360 ? high[0] - 360
                  : high[0] < 0  ? high[0] + 360
                                 : high[0];
    snprintf(ret, size, "POLYGON ICRS  %.9f %.9f %.9f %.9f %.9f %.9f %.9f %.9f", west,
             low[1], west, high[1], east, high[1], east, low[1]);
}

struct real_key {
    const char *keyword;
    double value;
    const char *comment;
};

struct text_key {
    const char *keyword, *value, *comment;
};

static int set_reals(struct header *h, const struct real_key *keys, size_t n,
                     struct err *err)
{
    int code = 0;
    for (size_t i = 0; !code && i < n; i++) {
        code = header_set_real(h, keys[i].keyword, keys[i].value, keys[i].comment, err);
    }
    return code;
}

static int set_texts(struct header *h, const struct text_key *keys, size_t n,
                     struct err *err)
{
    int code = 0;
    for (size_t i = 0; !code && i < n; i++) {
        code =
            header_set_string(h, keys[i].keyword, keys[i].value, keys[i].comment, err);
    }
    return code;
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Frame and footprint; the slicer is not on the sky. */
static int put_sky(const struct cube *c, struct header *h, struct err *err)
{
    char region[256];
    if (c->slicer) {
        header_remove(h, "RADESYS");
        header_remove(h, "S_REGION");
        return 0;
    }
    footprint(c, region, sizeof region);
    const struct text_key texts[] = {
        {"RADESYS", "ICRS", "Coordinate reference frame"},
        {"S_REGION", region, "Spatial footprint of the observation"}};
    return set_texts(h, texts, COUNT(texts), err);
}

/*
 * What the cube says itself in the header of its SCI extension: WCS, BUNIT, S_REGION,
 * PIXAR_SR and PIXAR_A2 (of a spaxel); the pointing keywords of a single exposure go.
 */
static int put_wcs(const struct cube *c, struct header *h, struct err *err)
{
    static const char *const of_exposure[] = {"V2_REF",   "V3_REF", "VPARITY",
                                              "V3I_YANG", "RA_REF", "DEC_REF",
                                              "ROLL_REF", "CDELT3"};
    const bool linear = is_linear(c);
    const double per_sr = pow(180 / M_PI * 3600, 2); /* square arcsec */
    const double arcsec2 =
        c->slicer ? c->spaxel_sr * per_sr : c->cdelt1 * c->cdelt2 * 3600 * 3600;
    const struct real_key area[] = {
        {"PIXAR_SR", cube_spaxel_sr(c), "Nominal pixel area in steradians"},
        {"PIXAR_A2", arcsec2, "Nominal pixel area in arcsec^2"}};
    const struct real_key reals[] = {
        {"CRPIX1", c->crpix1, "Axis 1 pixel coordinate of ref point, 1-indexed"},
        {"CRPIX2", c->crpix2, "Axis 2 pixel coordinate of ref point, 1-indexed"},
        {"CRPIX3", linear ? c->crpix3 : 1,
         "Axis 3 pixel coordinate of ref point, 1-indexed"},
        {"CRVAL1", c->crval1, "Axis 1 coordinate value at reference point"},
        {"CRVAL2", c->crval2, "Axis 2 coordinate value at reference point"},
        {"CRVAL3", linear ? c->crval3 : 1,
         "Axis 3 coordinate value at reference point"},
        {"CDELT1", c->cdelt1, "Axis 1 coordinate increment at reference point"},
        {"CDELT2", c->cdelt2, "Axis 2 coordinate increment at reference point"},
        {"PC1_1", c->pc[0][0], "Linear transformation matrix element"},
        {"PC1_2", c->pc[0][1], "Linear transformation matrix element"},
        {"PC1_3", 0, "Linear transformation matrix element"},
        {"PC2_1", c->pc[1][0], "Linear transformation matrix element"},
        {"PC2_2", c->pc[1][1], "Linear transformation matrix element"},
        {"PC2_3", 0, "Linear transformation matrix element"},
        {"PC3_1", 0, "Linear transformation matrix element"},
        {"PC3_2", 0, "Linear transformation matrix element"},
        {"PC3_3", 1, "Linear transformation matrix element"}};
    const struct text_key texts[] = {
        {"CTYPE1", c->slicer ? "NRSSLICERX" : "RA---TAN", "Axis 1 type"},
        {"CTYPE2", c->slicer ? "NRSSLICERY" : "DEC--TAN", "Axis 2 type"},
        {"CTYPE3", linear ? "WAVE" : "WAVE-TAB", "Axis 3 type"},
        {"CUNIT1", c->slicer ? "meter" : "deg", "Axis 1 units"},
        {"CUNIT2", c->slicer ? "meter" : "deg", "Axis 2 units"},
        {"CUNIT3", "um", "Axis 3 units"}};
    const struct text_key table[] = {
        {"PS3_0", "WCS-TABLE", "Extension of the wavelengths"},
        {"PS3_1", "wavelength", "Column of the wavelengths"}};
    for (size_t i = 0; i < COUNT(of_exposure); i++) {
        header_remove(h, of_exposure[i]);
    }
    int code = header_set_string(h, "BUNIT", "MJy/sr", unit_says, err);
    code = code ? code : set_reals(h, area, COUNT(area), err);
    code = code ? code
                : header_set_int(h, "WCSAXES", 3,
                                 "number of World Coordinate System axes", err);
    code = code ? code : set_reals(h, reals, COUNT(reals), err);
    if (!code && linear) {
        code = header_set_real(h, "CDELT3", c->cdelt3,
                               "Axis 3 coordinate increment at reference point", err);
    }
    code = code ? code : set_texts(h, texts, COUNT(texts), err);
    code = code ? code : put_sky(c, h, err);
    return code || linear ? code : set_texts(h, table, COUNT(table), err);
}

static int set_primary(const struct cube *c, struct header *h, struct err *err)
{
    const struct text_key texts[] = {
        {"FLUXEXT", "SCI", "EXTNAME of the extension containing flux data"},
        {"ERREXT", "ERR", "EXTNAME of the extension containing error data"},
        {"MASKEXT", "DQ", "EXTNAME of the extension with data quality"},
        {"WTYPE", c->weighting[0] ? c->weighting : "drizzle", "Weighting type"}};
    int code = set_texts(h, texts, COUNT(texts), err);
    code = code ? code
                : header_set_real(h, "ROIS", c->rois_arcsec,
                                  "[arcsec] Size of ROI in spatial dimension", err);
    code = code ? code
                : header_set_real(h, "ROIW", c->roiw_um,
                                  "[um] Size of ROI in wavelength dimension", err);
    return code ? code
                : header_set_real(h, "WPOWER", c->weight_power, "Weighting power", err);
}

/* The wavelength of every plane as floats in one cell, as the peer has it. */
static int write_wavelengths(struct fits_out *f, const struct cube *c, struct err *err)
{
    char dim[40];
    const size_t n = (size_t)c->nw;
    float *narrow = mem_alloc(n, sizeof *narrow, err);
    if (!narrow) {
        return ERR_NOMEM;
    }
    for (size_t k = 0; k < n; k++) {
        narrow[k] = (float)c->wavelength[k];
    }
    snprintf(dim, sizeof dim, "(1,%zu)", n);
    const struct fits_column column = {.name = "wavelength",
                                       .unit = "um",
                                       .type = FITS_FLOAT,
                                       .repeat = n,
                                       .dim = dim,
                                       .data = narrow};
    int code = fits_out_table(f, "WCS-TABLE", NULL, 1, &column, 1, err);
    free(narrow);
    return code;
}

/* One extension, some planes at a time. */
static int write_extension(struct fits_out *f, const struct cube *c,
                           const char *extname, const struct header *h,
                           enum fits_type type, const void *values, struct err *err)
{
    enum { PLANES = 64, VALUE = 4 };
    const size_t axes[3] = {(size_t)c->nx, (size_t)c->ny, (size_t)c->nw};
    const size_t plane = axes[0] * axes[1];
    int code = fits_out_image_begin(f, extname, h, type, 3, axes, err);
    for (int k = 0; k < c->nw && !code; k += PLANES) {
        const int end = k + PLANES < c->nw ? k + PLANES : c->nw;
        code = fits_out_image_values(f, type, (size_t)(end - k) * plane,
                                     (const char *)values + (size_t)k * plane * VALUE,
                                     err);
        cube_rest(c, k, end);
    }
    return code ? code : fits_out_image_end(f, err);
}

static int write_planes(struct fits_out *f, const struct cube *c,
                        const struct header *science, struct err *err)
{
    struct header unit = {0};
    int code = header_set_string(&unit, "BUNIT", "MJy/sr", unit_says, err);
    code = code ? code
                : header_set_string(&unit, "ERRTYPE", "ERR",
                                    "Type of errors stored here", err);
    const struct {
        const char *name;
        const struct header *header;
        enum fits_type type;
        const void *values;
    } extensions[] = {{"SCI", science, FITS_FLOAT, c->sci},
                      {"ERR", &unit, FITS_FLOAT, c->err},
                      {"DQ", NULL, FITS_UINT32, c->dq},
                      {"WMAP", NULL, FITS_FLOAT, c->wmap},
                      {"VAR_BKG", NULL, FITS_FLOAT, c->var_background}};
    for (size_t i = 0; i < COUNT(extensions) && !code; i++) {
        if (extensions[i].values) {
            code = write_extension(f, c, extensions[i].name, extensions[i].header,
                                   extensions[i].type, extensions[i].values, err);
        }
    }
    header_done(&unit);
    code = code ? code : write_wavelengths(f, c, err);
    return code || !c->covariance ? code : cube_covariance_write(c->covariance, f, err);
}

int cube_write(const struct cube *c, const char *path, const char *filename,
               const struct provenance *provenance, struct err *err)
{
    struct header primary = {0}, science = {0};
    struct fits_out *f = NULL;
    int code = header_copy(&primary, &c->primary, err);
    code = code ? code : header_copy(&science, &c->science, err);
    code = code ? code
                : provenance_to_header(provenance, filename, "IFUCubeModel", &primary,
                                       err);
    code = code ? code : set_primary(c, &primary, err);
    code = code ? code : put_wcs(c, &science, err);
    code = code ? code : fits_out_create(path, &f, err);
    code = code ? code : fits_out_primary(f, &primary, err);
    code = code ? code : write_planes(f, c, &science, err);
    code = code ? code : product_asdf_cube(c, is_linear(c), f, err);
    code = code ? code : provenance_write(provenance, f, err);
    header_done(&primary);
    header_done(&science);
    if (code) {
        fits_out_discard(f);
        return code;
    }
    return fits_out_close(f, err);
}

/* ---- reading ---------------------------------------------------------------------- */

static int need_real(const struct cube *c, const char *path, const char *keyword,
                     double *ret, struct err *err)
{
    return header_get_real(&c->science, keyword, ret)
               ? 0
               : err_set(err, ERR_INPUT, "%s, SCI: %s is missing; expected a number",
                         path, keyword);
}

/* The wavelength of every plane, from the table or from the linear keywords. */
static int read_wavelengths(struct fits_in *f, struct cube *c, const char *path,
                            struct err *err)
{
    const char *type = "";
    double *table = NULL;
    size_t repeat = 0;
    int hdu;
    header_get_string(&c->science, "CTYPE3", &type);
    if (strcmp(type, "WAVE-TAB")) {
        int code = need_real(c, path, "CRPIX3", &c->crpix3, err);
        code = code ? code : need_real(c, path, "CRVAL3", &c->crval3, err);
        code = code ? code : need_real(c, path, "CDELT3", &c->cdelt3, err);
        for (int k = 0; !code && k < c->nw; k++) {
            c->wavelength[k] = c->crval3 + (k + 1 - c->crpix3) * c->cdelt3;
        }
        return code;
    }
    int code = fits_in_need(f, "WCS-TABLE", &hdu, err);
    code = code ? code
                : fits_in_column_doubles(f, hdu, "wavelength", &table, &repeat, err);
    if (!code && fits_in_hdu(f, hdu)->rows * repeat != (size_t)c->nw) {
        code =
            err_set(err, ERR_INPUT,
                    "%s, WCS-TABLE: expected %d wavelengths, one a plane", path, c->nw);
    }
    if (!code) {
        memcpy(c->wavelength, table, (size_t)c->nw * sizeof *table);
        c->crpix3 = 1;
        c->crval3 = table[0];
        c->cdelt3 = c->nw > 1 ? (table[c->nw - 1] - table[0]) / (c->nw - 1) : 0;
    }
    free(table);
    return code;
}

static int read_wcs(struct fits_in *f, struct cube *c, const char *path,
                    struct err *err)
{
    const struct {
        const char *keyword;
        double *at;
    } reals[] = {{"CRPIX1", &c->crpix1},  {"CRPIX2", &c->crpix2},
                 {"CRVAL1", &c->crval1},  {"CRVAL2", &c->crval2},
                 {"CDELT1", &c->cdelt1},  {"CDELT2", &c->cdelt2},
                 {"PC1_1", &c->pc[0][0]}, {"PC1_2", &c->pc[0][1]},
                 {"PC2_1", &c->pc[1][0]}, {"PC2_2", &c->pc[1][1]}};
    int code = 0;
    for (size_t i = 0; !code && i < COUNT(reals); i++) {
        code = need_real(c, path, reals[i].keyword, reals[i].at, err);
    }
    const char *weighting = "", *type = "";
    header_get_string(&c->science, "CTYPE1", &type);
    c->slicer = !strcmp(type, "NRSSLICERX");
    if (!code && c->slicer) {
        code = need_real(c, path, "PIXAR_SR", &c->spaxel_sr, err);
    }
    header_get_string(&c->primary, "WTYPE", &weighting);
    snprintf(c->weighting, sizeof c->weighting, "%s", weighting);
    header_get_real(&c->primary, "ROIS", &c->rois_arcsec);
    header_get_real(&c->primary, "ROIW", &c->roiw_um);
    header_get_real(&c->primary, "WPOWER", &c->weight_power);
    return code ? code : read_wavelengths(f, c, path, err);
}

/* Replace the empty planes by those of the file. */
static int read_planes(struct fits_in *f, struct cube *c, const char *path,
                       struct err *err)
{
    const struct {
        const char *extname;
        float **plane;
    } floats[] = {{"SCI", &c->sci}, {"ERR", &c->err}, {"WMAP", &c->wmap}};
    const size_t pixels = (size_t)c->nx * (size_t)c->ny * (size_t)c->nw;
    int hdu, code = 0;
    for (size_t i = 0; !code && i <= COUNT(floats); i++) {
        const char *extname = i < COUNT(floats) ? floats[i].extname : "DQ";
        code = fits_in_need(f, extname, &hdu, err);
        if (!code && fits_in_hdu(f, hdu)->pixels != pixels) {
            code = err_set(err, ERR_INPUT, "%s, HDU %d (%s): expected the size of SCI",
                           path, hdu, extname);
        }
        if (code) {
            break;
        }
        if (i < COUNT(floats)) {
            free(*floats[i].plane);
            *floats[i].plane = NULL;
            code = fits_in_floats(f, hdu, floats[i].plane, err);
        } else {
            free(c->dq);
            c->dq = NULL;
            code = fits_in_uint32s(f, hdu, &c->dq, err);
        }
    }
    return code;
}

int cube_read(const char *path, struct cube **ret, struct err *err)
{
    struct fits_in *f = NULL;
    struct cube *c = NULL;
    int hdu;
    int code = fits_in_open(path, ERR_INPUT, &f, err);
    code = code ? code : fits_in_need(f, "SCI", &hdu, err);
    if (code) {
        goto out;
    }
    const struct fits_hdu *h = fits_in_hdu(f, hdu);
    if (h->kind != FITS_IMAGE || h->n_axes != 3 || !h->pixels ||
        h->axes[0] > MAX_SIDE || h->axes[1] > MAX_SIDE || h->axes[2] > MAX_SIDE) {
        code = err_set(err, ERR_INPUT,
                       "%s, HDU %d (SCI): expected a cube of three axes", path, hdu);
        goto out;
    }
    c = cube_new((int)h->axes[0], (int)h->axes[1], (int)h->axes[2], err);
    code = c ? 0 : ERR_NOMEM;
    code = code ? code : fits_in_header(f, 0, &c->primary, err);
    code = code ? code : fits_in_header(f, hdu, &c->science, err);
    code = code ? code : read_wcs(f, c, path, err);
    code = code ? code : read_planes(f, c, path, err);
    code = code ? code : cube_covariance_read(f, path, &c->covariance, err);
    if (!code) {
        snprintf(c->filename, sizeof c->filename, "%s", path_base(path));
        exposure_glean_meta(&c->primary, &c->science, c->filename, &c->meta);
        c->n_exposures = 1;
    }
out:
    fits_in_close(f);
    if (code) {
        cube_free(c);
        return code;
    }
    *ret = c;
    return 0;
}
