#include <check.h>
#include <stdio.h>
#include <string.h>
#include "common/data/ref_extract1d.h"
#include "tests/support.h"

static const char good[] = "#ASDF 1.0.0\n"
                           "#ASDF_STANDARD 1.5.0\n"
                           "%YAML 1.1\n"
                           "%TAG ! tag:stsci.edu:asdf/\n"
                           "--- !core/asdf-1.1.0\n"
                           "data:\n"
                           "  wavelength: [1.0, 5.0, 3.0]\n"
                           "  radius: [0.2, 0.6, 0.3]\n"
                           "  inner_bkg: [0.9, 0.9, 0.9]\n"
                           "  outer_bkg: [1.25, 1.25, 1.25]\n"
                           "  radius_units: arcsec\n"
                           "  wavelength_units: micron\n"
                           "meta:\n"
                           "  method: subpixel\n"
                           "  subpixels: 10\n"
                           "  subtract_background: true\n"
                           "...\n";

static int load(const char *folder, const char *text, void **object, struct err *err)
{
    const char *path = support_path(folder, "extract1d.asdf");
    size_t bytes = 0;
    support_write_file(path, text, strlen(text));
    return ref_extract1d_load(path, object, &bytes, err);
}

START_TEST(test_ref_extract1d_reads)
{
    struct err err = {0};
    char *folder = support_folder();
    void *object = NULL;
    support_ok(load(folder, good, &object, &err), &err);
    const struct ref_extract1d *r = object;
    ck_assert_uint_eq(r->n, 3);
    ck_assert(r->wavelength[1] == 3.0f && r->radius[1] == 0.3f); /* sorted */
    ck_assert(r->subtract_background);
    ck_assert_int_eq(r->method, APERTURE_SUBPIXEL);
    ck_assert_int_eq(r->subpixels, 10);
    /* the table is in single precision: 6e-8 of 1 */
    ck_assert_double_eq_tol(ref_extract1d_at(r, r->radius, 2.0), 0.25, 1e-7);
    ck_assert_double_eq_tol(ref_extract1d_at(r, r->radius, 4.0), 0.45, 1e-7);
    ck_assert_double_eq_tol(ref_extract1d_at(r, r->radius, 0.0), 0.15, 1e-7);
    ck_assert_double_eq_tol(ref_extract1d_at(r, r->radius, 6.0), 0.75, 1e-7);
    ck_assert_double_eq(ref_extract1d_at(r, r->outer_bkg, 4.2), 1.25);
    ref_extract1d_free(object);
    support_remove(folder);
}
END_TEST

START_TEST(test_ref_extract1d_refuses)
{
    static const struct {
        const char *was, *is, *named;
    } cases[] = {
        {"  radius: [0.2, 0.6, 0.3]\n", "", "data.radius"},
        {"  radius: [0.2, 0.6, 0.3]\n", "  radius: [0.2, 0.6]\n", "data.radius"},
        {"method: subpixel", "method: optimal", "optimal"},
        {"subpixels: 10", "subpixels: 0", "meta.subpixels"},
        {"radius_units: arcsec", "radius_units: pixel", "radius_units"},
    };
    char *folder = support_folder();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {0};
        char text[2000];
        void *object = NULL;
        const char *at = strstr(good, cases[i].was);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, cases[i].is,
                 at + strlen(cases[i].was));
        ck_assert_int_eq(load(folder, text, &object, &err), ERR_REFERENCE);
        ck_assert_msg(strstr(err.message, cases[i].named) &&
                          strstr(err.message, "extract1d.asdf"),
                      "%s", err.message);
        ck_assert_ptr_null(object);
    }
    support_remove(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ref_extract1d");
    TCase *t = tcase_create("ref_extract1d");
    tcase_add_test(t, test_ref_extract1d_reads);
    tcase_add_test(t, test_ref_extract1d_refuses);
    suite_add_tcase(s, t);
    return support_run(s);
}
