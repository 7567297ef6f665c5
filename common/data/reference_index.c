#include "common/data/reference_index.h"

#include <ctype.h>
#include <errno.h>
#include <fts.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/asdf.h"
#include "common/data/fits_io.h"
#include "common/data/ref_msaoper.h"

/* Where each criterion stands in a file: the plain value and the one that overrides it. */
static const struct {
    const char *what; /* for messages */
    const char *fits, *fits_pattern;
    const char *asdf, *asdf_pattern;
    const char *json;
} criteria[BY_N] = {
    [BY_INSTRUMENT] = {"instrument", "INSTRUME", NULL, "meta.instrument.name", NULL,
                       "instrument"},
    [BY_DETECTOR] = {"detector", "DETECTOR", "P_DETECT", "meta.instrument.detector",
                     "meta.instrument.p_detector", "detector"},
    [BY_FILTER] = {"filter", "FILTER", "P_FILTER", "meta.instrument.filter",
                   "meta.instrument.p_filter", "filter"},
    [BY_GRATING] = {"grating", "GRATING", "P_GRATIN", "meta.instrument.grating",
                    "meta.instrument.p_grating", "grating"},
    [BY_EXP_TYPE] = {"exposure type", "EXP_TYPE", "P_EXP_TY", "meta.exposure.type",
                     "meta.exposure.p_exptype", "exp_type"},
};

static const char *exposure_value(const struct exposure_meta *meta, int by)
{
    switch (by) {
    case BY_INSTRUMENT:
        return meta->instrument;
    case BY_DETECTOR:
        return meta->detector;
    case BY_FILTER:
        return meta->filter;
    case BY_GRATING:
        return meta->grating;
    default:
        return meta->exp_type;
    }
}

void reference_type_fold(const char *name, char ret[24])
{
    size_t n = 0;
    for (; *name && n < 23; name++) {
        if (isalnum((unsigned char)*name)) {
            ret[n++] = (char)tolower((unsigned char)*name);
        }
    }
    ret[n] = 0;
}

bool reference_time(const char *text, int64_t *ret_us)
{
    struct tm tm = {0};
    double seconds = 0;
    int used = 0;
    while (isspace((unsigned char)*text)) {
        text++;
    }
    if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &used) !=
            3 ||
        tm.tm_year < 1900 || tm.tm_year > 9000 || tm.tm_mon < 1 || tm.tm_mon > 12 ||
        tm.tm_mday < 1 || tm.tm_mday > 31) {
        return false;
    }
    text += used;
    if (*text == 'T' || *text == ' ') {
        char after = text[1];
        if (isdigit((unsigned char)after)) {
            used = 0;
            if (sscanf(text + 1, "%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &used) != 2) {
                return false;
            }
            text += 1 + used;
            if (*text == ':') {
                char *end;
                seconds = strtod(text + 1, &end);
                text = end;
            }
        }
    }
    while (isspace((unsigned char)*text) || *text == 'Z') {
        text++;
    }
    if (*text || tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 ||
        !(seconds >= 0 && seconds < 61)) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_us = (int64_t)timegm(&tm) * 1000000 + (int64_t)(seconds * 1e6 + 0.5);
    return true;
}

/* Does the token say "no restriction"? */
static bool is_any(const char *token, size_t n)
{
    return n == 0 || (n == 3 && !strncasecmp(token, "N/A", 3)) ||
           (n == 3 && !strncasecmp(token, "ANY", 3));
}

/* Does `value` stand in "A|B|"? NULL, N/A, ANY and nothing at all accept everything. */
static bool accepts(const char *list, const char *value)
{
    bool empty = true;
    for (const char *c = list ? list : ""; *c;) {
        size_t whole = strcspn(c, "|"), n = whole;
        const char *token = c;
        while (n && isspace((unsigned char)*token)) {
            token++;
            n--;
        }
        while (n && isspace((unsigned char)token[n - 1])) {
            n--;
        }
        if (n) {
            empty = false;
            if (is_any(token, n) ||
                (strlen(value) == n && !strncasecmp(token, value, n))) {
                return true;
            }
        }
        c += whole + (c[whole] == '|');
    }
    return empty;
}

/* The pattern overrides the plain value unless it is blank. */
static int keep(struct reference_entry *e, int by, const char *plain,
                const char *pattern, struct err *err)
{
    const char *text = pattern && pattern[strspn(pattern, " |")] ? pattern : plain;
    if (!text) {
        return 0;
    }
    e->accept[by] = mem_strdup(text, err);
    return e->accept[by] ? 0 : ERR_NOMEM;
}

