#include <check.h>
#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/math/aperture.h"
#include "common/math/rng.h"
#include "stages/cube_links.h"
#include "tests/support.h"

enum { SIDE = 42, PLANES = 3 };
static const double scale = 0.1; /* arcsec */
static struct err err;

static struct cube_covariance *covariance(struct cube_links *l)
{
    struct cube_covariance *v = NULL;
    support_ok(cube_links_covariance(l, SIDE, SIDE, scale, NULL, NULL, &v, &err), &err);
    return v;
}

/* Every pixel fills a square of size x size spaxels alone. */
static struct cube_links *squares(int size)
{
    struct cube_links *l = cube_links_new(PLANES, &err);
    ck_assert_ptr_nonnull(l);
    for (int k = 0; k < PLANES; k++) {
        for (int p = 0; p < SIDE / size * (SIDE / size); p++) {
            for (int s = 0; s < size * size; s++) {
                const int i = p % (SIDE / size) * size + s % size,
                          j = p / (SIDE / size) * size + s / size;
                cube_links_add(l, k, (size_t)(j * SIDE + i), 0.5, (size_t)p, 1 + p % 7);
            }
        }
    }
    return l;
}

/* size^2 spaxels that hold the same number: the error of their sum is size times that of
 * independent ones; exact but for roundings. */
START_TEST(test_cube_links_squares)
{
    for (int size = 1; size <= 3; size++) {
        struct cube_links *l = squares(size);
        struct cube_covariance *v = covariance(l);
        ck_assert_double_eq_tol(v->factor[v->n - 1], size, 1e-12);
        /* the last row is a circle as large as the field */
        ck_assert_double_eq_tol(v->radius_arcsec[v->n - 1], scale * SIDE / sqrt(M_PI),
                                1e-9);
        for (size_t i = 1; i < v->n; i++) {
            ck_assert(v->radius_arcsec[i] > v->radius_arcsec[i - 1]);
        }
        cube_covariance_free(v);
        cube_links_free(l);
    }
}
END_TEST

/* Pixel p of a field of SIDE - 1 by SIDE - 1 is shared between four spaxels. */
static const double shares[4] = {0.42, 0.28, 0.18, 0.12};

static size_t spaxel_of(int p, int s)
{
    return (size_t)((p / (SIDE - 1) + s / 2) * SIDE + p % (SIDE - 1) + s % 2);
}

/*
 * The scatter of noise realisations through the same weights. 3000 of them know it to
 * 1.3 %; the table is a mean over places, which differ by 1 % for a circle this small:
 * 5 % is three times both together.
 */
START_TEST(test_cube_links_noise)
{
    enum { PIXELS = (SIDE - 1) * (SIDE - 1), DRAWS = 3000, TRIALS = 3 };
    static const double trial[TRIALS] = {3, 6, 12};
    struct cube_links *l = cube_links_new(1, &err);
    struct rng rng;
    rng_init(&rng, 4, 0);
    double *weight = mem_calloc((size_t)SIDE * SIDE, sizeof *weight, &err);
    double *value = mem_calloc((size_t)SIDE * SIDE, sizeof *value, &err);
    double *variance = mem_calloc((size_t)SIDE * SIDE, sizeof *variance, &err);
    for (int p = 0; p < PIXELS; p++) {
        for (int s = 0; s < 4; s++) {
            cube_links_add(l, 0, spaxel_of(p, s), shares[s], (size_t)p, 4);
            weight[spaxel_of(p, s)] += shares[s];
            variance[spaxel_of(p, s)] += 4 * shares[s] * shares[s];
        }
    }
    struct cube cube = {.covariance = covariance(l)};
    struct aperture *a[TRIALS] = {NULL};
    double sum2[TRIALS] = {0}, independent[TRIALS] = {0};
    for (int t = 0; t < TRIALS; t++) {
        support_ok(aperture_new(SIDE, SIDE, &a[t], &err), &err);
        aperture_ring(a[t], 20.3, 20.6, 0, trial[t], APERTURE_EXACT, 1);
        for (size_t i = 0; i < a[t]->n; i++) {
            const size_t v = a[t]->index[i];
            independent[t] += a[t]->weight[i] * variance[v] / (weight[v] * weight[v]);
        }
    }
    for (int d = 0; d < DRAWS; d++) {
        for (size_t v = 0; v < (size_t)SIDE * SIDE; v++) {
            value[v] = 0;
        }
        for (int p = 0; p < PIXELS; p++) {
            const double f = 2 * rng_normal(&rng);
            for (int s = 0; s < 4; s++) {
                value[spaxel_of(p, s)] += f * shares[s] / weight[spaxel_of(p, s)];
            }
        }
        for (int t = 0; t < TRIALS; t++) {
            double sum = 0;
            for (size_t i = 0; i < a[t]->n; i++) {
                sum += a[t]->weight[i] * value[a[t]->index[i]];
            }
            sum2[t] += sum * sum;
        }
    }
    for (int t = 0; t < TRIALS; t++) {
        const double measured = sqrt(sum2[t] / DRAWS / independent[t]);
        const double said = cube_covariance_factor(&cube, trial[t] * scale);
        ck_assert_msg(fabs(said / measured - 1) < 0.05, "radius %g: %g, measured %g",
                      trial[t], said, measured);
        ck_assert(said > 1.3); /* far from independent: the test says something */
        aperture_free(a[t]);
    }
    cube_covariance_free(cube.covariance);
    cube_links_free(l);
    free(weight);
    free(value);
    free(variance);
}
END_TEST

