#include "cli/sim/simulate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/sim/sim_header.h"
#include "common/base/mem.h"
#include "common/base/publish.h"
#include "common/data/exposure_io.h"
#include "common/data/fits_io.h"
#include "common/data/wcs.h"
#include "stages/stage.h"

#define N ((size_t)SIM_FRAME * SIM_FRAME)
#define ACROSS 7             /* samples of the scene over the width of a slice */
#define ALONG 5              /* and over the height of a pixel */
#define SLICE_WIDTH_M 0.8e-3 /* of the idealised slicer, as of the real one */
#define SLICE_HALF_LENGTH_M 6e-3
#define APERTURE_ARCSEC 0.45 /* of the enclosed flux in the truth */

/*
 * MJy/sr per DN/s of every pixel: what the calibration stages make of an image of ones.
 * Leaves the WCS, the slice map and the wavelengths in `e`.
 */
static int calibration_factor(struct references *refs, struct par *par,
                              struct exposure *e, struct err *err)
{
    static const struct stage *const chain[] = {&stage_assign_wcs, &stage_srctype,
                                                &stage_flat_field, &stage_pathloss,
                                                &stage_photom};
    for (size_t i = 0; i < N; i++) {
        e->sci[i] = 1;
    }
    struct dataset data = {.exposures = &e, .n_exposures = 1};
    int code = 0;
    for (size_t s = 0; s < sizeof chain / sizeof *chain && !code; s++) {
        struct stage_env env = {
            .par = par, .refs = refs, .recipe = "spec2", .stage_name = chain[s]->name};
        struct params *params = NULL;
        code = params_new(chain[s]->params, chain[s]->n_params, &params, err);
        if (!code) {
            code = chain[s]->run(&env, params, &data, err);
        }
        params_free(params);
    }
    return code;
}

struct light {
    const struct simulation *sim;
    const struct exposure *e;
    float *signal;
    double cos_dec;
};

/* Offset from the field's centre, arcsec east and north (a field of seconds of arc). */
static void offset(const struct light *l, double ra, double dec, double *east,
                   double *north)
{
    *east = (ra - l->sim->ra) * l->cos_dec * 3600;
    *north = (dec - l->sim->dec) * 3600;
}

/* Mean surface brightness (MJy/sr) over a parallelogram: centre c, half axes a and b. */
static double mean_brightness(const struct scene *scene, const double c[2],
                              const double a[2], const double b[2], double um,
                              double width_um)
{
    double flux = scene_source_mjy(scene, um, width_um), psf = 0, extended = 0;
    for (int i = 0; i < ACROSS; i++) {
        for (int j = 0; j < ALONG; j++) {
            double u = (2 * i + 1.0) / ACROSS - 1, v = (2 * j + 1.0) / ALONG - 1;
            double east = c[0] + u * a[0] + v * b[0],
                   north = c[1] + u * a[1] + v * b[1];
            psf +=
                scene_psf(east - scene->source_east, north - scene->source_north, um);
        }
    }
    /* the disc and the sky change slowly: three points across are enough */
    for (int i = -1; i <= 1; i++) {
        double u = i * 0.7745966692414834, w = i ? 5.0 / 18 : 8.0 / 18;
        extended += w * scene_extended_mjysr(scene, c[0] + u * a[0], c[1] + u * a[1],
                                             um, width_um);
    }
    return flux * psf / (ACROSS * ALONG) * SCENE_MJYSR_PER_MJY_ARCSEC2 + extended;
}

