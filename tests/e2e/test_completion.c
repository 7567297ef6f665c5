#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/daemon_child.h"
#include "tests/support.h"

/* cli/ifuctl.bash, sourced in bash as a login shell of an operator would. */

static struct daemon_child d;
static char *words; /* completions, one per line, with a line's end before the first */

static void setup(void)
{
    daemon_child_init(&d, "\"rescan_seconds\": 3600");
}

static void teardown(void)
{
    free(words);
    words = NULL;
    daemon_child_done(&d);
}

/* What bash offers for the last word of a command line, "" if it ends with a space. */
static void complete(const char *line)
{
    char script[9000], out[400];
    int status;
    size_t n;
    snprintf(out, sizeof out, "%.300s/words", d.top);
    snprintf(script, sizeof script,
             "PATH=%.4000s:$PATH; source cli/ifuctl.bash || exit 1\n"
             "line='%.3000s'; read -ra COMP_WORDS <<<\"$line\"\n"
             "[ \"${line: -1}\" = ' ' ] && COMP_WORDS+=('')\n"
             "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); p=${COMP_WORDS[0]}\n"
             "f=$(complete -p \"$p\" | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n"
             "$f \"$p\" \"${COMP_WORDS[COMP_CWORD]}\" || exit 1\n"
             "printf '\\n'; printf '%%s\\n' \"${COMPREPLY[@]}\"\n",
             getenv("IFUD_BIN"), line);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
        execlp("bash", "bash", "--norc", "-c", script, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "bash: %x for '%s'",
                  (unsigned)status, line);
    free(words);
    words = support_read_file(out, &n);
}

static bool offers(const char *word)
{
    char whole[600];
    snprintf(whole, sizeof whole, "\n%.500s\n", word);
    return strstr(words, whole) != NULL;
}

#define has(word) ck_assert_msg(offers(word), "'%s' is not offered:%s", word, words)
#define has_not(word) ck_assert_msg(!offers(word), "'%s' is offered:%s", word, words)

START_TEST(test_completion_of_ifuctl)
{
    complete("ifuctl st");
    has("status");
    has_not("show");
    complete("ifuctl ");
    has("priority");
    has("queue");
    complete("ifuctl queue ");
    has("backup");
    complete("ifuctl status --ex");
    has("--exit-code");
    has_not("--json");
    complete("ifuctl list --state ");
    has("held");
    has("suspect");
    complete("ifuctl list --state qu");
    has("quarantined");
    has("queued");
    has_not("held");
    complete("ifuctl submit cli/ifuctl.b");
    has("cli/ifuctl.bash");
}
END_TEST

START_TEST(test_completion_of_states_knows_all_of_them)
{
    daemon_child_start(&d);
    json_t *status = daemon_child_status(&d);
    const char *state;
    json_t *n;
    complete("ifuctl list --state ");
    json_object_foreach(json_object_get(status, "jobs"), state, n)
    {
        has(state);
    }
    json_decref(status);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_completion_of_jobs)
{
    char line[800];
    struct exposure *e = support_exposure(64, 48, 1, 1, "NRS1", "F290LP", "G395H");
    support_write_rate(
        support_path(d.inbox, "jw01234001001_02101_00001_nrs1_rate.fits"), e);
    exposure_free(e);
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.held", 1);
    snprintf(line, sizeof line, "ifuctl --config %s retry spec2", d.config);
    complete(line);
    has("spec2-jw01234001001_02101_00001_nrs1-1");
    daemon_child_stop(&d);
    complete(line); /* the queue as it was left */
    has("spec2-jw01234001001_02101_00001_nrs1-1");
}
END_TEST

/* Groups that wait. */
START_TEST(test_completion_of_groups)
{
    static const char text[] =
        "{\"asn_type\": \"spec3\", \"products\": [{\"name\": \"mine\", \"members\": ["
        "{\"expname\": \"a_cal.fits\", \"exptype\": \"science\"}]}]}";
    char line[800];
    double end = clock_steady() + 30;
    daemon_child_start(&d);
    support_write_file(support_path(d.inbox, "x_asn.json"), text, strlen(text));
    snprintf(line, sizeof line, "ifuctl --config %s proceed m", d.config);
    do {
        ck_assert(clock_steady() < end);
        support_beat();
        complete(line);
    } while (!offers("mine"));
}
END_TEST

START_TEST(test_completion_of_ifurun_and_ifud)
{
    complete("ifurun sp");
    has("spec2");
    has("spec3");
    complete("ifurun spec2 --stop-after ph");
    has("photom");
    complete("ifurun spec2 --set cube_build.scale");
    has("cube_build.scalexy=");
    has_not("photom.inverse=");
    complete("ifurun spec2 --set photom.over");
    has("photom.override_photom=");
    complete("ifurun spec2 --tim");
    has("--timings");
    complete("ifud --check");
    has("--check-config");
    complete("ifud --config config/ifu");
    has("config/ifud.json");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("completion");
    TCase *t = tcase_create("completion");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_completion_of_ifuctl);
    tcase_add_test(t, test_completion_of_states_knows_all_of_them);
    tcase_add_test(t, test_completion_of_jobs);
    tcase_add_test(t, test_completion_of_groups);
    tcase_add_test(t, test_completion_of_ifurun_and_ifud);
    suite_add_tcase(s, t);
    return support_run(s);
}
