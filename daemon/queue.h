#ifndef IFUD_DAEMON_QUEUE_H
#define IFUD_DAEMON_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "daemon/lifecycle.h"

/*
 * The queue: what was accepted, what is to be done with it, and everything that ever
 * happened to it. The files daemon/queue*.c are the only ones that speak SQLite: WAL,
 * synchronous FULL, one connection that writes, STRICT tables. What a call has returned 0
 * for is on the disk (outside a transaction). Every change of state of a file or a job is
 * also a row of `event`, in the same commit.
 *
 * Ownership: rows are returned in new arrays, each released with one free() unless said
 * otherwise; strings lie inside the rows.
 * Thread: the one that opened it. Test: tests/daemon/test_queue*.c
 */
struct queue;

enum queue_mode {
    QUEUE_WRITE, /* the daemon: creates, migrates */
    QUEUE_READ   /* looks, changes nothing, beside a daemon or without one */
};

#define QUEUE_NAME 256

struct queue_exposure {
    int64_t id;
    char sha256[65];
    char name[QUEUE_NAME];  /* file name, also in the spool */
    char base[QUEUE_NAME];  /* name without "_rate" and extension */
    char state[16];         /* "accepted", "superseded" or "gone" (enum file_state) */
    char role[16];          /* "science", "imprint", "background" */
    char group[QUEUE_NAME]; /* name of the spec3 product it belongs to */
    char program[16], observation[16], visit[16];
    char target[72], detector[8], filter[12], grating[12];
    int pattern_number, pattern_total; /* dither, 1..total */
    int64_t bytes;
    double accepted_at;    /* seconds since 1970 */
    double ra, dec, pa;    /* of the pointing and its field, degrees; 0: not known */
    char pattern_type[32]; /* PATTTYPE; "" if not known */
    bool aid; /* jobs of other groups may read it: leakage, background, blank sky */
    double expstart;     /* MJD; NaN: not known */
    double xtilt, ytilt; /* of the grating wheel, sensor volts; NaN: not known */
};

struct queue_job {
    int64_t id;
    char name[2 * QUEUE_NAME]; /* "<recipe>-<base>-<version>" */
    char recipe[8];            /* "spec2", "spec3" or "combine" */
    char base[QUEUE_NAME];     /* of its products */
    char group[QUEUE_NAME];
    char program[16];
    int version;
    enum job_state state;
    int attempt;  /* counts starts */
    int failures; /* since it last succeeded or was retried by hand */
    double created_at, changed_at, not_before;
    char stage[40];     /* where it failed */
    char error[16];     /* err_name of the failure */
    char message[1024]; /* of the last change */
    int64_t exposure;   /* spec2: its exposure */
    int priority;       /* -10..10 */
    int crashes;        /* of its own process, since it was done or retried */
    int64_t estimate_bytes, peak_bytes; /* memory; 0: not known */
    double queued_at;         /* when it last joined the queue; s since 1970 */
    char wish[16];            /* running: where it goes at its end: "", "held", ... */
    char product[QUEUE_NAME]; /* spec2: name of its products; "": base */
};

/* One exposure or job that a job reads. */
struct queue_input {
    int64_t job;       /* the job that reads */
    int64_t exposure;  /* or 0 */
    int64_t input_job; /* or 0: its products */
};

/* What a job reads beside its inputs; manifests call it a member. */
struct queue_companion {
    int64_t job;       /* the job that reads */
    int64_t exposure;  /* of a spec2, or 0 */
    int64_t input_job; /* of a spec3, or 0: its x1d */
    int64_t position;  /* in the list, from 1 */
    char role[16];     /* "imprint", "background" */
    char why[128];     /* it was chosen */
};

struct queue_product {
    char path[4096];
    char suffix[40];
    char sha256[65];
    int64_t bytes;
};

struct queue_event {
    int64_t id;
    double at;
    char file[QUEUE_NAME];     /* its name in the inbox, "" if none */
    char exposure[QUEUE_NAME]; /* "" if none */
    char job[2 * QUEUE_NAME];  /* "" if none */
    char from[16], to[16];     /* states; "" if none */
    char message[1024];
};

/*
 * QUEUE_WRITE: open, or create in a folder that exists. An older schema is migrated in one
 * transaction, after a copy <path>.schema<N>-<date> is on the disk. QUEUE_READ: open what
 * is there; an older schema is refused.
 * A newer schema, or a file that is no database or fails its check, is refused (ERR_IO)
 * and left alone.
 */
