#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "tests/stages/cube_kit.h"
#include "tests/support.h"

static double total(const float *a)
{
    double sum = 0;
    for (size_t i = 0; i < (size_t)CUBE * CUBE * PLANES; i++) {
        sum += (double)a[i];
    }
    return sum;
}

/* The weights of a pixel are the volume of its footprint in spaxels and planes: nothing
 * is lost between tiles, and w f sums to f times that. */
START_TEST(test_cube_drizzle_conserves)
{
    struct cube_grid g;
    make_grid(&g);
    struct cube_trace *t = make_trace(1.3);
    struct exposure *e = make_exposure();
    struct cube_sums s = make_sums(&g, false);
    size_t used = 0;
    for (size_t i = 0; i < (size_t)NX * ROWS; i++) {
        e->sci[i] = (float)(1 + i % 17);
    }
    double flux = 0;
    for (size_t i = 0; i < (size_t)NX * ROWS; i++) {
        flux += (double)e->sci[i] * 0.012 / step;
    }
    add(&s, e, t, NULL, &used);
    ck_assert_uint_eq(used, (size_t)NX * ROWS);
    ck_assert_double_eq_tol(total(s.weight) / (NX * ROWS * 0.012 / step), 1, 1e-6);
    ck_assert_double_eq_tol(total(s.cube->sci) / flux, 1, 1e-6); /* float sums */
    free_sums(&s);
    exposure_free(e);
    cube_trace_free(t);
    cube_grid_done(&g);
}
END_TEST

/* Ones give ones; outside there is NaN; the error of a voxel is never above a pixel's. */
START_TEST(test_cube_drizzle_flat_field)
{
    struct cube_grid g;
    struct err err = {0};
    make_grid(&g);
    struct cube_trace *t = make_trace(1.3);
    struct exposure *e = make_exposure();
    struct cube_sums s = make_sums(&g, true);
    size_t used = 0, filled = 0, counted = 0;
    add(&s, e, t, NULL, &used);
    add(&s, e, t, NULL, &used);
    support_ok(cube_finish(&s, NULL, NULL, &filled, &err), &err);
    for (size_t i = 0; i < (size_t)CUBE * CUBE * PLANES; i++) {
        if (s.cube->wmap[i] > 0) {
            ck_assert_double_eq_tol((double)s.cube->sci[i], 1, 1e-6);
            ck_assert_double_le((double)s.cube->err[i],
                                0.5 * 0.7072); /* two exposures */
            ck_assert_uint_eq(s.cube->dq[i], 0);
            counted++;
        } else {
            ck_assert(isnan(s.cube->sci[i]) && isnan(s.cube->err[i]));
            ck_assert_uint_ne(s.cube->dq[i] & DQ_DO_NOT_USE, 0);
        }
    }
    ck_assert_uint_gt(filled, 1000);
    ck_assert_uint_eq(counted, filled);
    free_sums(&s);
    exposure_free(e);
    cube_trace_free(t);
    cube_grid_done(&g);
}
END_TEST

/* Four exposures that differ in nothing have half the error of one; where all of it is that
 * of one background, VAR_BKG holds what is missing to the error of one. */
START_TEST(test_cube_drizzle_shared_errors_do_not_average)
{
    struct cube_grid g;
    struct err err = {0};
    make_grid(&g);
    struct cube_trace *t = make_trace(1.3);
    struct exposure *e = make_exposure();
    struct cube_sums one = make_sums(&g, false), four = make_sums(&g, false);
    size_t used = 0, filled = 0, n = (size_t)CUBE * CUBE * PLANES;
    four.cube->var_background = mem_calloc(n, sizeof(float), &err);
    e->var_background = mem_alloc((size_t)NX * ROWS, sizeof(float), &err);
    for (size_t i = 0; i < (size_t)NX * ROWS; i++) {
        e->var_background[i] = 0.25F; /* ERR is 0.5 */
    }
    add(&one, e, t, NULL, &used);
    for (int k = 0; k < 4; k++) {
        add(&four, e, t, NULL, &used);
    }
    support_ok(cube_finish(&one, NULL, NULL, &filled, &err), &err);
    support_ok(cube_finish(&four, NULL, NULL, &filled, &err), &err);
    for (size_t i = 0; i < n; i++) {
        if (one.cube->wmap[i] > 0) {
            const double was = (double)one.cube->err[i], is = (double)four.cube->err[i];
            ck_assert_double_eq_tol(is, was / 2, 1e-6);
            ck_assert_double_eq_tol(
                sqrt(is * is + (double)four.cube->var_background[i]), was, 1e-6);
        }
    }
    free_sums(&one);
    free_sums(&four);
    exposure_free(e);
    cube_trace_free(t);
    cube_grid_done(&g);
}
END_TEST

