#include "cli/sim/calibration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/data/fits_io.h"
#include "common/math/rng.h"

#define FRAME 2048
#define N_FAST 256   /* rows of a fast-variation table */
#define N_PHOTOM 150 /* wavelengths of the photom table */
#define N_PLANES 3   /* wavelength planes of a D-flat */
#define N_PATHLOSS 41
#define N_OFFSETS 21
#define PIXEL_AREA_ARCSEC2 0.0105
#define ARCSEC2_TO_SR 2.3504430539097885e-11

struct writer {
    char path[4300];
    struct header primary;
    struct fits_out *out;
    struct err *err;
    int code;
};

/* Begin a reference file. After a failure every later call does nothing. */
static void begin(struct writer *w, const char *folder, const char *name,
                  const char *reftype, const char *model, const char *detector,
                  const struct sim_mode *mode, struct err *err)
{
    *w = (struct writer){.err = err};
    snprintf(w->path, sizeof w->path, "%s/ideal_%s.fits", folder, name);
    const struct {
        const char *key, *value;
    } cards[] = {{"FILENAME", strrchr(w->path, '/') + 1},
                 {"DATAMODL", model},
                 {"TELESCOP", "JWST"},
                 {"REFTYPE", reftype},
                 {"PEDIGREE", "DUMMY"},
                 {"DESCRIP", "idealised NIRSpec IFU"},
                 {"AUTHOR", "ifusim"},
                 {"USEAFTER", "2022-01-01T00:00:00"},
                 {"INSTRUME", "NIRSPEC"},
                 {"EXP_TYPE", "NRS_IFU"},
                 {"DETECTOR", detector},
                 {"FILTER", mode ? mode->filter : NULL},
                 {"GRATING", mode ? mode->grating : NULL}};
    for (size_t i = 0; i < sizeof cards / sizeof *cards && !w->code; i++) {
        if (cards[i].value) {
            w->code =
                header_set_string(&w->primary, cards[i].key, cards[i].value, "", err);
        }
    }
    if (!w->code) {
        unlink(w->path);
        w->code = fits_out_create(w->path, &w->out, err);
    }
}

static void primary(struct writer *w)
{
    if (!w->code) {
        w->code = fits_out_primary(w->out, &w->primary, w->err);
    }
}

static void image(struct writer *w, const char *name, const struct header *h,
                  enum fits_type type, int n_axes, const size_t *axes, const void *data)
{
    if (!w->code) {
        w->code = fits_out_image(w->out, name, h, type, n_axes, axes, data, w->err);
    }
}

static void table(struct writer *w, const char *name, size_t rows,
                  const struct fits_column *columns, size_t n)
{
    if (!w->code) {
        w->code = fits_out_table(w->out, name, NULL, rows, columns, n, w->err);
    }
}

static int end(struct writer *w)
{
    header_done(&w->primary);
    if (w->code) {
        fits_out_discard(w->out);
        return w->code;
    }
    return fits_out_close(w->out, w->err);
}

/* A FAST_VARIATION table: one row a wavelength, value = f(wavelength). */
static void fast_table(struct writer *w, const struct sim_mode *mode,
                       double (*f)(double))
{
    const char *names[N_FAST];
    int32_t nelem[N_FAST];
    float wave[N_FAST], data[N_FAST], error[N_FAST];
    for (int i = 0; i < N_FAST; i++) {
        double t = i / (N_FAST - 1.0);
        names[i] = "ANY";
        nelem[i] = N_FAST;
        wave[i] = (float)((mode->wave_min_um - 0.08) * (1 - t) +
                          (mode->wave_max_um + 0.15) * t);
        data[i] = (float)f((double)wave[i]);
        error[i] = 0.002f;
    }
    table(w, "FAST_VARIATION", N_FAST,
          (struct fits_column[]){{"slit_name", NULL, FITS_STRING, 15, NULL, names},
                                 {"nelem", NULL, FITS_INT32, 1, NULL, nelem},
                                 {"wavelength", NULL, FITS_FLOAT, 1, NULL, wave},
                                 {"data", NULL, FITS_FLOAT, 1, NULL, data},
                                 {"error", NULL, FITS_FLOAT, 1, NULL, error}},
          5);
}

