#include "common/data/ref_msaoper.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/mem.h"
#include "common/data/ref_msa.h"

#define MOST_BYTES ((off_t)64 << 20) /* all 249,660 shutters take about 25 MB */

int ref_msaoper_parse(const char *path, json_t **ret, struct err *err)
{
    struct stat st;
    json_error_t where;
    FILE *f = fopen(path, "re");
    if (!f || fstat(fileno(f), &st)) {
        int code = err_set(err, ERR_REFERENCE, "%s: %s", path, strerror(errno));
        if (f) {
            fclose(f);
        }
        return code;
    }
    if (st.st_size > MOST_BYTES) {
        fclose(f);
        return err_set(err, ERR_REFERENCE, "%s: %lld bytes; at most %lld expected",
                       path, (long long)st.st_size, (long long)MOST_BYTES);
    }
    json_t *root = json_loadf(f, JSON_REJECT_DUPLICATES, &where);
    fclose(f);
    if (!root || !json_is_object(root)) {
        int code = root
                       ? err_set(err, ERR_REFERENCE, "%s: a JSON object expected", path)
                       : err_set(err, ERR_REFERENCE, "%s: line %d: %s", path,
                                 where.line, where.text);
        json_decref(root);
        return code;
    }
    *ret = root;
    return 0;
}

static int read_number(const char *path, const json_t *row, size_t i, const char *key,
                       int max, int *ret, struct err *err)
{
    const json_t *value = json_object_get(row, key);
    const json_int_t v = json_integer_value(value);
    if (!json_is_integer(value) || v < 1 || v > max) {
        return err_set(err, ERR_REFERENCE,
                       "%s: '%s' of msaoper[%zu] should be a whole number in 1..%d",
                       path, key, i, max);
    }
    *ret = (int)v;
    return 0;
}

static int read_states(const char *path, const json_t *row, size_t i, bool *ret_open,
                       struct err *err)
{
    static const char *const states[] = {"Internal state", "TA state", "state"};
    *ret_open = false;
    for (size_t k = 0; k < sizeof states / sizeof *states; k++) {
        const char *state = json_string_value(json_object_get(row, states[k]));
        if (!state) {
            return err_set(err, ERR_REFERENCE,
                           "%s: '%s' of msaoper[%zu] should be text, as \"open\"", path,
                           states[k], i);
        }
        *ret_open |= !strcmp(state, "open");
    }
    return 0;
}

static int read_rows(const char *path, const json_t *rows, struct ref_msaoper *m,
                     struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < json_array_size(rows) && !code; i++) {
        const json_t *row = json_array_get(rows, i);
        struct msaoper_shutter *s = &m->open[m->n];
        bool open;
        code = read_states(path, row, i, &open, err);
        if (!code && open) {
            code = read_number(path, row, i, "Q", REF_MSA_QUADRANTS, &s->quadrant, err);
            code = code ? code
                        : read_number(path, row, i, "x", REF_MSA_COLUMNS, &s->x, err);
            code =
                code ? code : read_number(path, row, i, "y", REF_MSA_ROWS, &s->y, err);
            m->n++;
        }
    }
    return code;
}

void ref_msaoper_free(void *object)
{
    struct ref_msaoper *m = object;
    if (m) {
        free(m->open);
        free(m);
    }
}

int ref_msaoper_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    json_t *root = NULL;
    int code = ref_msaoper_parse(path, &root, err);
    const json_t *rows = json_object_get(root, "msaoper");
    if (!code && !json_is_array(rows)) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: 'msaoper' is missing; a list of shutters expected", path);
    }
    struct ref_msaoper *m = code ? NULL : mem_calloc(1, sizeof *m, err);
    if (!code && m) {
        m->open = mem_calloc(json_array_size(rows) + 1, sizeof *m->open, err);
    }
    if (!code) {
        code = m && m->open ? read_rows(path, rows, m, err) : ERR_NOMEM;
    }
    if (!code) {
        *ret_bytes = sizeof *m + (json_array_size(rows) + 1) * sizeof *m->open;
        *ret = m;
    } else {
        ref_msaoper_free(m);
    }
    json_decref(root);
    return code;
}
