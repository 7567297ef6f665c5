#include "common/data/exposure_io.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/fits_io.h"
#include "common/data/wcs.h"
#include "common/data/wcs_write.h"

/* ---- reading ---------------------------------------------------------------------- */

/* The HDU of a plane, which must have the size of SCI; -1 if absent. */
static int find_plane(struct fits_in *f, const struct exposure *e, const char *path,
                      const char *extname, bool needed, int *ret_hdu, struct err *err)
{
    int hdu = fits_in_find(f, extname, 0);
    if (hdu < 0) {
        *ret_hdu = -1;
        return needed ? fits_in_need(f, extname, ret_hdu, err) : 0;
    }
    const struct fits_hdu *h = fits_in_hdu(f, hdu);
    if (h->kind != FITS_IMAGE || h->n_axes != 2 || h->axes[0] != (size_t)e->nx ||
        h->axes[1] != (size_t)e->ny) {
        return err_set(err, ERR_INPUT,
                       "%s, HDU %d (%s): expected an image of %d x %d pixels, as SCI",
                       path, hdu, extname, e->nx, e->ny);
    }
    *ret_hdu = hdu;
    return 0;
}

static int read_floats(struct fits_in *f, const struct exposure *e, const char *path,
                       const char *extname, bool needed, float **ret, struct err *err)
{
    int hdu;
    int code = find_plane(f, e, path, extname, needed, &hdu, err);
    return code || hdu < 0 ? code : fits_in_floats(f, hdu, ret, err);
}

/* The slices of n pixels from `first` on: the files hold 32-bit integers. */
static int narrow_regions(const char *path, int hdu, const uint32_t *wide, size_t first,
                          size_t n, uint8_t *ret, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (wide[i] > WCS_SLICES) {
            return err_set(err, ERR_INPUT,
                           "%s, HDU %d (REGIONS): pixel %zu is %u; expected a slice "
                           "0..%d",
                           path, hdu, first + i, wide[i], WCS_SLICES);
        }
        ret[i] = (uint8_t)wide[i];
    }
    return 0;
}

static int read_regions(struct fits_in *f, struct exposure *e, const char *path,
                        struct err *err)
{
    int hdu;
    uint32_t *wide = NULL;
    int code = find_plane(f, e, path, "REGIONS", false, &hdu, err);
    if (code || hdu < 0) {
        return code;
    }
    const size_t n = exposure_pixels(e);
    code = fits_in_uint32s(f, hdu, &wide, err);
    e->regions = code ? NULL : mem_alloc(n, sizeof *e->regions, err);
    if (!code) {
        code = e->regions ? narrow_regions(path, hdu, wide, 0, n, e->regions, err)
                          : ERR_NOMEM;
    }
    free(wide);
    return code;
}

static int read_wavelength(struct fits_in *f, struct exposure *e, const char *path,
                           struct err *err)
{
    int hdu;
    int code = find_plane(f, e, path, "WAVELENGTH", false, &hdu, err);
    return code || hdu < 0 ? code : fits_in_doubles(f, hdu, &e->wavelength, err);
}

static int read_planes(struct fits_in *f, struct exposure *e, const char *path,
                       struct err *err)
{
    const struct {
        const char *extname;
        bool needed;
        float **plane;
    } planes[] = {
        {"SCI", true, &e->sci},
        {"ERR", true, &e->err},
        {"VAR_POISSON", true, &e->var_poisson},
        {"VAR_RNOISE", true, &e->var_rnoise},
        {"VAR_FLAT", false, &e->var_flat},
        {"VAR_BKG", false, &e->var_background},
        {"PATHLOSS_PS", false, &e->pathloss_ps},
        {"PATHLOSS_UN", false, &e->pathloss_un},
    };
    int hdu, code = 0;
    for (size_t i = 0; !code && i < sizeof planes / sizeof *planes; i++) {
        code = read_floats(f, e, path, planes[i].extname, planes[i].needed,
                           planes[i].plane, err);
    }
    code = code ? code : find_plane(f, e, path, "DQ", true, &hdu, err);
    code = code ? code : fits_in_uint32s(f, hdu, &e->dq, err);
    code = code ? code : read_regions(f, e, path, err);
    return code ? code : read_wavelength(f, e, path, err);
}

/* ---- what a cube is made of: piece by piece, by all threads ---- */

enum {
    FLOATS = 6,  /* planes */
    KEPT = 3,    /* the first of them */
    PIECE = 8192 /* pixels: all planes of a piece stay in the cache */
};