static int read_fits(const char *path, struct reference_entry *e, const char **type,
                     const char **useafter, struct header *h, struct err *err)
{
    struct fits_in *f = NULL;
    int code = fits_in_open(path, ERR_REFERENCE, &f, err);
    if (!code) {
        code = fits_in_header(f, 0, h, err);
    }
    fits_in_close(f);
    if (code) {
        return code;
    }
    header_get_string(h, "REFTYPE", type);
    header_get_string(h, "USEAFTER", useafter);
    for (int by = 0; by < BY_N && !code; by++) {
        const char *plain = NULL, *pattern = NULL;
        header_get_string(h, criteria[by].fits, &plain);
        if (criteria[by].fits_pattern) {
            header_get_string(h, criteria[by].fits_pattern, &pattern);
        }
        code = keep(e, by, plain, pattern, err);
    }
    return code;
}

static const char *tree_string(const struct asdf *a, const char *path)
{
    const char *text = NULL;
    const struct asdf_node *node = asdf_get(asdf_root(a), path);
    return node && asdf_string(node, &text) ? text : NULL;
}

static int read_asdf(struct asdf *a, struct reference_entry *e, const char **type,
                     const char **useafter, struct err *err)
{
    int code = 0;
    *type = tree_string(a, "meta.reftype");
    *useafter = tree_string(a, "meta.useafter");
    for (int by = 0; by < BY_N && !code; by++) {
        const char *pattern = criteria[by].asdf_pattern
                                  ? tree_string(a, criteria[by].asdf_pattern)
                                  : NULL;
        code = keep(e, by, tree_string(a, criteria[by].asdf), pattern, err);
    }
    return code;
}

/* Keys of the topmost object (msaoper). */
static int read_json(const char *path, struct reference_entry *e, json_t **ret_json,
                     const char **type, const char **useafter, struct err *err)
{
    int code = ref_msaoper_parse(path, ret_json, err);
    if (code) {
        return code;
    }
    *type = json_string_value(json_object_get(*ret_json, "reftype"));
    *useafter = json_string_value(json_object_get(*ret_json, "useafter"));
    for (int by = 0; by < BY_N && !code; by++) {
        code = keep(e, by,
                    json_string_value(json_object_get(*ret_json, criteria[by].json)),
                    NULL, err);
    }
    return code;
}

/* "jwst_nirspec_fflat_0123.fits" -> 123 */
static long serial_of(const char *path)
{
    const char *name = path_base(path), *end = strchr(name, '.');
    const char *digits = end ? end : name + strlen(name);
    end = digits;
    while (digits > name && isdigit((unsigned char)digits[-1])) {
        digits--;
    }
    if (digits == end || digits == name || digits[-1] != '_' || end - digits > 9) {
        return -1;
    }
    return strtol(digits, NULL, 10);
}

void reference_entry_done(struct reference_entry *e)
{
    free(e->path);
    free(e->problem);
    for (int by = 0; by < BY_N; by++) {
        free(e->accept[by]);
    }
    *e = (struct reference_entry){0};
}

int reference_entry_read(const char *path, struct reference_entry *ret, struct err *err)
{
    struct reference_entry e = {.useafter_us = INT64_MIN, .serial = serial_of(path)};
    struct header h = {0};
    struct asdf *a = NULL;
    json_t *json = NULL;
    const char *type = NULL, *useafter = NULL;
    int code = 0;
    e.path = mem_strdup(path, err);
    if (!e.path) {
        return ERR_NOMEM;
    }
    if (path_has_suffix(path, ".json")) {
        code = read_json(path, &e, &json, &type, &useafter, err);
    } else if (path_has_suffix(path, ".asdf")) {
        code = asdf_read(path, &a, err);
        if (!code) {
            code = read_asdf(a, &e, &type, &useafter, err);
        }
    } else {
        code = read_fits(path, &e, &type, &useafter, &h, err);
    }
    if (!code) {
        reference_type_fold(type ? type : "", e.type);
    }
    if (!code && useafter && *useafter) {
        snprintf(e.useafter, sizeof e.useafter, "%s", useafter);
        if (e.type[0] && !reference_time(useafter, &e.useafter_us)) {
            code = err_set(err, ERR_REFERENCE,
                           "%s: USEAFTER '%s' is not a date as 2022-01-01T00:00:00",
                           path, useafter);
        }
    }
    header_done(&h);
    asdf_free(a);
    json_decref(json);
    if (code) {
        reference_entry_done(&e);
        return code;
    }
    *ret = e;
    return 0;
}