static double f_flat_curve(double um)
{
    return 0.82 + 0.04 * sin(1.7 * um);
}

static double s_flat_curve(double um)
{
    return 0.93 + 0.05 * cos(1.3 * um);
}

static double d_flat_curve(double um)
{
    return 1 + 0.03 * sin(2.6 * um);
}

/*
 * The S- and D-flat of one detector: `planes` images with waves and pixel structure.
 * A share of the pixels is flagged (and, in the S-flat, NaN).
 */
static int write_image_flat(const char *folder, const struct sim_mode *mode,
                            const char *detector, int is_dflat, struct err *err)
{
    size_t planes = is_dflat ? N_PLANES : 1, n = (size_t)FRAME * FRAME;
    float *sci = mem_alloc(n * planes, sizeof *sci, err);
    float *error = mem_alloc(n * planes, sizeof *error, err);
    uint32_t *dq = mem_calloc(n, sizeof *dq, err);
    if (!sci || !error || !dq) {
        free(sci);
        free(error);
        free(dq);
        return ERR_NOMEM;
    }
    struct rng rng;
    rng_init(&rng, 2022, (uint64_t)(2 * (detector[3] - '1') + is_dflat));
    for (size_t i = 0; i < n; i++) {
        double x = (double)(i % FRAME), y = (double)(i / FRAME);
        double pixel = 1 + 0.012 * rng_normal(&rng);
        for (size_t p = 0; p < planes; p++) {
            double wave = is_dflat ? 1 + 0.025 * sin(x / 390 + (double)p) +
                                         0.015 * cos(y / 310 - (double)p)
                                   : 1 + 0.02 * cos(x / 530) * sin(y / 440);
            sci[p * n + i] = (float)(pixel * wave);
            error[p * n + i] = is_dflat ? 0.003f : 0.004f;
        }
        if (rng_uniform(&rng) < 2e-4) {
            dq[i] = DQ_DO_NOT_USE | DQ_NO_FLAT_FIELD;
            if (!is_dflat) {
                sci[i] = NAN;
            }
        }
    }
    char name[64];
    if (is_dflat) {
        snprintf(name, sizeof name, "dflat_%s", detector);
    } else {
        snprintf(name, sizeof name, "sflat_%s_%s_%s", mode->grating, mode->filter,
                 detector);
    }
    struct writer w;
    begin(&w, folder, name, is_dflat ? "dflat" : "sflat", "NirspecFlatModel", detector,
          is_dflat ? NULL : mode, err);
    primary(&w);
    size_t axes[3] = {FRAME, FRAME, planes};
    int n_axes = is_dflat ? 3 : 2;
    image(&w, "SCI", NULL, FITS_FLOAT, n_axes, axes, sci);
    image(&w, "DQ", NULL, FITS_UINT32, 2, axes, dq);
    image(&w, "ERR", NULL, FITS_FLOAT, n_axes, axes, error);
    struct sim_mode all = {.wave_min_um = 0.6, .wave_max_um = 5.3};
    if (is_dflat) {
        table(&w, "WAVELENGTH", N_PLANES,
              (struct fits_column[]){{"wavelength", NULL, FITS_FLOAT, 1, NULL,
                                      (float[]){0.6f, 2.9f, 5.3f}}},
              1);
    }
    fast_table(&w, is_dflat ? &all : mode, is_dflat ? d_flat_curve : s_flat_curve);
    free(sci);
    free(error);
    free(dq);
    return end(&w);
}

static int write_fflat(const char *folder, const struct sim_mode *mode, struct err *err)
{
    char name[64];
    snprintf(name, sizeof name, "fflat_%s_%s", mode->grating, mode->filter);
    struct writer w;
    begin(&w, folder, name, "fflat", "NirspecFlatModel", NULL, mode, err);
    primary(&w);
    fast_table(&w, mode, f_flat_curve);
    return end(&w);
}