struct cube_planes {
    const char *path;
    struct exposure *e;
    /* SCI, ERR, VAR_BKG; then variances, read for their NaNs only */
    struct fits_image floats[FLOATS], dq, regions; /* f is NULL: absent */
    float *kept[KEPT];
};

static int find_image(struct fits_in *f, const struct exposure *e, const char *path,
                      const char *extname, bool needed, struct fits_image *ret,
                      struct err *err)
{
    int hdu;
    int code = find_plane(f, e, path, extname, needed, &hdu, err);
    return code || hdu < 0 ? code : fits_in_image(f, hdu, ret, err);
}

static int read_cube_piece(size_t i, int thread, void *arg, struct err *err)
{
    const struct cube_planes *p = arg;
    const size_t first = i * PIECE, rest = exposure_pixels(p->e) - first;
    const size_t n = rest < PIECE ? rest : PIECE;
    float *planes[FLOATS] = {NULL};
    float variances[FLOATS - KEPT][PIECE];
    uint32_t wide[PIECE];
    int code = 0;
    (void)thread;
    for (int k = 0; k < FLOATS && !code; k++) {
        if (p->floats[k].f) {
            /* cppcheck-suppress legacyUninitvar ; it is filled here */
            planes[k] = k < KEPT ? p->kept[k] + first : variances[k - KEPT];
            code = fits_image_floats(&p->floats[k], first, n, planes[k], err);
        }
    }
    code = code ? code : fits_image_uint32s(&p->dq, first, n, p->e->dq + first, err);
    if (!code && p->regions.f) {
        code = fits_image_uint32s(&p->regions, first, n, wide, err);
        code = code ? code
                    : narrow_regions(p->path, p->regions.hdu, wide, first, n,
                                     p->e->regions + first, err);
    }
    if (!code) {
        exposure_match_nans_of(p->e->dq + first, planes, FLOATS, n);
    }
    return code;
}

static int read_cube_planes(struct fits_in *f, struct exposure *e, const char *path,
                            struct par *par, struct err *err)
{
    static const char *const names[FLOATS] = {"SCI",         "ERR",        "VAR_BKG",
                                              "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT"};
    const size_t n = exposure_pixels(e);
    struct cube_planes p = {.path = path, .e = e};
    int code = 0;
    for (int k = 0; k < FLOATS && !code; k++) {
        code = find_image(f, e, path, names[k], k < 2, &p.floats[k], err);
        if (!code && k < KEPT && p.floats[k].f) {
            p.kept[k] = mem_alloc(n, sizeof *p.kept[k], err);
            code = p.kept[k] ? 0 : ERR_NOMEM;
        }
    }
    e->sci = p.kept[0];
    e->err = p.kept[1];
    e->var_background = p.kept[2];
    code = code ? code : find_image(f, e, path, "DQ", true, &p.dq, err);
    code = code ? code : find_image(f, e, path, "REGIONS", false, &p.regions, err);
    if (!code) {
        e->dq = mem_alloc(n, sizeof *e->dq, err);
        e->regions = p.regions.f ? mem_alloc(n, sizeof *e->regions, err) : NULL;
        code = e->dq && (e->regions || !p.regions.f) ? 0 : ERR_NOMEM;
    }
    return code ? code
                : par_for(par, (n + PIECE - 1) / PIECE, read_cube_piece, &p, NULL, err);
}

static int check_any_finite(const struct exposure *e, const char *path, struct err *err)
{
    const size_t n = exposure_pixels(e);
    for (size_t i = 0; i < n; i++) {
        if (isfinite(e->sci[i])) {
            return 0;
        }
    }
    return err_set(err, ERR_NODATA,
                   "%s, SCI: no pixel of %zu is finite; expected science data", path,
                   n);
}

/* What is wanted of a file: its pixels; those that a cube is made of; its headers, of an exposure that has pixels; or
 * its headers, whether or not there are pixels with them. */
enum want { WANT_PIXELS, WANT_CUBE, WANT_HEADERS, WANT_HEADERS_ALONE };

