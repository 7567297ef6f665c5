#include <check.h>
#include <dirent.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/plan.h"
#include "daemon/queue_stale.h"
#include "tests/daemon/killing_vfs.h"
#include "tests/daemon/queue_kit.h"
#include "tests/daemon/queue_schema1.h"
#include "tests/daemon/queue_schema2.h"
#include "tests/daemon/queue_schema3.h"
#include "tests/daemon/queue_schema4.h"
#include "tests/support.h"

static char *folder;
static char *path;
static struct queue *q;
static struct err err;

static void setup(void)
{
    if (!access("/dev/shm", W_OK)) { /* a killed process needs no disk */
        setenv("TMPDIR", "/dev/shm", 1);
    }
    folder = support_folder();
    path = strdup(support_path(folder, "queue.db"));
    q = NULL;
}

static void teardown(void)
{
    queue_close(q);
    free(path);
    support_remove(folder);
}

static void is_migrated(void)
{
    struct queue_counts c;
    struct queue_exposure e;
    struct queue_job j;
    struct queue_event *events;
    struct queue_product *p;
    size_t n;
    support_ok(queue_count(q, &c, &err), &err);
    ck_assert_int_eq(c.accepted, 3);
    ck_assert_int_eq(c.science, 2);
    ck_assert_int_eq(c.imprint, 1);
    ck_assert_int_eq(c.superseded, 1);
    ck_assert_int_eq(c.rejected, 1);
    ck_assert_int_eq(c.duplicates, 1);
    ck_assert_int_eq(c.jobs[JOB_DONE], 1);
    ck_assert_int_eq(c.jobs[JOB_RUNNING], 1);
    ck_assert_int_eq(c.jobs[JOB_WAITING], 1);
    ck_assert_int_eq(c.jobs[JOB_SUPERSEDED], 1);
    support_ok(queue_get_exposure(q, 2, &e, &err), &err);
    ck_assert_str_eq(e.sha256, "bb");
    ck_assert_int_eq(e.pattern_number, 2);
    ck_assert_double_eq(e.accepted_at, 102.0);
    support_ok(queue_find_job(q, "spec2-b-1", &j, &err), &err);
    ck_assert_int_eq(j.exposure, 3);
    ck_assert_int_eq(j.attempt, 1);
    ck_assert_int_eq(j.priority, 0);
    support_ok(queue_products(q, 2, &p, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    free(p);
    support_ok(queue_events(q, 0, "", 100, &events, &n, &err), &err);
    ck_assert_uint_eq(n, 11);
    ck_assert_str_eq(events[0].file, "a_rate.fits");
    ck_assert_str_eq(events[10].job, "spec3-g-1");
    free(events);
}

/* Names in the folder that begin so. */
static int count_files(const char *prefix, char *ret_last, size_t size)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!strncmp(e->d_name, prefix, strlen(prefix))) {
            snprintf(ret_last, size, "%s", e->d_name);
            n++;
        }
    }
    closedir(d);
    return n;
}

START_TEST(test_queue_migrate_keeps_rows_and_a_copy)
{
    char name[300];
    queue_schema1_write(path);
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    is_migrated();
    ck_assert_int_eq(count_files("queue.db.schema1-", name, sizeof name), 1);
    /* the copy is a queue of schema 1 that migrates as well */
    queue_close(q);
    q = NULL;
    support_ok(queue_open(support_path(folder, name), QUEUE_WRITE, &q, &err), &err);
    is_migrated();
    queue_close(q);
    q = NULL;
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err); /* once only */
    is_migrated();
}
END_TEST

