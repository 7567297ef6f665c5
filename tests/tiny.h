#ifndef IFUD_TESTS_TINY_H
#define IFUD_TESTS_TINY_H

/*
 * Simulated exposures that spec2 reduces to cube and spectrum in a tenth of a second: a
 * window of 16 x 16 pixels of one slice (G395M, NRS1), 35 kB, planes of 0.05 um. The
 * flats, 230 MB, are left out.
 */

/* Members of a configuration: what makes the cubes small; groups never come to a spec3. */
#define TINY_SETTINGS                                                                  \
    "\"group_quiet_seconds\": 86400, "                                                 \
    "\"spec2_settings\": [\"flat_field.skip=true\", \"cube_build.scalexy=0.3\", "      \
    "\"cube_build.scalew=0.05\"]"

/* "jw01234001001_02101_<dither>_nrs1" + end, with begin before it; in a ring of eight. */
const char *tiny_name(const char *begin, int dither, const char *end);

/* References and a first exposure into the folder `references`. */
void tiny_make(const char *references);

/*
 * Dithers first..last (to 998) as <folder>/<name>_rate.fits, each there at once (on the
 * file system of the references). The group is announced as larger than they are.
 */
void tiny_expose(const char *references, const char *folder, int first, int last);

#endif
