#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/path.h"
#include "daemon/queue.h"
#include "tests/daemon_child.h"
#include "tests/support.h"
#include "tests/tiny.h"

/*
 * A long queue: the daemon stays small. Thousands here; a hundred
 * thousand, and what each costs, in scripts/benchmark-daemon, for which this program also
 *
 *   test_scale fill SPOOL FIRST LAST          adds spec2 jobs to a queue, drained
 *   test_scale references FOLDER              makes references and a first exposure
 *   test_scale expose REFERENCES FOLDER FIRST LAST     writes tiny exposures
 */

#define JOBS 5000
#define ASKS 51
#define PER_GROUP 100

/* The copy in the spool: as long as it should be, and empty. */
static void add_copy(const char *spool, const struct queue_exposure *e)
{
    char path[800];
    int n = snprintf(path, sizeof path, "%.300s/exposures/%s", spool, e->sha256);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path + n, sizeof path - (size_t)n, "/%s", e->name);
    support_write_file(path, "", 0);
    ck_assert_int_eq(truncate(path, (off_t)e->bytes), 0);
}

/* Exposure i with its queued job. */
static void add_job(struct queue *q, const char *spool, int i)
{
    struct err err = {0};
    struct queue_exposure e = {.pattern_number = 1 + i % PER_GROUP,
                               .pattern_total = PER_GROUP,
                               .bytes = 83920320,
                               .ra = 150,
                               .dec = 2,
                               .pa = 30};
    const int group = i / PER_GROUP;
    snprintf(e.sha256, sizeof e.sha256, "%064x", (unsigned)i + 1);
    snprintf(e.base, sizeof e.base, "jw%05d%03d001_02101_%05d_nrs1", 1 + group % 10,
             group / 10, 1 + i % PER_GROUP);
    snprintf(e.name, sizeof e.name, "%.200s_rate.fits", e.base);
    snprintf(e.group, sizeof e.group, "jw%05d-o%03d_scale_nirspec_g395m-f290lp",
             1 + group % 10, group / 10);
    snprintf(e.program, sizeof e.program, "%05d", 1 + group % 10);
    snprintf(e.observation, sizeof e.observation, "%03d", group / 10);
    strcpy(e.visit, "001");
    strcpy(e.role, "science");
    strcpy(e.target, "scale");
    strcpy(e.detector, "NRS1");
    strcpy(e.filter, "F290LP");
    strcpy(e.grating, "G395M");
    add_copy(spool, &e);
    struct queue_job job = {0}, row;
    support_ok(queue_add_exposure(q, &e, NULL, 1.7e9 + i, &job.exposure, &err), &err);
    strcpy(job.recipe, "spec2");
    memcpy(job.base, e.base, sizeof job.base);
    memcpy(job.group, e.group, sizeof job.group);
    memcpy(job.program, e.program, sizeof job.program);
    support_ok(queue_add_job(q, &job, 1.7e9 + i, &row, &err), &err);
    support_ok(queue_move(q, row.id, JOB_QUEUED, NULL, 1.7e9 + i, &err), &err);
}

/* Jobs first..last, a thousand to a commit. Nothing will start: the queue is drained. */
static void fill(const char *spool, int first, int last)
{
    struct queue *q;
    struct err err = {0};
    char path[400];
    snprintf(path, sizeof path, "%.300s/exposures", spool);
    support_ok(path_make_folder(path, 0700, &err), &err);
    snprintf(path, sizeof path, "%.300s/queue.db", spool);
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    support_ok(queue_set_setting(q, "drain", "1", &err), &err);
    for (int i = first; i <= last;) {
        support_ok(queue_begin(q, &err), &err);
        for (int k = 0; k < 1000 && i <= last; k++) {
            add_job(q, spool, i++);
        }
        support_ok(queue_commit(q, &err), &err);
    }
    queue_close(q);
}

/* kB of the daemon in memory. */
static long resident_kb(const struct daemon_child *d)
{
    char path[64], line[256];
    long kb = -1;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)d->pid);
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, "VmRSS:", 6)) {
            kb = strtol(line + 6, NULL, 10);
        }
    }
    fclose(f);
    ck_assert_int_gt(kb, 0);
    return kb;
}

/* So that caches and arenas have grown to what they need. */
static void ask_often(const struct daemon_child *d)
{
    for (int i = 0; i < ASKS; i++) {
        json_decref(daemon_child_status(d));
    }
}

/* Resident memory means what a user sees only without a sanitizer's own. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define MAY_GROW_KB 2000000
#else
#define MAY_GROW_KB 20000
#endif

START_TEST(test_scale_long_queue)
{
    struct daemon_child d;
    char path[400];
    daemon_child_init(&d, "");
    daemon_child_start(&d);
    ask_often(&d);
    long empty = resident_kb(&d);
    daemon_child_stop(&d);
    snprintf(path, sizeof path, "%s/spool", d.top);
    fill(path, 0, JOBS - 1);
    daemon_child_start(&d);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.queued"), JOBS);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.accepted"), JOBS);
    ask_often(&d);
    long full = resident_kb(&d);
    ck_assert_msg(full - empty < MAY_GROW_KB, "%ld kB with %d jobs, %ld kB without",
                  full, JOBS, empty);
    daemon_child_stop(&d);
    daemon_child_done(&d);
}
END_TEST

/* What the benchmark wants; as a test, since our helpers report as tests do. */
static char **words;

START_TEST(tool)
{
    if (!strcmp(words[1], "fill")) {
        fill(words[2], atoi(words[3]), atoi(words[4]));
    } else if (!strcmp(words[1], "expose")) {
        tiny_expose(words[2], words[3], atoi(words[4]), atoi(words[5]));
    } else {
        tiny_make(words[2]);
    }
}
END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("scale");
    TCase *t = tcase_create("all");
    words = argv;
    tcase_add_test(t, argc > 2 ? tool : test_scale_long_queue);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, argc > 2 ? CK_NOFORK : CK_FORK_GETENV);
    srunner_run_all(r, argc > 2 ? CK_MINIMAL : CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