int queue_open(const char *path, enum queue_mode mode, struct queue **ret,
               struct err *err);
void queue_close(struct queue *q); /* NULL is fine */

/* Several changes at once; without them each call commits by itself. No nesting. */
int queue_begin(struct queue *q, struct err *err);
int queue_commit(struct queue *q, struct err *err); /* rolls back on failure */
void queue_rollback(struct queue *q);
/* Some of the changes of a transaction, which may fail for themselves: leave undoes those
 * since enter if code is not 0, and returns the code. */
int queue_enter(struct queue *q, struct err *err);
int queue_leave(struct queue *q, int code, struct err *err);

/* ---- settings that outlive the daemon ---- */

/* *ret = "" if it was never set. */
int queue_get_setting(struct queue *q, const char *key, char *ret, size_t size,
                      struct err *err);
int queue_set_setting(struct queue *q, const char *key, const char *value,
                      struct err *err);

/* ---- files and exposures ---- */

/* How a file came: its way to `settling` is recorded with these times. */
struct queue_file {
    const char *name;            /* in the inbox */
    double seen_at, settling_at; /* s since 1970; 0: not known, or not reached */
};

/* *ret_id = 0 if these bytes are no exposure, or one whose copy is gone. */
int queue_find_content(struct queue *q, const char *sha256, int64_t *ret_id,
                       struct err *err);
/* Insert (id, state and accepted_at are set here) and record it as accepted. file: NULL
 * if it did not come through the inbox. */
int queue_add_exposure(struct queue *q, const struct queue_exposure *e,
                       const struct queue_file *file, double now, int64_t *ret_id,
                       struct err *err);
int queue_get_exposure(struct queue *q, int64_t id, struct queue_exposure *ret,
                       struct err *err);
/* Move an exposure along the table of files and record it: to "superseded" or "gone". */
int queue_move_exposure(struct queue *q, int64_t id, enum file_state to,
                        const char *message, double now, struct err *err);
/* What became of a file that is no new exposure: to "rejected", "duplicate" (exposure:
 * whose bytes it has), or "gone" (from the inbox). */
int queue_note_file(struct queue *q, int64_t exposure, const struct queue_file *file,
                    const char *to, const char *message, double now, struct err *err);

/* ---- jobs ---- */

/*
 * Insert a job as `waiting`. Given: recipe, base, group, program and, for spec2,
 * exposure; version and name are made here. Returned: *ret, the row.
 */
int queue_add_job(struct queue *q, const struct queue_job *job, double now,
                  struct queue_job *ret, struct err *err);
/* What a spec3 or combine job reads: the products of these jobs, in this order. */
int queue_set_inputs(struct queue *q, int64_t job, const int64_t *input_jobs, size_t n,
                     struct err *err);

struct queue_change { /* what goes with a move; all may be empty */
    const char *message, *error, *stage;
    double not_before;  /* deferred: when to try again */
    bool count_failure; /* failures + 1 */
    bool count_crash;   /* crashes + 1 */
};
/*
 * Move a job along the table of lifecycle.c and record it; to JOB_RUNNING counts the
 * attempt. Failures and crashes begin anew when it is done, or leaves a final state. Any
 * other move is ERR_BUG and changes nothing. change may be NULL.
 */
int queue_move(struct queue *q, int64_t job, enum job_state to,
               const struct queue_change *change, double now, struct err *err);
/* A held, quarantined, cancelled or done job again: to queued, or to waiting if it has no
 * inputs yet. */
int queue_retry(struct queue *q, int64_t job, const char *message, double now,
                struct err *err);
/* Where a running job goes at its end: to JOB_HELD, JOB_CANCELLED or JOB_QUARANTINED. */
int queue_set_wish(struct queue *q, int64_t job, enum job_state to, const char *message,
                   double now, struct err *err);
int queue_set_priority(struct queue *q, int64_t job, int priority, double now,
                       struct err *err);
/* 0 leaves a value as it is. */
int queue_set_memory(struct queue *q, int64_t job, int64_t estimate_bytes,
                     int64_t peak_bytes, struct err *err);
/* The largest peak / estimate of the last 20 jobs of this recipe that were measured; 0:
 * none was. */
int queue_memory_ratio(struct queue *q, const char *recipe, double *ret,
                       struct err *err);

