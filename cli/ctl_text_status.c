#include <string.h>

#include "cli/ctl_text.h"

#define MOST_PROBLEMS 8 /* a screen is short */

/* ---- the first lines: is all well? ---- */

static void print_head(FILE *out, const json_t *s)
{
    char up[32], now[32];
    ctl_duration(ctl_number(s, "uptime_seconds"), up);
    ctl_stamp(ctl_number(s, "now"), now);
    fprintf(out, "ifud %s %s", ctl_text(s, "version"), ctl_text(s, "state"));
    if (json_is_number(json_object_get(s, "uptime_seconds"))) {
        fprintf(out, " for %s (pid %ld, %ld worker%s of %ld thread%s)", up,
                ctl_whole(s, "pid"), ctl_whole(s, "workers"),
                ctl_plural(ctl_whole(s, "workers")), ctl_whole(s, "threads_per_worker"),
                ctl_plural(ctl_whole(s, "threads_per_worker")));
    }
    fprintf(out, "   %s UTC\n", now);
}

/* No job needs anyone; files that were refused may. */
static void print_well(FILE *out, long rejected)
{
    if (rejected) {
        fprintf(out,
                "ALL WELL   but for %ld file%s rejected in the last 24 hours (below, "
                "with the reason)\n",
                rejected, ctl_plural(rejected));
    } else {
        fprintf(out, "ALL WELL   nothing needs you\n");
    }
}

static void print_verdict(FILE *out, const json_t *s)
{
    const json_t *jobs = json_object_get(s, "jobs"),
                 *config = json_object_get(s, "config"),
                 *blocked = json_object_get(s, "blocked"), *b;
    long held = ctl_whole(jobs, "held"), bad = ctl_whole(jobs, "quarantined");
    bool is_down = !strcmp(ctl_text(s, "state"), "down");
    size_t i;
    if (is_down) {
        fprintf(out, "DOWN       nothing is taken in or reduced; start it with: "
                     "systemctl start ifud\n");
    }
    json_array_foreach(blocked, i, b)
    {
        fprintf(out, "BLOCKED    %s: ",
                !strcmp(ctl_text(b, "what"), "intake") ? "files wait in the inbox"
                                                       : "nothing new starts");
        ctl_print_safe(out, ctl_text(b, "why"));
        fputc('\n', out);
    }
    if (*ctl_text(config, "error")) {
        fprintf(out,
                "CONFIG     the file was refused, what was read before is in use: ");
        ctl_print_safe(out, ctl_text(config, "error"));
        fputc('\n', out);
    }
    if (*ctl_text(config, "restart_needed_for")) {
        fprintf(out, "CONFIG     changed keys wait for a restart: ");
        ctl_print_safe(out, ctl_text(config, "restart_needed_for"));
        fputc('\n', out);
    }
    if (held || bad) {
        fprintf(out,
                "NEEDS YOU  %ld job%s held, %ld quarantined (below, with what to "
                "type)\n",
                held, ctl_plural(held), bad);
    } else if (!is_down && !json_array_size(blocked) && !*ctl_text(config, "error")) {
        print_well(out, ctl_whole(s, "rejected_lately"));
    }
    fputc('\n', out);
}

