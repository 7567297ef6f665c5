#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/data/wcs_map.h"
#include "common/data/wcs_private.h"
#include "common/math/rng.h"
#include "stages/outlier_expected.h"
#include "tests/data/wcs_fixture.h"
#include "tests/support.h"
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A star with a line, and the line everywhere, through a made-up spectrograph:
 * three dithers, with hits at known pixels in one of them.
 */
enum { NX = 500, NY = 260, N = NX * NY, MOST = 3 };
#define LINE_UM 3.5
#define LINE_COLUMNS 1.2 /* sigma */
#define NOISE 0.1f

static struct wcs_fixture *fixture;
static struct exposure *exposures[MOST];
static size_t n_exposures;
static double star_ra, star_dec;
/* Of the first exposure: within 0.15 arcsec of the star; neither line nor star.
 */
static bool is_star[N], is_plain[N];

static void fill(struct exposure *e, uint64_t seed, bool first)
{
    static double ra[WCS_PIECE], dec[WCS_PIECE], um[WCS_PIECE];
    struct rng rng;
    rng_init(&rng, seed, 0);
    for (int y = 0; y < NY; y++) {
        struct wcs_piece p = {.row = y};
        while (wcs_next_piece(e->regions + y * NX, NX, &p)) {
            wcs_map_centres(e->wcs, &p, ra, dec, um);
            for (int i = 0; i < p.n; i++) {
                const int at = y * NX + p.first + i;
                const double column =
                    p.n > 1 ? fabs(um[i ? i : 1] - um[i ? i - 1 : 0]) : 1;
                const double off =
                    3600 * hypot((ra[i] - star_ra) * cos(star_dec * M_PI / 180),
                                 dec[i] - star_dec);
                const double z = (um[i] - LINE_UM) / (LINE_COLUMNS * column);
                const double star = 100 * exp(-0.5 * pow(off / 0.06, 2));
                const double line = exp(-0.5 * z * z) * (star * 3 + 20);
                const double light = 1 + star + line;
                e->err[at] = NOISE * (float)sqrt(light);
                e->sci[at] = (float)(light + (double)e->err[at] * rng_normal(&rng));
                e->dq[at] = 0;
                if (first) {
                    is_star[at] = off < 0.15;
                    is_plain[at] = light < 1.1;
                }
            }
        }
    }
}

static struct exposure *make(size_t k)
{
    static const double dither[MOST] = {0, 0.23, -0.14};
    struct err err = {0};
    struct exposure *e = exposure_new(NX, NY, &err);
    e->meta = wcs_fixture_meta();
    e->meta.substrt1 = 700;
    e->meta.substrt2 = 800;
    e->meta.dec_ref += dither[k] / 3600;
    snprintf(e->meta.filename, sizeof e->meta.filename, "e%zu_cal.fits", k);
    e->regions = mem_calloc(N, 1, &err);
    static const double slit[2] = {-0.55, 0.55};
    support_ok(wcs_build(&e->meta, NX, NY, &fixture->refs, slit, NULL, NULL, &e->wcs,
                         e->regions, NULL, &err),
               &err);
    e->sci = mem_alloc(N, sizeof *e->sci, &err);
    e->err = mem_alloc(N, sizeof *e->err, &err);
    e->dq = mem_calloc(N, sizeof *e->dq, &err);
    for (int i = 0; i < N; i++) {
        e->sci[i] = e->err[i] = NAN;
        e->dq[i] = DQ_DO_NOT_USE;
    }
    return e;
}

static void begin(size_t n)
{
    for (size_t k = 0; k < n; k++) {
        exposures[k] = make(k);
        if (k == 0) { /* the star stands in the middle of a slice in the window */
            double x = 250, y = 130, um;
            int slice = 0;
            for (; !slice; y++) {
                slice = exposures[0]->regions[(int)y * NX + 250];
            }
            y += 1;
            wcs_detector_to_sky(exposures[0]->wcs, slice, 1, &x, &y, &star_ra,
                                &star_dec, &um);
            memset(is_star, 0, sizeof is_star);
            memset(is_plain, 0, sizeof is_plain);
        }
        fill(exposures[k], 40 + k, k == 0);
    }
    n_exposures = n;
}

static void end(void)
{
    for (size_t k = 0; k < n_exposures; k++) {
        exposure_free(exposures[k]);
    }
}

static struct outlier_hits *find(int threads)
{
    const struct outlier_expected p = {12, 5, 3, 4};
    struct dataset data = {.exposures = exposures, .n_exposures = n_exposures};
    struct outlier_hits *h = NULL;
    struct err err = {0};
    struct par *par;
    support_ok(par_new(threads, &par, &err), &err);
    const struct stage_env env = {.par = par};
    support_ok(outlier_expected_find(&env, &p, &data, &h, &err), &err);
    par_free(par);
    return h;
}

static enum outlier_reason reason_of(const struct outlier_list *list, int pixel)
{
    for (size_t k = 0; k < list->n; k++) {
        if (list->index[k] == (uint32_t)pixel) {
            return list->reason[k];
        }
    }
    return OUTLIER_KEPT;
}

/* Thirty hits of 2 x 3 pixels of the first exposure, off the star and the line,
 * 40 times the noise. */
enum { MOST_HITS = 30 };
static int hits[MOST_HITS];
static int n_hits;