/* What is done stays done; a background that was only kept is reduced. */
START_TEST(test_queue_migrate_from_schema_2)
{
    char name[300];
    struct queue_exposure e;
    struct queue_job j;
    bool planned;
    queue_schema2_write(path);
    queue_schema2_add_background(path);
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    ck_assert_int_eq(count_files("queue.db.schema2-", name, sizeof name), 1);
    support_ok(queue_get_exposure(q, 4, &e, &err), &err);
    ck_assert(e.aid);
    ck_assert(isnan(e.xtilt) && isnan(e.ytilt) && isnan(e.expstart));
    ck_assert_str_eq(e.pattern_type, "");
    support_ok(queue_is_planned(q, &planned, &err), &err);
    ck_assert(!planned);
    const struct plan_rules rules = {
        .imprints = true, .backgrounds = true, .linked = true, .nods = true};
    for (bool all = false; !all;) {
        support_ok(plan_groups(q, &rules, 1000, 1.0, &all, &err), &err);
    }
    support_ok(queue_find_job(q, "spec2-sky-1", &j, &err), &err);
    ck_assert_int_eq(j.state, JOB_QUEUED);
    support_ok(queue_find_job(q, "spec2-a-2", &j, &err), &err);
    ck_assert_int_eq(j.state, JOB_DONE);
    ck_assert_int_eq(queue_find_job(q, "spec2-a-3", &j, &err), ERR_INPUT);
    kit_check(q);
}
END_TEST