static void print_counts(FILE *out, const json_t *s)
{
    static const char *const states[] = {
        "running", "queued",      "waiting",   "suspect", "deferred",
        "held",    "quarantined", "cancelled", "done",    "superseded"};
    const json_t *inbox = json_object_get(s, "inbox"),
                 *e = json_object_get(s, "exposures"),
                 *jobs = json_object_get(s, "jobs"),
                 *memory = json_object_get(s, "memory");
    fprintf(out, "jobs       ");
    for (size_t i = 0, n_shown = 0; i < sizeof states / sizeof *states; i++) {
        long n = ctl_whole(jobs, states[i]);
        if (i < 3 || n || !strcmp(states[i], "done")) {
            fprintf(out, "%s%ld %s", n_shown++ ? ", " : "", n, states[i]);
        }
    }
    fprintf(out, "\ninbox      ");
    if (json_is_integer(json_object_get(inbox, "files"))) {
        fprintf(out, "%ld file%s", ctl_whole(inbox, "files"),
                ctl_plural(ctl_whole(inbox, "files")));
        if (ctl_whole(inbox, "files")) {
            fprintf(out, " (%ld being taken in, %ld incomplete)",
                    ctl_whole(inbox, "taking_in"), ctl_whole(inbox, "incomplete"));
        }
        fprintf(out, " in ");
    }
    ctl_print_safe(out, ctl_text(inbox, "folder"));
    fprintf(out,
            "\nexposures  %ld accepted: %ld science, %ld leakage, %ld background\n"
            "           %ld rewritten, %ld came twice, %ld file%s rejected\n",
            ctl_whole(e, "accepted"), ctl_whole(e, "science"), ctl_whole(e, "imprint"),
            ctl_whole(e, "background"), ctl_whole(e, "superseded"),
            ctl_whole(e, "duplicates"), ctl_whole(e, "rejected"),
            ctl_plural(ctl_whole(e, "rejected")));
    if (ctl_whole(s, "without_imprint")) {
        fprintf(out, "           %ld science without a leakage exposure\n",
                ctl_whole(s, "without_imprint"));
    }
    long stale = ctl_whole(json_object_get(s, "stale"), "jobs");
    if (stale) {
        fprintf(out, "stale      products of %ld job%s: ifuctl stale\n", stale,
                ctl_plural(stale));
    }
    if (json_is_object(memory)) {
        char used[32], budget[32];
        ctl_bytes(ctl_number(memory, "reserved_bytes"), used);
        ctl_bytes(ctl_number(memory, "budget_bytes"), budget);
        fprintf(out, "memory     %s of %s promised to jobs that run\n", used, budget);
    }
    fprintf(out, "products   ");
    ctl_print_safe(out, ctl_text(s, "products_folder"));
    fputc('\n', out);
}

/* ---- the lists ---- */

static int widest(const json_t *list, const char *key)
{
    size_t i;
    const json_t *o;
    int width = (int)strlen(key);
    json_array_foreach(list, i, o)
    {
        int n = (int)strlen(ctl_text(o, key));
        width = n > width ? n : width;
    }
    return width;
}

static void print_running(FILE *out, const json_t *list)
{
    size_t i;
    const json_t *r;
    int width = widest(list, "job");
    if (json_array_size(list)) {
        fprintf(out, "\nRUNNING\n  %-*s  %-28s  %5s  %s\n", width, "job", "stage",
                "done", "for");
    }
    json_array_foreach(list, i, r)
    {
        char time[32], stage[64];
        ctl_duration(ctl_number(r, "seconds"), time);
        if (*ctl_text(r, "stage")) {
            snprintf(stage, sizeof stage, "%.30s (%ld of %ld)", ctl_text(r, "stage"),
                     ctl_whole(r, "stage_index") + 1, ctl_whole(r, "stages"));
        } else {
            strcpy(stage, "starting");
        }
        fprintf(out, "  %-*s  %-28s  %3.0f %%  %s", width, ctl_text(r, "job"), stage,
                100.0 * ctl_number(r, "share"), time);
        if (json_is_true(json_object_get(r, "suspect"))) {
            fprintf(out, ", a suspect, alone");
        }
        if (json_is_true(json_object_get(r, "isolated"))) {
            fprintf(out, ", in a process");
        }
        if (json_is_true(json_object_get(r, "stuck"))) {
            fprintf(out, ", STUCK");
        }
        if (*ctl_text(r, "wish")) {
            fprintf(out, ", stopping: will be %s", ctl_text(r, "wish"));
        }
        fputc('\n', out);
    }
}

