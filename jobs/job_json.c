#include "jobs/job.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"

/* A reader of one object: each key that is known is taken, what remains is refused. */
struct reader {
    json_t *object; /* borrowed; keys are removed as they are taken */
    const char *where;
    int code;
    struct err *err;
};

static json_t *take(struct reader *r, const char *key)
{
    json_t *value = json_object_get(r->object, key);
    if (value) {
        json_incref(value);
        json_object_del(r->object, key);
    }
    return value;
}

static void wrong(struct reader *r, const char *key, const char *want)
{
    if (!r->code) {
        r->code = err_set(r->err, ERR_INPUT, "manifest: %s%s must be %s", r->where, key,
                          want);
    }
}

/* Printable text only: a name with control characters is never meant. */
static bool is_clean(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 32 || *text == 127) {
            return false;
        }
    }
    return true;
}

/* A string; NULL if absent or null and not needed. The caller owns it. */
static char *take_text(struct reader *r, const char *key, bool needed)
{
    json_t *value = take(r, key);
    char *text = NULL;
    if (json_is_string(value) && json_string_length(value) > 0 &&
        is_clean(json_string_value(value))) {
        text = mem_strdup(json_string_value(value), r->err);
        r->code = text || r->code ? r->code : ERR_NOMEM;
    } else if (needed || (value && !json_is_null(value))) {
        wrong(r, key, "a text without control characters");
    }
    json_decref(value);
    return text;
}

static void take_hash(struct reader *r, const char *key, char ret[65])
{
    char *text = take_text(r, key, false);
    if (text) {
        if (strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64) {
            memcpy(ret, text, 65);
        } else {
            wrong(r, key, "a SHA-256: 64 lower-case hexadecimal digits");
        }
    }
    free(text);
}

static int take_int(struct reader *r, const char *key, int fallback, int min, int max)
{
    json_t *value = take(r, key);
    int ret = fallback;
    if (json_is_integer(value) && json_integer_value(value) >= min &&
        json_integer_value(value) <= max) {
        ret = (int)json_integer_value(value);
    } else if (value) {
        wrong(r, key, "a whole number in its range");
    }
    json_decref(value);
    return ret;
}

/* Nothing may be left. */
static void finish(struct reader *r)
{
    void *first = json_object_iter(r->object);
    if (!r->code && first) {
        r->code = err_set(r->err, ERR_INPUT, "manifest: unknown key '%s%s'", r->where,
                          json_object_iter_key(first));
    }
}

/* An array of objects (or texts): *ret_n zeroed elements; the caller walks the array. */
static json_t *take_array(struct reader *r, const char *key, size_t size,
                          void **ret_elements)
{
    json_t *value = take(r, key);
    if (value && !json_is_array(value)) {
        wrong(r, key, "a list");
    }
    if (r->code || !value) {
        json_decref(value);
        return NULL;
    }
    *ret_elements = mem_calloc(json_array_size(value), size, r->err);
    if (!*ret_elements) {
        r->code = ERR_NOMEM;
        json_decref(value);
        return NULL;
    }
    return value;
}

static struct reader inner(struct reader *r, json_t *object, const char *where)
{
    struct reader in = {object, where, r->code, r->err};
    if (!json_is_object(object)) {
        wrong(&in, "", "an object");
    }
    return in;
}

/* A list of files: `inputs` or `reuse`; where: the same with "[].". */
static void read_files(struct reader *r, const char *key, const char *where,
                       struct job_input **ret, size_t *ret_n)
{
    void *elements = NULL;
    json_t *list = take_array(r, key, sizeof **ret, &elements);
    *ret = elements;
    for (size_t i = 0; i < json_array_size(list) && !r->code; i++) {
        struct reader in = inner(r, json_array_get(list, i), where);
        if (!in.code) {
            *ret_n = i + 1;
            (*ret)[i].path = take_text(&in, "path", true);
            take_hash(&in, "sha256", (*ret)[i].sha256);
            finish(&in);
        }
        r->code = in.code;
    }
    json_decref(list);
}

static void read_members(struct reader *r, struct job *job)
{
    void *elements = NULL;
    json_t *list = take_array(r, "members", sizeof *job->members, &elements);
    job->members = elements;
    for (size_t i = 0; i < json_array_size(list) && !r->code; i++) {
        struct reader in = inner(r, json_array_get(list, i), "members[].");
        if (!in.code) {
            job->n_members = i + 1;
            job->members[i].role = take_text(&in, "role", true);
            job->members[i].path = take_text(&in, "path", true);
            take_hash(&in, "sha256", job->members[i].sha256);
            finish(&in);
        }
        r->code = in.code;
    }
    json_decref(list);
}

