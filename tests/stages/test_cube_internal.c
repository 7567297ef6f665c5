#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "stages/cube_internal.h"
#include "tests/data/wcs_fixture.h"
#include "tests/support.h"

enum { NX = 600, NY = 300 };
static const double slit[2] = {-0.55, 0.55};
/* wider than what falls on the exposure */
static const struct ref_cubepar_row row = {"G395H", "F290LP", 2.0, 6.0, 0.1, 0.001};
static const struct cube_request all_waves = {
    .wave_min = NAN, .wave_max = NAN, .linear = true, .exact = true};
static struct wcs_fixture *fixture;
static struct err err;

static void setup(void)
{
    fixture = wcs_fixture_new();
    err = (struct err){0};
}

static void teardown(void)
{
    wcs_fixture_free(fixture);
}

static struct exposure *make(float sci, float error)
{
    const size_t n = (size_t)NX * NY;
    struct exposure *e = exposure_new(NX, NY, &err);
    e->meta = wcs_fixture_meta();
    e->meta.substrt1 = 700;
    e->meta.substrt2 = 800;
    e->regions = mem_calloc(n, 1, &err);
    support_ok(wcs_build(&e->meta, NX, NY, &fixture->refs, slit, NULL, NULL, &e->wcs,
                         e->regions, NULL, &err),
               &err);
    e->sci = mem_alloc(n, sizeof *e->sci, &err);
    e->err = mem_alloc(n, sizeof *e->err, &err);
    e->dq = mem_calloc(n, sizeof *e->dq, &err);
    for (size_t i = 0; i < n; i++) {
        e->sci[i] = sci;
        e->err[i] = error;
    }
    return e;
}

struct made {
    struct cube_grid grid;
    struct cube_internal cells;
    struct cube_sums sums;
    size_t used;
};

static struct made build(const struct exposure *e, int threads)
{
    struct made m = {0};
    struct par *par = NULL;
    support_ok(par_new(threads, &par, &err), &err);
    support_ok(cube_internal_grid(e->wcs, &all_waves, &row, &m.grid, &m.cells, &err),
               &err);
    m.sums.cube = cube_new(m.grid.nx, m.grid.ny, m.grid.nw, &err);
    m.sums.weight = mem_calloc(
        (size_t)m.grid.nx * (size_t)m.grid.ny * (size_t)m.grid.nw, sizeof(float), &err);
    m.sums.grid = &m.grid;
    m.sums.k1 = m.grid.nw;
    support_ok(cube_internal_add(&m.sums, &m.cells, e, par, NULL, &m.used, &err), &err);
    m.sums.grid = NULL;
    par_free(par);
    return m;
}

static void made_free(struct made *m)
{
    cube_free(m->sums.cube);
    free(m->sums.weight);
    cube_grid_done(&m->grid);
}

static size_t voxels(const struct made *m)
{
    return (size_t)m->grid.nx * (size_t)m->grid.ny * (size_t)m->grid.nw;
}

/* Every pixel has one weight of 1 to give, ones give ones, for any number of threads. */
START_TEST(test_cube_internal_conserves)
{
    struct exposure *e = make(3, 0.5f);
    struct made m = build(e, 1), other = build(e, 5);
    const struct cube *c = m.sums.cube, *d = other.sums.cube;
    double weight = 0, flux = 0;
    for (size_t i = 0; i < voxels(&m); i++) {
        weight += (double)m.sums.weight[i];
        flux += (double)c->sci[i];
        if (m.sums.weight[i] > 0) {
            ck_assert_double_eq_tol((double)(c->sci[i] / m.sums.weight[i]), 3, 1e-5);
            ck_assert(c->wmap[i] >= 1);
        }
    }
    ck_assert_uint_gt(m.used, 10000);
    /* 1e-5: sums of floats */
    ck_assert_double_eq_tol(weight / (double)m.used, 1, 1e-5);
    ck_assert_double_eq_tol(flux / (double)m.used, 3, 3e-5);
    ck_assert(!memcmp(c->sci, d->sci, voxels(&m) * sizeof(float)));
    ck_assert(!memcmp(c->err, d->err, voxels(&m) * sizeof(float)));
    ck_assert(!memcmp(m.sums.weight, other.sums.weight, voxels(&m) * sizeof(float)));
    ck_assert_double_eq_tol(m.cells.step_along_m, m.cells.step_across_m / 2, 1e-12);
    /* the cell's area on the sky: its sides are orthogonal to 1 % of the area */
    const double across[3] = {0, m.cells.step_across_m, 0};
    const double along[3] = {0, 0, m.cells.step_along_m}, lam[3] = {4e-6, 4e-6, 4e-6};
    double ra[3], dec[3], um[3], side[2];
    wcs_slicer_to_sky(e->wcs, 3, across, along, lam, ra, dec, um);
    for (int k = 0; k < 2; k++) {
        side[k] =
            hypot((ra[k + 1] - ra[0]) * cos(dec[0] * M_PI / 180), dec[k + 1] - dec[0]) *
            M_PI / 180;
    }
    ck_assert_double_eq_tol(m.cells.spaxel_sr / (side[0] * side[1]), 1, 0.01);
    made_free(&m);
    made_free(&other);
    exposure_free(e);
}
END_TEST

