#include "jobs/association.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/nesting.h"
#include "common/base/path.h"

const char *association_role_name(enum association_role role)
{
    static const char *const names[] = {"science", "background", "imprint", ""};
    return names[role];
}

bool association_is_name(const char *name)
{
    return path_has_suffix(name, "_asn.json");
}

/* ---- where we are, for messages ---- */

struct reader {
    const char *file;
    size_t product, member; /* counted from 1; 0: not within one */
    const char *product_name, *expname;
    size_t n_members; /* of all products */
    struct err *err;
};

/* A name of the file that may hold anything. */
static const char *shown(const char *text, char ret[100])
{
    path_show(text, ret, 100);
    return ret;
}

__attribute__((format(printf, 2, 3))) static int wrong(struct reader *r,
                                                       const char *fmt, ...)
{
    char what[500], where[400] = "", name[100];
    size_t at = 0;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (r->product) {
        at = (size_t)snprintf(where, sizeof where, "product %zu%s%s%s: ", r->product,
                              r->product_name ? " (" : "",
                              r->product_name ? shown(r->product_name, name) : "",
                              r->product_name ? ")" : "");
    }
    if (r->member) {
        snprintf(where + at, sizeof where - at, "member %zu%s%s%s: ", r->member,
                 r->expname ? " (" : "", r->expname ? shown(r->expname, name) : "",
                 r->expname ? ")" : "");
    }
    return err_set(r->err, ERR_INPUT, "%.200s: %s%s", r->file, where, what);
}

/* ---- names ---- */

enum kind { OTHER, RATE, CAL, SPECTRUM, CUBE };

static const struct suffix {
    const char *text;
    enum kind kind;
} suffixes[] = {{"_rate", RATE},    {"_cal", CAL},      {"_crf", CAL},
                {"_x1d", SPECTRUM}, {"_c1d", SPECTRUM}, {"_s3d", CUBE}};

/* The name without extension and suffix; *ret_kind says which suffix that was. NULL with
 * the error set if there is no memory, or if nothing is left of it. */
static char *base_of(struct reader *r, const char *expname, enum kind *ret_kind)
{
    char *base = mem_strdup(expname, r->err);
    *ret_kind = OTHER;
    if (!base) {
        return NULL;
    }
    *strstr(base, ".fits") = 0; /* it ends so */
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (path_has_suffix(base, suffixes[i].text)) {
            base[strlen(base) - strlen(suffixes[i].text)] = 0;
            *ret_kind = suffixes[i].kind;
            break;
        }
    }
    if (!*base) {
        free(base);
        wrong(r, "nothing is left of this name without its suffix; expected is a name "
                 "such as jw..._nrs1_rate.fits");
        return NULL;
    }
    return base;
}

/* Is it the name of a FITS file, with nothing behind the first ".fits"? */
static bool is_fits_name(const char *name)
{
    const char *dot = strstr(name, ".fits");
    return path_is_safe_name(name) && dot && dot != name &&
           (!strcmp(dot, ".fits") || !strcmp(dot, ".fits.gz"));
}

/* Products named like exposures must not take the place of another one's. */
static bool is_exposure_name(const char *name)
{
    return path_has_suffix(name, "_nrs1") || path_has_suffix(name, "_nrs2");
}

/* ---- members ---- */

static enum association_role role_of(const char *exptype, bool is_spec3)
{
    static const enum association_role roles[] = {
        ASSOCIATION_SCIENCE, ASSOCIATION_BACKGROUND, ASSOCIATION_IMPRINT};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (!strcmp(exptype, association_role_name(roles[i]))) {
            return is_spec3 && roles[i] == ASSOCIATION_IMPRINT ? ASSOCIATION_UNUSED
                                                               : roles[i];
        }
    }
    return ASSOCIATION_UNUSED;
}

