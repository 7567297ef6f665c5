#include "stages/background_average.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/robust.h"

enum { SCI, POISSON, RNOISE, FLAT, PLANES }; /* of one exposure */
enum { ROWS = 16 };

struct background_stack {
    size_t nx, ny, n, room;
    float *(*planes)[PLANES]; /* room; NULL where an exposure has none */
    uint32_t *dq;
};

int background_stack_new(int nx, int ny, size_t room, struct background_stack **ret,
                         struct err *err)
{
    struct background_stack *s = mem_calloc(1, sizeof *s, err);
    int code = s ? 0 : ERR_NOMEM;
    if (!code) {
        s->nx = (size_t)nx;
        s->ny = (size_t)ny;
        s->room = room;
        s->planes = mem_calloc(room, sizeof *s->planes, err);
        s->dq = mem_calloc(s->nx * s->ny, sizeof *s->dq, err);
        code = s->planes && s->dq ? 0 : ERR_NOMEM;
    }
    if (code) {
        background_stack_free(s);
        return code;
    }
    *ret = s;
    return 0;
}

void background_stack_free(struct background_stack *s)
{
    if (!s) {
        return;
    }
    for (size_t k = 0; s->planes && k < s->n; k++) {
        for (int p = 0; p < PLANES; p++) {
            free(s->planes[k][p]);
        }
    }
    free(s->planes);
    free(s->dq);
    free(s);
}

int background_stack_add(struct background_stack *s, const struct exposure *e,
                         struct err *err)
{
    const size_t n = s->nx * s->ny;
    const float *from[PLANES] = {e->sci, e->var_poisson, e->var_rnoise, e->var_flat};
    if (s->n == s->room || n != exposure_pixels(e)) {
        return err_set(err, ERR_BUG, "%s does not fit the stack", e->meta.filename);
    }
    float **to = s->planes[s->n++];
    for (int p = 0; p < PLANES; p++) {
        if (from[p]) {
            to[p] = mem_alloc(n, sizeof *to[p], err);
            if (!to[p]) {
                return ERR_NOMEM;
            }
            memcpy(to[p], from[p], n * sizeof *to[p]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        s->dq[i] |= e->dq[i];
    }
    return 0;
}

/* ---- clipping ---- */

void background_clip(double *v, size_t n, double sigma, long max_rounds,
                     double *ret_low, double *ret_high)
{
    size_t first = 0, end = n; /* what is kept is a run of the sorted values */
    robust_sort_doubles(v, n);
    for (long round = 1; first < end; round++) {
        const size_t m = end - first, middle = first + m / 2;
        const double median = m % 2 ? v[middle] : 0.5 * (v[middle - 1] + v[middle]);
        double sum = 0, squares = 0;
        for (size_t i = first; i < end; i++) {
            sum += v[i];
        }
        for (size_t i = first; i < end; i++) {
            const double d = v[i] - sum / (double)m;
            squares += d * d;
        }
        const double reach = sigma * sqrt(squares / (double)m);
        *ret_low = median - reach;
        *ret_high = median + reach;
        while (first < end && v[first] < *ret_low) {
            first++;
        }
        while (first < end && v[end - 1] > *ret_high) {
            end--;
        }
        if (end - first == m || round == max_rounds) {
            return;
        }
    }
}

struct job {
    struct background_stack *s;
    double sigma;
    long max_rounds;
    double *scratch; /* n for each thread */
};

/* One pixel: the result goes where the first exposure's values were. */
static void mean_pixel(const struct job *job, double *v, size_t i)
{
    struct background_stack *s = job->s;
    double low = 0, high = 0, sums[PLANES] = {0};
    size_t finite = 0, kept = 0;
    for (size_t k = 0; k < s->n; k++) {
        const double value = (double)s->planes[k][SCI][i];
        if (isfinite(value)) {
            v[finite++] = value;
        }
    }
    if (finite) {
        background_clip(v, finite, job->sigma, job->max_rounds, &low, &high);
    }
    for (size_t k = 0; k < s->n && finite; k++) {
        const double value = (double)s->planes[k][SCI][i];
        if (!isfinite(value) || value < low || value > high) {
            continue;
        }
        kept++;
        for (int p = 0; p < PLANES; p++) {
            sums[p] += s->planes[k][p] ? (double)s->planes[k][p][i] : 0;
        }
    }
    if (!kept) {
        s->dq[i] |= DQ_DO_NOT_USE;
    }
    for (int p = 0; p < PLANES; p++) {
        const double by = p == SCI ? (double)kept : (double)kept * (double)kept;
        if (s->planes[0][p]) {
            s->planes[0][p][i] = (float)(kept ? sums[p] / by : 0);
        }
    }
}

static int mean_rows(size_t piece, int thread, void *arg, struct err *err)
{
    const struct job *job = arg;
    const size_t end =
        (piece + 1) * ROWS < job->s->ny ? (piece + 1) * ROWS : job->s->ny;
    (void)err;
    for (size_t i = piece * ROWS * job->s->nx; i < end * job->s->nx; i++) {
        mean_pixel(job, job->scratch + (size_t)thread * job->s->n, i);
    }
    return 0;
}

int background_stack_mean(struct background_stack *s, double sigma, long max_rounds,
                          struct par *par, const atomic_bool *cancel,
                          struct exposure *ret, struct err *err)
{
    const size_t n = s->nx * s->ny, threads = par ? (size_t)par_threads(par) : 1;
    struct job job = {s, sigma, max_rounds, NULL};
    float *error = mem_alloc(n, sizeof *error, err);
    job.scratch = mem_alloc(threads * s->n, sizeof *job.scratch, err);
    int code = error && job.scratch ? 0 : ERR_NOMEM;
    if (!code) {
        code = par_for(par, (s->ny + ROWS - 1) / ROWS, mean_rows, &job, cancel, err);
    }
    free(job.scratch);
    if (code) {
        free(error);
        return code;
    }
    float **planes = s->planes[0];
    ret->sci = planes[SCI];
    ret->var_poisson = planes[POISSON];
    ret->var_rnoise = planes[RNOISE];
    ret->var_flat = planes[FLAT];
    ret->dq = s->dq;
    ret->err = error;
    memset(planes, 0, sizeof s->planes[0]);
    s->dq = NULL;
    for (size_t i = 0; i < n; i++) {
        error[i] = sqrtf(ret->var_poisson[i] + ret->var_rnoise[i] +
                         (ret->var_flat ? ret->var_flat[i] : 0));
    }
    return 0;
}
