#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "cli/ctl_text.h"
#include "tests/support.h"

static char *print(void (*printer)(FILE *out, const json_t *o), const char *json)
{
    char *text = NULL;
    size_t n = 0;
    json_t *o = json_loads(json, 0, NULL);
    ck_assert_ptr_nonnull(o);
    FILE *f = open_memstream(&text, &n);
    printer(f, o);
    fclose(f);
    json_decref(o);
    return text;
}

static void has(const char *text, const char *word)
{
    ck_assert_msg(strstr(text, word) != NULL, "'%s' is not in:\n%s", word, text);
}

START_TEST(test_ctl_text_durations)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{-3, "0.0 s"},        {4.24, "4.2 s"},     {9.97, "10 s"},
                 {59.4, "59 s"},       {59.6, "1 min 0 s"}, {185, "3 min 5 s"},
                 {7800, "2 h 10 min"}, {442800, "5 d 3 h"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        ctl_duration(cases[i].seconds, text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(test_ctl_text_status)
{
    char *text = print(
        ctl_print_status,
        "{\"version\": \"1.2\", \"state\": \"running\", \"pid\": 7, \"now\": 1000.0,"
        " \"uptime_seconds\": 185, \"workers\": 2, \"threads_per_worker\": 1,"
        " \"inbox\": {\"folder\": \"/in\", \"files\": 3, \"incomplete\": 1,"
        "  \"taking_in\": 2},"
        " \"exposures\": {\"accepted\": 12, \"science\": 10, \"imprint\": 1,"
        "  \"background\": 1, \"rejected\": 1},"
        " \"jobs\": {\"queued\": 4, \"running\": 1, \"held\": 2},"
        " \"running\": [{\"job\": \"spec2-a-1\", \"stage\": \"cube_build\","
        "  \"stage_index\": 11, \"stages\": 14, \"share\": 0.43, \"seconds\": 12}],"
        " \"waiting\": [{\"group\": \"g\", \"waits_for\": \"dither 3 NRS2\"}],"
        " \"problems\": [{\"job\": \"spec2-b-1\", \"state\": \"deferred\","
        "  \"attempt\": 2, \"changed_at\": 940.0, \"retry_at\": 1030.0,"
        "  \"stage\": \"photom\", \"why\": \"ifuctl retry\","
        "  \"message\": \"bad \\u001b[2Jdisk\"}],"
        " \"rejections\": [{\"at\": 0, \"message\": \"x.txt\"}],"
        " \"products_folder\": \"/out\"}");
    has(text, "ifud 1.2 running for 3 min 5 s");
    has(text, "3 files (2 being taken in, 1 incomplete) in /in");
    has(text, "12 accepted: 10 science, 1 leakage, 1 background");
    has(text, "1 running, 4 queued, 0 waiting, 2 held, 0 done");
    has(text, "NEEDS YOU  2 jobs held");
    has(text, "/out");
    has(text, "cube_build (12 of 14)");
    has(text, "43 %");
    has(text, "waits for: dither 3 NRS2");
    has(text, "spec2-b-1 deferred, 1 min 0 s ago, attempt 2, at stage photom; tries "
              "again in 30 s");
    has(text, "bad ?[2Jdisk"); /* no escape reaches the terminal */
    has(text, "next: ifuctl retry");
    has(text, "x.txt");
    free(text);
}
END_TEST

START_TEST(test_ctl_text_status_begins_with_the_verdict)
{
    char *text =
        print(ctl_print_status,
              "{\"state\": \"running\", \"jobs\": {\"done\": 5}, \"blocked\": []}");
    has(text, "ALL WELL   nothing needs you\n");
    free(text);
    text = print(ctl_print_status, "{\"state\": \"running\", \"rejected_lately\": 2,"
                                   " \"blocked\": []}");
    has(text, "ALL WELL   but for 2 files rejected in the last 24 hours");
    ck_assert_ptr_null(strstr(text, "nothing needs you"));
    free(text);
    text = print(ctl_print_status, "{\"state\": \"draining\", \"blocked\": ["
                                   " {\"what\": \"dispatch\", \"why\": \"drained\"},"
                                   " {\"what\": \"intake\", \"why\": \"disk full\"}],"
                                   " \"config\": {\"error\": \"key 'x'\"}}");
    has(text, "BLOCKED    nothing new starts: drained");
    has(text, "BLOCKED    files wait in the inbox: disk full");
    has(text,
        "CONFIG     the file was refused, what was read before is in use: key 'x'");
    ck_assert_ptr_null(strstr(text, "ALL WELL"));
    free(text);
    text = print(ctl_print_status, "{\"state\": \"down\", \"uptime_seconds\": null,"
                                   " \"jobs\": {\"quarantined\": 1}}");
    has(text, "DOWN");
    has(text, "NEEDS YOU  0 jobs held, 1 quarantined");
    ck_assert_ptr_null(strstr(text, "for 0"));
    free(text);
}
END_TEST

START_TEST(test_ctl_text_status_fits_a_screen)
{
    json_t *s = json_pack("{s:s,s:[]}", "state", "running", "problems");
    for (int i = 0; i < 20; i++) {
        json_array_append_new(
            json_object_get(s, "problems"),
            json_pack("{s:s,s:s}", "job", i ? "j" : "first", "state", "held"));
    }
    char *json = json_dumps(s, 0), *text = print(ctl_print_status, json);
    int lines = 0;
    for (const char *c = text; *c; c++) {
        lines += *c == '\n';
    }
    has(text, "first held");
    has(text, "... and more: ifuctl list --state held");
    ck_assert_int_lt(lines, 32);
    free(text);
    free(json);
    json_decref(s);
}
END_TEST

START_TEST(test_ctl_text_commands)
{
    char *text = print(
        ctl_print_moves,
        "{\"command\": \"hold\", \"changed\": [{\"job\": \"a\", \"from\": \"queued\","
        " \"to\": \"held\"}, {\"job\": \"b\", \"from\": \"running\","
        " \"to\": \"running\", \"wish\": \"held\"}],"
        " \"unchanged\": [{\"job\": \"c\", \"to\": \"held\"}], \"refused\": 2}");
    has(text, "a is held, was queued\n");
    has(text, "b is being stopped and will be held\n");
    has(text, "c is held already\n");
    has(text, "2 jobs left as they were: hold makes no sense for them\n");
    free(text);
    text = print(ctl_print_moves,
                 "{\"command\": \"retry\", \"changed\": [], \"unchanged\": []}");
    has(text, "no such job");
    free(text);
    text = print(ctl_print_why, "{\"job\": \"a\", \"state\": \"waiting\","
                                " \"why\": \"waits for: dither 2\"}");
    ck_assert_str_eq(text, "a is waiting\n  waits for: dither 2\n");
    free(text);
}
END_TEST

START_TEST(test_ctl_text_exposure)
{
    char *text = print(
        ctl_print_show,
        "{\"exposure\": \"e_rate.fits\", \"state\": \"accepted\", \"bytes\": 1048576,"
        " \"jobs\": [\"spec2-e-1\"], \"events\": [{\"at\": 0,"
        "  \"file\": \"e_rate.fits\", \"from\": \"seen\", \"to\": \"settling\"}]}");
    has(text, "exposure   e_rate.fits");
    has(text, "1 MB");
    has(text, "spec2-e-1");
    has(text, "e_rate.fits  seen -> settling");
    free(text);
}
END_TEST

START_TEST(test_ctl_text_quiet_status_has_no_empty_parts)
{
    char *text = print(ctl_print_status, "{\"problems\": [], \"running\": []}");
    ck_assert_ptr_null(strstr(text, "NEEDS ATTENTION"));
    ck_assert_ptr_null(strstr(text, "RUNNING"));
    ck_assert_ptr_null(strstr(text, "WAITING"));
    free(text);
}
END_TEST

START_TEST(test_ctl_text_show_and_events)
{
    char *text = print(
        ctl_print_show,
        "{\"job\": \"spec3-g-2\", \"id\": 9, \"state\": \"held\", \"attempt\": 1,"
        " \"error\": \"reference\", \"stage\": \"photom\", \"message\": \"none fits\","
        " \"inputs\": [\"spec2-a-1\", \"spec2-b-1\"],"
        " \"products\": [{\"path\": \"/p/g_s3d.fits\"}], \"manifest\": \"/m.json\","
        " \"events\": [{\"at\": 0, \"job\": \"spec3-g-2\", \"from\": \"queued\","
        "  \"to\": \"running\"}]}");
    has(text, "spec3-g-2 (number 9)");
    has(text, "reference at stage photom: none fits");
    has(text, "spec2-b-1");
    has(text, "/p/g_s3d.fits");
    has(text, "ifurun /m.json");
    has(text, "1970-01-01 00:00:00  spec3-g-2  queued -> running");
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ctl_text");
    TCase *t = tcase_create("ctl_text");
    tcase_add_test(t, test_ctl_text_durations);
    tcase_add_test(t, test_ctl_text_status);
    tcase_add_test(t, test_ctl_text_quiet_status_has_no_empty_parts);
    tcase_add_test(t, test_ctl_text_show_and_events);
    tcase_add_test(t, test_ctl_text_status_begins_with_the_verdict);
    tcase_add_test(t, test_ctl_text_status_fits_a_screen);
    tcase_add_test(t, test_ctl_text_commands);
    tcase_add_test(t, test_ctl_text_exposure);
    suite_add_tcase(s, t);
    return support_run(s);
}
