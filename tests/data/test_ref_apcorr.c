#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/ref_apcorr.h"
#include "tests/support.h"

static int load(const char *table, struct ref_apcorr **ret, struct err *err)
{
    char text[1024];
    char *folder = support_folder();
    void *object = NULL;
    size_t bytes = 0;
    int n = snprintf(text, sizeof text,
                     "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%%YAML 1.1\n"
                     "%%TAG ! tag:stsci.edu:asdf/\n--- !core/asdf-1.1.0\n"
                     "apcorr_table:\n%smeta: {reftype: apcorr}\n...\n",
                     table);
    const char *path = support_path(folder, "apcorr.asdf");
    support_write_file(path, text, (size_t)n);
    int code = ref_apcorr_load(path, &object, &bytes, err);
    *ret = object;
    support_remove(folder);
    return code;
}

static const char good[] = "  wavelength: [1.0, 3.0]\n"
                           "  radius: [[0.5, 0.7], [0.1, 0.3], [1.0, 1.2]]\n"
                           "  radius_units: arcsec\n"
                           "  apcorr: [[1.2, 1.4], [2.0, 2.4], [1.1, 1.2]]\n";

/* Linear in both, whatever the order of the rows, and beyond the ends: the rows at 2 um
 * are 0.6: 1.3, 0.2: 2.2, 1.1: 1.15. */
START_TEST(test_ref_apcorr_interpolates)
{
    struct err err = {0};
    struct ref_apcorr *r = NULL;
    support_ok(load(good, &r, &err), &err);
    ck_assert_double_eq_tol(ref_apcorr_at(r, 2.0, 4.0, 0.1), 1.75, 1e-12);
    ck_assert_double_eq_tol(ref_apcorr_at(r, 2.0, 6.0, 0.1), 1.3, 1e-12);
    ck_assert_double_eq_tol(ref_apcorr_at(r, 2.0, 8.5, 0.1), 1.225, 1e-12);
    ck_assert_double_eq_tol(ref_apcorr_at(r, 2.0, 1.0, 0.1), 2.425, 1e-12);
    ck_assert_double_eq_tol(ref_apcorr_at(r, 2.0, 16.0, 0.1), 1.0, 1e-12);
    ck_assert_double_eq_tol(ref_apcorr_at(r, 5.0, 9.0, 0.1), 1.6, 1e-12);
    ref_apcorr_free(r);
    support_ok(load("  wavelength: [2.0]\n  radius: [4.0]\n  radius_units: pixels\n"
                    "  apcorr: [1.5]\n",
                    &r, &err),
               &err);
    ck_assert_double_eq(ref_apcorr_at(r, 3.0, 7.0, 0.1), 1.5);
    ref_apcorr_free(r);
}
END_TEST

START_TEST(test_ref_apcorr_refuses)
{
    static const char *const bad[][2] = {
        {"  wavelength: [1.0, 3.0]\n  radius: [0.5, 0.7]\n", "apcorr is missing"},
        {"  wavelength: [1.0, 3.0]\n  radius: [0.5, 0.7, 1]\n  apcorr: [1, 1, 1]\n",
         "so many radii"},
        {"  wavelength: [3.0, 1.0]\n  radius: [0.5, 0.7]\n  apcorr: [1, 1]\n",
         "ascending"},
        {"  wavelength: [1.0, 3.0]\n  radius: [0.5, 0.7]\n  apcorr: [1, 0]\n",
         "above 0"},
        {"  wavelength: [1.0, 3.0]\n  radius: [0.5, .inf]\n  apcorr: [1, 1]\n",
         "not finite"},
        {"  wavelength: [1.0, 3.0]\n  radius: [0.5, 0.7]\n  apcorr: [1, 1]\n"
         "  radius_units: mm\n",
         "'mm'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        struct ref_apcorr *r = NULL;
        ck_assert_int_eq(load(bad[i][0], &r, &err), ERR_REFERENCE);
        ck_assert_msg(strstr(err.message, bad[i][1]) != NULL, "%s", err.message);
        ck_assert_ptr_null(r);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ref_apcorr");
    TCase *t = tcase_create("ref_apcorr");
    tcase_add_test(t, test_ref_apcorr_interpolates);
    tcase_add_test(t, test_ref_apcorr_refuses);
    suite_add_tcase(s, t);
    return support_run(s);
}
