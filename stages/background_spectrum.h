#ifndef IFUD_STAGES_BACKGROUND_SPECTRUM_H
#define IFUD_STAGES_BACKGROUND_SPECTRUM_H

#include <stddef.h>
#include "common/base/err.h"
#include "common/data/spectrum.h"
#include "stages/stage.h"

/*
 * The sky's spectrum: combined from those of background exposures, or a user's.
 * Only wavelength, surf_bright, sb_error, dq and npixels are filled; wavelengths ascend
 * strictly, and every row is good. The caller frees with spectrum_free.
 * Thread: any. Test: tests/stages/test_master_background.c
 */

/*
 * Read a user's: table EXTRACT1D (_x1d) or COMBINE1D (the peer's _masterbg1d), columns
 * WAVELENGTH (um) and SURF_BRIGHT (MJy/sr), SB_ERROR and DQ where they are. Rows that are not
 * finite or DO_NOT_USE are left out; the others are sorted. ERR_PARAM names file and what
 * is wrong.
 */
int background_spectrum_read(const char *path, struct spectrum **ret, struct err *err);

/*
 * Combine n >= 1 spectra as the peer's combine_1d does, weighted by exposure time.
 *
 * Of an extended source, and where BKGDTARG is false, BACKGROUND counts, else SURF_BRIGHT.
 * Output wavelengths are means of as many input wavelengths as spectra cover them; each
 * input row counts in the nearest. Rows that are DO_NOT_USE or not finite do not count.
 *
 *     S = sum(t s) / sum(t)      sigma = sqrt(sum(t^2 sigma_s^2)) / sum(t)
 *
 * Spectra whose wavelengths are not monotonic, or that have no good row, are left out, with a
 * warning. ERR_NODATA if none is left; npixels holds the number of spectra in each row.
 * Reference: jwst user documentation, "combine_1d".
 */
int background_spectrum_combine(const struct stage_env *env,
                                struct spectrum *const *spectra, size_t n,
                                struct spectrum **ret, struct err *err);

/*
 * A moving median over `width` rows (odd) of surf_bright; at the ends over those that are
 * there (the peer's counts zeros beyond them).
 */
int background_spectrum_smooth(struct spectrum *s, size_t width, struct err *err);

#endif
