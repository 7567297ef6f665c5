#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "stages/cube_shepard.h"
#include "tests/stages/cube_kit.h"
#include "tests/support.h"

static struct err err;
static struct ref_cubepar_shepard region = {0.25, 0.015, 2, 0.01, 0.07};

static struct cube_shepard uniform(bool exponential)
{
    return (struct cube_shepard){exponential, 1, &region, region.roiw_um};
}

/* One pixel at (20.6, 18.9) spaxels, 0.003 um above the centre of plane 30. */
static struct cube_sums one_pixel(const struct cube_grid *g,
                                  const struct cube_shepard *shepard)
{
    struct cube_sums s = make_sums(g, false);
    struct exposure *e = make_exposure();
    struct cube_trace *t = make_trace(1);
    struct cube_block *b = &t->bands[0].blocks[0];
    double *v = t->bands[0].values;
    size_t used = 0;
    s.shepard = shepard;
    t->n_bands = 1; /* the others stay, and are freed below */
    t->bands[0].n_blocks = 1;
    e->sci[7] = 5;
    for (int i = 0; i < NX; i++) {
        e->dq[i] = i == 7 ? 0 : DQ_DO_NOT_USE;
    }
    v[CUBE_LAM * b->n + 7] = g->z[30] + 0.003;
    v[CUBE_U0 * b->n + 7] = 20.6;
    v[CUBE_V0 * b->n + 7] = 18.9;
    v[CUBE_U1 * b->n + 7] = NAN; /* corners do not matter */
    add(&s, e, t, NULL, &used);
    ck_assert_uint_eq(used, 1);
    t->n_bands = 3;
    cube_trace_free(t);
    exposure_free(e);
    return s;
}

/* Every voxel within the region has the weight of the formula, and no other has any; 1e-6:
 * sums are floats. */
static void check_weights(bool exponential)
{
    struct cube_grid g;
    make_grid(&g);
    g.reach = region.roiw_um;
    struct cube_shepard shepard = uniform(exponential);
    struct cube_sums s = one_pixel(&g, &shepard);
    int inside = 0;
    for (int k = 0; k < PLANES; k++) {
        for (int v = 0; v < CUBE * CUBE; v++) {
            const double dx = v % CUBE + 0.5 - 20.6, dy = v / CUBE + 0.5 - 18.9;
            const double dl = g.z[k] - (g.z[30] + 0.003);
            const size_t at = (size_t)k * CUBE * CUBE + (size_t)v;
            double w = 0;
            if (hypot(dx, dy) * 0.1 <= 0.25 && fabs(dl) <= 0.015) {
                const double d2 = dx * dx + dy * dy + dl * dl / (step * step);
                w = exponential ? exp(-d2 / (0.07 / 0.1)) : 1 / fmax(d2, 0.01);
                inside++;
            }
            ck_assert_double_eq_tol((double)s.weight[at], w, 1e-6 * w + 1e-300);
            ck_assert_double_eq_tol((double)s.cube->sci[at], 5 * w, 5e-6 * w + 1e-300);
            ck_assert_double_eq_tol((double)s.cube->err[at], 0.25 * w * w,
                                    1e-6 * w * w + 1e-300);
            ck_assert_double_eq((double)s.cube->wmap[at], w > 0 ? 1 : 0);
        }
    }
    ck_assert_int_eq(inside % 3, 0); /* planes 29, 30, 31 */
    ck_assert_int_gt(inside, 3 * 15);
    free_sums(&s);
    cube_grid_done(&g);
}

START_TEST(test_cube_shepard_emsm)
{
    check_weights(true);
}
END_TEST

START_TEST(test_cube_shepard_msm)
{
    check_weights(false);
}
END_TEST

/* Powers other than 2; softrad bounds the weight of a pixel on the centre of a voxel. */
START_TEST(test_cube_shepard_power)
{
    struct cube_grid g;
    make_grid(&g);
    struct ref_cubepar_shepard p = {0.25, 0.015, 3, 0.01, 0.07};
    struct cube_shepard shepard = {false, 1, &p, p.roiw_um};
    struct cube_voxel *voxels = mem_calloc(CUBE * CUBE, sizeof *voxels, &err);
    const struct cube_tile t = {.grid = &g, .k0 = 30, .k1 = 31, .voxels = voxels};
    const struct cube_pixel pixel = {1, 1, 0, 0};
    cube_shepard_pixel(&t, &shepard, g.z[30], 10.5, 10.5, &pixel);
    ck_assert_double_eq_tol(voxels[10 * CUBE + 10].weight, 100, 1e-9);
    ck_assert_double_eq_tol(voxels[10 * CUBE + 11].weight, 1, 1e-9);
    ck_assert_double_eq_tol(voxels[10 * CUBE + 12].weight, 1.0 / 8, 1e-9);
    ck_assert_double_eq(voxels[10 * CUBE + 13].weight, 0); /* 3 spaxels > 0.25 arcsec */
    free(voxels);
    cube_grid_done(&g);
}
END_TEST

