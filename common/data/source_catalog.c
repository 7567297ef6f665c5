#include "common/data/source_catalog.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "common/base/mem.h"
#include "common/base/path.h"

enum { MAX_BYTES = 1 << 20, MAX_FIELDS = 64, RA = 0, DEC, RADIUS, NAME, N_KINDS };

static const char *const kind_names[N_KINDS] = {"ra", "dec", "radius", "name"};

struct reader {
    const char *path;
    void (*bad)(void *user, const char *line);
    void *user;
    int line;
    char delimiter;      /* ',' or ' ': any blanks */
    int column[N_KINDS]; /* where each stands; -1: not there */
    bool is_begun;       /* the columns are known */
};

static void __attribute__((format(printf, 2, 3)))
tell(const struct reader *r, const char *fmt, ...)
{
    char what[300], text[700];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    snprintf(text, sizeof text, "%.300s: line %d: %s", path_base(r->path), r->line,
             what);
    r->bad(r->user, text);
}

static char *strip(char *s)
{
    while (isspace((unsigned char)*s)) {
        s++;
    }
    size_t n = strlen(s);
    while (n > 0 && isspace((unsigned char)s[n - 1])) {
        s[--n] = 0;
    }
    if (n >= 2 && (*s == '"' || *s == '\'') && s[n - 1] == *s) {
        s[n - 1] = 0;
        s++;
    }
    return s;
}

/* Cut a line into fields, in place; quotes hold a field together. */
static int cut(char *s, char delimiter, char *fields[MAX_FIELDS])
{
    int n = 0;
    while (n < MAX_FIELDS) {
        while (delimiter == ' ' && isspace((unsigned char)*s)) {
            s++;
        }
        if (delimiter == ' ' && !*s) {
            break;
        }
        char *begin = s, quote = 0;
        while (*s && (quote || (delimiter == ' ' ? !isspace((unsigned char)*s)
                                                 : *s != delimiter))) {
            if (quote ? *s == quote : *s == '"' || *s == '\'') {
                quote = quote ? 0 : *s;
            }
            s++;
        }
        bool more = *s;
        *s = 0;
        fields[n++] = strip(begin);
        if (!more) {
            break;
        }
        s++;
    }
    return n;
}

static bool number(const char *text, double *ret)
{
    char *end;
    errno = 0;
    *ret = strtod(text, &end);
    return end != text && !*end && !errno && isfinite(*ret);
}

/* Which column is what, by the names in the first line, or by their order. Is it a line of
 * names? */
static bool name_columns(struct reader *r, char *fields[MAX_FIELDS], int n)
{
    static const char *const others[][2] = {{"sky_centroid.ra", "ra"},
                                            {"sky_centroid.dec", "dec"},
                                            {"ra_deg", "ra"},
                                            {"dec_deg", "dec"},
                                            {"id", "name"},
                                            {"label", "name"}};
    double value;
    for (int k = 0; k < N_KINDS; k++) {
        r->column[k] = -1;
    }
    if (n > 0 && number(fields[0], &value)) {
        for (int k = 0; k < N_KINDS && k < n; k++) {
            r->column[k] = k;
        }
        return false;
    }
    for (int i = 0; i < n; i++) {
        const char *name = fields[i];
        for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
            name = strcasecmp(name, others[o][0]) ? name : others[o][1];
        }
        for (int k = 0; k < N_KINDS; k++) {
            if (r->column[k] < 0 && !strcasecmp(name, kind_names[k])) {
                r->column[k] = i;
            }
        }
    }
    return true;
}

/* A number of a row within its bounds; told if it is none. */
static bool take(const struct reader *r, char *fields[MAX_FIELDS], int n, int kind,
                 double low, double high, const char *right, double *ret)
{
    int i = r->column[kind];
    if (i >= n) {
        tell(r, "%s is missing: the row has %d columns", kind_names[kind], n);
        return false;
    }
    if (!number(fields[i], ret) || !(*ret >= low && *ret <= high)) {
        tell(r, "%s is '%.80s'; %s is right", kind_names[kind], fields[i], right);
        return false;
    }
    return true;
}