/* What may run next: of each program and priority the job that was queued first. */
struct queue_candidate {
    int64_t id;
    char program[16];
    int priority;
    double queued_at;  /* s since 1970 */
    double started_at; /* when a job of this program and priority last started; or 0 */
};
int queue_candidates(struct queue *q, struct queue_candidate **ret, size_t *ret_n,
                     struct err *err);
/* The oldest suspect; ret->id = 0 if there is none. */
int queue_next_suspect(struct queue *q, struct queue_job *ret, struct err *err);

/* Worker time that programs have used, halving every half_life seconds. */
struct queue_share {
    char program[16];
    double used_seconds;
    int running; /* jobs */
};
int queue_shares(struct queue *q, double now, double half_life,
                 struct queue_share **ret, size_t *ret_n, struct err *err);
int queue_use(struct queue *q, const char *program, double seconds, double now,
              double half_life, struct err *err);

/* deferred -> queued where not_before has passed. *ret_next: when the next is due, 0 if
 * none. */
int queue_wake_deferred(struct queue *q, double now, double *ret_next, struct err *err);
/* After a start: running -> suspect, or where an operator wished. *ret_n: how many. */
int queue_recover(struct queue *q, double now, size_t *ret_n, struct err *err);
int queue_get_job(struct queue *q, int64_t id, struct queue_job *ret, struct err *err);
/* By name, or by number; ERR_INPUT if unknown. */
int queue_find_job(struct queue *q, const char *name, struct queue_job *ret,
                   struct err *err);
/* Jobs of one state (JOB_STATES: any), the last changed first, at most `limit`. */
int queue_jobs(struct queue *q, enum job_state state, size_t limit,
               struct queue_job **ret, size_t *ret_n, struct err *err);
/* Done jobs that have a message, which is a warning; likewise. */
int queue_jobs_warned(struct queue *q, size_t limit, struct queue_job **ret,
                      size_t *ret_n, struct err *err);
int queue_inputs(struct queue *q, int64_t job, struct queue_input **ret, size_t *ret_n,
                 struct err *err);
/* The newest older version of a job that has published something; ret->id = 0: none. */
int queue_older_version(struct queue *q, const struct queue_job *job,
                        struct queue_job *ret, struct err *err);
/* Replace the list of what a job published. */
int queue_set_products(struct queue *q, int64_t job, const struct queue_product *p,
                       size_t n, struct err *err);
int queue_products(struct queue *q, int64_t job, struct queue_product **ret,
                   size_t *ret_n, struct err *err);

/* ---- groups and sums ---- */

/* One exposure with its newest spec2 job, as the planner sees it. */
struct queue_member {
    int64_t exposure, job; /* job: 0 if there is none */
    bool live;             /* the exposure is accepted */
    bool superseded;       /* or this; else it is gone */
    bool science, background;
    bool read;            /* the group's newest spec3 reads the job's products */
    bool older_runs;      /* an older version of the job, which waits, still runs */
    bool blank;           /* its target is said to be empty */
    enum job_state state; /* of the job; JOB_NEW if there is none */
    int pattern_number, pattern_total;
    char visit[16], detector[8], pattern_type[32];
    double accepted_at, changed_at; /* of the exposure; of the job */
    double companions_at; /* when those of the job were last chosen; 0: never */
    double expstart, xtilt, ytilt, ra, dec; /* as in queue_exposure */
    char observation[16];
    bool claimed;             /* a spec3 association names it: that group combines it */
    bool named;               /* a spec2 association says what its job reads */
    char product[QUEUE_NAME]; /* as in queue_job */
};
/* A member that an association names (queue_associations.h). */
struct queue_named {
    struct queue_member here; /* its exposure and job; exposure 0: it has not come */
    char expname[QUEUE_NAME], role[16]; /* as the file says */
    char file[QUEUE_NAME];              /* of the association ... */
    double at;                          /* ... and when that was accepted */
    int64_t position;                   /* in the file, from 1 */
    int64_t of;               /* spec2: the exposure that is reduced; 0: of the spec3 */
    char product[QUEUE_NAME]; /* its name; "": that of the exposure */
    char grating[12], filter[12], program[16]; /* of the exposure that is here */
};
/* An accepted exposure that jobs of a group may read beside their own: leakage and
 * background of its program, blank sky of any, through the same disperser and filter. */
struct queue_neighbour {
    int64_t exposure, job; /* its newest spec2, or 0 */
    enum job_state state;  /* of that */
    bool read;             /* the group's newest spec3 reads it */
    bool imprint, background;
    char program[16], observation[16], detector[8], base[QUEUE_NAME];
    double accepted_at, expstart, xtilt, ytilt, ra, dec;
    double job_created_at;
};
/* What came under one base name in one program, oldest first, without what is superseded
 * together with its job. */
