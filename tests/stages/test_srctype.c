#include <check.h>
#include <string.h>
#include "tests/stages/stage_kit.h"
#include "tests/support.h"

/* Run srctype on an exposure prepared by `prepare`, and check the type chosen. */
static void expect(void (*prepare)(struct exposure *e), const char *params,
                   const char *type)
{
    struct stage_kit kit;
    struct err err = {0};
    const char *text;
    stage_kit_init(&kit);
    struct exposure *e = stage_kit_exposure();
    e->meta.source_type[0] = e->meta.source_type_apt[0] = '\0';
    e->meta.is_background = false;
    strcpy(e->meta.pattern_type, "CYCLING");
    prepare(e);
    support_ok(stage_kit_run(&kit, &stage_srctype, params, 1, e, &err), &err);
    ck_assert_str_eq(e->meta.source_type, type);
    ck_assert(header_get_string(&e->science, "SRCTYPE", &text));
    ck_assert_str_eq(text, type);
    exposure_free(e);
    stage_kit_done(&kit);
}

static void nothing(struct exposure *e)
{
    (void)e;
}
static void apt_point(struct exposure *e)
{
    strcpy(e->meta.source_type_apt, "POINT");
}
static void apt_unknown_nodded(struct exposure *e)
{
    strcpy(e->meta.source_type_apt, "UNKNOWN");
    strcpy(e->meta.pattern_type, "2-POINT-NOD");
}
static void background_point(struct exposure *e)
{
    apt_point(e);
    e->meta.is_background = true;
}
static void old_file(struct exposure *e)
{
    strcpy(e->meta.source_type, "POINT");
}
static void time_series(struct exposure *e)
{
    struct err err;
    strcpy(e->meta.source_type_apt, "EXTENDED");
    support_ok(header_set_bool(&e->primary, "TSOVISIT", true, NULL, &err), &err);
    support_ok(header_set_int(&e->primary, "NINTS", 3, NULL, &err), &err);
}
static void one_integration(struct exposure *e)
{
    struct err err;
    time_series(e);
    support_ok(header_set_int(&e->primary, "NINTS", 1, NULL, &err), &err);
}

START_TEST(test_srctype_order_of_what_decides)
{
    expect(nothing, "", "EXTENDED");
    expect(apt_point, "", "POINT");
    expect(old_file, "", "POINT");
    expect(apt_unknown_nodded, "", "POINT");
    expect(background_point, "", "EXTENDED");
    expect(time_series, "", "POINT");
    expect(one_integration, "", "EXTENDED");
    expect(background_point, "source_type=POINT", "POINT");
    expect(apt_point, "source_type=EXTENDED", "EXTENDED");
}
END_TEST

START_TEST(test_srctype_keeps_what_an_old_file_said)
{
    struct stage_kit kit;
    struct err err = {0};
    const char *text;
    stage_kit_init(&kit);
    struct exposure *e = stage_kit_exposure();
    e->meta.source_type_apt[0] = '\0';
    strcpy(e->meta.source_type, "POINT");
    support_ok(stage_kit_run(&kit, &stage_srctype, "source_type=EXTENDED", 1, e, &err),
               &err);
    ck_assert(header_get_string(&e->primary, "SRCTYAPT", &text));
    ck_assert_str_eq(text, "POINT");
    exposure_free(e);
    stage_kit_done(&kit);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("srctype");
    TCase *t = tcase_create("srctype");
    tcase_add_test(t, test_srctype_order_of_what_decides);
    tcase_add_test(t, test_srctype_keeps_what_an_old_file_said);
    suite_add_tcase(s, t);
    return support_run(s);
}