static int write_photom(const char *folder, struct err *err)
{
    size_t n;
    const struct sim_mode *modes = sim_modes(&n);
    enum { MOST = 16 };
    const char *filter[MOST], *grating[MOST];
    float photmj[MOST], zero[MOST] = {0};
    int16_t nelem[MOST];
    static float wave[MOST * N_PHOTOM], response[MOST * N_PHOTOM],
        uncertainty[MOST * N_PHOTOM];
    for (size_t i = 0; i < n; i++) {
        filter[i] = modes[i].filter;
        grating[i] = modes[i].grating;
        photmj[i] = 24.f; /* MJy/sr per DN/s at relative response 1 */
        nelem[i] = N_PHOTOM;
        for (int k = 0; k < N_PHOTOM; k++) {
            double t = k / (N_PHOTOM - 1.0);
            double um = (modes[i].wave_min_um - 0.12) * (1 - t) +
                        (modes[i].wave_max_um + 0.2) * t;
            wave[i * N_PHOTOM + k] = (float)um;
            response[i * N_PHOTOM + k] = (float)(0.95 + 0.12 * sin(0.9 * um));
            uncertainty[i * N_PHOTOM + k] = 0.01f;
        }
    }
    struct writer w;
    begin(&w, folder, "photom", "photom", "NrsMosPhotomModel", NULL, NULL, err);
    w.code = w.code ? w.code
                    : header_set_real(&w.primary, "PIXAR_SR",
                                      PIXEL_AREA_ARCSEC2 * ARCSEC2_TO_SR, "", err);
    w.code = w.code
                 ? w.code
                 : header_set_real(&w.primary, "PIXAR_A2", PIXEL_AREA_ARCSEC2, "", err);
    primary(&w);
    /* photmj holds MJy per (DN/s) of the nominal pixel area */
    for (size_t i = 0; i < n; i++) {
        photmj[i] = (float)((double)photmj[i] * PIXEL_AREA_ARCSEC2 * ARCSEC2_TO_SR);
    }
    table(&w, "PHOTOM", n,
          (struct fits_column[]){
              {"filter", NULL, FITS_STRING, 12, NULL, filter},
              {"grating", NULL, FITS_STRING, 15, NULL, grating},
              {"photmj", NULL, FITS_FLOAT, 1, NULL, photmj},
              {"uncertainty", NULL, FITS_FLOAT, 1, NULL, zero},
              {"nelem", NULL, FITS_INT16, 1, NULL, nelem},
              {"wavelength", NULL, FITS_FLOAT, N_PHOTOM, NULL, wave},
              {"relresponse", NULL, FITS_FLOAT, N_PHOTOM, NULL, response},
              {"reluncertainty", NULL, FITS_FLOAT, N_PHOTOM, NULL, uncertainty}},
          8);
    return end(&w);
}

static int write_area(const char *folder, struct err *err)
{
    int16_t slice[30];
    float area[30];
    for (int s = 0; s < 30; s++) {
        slice[s] = (int16_t)s; /* 0-based, as the observatory's */
        area[s] = (float)(PIXEL_AREA_ARCSEC2 * (1 + 0.003 * cos(s)));
    }
    struct writer w;
    begin(&w, folder, "area", "area", "NirspecIfuAreaModel", NULL, NULL, err);
    primary(&w);
    table(&w, "AREA", 30,
          (struct fits_column[]){{"slice_id", NULL, FITS_INT16, 1, NULL, slice},
                                 {"pixarea", NULL, FITS_FLOAT, 1, NULL, area}},
          2);
    return end(&w);
}

/* Cards of a pathloss axis: offsets in pixels' fractions, then wavelength in metres. */
static int axis_cards(struct header *h, int axis, double crpix, double crval,
                      double cdelt, struct err *err)
{
    char key[16];
    snprintf(key, sizeof key, "CRPIX%d", axis);
    int code = header_set_real(h, key, crpix, "", err);
    snprintf(key, sizeof key, "CRVAL%d", axis);
    code = code ? code : header_set_real(h, key, crval, "", err);
    snprintf(key, sizeof key, "CDELT%d", axis);
    return code ? code : header_set_real(h, key, cdelt, "", err);
}

