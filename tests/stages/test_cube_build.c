#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/cube_covariance.h"
#include "common/data/dq.h"
#include "stages/background_record.h"
#include "tests/data/wcs_fixture.h"
#include "tests/stages/stage_kit.h"
#include "tests/support.h"

enum { NX = 600, NY = 300 };
static const double slit[2] = {-0.55, 0.55};
static struct wcs_fixture *fixture;
static struct stage_kit kit;

static void fill_cubepar(struct fits_out *f, const void *arg)
{
    static const char *const disperser[] = {"G395H", "G395M"}, *const filter[] = {
                                                                   "F290LP", "F290LP"};
    static const float low[] = {2.9f, 3.0f}, high[] = {4.2f, 4.25f},
                       size[] = {0.1f, 0.08f}, step[] = {0.001f, 0.002f};
    enum { WAVES = 400 };
    static float um[WAVES], rois[WAVES], roiw[WAVES], decay[WAVES];
    const struct fits_column columns[] = {
        {.name = "DISPERSER", .type = FITS_STRING, .repeat = 5, .data = disperser},
        {.name = "FILTER", .type = FITS_STRING, .repeat = 6, .data = filter},
        {.name = "WAVEMIN", .type = FITS_FLOAT, .repeat = 1, .data = low},
        {.name = "WAVEMAX", .type = FITS_FLOAT, .repeat = 1, .data = high},
        {.name = "SPAXELSIZE", .type = FITS_FLOAT, .repeat = 1, .data = size},
        {.name = "SPECTRALSTEP", .type = FITS_FLOAT, .repeat = 1, .data = step}};
    struct err err = {0};
    (void)arg;
    support_ok(fits_out_table(f, "CUBEPAR", NULL, 2, columns, 6, &err), &err);
    for (int i = 0; i < WAVES; i++) {
        um[i] = 2.5f + (float)i * 0.005f;
        rois[i] = 0.2f;
        roiw[i] = 0.008f;
        decay[i] = 0.07f;
    }
    const struct fits_column waves[] = {
        {.name = "WAVELENGTH", .type = FITS_FLOAT, .repeat = 1, .data = um},
        {.name = "ROISPATIAL", .type = FITS_FLOAT, .repeat = 1, .data = rois},
        {.name = "ROISPECTRAL", .type = FITS_FLOAT, .repeat = 1, .data = roiw},
        {.name = "SCALERAD", .type = FITS_FLOAT, .repeat = 1, .data = decay}};
    support_ok(fits_out_table(f, "MULTICHAN_HIGH_DRIZZLE", NULL, WAVES, waves, 1, &err),
               &err);
    support_ok(fits_out_table(f, "MULTICHAN_HIGH_EMSM", NULL, WAVES, waves, 4, &err),
               &err);
}

static void setup(void)
{
    fixture = wcs_fixture_new();
    stage_kit_init(&kit);
    stage_kit_write(support_path(kit.folder, "cubepar.fits"), fill_cubepar, NULL);
}

static void teardown(void)
{
    stage_kit_done(&kit);
    wcs_fixture_free(fixture);
}

/* A calibrated exposure: SCI and ERR as given, moved by `aside` arcsec in Dec. */
static struct exposure *make(float sci, float error, double aside)
{
    struct err err = {0};
    struct exposure *e = exposure_new(NX, NY, &err);
    size_t n = (size_t)NX * NY;
    e->meta = wcs_fixture_meta();
    e->meta.substrt1 = 700;
    e->meta.substrt2 = 800;
    e->meta.dec_ref += aside / 3600;
    strcpy(e->meta.filename, "made_up_cal.fits");
    strcpy(e->meta.bunit, "MJy/sr");
    support_ok(header_set_string(&e->primary, "TELESCOP", "JWST", NULL, &err), &err);
    e->regions = mem_calloc(n, 1, &err);
    support_ok(wcs_build(&e->meta, NX, NY, &fixture->refs, slit, NULL, NULL, &e->wcs,
                         e->regions, NULL, &err),
               &err);
    e->sci = mem_alloc(n, sizeof *e->sci, &err);
    e->err = mem_alloc(n, sizeof *e->err, &err);
    e->dq = mem_calloc(n, sizeof *e->dq, &err);
    for (size_t i = 0; i < n; i++) {
        e->sci[i] = e->regions[i] ? sci : NAN;
        e->err[i] = error;
        e->dq[i] = e->regions[i] ? 0 : DQ_DO_NOT_USE | DQ_NON_SCIENCE;
    }
    return e;
}