/* The light on one row of one slice. */
static void light_of_row(const struct light *l, int slice, int y, int x0, int x1)
{
    enum { MOST = SIM_FRAME };
    double x[MOST] = {0}, row[MOST] = {0}, across[MOST], along[MOST], lam[MOST],
           edge[MOST], ignore[MOST], lam_lo[MOST], lam_hi[MOST], up[MOST], down[MOST];
    double ra[3][MOST], dec[3][MOST], um[MOST];
    if (x1 < x0 || x1 - x0 >= MOST) {
        return;
    }
    size_t n = (size_t)(x1 - x0 + 1);
    const struct wcs *w = l->e->wcs;
    for (size_t i = 0; i < n; i++) {
        x[i] = x0 + (double)i;
        row[i] = y;
    }
    wcs_detector_to_slicer(w, slice, n, x, row, across, along, lam);
    for (size_t i = 0; i < n; i++) {
        x[i] -= 0.5;
    }
    wcs_detector_to_slicer(w, slice, n, x, row, ignore, ignore, lam_lo);
    for (size_t i = 0; i < n; i++) {
        x[i] += 1;
    }
    wcs_detector_to_slicer(w, slice, n, x, row, ignore, ignore, lam_hi);
    for (size_t i = 0; i < n; i++) {
        x[i] -= 0.5;
        row[i] = y + 0.25;
    }
    wcs_detector_to_slicer(w, slice, n, x, row, ignore, up, ignore);
    for (size_t i = 0; i < n; i++) {
        row[i] = y - 0.25;
    }
    wcs_detector_to_slicer(w, slice, n, x, row, ignore, down, ignore);
    for (size_t i = 0; i < n; i++) {
        up[i] -=
            down[i]; /* half a pixel's height on the slicer; NaN at the very ends */
    }
    wcs_slicer_to_sky(w, n, across, along, lam, ra[0], dec[0], um);
    for (size_t i = 0; i < n; i++) {
        edge[i] = across[i] + SLICE_WIDTH_M / 2;
        down[i] = along[i] + up[i];
    }
    wcs_slicer_to_sky(w, n, edge, along, lam, ra[1], dec[1], ignore);
    wcs_slicer_to_sky(w, n, across, down, lam, ra[2], dec[2], ignore);
    for (size_t i = 0; i < n; i++) {
        size_t p = (size_t)y * SIM_FRAME + (size_t)x0 + i;
        double height = 2 * fabs(up[i]), width = (lam_hi[i] - lam_lo[i]) * 1e6;
        double factor = (double)l->e->sci[p];
        if (l->e->regions[p] != slice || !(height > 0) || !isfinite(um[i]) ||
            !isfinite(width) || !isfinite(factor)) {
            continue;
        }
        double inside = (SLICE_HALF_LENGTH_M - fabs(along[i])) / height + 0.5;
        inside = inside < 0 ? 0 : inside > 1 ? 1 : inside;
        double c[2], a[2], b[2];
        offset(l, ra[0][i], dec[0][i], &c[0], &c[1]);
        offset(l, ra[1][i], dec[1][i], &a[0], &a[1]);
        offset(l, ra[2][i], dec[2][i], &b[0], &b[1]);
        for (int k = 0; k < 2; k++) {
            a[k] -= c[k];
            b[k] -= c[k];
        }
        l->signal[p] =
            (float)(inside / factor *
                    mean_brightness(&l->sim->scene, c, a, b, um[i], fabs(width)));
    }
}

static int light_of_slice(size_t i, int thread, void *arg, struct err *err)
{
    (void)thread;
    (void)err;
    const struct light *l = arg;
    int slice = (int)i + 1;
    const int *sub = l->sim->subarray;
    struct wcs_box box = wcs_bounding_box(l->e->wcs, slice);
    int x0 = (int)ceil(box.x_min), x1 = (int)floor(box.x_max);
    int y0 = (int)ceil(box.y_min), y1 = (int)floor(box.y_max);
    int left = sub[2] ? sub[0] : 0,
        right = sub[2] ? sub[0] + sub[2] - 1 : SIM_FRAME - 1;
    int low = sub[2] ? sub[1] : 0, high = sub[2] ? sub[1] + sub[3] - 1 : SIM_FRAME - 1;
    x0 = x0 < left ? left : x0;
    x1 = x1 > right ? right : x1;
    y0 = y0 < low ? low : y0;
    y1 = y1 > high ? high : y1;
    for (int y = y0; y <= y1; y++) {
        light_of_row(l, slice, y, x0, x1);
    }
    return 0;
}

