#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/daemon/queue_kit.h"
#include "tests/daemon_child.h"
#include "tests/support.h"

/* The real daemon, a queue and a spool that do not agree. */

static struct daemon_child d;

static void setup(void)
{
    daemon_child_init(&d, "\"rescan_seconds\": 0.5");
}

static void teardown(void)
{
    daemon_child_done(&d);
}

/* Small exposures into the inbox: jobs are held for want of references. */
static void drop_rate(int number)
{
    char path[400], name[80];
    struct err err = {0};
    struct exposure *e = support_exposure(64, 48, 1, 1, "NRS1", "F290LP", "G395H");
    snprintf(name, sizeof name, "jw01234001001_02101_%05d_nrs1_rate.fits", number);
    snprintf(path, sizeof path, "%.200s/%s", d.top, name);
    support_ok(header_set_int(&e->primary, "PATT_NUM", number, NULL, &err), &err);
    support_write_rate(path, e);
    exposure_free(e);
    ck_assert_int_eq(rename(path, support_path(d.inbox, name)), 0);
}

static const char *in_spool(const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%.300s/spool/%s", d.top, name);
    return path;
}

/* Remove the copies, leaving the queue. */
static void remove_copies(void)
{
    char command[500];
    snprintf(command, sizeof command, "rm -r %.300s/spool/exposures/*", d.top);
    ck_assert_int_eq(system(command), 0);
}

static void queue_is_sound(void)
{
    struct queue *q = NULL;
    struct err err = {0};
    support_ok(queue_open(in_spool("queue.db"), QUEUE_READ, &q, &err), &err);
    kit_check(q);
    queue_close(q);
}

START_TEST(test_care_a_lost_queue_is_made_again_from_the_spool)
{
    daemon_child_start(&d);
    for (int i = 1; i <= 3; i++) {
        drop_rate(i);
    }
    daemon_child_until(&d, "exposures.accepted", 3);
    daemon_child_until(&d, "jobs.held", 3);
    daemon_child_stop(&d);
    ck_assert_int_eq(unlink(in_spool("queue.db")), 0);
    daemon_child_start(&d);
    daemon_child_until(&d, "exposures.accepted", 3);
    daemon_child_until(&d, "jobs.held", 3);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.accepted"), 3);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.duplicates"), 0);
    queue_is_sound();
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_care_lost_copies_come_again)
{
    daemon_child_start(&d);
    drop_rate(1);
    daemon_child_until(&d, "jobs.held", 1);
    daemon_child_stop(&d);
    remove_copies();
    daemon_child_start(&d);
    /* the comparison is over before anything is answered: it is small */
    ck_assert_int_eq(daemon_child_number(&d, "exposures.accepted"), 0);
    json_t *status = daemon_child_status(&d);
    char *text = json_dumps(json_object_get(status, "troubles"), 0);
    ck_assert_msg(strstr(text, "1 exposures have no copy in the spool"), "%s", text);
    free(text);
    json_decref(status);
    drop_rate(1);
    daemon_child_until(&d, "exposures.accepted", 1);
    daemon_child_until(&d, "jobs.superseded", 1);
    daemon_child_until(&d, "jobs.held", 1);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.duplicates"), 0);
    queue_is_sound();
    daemon_child_stop(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("care");
    TCase *t = tcase_create("care");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_care_a_lost_queue_is_made_again_from_the_spool);
    tcase_add_test(t, test_care_lost_copies_come_again);
    suite_add_tcase(s, t);
    return support_run(s);
}
