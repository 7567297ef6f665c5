#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/wcs_map.h"
#include "stages/cube_trace.h"
#include "tests/data/wcs_fixture.h"
#include "tests/support.h"

enum { NX = 700, NY = 400 };
static const double slit[2] = {-0.55, 0.55};
static const struct ref_cubepar_row row = {"G395H", "F290LP", 2.9, 4.2, 0.1, 0.000665};

static struct wcs_fixture *fixture;
static struct wcs *wcs;
static uint8_t *regions;
static struct cube_grid grid;

static void setup(void)
{
    struct err err = {0};
    struct exposure_meta m = wcs_fixture_meta();
    const struct cube_request rq = {.wave_min = NAN,
                                    .wave_max = NAN,
                                    .ra_center = NAN,
                                    .dec_center = NAN,
                                    .pa = NAN,
                                    .linear = true};
    const struct ref_cubepar_waves none = {0};
    double box[8], ra[4], dec[4];
    m.substrt1 = 700;
    m.substrt2 = 800;
    fixture = wcs_fixture_new();
    regions = malloc((size_t)NX * NY);
    support_ok(wcs_build(&m, NX, NY, &fixture->refs, slit, NULL, NULL, &wcs, regions,
                         NULL, &err),
               &err);
    wcs_footprint(wcs, box);
    for (int k = 0; k < 4; k++) {
        ra[k] = box[2 * k];
        dec[k] = box[2 * k + 1];
    }
    support_ok(cube_grid_set(&rq, &row, &none, "G395H", 4, ra, dec, &grid, &err), &err);
}

static void teardown(void)
{
    cube_grid_done(&grid);
    wcs_release(wcs);
    free(regions);
    wcs_fixture_free(fixture);
}

static struct cube_trace *make(bool exact, int threads)
{
    struct err err = {0};
    struct par *par = NULL;
    struct cube_trace *t = NULL;
    support_ok(par_new(threads, &par, &err), &err);
    support_ok(
        cube_trace_make(wcs, regions, NULL, NX, NY, exact, &grid, par, NULL, &t, &err),
        &err);
    par_free(par);
    return t;
}

/* The header's promise: 1e-6 spaxel of 0.1 arcsec, and 1e-6 of a pixel's interval. */
START_TEST(test_cube_trace_cubics)
{
    static double a[CUBE_QUANTITIES][CUBE_BLOCK], b[CUBE_QUANTITIES][CUBE_BLOCK];
    struct cube_trace *fast = make(false, 2), *exact = make(true, 1);
    size_t pixels = 0, cubics = 0, odd = 0;
    double worst[2] = {0, 0}; /* um, spaxels */
    ck_assert_uint_eq(fast->n_bands, exact->n_bands);
    for (size_t i = 0; i < fast->n_bands; i++) {
        ck_assert_uint_eq(fast->bands[i].n_blocks, exact->bands[i].n_blocks);
        for (size_t n = 0; n < fast->bands[i].n_blocks; n++) {
            const struct cube_block *p = &fast->bands[i].blocks[n];
            const struct cube_block *q = &exact->bands[i].blocks[n];
            ck_assert_int_eq(p->first, q->first);
            ck_assert_int_eq(p->n, q->n);
            ck_assert(q->listed);
            cube_block_values(&fast->bands[i], p, 0, CUBE_QUANTITIES, 0, p->n, a);
            cube_block_values(&exact->bands[i], q, 0, CUBE_QUANTITIES, 0, q->n, b);
            for (int k = 0; k < CUBE_QUANTITIES; k++) {
                for (int x = 0; x < p->n; x++) {
                    double d = fabs(a[k][x] - b[k][x]);
                    odd += isnan(a[k][x]) != isnan(b[k][x]);
                    worst[k >= CUBE_U0] =
                        d > worst[k >= CUBE_U0] ? d : worst[k >= CUBE_U0];
                }
            }
            pixels += (size_t)p->n;
            cubics += p->listed ? 0 : (size_t)p->n;
        }
    }
    ck_assert_uint_eq(odd, 0);
    ck_assert_double_lt(worst[0], 1e-6 * 0.000665);
    ck_assert_double_lt(worst[1], 1e-6);
    size_t mapped = 0;
    for (size_t i = 0; i < (size_t)NX * NY; i++) {
        mapped += regions[i] != 0;
    }
    ck_assert_uint_eq(pixels, mapped);
    ck_assert_uint_gt(cubics, mapped / 2);
    cube_trace_free(fast);
    cube_trace_free(exact);
}
END_TEST

