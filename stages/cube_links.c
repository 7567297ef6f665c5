#include "stages/cube_links.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/math/aperture.h"

#define MOST_BYTES ((size_t)96 << 20)
#define PLACES 5     /* along each axis of the field */
#define INSIDE 0.999 /* of an aperture's area, for it to count */

/* Spaxels. Beyond the last radius that fits into the field comes the whole field. */
static const double radii[] = {0.5, 0.75, 1,  1.5, 2,  2.5, 3,  4,  5,  6,
                               8,   10,   12, 16,  20, 25,  32, 40, 50, 64};
enum { RADII = sizeof radii / sizeof *radii };

struct cube_links *cube_links_new(int nw, struct err *err)
{
    struct cube_links *l = mem_calloc(1, sizeof *l, err);
    if (!l) {
        return NULL;
    }
    l->n = nw < CUBE_LINKED_PLANES ? nw : CUBE_LINKED_PLANES;
    l->most_bytes = MOST_BYTES;
    for (int i = 0; i < l->n; i++) {
        l->planes[i].k = (int)((2 * i + 1) * (long)nw / (2 * l->n));
        l->planes[i].last = SIZE_MAX;
    }
    return l;
}

static void clear(struct cube_linked_plane *p)
{
    free(p->links);
    free(p->pixels);
    p->links = NULL;
    p->pixels = NULL;
    p->n_links = p->n_pixels = p->room_links = p->room_pixels = 0;
}

void cube_links_free(struct cube_links *l)
{
    for (int i = 0; l && i < l->n; i++) {
        clear(&l->planes[i]);
    }
    free(l);
}

/* Links depend on the exposures alone, and so does what is given up. */
static void give_up(struct cube_links *l)
{
    static const int order[CUBE_LINKED_PLANES] = {1, 6, 4, 0, 7, 2, 5, 3};
    size_t bytes = 0;
    int left = 0;
    for (int i = 0; i < l->n; i++) {
        left += !l->planes[i].full;
        bytes += l->planes[i].n_links * sizeof *l->planes[i].links +
                 l->planes[i].n_pixels * sizeof *l->planes[i].pixels;
    }
    for (int i = 0; i < CUBE_LINKED_PLANES && bytes > l->most_bytes && left > 1; i++) {
        struct cube_linked_plane *p = &l->planes[order[i]];
        if (order[i] >= l->n || p->full) {
            continue;
        }
        left--;
        bytes -= p->n_links * sizeof *p->links + p->n_pixels * sizeof *p->pixels;
        clear(p);
        p->full = 1;
    }
}

void cube_links_next_exposure(struct cube_links *l)
{
    give_up(l);
    for (int i = 0; i < l->n; i++) {
        l->planes[i].last = SIZE_MAX;
    }
}

int cube_links_within(const struct cube_links *l, int k0, int k1)
{
    for (int i = 0; i < l->n; i++) {
        if (l->planes[i].k >= k0 && l->planes[i].k < k1) {
            return 1;
        }
    }
    return 0;
}

/* Room for one link and one pixel more. */
static int make_room(struct cube_linked_plane *p)
{
    if (p->n_links == p->room_links) {
        const size_t room = p->room_links + p->room_links / 2 + 1024;
        struct cube_link *more = mem_realloc(p->links, room, sizeof *more, NULL);
        if (!more) {
            return -1;
        }
        p->links = more;
        p->room_links = room;
    }
    if (p->n_pixels == p->room_pixels) {
        const size_t room = 2 * p->room_pixels + 256;
        struct cube_linked_pixel *more =
            mem_realloc(p->pixels, room, sizeof *more, NULL);
        if (!more) {
            return -1;
        }
        p->pixels = more;
        p->room_pixels = room;
    }
    return 0;
}