/* What was chosen and waited for stays. */
START_TEST(test_queue_migrate_from_schema_3)
{
    char name[300];
    struct queue_companion *c;
    struct queue_job j;
    size_t n;
    queue_schema3_write(path);
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    ck_assert_int_eq(count_files("queue.db.schema3-", name, sizeof name), 1);
    is_migrated();
    support_ok(queue_companions(q, 2, &c, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(c->exposure, 4);
    free(c);
    support_ok(queue_find_job(q, "spec2-a-2", &j, &err), &err);
    ck_assert_str_eq(j.product, "");
    support_ok(queue_without_imprint(q, &n, &err), &err);
    ck_assert_uint_eq(n, 1);
    kit_check(q);
}
END_TEST

/* What is done is not stale, and has not replaced anything. */
START_TEST(test_queue_migrate_from_schema_4)
{
    char name[300];
    size_t n = 9;
    queue_schema4_write(path);
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    ck_assert_int_eq(count_files("queue.db.schema4-", name, sizeof name), 1);
    is_migrated();
    support_ok(queue_stale_count(q, 10, &n, &err), &err);
    ck_assert_uint_eq(n, 0);
    kit_check(q);
}
END_TEST

START_TEST(test_queue_migrate_is_refused_to_readers)
{
    queue_schema1_write(path);
    ck_assert_int_eq(queue_open(path, QUEUE_READ, &q, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "schema 1"));
    ck_assert_ptr_null(q);
}
END_TEST

/* A queue is made in rollback mode: a death there leaves a journal beside it. */
START_TEST(test_queue_opens_after_a_death_while_it_was_made)
{
    /* magic, no pages, nonce, the file had 0 pages before, sector and page size */
    static const unsigned char journal[512] = {
        0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0, 0, 0, 1,    2,
        3,    4,    0,    0,    0,    0,    0,    0,    2, 0, 0, 0, 0x10, 0};
    char name[4096];
    size_t n;
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    queue_close(q);
    q = NULL;
    char *data = support_read_file(path, &n);
    ck_assert_uint_gt(n, 4096);
    support_write_file(path, data, 4096); /* its first page alone was written */
    free(data);
    snprintf(name, sizeof name, "%s-journal", path);
    support_write_file(name, journal, sizeof journal);
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    struct queue_counts c;
    support_ok(queue_count(q, &c, &err), &err);
    ck_assert_int_eq(c.accepted, 0);
}
END_TEST

/* One integer, read by SQLite alone. */
static int64_t ask(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(!sqlite3_prepare_v2(db, sql, -1, &st, NULL), "%s: %s", sql,
                  sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

/* Open the queue in a child that dies at the n-th change of a file. */
static int migrate_and_die(long n)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        killing_vfs_install(n);
        int code = queue_open(path, QUEUE_WRITE, &q, &err);
        queue_close(q);
        _exit(code ? 1 : 0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* _i: the schema before */
START_TEST(test_queue_migrate_killed_at_every_write)
{
    const int from = _i;
    int old = 0, new = 0, status = 9;
    for (long n = 1; status != 0; n++) {
        ck_assert_int_lt(n, 2000);
        support_remove(folder);
        folder = support_folder();
        free(path);
        path = strdup(support_path(folder, "queue.db"));
        (from == 1   ? queue_schema1_write
         : from == 2 ? queue_schema2_write
         : from == 3 ? queue_schema3_write
                     : queue_schema4_write)(path);
        status = migrate_and_die(n);
        ck_assert_msg(status == 9 || status == 0, "status %d at %ld", status, n);
        /* one or the other, never both */
        int64_t version = ask("PRAGMA user_version");
        ck_assert(version == from || version == 5);
        old += version == from;
        new += version == 5;
        ck_assert_int_eq(ask("SELECT count(*) FROM sqlite_schema WHERE name = 'stale'"),
                         version == 5);
        ck_assert_int_eq(ask("SELECT count(*) FROM sqlite_schema WHERE name LIKE"
                             " '%\\_1' ESCAPE '\\' AND type = 'table'"),
                         0);
        ck_assert_int_eq(ask("SELECT count(*) FROM job"), 4);
        ck_assert_int_eq(ask("SELECT count(*) FROM event"), 11);
        /* the next start ends it */
        support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
        is_migrated();
        kit_check(q);
        queue_close(q);
        q = NULL;
    }
    ck_assert_int_gt(old, 20);
    ck_assert_int_gt(new, 5);
    fprintf(stderr, "schema %d, killed at %d writes: %d times still old, %d new\n",
            from, old + new - 1, old, new - 1);
}
END_TEST

static void same(const char *name, const void *bytes, size_t n)
{
    size_t now;
    char *is = support_read_file(support_path(folder, name), &now);
    ck_assert_uint_eq(now, n);
    ck_assert_mem_eq(is, bytes, n);
    free(is);
}

START_TEST(test_queue_migrate_newer_schema_is_left_alone)
{
    /* written by a later version that died: part of it is still in the -wal */
    queue_schema1_write(path);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        sqlite3 *db;
        sqlite3_open(path, &db);
        _exit(sqlite3_exec(db, "CREATE TABLE later(x); PRAGMA user_version = 6", NULL,
                           NULL, NULL));
    }
    int status;
    waitpid(pid, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    size_t n, n_wal;
    char *db = support_read_file(path, &n);
    char *wal = support_read_file(support_path(folder, "queue.db-wal"), &n_wal);
    ck_assert_uint_gt(n_wal, 0);
    ck_assert_int_eq(queue_open(path, QUEUE_WRITE, &q, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "schema 6"));
    ck_assert_ptr_nonnull(strstr(err.message, "newer version"));
    ck_assert_int_eq(queue_open(path, QUEUE_READ, &q, &err), ERR_IO);
    same("queue.db", db, n);
    same("queue.db-wal", wal, n_wal);
    free(db);
    free(wal);
    char name[300];
    ck_assert_int_eq(count_files("queue.db.schema", name, sizeof name), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("queue_migrate");
    TCase *t = tcase_create("queue_migrate");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_queue_migrate_keeps_rows_and_a_copy);
    tcase_add_test(t, test_queue_migrate_is_refused_to_readers);
    tcase_add_test(t, test_queue_opens_after_a_death_while_it_was_made);
    tcase_add_loop_test(t, test_queue_migrate_killed_at_every_write, 1, 5);
    tcase_add_test(t, test_queue_migrate_from_schema_2);
    tcase_add_test(t, test_queue_migrate_from_schema_3);
    tcase_add_test(t, test_queue_migrate_from_schema_4);
    tcase_add_test(t, test_queue_migrate_newer_schema_is_left_alone);
    suite_add_tcase(s, t);
    return support_run(s);
}
