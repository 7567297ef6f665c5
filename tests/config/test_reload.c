#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "config/config.h"
#include "config/reload.h"
#include "tests/support.h"

static struct config *parse(const char *json)
{
    struct config *c = NULL;
    struct err err = {0};
    support_ok(config_parse(json, "test.json", &c, &err), &err);
    return c;
}

START_TEST(test_reload_live_keys_change_the_others_stay)
{
    struct config *now = parse("{\"workers\": 2, \"inbox_folder\": \"/d/in\", "
                               "\"settle_seconds\": 5, \"retry_limit\": 3, "
                               "\"spec3_settings\": [\"a.b=c\"]}");
    struct config *fresh = parse("{\"workers\": 4, \"inbox_folder\": \"/d/other\", "
                                 "\"settle_seconds\": 0.25, \"retry_limit\": 3, "
                                 "\"spec2_settings\": [\"d.e=f g\", \"h.i=j\"]}");
    struct config *c = NULL;
    char *changed = NULL, *restart = NULL;
    struct err err = {0};
    support_ok(config_merge(now, fresh, &c, &changed, &restart, &err), &err);
    ck_assert_str_eq(changed, "settle_seconds, spec2_settings, spec3_settings");
    ck_assert_str_eq(restart, "inbox_folder, workers");
    ck_assert_int_eq(params_int(c->values, "workers"), 2);
    ck_assert_str_eq(params_string(c->values, "inbox_folder"), "/d/in");
    ck_assert_double_eq(params_real(c->values, "settle_seconds"), 0.25);
    ck_assert_str_eq(params_string(c->values, "spec2_settings"), "d.e=f g\nh.i=j");
    ck_assert_str_eq(params_string(c->values, "spec3_settings"), "");
    free(changed);
    free(restart);
    config_free(c);
    config_free(fresh);
    config_free(now);
}
END_TEST

START_TEST(test_reload_of_the_same_changes_nothing)
{
    struct config *now =
        parse("{\"references_folder\": null, \"log_level\": \"debug\"}");
    struct config *c = NULL;
    char *changed = NULL, *restart = NULL;
    struct err err = {0};
    support_ok(config_merge(now, now, &c, &changed, &restart, &err), &err);
    ck_assert_str_eq(changed, "");
    ck_assert_str_eq(restart, "");
    char *a = config_to_json(now, &err), *b = config_to_json(c, &err);
    ck_assert_str_eq(a, b);
    free(a);
    free(b);
    free(changed);
    free(restart);
    config_free(c);
    config_free(now);
}
END_TEST

/* What makes the daemon another one needs a restart. */
START_TEST(test_reload_folders_and_socket_need_a_restart)
{
    static const char *const names[] = {"inbox_folder",      "spool_folder",
                                        "products_folder",   "rejected_folder",
                                        "references_folder", "socket_path"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_msg(!config_is_live(names[i]), "%s", names[i]);
    }
    ck_assert(config_is_live("log_level"));
    ck_assert(!config_is_live("no such key"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reload");
    TCase *t = tcase_create("reload");
    tcase_add_test(t, test_reload_live_keys_change_the_others_stay);
    tcase_add_test(t, test_reload_of_the_same_changes_nothing);
    tcase_add_test(t, test_reload_folders_and_socket_need_a_restart);
    suite_add_tcase(s, t);
    return support_run(s);
}