static const char *path_of(void *user, const char *stage, const char *type,
                           const struct exposure_meta *meta)
{
    (void)user;
    (void)stage;
    (void)meta;
    ck_assert_str_eq(type, "cubepar");
    return support_path(kit.folder, "cubepar.fits");
}

static int opened, most_open, n_opened;
static const char *scratch; /* of the stage; NULL: none */

static int open_one(void *user, size_t i, bool pixels, struct exposure **ret,
                    struct err *err)
{
    struct exposure **all = user;
    (void)pixels;
    (void)err;
    opened++;
    n_opened++;
    most_open = opened > most_open ? opened : most_open;
    *ret = all[i];
    return 0;
}

static void close_one(void *user, size_t i, struct exposure *e)
{
    (void)user;
    (void)i;
    (void)e;
    opened--;
}

static char said[2000]; /* warnings and notes of the last build */

static void hear(void *user, int is_warning, const char *line)
{
    const size_t n = strlen(said);
    (void)user;
    (void)is_warning;
    snprintf(said + n, sizeof said - n, "%s\n", line);
}

/* Run on exposures that come from a source, as in spec3. name NULL: no parameter. */
static int build(struct exposure **all, size_t n, int threads, const char *name,
                 const char *value, struct cube **ret, struct err *err)
{
    struct params *params = NULL;
    struct par *par = NULL;
    const struct stage *stage = &stage_cube_build;
    support_ok(params_new(stage->params, stage->n_params, &params, err), err);
    /* name may be a list: "weighting output_type" with "emsm multi" */
    char names[200], values[200], *end[2] = {NULL, NULL};
    snprintf(names, sizeof names, "%s", name ? name : "");
    snprintf(values, sizeof values, "%s", name ? value : "");
    char *n1 = strtok_r(names, " ", &end[0]), *v1 = strtok_r(values, " ", &end[1]);
    for (; n1; n1 = strtok_r(NULL, " ", &end[0]), v1 = strtok_r(NULL, " ", &end[1])) {
        support_ok(params_set(params, n1, v1, err), err);
    }
    support_ok(par_new(threads, &par, err), err);
    const struct exposure_source source = {n, open_one, close_one, all};
    struct stage_env env = {.par = par,
                            .refs = kit.refs,
                            .recipe = "spec3",
                            .override = path_of,
                            .note = hear,
                            .scratch = scratch,
                            .stage_name = stage->name};
    struct dataset data = {.source = &source};
    *said = 0;
    opened = most_open = n_opened = 0;
    int code = stage->run(&env, params, &data, err);
    *ret = data.cube;
    ck_assert_int_eq(opened, 0);
    par_free(par);
    params_free(params);
    return code;
}

static size_t voxels(const struct cube *c)
{
    return (size_t)c->nx * (size_t)c->ny * (size_t)c->nw;
}

/* Two dithers of constant sky give that sky, one exposure open at a time. */
START_TEST(test_cube_build_constant_sky)
{
    struct err err = {0};
    struct cube *c = NULL;
    struct exposure *all[2] = {make(3, 0.2f, 0), make(3, 0.2f, 0.25)};
    support_ok(build(all, 2, 2, NULL, NULL, &c, &err), &err);
    ck_assert_int_eq(most_open, 1);
    ck_assert_int_eq(c->n_exposures, 2);
    ck_assert_int_eq(c->nw, 1300);
    ck_assert_double_eq_tol(c->wavelength[0], 2.9005, 1e-6);
    ck_assert_str_eq(c->weighting, "drizzle");
    size_t filled = 0;
    for (size_t i = 0; i < voxels(c); i++) {
        if (c->wmap[i] > 0) {
            ck_assert_double_eq_tol((double)c->sci[i], 3, 1e-5);
            ck_assert_double_le((double)c->err[i], 0.2001);
            ck_assert_uint_eq(c->dq[i], 0);
            filled++;
        } else {
            ck_assert(isnan(c->sci[i]) && isnan(c->err[i]));
            ck_assert_uint_ne(c->dq[i] & DQ_DO_NOT_USE, 0);
        }
    }
    ck_assert_uint_gt(filled, 10000);
    const char *text = NULL;
    ck_assert(header_get_string(&c->primary, "TELESCOP", &text));
    ck_assert_str_eq(text, "JWST");
    cube_free(c);
    exposure_free(all[0]);
    exposure_free(all[1]);
}
END_TEST

