#include "common/data/crds_selector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"

static void free_selector(struct crds_selector *s);

static void entry_done(struct crds_entry *e, size_t n_keys)
{
    for (size_t k = 0; k < n_keys; k++) {
        free(e->patterns ? e->patterns[k] : NULL);
        crds_matcher_free(e->matchers ? e->matchers[k] : NULL);
    }
    free(e->patterns);
    free(e->matchers);
    free(e->date);
    free_selector(e->inner);
}

static void free_selector(struct crds_selector *s)
{
    for (size_t i = 0; s && i < s->n; i++) {
        entry_done(&s->entries[i], s->keys->n);
    }
    if (s) {
        free(s->entries);
        free(s);
    }
}

void crds_rules_free(struct crds_rules *rules)
{
    if (rules) {
        free_selector(rules->top);
        crds_node_done(&rules->header);
        crds_node_done(&rules->tree);
        free(rules->name);
        free(rules);
    }
}

static int copy_node(const struct crds_node *from, struct crds_node *to,
                     struct err *err)
{
    *to = (struct crds_node){.kind = from->kind};
    to->text = from->text ? mem_strdup(from->text, err) : NULL;
    to->items = mem_calloc(from->n, sizeof *to->items, err);
    if ((from->text && !to->text) || !to->items) {
        return ERR_NOMEM;
    }
    for (; to->n < from->n; to->n++) {
        if (copy_node(&from->items[to->n], &to->items[to->n], err)) {
            to->n++;
            return ERR_NOMEM;
        }
    }
    return 0;
}

static bool same_node(const struct crds_node *a, const struct crds_node *b)
{
    if (a->kind != b->kind || a->n != b->n || !a->text != !b->text ||
        (a->text && strcmp(a->text, b->text))) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!same_node(&a->items[i], &b->items[i])) {
            return false;
        }
    }
    return true;
}

static int malformed(const struct crds_rules *r, const char *what, struct err *err)
{
    return err_set(err, ERR_REFERENCE, "%s: %s", r->name, what);
}

const struct crds_node *crds_substitute(const struct crds_rules *r, const char *key,
                                        const struct crds_node *value)
{
    static char na[] = "N/A";
    static const struct crds_node none = {.kind = CRDS_STRING, .text = na};
    const struct crds_node *all = crds_dict_get(&r->header, "substitutions");
    const struct crds_node *mine = all ? crds_dict_get(all, key) : NULL;
    if (value->kind != CRDS_STRING) {
        return NULL;
    }
    if (mine) {
        return crds_dict_get(mine, value->text);
    }
    return !strcmp(key, "META.SUBARRAY.NAME") && !strcmp(value->text, "GENERIC") ? &none
                                                                                 : NULL;
}

static int build_key(const struct crds_rules *r, const struct crds_selector *s,
                     const struct crds_node *key, struct crds_entry *e, struct err *err)
{
    const size_t n = s->keys->n;
    const struct crds_node *values = key->kind == CRDS_TUPLE ? key->items : key;
    if (n != (key->kind == CRDS_TUPLE ? key->n : 1)) {
        return malformed(r, "a key of Match has not as many values as parkey", err);
    }
    e->raw = key;
    e->patterns = mem_calloc(n, sizeof *e->patterns, err);
    e->matchers = mem_calloc(n, sizeof *e->matchers, err);
    int code = e->patterns && e->matchers ? 0 : ERR_NOMEM;
    for (size_t k = 0; k < n && !code; k++) {
        const char *name = s->keys->items[k].text;
        const struct crds_node *instead = crds_substitute(r, name, &values[k]);
        char what[256];
        snprintf(what, sizeof what, "%s: %s", r->name, name);
        e->substituted = e->substituted || instead;
        e->patterns[k] = crds_pattern(instead ? instead : &values[k], err);
        code = e->patterns[k]
                   ? crds_matcher_new(e->patterns[k], what, &e->matchers[k], err)
                   : err_prefix(err, "%s", what);
    }
    return code;
}

struct order { /* an entry in the making, to be sorted */
    struct crds_entry e;
    size_t n, index;
};

static int by_pattern(const void *va, const void *vb)
{
    const struct order *a = va, *b = vb;
    for (size_t k = 0; k < a->n; k++) {
        int c = strcmp(a->e.patterns[k], b->e.patterns[k]);
        if (c) {
            return c;
        }
    }
    return (a->index > b->index) - (a->index < b->index);
}

static bool same_patterns(const struct crds_entry *a, const struct crds_entry *b,
                          size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (strcmp(a->patterns[k], b->patterns[k])) {
            return false;
        }
    }
    return true;
}

/* Sort by pattern. The same key twice: the last counts, as in Python; but one that was
 * substituted displaces one that stands there; other ways to the same are a mistake. */
