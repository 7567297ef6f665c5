#include <check.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/base/sha256.h"
#include "common/data/exposure_io.h"
#include "common/data/fits_io.h"
#include "tests/support.h"

/*
 * The programs themselves, on an exposure of 300 x 130 pixels simulated through the
 * idealised instrument; then everything that can be wrong with what they are given.
 */

static char *top;      /* folder of this run */
static char rate[256]; /* the good exposure */

/* What a command has printed: standard output and standard error. */
static char out[1 << 16], err_text[1 << 16];

static void slurp(const char *name, char *to, size_t size)
{
    size_t n;
    char *text = support_read_file(support_path(top, name), &n);
    snprintf(to, size, "%s", text);
    free(text);
}

/* Run in the shell, with $B the programs' folder; returns the exit code. */
__attribute__((format(printf, 1, 2))) static int shell(const char *fmt, ...)
{
    char command[4096], whole[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    const char *bin = getenv("IFUD_BIN");
    snprintf(whole, sizeof whole,
             "cd '%s' && unset IFUD_REFERENCES CRDS_PATH && B='%s' && { %s ; } "
             ">stdout.txt 2>stderr.txt",
             top, bin ? bin : "build/bin", command);
    int status = system(whole);
    slurp("stdout.txt", out, sizeof out);
    slurp("stderr.txt", err_text, sizeof err_text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int lines(const char *text)
{
    int n = 0;
    for (; *text; text++) {
        n += *text == '\n';
    }
    return n;
}

/* It failed with this exit code and one line that holds `part`. */
static void failed(int got, int want, const char *part)
{
    ck_assert_msg(got == want, "exit code %d, not %d: %s", got, want, err_text);
    ck_assert_msg(lines(err_text) == 1, "not one line: %s", err_text);
    ck_assert_msg(strstr(err_text, part) != NULL, "no '%s' in: %s", part, err_text);
}

static void worked(int got)
{
    ck_assert_msg(got == 0, "exit code %d: %s", got, err_text);
}

static void hash_file(const char *name, char hash[65])
{
    struct err err = {0};
    support_ok(sha256_file(support_path(top, name), hash, NULL, &err), &err);
}

static void prepare(void)
{
    top = support_folder();
    worked(shell("$B/ifusim --make-references refs"));
    worked(shell("$B/ifusim --references refs --output . --detector NRS1 --dither 1 "
                 "--subarray 900,700,300,130 --truth false"));
    snprintf(rate, sizeof rate, "%.*s", (int)strcspn(out, "\n"), out);
}

static void cleanup(void)
{
    support_remove(top);
}

/* ---- what works ------------------------------------------------------------------- */

START_TEST(test_ifurun_spec2_and_its_manifest_again)
{
    static const char cal[] = "p/jw01234001001_02101_00001_nrs1_cal.fits",
                      manifest[] =
                          "p/jw01234001001_02101_00001_nrs1_spec2_manifest.json";
    char first[65], again[65];
    worked(shell("$B/ifurun spec2 --references refs --output p --stop-after photom "
                 "--save srctype,flat_field --threads 1 %s",
                 rate));
    ck_assert_int_eq(lines(out), 3);
    ck_assert_ptr_nonnull(strstr(out, "_cal.fits"));
    ck_assert_ptr_nonnull(strstr(out, "_srctype.fits"));
    ck_assert_ptr_nonnull(strstr(out, "_flat_field.fits"));
    ck_assert_ptr_nonnull(strstr(err_text, "photom 100 %"));
    hash_file(cal, first);
    for (int threads = 2; threads <= 8; threads *= 4) {
        unlink(support_path(top, cal));
        worked(shell("$B/ifurun %s --threads %d", manifest, threads));
        hash_file(cal, again);
        ck_assert_str_eq(first, again); /* bit-identical whatever the threads */
    }
    failed(shell("$B/ifurun %s --set photom.skip=true", manifest), 2, "--threads");
}
END_TEST

START_TEST(test_ifurun_spec3_of_two_dithers)
{
    static const char base[] = "c3/jw01234-o001_simtarg_nirspec_g395h-f290lp",
                      *const ends[] = {"_s3d.fits", "_x1d.fits"};
    char first[65], again[65], name[256];
    worked(shell("$B/ifusim --references refs --output d --detector NRS1 --dithers 2 "
                 "--subarray 900,700,300,130 --truth false --seed 5"));
    worked(
        shell("gzip -k d/*_00002_nrs1_rate.fits && $B/ifurun spec2 --references refs "
              "--output c2 d/*_00001_nrs1_rate.fits d/*_00002_nrs1_rate.fits.gz"));
    worked(shell("ls c2/*_00001_nrs1_cal.fits c2/*_00002_nrs1_x1d.fits "
                 "c2/*_00002_nrs1_s3d.fits"));
    worked(shell("$B/ifurun spec3 --references refs --output c3 --threads 1 "
                 "c2/*_cal.fits"));
    for (int threads = 2; threads <= 8; threads *= 4) {
        worked(shell("rm -rf once && cp -r c3 once && $B/ifurun "
                     "once/*_spec3_manifest.json --threads %d",
                     threads));
        for (size_t i = 0; i < 2; i++) {
            snprintf(name, sizeof name, "%s%s", base, ends[i]);
            hash_file(name, again);
            snprintf(name, sizeof name, "once%s%s", strchr(base, '/'), ends[i]);
            hash_file(name, first);
            ck_assert_str_eq(first, again);
        }
    }
    /* What outlier_detection leaves, exposure by exposure, under the observation. */
    worked(shell("$B/ifurun spec3 --references refs --output crf --stop-after "
                 "outlier_detection c2/*_cal.fits"));
    ck_assert_int_eq(lines(out), 2);
    worked(shell("ls crf/jw01234001001_02101_00002_nrs1_o001_crf.fits && grep -c "
                 "REASON crf/*_00001_nrs1_o001_crf.fits && "
                 "$B/ifurun spec3 --references refs --output crf3 c2/*_cal.fits "
                 "--set outlier_detection.threshold_percent=99"));
    /* Calibrated with other references than those that now build the WCS: it is told. */
    worked(shell("mkdir -p others && cp refs/*.asdf refs/*cubepar* others/ && "
                 "mv others/ideal_camera.asdf others/other_camera.asdf && "
                 "$B/ifurun spec3 --references others --output c4 c2/*_cal.fits"));
    ck_assert_ptr_nonnull(
        strstr(err_text, "was made with camera ideal_camera.asdf, its WCS is now built "
                         "with other_camera.asdf"));
}
END_TEST

START_TEST(test_ifurun_refs_says_why)
{
    worked(shell("$B/ifurun refs --references refs %s", rate));
    ck_assert_int_ge(lines(out), 18);
    ck_assert_ptr_nonnull(strstr(out, "ideal_disperser_G395H.asdf"));
    ck_assert_ptr_nonnull(strstr(out, "grating G395H"));
    worked(shell("CRDS_PATH=none IFUD_REFERENCES=refs $B/ifurun refs %s", rate));
    worked(shell("mkdir -p crds && ln -sfn ../refs crds/references && CRDS_PATH=crds "
                 "$B/ifurun refs %s",
                 rate));
}
END_TEST

START_TEST(test_ifurun_wcs_of_pixels)
{
    worked(shell("printf '100 61\\n100 61.25\\n100 30\\n-7 3\\nnan 1\\n' | "
                 "$B/ifurun wcs --references refs %s",
                 rate));
    double v[5][5];
    int slice[5], used;
    const char *at = out;
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(sscanf(at, "%lf %lf %d %lf %lf %lf%n", &v[i][0], &v[i][1],
                                &slice[i], &v[i][2], &v[i][3], &v[i][4], &used),
                         6);
        at += used;
    }
    ck_assert_int_eq(slice[0], 27);
    ck_assert_int_eq(slice[1], 27); /* that of the nearest pixel */
    ck_assert_int_eq(slice[2], 0);
    ck_assert_int_eq(slice[3], 0);
    ck_assert_int_eq(slice[4], 0);
    ck_assert(fabs(v[0][2] - 150.1163) < 0.001 && fabs(v[0][3] - 2.2058) < 0.001);
    ck_assert(v[0][4] > 2.8 && v[0][4] < 5.4);
    ck_assert(v[1][4] != v[0][4]);
    ck_assert(isnan(v[2][2]) && isnan(v[3][3]) && isnan(v[4][4]));
    failed(shell("echo 1 | $B/ifurun wcs --references refs %s", rate), 1, "line 1");
}
END_TEST

START_TEST(test_ifurun_help_comes_from_the_tables)
{
    worked(shell("$B/ifurun --help"));
    ck_assert_ptr_nonnull(strstr(out, "spec3"));
    ck_assert_ptr_nonnull(strstr(out, "user_supplied_flat"));
    worked(shell("$B/ifurun stages"));
    ck_assert_ptr_nonnull(strstr(out, "wavelengthrange"));
    ck_assert_ptr_nonnull(strstr(out, "outlier_detection"));
    worked(shell("$B/ifurun --version"));
    ck_assert_int_eq(strncmp(out, "ifurun ", 7), 0);
}
END_TEST

/* ---- wrong use -------------------------------------------------------------------- */

START_TEST(test_ifurun_usage_is_exit_code_2)
{
    ck_assert_int_eq(shell("$B/ifurun"), 2);
    failed(shell("$B/ifurun spec4 x"), 2, "no command 'spec4'");
    failed(shell("$B/ifurun spec2"), 2, "at least one file");
    failed(shell("$B/ifurun spec2 --bogus x"), 2, "--bogus");
    failed(shell("$B/ifurun spec2 --threads 0 x"), 2, "1 to 1024");
    failed(shell("$B/ifurun spec2 --set photom x"), 2, "stage.parameter=value");
    failed(shell("$B/ifurun spec2 --set photon.skip=true x"), 2,
           "did you mean 'photom'?");
    failed(shell("$B/ifurun spec2 --set photom.inverze=true x"), 2,
           "did you mean 'inverse'?");
    failed(shell("$B/ifurun spec3 --set assign_mtwcs.skip=false x"), 2, "not built");
    failed(shell("$B/ifurun spec2 --save fotom x"), 2, "did you mean 'photom'?");
    failed(shell("$B/ifurun spec2 --stop-after"), 2, "--stop-after");
    failed(shell("$B/ifurun refs"), 2, "one exposure");
    failed(shell("$B/ifurun spec2 --set outlier_detection.skip=true x"), 2,
           "no stage 'outlier_detection'");
}
END_TEST

/* ---- bad input -------------------------------------------------------------------- */

#define STAGE "$B/ifurun spec2 --references refs --output bad --stop-after assign_wcs "

START_TEST(test_ifurun_truncated_exposure)
{
    worked(shell("cp %s t_rate.fits", rate));
    support_truncate(support_path(top, "t_rate.fits"), 100000);
    failed(shell(STAGE "t_rate.fits"), 1, "t_rate.fits");
    ck_assert_int_eq(access(support_path(top, "t_rate.fits"), F_OK), 0);
    support_truncate(support_path(top, "t_rate.fits"), 10);
    failed(shell(STAGE "t_rate.fits"), 1, "t_rate.fits");
    failed(shell(STAGE "absent_rate.fits"), 1, "absent_rate.fits");
}
END_TEST

START_TEST(test_ifurun_rate_without_sci)
{
    struct exposure *e = support_exposure(8, 4, 1, 1, "NRS1", "F290LP", "G395H");
    struct fits_out *f = NULL;
    struct err err = {0};
    support_ok(fits_out_create(support_path(top, "no-sci_rate.fits"), &f, &err), &err);
    support_ok(fits_out_primary(f, &e->primary, &err), &err);
    support_ok(fits_out_close(f, &err), &err);
    exposure_free(e);
    failed(shell(STAGE "no-sci_rate.fits"), 1, "SCI");
    ck_assert_ptr_nonnull(strstr(err_text, "no-sci_rate.fits"));
}
END_TEST

/* Headers alone are enough for the WCS; here the grating stands where it never does. */
START_TEST(test_ifurun_slice_without_wavelengths)
{
    struct exposure *e = support_exposure(8, 4, 1, 1, "NRS1", "F290LP", "G395H");
    struct fits_out *f = NULL;
    struct err err = {0};
    const size_t axes[2] = {2048, 2048};
    float *pixels = calloc(axes[0] * axes[1], sizeof *pixels);
    ck_assert(pixels != NULL);
    support_ok(header_set_real(&e->primary, "GWA_YTIL", 5.0, NULL, &err), &err);
    support_ok(header_set_int(&e->primary, "SUBSIZE1", 2048, NULL, &err), &err);
    support_ok(header_set_int(&e->primary, "SUBSIZE2", 2048, NULL, &err), &err);
    support_ok(fits_out_create(support_path(top, "tilt_rate.fits"), &f, &err), &err);
    support_ok(fits_out_primary(f, &e->primary, &err), &err);
    support_ok(fits_out_image(f, "SCI", &e->science, FITS_FLOAT, 2, axes, pixels, &err),
               &err);
    support_ok(fits_out_close(f, &err), &err);
    free(pixels);
    exposure_free(e);
    failed(shell("$B/ifurun wcs --references refs tilt_rate.fits < /dev/null"), 1,
           "no pixel with a valid wavelength");
    ck_assert_ptr_nonnull(strstr(err_text, "GWA_YTIL"));
}
END_TEST

/* The good exposure changed by `change`, as `name`. */
static void write_changed(const char *name, void (*change)(struct exposure *))
{
    struct exposure *e = NULL;
    struct err err = {0};
    support_ok(exposure_read(support_path(top, rate), &e, &err), &err);
    change(e);
    unlink(support_path(top, name));
    support_write_rate(support_path(top, name), e);
    exposure_free(e);
}

static void all_nan(struct exposure *e)
{
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        e->sci[i] = NAN;
    }
}

static void fixed_slit(struct exposure *e)
{
    ck_assert_int_eq(
        header_set_string(&e->primary, "EXP_TYPE", "NRS_FIXEDSLIT", NULL, NULL), 0);
}

static void never_on_nrs2(struct exposure *e)
{
    ck_assert_int_eq(header_set_string(&e->primary, "DETECTOR", "NRS2", NULL, NULL), 0);
    ck_assert_int_eq(header_set_string(&e->primary, "GRATING", "G140M", NULL, NULL), 0);
    ck_assert_int_eq(header_set_string(&e->primary, "FILTER", "F100LP", NULL, NULL), 0);
}

static void wrong_pair(struct exposure *e)
{
    ck_assert_int_eq(header_set_string(&e->primary, "FILTER", "F100LP", NULL, NULL), 0);
}

START_TEST(test_ifurun_data_that_cannot_be_used)
{
    write_changed("nan_rate.fits", all_nan);
    failed(shell(STAGE "nan_rate.fits"), 1, "nan_rate.fits");
    write_changed("slit_rate.fits", fixed_slit);
    failed(shell(STAGE "slit_rate.fits"), 1, "EXP_TYPE");
    ck_assert_ptr_nonnull(strstr(err_text, "NRS_IFU"));
    write_changed("pair_rate.fits", wrong_pair);
    failed(shell(STAGE "pair_rate.fits"), 1, "F290LP");
    write_changed("never_rate.fits", never_on_nrs2);
    failed(shell(STAGE "never_rate.fits"), 1, "never_rate.fits");
    ck_assert_ptr_nonnull(strstr(err_text, "NRS2"));
}
END_TEST

/* What is wrong with a cube names the product, though no file has been read. */
START_TEST(test_ifurun_cube_in_memory_has_a_name)
{
    int code = shell("$B/ifurun spec2 --references refs --output bad --set "
                     "flat_field.skip=true --set cube_build.scalew=0.05 --set "
                     "extract_1d.center_radec=10,10 %s",
                     rate);
    ck_assert_int_eq(code, 2);
    ck_assert_msg(strstr(err_text, ": jw01234001001_02101_00001_nrs1_s3d.fits: "
                                   "extract_1d.center_radec: RA 10.000000 Dec "
                                   "10.000000 is off the cube") != NULL,
                  "%s", err_text);
}
END_TEST

START_TEST(test_ifurun_missing_and_equal_references)
{
    worked(
        shell("mkdir -p empty twice && cp refs/*.asdf twice/ && sed 's/NIRSPEC/ANY/' "
              "refs/ideal_camera.asdf > twice/other.asdf && ! cmp -s "
              "twice/other.asdf refs/ideal_camera.asdf"));
    failed(shell("$B/ifurun spec2 --references empty --output bad %s", rate), 1,
           "no reference of type 'camera'");
    failed(shell("$B/ifurun spec2 --references twice --output bad %s", rate), 1,
           "ideal_camera.asdf");
    ck_assert_ptr_nonnull(strstr(err_text, "other.asdf"));
    failed(shell("$B/ifurun spec2 --references nowhere --output bad %s", rate), 1,
           "nowhere");
    failed(shell("$B/ifurun spec2 --output bad %s", rate), 1, "no reference folder");
    worked(shell("$B/ifurun wcs --references twice --set "
                 "assign_wcs.override_camera=refs/ideal_camera.asdf %s < /dev/null",
                 rate));
}
END_TEST

START_TEST(test_ifurun_asdf_with_an_unknown_tag)
{
    worked(shell("sed 's,!transform/compose-[0-9.]*,!transform/mystery-1.0.0,' "
                 "refs/ideal_fore_F290LP.asdf > mystery.asdf && grep -q mystery "
                 "mystery.asdf"));
    int code = shell(STAGE "--set assign_wcs.override_fore=mystery.asdf %s", rate);
    ck_assert_int_eq(code, 1);
    ck_assert_msg(strstr(err_text, "transform/mystery-1.0.0") != NULL, "%s", err_text);
    ck_assert_ptr_nonnull(strstr(err_text, "mystery.asdf"));
}
END_TEST

START_TEST(test_ifurun_one_bad_file_does_not_stop_the_next)
{
    worked(shell("cp %s s_rate.fits && cp %s good_rate.fits", rate, rate));
    support_truncate(support_path(top, "s_rate.fits"), 5000);
    ck_assert_int_eq(shell(STAGE "s_rate.fits good_rate.fits"), 1);
    ck_assert_ptr_nonnull(strstr(err_text, "s_rate.fits"));
    ck_assert_ptr_nonnull(strstr(out, "good_assign_wcs.fits"));
}
END_TEST

START_TEST(test_ifurun_spec3_needs_calibrated_exposures_of_one_kind)
{
    failed(shell("$B/ifurun spec3 --references refs --output bad %s", rate), 1, "_cal");
    worked(shell("cp %s a_rate.fits", rate));
    failed(shell("$B/ifurun spec3 --references refs --output bad a_rate.fits "
                 "./a_rate.fits"),
           1, "given twice");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ifurun");
    TCase *t = tcase_create("ifurun");
    tcase_add_unchecked_fixture(t, prepare, cleanup); /* once, for all of them */
    tcase_add_test(t, test_ifurun_spec2_and_its_manifest_again);
    tcase_add_test(t, test_ifurun_spec3_of_two_dithers);
    tcase_add_test(t, test_ifurun_refs_says_why);
    tcase_add_test(t, test_ifurun_wcs_of_pixels);
    tcase_add_test(t, test_ifurun_help_comes_from_the_tables);
    tcase_add_test(t, test_ifurun_usage_is_exit_code_2);
    tcase_add_test(t, test_ifurun_truncated_exposure);
    tcase_add_test(t, test_ifurun_rate_without_sci);
    tcase_add_test(t, test_ifurun_slice_without_wavelengths);
    tcase_add_test(t, test_ifurun_data_that_cannot_be_used);
    tcase_add_test(t, test_ifurun_cube_in_memory_has_a_name);
    tcase_add_test(t, test_ifurun_missing_and_equal_references);
    tcase_add_test(t, test_ifurun_asdf_with_an_unknown_tag);
    tcase_add_test(t, test_ifurun_one_bad_file_does_not_stop_the_next);
    tcase_add_test(t, test_ifurun_spec3_needs_calibrated_exposures_of_one_kind);
    suite_add_tcase(s, t);
    return support_run(s);
}
