#include "stages/trace_compact.h"

#include <stdlib.h>
#include "common/base/mem.h"

#define LEAST 50   /* steep positions that make a source */
#define HEIGHT 0.2 /* of a peak, in units of the highest bin */

int trace_compact_add(struct trace_compact *c, double alpha, struct err *err)
{
    if (c->n == c->room) {
        const size_t room = 2 * c->room + 1024;
        double *more = mem_realloc(c->steep, room, sizeof *more, err);
        if (!more) {
            return ERR_NOMEM;
        }
        c->steep = more;
        c->room = room;
    }
    c->steep[c->n++] = alpha;
    return 0;
}

/* Local maxima, the middle of flat ones, as scipy.signal.find_peaks. */
static void find_peaks(const size_t *count, size_t bins, double step, double low,
                       struct trace_compact *c)
{
    size_t highest = 0;
    for (size_t i = 0; i < bins; i++) {
        highest = count[i] > highest ? count[i] : highest;
    }
    for (size_t i = 1; i + 1 < bins; i++) {
        size_t end = i;
        if (count[i - 1] >= count[i]) {
            continue;
        }
        while (end + 1 < bins - 1 && count[end + 1] == count[i]) {
            end++;
        }
        if (count[end + 1] < count[i] && (double)count[i] >= HEIGHT * (double)highest) {
            c->peaks[c->n_peaks++] = low + (double)((i + end) / 2) * step / 2;
        }
        i = end;
    }
}

int trace_compact_find(struct trace_compact *c, double step, size_t bins, double pad,
                       struct err *err)
{
    const double low = -step * (double)bins / 4, high = -low;
    c->reach = pad * step;
    c->n_peaks = 0;
    if (c->n < LEAST || bins < 3) {
        return 0;
    }
    size_t *count = mem_calloc(bins, sizeof *count, err);
    free(c->peaks);
    c->peaks = mem_alloc(bins, sizeof *c->peaks, err);
    if (!count || !c->peaks) {
        free(count);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (c->steep[i] >= low && c->steep[i] <= high) {
            const size_t k =
                (size_t)((c->steep[i] - low) / (high - low) * (double)bins);
            count[k < bins ? k : bins - 1]++;
        }
    }
    find_peaks(count, bins, step, low, c);
    free(count);
    return 0;
}

bool trace_compact_is(const struct trace_compact *c, double alpha)
{
    for (size_t k = 0; k < c->n_peaks; k++) {
        if (alpha > c->peaks[k] - c->reach && alpha <= c->peaks[k] + c->reach) {
            return true;
        }
    }
    return false;
}

void trace_compact_done(struct trace_compact *c)
{
    free(c->steep);
    free(c->peaks);
    *c = (struct trace_compact){0};
}
