#include "common/data/spectrum.h"

#include <stdlib.h>
#include "common/base/mem.h"

#define N_COLUMNS 17

/* Where the pointer of each column of doubles stands. */
static void columns(struct spectrum *s, double **ret[N_COLUMNS])
{
    double **const all[N_COLUMNS] = {&s->wavelength,      &s->flux,
                                     &s->flux_error,      &s->flux_var_poisson,
                                     &s->flux_var_rnoise, &s->flux_var_flat,
                                     &s->surf_bright,     &s->sb_error,
                                     &s->sb_var_poisson,  &s->sb_var_rnoise,
                                     &s->sb_var_flat,     &s->background,
                                     &s->bkgd_error,      &s->bkgd_var_poisson,
                                     &s->bkgd_var_rnoise, &s->bkgd_var_flat,
                                     &s->npixels};
    for (int i = 0; i < N_COLUMNS; i++) {
        ret[i] = all[i];
    }
}

struct spectrum *spectrum_new(size_t n, struct err *err)
{
    struct spectrum *s = mem_calloc(1, sizeof *s, err);
    if (!s) {
        return NULL;
    }
    double **column[N_COLUMNS];
    columns(s, column);
    s->n = n;
    s->dq = mem_calloc(n, sizeof *s->dq, err);
    int ok = s->dq != NULL;
    for (int i = 0; ok && i < N_COLUMNS; i++) {
        *column[i] = mem_calloc(n, sizeof(double), err);
        ok = *column[i] != NULL;
    }
    if (!ok) {
        spectrum_free(s);
        return NULL;
    }
    return s;
}

void spectrum_free(struct spectrum *s)
{
    while (s) {
        struct spectrum *next = s->next;
        double **column[N_COLUMNS];
        columns(s, column);
        for (int i = 0; i < N_COLUMNS; i++) {
            free(*column[i]);
        }
        free(s->dq);
        free(s->weight);
        free(s->n_inputs);
        free(s->region);
        header_done(&s->primary);
        header_done(&s->table);
        free(s);
        s = next;
    }
}
