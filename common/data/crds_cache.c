#include "common/data/crds_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/crds_match.h"

#define MAX_FILE ((off_t)64 << 20)
#define UNDEFINED "UNDEFINED"

struct loaded { /* an rmap that was needed */
    char *name;
    struct crds_rules *rules;
};

struct crds_cache {
    char *path, *context, *instrument_name; /* of the .imap */
    struct crds_mapping instrument;         /* type -> rmap */
    struct crds_node invalid;               /* names of files; NONE if not known */
    struct loaded *rules;
    size_t n_rules;
};

/* Where the keys of rules stand in an exposure's headers. */
static const struct {
    const char *key, *keyword;
    size_t offset;
} keys[] = {
#define KEY(key, keyword, member)                                                      \
    {                                                                                  \
        key, keyword, offsetof(struct exposure_meta, member)                           \
    }
    KEY("META.INSTRUMENT.NAME", "INSTRUME", instrument),
    KEY("META.INSTRUMENT.DETECTOR", "DETECTOR", detector),
    KEY("META.INSTRUMENT.FILTER", "FILTER", filter),
    KEY("META.INSTRUMENT.GRATING", "GRATING", grating),
    KEY("META.INSTRUMENT.LAMP_STATE", "LAMP", lamp),
    KEY("META.INSTRUMENT.LAMP_MODE", "OPMODE", operation_mode),
    KEY("META.EXPOSURE.TYPE", "EXP_TYPE", exp_type),
    KEY("META.EXPOSURE.READPATT", "READPATT", read_pattern),
    KEY("META.SUBARRAY.NAME", "SUBARRAY", subarray),
    KEY("META.VISIT.TSOVISIT", "TSOVISIT", tso_visit),
    KEY("META.VISIT.TYPE", "VISITYPE", visit_type),
    KEY("META.OBSERVATION.DATE", "DATE-OBS", date_obs),
    KEY("META.OBSERVATION.TIME", "TIME-OBS", time_obs),
#undef KEY
};
#define N_KEYS (sizeof keys / sizeof *keys)

/* ---- files ------------------------------------------------------------------------ */

/* The whole of a regular file. missing: what to say if it is not there. */
static int read_text(const char *path, const char *missing, char **ret, size_t *ret_n,
                     struct err *err)
{
    struct stat st;
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_set(err, ERR_REFERENCE, "%s: %s%s%s", path, strerror(errno),
                       errno == ENOENT ? "; " : "", errno == ENOENT ? missing : "");
    }
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > MAX_FILE) {
        close(fd);
        return err_set(err, ERR_REFERENCE, "%s is not a regular file of at most %ld MB",
                       path, (long)(MAX_FILE >> 20));
    }
    size_t size = (size_t)st.st_size;
    char *text = mem_alloc(size + 1, 1, err);
    int code = text ? 0 : ERR_NOMEM;
    while (!code && n < size) {
        ssize_t got = read(fd, text + n, size - n);
        if (got > 0) {
            n += (size_t)got;
        } else if (got == 0) {
            break;
        } else if (errno != EINTR) {
            code = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
        }
    }
    close(fd);
    if (code) {
        free(text);
        return code;
    }
    text[n] = '\0';
    *ret = text;
    *ret_n = n;
    return 0;
}

static bool is_listed(const struct crds_node *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i].kind == CRDS_STRING && !strcmp(list->items[i].text, name)) {
            return true;
        }
    }
    return false;
}

static int check_valid(const struct crds_cache *c, const char *name, struct err *err)
{
    return is_listed(&c->invalid, name)
               ? err_set(err, ERR_REFERENCE,
                         "the observatory designates %s of context %s as "
                         "scientifically invalid; choose a newer context",
                         name, c->context)
               : 0;
}

/* Read a mapping of the cache and check what it says of itself. */
static int read_mapping(const struct crds_cache *c, const char *name, const char *kind,
                        struct crds_mapping *ret, struct err *err)
{
    struct crds_mapping m = {0};
    char *text = NULL, *missing = NULL;
    size_t n = 0;
    if (!path_is_safe_name(name)) {
        return err_set(err, ERR_REFERENCE, "'%.100s' is no name of a mapping", name);
    }
    int code = check_valid(c, name, err);
    char *path = mem_printf(err, "%s/mappings/jwst/%s", c->path, name);
    missing =
        mem_printf(err, "get the rules with `crds sync --contexts %s`", c->context);
    code = code ? code : path && missing ? 0 : ERR_NOMEM;
    code = code ? code : read_text(path, missing, &text, &n, err);
    code = code ? code : crds_mapping_parse(text, n, path, &m, err);
    if (!code) {
        const char *is = crds_dict_string(&m.header, "mapping");
        const char *sum = crds_dict_string(&m.header, "sha1sum");
        if (!is || strcasecmp(is, kind)) {
            code =
                err_set(err, ERR_REFERENCE, "%s: 'mapping' is '%.40s'; expected '%s'",
                        path, is ? is : "", kind);
        } else if (!sum || strcasecmp(sum, m.sha1)) {
            code = err_set(err, ERR_REFERENCE,
                           "%s is damaged: sha1sum is '%.40s', of its text it is %s",
                           path, sum ? sum : "missing", m.sha1);
        }
    }
    free(missing);
    free(path);
    free(text);
    if (code) {
        crds_mapping_done(&m);
        return code;
    }
    *ret = m;
    return 0;
}