START_TEST(test_cube_drizzle_same_for_any_threads)
{
    const size_t n = (size_t)CUBE * CUBE * PLANES;
    struct cube_grid g;
    struct err err = {0};
    make_grid(&g);
    struct cube_trace *t = make_trace(1.3);
    struct exposure *e = make_exposure();
    for (size_t i = 0; i < (size_t)NX * ROWS; i++) {
        e->sci[i] = (float)sin((double)i);
    }
    struct cube_sums first = make_sums(&g, true);
    size_t used = 0, filled = 0;
    add(&first, e, t, NULL, &used);
    support_ok(cube_finish(&first, NULL, NULL, &filled, &err), &err);
    for (int threads = 2; threads <= 8; threads *= 4) {
        struct par *par = NULL;
        support_ok(par_new(threads, &par, &err), &err);
        struct cube_sums s = make_sums(&g, true);
        add(&s, e, t, par, &used);
        support_ok(cube_finish(&s, par, NULL, &filled, &err), &err);
        ck_assert_int_eq(memcmp(s.cube->sci, first.cube->sci, n * sizeof(float)), 0);
        ck_assert_int_eq(memcmp(s.cube->err, first.cube->err, n * sizeof(float)), 0);
        ck_assert_int_eq(memcmp(s.cube->wmap, first.cube->wmap, n * sizeof(float)), 0);
        ck_assert_int_eq(memcmp(s.cube->dq, first.cube->dq, n * sizeof(uint32_t)), 0);
        free_sums(&s);
        par_free(par);
    }
    free_sums(&first);
    exposure_free(e);
    cube_trace_free(t);
    cube_grid_done(&g);
}
END_TEST

/* The recorded weights are those that the cube got (to its float sums), in the same order
 * for any number of threads. */
START_TEST(test_cube_drizzle_links)
{
    struct cube_grid g;
    struct err err = {0};
    make_grid(&g);
    struct cube_trace *t = make_trace(1.3);
    struct exposure *e = make_exposure();
    struct cube_links *links[2];
    for (int m = 0; m < 2; m++) {
        struct par *par = NULL;
        struct cube_sums s = make_sums(&g, false);
        size_t used = 0;
        support_ok(par_new(1 + 3 * m, &par, &err), &err);
        links[m] = s.links = cube_links_new(PLANES, &err);
        add(&s, e, t, par, &used);
        add(&s, e, t, par, &used);
        for (int i = 0; i < links[m]->n; i++) {
            const struct cube_linked_plane *p = &links[m]->planes[i];
            double sum[CUBE * CUBE] = {0};
            for (size_t n = 0; n < p->n_links; n++) {
                sum[p->links[n].spaxel] += (double)p->links[n].weight;
            }
            for (size_t v = 0; v < (size_t)CUBE * CUBE; v++) {
                const size_t at = (size_t)p->k * CUBE * CUBE + v;
                ck_assert_double_eq_tol(sum[v], (double)s.weight[at], 1e-5);
            }
        }
        par_free(par);
        free_sums(&s);
    }
    ck_assert_uint_gt(links[0]->planes[2].n_links, 100);
    for (int i = 0; i < links[0]->n; i++) {
        const struct cube_linked_plane *a = &links[0]->planes[i],
                                       *b = &links[1]->planes[i];
        ck_assert_uint_eq(a->n_links, b->n_links);
        ck_assert(!a->n_links ||
                  !memcmp(a->links, b->links, a->n_links * sizeof *a->links));
    }
    cube_links_free(links[0]);
    cube_links_free(links[1]);
    exposure_free(e);
    cube_trace_free(t);
    cube_grid_done(&g);
}
END_TEST