static int check_kind(struct reader *r, const struct association_member *m,
                      enum kind kind, bool is_spec3)
{
    bool is_background = m->role == ASSOCIATION_BACKGROUND;
    if (m->role == ASSOCIATION_UNUSED) {
        return 0;
    }
    if (!is_spec3 && kind != RATE && kind != OTHER) {
        return wrong(r, "spec2 takes count-rate exposures (_rate.fits), for science as "
                        "for imprint and background");
    }
    if (is_spec3 && is_background && kind != SPECTRUM) {
        return wrong(r, "spec3 takes the spectra of backgrounds: expected is their "
                        "_x1d.fits");
    }
    if (is_spec3 && !is_background && (kind == SPECTRUM || kind == CUBE)) {
        return wrong(r, "spec3 takes calibrated exposures (_cal.fits) for science, not "
                        "spectra or cubes");
    }
    return 0;
}

/* A text of an object; NULL if absent or not one. */
static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static int read_member(struct reader *r, const json_t *object, bool is_spec3,
                       struct association_member *m, enum kind *ret_kind)
{
    const char *expname = text_of(object, "expname");
    const char *exptype = text_of(object, "exptype");
    char lower[sizeof m->exptype] = "";
    r->expname = expname;
    if (!expname) {
        return wrong(r,
                     "has no expname; expected is {\"expname\": "
                     "\"jw..._nrs1_%s.fits\", \"exptype\": \"science\"}",
                     is_spec3 ? "cal" : "rate");
    }
    if (!exptype || !*exptype || strlen(exptype) >= sizeof m->exptype) {
        return wrong(r, "has no exptype; expected is \"science\", \"background\" or "
                        "\"imprint\"");
    }
    for (size_t i = 0; exptype[i]; i++) {
        lower[i] = (char)tolower((unsigned char)exptype[i]);
    }
    path_show(lower, m->exptype, sizeof m->exptype);
    m->role = role_of(m->exptype, is_spec3);
    if (!path_is_safe_name(expname) ||
        (m->role != ASSOCIATION_UNUSED && !is_fits_name(expname))) {
        return wrong(r, "expected is the name of a FITS file in the same folder, of "
                        "A-Z a-z 0-9 . _ + - = only");
    }
    m->expname = mem_strdup(expname, r->err);
    m->base = m->role == ASSOCIATION_UNUSED ? mem_strdup(expname, r->err)
                                            : base_of(r, expname, ret_kind);
    return m->expname && m->base ? check_kind(r, m, *ret_kind, is_spec3) : r->err->code;
}

static int check_twice(struct reader *r, const struct association_product *p, size_t i)
{
    const struct association_member *m = p->members;
    for (size_t k = 0; k < i; k++) {
        if (m[i].role != ASSOCIATION_UNUSED && m[k].role != ASSOCIATION_UNUSED &&
            !strcmp(m[i].base, m[k].base)) {
            return wrong(r,
                         "is named twice: member %zu is %.100s (%s); name each "
                         "exposure once",
                         k + 1, m[k].expname, m[k].exptype);
        }
    }
    return 0;
}

/* ---- products ---- */

/* Its science members: how many, and that they are of one kind. */
static int check_science(struct reader *r, const struct association_product *p,
                         const enum kind *kinds, bool is_spec3)
{
    const struct association_member *first = NULL;
    enum kind kind = OTHER;
    size_t n = 0;
    for (size_t i = 0; i < p->n_members; i++) {
        const struct association_member *m = &p->members[i];
        if (m->role != ASSOCIATION_SCIENCE) {
            continue;
        }
        if (first && kinds[i] != kind) {
            r->member = i + 1;
            r->expname = m->expname;
            return wrong(r,
                         "is of another kind than %.100s; expected are science "
                         "members of one kind, such as _cal.fits",
                         first->expname);
        }
        first = first ? first : m;
        kind = kinds[i];
        n++;
    }
    if (!n) {
        return wrong(r,
                     "has no science member; expected is %s with \"exptype\": "
                     "\"science\"",
                     is_spec3 ? "at least one" : "one");
    }
    return n == 1 || is_spec3
               ? 0
               : wrong(r,
                       "has %zu science members; spec2 works on one exposure: give "
                       "each a product of its own",
                       n);
}