static void read_references(struct reader *r, struct job *job)
{
    void *elements = NULL;
    json_t *list = take_array(r, "references", sizeof *job->references, &elements);
    job->references = elements;
    for (size_t i = 0; i < json_array_size(list) && !r->code; i++) {
        struct reader in = inner(r, json_array_get(list, i), "references[].");
        if (!in.code) {
            struct job_reference *ref = &job->references[i];
            job->n_references = i + 1;
            ref->input = take_text(&in, "input", true);
            ref->path = take_text(&in, "path", true);
            take_hash(&in, "sha256", ref->sha256);
            char *type = take_text(&in, "type", true);
            if (type && strlen(type) < sizeof ref->type) {
                strcpy(ref->type, type);
            } else {
                wrong(&in, "type", "a reference type");
            }
            free(type);
            finish(&in);
        }
        r->code = in.code;
    }
    json_decref(list);
}

/* A value as the text that --set would give. NULL: wrong kind. */
static char *value_text(const json_t *value, struct err *err)
{
    if (json_is_string(value) && is_clean(json_string_value(value))) {
        return mem_strdup(json_string_value(value), err);
    }
    if (json_is_boolean(value)) {
        return mem_strdup(json_is_true(value) ? "true" : "false", err);
    }
    if (json_is_null(value)) {
        return mem_strdup("none", err);
    }
    if (json_is_integer(value)) {
        return mem_printf(err, "%lld", (long long)json_integer_value(value));
    }
    if (json_is_real(value)) {
        return mem_printf(err, "%.17g", json_real_value(value));
    }
    return NULL;
}

static void read_settings(struct reader *r, struct job *job)
{
    json_t *stages = take(r, "parameters"), *values, *value;
    const char *stage, *name;
    size_t n = 0;
    if (stages && !json_is_object(stages)) {
        wrong(r, "parameters", "an object of stages");
    }
    json_object_foreach(stages, stage, values)
    {
        n += json_object_size(values);
    }
    job->settings = mem_calloc(n, sizeof *job->settings, r->err);
    r->code = job->settings || r->code ? r->code : ERR_NOMEM;
    json_object_foreach(stages, stage, values)
    {
        if (!r->code && !json_is_object(values)) {
            wrong(r, "parameters.<stage>", "an object of parameters");
        }
        json_object_foreach(values, name, value)
        {
            if (r->code) {
                break;
            }
            struct job_setting *s = &job->settings[job->n_settings++];
            s->stage = mem_strdup(stage, r->err);
            s->name = mem_strdup(name, r->err);
            s->value = value_text(value, r->err);
            if (!s->stage || !s->name) {
                r->code = ERR_NOMEM;
            } else if (!s->value) {
                r->code = err_set(r->err, ERR_INPUT,
                                  "manifest: parameters.%s.%s must be a text, a "
                                  "number, true, false or null",
                                  stage, name);
            }
        }
    }
    json_decref(stages);
}

static void read_save(struct reader *r, struct job *job)
{
    void *elements = NULL;
    json_t *list = take_array(r, "save", sizeof *job->save, &elements);
    job->save = elements;
    for (size_t i = 0; i < json_array_size(list) && !r->code; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text) {
            wrong(r, "save", "a list of stages");
            break;
        }
        job->save[i] = mem_strdup(text, r->err);
        job->n_save = i + 1;
        r->code = job->save[i] ? 0 : ERR_NOMEM;
    }
    json_decref(list);
}

static void check_name(struct reader *r, const char *key, const char *name)
{
    if (name && !path_is_safe_name(name)) {
        wrong(r, key, "a plain name: letters, digits and . _ + - = only");
    }
}

int job_parse(const char *json, struct job *ret, struct err *err)
{
    json_error_t at;
    struct job job = {0};
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &at);
    if (!json_is_object(root)) {
        json_decref(root);
        return err_set(err, ERR_INPUT, "manifest: line %d: %s", root ? 1 : at.line,
                       root ? "it must be a JSON object" : at.text);
    }
    struct reader r = {root, "", 0, err};
    if (take_int(&r, "ifud_manifest", 0, 0, 1000) != 1) {
        wrong(&r, "ifud_manifest", "1, the version of this format");
    }
    job.id = take_text(&r, "id", true);
    check_name(&r, "id", job.id);
    job.recipe = take_text(&r, "recipe", true);
    read_files(&r, "inputs", "inputs[].", &job.inputs, &job.n_inputs);
    read_members(&r, &job);
    job.reference_folder = take_text(&r, "reference_folder", false);
    job.crds_path = take_text(&r, "crds_path", false);
    job.crds_context = take_text(&r, "crds_context", false);
    check_name(&r, "crds_context", job.crds_context);
    read_references(&r, &job);
    read_settings(&r, &job);
    read_save(&r, &job);
    read_files(&r, "reuse", "reuse[].", &job.reuse, &job.n_reuse);
    job.replaces = take_text(&r, "replaces", false);
    job.stop_after = take_text(&r, "stop_after", false);
    job.output_folder = take_text(&r, "output_folder", true);
    job.product_name = take_text(&r, "product_name", false);
    check_name(&r, "product_name", job.product_name);
    job.date = take_text(&r, "date", true);
    job.threads = take_int(&r, "threads", 0, 0, 1024);
    job.attempt = take_int(&r, "attempt", 1, 1, 1000000);
    finish(&r);
    json_decref(root);
    if (r.code) {
        job_done(&job);
        return r.code;
    }
    *ret = job;
    return 0;
}

