#include "jobs/job_report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "stages/recipe.h"

static int refuse(struct err *err, const char *what)
{
    return err_set(err, ERR_INPUT, "report of a job's process: %s", what);
}

/* ---- pieces ---- */

/* Is it a stage's name, or with `or_none` empty? */
static bool is_name(const char *name, bool or_none)
{
    size_t n = strlen(name);
    return n < 40 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n &&
           (n || or_none);
}

static bool is_hash(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* A copy without control characters. */
static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
    for (; *to; to++) {
        *to = (unsigned char)*to < 32 || *to == 127 ? '?' : *to;
    }
}

/* A product's path: the folder, a slash, a plain name. */
static bool is_place(const struct job_report *r, const char *path)
{
    size_t n = strlen(r->folder);
    return !strncmp(path, r->folder, n) && path[n] == '/' &&
           path_is_safe_name(path + n + 1);
}

/* The name as the recipes have it (static storage), "read", or NULL. */
static const char *known_stage(const char *name)
{
    for (const struct recipe *recipe = recipes; recipe->name; recipe++) {
        for (int i = 0; i < recipe->n_steps; i++) {
            if (recipe->steps[i].stage && !strcmp(recipe->steps[i].stage->name, name)) {
                return recipe->steps[i].stage->name;
            }
        }
    }
    return strcmp(name, "read") ? NULL : "read";
}

/* ---- one line of each kind ---- */

static void note_peak(struct job_report *r, json_int_t bytes)
{
    if (bytes > r->peak_bytes) {
        r->peak_bytes = bytes;
    }
}

static int take_stage(struct job_report *r, json_t *line,
                      const struct job_events *events, struct err *err)
{
    const char *stage;
    int index, count;
    double share;
    json_int_t peak;
    if (json_unpack_ex(line, NULL, JSON_STRICT, "{s:s, s:i, s:i, s:F, s:I}", "stage",
                       &stage, "index", &index, "count", &count, "share", &share,
                       "peak_bytes", &peak) ||
        !is_name(stage, false) || index < 0 || count < index || count > 1000 ||
        !(share >= 0 && share <= 1) || peak < 0) {
        return refuse(err, "a line of a stage is not as it should be");
    }
    strcpy(r->stage, stage);
    note_peak(r, peak);
    events->stage(events->user, stage, index, count, share);
    return 0;
}

static int take_note(json_t *line, const struct job_events *events, struct err *err)
{
    const char *note, *stage;
    int warning;
    char text[1024];
    if (json_unpack_ex(line, NULL, JSON_STRICT, "{s:s, s:s, s:b}", "note", &note,
                       "stage", &stage, "warning", &warning) ||
        !is_name(stage, true)) {
        return refuse(err, "a note is not as it should be");
    }
    copy_text(text, sizeof text, note);
    events->note(events->user, warning, stage, text);
    return 0;
}

static int take_product(struct job_report *r, json_t *line, struct err *err)
{
    const char *path, *suffix, *sha256;
    json_int_t bytes;
    struct job_result *result = &r->result;
    if (json_unpack_ex(line, NULL, JSON_STRICT, "{s:s, s:s, s:s, s:I}", "product",
                       &path, "suffix", &suffix, "sha256", &sha256, "bytes", &bytes) ||
        !is_place(r, path) || !is_name(suffix, false) || !is_hash(sha256) ||
        bytes < 0 || result->n_products >= JOB_REPORT_PRODUCTS) {
        return refuse(err, "a product is not as it should be");
    }
    struct job_product *more =
        mem_realloc(result->products, result->n_products + 1, sizeof *more, err);
    if (!more) {
        return ERR_NOMEM;
    }
    result->products = more;
    struct job_product *p = &more[result->n_products];
    *p = (struct job_product){.bytes = (size_t)bytes};
    strcpy(p->suffix, suffix);
    strcpy(p->sha256, sha256);
    p->path = mem_strdup(path, err);
    result->n_products += p->path != NULL;
    return p->path ? 0 : ERR_NOMEM;
}

static int take_timings(struct job_result *result, json_t *list, struct err *err)
{
    const size_t room = sizeof result->timings / sizeof *result->timings;
    if (!json_is_array(list) || json_array_size(list) > room) {
        return refuse(err, "the timings are not as they should be");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *stage;
        struct job_timing t;
        if (json_unpack_ex(json_array_get(list, i), NULL, JSON_STRICT,
                           "{s:s, s:F, s:F}", "stage", &stage, "run", &t.run, "write",
                           &t.write) ||
            !(t.stage = known_stage(stage))) {
            return refuse(err, "a timing is not as it should be");
        }
        result->timings[result->n_timings++] = t;
    }
    return 0;
}

