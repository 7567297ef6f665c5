#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/e2e/programs.h"
#include "tests/support.h"
#include "tests/tiny.h"

/*
 * A run that goes on from what an earlier one published, against one from the beginning: the
 * same manifest, date and folder, so the products must have the same bytes.
 */

static char *top;

#define BASE "jw01234001001_02101_00001_nrs1"
#define MANIFEST BASE "_spec2_manifest.json"

/* Once: first.json, the manifest of a job with the settings below; made/: what it published. */
static void make(void)
{
    top = support_folder();
    tiny_make(support_path(top, "refs"));
    tiny_expose(support_path(top, "refs"), top, 1, 1);
    programs_run(
        top,
        "$B/ifurun spec2 --references refs --output out --threads 1 --set "
        "flat_field.skip=true --set cube_build.scalexy=0.3 --set "
        "cube_build.scalew=0.05 --set extract_1d.bkg_sigma_clip=3 --set "
        "pathloss.skip=false " BASE "_rate.fits && cp out/" MANIFEST
        " first.json && rm -r out && $B/ifurun first.json --threads 1 && mv out made");
}

static void unmake(void)
{
    support_remove(top);
}

static void setup(void)
{
    programs_run(top, "rm -rf out first scratch log second.json && cp -a made first && "
                      "cp -a made out");
}

/* What ifurun said of the second run. The caller frees. */
static char *log_text(void)
{
    return support_read_file(support_path(top, "log"), NULL);
}

/* Run second.json on what first.json left, and from the beginning; out/ and scratch/. */
static void run_both(const char *options)
{
    programs_run(top,
                 "rm -rf out && mkdir out && $B/ifurun second.json --threads 1 && "
                 "mv out scratch && cp -a first out && "
                 "$B/ifurun second.json --reuse %s >list 2>log",
                 options);
}

static void same_bytes(const char *suffix)
{
    programs_run(top, "cmp out/" BASE "_%s scratch/" BASE "_%s", suffix, suffix);
}

/* The same products; one more if a spectrum was there before: its picture beside it. */
static void same_list(void)
{
    programs_run(top, "grep -v difference out/" BASE "_spec2_products.json |"
                      " grep name >list1; grep name scratch/" BASE
                      "_spec2_products.json >list2; cmp list1 list2 &&"
                      " test -f out/" BASE "_difference.png &&"
                      " ! test -f scratch/" BASE "_difference.png");
}

static void stays(const char *suffix)
{
    programs_run(top, "cmp out/" BASE "_%s first/" BASE "_%s", suffix, suffix);
}

START_TEST(test_resume_nothing_runs_if_nothing_changed)
{
    struct stat before, after;
    const char *cube = support_path(top, "out/" BASE "_s3d.fits");
    ck_assert_int_eq(stat(cube, &before), 0);
    programs_run(top, "$B/ifurun first.json --reuse >list 2>log");
    ck_assert_int_eq(stat(cube, &after), 0);
    ck_assert(before.st_ino == after.st_ino);
    char *log = log_text();
    ck_assert_ptr_nonnull(strstr(log, "nothing has changed"));
    ck_assert_ptr_null(strstr(log, "extract_1d 100 %"));
    free(log);
    programs_run(top, "test $(wc -l <list) = 4"); /* its products all the same */
}
END_TEST

START_TEST(test_resume_extraction_goes_on_from_the_cube)
{
    programs_run(top, "sed 's/\"bkg_sigma_clip\": \"3\"/\"bkg_sigma_clip\": \"2\"/; "
                      "s/\"scalew\"/\"weighting\": \"drizzle\", \"scalew\"/' "
                      "first.json >second.json && ! cmp -s first.json second.json");
    run_both("--threads 2");
    char *log = log_text();
    ck_assert_msg(strstr(log, "going on from " BASE "_s3d.fits") != NULL, "%s", log);
    ck_assert_ptr_null(strstr(log, "cube_build 100 %"));
    free(log);
    stays("cal.fits");
    stays("s3d.fits");
    same_bytes("x1d.fits");
    same_bytes("quicklook.png");
    same_bytes("spec2_manifest.json");
}
END_TEST

START_TEST(test_resume_cube_goes_on_from_the_calibrated_exposure)
{
    programs_run(top, "sed 's/\"scalexy\": \"0.3\"/\"scalexy\": \"0.2\"/' first.json "
                      ">second.json && ! cmp -s first.json second.json");
    run_both("--threads 2");
    char *log = log_text();
    ck_assert_msg(strstr(log, "going on from " BASE "_cal.fits") != NULL, "%s", log);
    free(log);
    stays("cal.fits");
    same_bytes("s3d.fits");
    same_bytes("x1d.fits");
    same_bytes("quicklook.png");
}
END_TEST