/* Bad pixels change nothing, whatever they hold. */
START_TEST(test_cube_drizzle_bad_pixels)
{
    struct cube_grid g;
    struct err err = {0};
    make_grid(&g);
    struct cube_trace *t = make_trace(1.3);
    struct exposure *e = make_exposure();
    struct cube_sums s = make_sums(&g, true);
    size_t used = 0, filled = 0;
    for (size_t i = 0; i < (size_t)NX * ROWS; i += 3) {
        e->sci[i] = i % 2 ? NAN : 1e6f;
        e->dq[i] = i % 2 ? 0 : i % 4 ? DQ_DO_NOT_USE : DQ_NON_SCIENCE;
    }
    e->dq[1] = DQ_JUMP_DET; /* counts */
    add(&s, e, t, NULL, &used);
    ck_assert_uint_eq(used, (size_t)NX * ROWS - (size_t)NX * ROWS / 3);
    support_ok(cube_finish(&s, NULL, NULL, &filled, &err), &err);
    for (size_t i = 0; i < (size_t)CUBE * CUBE * PLANES; i++) {
        if (s.cube->wmap[i] > 0) {
            ck_assert_double_eq_tol((double)s.cube->sci[i], 1, 1e-6);
        }
    }
    free_sums(&s);
    exposure_free(e);
    cube_trace_free(t);
    cube_grid_done(&g);
}
END_TEST

/* A pixel whose edge is outside the slit (NaN) and one beyond the cube add nothing. */
START_TEST(test_cube_drizzle_nan_footprint)
{
    struct cube_grid g;
    make_grid(&g);
    struct cube_trace *t = make_trace(1.3), *away = make_trace(9);
    struct exposure *e = make_exposure();
    struct cube_sums s = make_sums(&g, true);
    size_t used = 0;
    for (int b = 0; b < 3; b++) {
        for (int r = 0; r < 10; r++) {
            double *v = t->bands[b].values + (size_t)r * NX * CUBE_QUANTITIES;
            for (int i = 0; i < NX; i++) {
                v[(r % 2 ? CUBE_U1 : CUBE_U4) * NX + i] = NAN;
            }
        }
    }
    add(&s, e, t, NULL, &used);
    ck_assert_uint_eq(used, 0);
    add(&s, e, away, NULL, &used);
    ck_assert_uint_eq(used, 0);
    ck_assert_double_eq(total(s.weight), 0);
    free_sums(&s);
    exposure_free(e);
    cube_trace_free(t);
    cube_trace_free(away);
    cube_grid_done(&g);
}
END_TEST

/* One pixel, by hand: 0.6 of a plane and half a spaxel; and spaxels too fine for
 * polygon_cell_areas give the same total. */
START_TEST(test_cube_drizzle_one_pixel)
{
    struct cube_grid g;
    make_grid(&g);
    struct cube_trace *t = make_trace(1.3);
    struct exposure *e = make_exposure();
    for (size_t i = 0; i < (size_t)NX * ROWS; i++) {
        e->dq[i] = DQ_DO_NOT_USE;
    }
    e->dq[0] = 0;
    e->sci[0] = 7;
    double *v = t->bands[0].values;
    v[CUBE_LAM * NX] = g.z[60] + 0.004; /* planes 60 and 61 */
    v[CUBE_DLAM * NX] = 0.01;
    const double qx[4] = {10.5, 11.5, 11.5, 10.5}, qy[4] = {20, 20, 21, 21};
    for (int size = 1; size <= 18; size += 17) { /* 18: 324 spaxels, the fine way */
        for (int k = 0; k < 4; k++) {
            v[(CUBE_U1 + k) * NX] = 10.5 + (qx[k] - 10.5) * size;
            v[(CUBE_V1 + k) * NX] = 20 + (qy[k] - 20) * size;
        }
        struct cube_sums s = make_sums(&g, false);
        size_t used = 0;
        add(&s, e, t, NULL, &used);
        ck_assert_uint_eq(used, 1);
        const float *plane = s.weight + (size_t)60 * CUBE * CUBE;
        ck_assert_double_eq_tol((double)plane[20 * CUBE + 10], 0.3, 1e-6);
        ck_assert_double_eq_tol((double)plane[CUBE * CUBE + 20 * CUBE + 10], 0.2, 1e-6);
        ck_assert_double_eq_tol(total(s.weight), size * size, 1e-4);
        ck_assert_double_eq(
            (double)s.cube->wmap[(size_t)60 * CUBE * CUBE + 20 * CUBE + 10], 1);
        free_sums(&s);
    }
    exposure_free(e);
    cube_trace_free(t);
    cube_grid_done(&g);
}
END_TEST