START_TEST(test_cube_build_same_for_any_threads)
{
    struct err err = {0};
    struct cube *first = NULL;
    struct exposure *all[2] = {make(1, 0.2f, 0), make(1, 0.2f, -0.13)};
    for (size_t i = 0; i < (size_t)NX * NY; i++) {
        all[0]->sci[i] += (float)sin((double)i);
        all[1]->sci[i] += (float)cos((double)i);
    }
    support_ok(build(all, 2, 1, NULL, NULL, &first, &err), &err);
    for (int threads = 2; threads <= 8; threads *= 4) {
        struct cube *c = NULL;
        support_ok(build(all, 2, threads, NULL, NULL, &c, &err), &err);
        size_t n = voxels(c);
        ck_assert_uint_eq(n, voxels(first));
        ck_assert_int_eq(memcmp(c->sci, first->sci, n * sizeof *c->sci), 0);
        ck_assert_int_eq(memcmp(c->err, first->err, n * sizeof *c->err), 0);
        ck_assert_int_eq(memcmp(c->dq, first->dq, n * sizeof *c->dq), 0);
        ck_assert_int_eq(memcmp(c->wmap, first->wmap, n * sizeof *c->wmap), 0);
        cube_free(c);
    }
    cube_free(first);
    exposure_free(all[0]);
    exposure_free(all[1]);
}
END_TEST

START_TEST(test_cube_build_parameters)
{
    struct err err = {0};
    struct cube *c = NULL;
    struct exposure *all[1] = {make(2, 0.1f, 0)};
    support_ok(build(all, 1, 2, "cube_pa", "30", &c, &err), &err);
    ck_assert_double_eq_tol(c->pc[0][0], -cos(M_PI / 6), 1e-12);
    ck_assert_double_eq_tol(c->pc[0][1], 0.5, 1e-12);
    ck_assert_int_eq((int)c->crpix1, (c->nx + 1) / 2);
    cube_free(c);
    support_ok(build(all, 1, 2, "scalexy", "0.05", &c, &err), &err);
    ck_assert_double_eq_tol(c->cdelt1, 0.05 / 3600, 1e-15);
    cube_free(c);
    support_ok(build(all, 1, 2, "nspax_x", "10", &c, &err), &err);
    ck_assert_int_eq(c->nx, 11);
    cube_free(c);
    /* what cannot have been meant is said */
    support_ok(build(all, 1, 2, "rois", "0.1", &c, &err), &err);
    ck_assert_ptr_nonnull(strstr(said, "do nothing with weighting = drizzle"));
    cube_free(c);
    support_ok(
        build(all, 1, 2, "weighting linear_wave rois", "emsm false 0.04", &c, &err),
        &err);
    ck_assert_ptr_nonnull(
        strstr(said, "rois = 0.04 arcsec is less than half a spaxel"));
    cube_free(c);
    support_ok(
        build(all, 1, 2, "weighting linear_wave rois", "emsm false 0.1", &c, &err),
        &err);
    ck_assert_ptr_null(strstr(said, "rois"));
    cube_free(c);
    struct params *p = NULL;
    support_ok(params_new(stage_cube_build.params, stage_cube_build.n_params, &p, &err),
               &err);
    ck_assert_int_eq(params_set(p, "weighting", "area", &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "drizzle"));
    params_free(p);
    exposure_free(all[0]);
}
END_TEST

/* The flux-weighted centre of a cube on the sky. */
static void centre_of(const struct cube *c, double *ra, double *dec)
{
    double sum = 0, x = 0, y = 0;
    for (int k = 0; k < c->nw; k++) {
        for (int j = 0; j < c->ny; j++) {
            for (int i = 0; i < c->nx; i++) {
                const size_t at =
                    ((size_t)k * (size_t)c->ny + (size_t)j) * (size_t)c->nx + (size_t)i;
                if (c->wmap[at] > 0) {
                    sum += (double)c->sci[at];
                    x += (double)c->sci[at] * i;
                    y += (double)c->sci[at] * j;
                }
            }
        }
    }
    cube_spaxel_to_sky(c, x / sum, y / sum, ra, dec);
}

