#include "stages/extract_region.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "common/base/mem.h"
#include "common/data/fits_io.h"

enum { POINTS = 10, MAX_NUMBERS = 400, MAX_BYTES = 1 << 20 };
#define DEGREE (M_PI / 180)

enum shape_kind { CIRCLE, ELLIPSE, BOX, POLYGON };

/* Spaxel coordinates throughout; a polygon has n corners in xy. */
struct shape {
    enum shape_kind kind;
    bool out;        /* takes away */
    double x, y;     /* centre */
    double a, b;     /* semi-axes, half edges; CIRCLE: a is the radius */
    double cos, sin; /* of the turn of a, counter-clockwise from +x */
    double *xy;      /* POLYGON; owned */
    int n;
};

static bool is_inside(const struct shape *s, double x, double y)
{
    double dx = x - s->x, dy = y - s->y;
    double u = dx * s->cos + dy * s->sin, v = dy * s->cos - dx * s->sin;
    bool in = false;
    switch (s->kind) {
    case CIRCLE:
        return dx * dx + dy * dy < s->a * s->a;
    case ELLIPSE:
        return u * u / (s->a * s->a) + v * v / (s->b * s->b) < 1;
    case BOX:
        return fabs(u) < s->a && fabs(v) < s->b;
    case POLYGON:
        for (int i = 0, j = s->n - 1; i < s->n; j = i++) {
            const double *p = s->xy + 2 * (ptrdiff_t)i, *q = s->xy + 2 * (ptrdiff_t)j;
            if ((p[1] > y) != (q[1] > y) &&
                x < (q[0] - p[0]) * (y - p[1]) / (q[1] - p[1]) + p[0]) {
                in = !in;
            }
        }
        return in;
    }
    return false;
}

/* Later shapes win: what they add is in, what they take out is out. A list that begins by
 * taking out begins with everything. */
static int rasterise(const struct cube *c, const struct shape *shapes, size_t n,
                     struct aperture **ret, struct err *err)
{
    struct aperture *a = NULL;
    int code = aperture_new(c->nx, c->ny, &a, err);
    for (int j = 0; j < c->ny && !code; j++) {
        for (int i = 0; i < c->nx; i++) {
            int inside = 0;
            for (int k = 0; k < POINTS * POINTS; k++) {
                double x = i - 0.5 + (k % POINTS + 0.5) / POINTS;
                double y = j - 0.5 + (k / POINTS + 0.5) / POINTS;
                bool in = n > 0 && shapes[0].out;
                for (size_t s = 0; s < n; s++) {
                    in = is_inside(&shapes[s], x, y) ? !shapes[s].out : in;
                }
                inside += in;
            }
            if (inside > 0) {
                a->index[a->n] = (size_t)j * (size_t)c->nx + (size_t)i;
                a->weight[a->n++] = inside / (double)(POINTS * POINTS);
                a->full += a->weight[a->n - 1];
            }
        }
    }
    if (!code) {
        *ret = a;
    }
    return code;
}

/* Direction (spaxels) of a length of 1 arcsec on the sky. */
static void sky_direction(const struct cube *c, double east, double north, double *dx,
                          double *dy)
{
    const double det = c->pc[0][0] * c->pc[1][1] - c->pc[0][1] * c->pc[1][0];
    const double u = east / 3600 / c->cdelt1, v = north / 3600 / c->cdelt2;
    *dx = (c->pc[1][1] * u - c->pc[0][1] * v) / det;
    *dy = (c->pc[0][0] * v - c->pc[1][0] * u) / det;
}

/* Sizes a, b (arcsec), a towards east, north (of length 1). */
static void orient(const struct cube *c, struct shape *s, double a, double b,
                   double east, double north)
{
    double dx, dy;
    sky_direction(c, east, north, &dx, &dy);
    double length = hypot(dx, dy);
    s->cos = dx / length;
    s->sin = dy / length;
    s->a = a * length;
    s->b = b * length;
}