START_TEST(test_resume_begins_anew_if_an_early_step_changed)
{
    programs_run(top, "sed '/\"pathloss\"/,/}/s/\"false\"/\"true\"/' first.json "
                      ">second.json && ! cmp -s first.json second.json");
    run_both("--threads 1");
    char *log = log_text();
    ck_assert_ptr_null(strstr(log, "going on from"));
    free(log);
    same_bytes("cal.fits");
    same_bytes("s3d.fits");
    same_bytes("x1d.fits");
    same_list();
}
END_TEST

/* The same name with other bytes, in the primary header's padding: nothing else tells. */
START_TEST(test_resume_never_trusts_a_changed_file)
{
    programs_run(top, "sed 's/\"scalexy\": \"0.3\"/\"scalexy\": \"0.2\"/' first.json "
                      ">second.json");
    programs_run(top, "printf X | dd of=first/" BASE "_cal.fits bs=1 seek=70000 "
                      "conv=notrunc status=none");
    run_both("--threads 1");
    char *log = log_text();
    ck_assert_ptr_nonnull(strstr(log, BASE "_cal.fits is not as it was published"));
    ck_assert_ptr_null(strstr(log, "going on from"));
    free(log);
    same_bytes("cal.fits");
    same_bytes("x1d.fits");
}
END_TEST

/* A product that the user removed is made again, with what it needs. */
START_TEST(test_resume_makes_what_is_missing)
{
    programs_run(top, "cp first.json second.json && rm first/" BASE "_s3d.fits");
    run_both("--threads 1");
    char *log = log_text();
    ck_assert_ptr_nonnull(strstr(log, "going on from " BASE "_cal.fits"));
    free(log);
    same_bytes("cal.fits");
    same_bytes("s3d.fits");
    same_list();
}
END_TEST

START_TEST(test_resume_other_references_and_saved_products)
{
    /* a cubepar of other bytes: header padding is enough */
    programs_run(top,
                 "cp -a refs refs2 && f=$(ls refs2/*cubepar*) && "
                 "printf ' ' | dd of=$f bs=1 seek=2870 conv=notrunc status=none && "
                 "printf 'COMMENT x' | dd of=$f bs=1 seek=2800 conv=notrunc "
                 "status=none");
    programs_run(top, "$B/ifurun spec2 --references refs --output o2 --threads 1 --set "
                      "flat_field.skip=true --set cube_build.scalexy=0.3 --set "
                      "cube_build.scalew=0.05 " BASE "_rate.fits 2>log");
    programs_run(top,
                 "$B/ifurun spec2 --references refs2 --output o2 --threads 1 --set "
                 "flat_field.skip=true --set cube_build.scalexy=0.3 --set "
                 "cube_build.scalew=0.05 --reuse " BASE "_rate.fits 2>log");
    char *log = log_text();
    ck_assert_msg(strstr(log, "going on from " BASE "_cal.fits") != NULL, "%s", log);
    free(log);
    /* a stage whose product was not saved then runs again */
    programs_run(top,
                 "$B/ifurun spec2 --references refs2 --output o2 --threads 1 --set "
                 "flat_field.skip=true --set cube_build.scalexy=0.3 --set "
                 "cube_build.scalew=0.05 --reuse --save srctype " BASE
                 "_rate.fits 2>log && test -e o2/" BASE "_srctype.fits");
    log = log_text();
    ck_assert_ptr_null(strstr(log, "going on from"));
    free(log);
}
END_TEST

START_TEST(test_resume_spec3_goes_on_from_its_cube)
{
    programs_run(top, "tiny=" BASE "; $B/ifurun spec3 --references refs --output s3 "
                      "--threads 1 --set cube_build.scalexy=0.3 --set "
                      "cube_build.scalew=0.05 --set extract_1d.bkg_sigma_clip=3 "
                      "out/${tiny}_cal.fits && cp s3/*_spec3_manifest.json one.json && "
                      "sed 's/\"bkg_sigma_clip\": \"3\"/\"bkg_sigma_clip\": \"2\"/' "
                      "one.json >two.json && mv s3 kept && $B/ifurun two.json && "
                      "mv s3 anew && mv kept s3 && $B/ifurun two.json --reuse 2>log");
    char *log = log_text();
    ck_assert_msg(strstr(log, "_s3d.fits") && strstr(log, "going on from"), "%s", log);
    free(log);
    programs_run(top, "for f in s3/*_x1d.fits s3/*.png; do cmp $f anew/${f#s3/}; done");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("resume");
    TCase *t = tcase_create("resume");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, make, unmake);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, test_resume_nothing_runs_if_nothing_changed);
    tcase_add_test(t, test_resume_extraction_goes_on_from_the_cube);
    tcase_add_test(t, test_resume_cube_goes_on_from_the_calibrated_exposure);
    tcase_add_test(t, test_resume_begins_anew_if_an_early_step_changed);
    tcase_add_test(t, test_resume_never_trusts_a_changed_file);
    tcase_add_test(t, test_resume_makes_what_is_missing);
    tcase_add_test(t, test_resume_other_references_and_saved_products);
    tcase_add_test(t, test_resume_spec3_goes_on_from_its_cube);
    suite_add_tcase(s, t);
    return support_run(s);
}