/* Size of the exposure: that of the image, or what the keywords of a bare header say. */
static int read_size(struct fits_in *f, int sci, const char *path, enum want want,
                     int ret_size[2], struct err *err)
{
    const struct fits_hdu *h = fits_in_hdu(f, sci);
    if (want == WANT_HEADERS_ALONE && h->kind == FITS_IMAGE && h->n_axes == 0) {
        static const char *const keywords[] = {"SUBSIZE1", "SUBSIZE2"};
        struct header primary = {0};
        int code = fits_in_header(f, 0, &primary, err);
        for (int i = 0; i < 2 && !code; i++) {
            long size = 2048;
            header_get_int(&primary, keywords[i], &size);
            if (size < 1 || size > 2048) {
                code = err_set(err, ERR_INPUT, "%s, %s = %ld: expected 1 to 2048", path,
                               keywords[i], size);
            }
            ret_size[i] = (int)size;
        }
        header_done(&primary);
        return code;
    }
    if (h->kind != FITS_IMAGE || h->n_axes != 2 || !h->pixels || h->axes[0] > 2048 ||
        h->axes[1] > 2048) {
        return err_set(err, ERR_INPUT,
                       "%s, HDU %d (SCI): expected an image of at most 2048 x 2048 "
                       "pixels",
                       path, sci);
    }
    ret_size[0] = (int)h->axes[0];
    ret_size[1] = (int)h->axes[1];
    return 0;
}

/* What jobs read of it must be images as they are. */
static int refuse_compressed(const struct fits_in *f, const char *path, struct err *err)
{
    for (int i = 0; i < fits_in_count(f); i++) {
        const struct fits_hdu *h = fits_in_hdu(f, i);
        if (h->is_compressed) {
            return err_set(err, ERR_INPUT,
                           "%s, HDU %d (%s): a tile-compressed image; expected plain "
                           "images: unpack the file first (funpack)",
                           path, i, h->extname);
        }
    }
    return 0;
}

static int read_open(struct fits_in *f, const char *path, enum want want,
                     struct par *par, struct exposure **ret, struct err *err)
{
    struct exposure *e = NULL;
    int sci, size[2] = {0, 0};
    int code = refuse_compressed(f, path, err);
    code = code ? code : fits_in_need(f, "SCI", &sci, err);
    code = code ? code : read_size(f, sci, path, want, size, err);
    if (code) {
        goto out;
    }
    e = exposure_new(size[0], size[1], err);
    code = e ? 0 : ERR_NOMEM;
    code = code ? code : fits_in_header(f, 0, &e->primary, err);
    code = code ? code : fits_in_header(f, sci, &e->science, err);
    code = code ? code : exposure_read_meta(e, path_base(path), err);
    if (!code) {
        e->has_asdf = fits_in_find(f, "ASDF", 0) >= 0;
    }
    if (want == WANT_PIXELS || want == WANT_CUBE) {
        code = code                  ? code
               : want == WANT_PIXELS ? read_planes(f, e, path, err)
                                     : read_cube_planes(f, e, path, par, err);
        code = code ? code : check_any_finite(e, path, err);
    }
out:
    if (code) {
        exposure_free(e);
        return code;
    }
    *ret = e;
    return 0;
}

static int read_file(const char *path, enum want want, struct par *par,
                     struct exposure **ret, struct err *err)
{
    struct fits_in *f = NULL;
    bool pixels = want == WANT_PIXELS || want == WANT_CUBE;
    int code = pixels ? fits_in_open(path, ERR_INPUT, &f, err)
                      : fits_in_open_headers(path, ERR_INPUT, &f, err);
    code = code ? code : read_open(f, path, want, par, ret, err);
    fits_in_close(f);
    return code;
}

int exposure_read(const char *path, struct exposure **ret, struct err *err)
{
    return read_file(path, WANT_PIXELS, NULL, ret, err);
}

int exposure_read_for_cube(const char *path, struct par *par, struct exposure **ret,
                           struct err *err)
{
    return read_file(path, WANT_CUBE, par, ret, err);
}

int exposure_read_headers(const char *path, struct exposure **ret, struct err *err)
{
    return read_file(path, WANT_HEADERS, NULL, ret, err);
}

int exposure_headers_of(struct fits_in *f, const char *path, struct exposure **ret,
                        struct err *err)
{
    return read_open(f, path, WANT_HEADERS, NULL, ret, err);
}

int exposure_read_headers_alone(const char *path, struct exposure **ret,
                                struct err *err)
{
    return read_file(path, WANT_HEADERS_ALONE, NULL, ret, err);
}

/* ---- writing ---------------------------------------------------------------------- */

/* The files hold slices as 32-bit integers. */
static int write_regions(struct fits_out *f, const struct exposure *e,
                         const size_t axes[2], struct err *err)
{
    const size_t n = exposure_pixels(e);
    int32_t *wide = mem_alloc(n, sizeof *wide, err);
    if (!wide) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        wide[i] = e->regions[i];
    }
    int code = fits_out_image(f, "REGIONS", NULL, FITS_INT32, 2, axes, wide, err);
    free(wide);
    return code;
}