/* One pixel lies in the column of its slice, where its corners say, and nowhere else. */
START_TEST(test_cube_internal_one_pixel)
{
    struct exposure *e = make(2, 0.5f);
    size_t p = (size_t)(NY / 2) * NX + NX / 2;
    while (!e->regions[p] || e->regions[p] != e->regions[p + NX]) {
        p++;
    }
    const int slice = e->regions[p];
    for (size_t i = 0; i < (size_t)NX * NY; i++) {
        e->dq[i] = i == p ? 0 : i % 2 ? DQ_DO_NOT_USE : DQ_NON_SCIENCE;
    }
    struct made m = build(e, 2);
    ck_assert_uint_eq(m.used, 1);
    double x[4], y[4], across[4], along[4], lam[4], sum = 0;
    for (int c = 0; c < 4; c++) { /* as in the peer half a pixel off */
        x[c] = (double)(p % NX) + (c == 1 || c == 2);
        y[c] = (double)(p / NX) + (c >= 2); /* NOLINT */
    }
    wcs_detector_to_slicer(e->wcs, slice, 4, x, y, across, along, lam);
    double low = fmin(fmin(lam[0], lam[1]), fmin(lam[2], lam[3])) * 1e6;
    double high = fmax(fmax(lam[0], lam[1]), fmax(lam[2], lam[3])) * 1e6;
    for (int k = 0; k < m.grid.nw; k++) {
        for (int j = 0; j < m.grid.ny; j++) {
            for (int i = 0; i < m.grid.nx; i++) {
                const size_t at = (size_t)((k * m.grid.ny + j) * m.grid.nx + i);
                const double w = (double)m.sums.weight[at];
                sum += w;
                if (w > 0) {
                    const double b = m.cells.along_m + (j + 0.5) * m.cells.step_along_m;
                    ck_assert_double_lt(fabs(b - along[0]), 2 * m.cells.step_along_m);
                    ck_assert(m.grid.z[k] + 0.0005 > low);
                    ck_assert(m.grid.z[k] - 0.0005 < high);
                    ck_assert_int_eq(i,
                                     slice % 2 ? 15 + (slice - 1) / 2 : 15 - slice / 2);
                    /* variances go with the square of the weight */
                    ck_assert_double_eq_tol((double)m.sums.cube->err[at], 0.25 * w * w,
                                            1e-6);
                }
            }
        }
    }
    ck_assert_double_eq_tol(sum, 1, 1e-6);
    made_free(&m);
    exposure_free(e);
}
END_TEST

/* The peer's planes start nearly where ours do and drift away by less than half a step;
 * where a range is given it reckons in doubles, as we do. */
START_TEST(test_cube_internal_rounded_planes)
{
    struct exposure *e = make(1, 1);
    struct cube_grid g[2];
    struct cube_internal cells;
    struct cube_request rq = all_waves;
    double worst = 0;
    for (int exact = 0; exact < 2; exact++) {
        rq.exact = exact;
        support_ok(cube_internal_grid(e->wcs, &rq, &row, &g[exact], &cells, &err),
                   &err);
    }
    ck_assert_int_eq(g[0].nw, g[1].nw);
    for (int k = 0; k < g[0].nw; k++) {
        ck_assert_double_eq_tol(g[1].z[k], 2.0005 + 0.001 * k, 1e-9);
        worst = fmax(worst, fabs(g[0].z[k] - g[1].z[k]));
    }
    ck_assert_double_gt(worst, 1e-6);
    ck_assert_double_lt(worst, 0.0005);
    cube_grid_done(&g[0]);
    rq.exact = false;
    rq.wave_min = 3;
    support_ok(cube_internal_grid(e->wcs, &rq, &row, &g[0], &cells, &err), &err);
    ck_assert_double_eq_tol(g[0].z[g[0].nw - 1], 5.9995, 1e-9);
    rq.wave_min = 6;
    ck_assert_int_eq(cube_internal_grid(e->wcs, &rq, &row, &g[0], &cells, &err),
                     ERR_PARAM);
    cube_grid_done(&g[0]);
    cube_grid_done(&g[1]);
    exposure_free(e);
}
END_TEST

/* Samples of adaptive_trace_model have no place in it. */
START_TEST(test_cube_internal_refuses_samples)
{
    struct exposure *e = make(1, 1);
    struct exposure_sampling sampling = {NULL, NULL};
    struct made m = build(e, 1);
    e->sampling = &sampling;
    m.sums.grid = &m.grid;
    ck_assert_int_eq(cube_internal_add(&m.sums, &m.cells, e, NULL, NULL, &m.used, &err),
                     ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "adaptive_trace_model"));
    e->sampling = NULL;
    made_free(&m);
    exposure_free(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_internal");
    TCase *t = tcase_create("cube_internal");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_cube_internal_conserves);
    tcase_add_test(t, test_cube_internal_one_pixel);
    tcase_add_test(t, test_cube_internal_rounded_planes);
    tcase_add_test(t, test_cube_internal_refuses_samples);
    suite_add_tcase(s, t);
    return support_run(s);
}
