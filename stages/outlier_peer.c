#include "stages/outlier_peer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "stages/outlier_keep.h"
#include "stages/outlier_median.h"

enum { MOST_DETECTORS = 2, EDGE = 4 };

/* Running minimum of one detector. */
struct detector {
    char name[8];
    int nx, ny;
    float *least;       /* nx * ny; NaN: no difference yet */
    float *differences; /* of each exposure a plane; NULL: not wanted */
    size_t n;           /* exposures */
};

/* Whose name and header stand for all. */
struct first {
    char filename[256];
    struct header primary;
};

static float smaller(float a, float b) /* that is not NaN, if one is not */
{
    return isnan(a) || b < a ? b : a;
}

struct job {
    const struct exposure *e;
    float *least, *own; /* own: of this exposure alone; NULL: not wanted */
};

/* Before the first row and behind the last there are zeros (as in the peer). */
static int differences(size_t y, int thread, void *arg, struct err *err)
{
    const struct job *job = arg;
    const size_t nx = (size_t)job->e->nx, last = (size_t)job->e->ny - 1;
    const float *row = job->e->sci + y * nx;
    float *least = job->least + y * nx;
    (void)thread;
    (void)err;
    for (size_t x = 0; x < nx; x++) {
        const float below = y ? row[x] - *(row + x - nx) : row[x];
        const float above = y < last ? row[x] - row[x + nx] : row[x];
        const float d = smaller(fabsf(below), fabsf(above));
        least[x] = smaller(least[x], d);
        if (job->own) {
            job->own[y * nx + x] = d;
        }
    }
    return 0;
}

static int detector_of(struct detector *all, const struct exposure *e,
                       struct detector **ret, struct err *err)
{
    for (int k = 0; k < MOST_DETECTORS; k++) {
        struct detector *d = &all[k];
        if (!d->least) {
            const size_t n = exposure_pixels(e);
            snprintf(d->name, sizeof d->name, "%s", e->meta.detector);
            d->nx = e->nx;
            d->ny = e->ny;
            d->least = mem_alloc(n, sizeof *d->least, err);
            for (size_t i = 0; d->least && i < n; i++) {
                d->least[i] = NAN;
            }
        }
        if (!d->least) {
            return ERR_NOMEM;
        }
        if (strcmp(d->name, e->meta.detector)) {
            continue;
        }
        if (d->nx != e->nx || d->ny != e->ny) {
            return err_set(
                err, ERR_INPUT,
                "%s is %d x %d pixels, another exposure of %s %d x %d: method "
                "peer compares pixel with pixel",
                e->meta.filename, e->nx, e->ny, d->name, d->nx, d->ny);
        }
        *ret = d;
        return 0;
    }
    return err_set(err, ERR_INPUT, "%s is of a third detector, %s", e->meta.filename,
                   e->meta.detector);
}

/* The exposure's name and header if it is the first, room for its differences. */
static int make_room(struct detector *d, const struct exposure *e, struct first *first,
                     float **ret_own, struct err *err)
{
    const size_t n = exposure_pixels(e);
    int code = 0;
    if (!first->filename[0]) {
        snprintf(first->filename, sizeof first->filename, "%s", e->meta.filename);
        code = header_copy(&first->primary, &e->primary, err);
    }
    float *grown =
        code ? NULL : mem_realloc(d->differences, (d->n + 1) * n, sizeof *grown, err);
    if (!grown) {
        return ERR_NOMEM;
    }
    d->differences = grown;
    *ret_own = grown + d->n * n;
    return 0;
}

static int gather(const struct stage_env *env, struct dataset *data,
                  struct detector *detectors, struct outlier_hits *hits,
                  struct first *first, struct err *err)
{
    const size_t n = dataset_n(data);
    for (size_t i = 0; i < n; i++) {
        struct exposure *e;
        struct detector *d = NULL;
        int code = dataset_open(data, i, true, &e, err);
        if (code) {
            return code;
        }
        code = detector_of(detectors, e, &d, err);
        struct job job = {.e = e};
        if (!code && first) {
            code = make_room(d, e, first, &job.own, err);
        }
        if (!code) {
            job.least = d->least;
            code =
                par_for(env->par, (size_t)e->ny, differences, &job, env->cancel, err);
            snprintf(hits->filename[i], sizeof hits->filename[i], "%s",
                     e->meta.filename);
            hits->list_of[i] = (size_t)(d - detectors);
            d->n++;
        }
        dataset_close(data, i, e);
        if (code) {
            return code;
        }
        stage_progress(env, 0.8 * (double)(i + 1) / (double)n);
    }
    return 0;
}

/* ---- what stands out ---- */

/* The value of rank k in ascending order; reorders. (Hoare's selection.) */
static double select_rank(double *v, size_t n, size_t k)
{
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        const double pivot = v[lo + (hi - lo) / 2];
        size_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot) {
                i++;
            }
            while (v[j] > pivot) {
                j--;
            }
            if (i > j) {
                break;
            }
            const double t = v[i];
            v[i++] = v[j];
            v[j] = t;
            if (j == 0) {
                break;
            }
            j--;
        }
        if (k <= j) {
            hi = j;
        } else if (k >= i) {
            lo = i;
        } else {
            break;
        }
    }
    return v[k];
}