int extract_region_ellipse(const struct cube *c, double x, double y, double a, double b,
                           double pa, struct aperture **ret, struct err *err)
{
    struct shape s = {.kind = ELLIPSE, .x = x, .y = y};
    orient(c, &s, a, b, sin(pa * DEGREE), cos(pa * DEGREE));
    int code = rasterise(c, &s, 1, ret, err);
    if (!code && (*ret)->n == 0) {
        aperture_free(*ret);
        *ret = NULL;
        code = err_set(err, ERR_PARAM,
                       "%s: an ellipse of %g x %g arcsec at spaxel %g %g misses the "
                       "cube of %d x %d spaxels",
                       c->filename, a, b, x, y, c->nx, c->ny);
    }
    return code;
}

/* ---- DS9 ---- */

struct reader {
    const struct cube *c;
    const char *path;
    int line;
    bool is_image; /* coordinates in pixels, from 1 */
    bool is_known; /* a system has been named */
    struct shape *shapes;
    size_t n, room;
};

static int wrong(const struct reader *r, struct err *err, const char *what,
                 const char *text)
{
    return err_set(err, ERR_INPUT, "%s: line %d: %s '%.60s'", r->path, r->line, what,
                   text);
}

/* A number and what follows it; of h:m:s or d:m:s the value in hours or degrees. */
static bool number(char **s, double *ret, bool *ret_sexagesimal)
{
    double sign = 1, unit = 1;
    *ret = 0;
    *ret_sexagesimal = false;
    while (isspace((unsigned char)**s) || **s == ',' || **s == '(') {
        (*s)++;
    }
    if (**s == '-' || **s == '+') {
        sign = *(*s)++ == '-' ? -1 : 1;
    }
    for (int part = 0; part < 3; part++, unit /= 60) {
        char *end;
        if (!isdigit((unsigned char)**s) && **s != '.') {
            return false;
        }
        double v = strtod(*s, &end);
        *ret += v * unit;
        *s = end;
        if (*end != ':' || part == 2) {
            break;
        }
        *ret_sexagesimal = true;
        (*s)++;
    }
    *ret *= sign;
    return isfinite(*ret);
}

static bool position(const struct reader *r, char **s, double *x, double *y)
{
    double a, b;
    bool hours, sexagesimal;
    if (!number(s, &a, &hours) || !number(s, &b, &sexagesimal)) {
        return false;
    }
    if (r->is_image) {
        *x = a - 1;
        *y = b - 1;
    } else {
        cube_sky_to_spaxel(r->c, hours ? 15 * a : a, b, x, y);
    }
    return isfinite(*x) && isfinite(*y);
}

/* A length: arcsec on the sky, or spaxels in an image. */
static bool length(const struct reader *r, char **s, double *ret)
{
    bool sexagesimal;
    if (!number(s, ret, &sexagesimal)) {
        return false;
    }
    const char unit = **s;
    if (unit == '"' || unit == '\'' || unit == 'd' || unit == 'p' || unit == 'i') {
        (*s)++;
    }
    if (!r->is_image) {
        *ret *= unit == '"' ? 1 : unit == '\'' ? 60 : 3600;
    }
    return *ret > 0;
}

static int read_polygon(const struct reader *r, char *s, struct shape *ret,
                        struct err *err)
{
    const char *text = s;
    ret->xy = mem_alloc(MAX_NUMBERS, sizeof *ret->xy, err);
    if (!ret->xy) {
        return ERR_NOMEM;
    }
    while (ret->n < MAX_NUMBERS / 2 && position(r, &s, &ret->xy[2 * (ptrdiff_t)ret->n],
                                                &ret->xy[2 * (ptrdiff_t)ret->n + 1])) {
        ret->n++;
    }
    s += strspn(s, " \t)");
    if (ret->n < 3 || *s) {
        free(ret->xy);
        ret->xy = NULL;
        return wrong(r, err, "3 to 200 corners of a polygon are right, not", text);
    }
    return 0;
}