static int take_end(struct job_report *r, json_t *line, struct err *err)
{
    const char *end, *message, *stage;
    json_t *timings;
    json_int_t peak;
    if (json_unpack_ex(line, NULL, JSON_STRICT, "{s:s, s:s, s:s, s:o, s:I}", "end",
                       &end, "message", &message, "failed_stage", &stage, "timings",
                       &timings, "peak_bytes", &peak) ||
        !is_name(stage, true) || peak < 0) {
        return refuse(err, "the end is not as it should be");
    }
    int code = take_timings(&r->result, timings, err);
    if (code) {
        return code;
    }
    if (strcmp(end, "ok") != 0) {
        char text[1024];
        copy_text(text, sizeof text, message);
        r->code = err_set(&r->err, err_code_of(end), "%s", text);
        strcpy(r->result.failed_stage, stage);
    }
    note_peak(r, peak);
    r->ended = true;
    return 0;
}

/* A number, or null: not known. */
static bool take_real(json_t *line, const char *key, double *ret)
{
    const json_t *value = json_object_get(line, key);
    *ret = json_is_number(value) ? json_number_value(value) : (double)NAN;
    return json_is_number(value) || json_is_null(value);
}

static int take_difference(struct job_report *r, json_t *line, struct err *err)
{
    struct job_difference d = {0};
    const json_t *compared = json_object_get(line, "difference");
    if (json_object_size(line) != 6 || !json_is_integer(compared) ||
        json_integer_value(compared) < 1 ||
        !take_real(line, "median_percent", &d.median_percent) ||
        !take_real(line, "largest_percent", &d.largest_percent) ||
        !take_real(line, "largest_percent_um", &d.largest_percent_um) ||
        !take_real(line, "largest_sigma", &d.largest_sigma) ||
        !take_real(line, "largest_sigma_um", &d.largest_sigma_um)) {
        return refuse(err, "a difference is not as it should be");
    }
    d.compared = (size_t)json_integer_value(compared);
    r->result.difference = d;
    return 0;
}

static int take_crash(struct job_report *r, json_t *line, struct err *err)
{
    const char *stage;
    int number;
    if (json_unpack_ex(line, NULL, JSON_STRICT, "{s:i, s:s}", "crash", &number, "stage",
                       &stage) ||
        !is_name(stage, true) || number < 1 || number > 64) {
        return refuse(err, "a crash is not as it should be");
    }
    r->signal = number;
    strcpy(r->stage, stage);
    return 0;
}

/* ---- the stream ---- */

static int take_line(struct job_report *r, const struct job_events *events,
                     struct err *err)
{
    int code;
    json_t *line = json_loadb(r->line, r->n_line, JSON_REJECT_DUPLICATES, NULL);
    if (json_object_get(line, "crash")) {
        code = take_crash(r, line, err);
    } else if (r->ended || r->cut) {
        code = refuse(err, r->ended ? "a line after the end" : "not JSON");
    } else if (!line) {
        r->cut = true; /* a crash may follow: it cuts a line short */
        code = 0;
    } else if (json_object_get(line, "note")) { /* before stage: both have that key */
        code = take_note(line, events, err);
    } else if (json_object_get(line, "stage")) {
        code = take_stage(r, line, events, err);
    } else if (json_object_get(line, "product")) {
        code = take_product(r, line, err);
    } else if (json_object_get(line, "difference")) {
        code = take_difference(r, line, err);
    } else if (json_object_get(line, "end")) {
        code = take_end(r, line, err);
    } else {
        code = refuse(err, "a line of no known kind");
    }
    json_decref(line);
    return code;
}

static void take_backtrace(struct job_report *r, char byte)
{
    if (r->n_backtrace + 1 < sizeof r->backtrace) {
        bool plain = byte == '\n' || (byte >= 32 && byte < 127);
        r->backtrace[r->n_backtrace++] = plain ? byte : '?';
    }
}

int job_report_feed(struct job_report *r, const char *bytes, size_t n,
                    const struct job_events *events, struct err *err)
{
    int code = 0;
    if (n > JOB_REPORT_BYTES - r->n_bytes) {
        return refuse(err, "it has no end");
    }
    r->n_bytes += n;
    for (size_t i = 0; i < n && !code; i++) {
        if (r->signal) {
            take_backtrace(r, bytes[i]);
        } else if (bytes[i] != '\n') {
            if (r->n_line == sizeof r->line) {
                return refuse(err, "a line is too long");
            }
            r->line[r->n_line++] = bytes[i];
        } else {
            code = r->n_line ? take_line(r, events, err) : 0;
            r->n_line = 0;
        }
    }
    return code;
}
