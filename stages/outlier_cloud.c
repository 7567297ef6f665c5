#include "stages/outlier_cloud.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"

#define NEAR 0.12f     /* arcsec, between exposures: pixels are 0.1 apart, slices too */
#define BESIDE 0.16f   /* arcsec, between the slices of one exposure */
#define COLUMNS 1.5f   /* either way */
#define FAINT 3.0f     /* a trace below so many sigma gives no ratio */
#define STEEPEST 30.0f /* largest ratio of traces that is believed ... */
#define CERTAIN 5.0f   /* ... of a witness below so many sigma */
#define ALIKE 2.0f     /* shares of the trace within this factor are the same */
enum { CHUNK = 4096 };

int outlier_cloud_init(struct outlier_cloud *c, size_t n_exposures, struct err *err)
{
    *c = (struct outlier_cloud){.n_exposures = n_exposures};
    c->from = mem_calloc(n_exposures + 1, sizeof *c->from, err);
    c->covers = mem_calloc(n_exposures, sizeof *c->covers, err);
    return c->from && c->covers ? 0 : ERR_NOMEM;
}

void outlier_cloud_done(struct outlier_cloud *c)
{
    for (size_t i = 0; c->covers && i < c->n_exposures; i++) {
        free(c->covers[i].seen);
    }
    free(c->points);
    free(c->from);
    free(c->covers);
    free(c->bucket);
    free(c->order);
}

int outlier_cloud_room(struct outlier_cloud *c, size_t more, struct outlier_point **ret,
                       struct err *err)
{
    if (c->n + more > c->room) {
        const size_t room = c->n + more;
        struct outlier_point *p = mem_realloc(c->points, room, sizeof *p, err);
        if (!p) {
            return ERR_NOMEM;
        }
        c->points = p;
        c->room = room;
    }
    *ret = c->points + c->n;
    return 0;
}

#define MARGIN 0.3f     /* arcsec round the field */
#define WIDEST 60.0f    /* arcsec: the field is 3 wide */
#define MOST_CELLS 4096 /* along wavelength */
#define FINEST_UM 1e-3  /* of a cell: one to four columns of a grating */
#define LOWEST_UM 0.5   /* the spectrograph's */
#define HIGHEST_UM 5.6

int outlier_cover_init(struct outlier_cover *v, const double east[4],
                       const double north[4], double low, double high, struct err *err)
{
    float to_east = -INFINITY, to_north = -INFINITY;
    v->east = v->north = INFINITY;
    for (int k = 0; k < 4; k++) {
        v->east = fminf(v->east, (float)east[k] - MARGIN);
        v->north = fminf(v->north, (float)north[k] - MARGIN);
        to_east = fmaxf(to_east, (float)east[k] + MARGIN);
        to_north = fmaxf(to_north, (float)north[k] + MARGIN);
    }
    const float wide = to_east - v->east, high_up = to_north - v->north;
    if (!(wide > 0 && wide < WIDEST && high_up > 0 && high_up < WIDEST)) {
        return err_set(
            err, ERR_INPUT,
            "the WCS spreads its slices over %g x %g arcsec; expected is the "
            "field of the IFU, 3 x 3 arcsec",
            (double)wide, (double)high_up);
    }
    if (!(low >= LOWEST_UM && high <= HIGHEST_UM && low < high)) {
        low = LOWEST_UM; /* a WCS from a file does not say */
        high = HIGHEST_UM;
    }
    v->um = (float)low;
    v->um_cell = (float)fmax((high - low) / MOST_CELLS, FINEST_UM);
    v->n_um = (int)ceil((high - low) / (double)v->um_cell) + 1;
    v->n_east = (int)ceilf(wide / OUTLIER_COVER_ARCSEC);
    v->n_north = (int)ceilf(high_up / OUTLIER_COVER_ARCSEC);
    v->seen = mem_calloc((size_t)v->n_um * (size_t)v->n_east * (size_t)v->n_north,
                         sizeof *v->seen, err);
    return v->seen ? 0 : ERR_NOMEM;
}

bool outlier_cover_has(const struct outlier_cover *v, float east, float north, float um)
{
    const float x = floorf((east - v->east) / OUTLIER_COVER_ARCSEC);
    const float y = floorf((north - v->north) / OUTLIER_COVER_ARCSEC);
    const float z = floorf((um - v->um) / v->um_cell);
    if (!(x >= 0 && y >= 0 && z >= 0 && x < (float)v->n_east && y < (float)v->n_north &&
          z < (float)v->n_um)) {
        return false;
    }
    return v->seen[((size_t)z * (size_t)v->n_north + (size_t)y) * (size_t)v->n_east +
                   (size_t)x];
}

/* ---- points by place ---- */

struct cell {
    int32_t east, north, um;
};