/* Along the slices the field of one exposure is a rectangle: nearly all spaxels of the grid
 * hold data, and the angle is one that can be checked: turning the telescope turns it. */
START_TEST(test_cube_build_ifualign)
{
    struct err err = {0};
    struct cube *c = NULL, *d = NULL;
    struct exposure *all[1] = {make(2, 0.1f, 0)};
    support_ok(build(all, 1, 2, "coord_system weighting", "ifualign drizzle", &c, &err),
               &err);
    const double pa = atan2(c->pc[1][0], c->pc[1][1]) * 180 / M_PI;
    exposure_free(all[0]);
    all[0] = make(2, 0.1f, 0);
    wcs_release(all[0]->wcs);
    all[0]->meta.roll_ref += 25;
    support_ok(wcs_build(&all[0]->meta, NX, NY, &fixture->refs, slit, NULL, NULL,
                         &all[0]->wcs, all[0]->regions, NULL, &err),
               &err);
    support_ok(build(all, 1, 2, "coord_system", "ifualign", &d, &err), &err);
    const double turned = atan2(d->pc[1][0], d->pc[1][1]) * 180 / M_PI;
    /* 0.05: positions on the sky are not quite those on the slicer */
    ck_assert_double_eq_tol(fabs(remainder(turned - pa, 360)), 25, 0.05);
    /* the same grid and nearly the same cube, as the instrument has not changed */
    ck_assert_int_eq(c->nx, d->nx);
    ck_assert_int_eq(c->ny, d->ny);
    size_t differ = 0;
    for (size_t i = 0; i < voxels(c); i++) {
        differ += (c->wmap[i] > 0) != (d->wmap[i] > 0);
    }
    ck_assert_double_lt((double)differ, 0.01 * (double)voxels(c));
    cube_free(c);
    cube_free(d);
    ck_assert_int_eq(build(all, 1, 2, "coord_system cube_pa", "ifualign 20", &c, &err),
                     ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "cube_pa = 20"));
    exposure_free(all[0]);
}
END_TEST

/* In the slicer's coordinates: constant sky, the peer's keywords, one exposure only. */
START_TEST(test_cube_build_internal)
{
    struct err err = {0};
    struct cube *c = NULL;
    struct exposure *all[2] = {make(2, 0.1f, 0), make(2, 0.1f, 0)};
    support_ok(build(all, 1, 2, "coord_system", "internal_cal", &c, &err), &err);
    ck_assert(c->slicer);
    ck_assert_int_eq(c->nx, 30);
    ck_assert_double_eq(c->crpix1, 0.5);
    ck_assert_double_eq(c->pc[0][0], 1);
    ck_assert_double_eq_tol(c->cdelt2, c->cdelt1 / 2, 1e-15);
    ck_assert_str_eq(c->weighting, "emsm");
    ck_assert_ptr_null(c->covariance);
    size_t filled = 0;
    for (size_t i = 0; i < voxels(c); i++) {
        if (c->wmap[i] > 0) {
            ck_assert_double_eq_tol((double)c->sci[i], 2, 1e-5);
            ck_assert_uint_eq(c->dq[i], 0);
            filled++;
        }
    }
    ck_assert_uint_gt(filled, 10000);
    cube_free(c);
    ck_assert_int_eq(build(all, 2, 2, "coord_system", "internal_cal", &c, &err),
                     ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "one exposure, and 2 are given"));
    exposure_free(all[0]);
    exposure_free(all[1]);
}
END_TEST

/* An offset moves all light of its exposure by as much; 0.003 arcsec: a thirtieth of a
 * spaxel, by which the rim of the field falls differently on them. */
