#include "cli/ctl_text.h"

#include <math.h>
#include <string.h>
#include <time.h>

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static long whole(const json_t *o, const char *key)
{
    return (long)json_integer_value(json_object_get(o, key));
}

/* Text from files and headers, harmless on a terminal. */
static void print_safe(FILE *out, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        fputc(c < ' ' || c == 127 ? '?' : c, out);
    }
}

void ctl_duration(double seconds, char ret[32])
{
    long s = seconds > 0 && seconds < 1e12 ? lround(seconds) : 0;
    if (seconds < 9.95) {
        snprintf(ret, 32, "%.1f s", seconds > 0 ? seconds : 0.0);
    } else if (s < 60) {
        snprintf(ret, 32, "%ld s", s);
    } else if (s < 3600) {
        snprintf(ret, 32, "%ld min %ld s", s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(ret, 32, "%ld h %ld min", s / 3600, s % 3600 / 60);
    } else {
        snprintf(ret, 32, "%ld d %ld h", s / 86400, s % 86400 / 3600);
    }
}

static void stamp(double at, char ret[32])
{
    time_t t = (time_t)at;
    struct tm tm;
    strftime(ret, 32, "%Y-%m-%d %H:%M:%S", gmtime_r(&t, &tm));
}

static const char *plural(long n)
{
    return n == 1 ? "" : "s";
}

/* ---- status ---- */

static void print_head(FILE *out, const json_t *s)
{
    char up[32], now[32];
    ctl_duration(number(s, "uptime_seconds"), up);
    stamp(number(s, "now"), now);
    fprintf(
        out, "ifud %s %s for %s (pid %ld, %ld worker%s of %ld thread%s)   %s UTC\n\n",
        text(s, "version"), text(s, "state"), up, whole(s, "pid"), whole(s, "workers"),
        plural(whole(s, "workers")), whole(s, "threads_per_worker"),
        plural(whole(s, "threads_per_worker")), now);
    const json_t *inbox = json_object_get(s, "inbox");
    fprintf(out, "inbox      %ld file%s", whole(inbox, "files"),
            plural(whole(inbox, "files")));
    if (whole(inbox, "files")) {
        fprintf(out, " (%ld being taken in, %ld incomplete)", whole(inbox, "taking_in"),
                whole(inbox, "incomplete"));
    }
    fprintf(out, " in ");
    print_safe(out, text(inbox, "folder"));
    const json_t *e = json_object_get(s, "exposures");
    fprintf(out,
            "\nexposures  %ld accepted: %ld science, %ld leakage, %ld background\n"
            "           %ld rewritten, %ld came twice, %ld file%s rejected\n",
            whole(e, "accepted"), whole(e, "science"), whole(e, "imprint"),
            whole(e, "background"), whole(e, "superseded"), whole(e, "duplicates"),
            whole(e, "rejected"), plural(whole(e, "rejected")));
    static const char *const states[] = {"waiting",     "queued",    "running",
                                         "done",        "deferred",  "held",
                                         "quarantined", "superseded"};
    const json_t *jobs = json_object_get(s, "jobs");
    fprintf(out, "jobs       ");
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        long n = whole(jobs, states[i]);
        if (i < 6 || n) {
            fprintf(out, "%s%ld %s", i ? ", " : "", n,
                    i == 5 && n ? "HELD" : states[i]);
        }
    }
    fprintf(out, "\nproducts   ");
    print_safe(out, text(s, "products_folder"));
    fputc('\n', out);
}

static void print_running(FILE *out, const json_t *list)
{
    size_t i;
    const json_t *r;
    int width = 3;
    json_array_foreach(list, i, r)
    {
        int n = (int)strlen(text(r, "job"));
        width = n > width ? n : width;
    }
    if (json_array_size(list)) {
        fprintf(out, "\nRUNNING\n  %-*s  %-28s  %5s  %s\n", width, "job", "stage",
                "done", "for");
    }
    json_array_foreach(list, i, r)
    {
        char time[32], stage[64];
        ctl_duration(number(r, "seconds"), time);
        if (*text(r, "stage")) {
            snprintf(stage, sizeof stage, "%.30s (%ld of %ld)", text(r, "stage"),
                     whole(r, "stage_index") + 1, whole(r, "stages"));
        } else {
            strcpy(stage, "starting");
        }
        fprintf(out, "  %-*s  %-28s  %3.0f %%  %s\n", width, text(r, "job"), stage,
                100.0 * number(r, "share"), time);
    }
}