static int take_name(struct reader *r, const json_t *object, bool is_spec3,
                     struct association_product *p)
{
    const struct association_member *science = p->members;
    const char *name = text_of(object, "name");
    while (science->role != ASSOCIATION_SCIENCE) {
        science++;
    }
    if (!name && is_spec3) {
        return wrong(r, "has no name; expected is that of its products, such as "
                        "jw01234-o001_t001_nirspec_g395h-f290lp");
    }
    name = name ? name : science->base;
    if (!path_is_safe_name(name)) {
        return wrong(r,
                     "its name must be of A-Z a-z 0-9 . _ + - = only and at most 200 "
                     "long: products are named after it");
    }
    if (!is_spec3 && is_exposure_name(name) && strcmp(name, science->base)) {
        return wrong(r,
                     "its name is that of an exposure, but its science member is "
                     "%.100s; expected is %.100s",
                     science->expname, science->base);
    }
    p->name = mem_strdup(name, r->err);
    return p->name ? 0 : ERR_NOMEM;
}

static int read_product(struct reader *r, const json_t *object, bool is_spec3,
                        struct association_product *p)
{
    const json_t *members = json_object_get(object, "members");
    r->product_name = text_of(object, "name");
    if (!json_is_object(object)) {
        return wrong(r,
                     "is no object; expected is {\"name\": ..., \"members\": [...]}");
    }
    if (!json_is_array(members)) {
        return wrong(r, "has no list of members; expected is \"members\": "
                        "[{\"expname\": ..., \"exptype\": ...}]");
    }
    size_t n = json_array_size(members);
    r->n_members += n;
    if (r->n_members > ASSOCIATION_MAX_MEMBERS) {
        return wrong(r, "there are more than %d members in all",
                     ASSOCIATION_MAX_MEMBERS);
    }
    enum kind *kinds = mem_calloc(n + 1, sizeof *kinds, r->err);
    p->members = mem_calloc(n + 1, sizeof *p->members, r->err);
    int code = kinds && p->members ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        r->member = i + 1;
        p->n_members = i + 1;
        code = read_member(r, json_array_get(members, i), is_spec3, &p->members[i],
                           &kinds[i]);
        code = code ? code : check_twice(r, p, i);
    }
    r->member = 0;
    code = code ? code : check_science(r, p, kinds, is_spec3);
    free(kinds);
    return code ? code : take_name(r, object, is_spec3, p);
}

static int read_products(struct reader *r, const json_t *root, struct association *a)
{
    const json_t *products = json_object_get(root, "products");
    size_t n = json_array_size(products);
    bool is_spec3 = !strcmp(a->recipe, "spec3");
    if (!n || n > ASSOCIATION_MAX_PRODUCTS) {
        return wrong(r,
                     "has %s products; expected is \"products\": [{\"name\": ..., "
                     "\"members\": [...]}], at most %d",
                     n ? "too many" : "no", ASSOCIATION_MAX_PRODUCTS);
    }
    a->products = mem_calloc(n, sizeof *a->products, r->err);
    int code = a->products ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        r->product = i + 1;
        a->n_products = i + 1;
        code = read_product(r, json_array_get(products, i), is_spec3, &a->products[i]);
        for (size_t k = 0; k < i && !code; k++) {
            if (!strcmp(a->products[i].name, a->products[k].name)) {
                code = wrong(r,
                             "product %zu has the same name; expected is one name "
                             "for each",
                             k + 1);
            }
        }
    }
    return code;
}

/* ---- the whole ---- */

/* What the science members of the first product say; NULL if they do not. */
static const char *recipe_of_members(const json_t *root)
{
    const json_t *product = json_array_get(json_object_get(root, "products"), 0);
    const json_t *members = json_object_get(product, "members");
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *m = json_array_get(members, i);
        const char *expname = text_of(m, "expname"), *exptype = text_of(m, "exptype");
        if (expname && exptype && !strcasecmp(exptype, "science")) {
            return strstr(expname, "_rate.")  ? "spec2"
                   : strstr(expname, "_cal.") ? "spec3"
                                              : NULL;
        }
    }
    return NULL;
}

