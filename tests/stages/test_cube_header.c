#include <check.h>
#include "stages/cube_header.h"
#include "tests/support.h"

static void make(struct header *p, struct header *s, const char *detector, double start,
                 double seconds)
{
    struct err err = {0};
    support_ok(header_set_string(p, "DETECTOR", detector, "which", &err), &err);
    support_ok(header_set_string(p, "PROGRAM", "01234", NULL, &err), &err);
    support_ok(header_set_real(p, "EXPSTART", start, NULL, &err), &err);
    support_ok(header_set_real(p, "EXPMID", start + 0.5, NULL, &err), &err);
    support_ok(header_set_real(p, "EXPEND", start + 1, NULL, &err), &err);
    support_ok(header_set_real(p, "EFFEXPTM", seconds, NULL, &err), &err);
    support_ok(header_set_int(p, "INTEND", (long)start, NULL, &err), &err);
    support_ok(header_set_real(s, "XPOSURE", seconds, NULL, &err), &err);
}

static double real_of(const struct header *h, const char *keyword)
{
    double x = 0;
    ck_assert(header_get_real(h, keyword, &x));
    return x;
}

START_TEST(test_cube_header_blends)
{
    struct err err = {0};
    struct header p[2] = {0}, s[2] = {0};
    struct header_blend b = {0};
    make(&p[0], &s[0], "NRS1", 60002, 100);
    make(&p[1], &s[1], "NRS2", 60000, 150);
    support_ok(header_blend_add(&b, &p[0], &s[0], &err), &err);
    support_ok(header_blend_add(&b, &p[1], &s[1], &err), &err);
    support_ok(header_blend_finish(&b, &err), &err);
    const char *text = NULL;
    ck_assert(header_get_string(&b.primary, "DETECTOR", &text));
    ck_assert_str_eq(text, "MULTIPLE");
    ck_assert_str_eq(header_find(&b.primary, "DETECTOR")->comment, "which");
    ck_assert(header_get_string(&b.primary, "PROGRAM", &text));
    ck_assert_str_eq(text, "01234");
    ck_assert_double_eq(real_of(&b.primary, "EXPSTART"), 60000);
    ck_assert_double_eq(real_of(&b.primary, "EXPMID"), 60001.5);
    ck_assert_double_eq(real_of(&b.primary, "EXPEND"), 60003);
    ck_assert_double_eq(real_of(&b.primary, "EFFEXPTM"), 250);
    ck_assert_double_eq(real_of(&b.science, "XPOSURE"), 250);
    ck_assert_int_eq(header_find(&b.primary, "INTEND")->type, CARD_INT);
    ck_assert_ptr_null(header_find(&b.primary, "DATE-BEG"));
    header_blend_done(&b);
    for (int i = 0; i < 2; i++) {
        header_done(&p[i]);
        header_done(&s[i]);
    }
}
END_TEST

/* Imprints of the exposures: long names that differ at the end, and one without. */
START_TEST(test_cube_header_blends_imprints)
{
    static const char *const file[3] = {"jw01234001001_03101_00001_nrs1_rate.fits",
                                        "jw01234001001_03101_00001_nrs2_rate.fits", ""};
    struct err err = {0};
    struct header p[3] = {0}, s[3] = {0};
    struct header_blend b = {0};
    const char *text = NULL;
    for (int i = 0; i < 3; i++) {
        make(&p[i], &s[i], "NRS1", 60000, 100);
        support_ok(
            header_set_string(&p[i], "IMPRHOW", i < 2 ? "match" : "none", NULL, &err),
            &err);
        if (i < 2) {
            support_ok(header_set_string(&p[i], "IMPRFILE", file[i], NULL, &err), &err);
            support_ok(header_set_real(&p[i], "IMPRAMP", 1 + 0.5 * i, NULL, &err),
                       &err);
            support_ok(header_set_real(&p[i], "IMPRAERR", 0.1 * i, NULL, &err), &err);
        }
        support_ok(header_blend_add(&b, &p[i], &s[i], &err), &err);
    }
    support_ok(header_blend_finish(&b, &err), &err);
    ck_assert(header_get_string(&b.primary, "IMPRFILE", &text));
    ck_assert_str_eq(text, "MULTIPLE");
    ck_assert(header_get_string(&b.primary, "IMPRHOW", &text));
    ck_assert_str_eq(text, "MULTIPLE");
    ck_assert_double_eq(real_of(&b.primary, "IMPRAMP"), 1.25);
    ck_assert_double_eq(real_of(&b.primary, "IMPRAERR"), 0.1);
    header_blend_done(&b);
    for (int i = 0; i < 3; i++) {
        header_done(&p[i]);
        header_done(&s[i]);
    }
}
END_TEST

/* Noise of two exposures, the second of which was left as it was: means, and why. */
START_TEST(test_cube_header_blends_noise)
{
    struct err err = {0};
    struct header p[2] = {0}, s[2] = {0};
    struct header_blend b = {0};
    const char *text = NULL;
    for (int i = 0; i < 2; i++) {
        make(&p[i], &s[i], "NRS1", 60000, 100);
        support_ok(header_set_int(&p[i], "CFN_HELD", 100, NULL, &err), &err);
        support_ok(header_set_real(&p[i], "CFN_AFT1", 1 + 2 * i, NULL, &err), &err);
        if (i == 1) {
            support_ok(header_set_string(&p[i], "CFN_LEFT", "noise", NULL, &err), &err);
        }
        support_ok(header_blend_add(&b, &p[i], &s[i], &err), &err);
    }
    support_ok(header_blend_finish(&b, &err), &err);
    ck_assert_double_eq(real_of(&b.primary, "CFN_HELD"), 200);
    ck_assert_double_eq(real_of(&b.primary, "CFN_AFT1"), 2);
    ck_assert(header_get_string(&b.primary, "CFN_LEFT", &text));
    ck_assert_str_eq(text, "noise");
    header_blend_done(&b);
    for (int i = 0; i < 2; i++) {
        header_done(&p[i]);
        header_done(&s[i]);
    }
}
END_TEST

START_TEST(test_cube_header_one_is_unchanged)
{
    struct err err = {0};
    struct header p = {0}, s = {0};
    struct header_blend b = {0};
    make(&p, &s, "NRS1", 60002, 100);
    support_ok(header_blend_add(&b, &p, &s, &err), &err);
    support_ok(header_blend_finish(&b, &err), &err);
    ck_assert_uint_eq(b.primary.n, p.n);
    for (size_t i = 0; i < p.n; i++) {
        ck_assert_str_eq(b.primary.cards[i].text, p.cards[i].text);
    }
    header_blend_done(&b);
    header_done(&p);
    header_done(&s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_header");
    TCase *t = tcase_create("cube_header");
    tcase_add_test(t, test_cube_header_blends);
    tcase_add_test(t, test_cube_header_blends_imprints);
    tcase_add_test(t, test_cube_header_blends_noise);
    tcase_add_test(t, test_cube_header_one_is_unchanged);
    suite_add_tcase(s, t);
    return support_run(s);
}
