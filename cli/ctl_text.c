#include "cli/ctl_text.h"

#include <math.h>
#include <string.h>
#include <time.h>

const char *ctl_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

double ctl_number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

long ctl_whole(const json_t *o, const char *key)
{
    return (long)json_integer_value(json_object_get(o, key));
}

void ctl_print_safe(FILE *out, const char *s)
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

void ctl_bytes(double bytes, char ret[32])
{
    double mb = bytes / 1048576.0;
    snprintf(ret, 32, mb < 1000 ? "%.0f MB" : "%.1f GB", mb < 1000 ? mb : mb / 1024.0);
}

void ctl_stamp(double at, char ret[32])
{
    time_t t = (time_t)at;
    struct tm tm;
    strftime(ret, 32, "%Y-%m-%d %H:%M:%S", gmtime_r(&t, &tm));
}

const char *ctl_plural(long n)
{
    return n == 1 ? "" : "s";
}

/* ---- show, why, list, events ---- */

static void print_line(FILE *out, const char *title, const char *value)
{
    fprintf(out, "%-10s ", title);
    ctl_print_safe(out, value);
    fputc('\n', out);
}

static void print_lines(FILE *out, const json_t *list, const char *title,
                        const char *key)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *value = key ? ctl_text(item, key) : json_string_value(item);
        print_line(out, i ? "" : title, value ? value : "");
    }
}

static void print_members(FILE *out, const json_t *list)
{
    size_t i;
    const json_t *m;
    json_array_foreach(list, i, m)
    {
        char line[700];
        snprintf(line, sizeof line, "%.10s %.500s (%.130s)", ctl_text(m, "role"),
                 ctl_text(m, "member"), ctl_text(m, "why"));
        print_line(out, i ? "" : "members", line);
    }
}

void ctl_print_events(FILE *out, const json_t *events)
{
    size_t i;
    const json_t *e;
    json_array_foreach(events, i, e)
    {
        char at[32];
        ctl_stamp(ctl_number(e, "at"), at);
        const char *who = *ctl_text(e, "job")        ? ctl_text(e, "job")
                          : *ctl_text(e, "exposure") ? ctl_text(e, "exposure")
                                                     : ctl_text(e, "file");
        fprintf(out, "%s  ", at);
        ctl_print_safe(out, *who ? who : "-");
        fprintf(out, "  %s%s%s", ctl_text(e, "from"),
                *ctl_text(e, "from") ? " -> " : "", ctl_text(e, "to"));
        if (*ctl_text(e, "message")) {
            fprintf(out, "  ");
            ctl_print_safe(out, ctl_text(e, "message"));
        }
        fputc('\n', out);
    }
}

static void print_exposure(FILE *out, const json_t *e)
{
    char size[32], line[200];
    ctl_bytes(ctl_number(e, "bytes"), size);
    print_line(out, "exposure", ctl_text(e, "exposure"));
    snprintf(line, sizeof line, "%s, %s, %s", ctl_text(e, "state"), ctl_text(e, "role"),
             size);
    print_line(out, "is", line);
    snprintf(line, sizeof line, "%.70s, %s, %s %s, dither %ld of %ld",
             ctl_text(e, "target"), ctl_text(e, "detector"), ctl_text(e, "grating"),
             ctl_text(e, "filter"), ctl_whole(e, "dither"), ctl_whole(e, "dithers"));
    print_line(out, "of", line);
    print_line(out, "sha256", ctl_text(e, "sha256"));
}