/* Against the mapping of whole pixels that the WCS offers. */
START_TEST(test_cube_trace_is_the_wcs)
{
    static double v[CUBE_QUANTITIES][CUBE_BLOCK];
    static struct wcs_covered c;
    struct cube_trace *t = make(false, 1);
    size_t checked = 0;
    for (size_t i = 0; i < t->n_bands; i += 5) {
        for (size_t n = 0; n < t->bands[i].n_blocks; n += 7) {
            const struct cube_block *b = &t->bands[i].blocks[n];
            const struct wcs_piece piece = {b->row, b->first, b->n, b->slice};
            wcs_map_covered(wcs, &piece, &c);
            cube_block_values(&t->bands[i], b, 0, CUBE_QUANTITIES, 0, b->n, v);
            for (int x = 0; x < b->n; x++) {
                double u, w;
                ck_assert_double_eq_tol(v[CUBE_LAM][x], c.lam_um[x], 1e-9);
                ck_assert(isnan(c.dlam_um[x]) ||
                          fabs(v[CUBE_DLAM][x] - c.dlam_um[x]) < 1e-9);
                cube_grid_project(&grid, 1, &c.ra[x], &c.dec[x], &u, &w);
                ck_assert_double_eq_tol(v[CUBE_U0][x], u, 1e-6);
                ck_assert_double_eq_tol(v[CUBE_V0][x], w, 1e-6);
                for (int k = 0; k < 4; k++) {
                    cube_grid_project(&grid, 1, &c.corner_ra[k][x], &c.corner_dec[k][x],
                                      &u, &w);
                    ck_assert(isnan(u) == isnan(v[CUBE_U1 + k][x]));
                    ck_assert(isnan(u) || fabs(v[CUBE_U1 + k][x] - u) < 1e-6);
                    ck_assert(isnan(w) || fabs(v[CUBE_V1 + k][x] - w) < 1e-6);
                }
                checked++;
            }
        }
    }
    ck_assert_uint_gt(checked, 1000);
    cube_trace_free(t);
}
END_TEST

/* `times` samples a pixel, from row to row; `kink`: those of an odd row end in steps. */
static struct exposure_sampling *sample(int times, const uint8_t *map, double kink,
                                        uint8_t *ret_map)
{
    struct err err = {0};
    struct exposure_sampling *s = exposure_sampling_new(NX, NY * times, &err);
    ck_assert_ptr_nonnull(s);
    for (int k = 0; k < NY * times; k++) {
        for (int x = 0; x < NX; x++) {
            const size_t i = (size_t)k * NX + (size_t)x;
            ret_map[i] = map[(size_t)(k / times) * NX + (size_t)x];
            s->y_low[i] = -0.5 + (double)k / times;
            s->y_high[i] = -0.5 + (k + 1.0) / times - (x / 5 % 2 ? kink : 0);
        }
    }
    return s;
}

static struct cube_trace *make_sampled(int times, double kink)
{
    struct err err = {0};
    struct cube_trace *t = NULL;
    uint8_t *map = malloc((size_t)NX * NY * (size_t)times);
    struct exposure_sampling *s = sample(times, regions, kink, map);
    support_ok(cube_trace_make(wcs, map, s, NX, NY * times, false, &grid, NULL, NULL,
                               &t, &err),
               &err);
    exposure_sampling_free(s);
    free(map);
    return t;
}

/* Samples that are the pixels lie where the pixels lie, to the last bit. */
START_TEST(test_cube_trace_sampled_once)
{
    struct cube_trace *a = make(false, 1), *b = make_sampled(1, 0);
    ck_assert_uint_eq(a->n_bands, b->n_bands);
    for (size_t i = 0; i < a->n_bands; i++) {
        ck_assert_uint_eq(a->bands[i].n_blocks, b->bands[i].n_blocks);
        ck_assert_uint_eq(a->bands[i].n_values, b->bands[i].n_values);
        if (a->bands[i].n_values) { /* else there are none to look at */
            ck_assert_mem_eq(a->bands[i].values, b->bands[i].values,
                             a->bands[i].n_values * sizeof(double));
        }
    }
    cube_trace_free(a);
    cube_trace_free(b);
}
END_TEST

/* What each sample covers, in spaxels times um, summed in its pixel; NaN beyond the slit.
 * Returns how many blocks are listed. */