static bool read_row(const struct reader *r, char *fields[MAX_FIELDS], int n,
                     struct catalog_source *ret)
{
    *ret = (struct catalog_source){.line = r->line};
    bool good = take(r, fields, n, RA, -360, 360, "an angle in degrees", &ret->ra) &&
                take(r, fields, n, DEC, -90, 90, "-90 to 90 degrees", &ret->dec);
    if (good && r->column[RADIUS] >= 0 && r->column[RADIUS] < n) {
        good = take(r, fields, n, RADIUS, 1e-3, 10, "0.001 to 10 arcsec", &ret->radius);
    }
    if (good && r->column[NAME] >= 0 && r->column[NAME] < n) {
        path_show(fields[r->column[NAME]], ret->name, sizeof ret->name);
    }
    return good;
}

/* One line that is not a comment. *ret_n grows by one if it is a good row. */
static int read_line(struct reader *r, char *text, struct catalog_source *rows,
                     size_t *ret_n, struct err *err)
{
    char *fields[MAX_FIELDS];
    if (!r->is_begun) {
        r->delimiter = strchr(text, ',') ? ',' : ' ';
    }
    int n = cut(text, r->delimiter, fields);
    if (!r->is_begun) {
        bool names = name_columns(r, fields, n);
        r->is_begun = true;
        if (r->column[RA] < 0 || r->column[DEC] < 0) {
            return err_set(
                err, ERR_INPUT,
                "%s: line %d: no columns ra and dec; a line that names them, "
                "or rows of RA, Dec (degrees), radius (arcsec) are right",
                r->path, r->line);
        }
        if (names) {
            return 0;
        }
    }
    *ret_n += read_row(r, fields, n, &rows[*ret_n]);
    return 0;
}

static int load(const char *path, char **ret, struct err *err)
{
    struct stat st;
    FILE *f = NULL;
    char *text = NULL;
    int code = 0;
    if (stat(path, &st)) {
        code = err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > MAX_BYTES) {
        code =
            err_set(err, ERR_INPUT, "%s: a text file of at most 1 MB is right", path);
    } else if (!(f = fopen(path, "re"))) {
        code = err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    }
    if (!code) {
        text = mem_alloc((size_t)st.st_size + 1, 1, err);
        code = text ? 0 : ERR_NOMEM;
    }
    if (!code) {
        size_t n = fread(text, 1, (size_t)st.st_size, f);
        text[n] = 0;
        if (strlen(text) != n) {
            code = err_set(err, ERR_INPUT, "%s: not a text file", path);
        }
    }
    if (f) {
        fclose(f);
    }
    if (code) {
        free(text);
    } else {
        *ret = text;
    }
    return code;
}

int source_catalog_read(const char *path, void (*bad)(void *user, const char *line),
                        void *user, struct catalog_source **ret, size_t *ret_n,
                        struct err *err)
{
    struct reader r = {.path = path, .bad = bad, .user = user};
    struct catalog_source *rows = NULL;
    char *text = NULL;
    size_t lines = 1, n = 0;
    int code = load(path, &text, err);
    for (const char *s = text; s && *s; s++) {
        lines += *s == '\n';
    }
    if (!code) {
        rows = mem_calloc(lines, sizeof *rows, err);
        code = rows ? 0 : ERR_NOMEM;
    }
    for (char *s = text, *next; s && !code; s = next) {
        next = strchr(s, '\n');
        if (next) {
            *next++ = 0;
        }
        r.line++;
        s += strspn(s, " \t\r");
        if (*s && *s != '#') {
            code = read_line(&r, s, rows, &n, err);
        }
    }
    if (!code && !r.is_begun) {
        code = err_set(err, ERR_INPUT,
                       "%s: no row; RA, Dec (degrees) and radius "
                       "(arcsec) of each source are right",
                       path);
    }
    free(text);
    if (code) {
        free(rows);
    } else {
        *ret = rows;
        *ret_n = n;
    }
    return code;
}