/* A value of a selector {...} whatever the case of its key. */
static const char *select_name(const struct crds_node *dict, const char *key)
{
    const char *found = NULL;
    for (size_t i = 0; dict->kind == CRDS_DICT && i + 1 < dict->n; i += 2) {
        const struct crds_node *k = &dict->items[i], *v = &dict->items[i + 1];
        if (k->kind == CRDS_STRING && v->kind == CRDS_STRING &&
            !strcasecmp(k->text, key)) {
            found = v->text;
        }
    }
    return found;
}

/* ---- opening ---------------------------------------------------------------------- */

bool crds_has_latest(const char *path)
{
    struct stat st;
    char *file = mem_printf(NULL, "%s/config/jwst/server_config", path);
    bool yes = file && !stat(file, &st) && S_ISREG(st.st_mode);
    free(file);
    return yes;
}

/* What the cache's last contact with the server left: invalid files, newest context. */
static int read_config(struct crds_cache *c, char **ret_latest, struct err *err)
{
    struct crds_node config = {0};
    char *text = NULL;
    size_t n = 0;
    char *path = mem_printf(err, "%s/config/jwst/server_config", c->path);
    int code = path ? read_text(path, "", &text, &n, err) : ERR_NOMEM;
    code = code ? code : crds_literal_parse(text, n, path, &config, err);
    if (!code) {
        const char *latest = crds_dict_string(&config, "latest_context");
        latest = latest ? latest : crds_dict_string(&config, "operational_context");
        *ret_latest = latest ? mem_strdup(latest, err) : NULL;
        for (size_t i = 0; config.kind == CRDS_DICT && i + 1 < config.n; i += 2) {
            const struct crds_node *key = &config.items[i];
            if (key->kind == CRDS_STRING && !strcmp(key->text, "bad_files_list")) {
                crds_node_done(&c->invalid);
                c->invalid = config.items[i + 1];
                config.items[i + 1] = (struct crds_node){0};
            }
        }
        code = latest && !*ret_latest ? ERR_NOMEM : 0;
    }
    crds_node_done(&config);
    free(text);
    free(path);
    return code;
}

static bool is_latest(const char *context)
{
    return !strcmp(context, "latest") || !strcmp(context, "jwst-latest") ||
           !strcmp(context, "jwst-operational");
}

static int find_context(struct crds_cache *c, const char *context, struct err *err)
{
    char *latest = NULL;
    int code = crds_has_latest(c->path) ? read_config(c, &latest, err) : 0;
    if (!code && is_latest(context)) {
        c->context = latest;
        latest = NULL;
        if (!c->context) {
            code =
                err_set(err, ERR_REFERENCE,
                        "CRDS context '%s': %s/config/jwst/server_config names none; "
                        "give one such as jwst_1234.pmap",
                        context, c->path);
        }
    } else if (!code) {
        c->context = mem_strdup(context, err);
        code = c->context ? 0 : ERR_NOMEM;
    }
    free(latest);
    if (!code &&
        (!path_is_safe_name(c->context) || !path_has_suffix(c->context, ".pmap"))) {
        code = err_set(err, ERR_PARAM,
                       "CRDS context '%.100s': expected a name such as jwst_1234.pmap, "
                       "or latest",
                       c->context);
    }
    return code;
}

int crds_cache_open(const char *path, const char *context, struct crds_cache **ret,
                    struct err *err)
{
    struct crds_mapping top = {0};
    const char *imap = NULL;
    struct crds_cache *c = mem_calloc(1, sizeof *c, err);
    if (!c) {
        return ERR_NOMEM;
    }
    c->path = mem_strdup(path, err);
    int code = c->path ? find_context(c, context, err) : ERR_NOMEM;
    code = code ? code : read_mapping(c, c->context, "pipeline", &top, err);
    if (!code) {
        imap = select_name(&top.selector, "nirspec");
        if (!imap || crds_special(imap) != CRDS_FILE) {
            code =
                err_set(err, ERR_REFERENCE, "%s has no rules for NIRSPEC", c->context);
        }
    }
    if (!code) {
        c->instrument_name = mem_strdup(imap, err);
        code = c->instrument_name ? 0 : ERR_NOMEM;
    }
    code = code ? code : read_mapping(c, imap, "instrument", &c->instrument, err);
    crds_mapping_done(&top);
    if (code) {
        crds_cache_free(c);
        return code;
    }
    *ret = c;
    return 0;
}

void crds_cache_free(struct crds_cache *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->n_rules; i++) {
        free(c->rules[i].name);
        crds_rules_free(c->rules[i].rules);
    }
    free(c->rules);
    crds_mapping_done(&c->instrument);
    crds_node_done(&c->invalid);
    free(c->instrument_name);
    free(c->context);
    free(c->path);
    free(c);
}

