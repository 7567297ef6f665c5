#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/e2e/programs.h"
#include "tests/support.h"

/*
 * The same bytes for any number of threads: two dithers of both detectors are reduced by
 * one thread; then the manifests beside the products are run again with 1, 2 and 8, and
 * every product, pictures and intermediate planes included, must come out the same.
 * The windows hold some 20 slices; noise, flagged pixels and cosmic rays are on.
 */

static char *top;

static const char *const spec2_suffixes[] = {
    "srctype.fits", "flat_field.fits", "pathloss.fits", "cal.fits",
    "s3d.fits",     "x1d.fits",        "quicklook.png"};
static const char *const spec3_suffixes[] = {"s3d.fits", "x1d.fits", "quicklook.png"};

#define ONE "jw01234001001_02101_00001_nrs1"
#define GROUP "jw01234-o001_simtarg_nirspec_g395h-f290lp"
#define RANGE "--set cube_build.wavemin=3.2 --set cube_build.wavemax=4.4 "

static void prepare(void)
{
    top = support_folder();
    programs_run(top, "$B/ifusim --make-references refs");
    programs_run(top,
                 "for d in NRS1 NRS2; do $B/ifusim --references refs --output rate "
                 "--dithers 2 --detector $d --cosmic-rays 500 --truth false --subarray "
                 "900,500,240,900 || exit 1; done");
    programs_run(top, "$B/ifurun spec2 --references refs --output p2 --threads 1 " RANGE
                      "--save srctype,flat_field,pathloss rate/" ONE "_rate.fits");
    programs_run(top, "$B/ifurun spec2 --references refs --output cal --threads 1 "
                      "--stop-after photom rate/*_rate.fits");
    programs_run(top, "$B/ifurun spec3 --references refs --output p3 --threads 1 " RANGE
                      "--set extract_1d.ifu_autocen=true cal/*_cal.fits");
}

static void cleanup(void)
{
    support_remove(top);
}

/* Run the manifest again with each number of threads and compare with the first run. */
static void same_bytes(const char *folder, const char *base, const char *manifest,
                       const char *const *suffixes, size_t n)
{
    static const int threads[] = {1, 2, 8};
    char first[8][65], again[65], name[512];
    ck_assert_uint_le(n, 8);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s/%s_%s", folder, base, suffixes[i]);
        programs_hash(top, name, first[i]);
    }
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        programs_run(top,
                     "cp %s/%s_%s_manifest.json job.json && rm -r %s && $B/ifurun "
                     "job.json --threads %d",
                     folder, base, manifest, folder, threads[t]);
        for (size_t i = 0; i < n; i++) {
            snprintf(name, sizeof name, "%s/%s_%s", folder, base, suffixes[i]);
            programs_hash(top, name, again);
            ck_assert_msg(!strcmp(first[i], again), "%s differs with %d threads", name,
                          threads[t]);
        }
    }
}

START_TEST(test_threads_spec2_bit_identical)
{
    same_bytes("p2", ONE, "spec2", spec2_suffixes,
               sizeof spec2_suffixes / sizeof *spec2_suffixes);
}
END_TEST

START_TEST(test_threads_spec3_bit_identical)
{
    same_bytes("p3", GROUP, "spec3", spec3_suffixes,
               sizeof spec3_suffixes / sizeof *spec3_suffixes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("threads");
    TCase *t = tcase_create("threads");
    tcase_add_unchecked_fixture(t, prepare, cleanup); /* once, for both */
    tcase_add_test(t, test_threads_spec2_bit_identical);
    tcase_add_test(t, test_threads_spec3_bit_identical);
    suite_add_tcase(s, t);
    return support_run(s);
}