int queue_load_base(struct queue *q, const char *base, const char *program,
                    struct queue_member **ret, size_t *ret_n, struct err *err);

/* The newest spec3 of one disperser of a target (queue_dispersers.c). */
struct queue_disperser {
    int64_t job;
    char group[QUEUE_NAME], program[16];
    enum job_state state;
    double changed_at;
    bool has_spectrum; /* it has published an x1d */
    bool read;         /* by the newest combine */
    bool unsettled;    /* its group has spec2 jobs to run, or is to be looked at */
};

/* A group: its members in the order of their base names, likewise; and its jobs that are not
 * superseded, oldest version first. Those of another recipe, which an association of the
 * same name has pushed out, come before those of its own. */
struct queue_group {
    char name[QUEUE_NAME];
    char recipe[8]; /* "spec3", or "combine": the target of the dispersers */
    char program[16], observation[16], filter[12], grating[12];
    struct queue_member *members;
    size_t n_members;
    struct queue_neighbour *neighbours; /* in the order of their base names */
    size_t n_neighbours;
    struct queue_companion *companions; /* of its spec2 jobs, job by job */
    size_t n_companions;
    struct queue_job *jobs;
    size_t n_jobs;
    struct queue_disperser *dispersers; /* of a combine, by their names */
    size_t n_dispersers;
    struct queue_named *named; /* by a spec3 association of this name, in its order */
    size_t n_named;            /* 0: the headers decide */
    size_t n_dropped;          /* read by the newest spec3, and not named any more */
    struct queue_named *taken; /* by spec2 associations, exposure by exposure (.of) */
    size_t n_taken;
    double proceed_at; /* an operator let it go on without what is missing; 0: no */
};
int queue_load_group(struct queue *q, const char *group, struct queue_group *ret,
                     struct err *err);
void queue_group_done(struct queue_group *g);
/*
 * A target is to be looked at. It becomes a group of its own once two spec3 groups are named
 * "<target>_..." and may_begin; without that only one that is there is marked.
 */
int queue_mark_target(struct queue *q, const char *target, bool may_begin,
                      struct err *err);

/*
 * Names of groups to be looked at: those in which something changed that their jobs
 * depend on, those that have been quiet since `quiet_before`, and those whose look_at is
 * not after `now`. At most `limit`.
 */
int queue_groups_due(struct queue *q, double quiet_before, double now, size_t limit,
                     char (**ret)[QUEUE_NAME], size_t *ret_n, struct err *err);

struct queue_plan {         /* what was found when a group was looked at */
    double quiet_since;     /* its spec3 goes once it has been quiet since then for long
                                 enough; 0: quietness does not release it */
    char waits_for[512];    /* its spec3; "": for nothing */
    double look_at;         /* when spec2 jobs may go; 0: none waits */
    char members_wait[256]; /* what they wait for; "" */
    char offer[256];        /* backgrounds that exist and are not used; "" */
    int without_imprint;    /* science exposures without a leakage exposure */
};
int queue_group_planned(struct queue *q, const char *group,
                        const struct queue_plan *plan, struct err *err);
/* Look again at all groups: a rule has changed. */
int queue_plan_anew(struct queue *q, struct err *err);
/* Does anything wait to be looked at, quiet groups aside? */
int queue_is_planned(struct queue *q, bool *ret, struct err *err);

struct queue_waiting { /* what queue_group_planned was told */
    char group[QUEUE_NAME];
    struct queue_plan plan;
};
/* Groups that wait, at most `limit`, by name. */
int queue_waiting(struct queue *q, size_t limit, struct queue_waiting **ret,
                  size_t *ret_n, struct err *err);
/* The same of groups to which a background is offered that is not used. */
int queue_offers(struct queue *q, size_t limit, struct queue_waiting **ret,
                 size_t *ret_n, struct err *err);
/* How many science exposures have no leakage exposure. */
int queue_without_imprint(struct queue *q, size_t *ret, struct err *err);

/* ---- what jobs read beside their inputs ---- */

/* Replace the list, which was chosen now; in this order. */
int queue_set_companions(struct queue *q, int64_t job,
                         const struct queue_companion *list, size_t n, double now,
                         struct err *err);
int queue_companions(struct queue *q, int64_t job, struct queue_companion **ret,
                     size_t *ret_n, struct err *err);