static int find_recipe(struct reader *r, const json_t *root, const char *wanted,
                       struct association *a)
{
    const char *type = text_of(root, "asn_type");
    char name[100];
    if (type && (!strcmp(type, "spec2") || !strcmp(type, "spec3"))) {
        if (wanted && strcmp(type, wanted)) {
            return wrong(r, "its asn_type is %s, not %s; give it to ifurun %s", type,
                         wanted, type);
        }
    } else if (type && strcasecmp(type, "none")) {
        return wrong(r, "its asn_type is '%s'; expected is spec2 or spec3",
                     shown(type, name));
    } else if (wanted) {
        type = wanted;
    } else if (!(type = recipe_of_members(root))) {
        return wrong(r, "does not say what it is for; expected is \"asn_type\": "
                        "\"spec2\" or \"spec3\"");
    }
    strcpy(a->recipe, type);
    return 0;
}

static void take_text(const json_t *root, const char *key, char *ret, size_t size)
{
    const char *text = text_of(root, key);
    path_show(text ? text : "", ret, size);
}

static int load(struct reader *r, const char *text, size_t n, json_t **ret)
{
    json_error_t where;
    if (n > ASSOCIATION_MAX_BYTES || !nesting_within(text, n, ASSOCIATION_MAX_DEPTH)) {
        return wrong(r,
                     "is larger than %zu bytes, or nested deeper than %d; expected "
                     "is an association file",
                     ASSOCIATION_MAX_BYTES, ASSOCIATION_MAX_DEPTH);
    }
    *ret = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    if (*ret) {
        return 0;
    }
    enum json_error_code why = json_error_code(&where);
    if (why == json_error_out_of_memory) {
        return err_set(r->err, ERR_NOMEM, "%.200s: out of memory", r->file);
    }
    char clean[120];
    path_show(where.text, clean, sizeof clean);
    int code = wrong(r, "line %d: is no JSON: %s; expected is an association file",
                     where.line, clean);
    if (why == json_error_premature_end_of_input || !n) {
        r->err->code = code = ERR_NODATA;
    }
    return code;
}

int association_parse(const char *text, size_t n, const char *file, const char *recipe,
                      struct association *ret, struct err *err)
{
    struct err own = {0};
    struct reader r = {.file = file, .err = err ? err : &own};
    struct association a = {0};
    json_t *root = NULL;
    int code = load(&r, text, n, &root);
    code = code ? code : find_recipe(&r, root, recipe, &a);
    code = code ? code : read_products(&r, root, &a);
    if (code) {
        association_done(&a);
    } else {
        take_text(root, "asn_rule", a.rule, sizeof a.rule);
        take_text(root, "asn_id", a.id, sizeof a.id);
        take_text(root, "asn_pool", a.pool, sizeof a.pool);
        take_text(root, "program", a.program, sizeof a.program);
        *ret = a;
    }
    json_decref(root);
    return code;
}

int association_read(const char *path, const char *recipe, struct association *ret,
                     struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), code = 0;
    char *text = NULL;
    size_t n = 0;
    if (fd < 0 || fstat(fd, &st)) {
        code = err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > (off_t)ASSOCIATION_MAX_BYTES) {
        code = err_set(err, ERR_INPUT,
                       "%s: is no regular file of at most %zu bytes; expected is an "
                       "association file",
                       path, ASSOCIATION_MAX_BYTES);
    } else if (!(text = mem_alloc((size_t)st.st_size + 1, 1, err))) {
        code = ERR_NOMEM;
    }
    while (!code && n < (size_t)st.st_size) {
        ssize_t m = read(fd, text + n, (size_t)st.st_size - n);
        if (m < 0 && errno != EINTR) {
            code = err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
        } else if (m == 0) {
            break;
        }
        n += m > 0 ? (size_t)m : 0;
    }
    code = code ? code : association_parse(text, n, path_base(path), recipe, ret, err);
    free(text);
    if (fd >= 0) {
        close(fd);
    }
    return code;
}

void association_done(struct association *a)
{
    for (size_t i = 0; i < a->n_products; i++) {
        struct association_product *p = &a->products[i];
        for (size_t k = 0; k < p->n_members; k++) {
            free(p->members[k].expname);
            free(p->members[k].base);
        }
        free(p->members);
        free(p->name);
    }
    free(a->products);
    *a = (struct association){0};
}
