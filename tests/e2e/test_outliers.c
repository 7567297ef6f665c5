#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/cube_io.h"
#include "common/data/dq.h"
#include "common/data/exposure_io.h"
#include "common/data/fits_io.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"

/*
 * outlier_detection on simulated exposures whose cosmic rays are known: how many of the
 * pixels hit are rejected, how many others, and what a star loses that was not hit. The
 * same exposures without hits (same seeds, so the same noise) say how much charge a hit
 * left. A narrow window by default; whole frames with IFUD_OUTLIERS=full
 * (scripts/check-outliers). The figures are printed.
 */

/* Targets. */
#define FOUND 0.95      /* of pixels hit by more than 20 sigma */
#define FALSE_HITS 5e-4 /* of all others */
#define LOSS 0.003      /* of the flux at the star's core, in any plane */
#define STRONG 20       /* sigma */
#define CORE_ARCSEC 0.15

#define NAME(n) "jw01234001001_02101_0000" #n "_nrs1"
#define GROUP "jw01234-o001_simtarg_nirspec_g395h-f290lp"
static const char *const names[] = {NAME(1), NAME(2), NAME(3), NAME(4)};

static char *top;
static const char *window; /* options of ifusim */
static bool is_full;

static void setup(void)
{
    is_full = getenv("IFUD_OUTLIERS") != NULL;
    window = is_full ? "" : "--subarray 900,0,128,2048";
    top = support_folder();
    programs_run(top, "$B/ifusim --make-references refs >made.txt");
}

static void teardown(void)
{
    support_remove(top);
}

/* Calibrated exposures of a folder. */
static void simulate(const char *folder, const char *options)
{
    programs_run(top,
                 "$B/ifusim --references refs --output %s --detector NRS1 --dithers 4 "
                 "%s %s >made.txt",
                 folder, window, options);
    programs_run(top,
                 "$B/ifurun spec2 --references refs --output %s --stop-after photom "
                 "%s/*_rate.fits >log 2>&1",
                 folder, folder);
}

static struct exposure *read_exposure(const char *folder, const char *name)
{
    char path[200];
    struct err err = {0};
    struct exposure *e = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    support_ok(exposure_read(support_path(top, path), &e, &err), &err);
    return e;
}

static uint32_t *read_plane(const char *folder, const char *name, const char *extname)
{
    char path[200];
    struct err err = {0};
    struct fits_in *f = NULL;
    uint32_t *plane = NULL;
    int hdu;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    support_ok(fits_in_open(support_path(top, path), ERR_INPUT, &f, &err), &err);
    support_ok(fits_in_need(f, extname, &hdu, &err), &err);
    support_ok(fits_in_uint32s(f, hdu, &plane, &err), &err);
    fits_in_close(f);
    return plane;
}

/* ---- pixels ---- */

struct counts {
    size_t hit, found;       /* pixels hit by more than STRONG sigma */
    size_t other, false_hit; /* pixels not hit */
    size_t reasons[OUTLIER_REASONS];
};

static void count(const char *name, const char *crfs, struct counts *c)
{
    char cal[100], crf[100], truth[100];
    snprintf(cal, sizeof cal, "%s_cal.fits", name);
    snprintf(crf, sizeof crf, "%s_o001_crf.fits", name);
    snprintf(truth, sizeof truth, "%s_truth.fits", name);
    struct exposure *clean = read_exposure("clean", cal),
                    *dirty = read_exposure("hit", cal);
    uint32_t *cosmic = read_plane("hit", truth, "COSMIC"),
             *reason = read_plane(crfs, crf, "REASON");
    const size_t n = exposure_pixels(dirty);
    for (size_t i = 0; i < n; i++) {
        const float charge = dirty->sci[i] - clean->sci[i];
        if (dirty->dq[i] & DQ_DO_NOT_USE) {
            continue;
        }
        c->reasons[reason[i]]++;
        if (!cosmic[i]) {
            c->other++;
            c->false_hit += reason[i] != OUTLIER_KEPT;
        } else if (charge > STRONG * clean->err[i]) {
            c->hit++;
            c->found += reason[i] != OUTLIER_KEPT;
        }
    }
    exposure_free(clean);
    exposure_free(dirty);
    free(cosmic);
    free(reason);
}

static struct counts detect(size_t n, const char *method)
{
    struct counts c = {0};
    char inputs[400] = "";
    for (size_t i = 0; i < n; i++) {
        const size_t at = strlen(inputs);
        snprintf(inputs + at, sizeof inputs - at, " hit/%s_cal.fits", names[i]);
    }
    programs_run(top,
                 "rm -rf crf; $B/ifurun spec3 --references refs --output crf "
                 "--stop-after outlier_detection --set outlier_detection.method=%s%s "
                 ">log 2>&1",
                 method, inputs);
    for (size_t i = 0; i < n; i++) {
        count(names[i], "crf", &c);
    }
    printf(
        "%-9s %zu dithers: %zu of %zu pixels hit by more than %d sigma found "
        "(%.2f %%), %zu of %zu others rejected (%.4f %%); above %zu, below %zu, trace "
        "%zu + %zu, adjacent %zu\n",
        method, n, c.found, c.hit, STRONG, 100 * (double)c.found / (double)c.hit,
        c.false_hit, c.other, 100 * (double)c.false_hit / (double)c.other,
        c.reasons[OUTLIER_ABOVE], c.reasons[OUTLIER_BELOW],
        c.reasons[OUTLIER_TRACE_ABOVE], c.reasons[OUTLIER_TRACE_BELOW],
        c.reasons[OUTLIER_ADJACENT]);
    fflush(stdout);
    return c;
}