/* The name of a spec2's products; "": that of its exposure. */
int queue_set_product_name(struct queue *q, int64_t job, const char *name,
                           struct err *err);

struct queue_counts {
    long jobs[JOB_STATES];
    long accepted, superseded, gone;   /* exposures */
    long science, imprint, background; /* of the accepted ones */
    long rejected, duplicates;         /* files, as often as they came */
};
int queue_count(struct queue *q, struct queue_counts *ret, struct err *err);

/* Events after `after`, oldest first; after < 0: the last -after ones. `job` (or "")
 * limits them to one job. */
int queue_events(struct queue *q, int64_t after, const char *job, size_t limit,
                 struct queue_event **ret, size_t *ret_n, struct err *err);
/* The last rejected files, newest first. */
int queue_rejections(struct queue *q, size_t limit, struct queue_event **ret,
                     size_t *ret_n, struct err *err);
/* How many of the last `limit` of them were rejected at `since` (unix seconds) or later. */
int queue_rejected_since(struct queue *q, double since, size_t limit, size_t *ret_n,
                         struct err *err);

/* ---- care ---- */

/* A consistent copy while others read and write: under <path>.part until it is whole and
 * on the disk. */
int queue_backup(struct queue *q, const char *path, struct err *err);

/*
 * What must hold whatever happened: SQLite's own checks, known states, one live spec2 for
 * each accepted science exposure, products and inputs where they belong, combines of two
 * dispersers or more, the last event of everything telling its state, true sums. Returned: *ret_report, a new text with a line for
 * each finding, "" if all is well.
 */
int queue_check(struct queue *q, char **ret_report, struct err *err);

struct queue_prune_rules { /* s since 1970; 0: keep for ever */
    double events_before, superseded_before, exposures_before;
};
struct queue_copy {
    int64_t exposure;
    char sha256[65];
    char name[QUEUE_NAME];
};
struct queue_pruned {
    long events, jobs;         /* rows removed */
    struct queue_copy *copies; /* of exposures that are gone now */
    size_t n_copies;
    int64_t events_until; /* in and out: where the next step goes on; 0 at first */
    bool more;            /* another step has something to do */
};
/*
 * One step of retention: superseded jobs and events are removed, exposures become `gone`.
 * Kept whatever their age: the last event of a job and of an exposure, the newest version
 * of anything, what another job reads, and exposures that a job may still read. Once the
 * step is on the disk, the caller removes the copies from the spool.
 * dry_run: all that would go, at once, and nothing does. queue_pruned_done frees *ret.
 */
int queue_prune(struct queue *q, const struct queue_prune_rules *rules, bool dry_run,
                double now, struct queue_pruned *ret, struct err *err);
void queue_pruned_done(struct queue_pruned *p);

struct queue_stored {
    int64_t job;
    char name[2 * QUEUE_NAME]; /* of the job */
    char path[4096];
    int64_t bytes;
};
/* Of the jobs that a step would remove at most `limit` whose products are kept
 * (daemon/kept.h): one path of each. Once they are gone the rows go, too: forget. */
int queue_kept_products(struct queue *q, double superseded_before, size_t limit,
                        struct queue_stored **ret, size_t *ret_n, struct err *err);
int queue_forget_products(struct queue *q, int64_t job, struct err *err);

/* ---- what ought to be on the disk ---- */

/* Copies of accepted and superseded exposures with a number above `after`, in order. */
int queue_copies(struct queue *q, int64_t after, size_t limit, struct queue_copy **ret,
                 size_t *ret_n, struct err *err);
/* Do these bytes belong to an exposure: FILE_ACCEPTED (or superseded); FILE_GONE; or
 * FILE_NEW, to none. */
int queue_content_state(struct queue *q, const char *sha256, enum file_state *ret,
                        struct err *err);
/* The job that reduces an exposure; ret->id = 0: none, or superseded. */
int queue_job_of_exposure(struct queue *q, int64_t exposure, struct queue_job *ret,
                          struct err *err);

/* Products of jobs that are done, after those of job `job` with path `path`. */
int queue_stored_products(struct queue *q, int64_t job, const char *path, size_t limit,
                          struct queue_stored **ret, size_t *ret_n, struct err *err);

struct queue_place {
    char program[16], group[QUEUE_NAME];
};
/* Where jobs have run that are neither done nor superseded. */
int queue_places(struct queue *q, struct queue_place **ret, size_t *ret_n,
                 struct err *err);

#endif