/* Move the window's pixels to the front of a full-frame plane. */
static void cut(void *plane, size_t size, const int sub[4])
{
    char *p = plane;
    for (size_t y = 0; y < (size_t)sub[3]; y++) {
        memmove(p + y * (size_t)sub[2] * size,
                p + (((size_t)sub[1] + y) * SIM_FRAME + (size_t)sub[0]) * size,
                (size_t)sub[2] * size);
    }
}

static int write_truth(const struct simulation *sim, const struct detector_frame *f,
                       int nx, int ny, const struct header *primary, const char *folder,
                       const char *name, struct err *err)
{
    enum { ROWS = 1000 };
    double um[ROWS], jansky[ROWS], enclosed[ROWS];
    for (int i = 0; i < ROWS; i++) {
        um[i] = sim->mode->wave_min_um +
                (sim->mode->wave_max_um - sim->mode->wave_min_um) * i / (ROWS - 1.0);
        jansky[i] = 1e-3 * scene_source_mjy(&sim->scene, um[i], 0);
        enclosed[i] = scene_psf_enclosed(APERTURE_ARCSEC, um[i]);
    }
    size_t n_lines;
    const struct scene_line *lines = scene_lines(&n_lines);
    enum { MOST = 32 };
    const char *names[MOST];
    double rest[MOST], peak[MOST], sigma[MOST];
    for (size_t i = 0; i < n_lines; i++) {
        names[i] = lines[i].name;
        rest[i] = lines[i].um;
        peak[i] = 1e-3 * sim->scene.source_mjy * lines[i].peak;
        sigma[i] = sim->scene.line_sigma_um;
    }
    struct publish part = {0};
    struct fits_out *out = NULL;
    size_t axes[2] = {(size_t)nx, (size_t)ny};
    int code = publish_begin(folder, name, 1, &part, err);
    code = code ? code : fits_out_create(part.part_path, &out, err);
    code = code ? code : fits_out_primary(out, primary, err);
    code =
        code ? code
             : fits_out_image(out, "SIGNAL", NULL, FITS_FLOAT, 2, axes, f->signal, err);
    code = code ? code
                : fits_out_image(out, "FLICKER", NULL, FITS_FLOAT, 2, axes, f->flicker,
                                 err);
    code =
        code ? code
             : fits_out_image(out, "COSMIC", NULL, FITS_UINT8, 2, axes, f->cosmic, err);
    code =
        code
            ? code
            : fits_out_table(out, "SOURCE", NULL, ROWS,
                             (struct fits_column[]){
                                 {"WAVELENGTH", "um", FITS_DOUBLE, 1, NULL, um},
                                 {"FLUX", "Jy", FITS_DOUBLE, 1, NULL, jansky},
                                 {"ENCLOSED_0P45", "", FITS_DOUBLE, 1, NULL, enclosed}},
                             3, err);
    code = code ? code
                : fits_out_table(out, "LINES", NULL, n_lines,
                                 (struct fits_column[]){
                                     {"NAME", NULL, FITS_STRING, 16, NULL, names},
                                     {"WAVELENGTH", "um", FITS_DOUBLE, 1, NULL, rest},
                                     {"PEAK", "Jy", FITS_DOUBLE, 1, NULL, peak},
                                     {"SIGMA", "um", FITS_DOUBLE, 1, NULL, sigma}},
                                 4, err);
    if (code) {
        fits_out_discard(out);
    } else {
        code = fits_out_close(out, err);
    }
    code = code ? code : publish_commit(&part, err);
    if (code) {
        publish_abort(&part);
    }
    return code;
}

static int write_rate(struct exposure *e, const char *folder, const char *name,
                      struct err *err)
{
    struct publish part = {0};
    int code = publish_begin(folder, name, 1, &part, err);
    code = code ? code : exposure_write(e, part.part_path, name, NULL, err);
    code = code ? code : publish_commit(&part, err);
    if (code) {
        publish_abort(&part);
    }
    return code;
}