void cube_links_add(struct cube_links *l, int k, size_t spaxel, double weight,
                    size_t pixel, double variance)
{
    struct cube_linked_plane *p = NULL;
    for (int i = 0; i < l->n; i++) {
        if (l->planes[i].k == k) {
            p = &l->planes[i];
        }
    }
    if (!p || p->full || !isfinite(variance)) {
        return;
    }
    if (make_room(p)) {
        clear(p);
        p->full = 1;
        return;
    }
    if (p->last != pixel) {
        p->pixels[p->n_pixels++] = (struct cube_linked_pixel){variance, p->n_links};
        p->last = pixel;
    }
    p->links[p->n_links++] = (struct cube_link){(uint32_t)spaxel, (float)weight};
    p->pixels[p->n_pixels - 1].end = p->n_links;
}

/* ---- the ratio of variances ---- */

struct ratio {
    double sum;
    int n;
};

struct plane_result {
    struct ratio by_radius[RADII], whole;
    double area; /* spaxels with data */
};

struct job {
    const struct cube_links *links;
    int nx, ny;
    struct plane_result result[CUBE_LINKED_PLANES];
};

struct field { /* of one plane */
    const struct cube_linked_plane *plane;
    int nx, ny;
    double *sum;      /* W; 0: no data */
    double *variance; /* ERR^2 */
    double *inside;   /* of the aperture; 0 for all but its spaxels */
    double spread;    /* no link of a pixel is farther than this from its first */
};

/* The square of the distance. */
static double distance2(const struct field *f, double x, double y, uint32_t spaxel)
{
    const double dx = spaxel % (uint32_t)f->nx - x, dy = spaxel / (uint32_t)f->nx - y;
    return dx * dx + dy * dy;
}

static void fill(struct field *f)
{
    const struct cube_linked_plane *p = f->plane;
    double spread2 = 0;
    size_t at = 0;
    for (size_t q = 0; q < p->n_pixels; q++) {
        const size_t first = p->links[at].spaxel;
        const double x = (double)(first % (size_t)f->nx),
                     y = (double)(first / (size_t)f->nx);
        for (; at < p->pixels[q].end; at++) {
            const struct cube_link *l = &p->links[at];
            const double w = (double)l->weight;
            const double far = distance2(f, x, y, l->spaxel);
            spread2 = far > spread2 ? far : spread2;
            f->sum[l->spaxel] += w;
            f->variance[l->spaxel] += w * w * p->pixels[q].variance;
        }
    }
    f->spread = sqrt(spread2);
    for (size_t i = 0; i < (size_t)f->nx * (size_t)f->ny; i++) {
        if (f->sum[i] > 0) {
            f->variance[i] /= f->sum[i] * f->sum[i];
        }
    }
}

struct circle {
    double x, y, radius; /* spaxels; an infinite one is the whole field */
};

/* Count an aperture in, if it lies in the field. */
static void add_aperture(struct field *f, const struct aperture *a, struct circle c,
                         struct ratio *r)
{
    const struct cube_linked_plane *p = f->plane;
    double covered = 0, independent = 0, truth = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (f->sum[a->index[i]] > 0) {
            covered += a->weight[i];
            independent += a->weight[i] * f->variance[a->index[i]];
        }
    }
    if (!(independent > 0) || (isfinite(c.radius) && covered < INSIDE * a->full)) {
        return;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (f->sum[a->index[i]] > 0) {
            f->inside[a->index[i]] = a->weight[i] / f->sum[a->index[i]];
        }
    }
    const double far = c.radius + f->spread + 1; /* a spaxel is inside in part */
    size_t at = 0;
    for (size_t q = 0; q < p->n_pixels; q++) {
        double share = 0;
        if (distance2(f, c.x, c.y, p->links[at].spaxel) > far * far) {
            at = p->pixels[q].end;
            continue;
        }
        for (; at < p->pixels[q].end; at++) {
            share += f->inside[p->links[at].spaxel] * (double)p->links[at].weight;
        }
        truth += share * share * p->pixels[q].variance;
    }
    for (size_t i = 0; i < a->n; i++) {
        f->inside[a->index[i]] = 0;
    }
    r->sum += truth / independent;
    r->n++;
}

/* Every radius at places spread over the box that holds the data. The places are no whole
 * numbers of spaxels apart, so that apertures lie differently on the grid. */