START_TEST(test_outliers_found)
{
    simulate("hit", is_full ? "--cosmic-rays 900" : "--cosmic-rays 1500");
    simulate("clean", "--truth false");
    for (size_t n = 4; n >= 1; n /= is_full ? 2 : 4) {
        const struct counts c = detect(n, "expected");
        ck_assert_uint_gt(c.hit, 50);
        ck_assert((double)c.found >= FOUND * (double)c.hit);
        ck_assert((double)c.false_hit <= FALSE_HITS * (double)c.other);
        ck_assert((n > 1) == (c.reasons[OUTLIER_ABOVE] > 0));
    }
    if (is_full) {
        detect(4, "peer");
    }
}
END_TEST

/* ---- the star ---- */

/* Flux within CORE_ARCSEC of the brightest spaxel, by plane; NaN where one is missing. */
static double core(const struct cube *c, int k, int at_i, int at_j)
{
    double sum = 0;
    for (int j = 0; j < c->ny; j++) {
        for (int i = 0; i < c->nx; i++) {
            const double off = 3600 * c->cdelt1 * hypot(i - at_i, j - at_j);
            if (off <= CORE_ARCSEC) {
                sum +=
                    (double)
                        c->sci[((size_t)k * (size_t)c->ny + (size_t)j) * (size_t)c->nx +
                               (size_t)i];
            }
        }
    }
    return sum;
}

static void find_star(const struct cube *c, int *ret_i, int *ret_j)
{
    double ra = 150.1163 + 0.08 / 3600 / cos(2.2058 * M_PI / 180);
    double dec = 2.2058 - 0.05 / 3600, least = INFINITY;
    for (int j = 0; j < c->ny; j++) {
        for (int i = 0; i < c->nx; i++) {
            double a, d;
            cube_spaxel_to_sky(c, i, j, &a, &d);
            const double off = hypot((a - ra) * cos(dec * M_PI / 180), d - dec);
            if (off < least) {
                least = off;
                *ret_i = i;
                *ret_j = j;
            }
        }
    }
}

static struct cube *cube_of(const char *folder, const char *settings, size_t n)
{
    char path[200], inputs[400] = "";
    struct err err = {0};
    struct cube *c = NULL;
    for (size_t i = 0; i < n; i++) {
        const size_t at = strlen(inputs);
        snprintf(inputs + at, sizeof inputs - at, " %s/%s_cal.fits", folder, names[i]);
    }
    programs_run(top,
                 "$B/ifurun spec3 --references refs --output %s/out --stop-after "
                 "cube_build --set outlier_detection.%s%s >log 2>&1",
                 folder, settings, inputs);
    snprintf(path, sizeof path, "%s/out/" GROUP "_s3d.fits", folder);
    support_ok(cube_read(support_path(top, path), &c, &err), &err);
    return c;
}

static void check_core(const char *brightness, size_t n)
{
    struct cube *whole = cube_of("star", "skip=true", n),
                *tested = cube_of("star", "method=expected", n);
    double worst = 0, sum = 0, all = 0;
    int i = 0, j = 0, planes = 0;
    find_star(whole, &i, &j);
    for (int k = 0; k < whole->nw; k++) {
        const double a = core(whole, k, i, j), b = core(tested, k, i, j);
        ck_assert(isnan(a) == isnan(b));
        if (!isnan(a)) {
            worst = fmax(worst, fabs(b / a - 1));
            sum += b;
            all += a;
            planes++;
        }
    }
    printf(
        "star of %s mJy, %zu dithers: flux at the core changes by %.1e, in the worst "
        "of %d planes by %.1e\n",
        brightness, n, sum / all - 1, planes, worst);
    fflush(stdout);
    ck_assert_int_gt(planes, 50);
    ck_assert(fabs(sum / all - 1) < LOSS);
    ck_assert(worst < LOSS);
    cube_free(whole);
    cube_free(tested);
}

START_TEST(test_outliers_keep_stars)
{
    static const char *const brightness[] = {"2", "0.05", "100", "1000"};
    char options[100];
    if (_i && !is_full) {
        return;
    }
    snprintf(options, sizeof options, "--truth false --source %s", brightness[_i]);
    simulate("star", options);
    check_core(brightness[_i], 4);
    check_core(brightness[_i], 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outliers");
    TCase *t = tcase_create("outliers");
    tcase_set_timeout(t, 1200);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_outliers_found);
    tcase_add_loop_test(t, test_outliers_keep_stars, 0, 4);
    suite_add_tcase(s, t);
    return support_run(s);
}