/* A plane of the full frame; NULL and *code set on failure. */
static void *plane(size_t size, int *code, struct err *err)
{
    void *p = *code ? NULL : mem_calloc(N, size, err);
    if (!p) {
        *code = ERR_NOMEM;
    }
    return p;
}

int simulate_exposure(const struct simulation *sim, struct references *refs,
                      struct par *par, const char *folder, char ret_path[512],
                      struct err *err)
{
    struct exposure *e = exposure_new(SIM_FRAME, SIM_FRAME, err);
    if (!e) {
        return ERR_NOMEM;
    }
    char base[64], name[96];
    sim_exposure_name(sim, base);
    snprintf(name, sizeof name, "%s_rate.fits", base);
    struct detector_frame f = {0};
    int code = sim_fill_headers(sim, 1, e, err);
    code = code ? code : exposure_read_meta(e, name, err);
    e->sci = plane(sizeof *e->sci, &code, err);
    e->err = plane(sizeof *e->err, &code, err);
    e->dq = plane(sizeof *e->dq, &code, err);
    e->var_poisson = plane(sizeof *e->var_poisson, &code, err);
    e->var_rnoise = plane(sizeof *e->var_rnoise, &code, err);
    f.signal = plane(sizeof *f.signal, &code, err);
    f.flicker = plane(sizeof *f.flicker, &code, err);
    f.cosmic = plane(sizeof *f.cosmic, &code, err);
    if (!code && !sim->is_imprint) {
        struct light light = {.sim = sim,
                              .e = e,
                              .signal = f.signal,
                              .cos_dec = cos(sim->dec * M_PI / 180)};
        code = calibration_factor(refs, par, e, err);
        code =
            code ? code : par_for(par, WCS_SLICES, light_of_slice, &light, NULL, err);
    }
    if (!code) {
        f.sci = e->sci;
        f.err = e->err;
        f.dq = e->dq;
        f.var_poisson = e->var_poisson;
        f.var_rnoise = e->var_rnoise;
        code = detector_expose(&sim->noise, &f, err);
    }
    struct exposure *rate = NULL; /* the delivered form: five planes, the window */
    if (!code) {
        const int whole[4] = {0, 0, SIM_FRAME, SIM_FRAME};
        const int *sub = sim->subarray[2] ? sim->subarray : whole;
        rate = exposure_new(sub[2], sub[3], err);
        code = rate ? sim_fill_headers(sim, 0, rate, err) : ERR_NOMEM;
        code = code ? code : exposure_read_meta(rate, name, err);
        if (!code) {
            cut(e->sci, sizeof *e->sci, sub);
            cut(e->err, sizeof *e->err, sub);
            cut(e->dq, sizeof *e->dq, sub);
            cut(e->var_poisson, sizeof *e->var_poisson, sub);
            cut(e->var_rnoise, sizeof *e->var_rnoise, sub);
            cut(f.signal, sizeof *f.signal, sub);
            cut(f.flicker, sizeof *f.flicker, sub);
            cut(f.cosmic, sizeof *f.cosmic, sub);
            rate->sci = e->sci;
            rate->err = e->err;
            rate->dq = e->dq;
            rate->var_poisson = e->var_poisson;
            rate->var_rnoise = e->var_rnoise;
            e->sci = e->err = e->var_poisson = e->var_rnoise = NULL;
            e->dq = NULL;
            code = write_rate(rate, folder, name, err);
        }
        if (!code && sim->with_truth) {
            char truth[96];
            snprintf(truth, sizeof truth, "%s_truth.fits", base);
            code = write_truth(sim, &f, sub[2], sub[3], &rate->primary, folder, truth,
                               err);
        }
    }
    if (!code) {
        snprintf(ret_path, 512, "%s/%s", folder, name);
    }
    exposure_free(rate);
    exposure_free(e);
    free(f.signal);
    free(f.flicker);
    free(f.cosmic);
    return code;
}