static void print_job(FILE *out, const json_t *job)
{
    char at[32], a[32], b[32];
    ctl_stamp(ctl_number(job, "changed_at"), at);
    fprintf(out, "job        %s (number %ld)\n", ctl_text(job, "job"),
            ctl_whole(job, "id"));
    fprintf(out, "state      %s since %s UTC, attempt %ld", ctl_text(job, "state"), at,
            ctl_whole(job, "attempt"));
    if (ctl_whole(job, "failures") || ctl_whole(job, "crashes")) {
        fprintf(out, ", failed %ld, crashed %ld", ctl_whole(job, "failures"),
                ctl_whole(job, "crashes"));
    }
    if (ctl_whole(job, "priority")) {
        fprintf(out, ", priority %ld", ctl_whole(job, "priority"));
    }
    fputc('\n', out);
    if (*ctl_text(job, "error")) {
        fprintf(out, "error      %s%s%s: ", ctl_text(job, "error"),
                *ctl_text(job, "stage") ? " at stage " : "", ctl_text(job, "stage"));
        ctl_print_safe(out, ctl_text(job, "message"));
        fputc('\n', out);
    }
    if (!strcmp(ctl_text(job, "state"), "done") && *ctl_text(job, "message")) {
        print_line(out, "warned", ctl_text(job, "message"));
    }
    if (*ctl_text(job, "why")) {
        print_line(out, "next", ctl_text(job, "why"));
    }
    if (json_is_object(json_object_get(job, "stale"))) {
        print_line(out, "stale", ctl_text(json_object_get(job, "stale"), "why"));
    }
    if (json_is_object(json_object_get(job, "difference"))) {
        print_line(out, "spectrum",
                   ctl_text(json_object_get(job, "difference"), "text"));
    }
    if (ctl_whole(job, "peak_bytes")) {
        ctl_bytes(ctl_number(job, "peak_bytes"), a);
        ctl_bytes(ctl_number(job, "estimate_bytes"), b);
        fprintf(out, "memory     %s at most, %s expected\n", a, b);
    }
    print_line(out, "group", ctl_text(job, "group"));
    print_lines(out, json_object_get(job, "inputs"), "inputs", NULL);
    print_members(out, json_object_get(job, "members"));
    print_lines(out, json_object_get(job, "products"), "products", "path");
    if (*ctl_text(job, "manifest")) {
        fprintf(out, "by hand    ifurun ");
        ctl_print_safe(out, ctl_text(job, "manifest"));
        fputc('\n', out);
    }
}

/* Its products, each with its members and what they lack. */
static void print_association(FILE *out, const json_t *o)
{
    size_t i, k;
    const json_t *p, *m, *products = json_object_get(o, "products");
    ctl_print_safe(out, ctl_text(o, "association"));
    fprintf(out, "\n%-10s %s, %s association\n", "state", ctl_text(o, "state"),
            ctl_text(o, "recipe"));
    print_line(out, "next", ctl_text(o, "why"));
    json_array_foreach(products, i, p)
    {
        print_line(out, "product", ctl_text(p, "product"));
        if (!json_is_true(json_object_get(p, "live"))) {
            print_line(out, "", "(another association took its place)");
        }
        json_array_foreach(json_object_get(p, "members"), k, m)
        {
            fprintf(out, "%-10s   %-10s ", "", ctl_text(m, "role"));
            ctl_print_safe(out, ctl_text(m, "member"));
            if (*ctl_text(m, "lacks")) {
                fprintf(out, " (%s)", ctl_text(m, "lacks"));
            }
            fputc('\n', out);
        }
    }
}

void ctl_print_show(FILE *out, const json_t *o)
{
    const json_t *from = json_object_get(o, "exposure");
    if (json_object_get(o, "association")) {
        print_association(out, o);
        return;
    }
    if (!json_object_get(o, "job") && !from) { /* a group without a job */
        ctl_print_why(out, o);
        return;
    }
    if (json_is_string(from)) {
        print_exposure(out, o);
        print_lines(out, json_object_get(o, "jobs"), "jobs", NULL);
    } else {
        print_job(out, o);
    }
    fputc('\n', out);
    if (json_is_object(from)) {
        ctl_print_events(out, json_object_get(from, "events"));
    }
    ctl_print_events(out, json_object_get(o, "events"));
}

void ctl_print_why(FILE *out, const json_t *job)
{
    static const char *const names[] = {"job", "exposure", "association", "group"};
    size_t i = 0;
    while (i < 3 && !*ctl_text(job, names[i])) {
        i++;
    }
    ctl_print_safe(out, ctl_text(job, names[i]));
    fprintf(out, " is %s\n", ctl_text(job, "state"));
    if (*ctl_text(job, "error")) {
        fprintf(out, "  because: ");
        ctl_print_safe(out, ctl_text(job, "message"));
        fputc('\n', out);
    }
    if (*ctl_text(job, "why")) {
        fprintf(out, "  ");
        ctl_print_safe(out, ctl_text(job, "why"));
        fputc('\n', out);
    }
}

void ctl_print_list(FILE *out, const json_t *jobs, bool names_only)
{
    size_t i;
    const json_t *j;
    if (!names_only && json_array_size(jobs)) {
        fprintf(out, "%-12s %8s %7s  %-19s  %s\n", "state", "priority", "attempt",
                "since (UTC)", "job");
    }
    json_array_foreach(jobs, i, j)
    {
        char at[32];
        ctl_stamp(ctl_number(j, "changed_at"), at);
        if (!names_only) {
            fprintf(out, "%-12s %8ld %7ld  %s  ", ctl_text(j, "state"),
                    ctl_whole(j, "priority"), ctl_whole(j, "attempt"), at);
        }
        ctl_print_safe(out, ctl_text(j, "job"));
        fputc('\n', out);
    }
}

