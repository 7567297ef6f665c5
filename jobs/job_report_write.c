#include "jobs/job_report.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TEXT_MAX 1000 /* of a note or message */

/* A text cut to its bound; what is not UTF-8 becomes '?'. */
static json_t *text(const char *from)
{
    char copy[TEXT_MAX + 1];
    snprintf(copy, sizeof copy, "%s", from ? from : "");
    json_t *value = json_string(copy);
    if (!value) {
        for (char *p = copy; *p; p++) {
            *p = (unsigned char)*p < 128 ? *p : '?';
        }
        value = json_string(copy);
    }
    return value;
}

/* Write a line whole; takes `line` over. A reader that has gone ends us by SIGPIPE. */
static void say(struct job_report_writer *w, json_t *line)
{
    char *json = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    size_t n = json ? strlen(json) + 1 : 0, done = 0;
    if (json) {
        json[n - 1] = '\n';
    }
    while (done < n) {
        ssize_t m = write(w->fd, json + done, n - done);
        if (m < 0 && errno != EINTR) {
            break;
        }
        done += m > 0 ? (size_t)m : 0;
    }
    free(json);
}

int64_t job_report_peak(void)
{
    /* ru_maxrss would also count the process that spawned us; VmHWM begins with exec */
    char line[256];
    long long kib = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "VmHWM: %lld kB", &kib) == 1) {
            break;
        }
    }
    if (f) {
        fclose(f);
    }
    return (int64_t)kib * 1024;
}

void job_report_stage(struct job_report_writer *w, const char *stage, int index,
                      int count, double share)
{
    pthread_mutex_lock(&w->lock);
    if (share <= 0 || share >= 1 || share >= w->told + 0.01) {
        w->told = share;
        say(w, json_pack("{s:o, s:i, s:i, s:f, s:I}", "stage", text(stage), "index",
                         index, "count", count, "share", share, "peak_bytes",
                         (json_int_t)job_report_peak()));
    }
    pthread_mutex_unlock(&w->lock);
}

void job_report_note(struct job_report_writer *w, bool is_warning, const char *stage,
                     const char *line)
{
    pthread_mutex_lock(&w->lock);
    say(w, json_pack("{s:o, s:o, s:b}", "note", text(line), "stage", text(stage),
                     "warning", (int)is_warning));
    pthread_mutex_unlock(&w->lock);
}

/* A number that is not known is null. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *difference(const struct job_difference *d)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "difference",
                     (json_int_t)d->compared, "median_percent", real(d->median_percent),
                     "largest_percent", real(d->largest_percent), "largest_percent_um",
                     real(d->largest_percent_um), "largest_sigma",
                     real(d->largest_sigma), "largest_sigma_um",
                     real(d->largest_sigma_um));
}

void job_report_end(struct job_report_writer *w, int code, const struct err *err,
                    const struct job_result *result)
{
    json_t *timings = json_array();
    for (size_t i = 0; i < result->n_timings; i++) {
        const struct job_timing *t = &result->timings[i];
        json_array_append_new(timings, json_pack("{s:s, s:f, s:f}", "stage", t->stage,
                                                 "run", t->run, "write", t->write));
    }
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < result->n_products; i++) {
        const struct job_product *p = &result->products[i];
        say(w,
            json_pack("{s:s, s:s, s:s, s:I}", "product", p->path, "suffix", p->suffix,
                      "sha256", p->sha256, "bytes", (json_int_t)p->bytes));
    }
    if (result->difference.compared) {
        say(w, difference(&result->difference));
    }
    say(w, json_pack("{s:s, s:o, s:o, s:o, s:I}", "end", code ? err_name(code) : "ok",
                     "message", text(code ? err->message : ""), "failed_stage",
                     text(code ? result->failed_stage : ""), "timings", timings,
                     "peak_bytes", (json_int_t)job_report_peak()));
    pthread_mutex_unlock(&w->lock);
}
