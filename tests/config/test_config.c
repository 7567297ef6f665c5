#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config/config.h"
#include "tests/support.h"

static int parse(const char *json, struct config **ret, struct err *err)
{
    *ret = NULL;
    memset(err, 0, sizeof *err);
    return config_parse(json, "test.json", ret, err);
}

static void refuse(const char *json, const char *word)
{
    struct config *c;
    struct err err;
    ck_assert_int_eq(parse(json, &c, &err), ERR_PARAM);
    ck_assert_ptr_null(c);
    ck_assert_ptr_nonnull(strstr(err.message, "test.json"));
    ck_assert_msg(strstr(err.message, word) != NULL, "'%s' not in: %s", word,
                  err.message);
}

START_TEST(test_config_defaults)
{
    struct config *c;
    struct err err;
    ck_assert_msg(parse("{}", &c, &err) == 0, "%s", err.message);
    ck_assert_int_eq(params_int(c->values, "workers"), 1);
    ck_assert_str_eq(params_string(c->values, "socket_mode"), "0660");
    size_t n = 9;
    char **lines = config_strings(c, "spec2_settings", &n, &err);
    ck_assert_uint_eq(n, 0);
    free(lines);
    config_free(c);
}
END_TEST

START_TEST(test_config_values_of_each_type)
{
    struct config *c;
    struct err err;
    ck_assert_msg(parse("{\"workers\": 3, \"settle_seconds\": 0.25, "
                        "\"references_folder\": null, \"inbox_folder\": \"/in\", "
                        "\"spec3_settings\": [\"cube_build.scalexy=0.05\", "
                        "\"outlier_detection.skip=true\"]}",
                        &c, &err) == 0,
                  "%s", err.message);
    ck_assert_int_eq(params_int(c->values, "workers"), 3);
    ck_assert_double_eq(params_real(c->values, "settle_seconds"), 0.25);
    ck_assert_ptr_null(params_string(c->values, "references_folder"));
    ck_assert_str_eq(params_string(c->values, "inbox_folder"), "/in");
    size_t n;
    char **lines = config_strings(c, "spec3_settings", &n, &err);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(lines[0], "cube_build.scalexy=0.05");
    ck_assert_str_eq(lines[1], "outlier_detection.skip=true");
    ck_assert_ptr_null(lines[2]);
    free(lines);
    config_free(c);
}
END_TEST

START_TEST(test_config_refuses_by_name)
{
    refuse("{\"settle_second\": 1}", "'settle_seconds'");
    refuse("{\"workers\": 0}", "workers");
    refuse("{\"workers\": 1.5}", "whole number");
    refuse("{\"workers\": \"2\"}", "workers must be a number");
    refuse("{\"inbox_folder\": 3}", "inbox_folder must be a text");
    refuse("{\"inbox_folder\": \"\"}", "inbox_folder");
    refuse("{\"inbox_folder\": null}", "inbox_folder");
    refuse("{\"socket_mode\": \"0777\"}", "0600|0660|0666");
    refuse("{\"settle_seconds\": 1e9}", "settle_seconds");
    refuse("{\"spec2_settings\": \"a.b=c\"}", "array of strings");
    refuse("{\"spec2_settings\": [\"cube_build\"]}", "stage.parameter=value");
    refuse("{\"spec3_settings\": [7]}", "spec3_settings[0]");
    refuse("{\"observation_lists\": [\"01234:1\"]}", "2 to 20 observations");
    refuse("{\"observation_lists\": [\"01234:1,2,\"]}", "'01234:1,2,' is not");
    refuse("{\"observation_lists\": [\"1,2\"]}", "PROGRAM:OBSERVATION");
    refuse("{\"workers\": 1, \"workers\": 2}", "line 1");
    refuse("[1]", "JSON object");
    refuse("{\"workers\": ", "line 1");
}
END_TEST