/* A group of thousands of exposures with their references stays far below. */
#define MANIFEST_MAX (64L << 20)

int job_read(const char *path, struct job *ret, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* no waiting on a FIFO */
    if (fd < 0 || fstat(fd, &st)) {
        int code = err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return code;
    }
    FILE *f = NULL;
    char *text = NULL;
    int code = 0;
    if (!S_ISREG(st.st_mode) || st.st_size > MANIFEST_MAX) {
        code = err_set(err, ERR_INPUT, "%s: a manifest is a file of at most %ld MB",
                       path, MANIFEST_MAX >> 20);
    } else if (!(text = mem_calloc((size_t)st.st_size + 1, 1, err))) {
        code = ERR_NOMEM;
    } else if (!(f = fdopen(fd, "r")) ||
               fread(text, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
        code = err_set(err, ERR_IO, "%s: cannot be read", path);
    }
    if (f ? fclose(f) : close(fd)) {
        code = code ? code : err_set(err, ERR_IO, "%s: cannot be read", path);
    }
    if (!code && (code = job_parse(text, ret, err))) {
        err_prefix(err, "%s", path);
    }
    free(text);
    return code;
}

/* ---- writing ---------------------------------------------------------------------- */

static json_t *text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

static json_t *list_files(const struct job_input *files, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, json_pack("{s:s, s:o}", "path", files[i].path,
                                              "sha256", text_or_null(files[i].sha256)));
    }
    return list;
}

static json_t *list_members(const struct job *job)
{
    json_t *list = json_array();
    for (size_t i = 0; i < job->n_members; i++) {
        const struct job_member *m = &job->members[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o}", "role", m->role, "path",
                                        m->path, "sha256", text_or_null(m->sha256)));
    }
    return list;
}

static json_t *list_references(const struct job *job)
{
    json_t *list = json_array();
    for (size_t i = 0; i < job->n_references; i++) {
        const struct job_reference *r = &job->references[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "input", r->input,
                                              "type", r->type, "path", r->path,
                                              "sha256", text_or_null(r->sha256)));
    }
    return list;
}

static json_t *list_settings(const struct job *job)
{
    json_t *stages = json_object();
    for (size_t i = 0; i < job->n_settings; i++) {
        const struct job_setting *s = &job->settings[i];
        json_t *stage = json_object_get(stages, s->stage);
        if (!stage) {
            stage = json_object();
            json_object_set_new(stages, s->stage, stage);
        }
        json_object_set_new(stage, s->name, json_string(s->value));
    }
    return stages;
}

char *job_to_json(const struct job *job, struct err *err)
{
    json_t *save = json_array();
    for (size_t i = 0; i < job->n_save; i++) {
        json_array_append_new(save, json_string(job->save[i]));
    }
    json_t *root = json_pack(
        "{s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:i, s:i}",
        "ifud_manifest", 1, "id", job->id, "recipe", job->recipe, "inputs",
        list_files(job->inputs, job->n_inputs), "members", list_members(job),
        "reference_folder", text_or_null(job->reference_folder), "references",
        list_references(job), "parameters", list_settings(job), "save", save,
        "stop_after", text_or_null(job->stop_after), "output_folder",
        job->output_folder, "product_name", text_or_null(job->product_name), "date",
        job->date, "threads", job->threads, "attempt", job->attempt);
    if (root && job->n_reuse) {
        json_object_set_new(root, "reuse", list_files(job->reuse, job->n_reuse));
    }
    if (root && job->replaces) {
        json_object_set_new(root, "replaces", json_string(job->replaces));
    }
    if (root && job->crds_path) {
        json_object_set_new(root, "crds_path", json_string(job->crds_path));
        json_object_set_new(root, "crds_context", text_or_null(job->crds_context));
    }
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    char *ret = text ? mem_printf(err, "%s\n", text) : NULL;
    if (!text) {
        err_set(err, ERR_NOMEM,
                "no memory for the manifest of %s, or a text in it is "
                "not UTF-8",
                job->id);
    }
    free(text);
    return ret;
}
