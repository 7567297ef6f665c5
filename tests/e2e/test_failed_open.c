#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "common/data/exposure_io.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"

/*
 * References that an exposure can do without, through ifurun: they are found in the
 * folder, a manifest that was pinned without them stays without, and N/A leaves them out.
 */

#define RATE "jw01234001001_02101_00001_nrs1_rate.fits"
#define CAL "jw01234001001_02101_00001_nrs1_cal.fits"
#define MANIFEST "jw01234001001_02101_00001_nrs1_spec2_manifest.json"

static char *top;

static void setup(void)
{
    top = support_folder();
    programs_run(
        top, "$B/ifusim --make-references refs --grating G395M --filter F290LP && "
             "$B/ifusim --references refs --output . --grating G395M --filter F290LP "
             "--dithers 1 --seed 1 --subarray 1000,700,260,130 --truth false");
}

static void teardown(void)
{
    support_remove(top);
}

/* Run into the folder `out`. */
static void reduce(const char *out, const char *options)
{
    programs_run(top,
                 "$B/ifurun spec2 --references refs --output %s --stop-after photom %s "
                 "--set clean_flicker_noise.skip=true " RATE,
                 out, options);
}

/* One shutter in the middle of the window's rows (765 of the frame), open. */
static void fail_shutter(void)
{
    static const char msa[] =
        "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n"
        "%TAG ! tag:stsci.edu:asdf/\n--- !core/asdf-1.1.0\n"
        "meta:\n  reftype: msa\n  useafter: '2022-01-01T00:00:00'\n"
        "  instrument: {name: NIRSPEC}\n  exposure: {type: NRS_IFU}\n"
        "Q1:\n  model: !transform/identity-1.2.0 {n_dims: 2}\n"
        "  data: [[1, 0.0487, 0.00964, 0.0001, 0.000178]]\n...\n";
    static const char oper[] =
        "{\"reftype\": \"MSAOPER\", \"instrument\": \"NIRSPEC\", \"exp_type\": "
        "\"NRS_IFU|NRS_MSASPEC\", \"useafter\": \"2022-01-01T00:00:00\", \"msaoper\": "
        "[{\"Q\": 1, \"x\": 1, \"y\": 1, \"state\": \"open\", \"TA state\": "
        "\"closed\", "
        "\"Internal state\": \"normal\", \"Vignetted\": \"no\"}]}";
    support_write_file(support_path(top, "refs/msa.asdf"), msa, sizeof msa - 1);
    support_write_file(support_path(top, "refs/msaoper.json"), oper, sizeof oper - 1);
}

/* Status and references in the product; returns the number of flagged pixels. */
static size_t look(const char *out, const char *status, bool has_references)
{
    struct err err = {0};
    struct exposure *e = NULL;
    char path[300];
    const char *text = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%.100s/%s", out, CAL);
    support_ok(exposure_read(support_path(top, path), &e, &err), &err);
    ck_assert(header_get_string(&e->primary, "S_MSAFLG", &text));
    ck_assert_str_eq(text, status);
    ck_assert_int_eq(header_find(&e->primary, "R_MSA") != NULL, has_references);
    ck_assert_int_eq(header_find(&e->primary, "R_MSAOPE") != NULL, has_references);
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        n += (e->dq[i] & DQ_MSA_FAILED_OPEN) != 0;
    }
    exposure_free(e);
    return n;
}

START_TEST(test_failed_open_references_are_optional)
{
    char first[65], again[65];
    reduce("without", "");
    ck_assert_uint_eq(look("without", "SKIPPED", false), 0);
    programs_hash(top, "without/" CAL, first);

    fail_shutter();
    reduce("with", "");
    size_t n = look("with", "COMPLETE", true);
    ck_assert_msg(n > 260 && n < 260 * 20, "%zu pixels of a trace over 260 columns", n);

    programs_run(top, "rm without/" CAL " && $B/ifurun without/" MANIFEST);
    programs_hash(top, "without/" CAL, again);
    ck_assert_str_eq(first, again);

    reduce("left-out", "--set msa_flagging.override_msaoper=N/A");
    ck_assert_uint_eq(look("left-out", "SKIPPED", false), 0);
    programs_run(top, "rm left-out/" CAL " && $B/ifurun left-out/" MANIFEST);
    ck_assert_uint_eq(look("left-out", "SKIPPED", false), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("failed_open");
    TCase *t = tcase_create("failed_open");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_failed_open_references_are_optional);
    suite_add_tcase(s, t);
    return support_run(s);
}