static struct cell cell_of(const struct outlier_cloud *c, const struct outlier_point *p)
{
    const float columns = 2 * COLUMNS * c->um_column;
    return (struct cell){(int32_t)floorf(p->east / BESIDE),
                         (int32_t)floorf(p->north / BESIDE),
                         (int32_t)floorf(p->um / columns)};
}

static size_t bucket_of(const struct outlier_cloud *c, struct cell at)
{
    const uint32_t h = (uint32_t)at.east * 73856093u ^ (uint32_t)at.north * 19349663u ^
                       (uint32_t)at.um * 83492791u;
    return (h ^ h >> 15) & (uint32_t)(c->n_buckets - 1);
}

static int sort_by_place(struct outlier_cloud *c, struct err *err)
{
    c->n_buckets = 1024;
    while (c->n_buckets < c->n && c->n_buckets < (size_t)1 << 30) {
        c->n_buckets *= 2;
    }
    c->bucket = mem_calloc(c->n_buckets + 1, sizeof *c->bucket, err);
    c->order = mem_alloc(c->n, sizeof *c->order, err);
    if (!c->bucket || !c->order) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < c->n; i++) {
        c->bucket[bucket_of(c, cell_of(c, &c->points[i])) + 1]++;
    }
    for (size_t k = 0; k < c->n_buckets; k++) {
        c->bucket[k + 1] += c->bucket[k];
    }
    for (size_t i = c->n; i-- > 0;) { /* from the ends, which then are the beginnings */
        const size_t k = bucket_of(c, cell_of(c, &c->points[i]));
        c->order[--c->bucket[k + 1]] = (uint32_t)i;
    }
    memmove(c->bucket, c->bucket + 1, c->n_buckets * sizeof *c->bucket);
    c->bucket[c->n_buckets] = (uint32_t)c->n;
    return 0;
}

/* ---- witnesses ---- */

struct job {
    const struct outlier_cloud *c;
    const struct outlier_rules *rules;
    uint8_t *ret;
};

/* What q says of the excess to expect at p, MJy/sr: where p's trace is the brighter, its
 * line is, too. */
static float testimony(const struct outlier_point *p, const struct outlier_point *q)
{
    const float trace = fmaxf(q->trace, FAINT * q->sigma);
    const float excess = fabsf(q->excess), ratio = fmaxf(p->trace / trace, 1);
    return excess * (excess > CERTAIN * q->sigma ? ratio : fminf(ratio, STEEPEST));
}

static bool is_near(const struct outlier_point *p, const struct outlier_point *q,
                    float radius)
{
    const float east = p->east - q->east, north = p->north - q->north;
    return fabsf(p->um - q->um) <= COLUMNS * p->um_column &&
           east * east + north * north <= radius * radius;
}

/* Of two pixels of a slice whose traces differ much: is the excess the same share of both? A
 * star's line is, a hit leaves charge without regard to the trace. */
static bool follows_trace(const struct outlier_point *p, const struct outlier_point *q)
{
    if (!(p->trace > FAINT * p->sigma && q->trace > FAINT * q->sigma)) {
        return false;
    }
    const float traces = p->trace / q->trace,
                shares = (p->excess / p->trace) / (q->excess / q->trace);
    return (traces > ALIKE || traces < 1 / ALIKE) && shares < ALIKE &&
           shares > 1 / ALIKE;
}

/* An exposure bears witness once. */
struct witnesses {
    uint64_t bits[16];
};
#define MOST_EXPOSURES (16 * 64)

static void hear_bucket(const struct outlier_cloud *c, size_t k,
                        const struct outlier_point *p, float enough,
                        struct witnesses *w)
{
    for (size_t i = c->bucket[k]; i < c->bucket[k + 1]; i++) {
        const struct outlier_point *q = &c->points[c->order[i]];
        const bool own = q->exposure == p->exposure;
        if ((q->excess > 0) != (p->excess > 0) || !is_near(p, q, own ? BESIDE : NEAR)) {
            continue;
        }
        if (own && q->slice == p->slice ? !follows_trace(p, q)
                                        : testimony(p, q) < enough) {
            continue;
        }
        w->bits[q->exposure / 64] |= UINT64_C(1) << q->exposure % 64;
    }
}

static void hear(const struct outlier_cloud *c, const struct outlier_point *p,
                 float enough, struct witnesses *w)
{
    const struct cell at = cell_of(c, p);
    for (int k = 0; k < 27; k++) {
        const struct cell there = {at.east + k % 3 - 1, at.north + k / 3 % 3 - 1,
                                   at.um + k / 9 - 1};
        hear_bucket(c, bucket_of(c, there), p, enough, w);
    }
}

static bool says(const struct witnesses *w, size_t exposure)
{
    return w->bits[exposure / 64] >> exposure % 64 & 1;
}