START_TEST(test_cube_build_offsets)
{
    struct err err = {0};
    struct cube *c = NULL;
    struct exposure *all[1] = {make(2, 0.1f, 0)};
    double ra[2], dec[2];
    char value[300];
    const char *path = support_path(kit.folder, "offsets.asdf");
    static const char tree[] =
        "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n--- \n"
        "units: arcsec\nfilename: [other.fits, made_up_cal.fits]\n"
        "raoffset: [9.0, 0.7]\ndecoffset: [9.0, -0.3]\n...\n";
    support_write_file(path, tree, sizeof tree - 1);
    support_ok(build(all, 1, 2, NULL, NULL, &c, &err), &err);
    centre_of(c, &ra[0], &dec[0]);
    cube_free(c);
    snprintf(value, sizeof value, "drizzle %s", path);
    support_ok(build(all, 1, 2, "weighting offset_file", value, &c, &err), &err);
    centre_of(c, &ra[1], &dec[1]);
    cube_free(c);
    const double east = (ra[1] - ra[0]) * 3600 * cos(dec[0] * M_PI / 180);
    ck_assert_double_eq_tol(east, 0.7, 0.003);
    ck_assert_double_eq_tol((dec[1] - dec[0]) * 3600, -0.3, 0.003);
    strcpy(all[0]->meta.filename, "third_cal.fits");
    ck_assert_int_eq(build(all, 1, 2, "weighting offset_file", value, &c, &err),
                     ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "third_cal.fits"));
    ck_assert_ptr_nonnull(strstr(err.message, "offsets.asdf"));
    exposure_free(all[0]);
}
END_TEST

/* Planes of cubepar's table, from the one at or below the range to the one at or above it;
 * several dispersers in one cube, with the smallest spaxel and the widest range. */
START_TEST(test_cube_build_tables)
{
    struct err err = {0};
    struct cube *c = NULL;
    struct exposure *all[2] = {make(2, 0.1f, 0), make(2, 0.1f, 0.1)};
    support_ok(build(all, 1, 2, "linear_wave", "false", &c, &err), &err);
    ck_assert_double_eq_tol(c->wavelength[0], 2.9, 1e-5);
    ck_assert_double_eq_tol(c->wavelength[c->nw - 1], 4.2, 1e-5);
    ck_assert_int_eq(c->nw, 261);
    cube_free(c);
    strcpy(all[1]->meta.grating, "G395M");
    strcpy(all[1]->meta.filename, "medium_cal.fits");
    ck_assert_int_eq(build(all, 2, 2, NULL, NULL, &c, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "output_type is multi"));
    for (int w = 0; w < 2; w++) {
        support_ok(build(all, 2, 2, "output_type weighting",
                         w ? "multi emsm" : "multi drizzle", &c, &err),
                   &err);
        ck_assert_double_eq_tol(c->cdelt1, 0.08 / 3600, 1e-10);
        ck_assert_double_eq_tol(c->wavelength[0], 2.9, 1e-5);
        ck_assert_double_eq_tol(c->wavelength[c->nw - 1], 4.25, 1e-5);
        ck_assert_str_eq(c->weighting, w ? "emsm" : "drizzle");
        ck_assert_double_eq_tol(c->rois_arcsec, w ? 0.3 : 0, 1e-6); /* two files */
        ck_assert_double_eq_tol(c->roiw_um, w ? 0.008 : 0, 1e-6);
        size_t filled = 0;
        for (size_t i = 0; i < voxels(c); i++) {
            if (c->wmap[i] > 0) {
                ck_assert_double_eq_tol((double)c->sci[i], 2, 1e-5);
                filled++;
            }
        }
        ck_assert_uint_gt(filled, 5000);
        cube_free(c);
    }
    ck_assert_int_eq(build(all, 2, 2, "output_type weighting", "multi msm", &c, &err),
                     ERR_REFERENCE);
    exposure_free(all[0]);
    exposure_free(all[1]);
}
END_TEST

