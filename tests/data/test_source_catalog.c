#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/source_catalog.h"
#include "tests/support.h"

static char told[4096];

static void bad(void *user, const char *line)
{
    (void)user;
    size_t n = strlen(told);
    snprintf(told + n, sizeof told - n, "%s\n", line);
}

static int read(const char *text, struct catalog_source **ret, size_t *n,
                struct err *err)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "sources.txt");
    support_write_file(path, text, strlen(text));
    told[0] = 0;
    *n = 0;
    int code = source_catalog_read(path, bad, NULL, ret, n, err);
    support_remove(folder);
    return code;
}

/* The same three sources in every form. */
START_TEST(test_source_catalog_forms)
{
    static const char *const forms[] = {
        "150.1 2.2 0.3 nucleus\n150.2 -2.25 0.4 knot\n# a remark\n\n150.3 2.3 0.5 c\n",
        "ra,dec,radius,name\n150.1,2.2,0.3,nucleus\n150.2, -2.25,0.4,\"knot\"\n"
        "150.3,2.3,0.5,c",
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: label, datatype: string}\n"
        "# - {name: flux, datatype: float64}\nlabel flux RADIUS sky_centroid.dec "
        "sky_centroid.ra\r\nnucleus 1e3 0.3 2.2 150.1\r\n'knot' 1e3 0.4 -2.25 150.2\r\n"
        "c 1e3 0.5 2.3 150.3\r\n",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct err err = {0};
        struct catalog_source *s = NULL;
        size_t n;
        support_ok(read(forms[i], &s, &n, &err), &err);
        ck_assert_uint_eq(n, 3);
        ck_assert_str_eq(told, "");
        ck_assert_double_eq(s[0].ra, 150.1);
        ck_assert_double_eq(s[0].dec, 2.2);
        ck_assert_double_eq(s[0].radius, 0.3);
        ck_assert_str_eq(s[0].name, "nucleus");
        ck_assert_double_eq(s[1].dec, -2.25);
        ck_assert_str_eq(s[1].name, "knot");
        ck_assert_str_eq(s[2].name, "c");
        free(s);
    }
}
END_TEST

START_TEST(test_source_catalog_bad_rows)
{
    struct err err = {0};
    struct catalog_source *s = NULL;
    size_t n;
    support_ok(read("ra,dec,radius\n150,2,0.3\n150,x,0.3\n150,95,0.3\n150,2,-1\n150\n"
                    "150,2,nan\n151,3,\n152,4,0.5\n",
                    &s, &n, &err),
               &err);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(s[0].line, 2);
    ck_assert_int_eq(s[1].line, 9);
    ck_assert_double_eq(s[1].ra, 152);
    ck_assert_ptr_nonnull(strstr(told, "sources.txt: line 3: dec is 'x'"));
    ck_assert_ptr_nonnull(strstr(told, "line 4: dec is '95'"));
    ck_assert_ptr_nonnull(strstr(told, "line 5: radius is '-1'; 0.001 to 10 arcsec"));
    ck_assert_ptr_nonnull(strstr(told, "line 6: dec is missing"));
    ck_assert_ptr_nonnull(strstr(told, "line 7: radius is 'nan'"));
    ck_assert_ptr_nonnull(strstr(told, "line 8: radius is ''"));
    free(s);
    /* without radius, without name */
    support_ok(read("150 2\n", &s, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    ck_assert_double_eq(s[0].radius, 0);
    ck_assert_str_eq(s[0].name, "");
    free(s);
}
END_TEST

START_TEST(test_source_catalog_refuses)
{
    struct err err = {0};
    struct catalog_source *s = NULL;
    size_t n;
    ck_assert_int_eq(read("x,y\n1,2\n", &s, &n, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "ra and dec"));
    ck_assert_int_eq(read("# nothing\n", &s, &n, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "no row"));
    ck_assert_int_eq(source_catalog_read("/nowhere/at/all", bad, NULL, &s, &n, &err),
                     ERR_INPUT);
    ck_assert_int_eq(source_catalog_read("/tmp", bad, NULL, &s, &n, &err), ERR_INPUT);
    ck_assert_ptr_null(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("source_catalog");
    TCase *t = tcase_create("source_catalog");
    tcase_add_test(t, test_source_catalog_forms);
    tcase_add_test(t, test_source_catalog_bad_rows);
    tcase_add_test(t, test_source_catalog_refuses);
    suite_add_tcase(s, t);
    return support_run(s);
}