/* The numbers behind a shape's name. */
static int read_shape(const struct reader *r, char *s, struct shape *ret,
                      struct err *err)
{
    const char *text = s;
    double a = 0, b = 0, angle = 0;
    bool sexagesimal, good;
    if (ret->kind == POLYGON) {
        return read_polygon(r, s, ret, err);
    }
    good = position(r, &s, &ret->x, &ret->y) && length(r, &s, &a);
    if (good && ret->kind != CIRCLE) {
        good = length(r, &s, &b);
        s += strspn(s, " \t,");
        good = good && (*s == ')' || !*s || number(&s, &angle, &sexagesimal));
    }
    s += strspn(s, " \t)");
    if (!good || *s) {
        return wrong(r, err,
                     ret->kind == CIRCLE
                         ? "centre and radius of a circle are right, not"
                         : "centre, two sizes and an angle are right, not",
                     text);
    }
    if (ret->kind == BOX) {
        a /= 2;
        b /= 2;
    }
    b = ret->kind == CIRCLE ? a : b;
    if (r->is_image) {
        ret->a = a;
        ret->b = b;
        ret->cos = cos(angle * DEGREE);
        ret->sin = sin(angle * DEGREE);
    } else { /* from west, through north */
        orient(r->c, ret, a, b, -cos(angle * DEGREE), sin(angle * DEGREE));
    }
    return 0;
}

static int add_shape(struct reader *r, const struct shape *s, struct err *err)
{
    if (r->n == r->room) {
        size_t room = r->room ? 2 * r->room : 8;
        struct shape *grown = mem_realloc(r->shapes, room, sizeof *grown, err);
        if (!grown) {
            free(s->xy);
            return ERR_NOMEM;
        }
        r->shapes = grown;
        r->room = room;
    }
    r->shapes[r->n++] = *s;
    return 0;
}

/* A coordinate system, a shape, or nothing. */
static int read_statement(struct reader *r, char *s, struct err *err)
{
    static const char *const shapes[] = {"circle", "ellipse", "box", "polygon"};
    struct shape shape = {0};
    s += strspn(s, " \t\r");
    size_t n = strlen(s);
    while (n > 0 && isspace((unsigned char)s[n - 1])) {
        s[--n] = 0;
    }
    if (!*s || !strncasecmp(s, "global", 6)) {
        return 0;
    }
    if (!strcasecmp(s, "fk5") || !strcasecmp(s, "icrs") || !strcasecmp(s, "j2000") ||
        !strcasecmp(s, "image") || !strcasecmp(s, "physical")) {
        r->is_image = !strcasecmp(s, "image") || !strcasecmp(s, "physical");
        r->is_known = true;
        return 0;
    }
    shape.out = *s == '-';
    s += *s == '-' || *s == '+';
    for (int k = 0; k < 4; k++) {
        size_t m = strlen(shapes[k]);
        if (!strncasecmp(s, shapes[k], m) &&
            (s[m] == '(' || isspace((unsigned char)s[m]))) {
            if (!r->is_known) {
                return wrong(r, err, "fk5, icrs or image must stand before", s);
            }
            shape.kind = (enum shape_kind)k;
            int code = read_shape(r, s + m, &shape, err);
            return code ? code : add_shape(r, &shape, err);
        }
    }
    return wrong(r, err,
                 "fk5, icrs, image, circle, ellipse, box or polygon is right, not", s);
}

static int read_text(struct reader *r, char *text, struct err *err)
{
    int code = 0;
    for (char *s = text, *next; s && !code; s = next) {
        next = strchr(s, '\n');
        if (next) {
            *next++ = 0;
        }
        r->line++;
        char *comment = strchr(s, '#');
        if (comment) {
            *comment = 0;
        }
        for (char *part = s, *more; part && !code; part = more) {
            more = strchr(part, ';');
            if (more) {
                *more++ = 0;
            }
            code = read_statement(r, part, err);
        }
    }
    return code;
}

