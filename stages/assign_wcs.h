#ifndef IFUD_STAGES_ASSIGN_WCS_H
#define IFUD_STAGES_ASSIGN_WCS_H

#include <stdbool.h>
#include "stages/stage.h"

/*
 * Build the WCS of one exposure with the references that env chooses for it.
 *
 * Given:     e       meta, nx and ny (no pixel is read)
 *            y_slit  double[2]  ends of a slit, or NULL: the peer's -0.55 and 0.55
 *            planes  also make e->regions and e->wavelength
 * Returned:  e->wcs (replaces what was there), and the planes
 * Errors:    those of wcs_build and of choosing and loading references
 * Thread:    that of env. Test: tests/stages/test_assign_wcs.c
 */
int assign_wcs_exposure(const struct stage_env *env, struct exposure *e,
                        const double y_slit[2], bool planes, struct err *err);

#endif