static int write_pathloss(const char *folder, struct err *err)
{
    static float point[N_PATHLOSS * N_OFFSETS * N_OFFSETS],
        point_error[sizeof point / 4];
    float uniform[N_PATHLOSS], uniform_error[N_PATHLOSS] = {0};
    double first = 0.6e-6, step = (5.3e-6 - 0.6e-6) / (N_PATHLOSS - 1);
    for (int k = 0; k < N_PATHLOSS; k++) {
        double um = (first + k * step) * 1e6;
        uniform[k] = (float)(0.97 - 0.002 * um);
        for (int j = 0; j < N_OFFSETS; j++) {
            for (int i = 0; i < N_OFFSETS; i++) {
                double x = (i - 10) * 0.05, y = (j - 10) * 0.05;
                point[(k * N_OFFSETS + j) * N_OFFSETS + i] =
                    (float)(0.985 - 0.004 * um - 0.1 * (x * x + y * y));
            }
        }
    }
    struct header ps = {0}, uni = {0};
    struct writer w;
    begin(&w, folder, "pathloss", "pathloss", "PathlossModel", NULL, NULL, err);
    primary(&w);
    if (!w.code) {
        w.code = header_set_string(&ps, "APERTURE", "IFU", "", err);
        w.code = w.code ? w.code : header_set_int(&ps, "SHUTTERS", 0, "", err);
        w.code = w.code ? w.code : axis_cards(&ps, 1, 11, 0, 0.05, err);
        w.code = w.code ? w.code : axis_cards(&ps, 2, 11, 0, 0.05, err);
        w.code = w.code ? w.code : axis_cards(&ps, 3, 1, first, step, err);
        w.code = w.code ? w.code : axis_cards(&uni, 1, 1, first, step, err);
    }
    size_t cube[3] = {N_OFFSETS, N_OFFSETS, N_PATHLOSS}, line[1] = {N_PATHLOSS};
    image(&w, "PS", &ps, FITS_FLOAT, 3, cube, point);
    image(&w, "PSVAR", NULL, FITS_FLOAT, 3, cube, point_error);
    image(&w, "UNI", &uni, FITS_FLOAT, 1, line, uniform);
    image(&w, "UNIVAR", NULL, FITS_FLOAT, 1, line, uniform_error);
    header_done(&ps);
    header_done(&uni);
    return end(&w);
}