static void hit(void)
{
    struct rng rng;
    rng_init(&rng, 17, 0);
    for (n_hits = 0; n_hits < MOST_HITS;) {
        const int y = (int)rng_below(&rng, NY - 2), x = (int)rng_below(&rng, NX - 3);
        bool inside = true;
        for (int k = 0; k < 6; k++) {
            inside &= is_plain[(y + k / 3) * NX + x + k % 3];
        }
        for (int k = 0; k < 6 && inside; k++) {
            const int at = (y + k / 3) * NX + x + k % 3;
            exposures[0]->sci[at] += 40 * exposures[0]->err[at];
            is_plain[at] = false; /* no pixel is hit twice */
        }
        if (inside) {
            hits[n_hits++] = y * NX + x;
        }
    }
}

/* Nearly all are found (two hits of one place and wavelength on two slices
 * would bear each other witness), by other exposures where those see the place;
 * beside them, and in other exposures, next to nothing: noise beyond 5 sigma is
 * one pixel in 1e6. */
static void check_hits(const struct outlier_hits *h, enum outlier_reason why)
{
    size_t found = 0;
    for (int i = 0; i < n_hits; i++) {
        for (int k = 0; k < 6; k++) {
            const enum outlier_reason r =
                reason_of(&h->lists[0], hits[i] + k / 3 * NX + k % 3);
            found += r == why || r == OUTLIER_ADJACENT || r == OUTLIER_TRACE_ABOVE;
        }
    }
    ck_assert_uint_ge(100 * found, 95 * 6 * (size_t)n_hits);
    ck_assert_uint_le(h->lists[0].n - found, 2);
    for (size_t k = 1; k < n_exposures; k++) {
        ck_assert_uint_le(h->lists[k].n, 2);
    }
}

START_TEST(test_expected_finds_hits)
{
    begin(3);
    hit();
    struct outlier_hits *h = find(2);
    ck_assert_str_eq(h->method, "EXPECTED");
    ck_assert_uint_eq(h->n_lists, 3);
    check_hits(h, OUTLIER_ABOVE);
    ck_assert_uint_gt(2 * h->lists[0].count[OUTLIER_ABOVE], h->lists[0].n);
    outlier_hits_free(h);
    end();
}
END_TEST

/* A WCS that was read from a file does not say which wavelengths it holds. */
START_TEST(test_expected_without_a_range)
{
    begin(3);
    hit();
    for (size_t k = 0; k < 3; k++) {
        exposures[k]->wcs->spectral_min = exposures[k]->wcs->spectral_max = (double)NAN;
    }
    struct outlier_hits *h = find(1);
    check_hits(h, OUTLIER_ABOVE);
    ck_assert_uint_gt(2 * h->lists[0].count[OUTLIER_ABOVE], h->lists[0].n);
    outlier_hits_free(h);
    end();
}
END_TEST

START_TEST(test_expected_of_one_exposure)
{
    begin(1);
    hit();
    struct outlier_hits *h = find(1);
    check_hits(h, OUTLIER_TRACE_ABOVE);
    outlier_hits_free(h);
    end();
}
END_TEST

/* Nothing is hit: the star's core and its line stay whole, in three exposures
 * and in one. */
START_TEST(test_expected_keeps_the_star)
{
    for (size_t n = 1; n <= 3; n += 2) {
        begin(n);
        int core = 0;
        for (int i = 0; i < N; i++) {
            core += is_star[i];
        }
        ck_assert_int_gt(core, 500);
        struct outlier_hits *h = find(1);
        for (size_t k = 0; k < h->lists[0].n; k++) {
            ck_assert(!is_star[h->lists[0].index[k]]);
        }
        ck_assert_uint_le(h->lists[0].n, 3);
        outlier_hits_free(h);
        end();
    }
}
END_TEST

START_TEST(test_expected_any_threads)
{
    struct outlier_hits *one = NULL;
    begin(3);
    hit();
    for (int threads = 1; threads <= 5; threads += 2) {
        struct outlier_hits *h = find(threads);
        for (size_t k = 0; k < 3 && one; k++) {
            const struct outlier_list *a = &one->lists[k], *b = &h->lists[k];
            ck_assert_uint_eq(a->n, b->n);
            if (a->n) { /* some have none */
                ck_assert_mem_eq(a->index, b->index, a->n * sizeof *a->index);
                ck_assert_mem_eq(a->reason, b->reason, a->n);
            }
        }
        outlier_hits_free(one);
        one = h;
    }
    outlier_hits_free(one);
    end();
}
END_TEST

START_TEST(test_expected_needs_a_wcs)
{
    const struct outlier_expected p = {12, 5, 3, 4};
    const struct stage_env env = {0};
    struct outlier_hits *h = NULL;
    struct err err = {0};
    begin(2);
    wcs_release(exposures[1]->wcs);
    exposures[1]->wcs = NULL;
    struct dataset data = {.exposures = exposures, .n_exposures = 2};
    ck_assert_int_eq(outlier_expected_find(&env, &p, &data, &h, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "e1_cal.fits"));
    end();
}
END_TEST

static void setup(void)
{
    fixture = wcs_fixture_new();
}

static void teardown(void)
{
    wcs_fixture_free(fixture);
}

int main(void)
{
    Suite *s = suite_create("outlier_expected");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_expected_finds_hits);
    tcase_add_test(t, test_expected_without_a_range);
    tcase_add_test(t, test_expected_of_one_exposure);
    tcase_add_test(t, test_expected_keeps_the_star);
    tcase_add_test(t, test_expected_any_threads);
    tcase_add_test(t, test_expected_needs_a_wcs);
    suite_add_tcase(s, t);
    return support_run(s);
}