/* Ones give ones, by both weightings; the result is that of any number of threads. */
START_TEST(test_cube_shepard_flat_field)
{
    const size_t n = (size_t)CUBE * CUBE * PLANES;
    struct cube_grid g;
    make_grid(&g);
    g.reach = region.roiw_um;
    struct cube_trace *t = make_trace(1.3);
    struct exposure *e = make_exposure();
    for (int m = 0; m < 2; m++) {
        struct cube_shepard shepard = uniform(m);
        struct cube_sums s[2];
        size_t used = 0, filled = 0, counted = 0;
        for (int p = 0; p < 2; p++) {
            struct par *par = NULL;
            support_ok(par_new(1 + 3 * p, &par, &err), &err);
            s[p] = make_sums(&g, true);
            s[p].shepard = &shepard;
            add(&s[p], e, t, par, &used);
            support_ok(cube_finish(&s[p], par, NULL, &filled, &err), &err);
            par_free(par);
        }
        for (size_t i = 0; i < n; i++) {
            if (s[0].cube->wmap[i] > 0) {
                ck_assert_double_eq_tol((double)s[0].cube->sci[i], 1, 1e-6);
                ck_assert_double_le((double)s[0].cube->err[i], 0.5 + 1e-6);
                counted++;
            }
        }
        ck_assert_uint_gt(counted, 1000);
        ck_assert_uint_eq(counted, filled);
        ck_assert(!memcmp(s[0].cube->sci, s[1].cube->sci, n * sizeof(float)));
        ck_assert(!memcmp(s[0].cube->err, s[1].cube->err, n * sizeof(float)));
        ck_assert(!memcmp(s[0].cube->dq, s[1].cube->dq, n * sizeof(uint32_t)));
        free_sums(&s[0]);
        free_sums(&s[1]);
    }
    exposure_free(e);
    cube_trace_free(t);
    cube_grid_done(&g);
}
END_TEST

/* A pixel of no planes of the cube, at its rim or beyond it, writes nothing astray. */
START_TEST(test_cube_shepard_rim)
{
    static const double places[][2] = {
        {-5, 5}, {0.1, 0.1}, {CUBE - 0.1, CUBE + 0.1}, {5, -5}, {CUBE + 9, 3}};
    struct cube_grid g;
    make_grid(&g);
    struct cube_shepard shepard = uniform(true);
    struct cube_voxel *voxels = mem_calloc(CUBE * CUBE * 2, sizeof *voxels, &err);
    const struct cube_tile t = {.grid = &g, .k0 = 0, .k1 = 2, .voxels = voxels};
    const struct cube_pixel pixel = {1, 1, 0, 0};
    double sum = 0;
    for (size_t i = 0; i < 5; i++) {
        cube_shepard_pixel(&t, &shepard, g.z[0] - 0.012, places[i][0], places[i][1],
                           &pixel);
        cube_shepard_pixel(&t, &shepard, 7, places[i][0], places[i][1], &pixel);
    }
    for (int v = 0; v < 2 * CUBE * CUBE; v++) {
        sum += voxels[v].overlaps;
        ck_assert(v < CUBE * CUBE || voxels[v].overlaps == 0); /* 0.022 um away */
    }
    ck_assert_double_gt(sum, 4);
    ck_assert_double_lt(sum, 20);
    free(voxels);
    cube_grid_done(&g);
}
END_TEST

/* ---- cubepar ---- */

static struct ref_cubepar_region regions[] = {
    {"G395H", "F290LP", {0.2, 0.001, 3, 0.5, 0.07}}};
static double um[] = {0.9, 1, 1.01, 1.02, 1.5};
static struct ref_cubepar_shepard table[] = {{9, 9, 9, 9, 9},
                                             {0.1, 0.01, 1, 0.1, 0.05},
                                             {0.2, 0.02, 2, 0.2, 0.06},
                                             {0.3, 0.03, 3, 0.3, 0.07},
                                             {9, 9, 9, 9, 9}};
static struct ref_cubepar par = {
    .regions = {NULL, regions, regions},
    .n_regions = {0, 1, 1},
    .waves = {{{0}}, {{0}, {0}, {5, um, table}}, {{0}, {0}, {5, um, table}}}};

static struct cube_shepard set_ok(const struct cube_shepard_request *rq,
                                  struct cube_grid *g)
{
    struct cube_shepard s;
    support_ok(cube_shepard_set(rq, &par, "G395H", "F290LP", g, &s, &err), &err);
    return s;
}

/* rois grows with fewer than four files for msm, not for emsm; weight_power stands in
 * place of cubepar's unless it is 0; what is given is taken as it is. */