START_TEST(test_config_folders_stand_apart)
{
    refuse("{\"inbox_folder\": \"/d/a\", \"spool_folder\": \"/d/a\"}", "is also");
    refuse("{\"inbox_folder\": \"/d/spool/in\", \"spool_folder\": \"/d/spool\"}",
           "inbox_folder /d/spool/in lies in spool_folder");
    refuse("{\"products_folder\": \"/d//x/../spool/./p/\", "
           "\"spool_folder\": \"/d/spool/\"}",
           "products_folder");
    refuse("{\"rejected_folder\": \"/\"}", "lies in rejected_folder");
    refuse("{\"references_folder\": \"in/../../x\", \"inbox_folder\": \"../x\"}",
           "references_folder");
    refuse("{\"socket_path\": \"/var/lib/ifud/inbox/s\"}", "socket_path");
    refuse("{\"log_file\": \"/var/lib/ifud/inbox/log\"}", "log_file");
    struct config *c;
    struct err err;
    ck_assert_msg(parse("{\"inbox_folder\": \"/d/spool2\", "
                        "\"spool_folder\": \"/d/spool\", "
                        "\"products_folder\": \"../../spool\", "
                        "\"rejected_folder\": \"../spool\", "
                        "\"references_folder\": null}",
                        &c, &err) == 0,
                  "%s", err.message);
    config_free(c);
}
END_TEST

START_TEST(test_config_bounds_on_size_and_depth)
{
    static char text[20000];
    char *end = text;
    snprintf(text, sizeof text, "{\"socket_path\": \"/%0120d\"}", 7);
    refuse(text, "at most 107");
    snprintf(text, sizeof text, "{\"spec2_settings\": [\"a.b=%05000d\"]}", 7);
    refuse(text, "spec2_settings[0]");
    end += sprintf(end, "{\"spec2_settings\": [");
    for (int i = 0; i < 1001; i++) {
        end += sprintf(end, "%s\"a.b=c\"", i ? "," : "");
    }
    sprintf(end, "]}");
    refuse(text, "at most 1000");
    refuse("{\"spec2_settings\": [[\"a.b=c\"]]}", "spec2_settings[0]");
    refuse("{\"workers\": {\"a\": {}}}", "workers");
    memset(text, '[', 5000);
    text[5000] = 0;
    refuse(text, "line 1"); /* jansson gives up at its depth */
}
END_TEST

START_TEST(test_config_file_must_be_a_small_regular_one)
{
    struct config *c = NULL;
    struct err err = {0};
    char *folder = support_folder();
    const char *path = support_path(folder, "c");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(config_read(path, &c, &err), ERR_IO); /* and does not wait */
    ck_assert_ptr_nonnull(strstr(err.message, "no regular file"));
    unlink(path);
    ck_assert_int_eq(config_read(folder, &c, &err), ERR_IO);
    support_write_file(path, "{}\0{", 4);
    ck_assert_int_eq(config_read(path, &c, &err), ERR_PARAM);
    char *large = malloc((1u << 20) + 1);
    memset(large, ' ', (1u << 20) + 1);
    large[0] = '{';
    large[1] = '}';
    support_write_file(path, large, (1u << 20) + 1);
    ck_assert_int_eq(config_read(path, &c, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "longer than"));
    support_write_file(path, large, 1u << 20);
    support_ok(config_read(path, &c, &err), &err);
    config_free(c);
    free(large);
    support_remove(folder);
}
END_TEST

/* But for the shipped recipe, which tests/daemon/test_rules.c looks at. */
START_TEST(test_config_shipped_file_is_the_defaults)
{
    struct config *shipped = NULL, *plain;
    struct err err = {0};
    ck_assert_msg(config_read("config/ifud.json", &shipped, &err) == 0, "%s",
                  err.message);
    parse("{}", &plain, &err);
    char *texts[2] = {config_to_json(shipped, &err), config_to_json(plain, &err)};
    json_t *keys[2];
    for (int i = 0; i < 2; i++) {
        keys[i] = json_loads(texts[i], 0, NULL);
        static const char *const recipes[] = {"spec2_settings", "spec3_settings"};
        for (int k = 0; k < 2; k++) {
            ck_assert_int_eq(json_array_size(json_object_get(keys[i], recipes[k])) > 0,
                             i == 0);
            json_object_del(keys[i], recipes[k]);
        }
        free(texts[i]);
    }
    ck_assert(json_equal(keys[0], keys[1]));
    json_decref(keys[0]);
    json_decref(keys[1]);
    config_free(shipped);
    config_free(plain);
}
END_TEST

