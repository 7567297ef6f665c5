#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "tests/data/wcs_fixture.h"
#include "tests/stages/stage_kit.h"
#include "tests/support.h"

enum { NX = 600, NY = 300 };
static const double slit[2] = {-0.55, 0.55};
static struct wcs_fixture *fixture;
static struct stage_kit kit;

static void fill_cubepar(struct fits_out *f, const void *arg)
{
    static const char *const disperser[] = {"G395H"}, *const filter[] = {"F290LP"};
    static const float low[] = {2.9f}, high[] = {4.2f}, size[] = {0.1f},
                       step[] = {0.001f};
    const struct fits_column columns[] = {
        {.name = "DISPERSER", .type = FITS_STRING, .repeat = 5, .data = disperser},
        {.name = "FILTER", .type = FITS_STRING, .repeat = 6, .data = filter},
        {.name = "WAVEMIN", .type = FITS_FLOAT, .repeat = 1, .data = low},
        {.name = "WAVEMAX", .type = FITS_FLOAT, .repeat = 1, .data = high},
        {.name = "SPAXELSIZE", .type = FITS_FLOAT, .repeat = 1, .data = size},
        {.name = "SPECTRALSTEP", .type = FITS_FLOAT, .repeat = 1, .data = step}};
    struct err err = {0};
    (void)arg;
    support_ok(fits_out_table(f, "CUBEPAR", NULL, 1, columns, 6, &err), &err);
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

static int opened, most_open;

static int open_one(void *user, size_t i, bool pixels, struct exposure **ret,
                    struct err *err)
{
    struct exposure **all = user;
    (void)pixels;
    (void)err;
    opened++;
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

/* Run on exposures that come from a source, as in spec3. name NULL: no parameter. */
static int build(struct exposure **all, size_t n, int threads, const char *name,
                 const char *value, struct cube **ret, struct err *err)
{
    struct params *params = NULL;
    struct par *par = NULL;
    const struct stage *stage = &stage_cube_build;
    support_ok(params_new(stage->params, stage->n_params, &params, err), err);
    if (name) {
        support_ok(params_set(params, name, value, err), err);
    }
    support_ok(par_new(threads, &par, err), err);
    const struct exposure_source source = {n, open_one, close_one, all};
    struct stage_env env = {.par = par,
                            .refs = kit.refs,
                            .recipe = "spec3",
                            .override = path_of,
                            .stage_name = stage->name};
    struct dataset data = {.source = &source};
    opened = most_open = 0;
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
    struct params *p = NULL;
    support_ok(params_new(stage_cube_build.params, stage_cube_build.n_params, &p, &err),
               &err);
    ck_assert_int_eq(params_set(p, "weighting", "area", &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "drizzle"));
    ck_assert_int_eq(params_set(p, "coord_system", "ifualign", &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "skyalign"));
    ck_assert_int_eq(params_set(p, "output_type", "multi", &err), ERR_PARAM);
    params_free(p);
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
    strcpy(all[0]->meta.grating, "G395M");
    ck_assert_int_eq(build(all, 2, 1, NULL, NULL, &c, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "G395M/F290LP"));
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

int main(void)
{
    Suite *s = suite_create("cube_build");
    TCase *t = tcase_create("cube_build");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_cube_build_constant_sky);
    tcase_add_test(t, test_cube_build_same_for_any_threads);
    tcase_add_test(t, test_cube_build_parameters);
    tcase_add_test(t, test_cube_build_refuses);
    suite_add_tcase(s, t);
    return support_run(s);
}