const char *crds_cache_context(const struct crds_cache *c)
{
    return c->context;
}

/* ---- choosing --------------------------------------------------------------------- */

/* The rules in an rmap, read when they are first wanted. */
static int rules_of(struct crds_cache *c, const char *name,
                    const struct crds_rules **ret, struct err *err)
{
    for (size_t i = 0; i < c->n_rules; i++) {
        if (!strcmp(c->rules[i].name, name)) {
            *ret = c->rules[i].rules;
            return 0;
        }
    }
    struct crds_mapping m = {0};
    struct loaded fresh = {0};
    int code = read_mapping(c, name, "reference", &m, err);
    code = code ? code : crds_rules_new(&m, name, &fresh.rules, err);
    crds_mapping_done(&m);
    if (code) {
        return code;
    }
    struct loaded *grown = mem_realloc(c->rules, c->n_rules + 1, sizeof *grown, err);
    fresh.name = grown ? mem_strdup(name, err) : NULL;
    if (grown) {
        c->rules = grown;
    }
    if (!fresh.name) {
        crds_rules_free(fresh.rules);
        return ERR_NOMEM;
    }
    *ret = fresh.rules;
    c->rules[c->n_rules++] = fresh;
    return 0;
}

struct values {
    char *conditioned[N_KEYS];
};

static int condition_all(const struct exposure_meta *meta, struct values *ret,
                         struct err *err)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        const char *value = (const char *)meta + keys[i].offset;
        ret->conditioned[i] = crds_condition(value[0] ? value : UNDEFINED, err);
        if (!ret->conditioned[i]) {
            return ERR_NOMEM;
        }
    }
    return 0;
}

static const char *look_up(void *user, const char *name)
{
    const struct values *v = user;
    for (size_t i = 0; i < N_KEYS; i++) {
        const char *a = keys[i].key, *b = name;
        while (*a && (*a == *b || (*a == '.' && *b == '_'))) {
            a++;
            b++;
        }
        if (!*a && !*b) {
            return v->conditioned[i];
        }
    }
    return NULL;
}

/* Where a reference lies, in either layout. */
static int find_file(const struct crds_cache *c, const char *type, const char *name,
                     char **ret, struct err *err)
{
    static const char *const layouts[] = {"nirspec/", ""};
    int code = check_valid(c, name, err);
    if (!code && !path_is_safe_name(name)) {
        code = err_set(err, ERR_REFERENCE, "'%.100s' is no name of a reference file",
                       name);
    }
    for (int i = 0; i < 2 && !code; i++) {
        char *path =
            mem_printf(err, "%s/references/jwst/%s%s", c->path, layouts[i], name);
        if (!path) {
            return ERR_NOMEM;
        }
        if (!access(path, R_OK)) {
            *ret = path;
            return 0;
        }
        int fault = errno;
        free(path);
        if (fault != ENOENT && fault != ENOTDIR) {
            code = err_set(err, ERR_REFERENCE, "%s/references/jwst/%s%s: %s", c->path,
                           layouts[i], name, strerror(fault));
        }
    }
    return code ? code
                : err_set(err, ERR_REFERENCE,
                          "%s, which context %s chooses as '%s', is not in the CRDS "
                          "cache %s; get it with `crds sync --files %s` or `crds sync "
                          "--contexts %s --fetch-references`",
                          name, c->context, type, c->path, name, c->context);
}

int crds_cache_choose(struct crds_cache *c, const char *type,
                      const struct exposure_meta *meta, enum crds_answer *ret,
                      char **ret_path, char ret_why[500], struct err *err)
{
    struct values values = {0};
    const struct crds_rules *rules = NULL;
    enum crds_answer answer = CRDS_NA;
    char *file = NULL, *path = NULL, why[256] = "";
    const char *rmap = select_name(&c->instrument.selector, type);
    if (!rmap) {
        snprintf(ret_why, 500, "%s: %s has no type '%s'", c->context,
                 c->instrument_name, type);
        *ret_path = NULL;
        *ret = CRDS_NA;
        return 0;
    }
    answer = crds_special(rmap);
    if (answer != CRDS_FILE) {
        snprintf(ret_why, 500, "%s: %s is %s in %s", c->context, type, rmap,
                 c->instrument_name);
        *ret_path = NULL;
        *ret = answer;
        return 0;
    }
    int code = condition_all(meta, &values, err);
    code = code ? code : rules_of(c, rmap, &rules, err);
    if (!code) {
        code = crds_rules_ask(rules, look_up, &values, &answer, &file, why, err);
        code = code ? err_prefix(err, "%s: %s: no reference of type '%s' for %s",
                                 c->context, rmap, type, meta->filename)
                    : 0;
    }
    if (!code && answer == CRDS_FILE) {
        code = find_file(c, type, file, &path, err);
    }
    for (size_t i = 0; i < N_KEYS; i++) {
        free(values.conditioned[i]);
    }
    free(file);
    if (code) {
        return code;
    }
    snprintf(ret_why, 500, "%s: %s: %s", c->context, rmap, why);
    *ret_path = path;
    *ret = answer;
    return 0;
}