START_TEST(test_config_print_reads_back)
{
    struct config *c, *again;
    struct err err;
    parse("{\"spec2_settings\": [\"a.b=c d\"], \"retry_seconds\": 0.3, "
          "\"references_folder\": null}",
          &c, &err);
    char *a = config_to_json(c, &err);
    ck_assert_msg(parse(a, &again, &err) == 0, "%s", err.message);
    char *b = config_to_json(again, &err);
    ck_assert_str_eq(a, b);
    ck_assert_double_eq(params_real(again->values, "retry_seconds"), 0.3);
    free(a);
    free(b);
    config_free(c);
    config_free(again);
}
END_TEST

START_TEST(test_config_help_names_every_key)
{
    char *help = config_help(NULL);
    for (size_t i = 0; i < config_table_n; i++) {
        ck_assert_ptr_nonnull(strstr(help, config_table[i].name));
        ck_assert_ptr_nonnull(strstr(help, config_table[i].doc));
    }
    free(help);
}
END_TEST

START_TEST(test_config_threads_stay_within_the_cores)
{
    struct config *c;
    struct err err;
    parse("{\"workers\": 2}", &c, &err);
    ck_assert_int_eq(config_inner_threads(c, 8), 4);
    ck_assert_int_eq(config_inner_threads(c, 1), 1);
    ck_assert_int_eq(config_workers(c, 8), 2);
    ck_assert_int_eq(config_workers(c, 1), 1);
    config_free(c);
    parse("{\"workers\": 2, \"threads_per_worker\": 3}", &c, &err);
    ck_assert_int_eq(config_inner_threads(c, 8), 3);
    ck_assert_int_eq(config_inner_threads(c, 4), 2);
    for (int cores = 1; cores <= 9; cores++) { /* never more threads than cores */
        ck_assert_int_le(config_workers(c, cores) * config_inner_threads(c, cores),
                         cores);
    }
    config_free(c);
}
END_TEST

START_TEST(test_config_socket_group)
{
    struct config *c = NULL;
    struct err err = {0};
    int64_t group = 5;
    parse("{\"socket_group\": null}", &c, &err);
    ck_assert_int_eq(config_socket_group(c, &group, &err), 0);
    ck_assert_int_eq(group, -1);
    config_free(c);
    parse("{\"socket_group\": \"root\"}", &c, &err);
    ck_assert_int_eq(config_socket_group(c, &group, &err), 0);
    ck_assert_int_eq(group, 0);
    config_free(c);
    ck_assert_int_eq(
        config_parse("{\"socket_group\": \"no-such-group\"}", "f.json", &c, &err),
        ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "f.json: socket_group 'no-such-group'"));
}
END_TEST

START_TEST(test_config_missing_file)
{
    struct config *c = NULL;
    struct err err = {0};
    ck_assert_int_eq(config_read("/nonexistent/ifud.json", &c, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/ifud.json"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config");
    TCase *t = tcase_create("config");
    tcase_add_test(t, test_config_defaults);
    tcase_add_test(t, test_config_values_of_each_type);
    tcase_add_test(t, test_config_refuses_by_name);
    tcase_add_test(t, test_config_folders_stand_apart);
    tcase_add_test(t, test_config_bounds_on_size_and_depth);
    tcase_add_test(t, test_config_file_must_be_a_small_regular_one);
    tcase_add_test(t, test_config_shipped_file_is_the_defaults);
    tcase_add_test(t, test_config_print_reads_back);
    tcase_add_test(t, test_config_help_names_every_key);
    tcase_add_test(t, test_config_threads_stay_within_the_cores);
    tcase_add_test(t, test_config_socket_group);
    tcase_add_test(t, test_config_missing_file);
    suite_add_tcase(s, t);
    return support_run(s);
}