double outlier_percentile(double *values, size_t n, double percent)
{
    const double at = (double)(n - 1) * (percent / 100);
    const size_t k = (size_t)at;
    const double low = select_rank(values, n, k), t = at - (double)k;
    if (k + 1 >= n) {
        return low;
    }
    double high = values[k + 1]; /* the least of those above */
    for (size_t i = k + 2; i < n; i++) {
        high = values[i] < high ? values[i] : high;
    }
    const double step = high - low;
    return t < 0.5 ? low + step * t : high - step * (1 - t);
}

static double median(double *values, size_t n)
{
    const double high = select_rank(values, n, n / 2);
    return n % 2 ? high : (select_rank(values, n, n / 2 - 1) + high) / 2;
}

/* Values that are not NaN, without `edge` rows and columns at each side. */
static size_t pick(const double *plane, int nx, int ny, int edge, double *ret)
{
    size_t n = 0;
    for (int y = edge; y < ny - edge; y++) {
        for (int x = edge; x < nx - edge; x++) {
            const double v = plane[(size_t)y * (size_t)nx + (size_t)x];
            if (!isnan(v)) {
                ret[n++] = v;
            }
        }
    }
    return n;
}

/* `ratio`: in: the least differences; out: divided by their medians in boxes, which go to
 * `norm` (may be NULL). */
static int normalise(const struct stage_env *env, const struct outlier_peer *p,
                     const struct detector *d, double *ratio, double *norm,
                     double *scratch, struct err *err)
{
    const size_t n = (size_t)d->nx * (size_t)d->ny,
                 few = pick(ratio, d->nx, d->ny, 0, scratch);
    if (few == 0) {
        return 0;
    }
    const double floor = median(scratch, few) / 3;
    int code = outlier_median(d->least, d->nx, d->ny, p->box_x, p->box_y, env->par,
                              env->cancel, ratio, err);
    for (size_t i = 0; i < n && !code; i++) {
        const double by = ratio[i] < floor ? floor : ratio[i];
        if (norm) {
            norm[i] = by;
        }
        ratio[i] = (double)d->least[i] / by;
    }
    return code;
}

static int reject(const struct stage_env *env, const struct outlier_peer *p,
                  struct detector *d, const struct first *first,
                  struct outlier_list *list, struct err *err)
{
    const size_t n = (size_t)d->nx * (size_t)d->ny;
    double *ratio = mem_alloc(n, sizeof *ratio, err);
    double *scratch = mem_alloc(n, sizeof *scratch, err);
    double *norm = first ? mem_alloc(n, sizeof *norm, err) : NULL;
    int code = ratio && scratch && (norm || !first) ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        ratio[i] = (double)d->least[i];
        if (norm) {
            norm[i] = NAN;
        }
    }
    code = code ? code : normalise(env, p, d, ratio, norm, scratch, err);
    if (!code) {
        const size_t few = pick(ratio, d->nx, d->ny, EDGE, scratch);
        const double above =
            few ? outlier_percentile(scratch, few, p->percent) : (double)INFINITY;
        for (size_t i = 0; i < n && !code; i++) {
            if (ratio[i] > above) {
                code = outlier_list_add(list, i, OUTLIER_NEIGHBOURS, err);
            } else if (p->second_check && isnan(d->least[i])) {
                code = outlier_list_add(list, i, OUTLIER_NO_DIFFERENCE, err);
            }
        }
    }
    if (!code && first) {
        const struct outlier_kept kept = {p,
                                          first->filename,
                                          &first->primary,
                                          d->name,
                                          (size_t)d->nx,
                                          (size_t)d->ny,
                                          d->n,
                                          d->differences,
                                          d->least,
                                          norm,
                                          ratio};
        d->differences = NULL;
        code = outlier_keep(env, &kept, err);
    }
    free(ratio);
    free(norm);
    free(scratch);
    if (!code) {
        char text[256];
        outlier_list_tell(list, text, sizeof text);
        stage_note(env, "%s, %zu %s: %s", d->name, d->n,
                   d->n == 1 ? "exposure" : "exposures", text);
    }
    return code;
}

int outlier_peer_find(const struct stage_env *env, const struct outlier_peer *p,
                      struct dataset *data, struct outlier_hits **ret, struct err *err)
{
    struct detector detectors[MOST_DETECTORS] = {0};
    struct outlier_hits *h = NULL;
    struct first first = {0}, *kept = p->keep ? &first : NULL;
    int code = outlier_hits_new(dataset_n(data), MOST_DETECTORS, "PEER", &h, err);
    code = code ? code : gather(env, data, detectors, h, kept, err);
    for (size_t k = 0; k < MOST_DETECTORS && !code; k++) {
        if (detectors[k].least) {
            code = reject(env, p, &detectors[k], kept, &h->lists[k], err);
        }
    }
    for (size_t k = 0; k < MOST_DETECTORS; k++) {
        free(detectors[k].least);
        free(detectors[k].differences);
    }
    header_done(&first.primary);
    if (code) {
        outlier_hits_free(h);
        return code;
    }
    *ret = h;
    return 0;
}