void reference_index_done(struct reference_index *index)
{
    for (size_t i = 0; i < index->n; i++) {
        reference_entry_done(&index->entries[i]);
    }
    free(index->entries);
    *index = (struct reference_index){0};
}

/* Append; takes over what e holds, also on failure. */
static int push(struct reference_index *index, struct reference_entry *e,
                struct err *err)
{
    if (index->n == index->room) {
        size_t room = index->room ? 2 * index->room : 64;
        struct reference_entry *grown =
            mem_realloc(index->entries, room, sizeof *grown, err);
        if (!grown) {
            reference_entry_done(e);
            return ERR_NOMEM;
        }
        index->entries = grown;
        index->room = room;
    }
    index->entries[index->n++] = *e;
    return 0;
}

static int add_problem(struct reference_index *index, const char *path, const char *why,
                       struct err *err)
{
    struct reference_entry e = {.useafter_us = INT64_MIN, .serial = -1};
    e.path = mem_strdup(path, err);
    e.problem = mem_strdup(why, err);
    if (!e.path || !e.problem) {
        reference_entry_done(&e);
        return ERR_NOMEM;
    }
    return push(index, &e, err);
}

static int add_file(struct reference_index *index, const char *path, struct err *err)
{
    struct reference_entry e;
    struct err why = {0};
    int code = reference_entry_read(path, &e, &why);
    if (code == ERR_NOMEM) {
        return err_set(err, code, "%s", why.message);
    }
    if (code) {
        return add_problem(index, path, why.message, err);
    }
    if (!e.type[0]) {
        reference_entry_done(&e);
        return 0;
    }
    return push(index, &e, err);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct reference_entry *)a)->path,
                  ((const struct reference_entry *)b)->path);
}

static bool is_reference_name(const char *path)
{
    return path_has_suffix(path, ".fits") || path_has_suffix(path, ".fits.gz") ||
           path_has_suffix(path, ".asdf") || path_has_suffix(path, ".json");
}

int reference_index_scan(const char *folder, struct reference_index *ret,
                         struct err *err)
{
    struct reference_index index = {0};
    int code = 0;
    char *root = realpath(folder, NULL);
    if (!root) {
        return err_set(err, ERR_REFERENCE, "reference folder %s: %s", folder,
                       strerror(errno));
    }
    char *roots[] = {root, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!fts) {
        code = err_set(err, ERR_IO, "reference folder %s: %s", folder, strerror(errno));
        goto out;
    }
    FTSENT *f;
    while (!code && (f = fts_read(fts))) {
        switch (f->fts_info) {
        case FTS_F:
            if (f->fts_level == 0) {
                code = err_set(err, ERR_REFERENCE,
                               "reference folder %s is a file, not a folder", folder);
            } else if (f->fts_name[0] != '.' && is_reference_name(f->fts_path)) {
                code = add_file(&index, f->fts_path, err);
            }
            break;
        case FTS_SL:
        case FTS_SLNONE:
            index.n_links += is_reference_name(f->fts_path);
            break;
        case FTS_DNR:
        case FTS_ERR:
        case FTS_NS:
            if (f->fts_level == 0) {
                code = err_set(err, ERR_IO, "reference folder %s: %s", folder,
                               strerror(f->fts_errno));
            } else {
                char why[4200];
                snprintf(why, sizeof why, "%s: %s", f->fts_path,
                         strerror(f->fts_errno));
                code = add_problem(&index, f->fts_path, why, err);
            }
            break;
        default:
            break;
        }
    }
    fts_close(fts);
    if (index.n) {
        qsort(index.entries, index.n, sizeof *index.entries, by_path);
    }
out:
    free(root);
    if (code) {
        reference_index_done(&index);
        return code;
    }
    *ret = index;
    return 0;
}

/* The first criterion in which e does not suit, or -1. */
static int difference(const struct reference_entry *e, const struct exposure_meta *meta)
{
    for (int by = 0; by < BY_N; by++) {
        if (!accepts(e->accept[by], exposure_value(meta, by))) {
            return by;
        }
    }
    return -1;
}

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
                                                         const char *fmt, ...)
{
    size_t at = strlen(text);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + at, size - at, fmt, ap);
    va_end(ap);
}