/* Only what grating and filter choose goes into the cube: as if the rest were not there. */
START_TEST(test_cube_build_chosen)
{
    struct err err = {0};
    struct cube *c = NULL, *alone = NULL;
    struct exposure *all[3] = {make(9, 0.3f, 0.4), make(2, 0.1f, 0),
                               make(2, 0.1f, 0.1)};
    strcpy(all[0]->meta.grating, "G395M");
    strcpy(all[0]->meta.filename, "medium_cal.fits");
    ck_assert_int_eq(build(all, 3, 2, NULL, NULL, &c, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "grating and filter choose"));
    support_ok(build(all + 1, 2, 2, NULL, NULL, &alone, &err), &err);
    support_ok(build(all, 3, 2, "grating filter", "g395h f290lp", &c, &err), &err);
    ck_assert_str_eq(c->meta.grating, "G395H");
    ck_assert_int_eq(c->n_exposures, 2);
    const size_t n = voxels(c);
    ck_assert_uint_eq(n, voxels(alone));
    ck_assert_int_eq(memcmp(c->sci, alone->sci, n * sizeof *c->sci), 0);
    ck_assert_int_eq(memcmp(c->err, alone->err, n * sizeof *c->err), 0);
    ck_assert_int_eq(memcmp(c->dq, alone->dq, n * sizeof *c->dq), 0);
    cube_free(c);
    cube_free(alone);
    c = NULL;
    ck_assert_int_eq(build(all, 3, 2, "grating filter", "g395h,g395m f170lp", &c, &err),
                     ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "leave none of 3 exposures (medium_cal"));
    ck_assert_ptr_null(c);
    for (int i = 0; i < 3; i++) {
        exposure_free(all[i]);
    }
}
END_TEST

/* A cube beyond its memory is refused, and what is said to fit does. */
START_TEST(test_cube_build_max_memory)
{
    struct err err = {0};
    struct cube *c = NULL;
    struct exposure *all[1] = {make(2, 0.1f, 0)};
    char value[100];
    double scale, step, range;
    ck_assert_int_eq(build(all, 1, 2, "scalexy max_memory", "0.02 0.05", &c, &err),
                     ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "more than max_memory = 0.05 GB"));
    ck_assert_int_eq(sscanf(strstr(err.message, "would fit"),
                            "would fit: scalexy = %lg arcsec, scalew = %lg um, %lg um",
                            &scale, &step, &range),
                     3);
    snprintf(value, sizeof value, "%g 0.05", scale);
    support_ok(build(all, 1, 2, "scalexy max_memory", value, &c, &err), &err);
    cube_free(c);
    snprintf(value, sizeof value, "0.02 %g 0.05", step);
    support_ok(build(all, 1, 2, "scalexy scalew max_memory", value, &c, &err), &err);
    cube_free(c);
    snprintf(value, sizeof value, "0.02 3.2 %g 0.05", 3.2 + range);
    support_ok(build(all, 1, 2, "scalexy wavemin wavemax max_memory", value, &c, &err),
               &err);
    cube_free(c);
    exposure_free(all[0]);
}
END_TEST

START_TEST(test_cube_build_refuses)
{
    struct err err = {0};
    struct cube *c = NULL;
    struct exposure *all[2] = {make(1, 0.1f, 0), make(1, 0.1f, 0)};
    strcpy(all[1]->meta.grating, "G395M");
    strcpy(all[1]->meta.filename, "other_cal.fits");
    ck_assert_int_eq(build(all, 2, 1, NULL, NULL, &c, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "other_cal.fits"));
    ck_assert_ptr_nonnull(strstr(err.message, "G395M"));
    strcpy(all[0]->meta.grating, "G235M");
    ck_assert_int_eq(build(all, 1, 1, NULL, NULL, &c, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "G235M/F290LP"));
    strcpy(all[0]->meta.bunit, "DN/s");
    ck_assert_int_eq(build(all, 1, 1, NULL, NULL, &c, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "BUNIT"));
    strcpy(all[0]->meta.bunit, "MJy/sr");
    strcpy(all[0]->meta.grating, "G395H");
    for (size_t i = 0; i < (size_t)NX * NY; i++) {
        all[0]->dq[i] |= DQ_DO_NOT_USE;
    }
    ck_assert_int_eq(build(all, 1, 1, NULL, NULL, &c, &err), ERR_NODATA);
    ck_assert_ptr_nonnull(strstr(err.message, "made_up_cal.fits"));
    wcs_release(all[0]->wcs);
    all[0]->wcs = NULL;
    ck_assert_int_eq(build(all, 1, 1, NULL, NULL, &c, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "assign_wcs"));
    ck_assert_ptr_null(c);
    exposure_free(all[0]);
    exposure_free(all[1]);
}
END_TEST