/* Why outlier_detection rejected pixels, 0 where it did not. */
static int write_reason(struct fits_out *f, const struct exposure *e,
                        const size_t axes[2], struct err *err)
{
    static const char *const names[OUTLIER_REASONS] = {
        "kept",
        "unlike its neighbours in all exposures",
        "no difference to a neighbour",
        "above what other exposures allow",
        "below what other exposures allow",
        "above the trace, no other exposure",
        "below the trace, no other exposure",
        "beside a rejected pixel",
    };
    struct header h = {0};
    int code = 0;
    for (int r = 0; r < OUTLIER_REASONS && !code; r++) {
        char keyword[24];
        snprintf(keyword, sizeof keyword, "REASON%d", r);
        code = header_set_string(&h, keyword, names[r], "", err);
    }
    code = code ? code
                : fits_out_image(f, "REASON", &h, FITS_UINT8, 2, axes,
                                 e->outlier_reason, err);
    header_done(&h);
    return code;
}

/* The files hold wavelengths as floats. */
static int write_wavelength(struct fits_out *f, const struct exposure *e,
                            const size_t axes[2], struct err *err)
{
    const size_t n = exposure_pixels(e);
    float *narrow = mem_alloc(n, sizeof *narrow, err);
    if (!narrow) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        narrow[i] = (float)e->wavelength[i];
    }
    int code = fits_out_image(f, "WAVELENGTH", NULL, FITS_FLOAT, 2, axes, narrow, err);
    free(narrow);
    return code;
}

static int write_float(struct fits_out *f, const char *extname, const struct header *h,
                       const size_t axes[2], const float *plane, struct err *err)
{
    return plane ? fits_out_image(f, extname, h, FITS_FLOAT, 2, axes, plane, err) : 0;
}

static int write_planes(struct fits_out *f, const struct exposure *e,
                        const struct header *science, const struct header *unit,
                        struct err *err)
{
    const size_t axes[2] = {(size_t)e->nx, (size_t)e->ny};
    int code = write_float(f, "SCI", science, axes, e->sci, err);
    code = code ? code : write_float(f, "ERR", unit, axes, e->err, err);
    if (!code && e->dq) {
        code = fits_out_image(f, "DQ", NULL, FITS_UINT32, 2, axes, e->dq, err);
    }
    if (!code && e->regions) {
        code = write_regions(f, e, axes, err);
    }
    code = code ? code : write_float(f, "VAR_POISSON", NULL, axes, e->var_poisson, err);
    code = code ? code : write_float(f, "VAR_RNOISE", NULL, axes, e->var_rnoise, err);
    code = code ? code : write_float(f, "VAR_FLAT", NULL, axes, e->var_flat, err);
    code = code ? code : write_float(f, "VAR_BKG", NULL, axes, e->var_background, err);
    if (!code && e->wavelength) {
        code = write_wavelength(f, e, axes, err);
    }
    code = code ? code : write_float(f, "PATHLOSS_PS", NULL, axes, e->pathloss_ps, err);
    code = code ? code : write_float(f, "PATHLOSS_UN", NULL, axes, e->pathloss_un, err);
    return !code && e->outlier_reason ? write_reason(f, e, axes, err) : code;
}

int exposure_write(const struct exposure *e, const char *path, const char *filename,
                   const struct provenance *provenance, struct err *err)
{
    struct header primary = {0}, science = {0}, unit = {0};
    struct fits_out *f = NULL;
    static const char says[] = "physical units of the array values";
    int code = header_copy(&primary, &e->primary, err);
    code = code ? code : header_copy(&science, &e->science, err);
    code = code ? code
                : provenance_to_header(provenance, filename, "IFUImageModel", &primary,
                                       err);
    if (!code && e->meta.bunit[0]) {
        code = header_set_string(&science, "BUNIT", e->meta.bunit, says, err);
        code =
            code ? code : header_set_string(&unit, "BUNIT", e->meta.bunit, says, err);
    }
    code = code ? code : fits_out_create(path, &f, err);
    code = code ? code : fits_out_primary(f, &primary, err);
    code = code ? code : write_planes(f, e, &science, &unit, err);
    code = code ? code : provenance_write(provenance, f, err);
    code = code ? code : wcs_write(e, f, err);
    header_done(&primary);
    header_done(&science);
    header_done(&unit);
    if (code) {
        fits_out_discard(f);
        return code;
    }
    return fits_out_close(f, err);
}