static size_t cover(const struct cube_trace *t, int times, double *ret)
{
    static double v[CUBE_QUANTITIES][CUBE_BLOCK];
    size_t listed = 0;
    for (size_t i = 0; i < (size_t)NX * NY; i++) {
        ret[i] = 0;
    }
    for (size_t i = 0; i < t->n_bands; i++) {
        for (size_t n = 0; n < t->bands[i].n_blocks; n++) {
            const struct cube_block *b = &t->bands[i].blocks[n];
            cube_block_values(&t->bands[i], b, 0, CUBE_QUANTITIES, 0, b->n, v);
            listed += b->listed;
            for (int x = 0; x < b->n; x++) {
                double area = 0;
                for (int k = 0; k < 4; k++) {
                    const int m = (k + 1) % 4;
                    area += v[CUBE_U1 + k][x] * v[CUBE_V1 + m][x] -
                            v[CUBE_U1 + m][x] * v[CUBE_V1 + k][x];
                }
                ret[b->row / times * NX + b->first + x] +=
                    fabs(area) / 2 * v[CUBE_DLAM][x];
            }
        }
    }
    return listed;
}

/* Two samples a pixel cover together what the pixel covers, so that flux is conserved;
 * 1e-4: sides of a pixel are not quite straight. */
START_TEST(test_cube_trace_sampled_twice)
{
    static double pixels[NX * NY], samples[NX * NY];
    struct cube_trace *a = make(false, 1), *b = make_sampled(2, 0);
    size_t compared = 0;
    cover(a, 1, pixels);
    cover(b, 2, samples);
    for (size_t i = 0; i < (size_t)NX * NY; i++) {
        if (pixels[i] > 0 && samples[i] > 0) {
            ck_assert_double_eq_tol(samples[i] / pixels[i], 1, 1e-4);
            compared++;
        }
    }
    ck_assert_uint_gt(compared, NX * 100);
    cube_trace_free(a);
    cube_trace_free(b);
}
END_TEST

/* Edges with steps are not what a cubic follows: such blocks are mapped sample by sample,
 * and cover what they say: 1 or 0.8 of a pixel. */
START_TEST(test_cube_trace_sampled_with_steps)
{
    static double whole[NX * NY], stepped[NX * NY];
    struct cube_trace *a = make_sampled(1, 0), *b = make_sampled(1, 0.2);
    const size_t before = cover(a, 1, whole), after = cover(b, 1, stepped);
    ck_assert_uint_gt(after, before);
    for (size_t i = 0; i < (size_t)NX * NY; i++) {
        if (whole[i] > 0 && stepped[i] > 0) {
            const double share = i % NX / 5 % 2 ? 0.8 : 1;
            ck_assert_double_eq_tol(stepped[i] / whole[i], share, 2e-3);
        }
    }
    cube_trace_free(a);
    cube_trace_free(b);
}
END_TEST

/* What lies beyond the cube's wavelengths is left out. */
START_TEST(test_cube_trace_leaves_out)
{
    struct cube_trace *all = make(false, 1);
    size_t n_all = 0, n_some = 0;
    int nw = grid.nw;
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < all->n_bands; i++) {
        n_all += all->bands[i].n_blocks;
        lo = fmin(lo, all->bands[i].lo);
        hi = fmax(hi, all->bands[i].hi);
    }
    grid.nw = cube_grid_plane(&grid, (lo + hi) / 2);
    struct cube_trace *some = make(false, 1);
    for (size_t i = 0; i < some->n_bands; i++) {
        n_some += some->bands[i].n_blocks;
    }
    grid.nw = nw;
    ck_assert_uint_gt(n_some, n_all / 4);
    ck_assert_uint_lt(n_some, n_all * 3 / 4);
    cube_trace_free(all);
    cube_trace_free(some);
}
END_TEST

/* The extremes of all pixels lie within the footprint's box and touch its sides. */
START_TEST(test_cube_trace_extremes)
{
    struct err err = {0};
    double box[8], ra[4], dec[4];
    wcs_footprint(wcs, box);
    support_ok(cube_extremes(wcs, 10, NULL, NULL, ra, dec, &err), &err);
    ck_assert_double_eq_tol(fmin(fmin(ra[0], ra[1]), fmin(ra[2], ra[3])), box[0], 1e-9);
    ck_assert_double_eq_tol(fmax(fmax(ra[0], ra[1]), fmax(ra[2], ra[3])), box[2], 1e-9);
    ck_assert_double_eq_tol(dec[2], box[1], 1e-9);
    ck_assert_double_eq_tol(dec[3], box[5], 1e-9);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_trace");
    TCase *t = tcase_create("cube_trace");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_cube_trace_cubics);
    tcase_add_test(t, test_cube_trace_is_the_wcs);
    tcase_add_test(t, test_cube_trace_leaves_out);
    tcase_add_test(t, test_cube_trace_extremes);
    tcase_add_test(t, test_cube_trace_sampled_once);
    tcase_add_test(t, test_cube_trace_sampled_twice);
    tcase_add_test(t, test_cube_trace_sampled_with_steps);
    suite_add_tcase(s, t);
    return support_run(s);
}