static void add_places(struct field *f, struct aperture *a, struct plane_result *r)
{
    int low[2] = {f->nx, f->ny}, high[2] = {-1, -1};
    for (int j = 0; j < f->ny; j++) {
        for (int i = 0; i < f->nx; i++) {
            if (f->sum[(size_t)j * (size_t)f->nx + (size_t)i] > 0) {
                low[0] = i < low[0] ? i : low[0];
                high[0] = i > high[0] ? i : high[0];
                low[1] = j < low[1] ? j : low[1];
                high[1] = j > high[1] ? j : high[1];
                r->area += 1;
            }
        }
    }
    for (int m = 0; m < RADII; m++) {
        for (int y = 1; y <= PLACES; y++) {
            for (int x = 1; x <= PLACES; x++) {
                const struct circle c = {
                    low[0] + (high[0] - low[0]) * x / (PLACES + 1.0) + 0.137 * y,
                    low[1] + (high[1] - low[1]) * y / (PLACES + 1.0) + 0.171 * x,
                    radii[m]};
                aperture_ring(a, c.x, c.y, 0, c.radius, APERTURE_EXACT, 1);
                add_aperture(f, a, c, &r->by_radius[m]);
            }
        }
        if (!r->by_radius[m].n) {
            break;
        }
    }
    aperture_whole(a);
    add_aperture(f, a, (struct circle){0, 0, INFINITY}, &r->whole);
}

static int one_plane(size_t i, int thread, void *arg, struct err *err)
{
    struct job *job = arg;
    const size_t area = (size_t)job->nx * (size_t)job->ny;
    struct field f = {&job->links->planes[i], job->nx, job->ny, NULL, NULL, NULL, 0};
    struct aperture *a = NULL;
    (void)thread;
    if (!f.plane->n_pixels) {
        return 0;
    }
    f.sum = mem_calloc(area, sizeof *f.sum, err);
    f.variance = mem_calloc(area, sizeof *f.variance, err);
    f.inside = mem_calloc(area, sizeof *f.inside, err);
    int code = f.sum && f.variance && f.inside ? 0 : ERR_NOMEM;
    code = code ? code : aperture_new(job->nx, job->ny, &a, err);
    if (!code) {
        fill(&f);
        add_places(&f, a, &job->result[i]);
    }
    aperture_free(a);
    free(f.sum);
    free(f.variance);
    free(f.inside);
    return code;
}

/* The rows that all planes together give. */
static int tabulate(const struct job *job, double scale, struct cube_covariance **ret,
                    struct err *err)
{
    struct ratio all[RADII] = {{0}}, whole = {0};
    double area = 0;
    size_t n = 0;
    for (int i = 0; i < job->links->n; i++) {
        const struct plane_result *r = &job->result[i];
        for (int m = 0; m < RADII; m++) {
            all[m].sum += r->by_radius[m].sum;
            all[m].n += r->by_radius[m].n;
        }
        whole.sum += r->whole.sum;
        whole.n += r->whole.n;
        area = r->area > area ? r->area : area;
    }
    *ret = NULL;
    if (!whole.n) {
        return 0;
    }
    const double reach = sqrt(area / M_PI); /* of a circle as large as the field */
    while (n < RADII && all[n].n && radii[n] < reach) {
        n++;
    }
    struct cube_covariance *v = cube_covariance_new(n + 1, err);
    if (!v) {
        return ERR_NOMEM;
    }
    for (size_t m = 0; m < n; m++) {
        v->radius_arcsec[m] = radii[m] * scale;
        v->factor[m] = sqrt(all[m].sum / all[m].n);
    }
    v->radius_arcsec[n] = reach * scale;
    v->factor[n] = sqrt(whole.sum / whole.n);
    *ret = v;
    return 0;
}

int cube_links_covariance(struct cube_links *l, int nx, int ny, double scale,
                          struct par *par, const atomic_bool *cancel,
                          struct cube_covariance **ret, struct err *err)
{
    struct job job = {.links = l, .nx = nx, .ny = ny};
    give_up(l); /* the same planes in whatever order they were filled */
    const int code = par_for(par, (size_t)l->n, one_plane, &job, cancel, err);
    return code ? code : tabulate(&job, scale, ret, err);
}