static int settle(const struct crds_rules *r, struct crds_selector *s, struct err *err)
{
    struct order *o = mem_calloc(s->n, sizeof *o, err);
    size_t n = 0;
    int code = 0;
    if (!o) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < s->n; i++) {
        o[i] = (struct order){s->entries[i], s->keys->n, i};
    }
    if (s->n > 1) {
        qsort(o, s->n, sizeof *o, by_pattern);
    }
    for (size_t i = 0; i < s->n; i++) {
        struct crds_entry *last = n ? &s->entries[n - 1] : NULL;
        if (!last || !same_patterns(last, &o[i].e, s->keys->n)) {
            s->entries[n++] = o[i].e;
            continue;
        }
        if (!same_node(last->raw, o[i].e.raw) && !last->substituted &&
            !o[i].e.substituted) {
            code = malformed(r, "a key of Match stands there twice", err);
        }
        if (last->substituted && !o[i].e.substituted) {
            entry_done(&o[i].e, s->keys->n);
        } else {
            entry_done(last, s->keys->n);
            *last = o[i].e;
        }
    }
    s->n = n;
    free(o);
    return code;
}

static int build(struct crds_rules *r, const struct crds_node *call, size_t level,
                 struct crds_selector **ret, struct err *err);

static int build_entry(struct crds_rules *r, struct crds_selector *s, size_t level,
                       const struct crds_node *key, const struct crds_node *value,
                       struct err *err)
{
    struct crds_entry *e = &s->entries[s->n++];
    int code = 0;
    if (s->is_match) {
        code = build_key(r, s, key, e, err);
    } else if (key->kind == CRDS_STRING) {
        e->date = mem_strdup(key->text, err);
        code = e->date ? 0 : ERR_NOMEM;
    } else {
        code = malformed(r, "a key of UseAfter is no text in quotes", err);
    }
    if (!code && value->kind == CRDS_CALL && s->is_match) {
        return build(r, value, level + 1, &e->inner, err);
    }
    if (!code && value->kind != CRDS_STRING) {
        return malformed(r, "a choice is neither a file name nor a selector in Match",
                         err);
    }
    e->file = value->text;
    return code;
}

static bool are_strings(const struct crds_node *tuple)
{
    for (size_t i = 0; i < tuple->n; i++) {
        if (tuple->items[i].kind != CRDS_STRING) {
            return false;
        }
    }
    return tuple->kind == CRDS_TUPLE;
}

static int build(struct crds_rules *r, const struct crds_node *call, size_t level,
                 struct crds_selector **ret, struct err *err)
{
    const struct crds_node *parkey = crds_dict_get(&r->header, "parkey");
    const bool is_match = !strcmp(call->text, "Match");
    if (!is_match && strcmp(call->text, "UseAfter")) {
        return err_set(err, ERR_REFERENCE,
                       "%s: selector '%.40s'; those known are Match and UseAfter",
                       r->name, call->text);
    }
    if (!parkey || parkey->kind != CRDS_TUPLE || level >= parkey->n ||
        !are_strings(&parkey->items[level])) {
        return malformed(r, "parkey has no tuple of names for each selector", err);
    }
    if (call->n != 1 || call->items[0].kind != CRDS_DICT) {
        return malformed(r, "a selector without {...}", err);
    }
    const struct crds_node *dict = &call->items[0];
    struct crds_selector *s = mem_calloc(1, sizeof *s, err);
    if (!s) {
        return ERR_NOMEM;
    }
    s->is_match = is_match;
    s->keys = &parkey->items[level];
    s->entries = mem_calloc(dict->n / 2, sizeof *s->entries, err);
    int code = s->entries ? 0 : ERR_NOMEM;
    for (size_t i = 0; i + 1 < dict->n && !code; i += 2) {
        code = build_entry(r, s, level, &dict->items[i], &dict->items[i + 1], err);
    }
    if (!code && is_match) {
        code = settle(r, s, err);
    }
    if (code) {
        free_selector(s);
        return code;
    }
    *ret = s;
    return 0;
}

int crds_rules_new(const struct crds_mapping *m, const char *name,
                   struct crds_rules **ret, struct err *err)
{
    struct crds_rules *r = mem_calloc(1, sizeof *r, err);
    if (!r) {
        return ERR_NOMEM;
    }
    r->name = mem_strdup(name, err);
    int code = r->name ? copy_node(&m->header, &r->header, err) : ERR_NOMEM;
    code = code ? code : copy_node(&m->selector, &r->tree, err);
    const char *merge = code ? NULL : crds_dict_string(&r->header, "merge_overlaps");
    const struct crds_node *flag = crds_dict_get(&r->header, "merge_overlaps");
    merge = merge ? merge : flag && flag->text ? flag->text : "True";
    r->merge = !strcasecmp(merge, "True") || !strcmp(merge, "1");
    if (!code && r->tree.kind != CRDS_CALL) {
        code = malformed(r, "selector is not Match({...})", err);
    }
    code = code ? code : build(r, &r->tree, 0, &r->top, err);
    if (code) {
        crds_rules_free(r);
        return code;
    }
    *ret = r;
    return 0;
}