static int write_cubepar(const char *folder, struct err *err)
{
    size_t n;
    const struct sim_mode *modes = sim_modes(&n);
    enum { MOST = 16 };
    const char *grating[MOST], *filter[MOST];
    float lo[MOST], hi[MOST], spaxel[MOST], step[MOST], rois[MOST], roiw[MOST],
        power[MOST], soft[MOST], scale[MOST];
    for (size_t i = 0; i < n; i++) {
        grating[i] = modes[i].grating;
        filter[i] = modes[i].filter;
        /* G140 with F070LP: what falls on NRS1 */
        lo[i] = (float)(strcmp(filter[i], "F070LP") ? modes[i].wave_min_um : 0.95);
        hi[i] = (float)modes[i].wave_max_um;
        spaxel[i] = 0.1f;
        step[i] = (float)modes[i].step_um;
        rois[i] = 0.201f;
        roiw[i] = (float)(2.2 * modes[i].step_um);
        power[i] = 2;
        soft[i] = 0.01f;
        scale[i] = 0.07f;
    }
    enum { N_WAVE = 400 };
    float wave[N_WAVE], wave_rois[N_WAVE], wave_roiw[N_WAVE], wave_power[N_WAVE],
        wave_soft[N_WAVE], wave_scale[N_WAVE];
    for (int i = 0; i < N_WAVE; i++) {
        wave[i] = (float)(0.6 * pow(5.3 / 0.6, i / (N_WAVE - 1.0)));
        wave_rois[i] = 0.201f;
        wave_roiw[i] = 0.002f;
        wave_power[i] = 2;
        wave_soft[i] = 0.01f;
        wave_scale[i] = 0.07f;
    }
    struct fits_column key[2] = {{"disperser", NULL, FITS_STRING, 5, NULL, grating},
                                 {"filter", NULL, FITS_STRING, 6, NULL, filter}};
    struct writer w;
    begin(&w, folder, "cubepar", "cubepar", "NirspecIFUCubeParsModel", NULL, NULL, err);
    primary(&w);
    table(&w, "CUBEPAR", n,
          (struct fits_column[]){key[0],
                                 key[1],
                                 {"wavemin", NULL, FITS_FLOAT, 1, NULL, lo},
                                 {"wavemax", NULL, FITS_FLOAT, 1, NULL, hi},
                                 {"spaxelsize", NULL, FITS_FLOAT, 1, NULL, spaxel},
                                 {"spectralstep", NULL, FITS_FLOAT, 1, NULL, step}},
          6);
    table(&w, "CUBEPAR_MSM", n,
          (struct fits_column[]){key[0],
                                 key[1],
                                 {"roispatial", NULL, FITS_FLOAT, 1, NULL, rois},
                                 {"roispectral", NULL, FITS_FLOAT, 1, NULL, roiw},
                                 {"power", NULL, FITS_FLOAT, 1, NULL, power},
                                 {"softrad", NULL, FITS_FLOAT, 1, NULL, soft}},
          6);
    table(&w, "CUBEPAR_EMSM", n,
          (struct fits_column[]){key[0],
                                 key[1],
                                 {"roispatial", NULL, FITS_FLOAT, 1, NULL, rois},
                                 {"roispectral", NULL, FITS_FLOAT, 1, NULL, roiw},
                                 {"scalerad", NULL, FITS_FLOAT, 1, NULL, scale}},
          5);
    static const char *const kinds[] = {"PRISM", "MED", "HIGH"};
    struct fits_column wavelength = {"wavelength", NULL, FITS_FLOAT, 1, NULL, wave};
    struct fits_column s = {"roispatial", NULL, FITS_FLOAT, 1, NULL, wave_rois};
    struct fits_column r = {"roispectral", NULL, FITS_FLOAT, 1, NULL, wave_roiw};
    for (size_t i = 0; i < 3; i++) {
        char name[40];
        snprintf(name, sizeof name, "MULTICHAN_%s_MSM", kinds[i]);
        table(&w, name, N_WAVE,
              (struct fits_column[]){wavelength,
                                     s,
                                     r,
                                     {"power", NULL, FITS_FLOAT, 1, NULL, wave_power},
                                     {"softrad", NULL, FITS_FLOAT, 1, NULL, wave_soft}},
              5);
        snprintf(name, sizeof name, "MULTICHAN_%s_EMSM", kinds[i]);
        table(
            &w, name, N_WAVE,
            (struct fits_column[]){
                wavelength, s, r, {"scalerad", NULL, FITS_FLOAT, 1, NULL, wave_scale}},
            4);
        snprintf(name, sizeof name, "MULTICHAN_%s_DRIZZLE", kinds[i]);
        table(&w, name, N_WAVE, &wavelength, 1);
    }
    return end(&w);
}

int sim_write_calibration(const char *folder, const struct sim_mode *mode,
                          struct err *err)
{
    int code = write_fflat(folder, mode, err);
    for (int d = 0; d < 2 && !code; d++) {
        const char *detector = d ? "NRS2" : "NRS1";
        code = write_image_flat(folder, mode, detector, 1, err);
        code = code ? code : write_image_flat(folder, mode, detector, 0, err);
    }
    code = code ? code : write_photom(folder, err);
    code = code ? code : write_area(folder, err);
    code = code ? code : write_pathloss(folder, err);
    return code ? code : write_cubepar(folder, err);
}