START_TEST(test_cube_shepard_set_linear)
{
    static const struct {
        struct cube_shepard_request rq;
        double rois, roiw, power;
    } cases[] = {{{false, 0, 0, 2, 4}, 0.2, 0.001, 2},
                 {{false, 0, 0, 2, 3}, 0.3, 0.001, 2},
                 {{true, 0, 0, 2, 3}, 0.2, 0.001, 2},
                 {{false, 0, 0, 0, 8}, 0.2, 0.001, 3},
                 {{false, 0.15, 0.004, 2, 1}, 0.15, 0.004, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cube_grid g;
        make_grid(&g);
        struct cube_shepard s = set_ok(&cases[i].rq, &g);
        ck_assert_uint_eq(s.n, 1);
        ck_assert_double_eq_tol(s.at->rois_arcsec, cases[i].rois, 1e-12);
        ck_assert_double_eq_tol(s.at->roiw_um, cases[i].roiw, 1e-12);
        ck_assert_double_eq_tol(s.at->power, cases[i].power, 1e-12);
        ck_assert_double_eq_tol(g.reach, fmax(step, cases[i].roiw), 1e-12);
        ck_assert_double_eq_tol(s.fov_um, cases[i].roiw, 1e-12);
        cube_shepard_done(&s);
        cube_grid_done(&g);
    }
}
END_TEST

/* Tabulated planes have their own regions; a pixel takes that of the nearest plane. */
START_TEST(test_cube_shepard_set_table)
{
    struct cube_grid g;
    make_grid(&g);
    const struct cube_shepard_request rq = {true, 0, 0, 2, 2};
    g.linear = false;
    g.nw = 3; /* 1, 1.01, 1.02: rows 1 to 3 of the table */
    struct cube_shepard s = set_ok(&rq, &g);
    ck_assert_uint_eq(s.n, 3);
    for (int k = 0; k < 3; k++) {
        ck_assert_double_eq_tol(s.at[k].rois_arcsec, 1.5 * 0.1 * (k + 1), 1e-12);
        ck_assert_double_eq_tol(s.at[k].power, k + 1, 1e-12); /* the table's */
    }
    ck_assert_double_eq_tol(g.reach, 0.03, 1e-12);
    ck_assert_double_eq_tol(s.fov_um, 0.02, 1e-12);
    struct cube_voxel *voxels = mem_calloc(3 * CUBE * CUBE, sizeof *voxels, &err);
    const struct cube_tile t = {.grid = &g, .k0 = 0, .k1 = 3, .voxels = voxels};
    const struct cube_pixel pixel = {1, 1, 0, 0};
    cube_shepard_pixel(&t, &s, 1.004, 10.5, 10.5, &pixel); /* nearest: plane 0 */
    ck_assert_double_gt(voxels[10 * CUBE + 11].weight, 0); /* 0.1 arcsec */
    ck_assert_double_eq(voxels[10 * CUBE + 12].weight, 0); /* 0.2 > 0.15 */
    cube_shepard_pixel(&t, &s, 1.2, 30.5, 30.5, &pixel);   /* beyond the last plane */
    cube_shepard_pixel(&t, &s, 1.021, 20.5, 20.5, &pixel);
    ck_assert_double_gt(voxels[(2 * CUBE + 20) * CUBE + 24].weight, 0); /* 0.45 */
    ck_assert_double_eq(voxels[(2 * CUBE + 30) * CUBE + 30].weight, 0);
    free(voxels);
    cube_shepard_done(&s);
    cube_grid_done(&g);
}
END_TEST

START_TEST(test_cube_shepard_set_refuses)
{
    struct cube_grid g;
    struct cube_shepard s;
    make_grid(&g);
    struct cube_shepard_request rq = {true, 0, 0, 2, 4};
    ck_assert_int_eq(cube_shepard_set(&rq, &par, "G140M", "F100LP", &g, &s, &err),
                     ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "EMSM regions for G140M/F100LP"));
    g.linear = false;
    ck_assert_int_eq(cube_shepard_set(&rq, &par, "PRISM", "CLEAR", &g, &s, &err),
                     ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "PRISM"));
    g.linear = true;
    rq.rois_arcsec = 21;
    ck_assert_int_eq(cube_shepard_set(&rq, &par, "G395H", "F290LP", &g, &s, &err),
                     ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "rois = 21"));
    rq.rois_arcsec = 0;
    regions[0].shepard.scalerad = NAN;
    ck_assert_int_eq(cube_shepard_set(&rq, &par, "G395H", "F290LP", &g, &s, &err),
                     ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "SCALERAD"));
    regions[0].shepard.scalerad = 0.07;
    cube_grid_done(&g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_shepard");
    TCase *t = tcase_create("cube_shepard");
    tcase_add_test(t, test_cube_shepard_emsm);
    tcase_add_test(t, test_cube_shepard_msm);
    tcase_add_test(t, test_cube_shepard_power);
    tcase_add_test(t, test_cube_shepard_flat_field);
    tcase_add_test(t, test_cube_shepard_rim);
    tcase_add_test(t, test_cube_shepard_set_linear);
    tcase_add_test(t, test_cube_shepard_set_table);
    tcase_add_test(t, test_cube_shepard_set_refuses);
    suite_add_tcase(s, t);
    return support_run(s);
}
