#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/data/exposure_io.h"
#include "common/data/spectrum_io.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"

/*
 * Backgrounds through the programs: sky without any source, simulated, reduced, subtracted.
 * A narrow window shows that all fits together; with IFUD_BACKGROUND=full
 * (scripts/check-background) whole frames show that what is left is nothing but noise, of
 * the size that the errors say. The figures are printed.
 */

static char *top;

static void setup(void)
{
    top = support_folder();
    programs_run(top, "$B/ifusim --make-references refs >made.txt");
}

static void teardown(void)
{
    support_remove(top);
}

/* Exposures of blank sky into a folder. */
static void simulate(const char *folder, const char *options)
{
    programs_run(top,
                 "$B/ifusim --references refs --output %s --detector NRS1 --source 0 "
                 "--disc 0 --truth false %s >made.txt",
                 folder, options);
}

static const char *text_of(const struct header *h, const char *keyword)
{
    const char *value = "";
    header_get_string(h, keyword, &value);
    return value;
}

static bool is_there(const char *name)
{
    return access(support_path(top, name), R_OK) == 0;
}

#define NAME(n) "jw01234001001_02101_0000" #n "_nrs1"
#define GROUP "jw01234-o001_simtarg_nirspec_g395h-f290lp"
#define SKY "jw01234002001_02101_00001_nrs1"

/* ---- that it fits together --------------------------------------------------------- */

/* VAR_BKG goes the way of the other variances: its share of them is that of the rate. */
static void check_cal(const char *name)
{
    struct err err = {0};
    struct exposure *e = NULL;
    support_ok(exposure_read(support_path(top, name), &e, &err), &err);
    ck_assert_str_eq(text_of(&e->primary, "S_BKDSUB"), "COMPLETE");
    ck_assert_str_eq(text_of(&e->primary, "BKGEXPS"), SKY);
    ck_assert_ptr_nonnull(e->var_background);
    size_t n = 0;
    double share = 0;
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        if (isfinite(e->sci[i])) {
            share +=
                (double)(e->var_background[i] / (e->var_poisson[i] + e->var_rnoise[i]));
            n++;
        }
    }
    ck_assert_uint_gt(n, 1000);
    /* the same sky, twice: half of the variance, but for shot noise of rates below 0 */
    ck_assert_double_eq_tol(share / (double)n, 0.5, 0.01);
    exposure_free(e);
}

static void check_spectrum(const char *name, const char *status)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    support_ok(spectrum_read(support_path(top, name), &s, &err), &err);
    ck_assert_str_eq(text_of(&s->primary, "S_MSBSUB"), status);
    spectrum_free(s);
}

START_TEST(test_background_through_the_programs)
{
    const char *window = "--subarray 900,0,16,2048 --dithers 2";
    char options[200];
    simulate("sci", window);
    snprintf(options, sizeof options,
             "%s --dither 1 --background true --observation 002", window);
    simulate("sky", options);
    programs_run(top,
                 "for f in sci/*_rate.fits; do $B/ifurun spec2 --references refs "
                 "--output ded --background sky/" SKY "_rate.fits --stop-after photom "
                 "--set bkg_subtract.save_combined_background=true $f; done >log 2>&1");
    check_cal("ded/" NAME(1) "_cal.fits");
    ck_assert(is_there("ded/" NAME(2) "_combinedbackground.fits"));
    /* exposures that share a background; a background spectrum is then not taken off */
    programs_run(top, "$B/ifurun spec2 --references refs --output x sky/" SKY
                      "_rate.fits >log 2>&1");
    programs_run(top,
                 "$B/ifurun spec3 --references refs --output ded3 --background x/" SKY
                 "_x1d.fits ded/*_cal.fits >log 2>&1");
    check_spectrum("ded3/" GROUP "_x1d.fits", "SKIPPED");
    programs_run(top, "grep -q VAR_BKG ded3/" GROUP "_s3d.fits");
    programs_run(top, "for f in sci/*_rate.fits; do $B/ifurun spec2 --references refs "
                      "--output plain --stop-after photom $f; done >log 2>&1");
    programs_run(top,
                 "$B/ifurun spec3 --references refs --output mas --background x/" SKY
                 "_x1d.fits --set master_background.save_background=true "
                 "plain/*_cal.fits >log 2>&1");
    check_spectrum("mas/" GROUP "_x1d.fits", "COMPLETE");
    check_spectrum("mas/" GROUP "_masterbg1d.fits", "COMPLETE");
    /* and the product can be given as the user's own */
    programs_run(top, "$B/ifurun spec3 --references refs --output own "
                      "--set master_background.user_background=mas/" GROUP
                      "_masterbg1d.fits plain/*_cal.fits >log 2>&1");
    check_spectrum("own/" GROUP "_x1d.fits", "COMPLETE");
}
END_TEST

/* ---- that noise is left, and how much ---------------------------------------------- */

/* Of one spectrum of blank sky. */
struct left {
    size_t n;
    double chi2;   /* per degree of freedom */
    double mean;   /* MJy/sr */
    double sigmas; /* of the mean, in its own error */
};

/* Planes are correlated with their neighbours: drizzle shares pixels between them. */
static double correlation(const double *z, size_t n)
{
    double sum = 0, square = 0, factor = 1;
    for (size_t i = 0; i < n; i++) {
        square += z[i] * z[i];
    }
    for (size_t lag = 1; lag <= 2; lag++) {
        sum = 0;
        for (size_t i = lag; i < n; i++) {
            sum += z[i] * z[i - lag];
        }
        factor += 2 * sum / square;
    }
    return factor;
}

