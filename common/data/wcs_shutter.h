#ifndef IFUD_DATA_WCS_SHUTTER_H
#define IFUD_DATA_WCS_SHUTTER_H

#include <stdint.h>
#include "common/data/ref_msa.h"
#include "common/data/wcs.h"

/*
 * The trace of an open shutter of the MSA on the detector of an IFU exposure: pixels that
 * see it (y_slit within the shutter) at any wavelength, within the box that the peer puts
 * around the trace of the nominal range.
 *
 * Given:      w        WCS of the exposure (its detector, camera, collimator, disperser)
 *             plane    from the shutter's quadrant to the MSA, 2 -> 2
 *             shutter  its place in the quadrant
 *             flag     bits to set
 * Changed:    dq       uint32_t[ny * nx]
 * Returned:   *ret_n   pixels of the trace on the array
 * Errors:     ERR_NOMEM; ERR_REFERENCE: there is no smooth way from shutter to grating
 * Thread:     any; one writer of dq. Reference: jwst user documentation,
 *             "msa_flagging". Test: tests/stages/test_msa_flagging.c
 */
int wcs_shutter_flag(const struct wcs *w, const struct transform *plane,
                     const struct msa_shutter *shutter, uint32_t flag, uint32_t *dq,
                     size_t *ret_n, struct err *err);

#endif
