#ifndef IFUD_TESTS_DAEMON_QUEUE_ROWS_H
#define IFUD_TESTS_DAEMON_QUEUE_ROWS_H

/*
 * What old queues hold, for the schemas that have not changed these columns. EXPOSURE is
 * the including schema's own.
 */

/* A row a line. */
/* clang-format off */
#define JOB(ID, NAME, RECIPE, BASE, VERSION, STATE, EXPOSURE_ID)                       \
    "INSERT INTO job(id, name, recipe, base, grp, program, version, state, attempt,"   \
    " created_at, changed_at, exposure) VALUES(" #ID ", '" NAME "', '" RECIPE          \
    "', '" BASE "', 'g', '01234', " #VERSION ", '" STATE "', 1, 100.0, 20" #ID         \
    ".0, " EXPOSURE_ID ");"

#define QUEUE_ROWS                                                                     \
    EXPOSURE(1, "aa", "a_rate.fits", "a", "superseded", "science")                     \
    EXPOSURE(2, "bb", "a_rate.fits", "a", "accepted", "science")                       \
    EXPOSURE(3, "cc", "b_rate.fits", "b", "accepted", "science")                       \
    EXPOSURE(4, "dd", "leak_rate.fits", "leak", "accepted", "imprint")                 \
    JOB(1, "spec2-a-1", "spec2", "a", 1, "superseded", "1")                            \
    JOB(2, "spec2-a-2", "spec2", "a", 2, "done", "2")                                  \
    JOB(3, "spec2-b-1", "spec2", "b", 1, "running", "3")                               \
    JOB(4, "spec3-g-1", "spec3", "g", 1, "waiting", "NULL")                            \
    "INSERT INTO job_input VALUES(1, 1, 1, NULL), (2, 1, 2, NULL), (3, 1, 3, NULL);"   \
    "INSERT INTO product VALUES(2, '/p/a_cal.fits', 'cal', 'ee', 5);"
/* clang-format on */

#endif