/* Rows within the wavelengths, where the whole aperture has data. */
static struct left measure(const char *name, double from_um, double to_um)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct left r = {0};
    double most = 0, variance = 0;
    support_ok(spectrum_read(support_path(top, name), &s, &err), &err);
    double *z = calloc(s->n, sizeof *z);
    ck_assert_ptr_nonnull(z);
    for (size_t i = 0; i < s->n; i++) {
        most = s->dq[i] ? most : fmax(most, s->npixels[i]);
    }
    for (size_t i = 0; i < s->n; i++) {
        if (!s->dq[i] && s->wavelength[i] > from_um && s->wavelength[i] < to_um &&
            s->npixels[i] > 0.9 * most) {
            z[r.n++] = s->surf_bright[i] / s->sb_error[i];
            r.chi2 += z[r.n - 1] * z[r.n - 1];
            r.mean += s->surf_bright[i];
            variance += s->sb_error[i] * s->sb_error[i];
        }
    }
    ck_assert_uint_gt(r.n, 500);
    r.chi2 /= (double)r.n;
    r.sigmas = r.mean / sqrt(variance * correlation(z, r.n));
    r.mean /= (double)r.n;
    free(z);
    spectrum_free(s);
    return r;
}

/* spec2 of all exposures of a folder, then spec3 and its spectrum. */
static void reduce(const char *folder, const char *of_each, const char *of_all)
{
    programs_run(top,
                 "for f in %s/*_rate.fits; do $B/ifurun spec2 --references refs "
                 "--output %s/out --stop-after photom %s $f; done >log 2>&1",
                 folder, folder, of_each);
    programs_run(top,
                 "$B/ifurun spec3 --references refs --output %s/out "
                 "--set extract_1d.subtract_background=false %s %s/out/*_cal.fits "
                 ">log 2>&1",
                 folder, of_all, folder);
}

static void report(const char *what, const char *type, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/out/" GROUP "_x1d.fits", name);
    const struct left r = measure(path, 2.95, 3.95);
    printf("%-12s %-9s %4zu planes  chi2 %.3f  mean %+.5f MJy/sr, %+.2f sigma\n", what,
           type, r.n, r.chi2, r.mean, r.sigmas);
    fflush(stdout);
    ck_assert(r.chi2 > 0.9 && r.chi2 < 1.1);
    ck_assert(fabs(r.sigmas) < 2);
}

/*
 * Four dithers, or nods, of blank sky; a sky exposure of the same length. The covariance of
 * voxels is what ifu_covar_scale stands for: it is measured on exposures without any sky and
 * with nothing subtracted, of other seeds.
 */
static void check_left_over(const char *type)
{
    char each[300], all[300], path[600];
    const bool point = !strcmp(type, "POINT");
    simulate("dark", "--dithers 4 --zodi 0 --seed 11");
    simulate("sci", "--dithers 4 --seed 21");
    simulate("sky", "--dithers 1 --background true --observation 002 --seed 31");
    snprintf(each, sizeof each, "--set srctype.source_type=%s", type);
    reduce("dark", each, "");
    const double covar = sqrt(measure("dark/out/" GROUP "_x1d.fits", 2.95, 3.95).chi2);
    printf("%-12s %-9s ifu_covar_scale %.3f\n", "no sky", type, covar);
    snprintf(all, sizeof all, "--set extract_1d.ifu_covar_scale=%.4f", covar);
    snprintf(each, sizeof each,
             "--set srctype.source_type=%s --background sky/" SKY "_rate.fits", type);
    reduce("sci", each, all);
    report("dedicated", type, "sci");
    programs_run(top, "rm -r sci/out");
    if (!point) {
        return;
    }
    /* The sky's spectrum within the aperture: the ends of slices are dark, and the mean over
     * the whole cube is less than the sky. */
    programs_run(top,
                 "$B/ifurun spec2 --references refs --output sky/out "
                 "--set srctype.source_type=POINT --set pathloss.source_type=EXTENDED "
                 "--set extract_1d.subtract_background=false %s sky/" SKY
                 "_rate.fits >log 2>&1",
                 all);
    snprintf(path, sizeof path, "%s --background sky/out/" SKY "_x1d.fits", all);
    reduce("sci", "--set srctype.source_type=POINT", path);
    report("master", type, "sci");
    simulate("nod", "--dithers 4 --nod 0.6 --seed 41");
    programs_run(
        top, "for f in nod/*_rate.fits; do b=; for g in nod/*_rate.fits; do "
             "[ $f = $g ] || b=\"$b --background $g\"; done; "
             "$B/ifurun spec2 --references refs --output nod/out --stop-after photom "
             "--set srctype.source_type=POINT $b $f; done >log 2>&1");
    programs_run(top,
                 "$B/ifurun spec3 --references refs --output nod/out "
                 "--set extract_1d.subtract_background=false %s nod/out/*_cal.fits "
                 ">log 2>&1",
                 all);
    report("nods", type, "nod");
}

START_TEST(test_background_leaves_noise)
{
    static const char *const types[] = {"EXTENDED", "POINT"};
    if (getenv("IFUD_BACKGROUND")) {
        check_left_over(types[_i]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("background");
    TCase *t = tcase_create("background");
    tcase_set_timeout(t, 1200);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_background_through_the_programs);
    tcase_add_loop_test(t, test_background_leaves_noise, 0, 2);
    suite_add_tcase(s, t);
    return support_run(s);
}