static int read_ds9(const struct cube *c, const char *path, FILE *f, size_t size,
                    struct aperture **ret, struct err *err)
{
    struct reader r = {.c = c, .path = path};
    char *text = mem_alloc(size + 1, 1, err);
    int code = text ? 0 : ERR_NOMEM;
    if (!code) {
        size_t n = fread(text, 1, size, f);
        text[n] = 0;
        code = strlen(text) == n ? read_text(&r, text, err)
                                 : err_set(err, ERR_INPUT,
                                           "%s: neither a FITS image nor a region file "
                                           "of DS9",
                                           path);
    }
    if (!code && r.n == 0) {
        code = err_set(err, ERR_INPUT,
                       "%s: no shape; circle, ellipse, box or polygon is right", path);
    }
    code = code ? code : rasterise(c, r.shapes, r.n, ret, err);
    for (size_t i = 0; i < r.n; i++) {
        free(r.shapes[i].xy);
    }
    free(r.shapes);
    free(text);
    return code;
}

/* ---- a mask ---- */

static int read_mask(const struct cube *c, const char *path, struct aperture **ret,
                     struct err *err)
{
    struct fits_in *f = NULL;
    struct aperture *a = NULL;
    float *mask = NULL;
    int hdu = 0, code = fits_in_open(path, ERR_INPUT, &f, err);
    if (code) {
        return code;
    }
    while (hdu < fits_in_count(f) && fits_in_hdu(f, hdu)->pixels == 0) {
        hdu++;
    }
    const struct fits_hdu *h = hdu < fits_in_count(f) ? fits_in_hdu(f, hdu) : NULL;
    if (!h || h->kind != FITS_IMAGE || h->n_axes != 2 || h->axes[0] != (size_t)c->nx ||
        h->axes[1] != (size_t)c->ny) {
        code = err_set(err, ERR_INPUT,
                       "%s: a mask is an image of the cube's %d x %d spaxels", path,
                       c->nx, c->ny);
    }
    code = code ? code : fits_in_floats(f, hdu, &mask, err);
    code = code ? code : aperture_new(c->nx, c->ny, &a, err);
    for (size_t p = 0; !code && p < (size_t)c->nx * (size_t)c->ny; p++) {
        if (isfinite(mask[p]) && mask[p] != 0.0f) {
            a->index[a->n] = p;
            a->weight[a->n++] = 1;
        }
    }
    fits_in_close(f);
    free(mask);
    if (!code) {
        a->full = (double)a->n;
        *ret = a;
    }
    return code;
}

int extract_region_read(const struct cube *c, const char *path, struct aperture **ret,
                        struct err *err)
{
    struct stat st;
    FILE *f = NULL;
    char head[7] = "";
    int code = 0;
    if (stat(path, &st)) {
        code = err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || !(f = fopen(path, "re"))) {
        code = err_set(err, ERR_INPUT, "%s: cannot be read as a file", path);
    } else if (fread(head, 1, 6, f) == 6 &&
               (!strcmp(head, "SIMPLE") || !memcmp(head, "\x1f\x8b", 2))) {
        code = read_mask(c, path, ret, err);
    } else if (st.st_size > MAX_BYTES) {
        code = err_set(err, ERR_INPUT, "%s: larger than 1 MB, and no FITS image", path);
    } else {
        rewind(f);
        code = read_ds9(c, path, f, (size_t)st.st_size, ret, err);
    }
    if (f) {
        fclose(f);
    }
    if (!code && (*ret)->n == 0) {
        aperture_free(*ret);
        *ret = NULL;
        code = err_set(err, ERR_INPUT, "%s: no spaxel of the cube lies in it", path);
    }
    return code;
}
