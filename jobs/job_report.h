#ifndef IFUD_JOBS_JOB_REPORT_H
#define IFUD_JOBS_JOB_REPORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "jobs/job.h"

/*
 * What a job says from one process to another: lines of JSON on a descriptor.
 *
 *   {"stage": S, "index": I, "count": N, "share": X, "peak_bytes": B}
 *   {"note": TEXT, "stage": S, "warning": BOOL}
 *   {"product": PATH, "suffix": S, "sha256": HEX, "bytes": B}
 *   {"difference": ROWS, "median_percent": X, "largest_percent": X,
 *    "largest_percent_um": X, "largest_sigma": X, "largest_sigma_um": X}; X: or null
 *   {"end": "ok" or an error's name, "message": TEXT, "failed_stage": S,
 *    "timings": [{"stage": S, "run": SECONDS, "write": SECONDS}], "peak_bytes": B}
 *   {"crash": SIGNAL, "stage": S}, then a backtrace as text until the end of the stream
 *
 * Products come just before the end, and after the end at most a crash. The writer is the job's
 * process (`ifurun --report-fd`), the reader the daemon, which trusts none of it.
 * Test: tests/jobs/test_job_report.c
 */

/* ---- writer. Thread: any; each line is one write. ---- */

struct job_report_writer {
    int fd;
    pthread_mutex_t lock;
    double told; /* share of the last stage line; a line each percent */
};

void job_report_stage(struct job_report_writer *w, const char *stage, int index,
                      int count, double share);
void job_report_note(struct job_report_writer *w, bool is_warning, const char *stage,
                     const char *line);
/* Products and the end. err: of a failure. */
void job_report_end(struct job_report_writer *w, int code, const struct err *err,
                    const struct job_result *result);

/* The most memory this process has had resident since it began its program, bytes. */
int64_t job_report_peak(void);

/* ---- reader. Thread: one at a time. ---- */

#define JOB_REPORT_LINE 32768
#define JOB_REPORT_PRODUCTS 1000
#define JOB_REPORT_BYTES ((size_t)64 << 20)

struct job_report {
    const char *folder; /* borrowed: the only folder where products may be */
    struct job_result result;
    bool ended; /* `end` was read */
    int code;   /* of the end: 0 or ERR_* */
    struct err err;
    int64_t peak_bytes;
    int signal; /* of `crash`; 0: none */
    char stage[40];
    char backtrace[8192]; /* lines of printable text */

    char line[JOB_REPORT_LINE]; /* not complete yet */
    size_t n_line, n_backtrace, n_bytes;
    bool cut; /* a line was not JSON: only a crash may follow */
};

/*
 * Take the next bytes of the stream; stages and notes go to `events`. Anything that is
 * not as above is refused (ERR_INPUT): an unknown key, a wrong type, a line too long, a
 * product elsewhere, too many bytes. After a refusal nothing more may be fed.
 * Ownership: r begins zeroed but for folder; job_result_done(&r->result) in the end.
 */
int job_report_feed(struct job_report *r, const char *bytes, size_t n,
                    const struct job_events *events, struct err *err);

#endif