static void print_problems(FILE *out, const json_t *s, const char *key,
                           const char *title)
{
    size_t i;
    const json_t *p, *list = json_object_get(s, key);
    double now = ctl_number(s, "now");
    if (json_array_size(list)) {
        fprintf(out, "\n%s\n", title);
    }
    json_array_foreach(list, i, p)
    {
        if (i == MOST_PROBLEMS) {
            fprintf(out, "  ... and more: ifuctl list --state %s\n",
                    ctl_text(p, "state"));
            break;
        }
        char ago[32], again[32];
        ctl_duration(now - ctl_number(p, "changed_at"), ago);
        fprintf(out, "  %s %s, %s ago, attempt %ld", ctl_text(p, "job"),
                ctl_text(p, "state"), ago, ctl_whole(p, "attempt"));
        if (*ctl_text(p, "stage")) {
            fprintf(out, ", at stage %s", ctl_text(p, "stage"));
        }
        if (json_is_number(json_object_get(p, "retry_at"))) {
            ctl_duration(ctl_number(p, "retry_at") - now, again);
            fprintf(out, "; tries again in %s", again);
        }
        fprintf(out, "\n    ");
        ctl_print_safe(out, ctl_text(p, "message"));
        if (*ctl_text(p, "why")) {
            fprintf(out, "\n    next: ");
            ctl_print_safe(out, ctl_text(p, "why"));
        }
        fputc('\n', out);
    }
}

static void print_programs(FILE *out, const json_t *list)
{
    size_t i;
    const json_t *p;
    if (json_array_size(list)) {
        fprintf(out, "\nPROGRAMS   running  queued  share of lately\n");
    }
    json_array_foreach(list, i, p)
    {
        fprintf(out, "  %-8.15s %7ld %6ld%s  %6.0f %%\n", ctl_text(p, "program"),
                ctl_whole(p, "running"), ctl_whole(p, "queued"),
                json_is_true(json_object_get(p, "more")) ? "+" : " ",
                100.0 * ctl_number(p, "used_share"));
    }
}

static void print_waiting(FILE *out, const json_t *s)
{
    size_t i;
    const json_t *w, *list = json_object_get(s, "waiting");
    if (json_array_size(list)) {
        fprintf(out, "\nWAITING GROUPS\n");
    }
    json_array_foreach(list, i, w)
    {
        fprintf(out, "  %s\n", ctl_text(w, "group"));
        if (*ctl_text(w, "members_wait")) {
            fprintf(out, "    spec2 waits for: ");
            ctl_print_safe(out, ctl_text(w, "members_wait"));
            fputc('\n', out);
        }
        if (*ctl_text(w, "waits_for")) {
            fprintf(out, "    waits for: ");
            ctl_print_safe(out, ctl_text(w, "waits_for"));
            fputc('\n', out);
        }
    }
}

static void print_offers(FILE *out, const json_t *s)
{
    size_t i;
    const json_t *w, *list = json_object_get(s, "unused_backgrounds");
    if (json_array_size(list)) {
        fprintf(out,
                "\nBACKGROUNDS NOT USED (background_policy = nearest uses them)\n");
    }
    json_array_foreach(list, i, w)
    {
        fprintf(out, "  %s\n    there is: ", ctl_text(w, "group"));
        ctl_print_safe(out, ctl_text(w, "offer"));
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
        ctl_stamp(ctl_number(m, "at"), at);
        fprintf(out, "  %s  ", at);
        if (*ctl_text(m, "job")) {
            fprintf(out, "%s\n    ", ctl_text(m, "job"));
        }
        ctl_print_safe(out, ctl_text(m, "message"));
        fputc('\n', out);
    }
}

void ctl_print_status(FILE *out, const json_t *status)
{
    print_head(out, status);
    print_verdict(out, status);
    print_counts(out, status);
    print_problems(out, status, "problems", "NEEDS ATTENTION");
    print_running(out, json_object_get(status, "running"));
    print_problems(out, status, "suspects", "SUSPECTS");
    print_programs(out, json_object_get(status, "programs"));
    print_waiting(out, status);
    print_offers(out, status);
    print_messages(out, status, "warnings", "LAST DONE WITH WARNINGS");
    print_messages(out, status, "troubles", "TROUBLE");
    print_messages(out, status, "rejections", "LAST REJECTED FILES");
}