/* ---- commands ---- */

void ctl_print_moves(FILE *out, const json_t *answer)
{
    size_t i;
    const json_t *m, *changed = json_object_get(answer, "changed");
    const json_t *unchanged = json_object_get(answer, "unchanged");
    bool is_priority = !strcmp(ctl_text(answer, "command"), "priority");
    long refused = ctl_whole(answer, "refused");
    json_array_foreach(changed, i, m)
    {
        ctl_print_safe(out, ctl_text(m, "job"));
        if (is_priority) {
            fprintf(out, " has priority %ld\n", ctl_whole(m, "priority"));
        } else if (*ctl_text(m, "wish")) {
            fprintf(out, " is being stopped and will be %s\n", ctl_text(m, "wish"));
        } else {
            fprintf(out, " is %s, was %s\n", ctl_text(m, "to"), ctl_text(m, "from"));
        }
    }
    json_array_foreach(unchanged, i, m)
    {
        ctl_print_safe(out, ctl_text(m, "job"));
        if (is_priority) {
            fprintf(out, " has priority %ld already\n", ctl_whole(m, "priority"));
        } else {
            fprintf(out, " is %s%s%s already\n", ctl_text(m, "to"),
                    *ctl_text(m, "wish") ? ", to be " : "", ctl_text(m, "wish"));
        }
    }
    if (refused) {
        fprintf(out, "%ld job%s left as they were: %s makes no sense for them\n",
                refused, ctl_plural(refused), ctl_text(answer, "command"));
    }
    if (!json_array_size(changed) && !json_array_size(unchanged) && !refused) {
        fprintf(out, "no such job\n");
    }
}

void ctl_print_service(FILE *out, const char *command, const json_t *answer)
{
    bool changed = json_is_true(json_object_get(answer, "changed"));
    long running = ctl_whole(answer, "running");
    if (!strcmp(command, "rescan")) {
        fprintf(out, "the inbox and the references are being listed\n");
    } else if (!strcmp(command, "drain")) {
        fprintf(
            out,
            "%s: nothing new starts, %ld job%s still run%s; ifuctl resume ends it\n",
            changed ? "draining" : "draining already", running, ctl_plural(running),
            running == 1 ? "s" : "");
    } else {
        fprintf(out, changed ? "jobs start again\n" : "it was not draining\n");
    }
}

void ctl_print_proceed(FILE *out, const json_t *answer)
{
    const char *spec3 = ctl_text(answer, "waits_for");
    const char *spec2 = ctl_text(answer, "members_wait");
    ctl_print_safe(out, ctl_text(answer, "group"));
    fprintf(out, " goes on without: ");
    ctl_print_safe(out, spec3);
    fprintf(out, *spec3 && *spec2 ? "; " : "");
    ctl_print_safe(out, spec2);
    fprintf(out, *spec3 || *spec2 ? "\n" : "what may still come\n");
}

void ctl_print_care(FILE *out, const json_t *answer)
{
    if (*ctl_text(answer, "path")) {
        fprintf(out, "copied to ");
        ctl_print_safe(out, ctl_text(answer, "path"));
        fputc('\n', out);
    }
    if (json_object_get(answer, "findings") && !*ctl_text(answer, "findings")) {
        fprintf(out, "the queue is in order\n");
    }
    for (const char *s = ctl_text(answer, "findings"); *s; s++) {
        unsigned char c = (unsigned char)*s;
        fputc((c < ' ' && c != '\n') || c == 127 ? '?' : c, out);
        if (!s[1] && c != '\n') {
            fputc('\n', out);
        }
    }
    if (json_object_get(answer, "events")) {
        char size[32];
        ctl_bytes(ctl_number(answer, "bytes"), size);
        fprintf(out,
                "%ld events, %ld superseded jobs and %ld exposures (%s) would go\n",
                ctl_whole(answer, "events"), ctl_whole(answer, "jobs"),
                ctl_whole(answer, "exposures"), size);
    }
    if (json_is_true(json_object_get(answer, "started"))) {
        fprintf(out, "retention begins; the log says what went\n");
    }
}
