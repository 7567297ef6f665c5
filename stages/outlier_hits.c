#include "stages/outlier_hits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"

static const struct {
    const char *keyword, *comment, *words;
} reasons[OUTLIER_REASONS] = {
    [OUTLIER_NEIGHBOURS] = {"OUTNEIGH",
                            "Pixels unlike their neighbours in all exposures",
                            "unlike their neighbours in every exposure"},
    [OUTLIER_NO_DIFFERENCE] = {"OUTNODIF", "Pixels by ifu_second_check",
                               "without a difference to a neighbour"},
    [OUTLIER_ABOVE] = {"OUTABOVE", "Pixels above what other exposures allow",
                       "above what other exposures allow"},
    [OUTLIER_BELOW] = {"OUTBELOW", "Pixels below what other exposures allow",
                       "below what other exposures allow"},
    [OUTLIER_TRACE_ABOVE] = {"OUTTRACA", "Pixels above the trace, no other exposure",
                             "above the trace of the one exposure"},
    [OUTLIER_TRACE_BELOW] = {"OUTTRACB", "Pixels below the trace, no other exposure",
                             "below the trace of the one exposure"},
    [OUTLIER_ADJACENT] = {"OUTADJAC", "Pixels beside a rejected one",
                          "beside one of these"},
};

int outlier_hits_new(size_t n_exposures, size_t n_lists, const char *method,
                     struct outlier_hits **ret, struct err *err)
{
    struct outlier_hits *h = mem_calloc(1, sizeof *h, err);
    if (!h) {
        return ERR_NOMEM;
    }
    h->n_exposures = n_exposures;
    h->n_lists = n_lists;
    h->method = method;
    h->filename = mem_calloc(n_exposures, sizeof *h->filename, err);
    h->list_of = mem_calloc(n_exposures, sizeof *h->list_of, err);
    h->lists = mem_calloc(n_lists, sizeof *h->lists, err);
    if (!h->filename || !h->list_of || !h->lists) {
        outlier_hits_free(h);
        return ERR_NOMEM;
    }
    *ret = h;
    return 0;
}

void outlier_hits_free(struct outlier_hits *h)
{
    if (!h) {
        return;
    }
    for (size_t i = 0; h->lists && i < h->n_lists; i++) {
        free(h->lists[i].index);
        free(h->lists[i].reason);
    }
    free(h->filename);
    free(h->list_of);
    free(h->lists);
    free(h);
}

int outlier_list_add(struct outlier_list *list, size_t index,
                     enum outlier_reason reason, struct err *err)
{
    if (list->n == list->room) {
        const size_t room = list->room ? 2 * list->room : 1024;
        uint32_t *i = mem_realloc(list->index, room, sizeof *i, err);
        list->index = i ? i : list->index;
        uint8_t *r = i ? mem_realloc(list->reason, room, sizeof *r, err) : NULL;
        if (!r) {
            return ERR_NOMEM;
        }
        list->reason = r;
        list->room = room;
    }
    list->index[list->n] = (uint32_t)index;
    list->reason[list->n++] = (uint8_t)reason;
    list->count[reason]++;
    return 0;
}

int outlier_hits_find(const struct outlier_hits *h, const char *filename,
                      const struct outlier_list **ret, struct err *err)
{
    for (size_t i = 0; i < h->n_exposures; i++) {
        if (!strcmp(h->filename[i], filename)) {
            *ret = &h->lists[h->list_of[i]];
            return 0;
        }
    }
    return err_set(err, ERR_BUG, "outlier_detection has not seen %s", filename);
}

int outlier_list_apply(const struct outlier_list *list, struct exposure *e,
                       struct err *err)
{
    free(e->outlier_reason);
    e->outlier_reason = mem_calloc(exposure_pixels(e), sizeof *e->outlier_reason, err);
    if (!e->outlier_reason) {
        return ERR_NOMEM;
    }
    for (size_t k = 0; k < list->n; k++) {
        const size_t i = list->index[k];
        exposure_reject(e, i, DQ_OUTLIER);
        e->outlier_reason[i] = list->reason[k];
    }
    return 0;
}

int outlier_list_describe(const struct outlier_list *list, const char *method,
                          bool counts, struct header *primary, struct err *err)
{
    int code = header_set_string(primary, "OUTMETH", method,
                                 "Method of outlier_detection", err);
    for (size_t r = 1; r < OUTLIER_REASONS && counts && !code; r++) {
        if (list->count[r]) {
            code = header_set_int(primary, reasons[r].keyword, (long)list->count[r],
                                  reasons[r].comment, err);
        }
    }
    return code;
}

void outlier_list_tell(const struct outlier_list *list, char *text, size_t size)
{
    size_t at = 0;
    snprintf(text, size, "none");
    for (size_t r = 1; r < OUTLIER_REASONS; r++) {
        if (list->count[r] && at < size) {
            const int n = snprintf(text + at, size - at, "%s%zu %s", at ? ", " : "",
                                   list->count[r], reasons[r].words);
            at += n > 0 ? (size_t)n : 0;
        }
    }
}