/* A line at less than 45 degrees; a hole on it; holes at the rim are none. */
START_TEST(test_cube_fov_holes)
{
    struct cube_grid g;
    struct cube_extent slices[WCS_SLICES];
    uint32_t dq[CUBE * CUBE] = {0};
    float weight[CUBE * CUBE] = {0};
    make_grid(&g);
    cube_fov_clear(slices);
    slices[4] = (struct cube_extent){10.6, 30.6, 20.6, 20.7};
    slices[5] = (struct cube_extent){10.6, 10.6, 20.6, 20.7}; /* a single column: no */
    cube_fov_draw(&g, slices, dq);
    for (int i = 0; i < CUBE; i++) {
        ck_assert_uint_eq(dq[20 * CUBE + i], i >= 10 && i <= 30 ? CUBE_SEEN : 0);
    }
    for (int j = 18; j <= 22; j++) {
        for (int i = 8; i <= 32; i++) {
            weight[j * CUBE + i] = i == 15 && j == 20 ? 0 : 1;
        }
    }
    cube_fov_finish(CUBE, CUBE, weight, dq);
    ck_assert_uint_eq(dq[20 * CUBE + 15], DQ_DO_NOT_USE);
    ck_assert_uint_eq(dq[20 * CUBE + 16], 0);
    ck_assert_uint_eq(dq[20 * CUBE + 33], DQ_DO_NOT_USE | DQ_NON_SCIENCE);

    memset(dq, 0, sizeof dq);
    memset(weight, 0, sizeof weight);
    dq[20 * CUBE + 15] = CUBE_SEEN; /* nothing around: not a hole */
    dq[5] = CUBE_SEEN;
    cube_fov_finish(CUBE, CUBE, weight, dq);
    ck_assert_uint_eq(dq[20 * CUBE + 15], DQ_DO_NOT_USE | DQ_NON_SCIENCE);
    ck_assert_uint_eq(dq[5], DQ_DO_NOT_USE | DQ_NON_SCIENCE);
    cube_grid_done(&g);
}
END_TEST

START_TEST(test_cube_fov_extents)
{
    struct cube_grid g;
    struct cube_extent extents[3][WCS_SLICES];
    make_grid(&g);
    for (int k = 0; k < 3; k++) {
        cube_fov_clear(extents[k]);
    }
    /* planes 10, 11, 12; a pixel at plane 10.4 is nearer than a plane to 10 and 11 */
    cube_fov_add(&g, 10, 13, extents, g.dz_mean, 7, g.z[10] + 0.004, 5, 6);
    cube_fov_add(&g, 10, 13, extents, g.dz_mean, 7, g.z[10] + 0.004, 8, 3);
    ck_assert_double_eq(extents[0][6].u0, 5);
    ck_assert_double_eq(extents[1][6].u1, 8);
    ck_assert_double_eq(extents[1][6].v0, 3);
    ck_assert_double_eq(extents[0][6].v1, 6);
    ck_assert(extents[2][6].u0 > extents[2][6].u1);
    ck_assert(extents[0][5].u0 > extents[0][5].u1);
    /* outside the cube: nothing is drawn beyond the plane */
    uint32_t dq[CUBE * CUBE + 2] = {0};
    extents[0][6] = (struct cube_extent){-50, 500, -9, 300};
    cube_fov_draw(&g, extents[0], dq + 1);
    ck_assert_uint_eq(dq[0], 0);
    ck_assert_uint_eq(dq[CUBE * CUBE + 1], 0);
    cube_grid_done(&g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_drizzle");
    TCase *t = tcase_create("cube_drizzle");
    tcase_add_test(t, test_cube_drizzle_conserves);
    tcase_add_test(t, test_cube_drizzle_flat_field);
    tcase_add_test(t, test_cube_drizzle_shared_errors_do_not_average);
    tcase_add_test(t, test_cube_drizzle_same_for_any_threads);
    tcase_add_test(t, test_cube_drizzle_links);
    tcase_add_test(t, test_cube_drizzle_bad_pixels);
    tcase_add_test(t, test_cube_drizzle_nan_footprint);
    tcase_add_test(t, test_cube_drizzle_one_pixel);
    tcase_add_test(t, test_cube_fov_holes);
    tcase_add_test(t, test_cube_fov_extents);
    suite_add_tcase(s, t);
    return support_run(s);
}