void reference_entry_suits(const struct reference_entry *e, char *ret, size_t size)
{
    ret[0] = 0;
    for (int by = BY_DETECTOR; by < BY_N; by++) {
        const char *list = e->accept[by];
        if (list && *list && !is_any(list, strcspn(list, "|"))) {
            int n = (int)strlen(list);
            n -= list[n - 1] == '|';
            append(ret, size, "%s%s %.*s", *ret ? ", " : "", criteria[by].what,
                   n > 60 ? 60 : n, list);
        }
    }
    if (!*ret) {
        append(ret, size, "everything");
    }
}

static int explain_none(const struct reference_index *index, const char *folder,
                        const char *type, const struct exposure_meta *meta,
                        const char *when, struct err *err)
{
    char why[700] = "", folded[24];
    size_t n_type = 0, n_problem = 0, n_late = 0;
    const struct reference_entry *first[BY_N] = {0}, *late = NULL, *problem = NULL;
    size_t differ[BY_N] = {0};
    reference_type_fold(type, folded);
    for (size_t i = 0; i < index->n; i++) {
        const struct reference_entry *e = &index->entries[i];
        if (e->problem) {
            problem = problem ? problem : e;
            n_problem++;
        } else if (!strcmp(e->type, folded)) {
            int by = difference(e, meta);
            n_type++;
            if (by < 0) {
                late = late ? late : e;
                n_late++;
            } else {
                first[by] = first[by] ? first[by] : e;
                differ[by]++;
            }
        }
    }
    append(why, sizeof why, "%zu of this type in %s", n_type, folder);
    for (int by = 0; by < BY_N; by++) {
        if (differ[by]) {
            append(why, sizeof why, "; %zu for another %s (%s: %.60s)", differ[by],
                   criteria[by].what, path_base(first[by]->path),
                   first[by]->accept[by]);
        }
    }
    if (n_late) {
        append(why, sizeof why, "; %zu with a USEAFTER after the exposure (%s: %s)",
               n_late, path_base(late->path), late->useafter);
    }
    if (n_problem) {
        append(why, sizeof why, "; %zu files could not be read (%.200s)", n_problem,
               problem->problem);
    }
    if (index->n_links) {
        append(why, sizeof why, "; %zu symbolic links were not followed",
               index->n_links);
    }
    return err_set(err, ERR_REFERENCE,
                   "no reference of type '%s' for %s (%s, %s, %s, %s, %s, %s): %s",
                   type, meta->filename, meta->instrument, meta->detector, meta->filter,
                   meta->grating, meta->exp_type, when, why);
}

int reference_index_match(const struct reference_index *index, const char *folder,
                          const char *type, const struct exposure_meta *meta,
                          const struct reference_entry ***ret_best, size_t *ret_n,
                          size_t *ret_n_type, size_t *ret_n_match, struct err *err)
{
    char when[64], folded[24];
    int64_t now = INT64_MAX;
    size_t n = 0, n_type = 0, n_match = 0;
    reference_type_fold(type, folded);
    snprintf(when, sizeof when, "%s%s%s", meta->date_obs, meta->time_obs[0] ? "T" : "",
             meta->time_obs);
    if (meta->date_obs[0] && !reference_time(when, &now)) {
        return err_set(err, ERR_INPUT,
                       "%s: DATE-OBS '%s' and TIME-OBS '%s' are not a date and a time",
                       meta->filename, meta->date_obs, meta->time_obs);
    }
    const struct reference_entry **best = mem_calloc(index->n + 1, sizeof *best, err);
    if (!best) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < index->n; i++) {
        const struct reference_entry *e = &index->entries[i];
        if (e->problem || strcmp(e->type, folded)) {
            continue;
        }
        n_type++;
        if (difference(e, meta) >= 0) {
            continue;
        }
        n_match++;
        if (e->useafter_us > now) {
            continue;
        }
        if (n &&
            (e->useafter_us < best[0]->useafter_us ||
             (e->useafter_us == best[0]->useafter_us && e->serial < best[0]->serial))) {
            continue;
        }
        if (n &&
            (e->useafter_us != best[0]->useafter_us || e->serial != best[0]->serial)) {
            n = 0;
        }
        best[n++] = e;
    }
    if (!n) {
        free(best);
        return explain_none(index, folder, type, meta, when, err);
    }
    *ret_best = best;
    *ret_n = n;
    *ret_n_type = n_type;
    *ret_n_match = n_match;
    return 0;
}
