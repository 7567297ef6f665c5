#ifndef IFUD_STAGES_COMBINE_WAVELENGTHS_H
#define IFUD_STAGES_COMBINE_WAVELENGTHS_H

#include <stddef.h>
#include "common/base/err.h"

/* Wavelengths of one spectrum: n >= 2, all ascending or all descending (um). */
struct wavelength_list {
    const double *um;
    size_t n;
};

/*
 * The grid of a combined spectrum: of combine_1d, and of the background that
 * master_background takes off. All wavelengths are sorted into one list; where m spectra
 * overlap, m of them that lie closer together than their neighbours are one element, their
 * mean; what is left between is filled with means of m.
 * Given:     lists, n
 * Returned:  *ret (n of them, each above the last; free with free()); 0 or ERR_NOMEM
 * Thread:    any. Reference: jwst 3.0.0 combine_1d.
 * Test:      tests/stages/test_combine_1d.c, test_master_background.c
 */
int combine_wavelengths(const struct wavelength_list *lists, size_t n, double **ret,
                        size_t *ret_n, struct err *err);

#endif