/* The same background was taken off, and its noise is known. */
static void share_background(struct exposure *e)
{
    static const char *const names[] = {"sky_cal.fits"};
    struct err err = {0};
    const size_t n = (size_t)NX * NY;
    support_ok(background_record(&e->primary, names, 1, true, &err), &err);
    e->var_background = mem_alloc(n, sizeof *e->var_background, &err);
    for (size_t p = 0; p < n; p++) {
        e->var_background[p] = 1e-4f * (float)(p % 13);
    }
}

static void check_same(const struct cube *a, const struct cube *b)
{
    const size_t n = voxels(a);
    ck_assert_uint_eq(n, voxels(b));
    ck_assert_int_eq(memcmp(a->sci, b->sci, n * sizeof *a->sci), 0);
    ck_assert_int_eq(memcmp(a->err, b->err, n * sizeof *a->err), 0);
    ck_assert_int_eq(memcmp(a->dq, b->dq, n * sizeof *a->dq), 0);
    ck_assert_int_eq(memcmp(a->wmap, b->wmap, n * sizeof *a->wmap), 0);
    ck_assert(!a->var_background == !b->var_background);
    if (a->var_background) {
        ck_assert_int_eq(
            memcmp(a->var_background, b->var_background, n * sizeof *a->sci), 0);
    }
    ck_assert_uint_eq(a->covariance->n, b->covariance->n);
    ck_assert_int_eq(memcmp(a->covariance->factor, b->covariance->factor,
                            a->covariance->n * sizeof *a->covariance->factor),
                     0);
}

/* A cube that is too large for its memory lies in a file, is made in ranges of planes, each
 * from all exposures, and is the same to the bit; beyond max_file it is refused. */
START_TEST(test_cube_build_in_ranges)
{
    static const char *const ways[] = {"drizzle 0.08 true", "emsm 0.04 false"};
    struct err err = {0};
    struct exposure *all[2] = {make(2, 0.1f, 0), make(3, 0.1f, 0.1)};
    for (int i = 0; i < 2; i++) {
        for (size_t p = 0; p < (size_t)NX * NY; p++) {
            all[i]->sci[p] += 0.01f * (float)(p % 97);
        }
        share_background(all[i]);
    }
    for (int w = 0; w < 2; w++) {
        struct cube *whole = NULL, *c = NULL;
        char values[60];
        scratch = NULL;
        support_ok(
            build(all, 2, 2, "weighting scalexy linear_wave", ways[w], &whole, &err),
            &err);
        const double bytes = 24 * (double)voxels(whole);
        ck_assert_int_eq(n_opened, 4);
        scratch = kit.folder;
        for (int threads = 1; threads <= 2; threads++) {
            snprintf(values, sizeof values, "%s %.6f", ways[w], bytes / 1e9 / 2.5);
            support_ok(build(all, 2, threads,
                             "weighting scalexy linear_wave max_memory", values, &c,
                             &err),
                       &err);
            ck_assert_ptr_nonnull(c->file);
            ck_assert_int_eq(n_opened, 2 + 2 * 3); /* three ranges */
            check_same(c, whole);
            cube_free(c);
            c = NULL;
        }
        snprintf(values, sizeof values, "%s %.6f %.6f", ways[w], bytes / 1e9 / 2.5,
                 bytes / 1e9 / 1.5);
        ck_assert_int_eq(build(all, 2, 2,
                               "weighting scalexy linear_wave max_memory max_file",
                               values, &c, &err),
                         ERR_PARAM);
        ck_assert_ptr_nonnull(strstr(err.message, "more than max_file = "));
        ck_assert_ptr_null(c);
        cube_free(whole);
    }
    scratch = NULL;
    exposure_free(all[0]);
    exposure_free(all[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_build");
    TCase *t = tcase_create("cube_build");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_cube_build_constant_sky);
    tcase_add_test(t, test_cube_build_same_for_any_threads);
    tcase_add_test(t, test_cube_build_parameters);
    tcase_add_test(t, test_cube_build_ifualign);
    tcase_add_test(t, test_cube_build_internal);
    tcase_add_test(t, test_cube_build_offsets);
    tcase_add_test(t, test_cube_build_tables);
    tcase_add_test(t, test_cube_build_chosen);
    tcase_add_test(t, test_cube_build_max_memory);
    tcase_add_test(t, test_cube_build_in_ranges);
    tcase_add_test(t, test_cube_build_refuses);
    suite_add_tcase(s, t);
    return support_run(s);
}