/* Planes are given up one by one when all together outgrow their room, the last one never;
 * what is left still counts. No data: no table. */
START_TEST(test_cube_links_full)
{
    struct cube_links *l = squares(2);
    const size_t all = l->planes[0].n_links * sizeof(struct cube_link) +
                       l->planes[0].n_pixels * sizeof(struct cube_linked_pixel);
    for (int keep = PLANES; keep > 0; keep--) {
        int left = 0;
        l->most_bytes = keep > 1 ? (size_t)keep * all : 0;
        cube_links_next_exposure(l);
        for (int i = 0; i < PLANES; i++) {
            left += !l->planes[i].full;
            ck_assert(!l->planes[i].full || !l->planes[i].links);
        }
        ck_assert_int_eq(left, keep);
        struct cube_covariance *v = covariance(l);
        ck_assert_double_eq_tol(v->factor[v->n - 1], 2, 1e-12);
        cube_covariance_free(v);
    }
    ck_assert(l->planes[1].full);
    cube_links_add(l, l->planes[1].k, 0, 1, 1, 1);
    ck_assert_uint_eq(l->planes[1].n_links, 0);
    cube_links_free(l);
    l = cube_links_new(PLANES, &err);
    ck_assert_ptr_null(covariance(l));
    cube_links_free(l);
}
END_TEST

/* Links of two exposures do not mix, though the pixels have the same number; planes that
 * do not take part and errors that are not finite are passed over. */
START_TEST(test_cube_links_apart)
{
    struct cube_links *l = cube_links_new(100, &err);
    const int k = l->planes[3].k;
    ck_assert(cube_links_within(l, k, k + 1));
    ck_assert(!cube_links_within(l, k + 1, k + 2));
    cube_links_add(l, k, 5, 1, 9, 1);
    cube_links_next_exposure(l);
    cube_links_add(l, k, 6, 1, 9, 1);
    cube_links_add(l, k + 1, 6, 1, 9, 1);
    cube_links_add(l, k, 7, 1, 10, NAN);
    ck_assert_uint_eq(l->planes[3].n_pixels, 2);
    ck_assert_uint_eq(l->planes[3].n_links, 2);
    struct cube_covariance *v = covariance(l);
    ck_assert_double_eq_tol(v->factor[v->n - 1], 1, 1e-12); /* independent */
    cube_covariance_free(v);
    cube_links_free(l);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_links");
    TCase *t = tcase_create("cube_links");
    tcase_add_test(t, test_cube_links_squares);
    tcase_add_test(t, test_cube_links_noise);
    tcase_add_test(t, test_cube_links_full);
    tcase_add_test(t, test_cube_links_apart);
    suite_add_tcase(s, t);
    return support_run(s);
}