/* Does an exposure see the place and what is beside it in wavelength? */
static bool is_covered(const struct outlier_cover *v, const struct outlier_point *p)
{
    const float aside = 2 * COLUMNS * p->um_column;
    return outlier_cover_has(v, p->east, p->north, p->um - aside) &&
           outlier_cover_has(v, p->east, p->north, p->um + aside);
}

/* Why to reject a point that departs by more than `snr` sigma. */
static enum outlier_reason judge(const struct outlier_cloud *c,
                                 const struct outlier_rules *rules,
                                 const struct outlier_point *p, double snr)
{
    const double over = fabs((double)p->excess) - snr * (double)p->sigma;
    const bool above = p->excess > 0;
    struct witnesses w = {0};
    size_t covered = 0, heard = 0;
    if (!(over > 0)) {
        return OUTLIER_KEPT;
    }
    hear(c, p, (float)(over / rules->contrast), &w);
    for (size_t i = 0; i < c->n_exposures; i++) {
        if (i != p->exposure && is_covered(&c->covers[i], p)) {
            covered++;
            heard += says(&w, i);
        }
    }
    heard += says(&w, p->exposure);
    if (heard && 2 * heard >= covered) {
        return OUTLIER_KEPT;
    }
    if (covered) {
        return above ? OUTLIER_ABOVE : OUTLIER_BELOW;
    }
    return above ? OUTLIER_TRACE_ABOVE : OUTLIER_TRACE_BELOW;
}

static size_t chunk_end(size_t i, size_t n)
{
    return (i + 1) * CHUNK < n ? (i + 1) * CHUNK : n;
}

static int judge_chunk(size_t i, int thread, void *arg, struct err *err)
{
    const struct job *job = arg;
    (void)thread;
    (void)err;
    for (size_t k = i * CHUNK; k < chunk_end(i, job->c->n); k++) {
        job->ret[k] =
            (uint8_t)judge(job->c, job->rules, &job->c->points[k], job->rules->snr);
    }
    return 0;
}

/* ---- pixels beside rejected ones ---- */

/* The point of a pixel, or none. */
static const struct outlier_point *point_at(const struct outlier_cloud *c,
                                            size_t exposure, size_t pixel)
{
    size_t lo = c->from[exposure], hi = c->from[exposure + 1];
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (c->points[mid].pixel < pixel) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < c->from[exposure + 1] && c->points[lo].pixel == pixel ? &c->points[lo]
                                                                      : NULL;
}

static bool is_beside_hit(const struct job *job, const struct outlier_point *p)
{
    const int nx = job->c->covers[p->exposure].nx, ny = job->c->covers[p->exposure].ny;
    const int x = (int)(p->pixel % (unsigned)nx), y = (int)(p->pixel / (unsigned)nx);
    for (int k = 0; k < 9; k++) {
        const int i = x + k % 3 - 1, j = y + k / 3 - 1;
        if (k == 4 || i < 0 || j < 0 || i >= nx || j >= ny) {
            continue;
        }
        const struct outlier_point *q =
            point_at(job->c, p->exposure, (size_t)j * (size_t)nx + (size_t)i);
        const uint8_t why = q ? job->ret[q - job->c->points] : OUTLIER_KEPT;
        if (why != OUTLIER_KEPT && why != OUTLIER_ADJACENT &&
            (q->excess > 0) == (p->excess > 0)) {
            return true;
        }
    }
    return false;
}

/* Thousands of hits have thousands of neighbours: no need for threads. */
static void judge_adjacent(const struct job *job)
{
    const double snr = job->rules->snr_adjacent;
    for (size_t k = 0; k < job->c->n; k++) {
        const struct outlier_point *p = &job->c->points[k];
        if (job->ret[k] == OUTLIER_KEPT &&
            fabs((double)p->excess) > snr * (double)p->sigma && is_beside_hit(job, p) &&
            judge(job->c, job->rules, p, snr) != OUTLIER_KEPT) {
            job->ret[k] = OUTLIER_ADJACENT;
        }
    }
}

int outlier_cloud_judge(struct outlier_cloud *c, const struct outlier_rules *rules,
                        struct par *par, const atomic_bool *cancel, uint8_t *ret,
                        struct err *err)
{
    struct job job = {c, rules, ret};
    if (c->n_exposures > MOST_EXPOSURES) {
        return err_set(err, ERR_INPUT, "%zu exposures; at most %d can be compared",
                       c->n_exposures, MOST_EXPOSURES);
    }
    int code = sort_by_place(c, err);
    code =
        code ? code
             : par_for(par, (c->n + CHUNK - 1) / CHUNK, judge_chunk, &job, cancel, err);
    if (!code) {
        judge_adjacent(&job);
    }
    return code;
}