static void print_waiting(FILE *out, const json_t *list)
{
    size_t i;
    const json_t *w;
    if (json_array_size(list)) {
        fprintf(out, "\nWAITING GROUPS\n");
    }
    json_array_foreach(list, i, w)
    {
        fprintf(out, "  %s\n    waits for: ", text(w, "group"));
        print_safe(out, text(w, "waits_for"));
        fputc('\n', out);
    }
}

static void print_problems(FILE *out, const json_t *s)
{
    size_t i;
    const json_t *p, *list = json_object_get(s, "problems");
    double now = number(s, "now");
    if (json_array_size(list)) {
        fprintf(out, "\nNEEDS ATTENTION\n");
    }
    json_array_foreach(list, i, p)
    {
        char ago[32], again[32];
        ctl_duration(now - number(p, "changed_at"), ago);
        fprintf(out, "  %s %s, %s ago, attempt %ld", text(p, "job"), text(p, "state"),
                ago, whole(p, "attempt"));
        if (*text(p, "stage")) {
            fprintf(out, ", at stage %s", text(p, "stage"));
        }
        if (!json_is_null(json_object_get(p, "retry_at"))) {
            ctl_duration(number(p, "retry_at") - now, again);
            fprintf(out, "; tries again in %s", again);
        }
        fprintf(out, "\n    ");
        print_safe(out, text(p, "message"));
        fputc('\n', out);
    }
}

static void print_messages(FILE *out, const json_t *s, const char *key,
                           const char *title)
{
    size_t i;
    const json_t *m, *list = json_object_get(s, key);
    if (json_array_size(list)) {
        fprintf(out, "\n%s\n", title);
    }
    json_array_foreach(list, i, m)
    {
        char at[32];
        stamp(number(m, "at"), at);
        fprintf(out, "  %s  ", at);
        print_safe(out, text(m, "message"));
        fputc('\n', out);
    }
}

void ctl_print_status(FILE *out, const json_t *status)
{
    print_head(out, status);
    print_running(out, json_object_get(status, "running"));
    print_waiting(out, json_object_get(status, "waiting"));
    print_problems(out, status);
    print_messages(out, status, "troubles", "TROUBLE");
    print_messages(out, status, "rejections", "LAST REJECTED FILES");
}

/* ---- show, events ---- */

static void print_list(FILE *out, const json_t *list, const char *title,
                       const char *key)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        fprintf(out, "%-10s ", i ? "" : title);
        print_safe(out, key ? text(item, key)
                            : (json_string_value(item) ? json_string_value(item) : ""));
        fputc('\n', out);
    }
}

void ctl_print_events(FILE *out, const json_t *events)
{
    size_t i;
    const json_t *e;
    json_array_foreach(events, i, e)
    {
        char at[32];
        stamp(number(e, "at"), at);
        const char *who = *text(e, "job") ? text(e, "job") : text(e, "exposure");
        fprintf(out, "%s  ", at);
        print_safe(out, *who ? who : "-");
        fprintf(out, "  %s%s%s", text(e, "from"), *text(e, "from") ? " -> " : "",
                text(e, "to"));
        if (*text(e, "message")) {
            fprintf(out, "  ");
            print_safe(out, text(e, "message"));
        }
        fputc('\n', out);
    }
}

void ctl_print_show(FILE *out, const json_t *job)
{
    char at[32];
    stamp(number(job, "changed_at"), at);
    fprintf(out, "job        %s (number %ld)\n", text(job, "job"), whole(job, "id"));
    fprintf(out, "state      %s since %s UTC, attempt %ld\n", text(job, "state"), at,
            whole(job, "attempt"));
    if (*text(job, "error")) {
        fprintf(out, "error      %s%s%s: ", text(job, "error"),
                *text(job, "stage") ? " at stage " : "", text(job, "stage"));
        print_safe(out, text(job, "message"));
        fputc('\n', out);
    }
    fprintf(out, "group      %s\n", text(job, "group"));
    print_list(out, json_object_get(job, "inputs"), "inputs", NULL);
    print_list(out, json_object_get(job, "products"), "products", "path");
    if (*text(job, "manifest")) {
        fprintf(out, "by hand    ifurun ");
        print_safe(out, text(job, "manifest"));
        fputc('\n', out);
    }
    fprintf(out, "\n");
    ctl_print_events(out, json_object_get(job, "events"));
}
