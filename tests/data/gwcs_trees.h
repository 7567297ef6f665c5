#ifndef IFUD_TESTS_GWCS_TREES_H
#define IFUD_TESTS_GWCS_TREES_H

/*
 * Trees of a gWCS of 30 straight slices, in the forms that exposures carry. Slice k
 * (1..30) has rows 20 k - 8 to 20 k + 8; pixel (x, y) of it is at
 * across = 0.0008 k, along = 1e-5 (y - 20 k), lam = 3e-6 + 1e-8 x (m);
 * RA = 10 + 100 across, Dec = -20 + 100 along (degrees).
 * The caller frees the text, a whole ASDF file without blocks.
 */
enum gwcs_form {
    GWCS_BY_PIXEL, /* jwst 1.19 and later */
    GWCS_BY_NAME,  /* the same with nrs_ifu_slice_wcs */
    GWCS_OLD       /* jwst 1.8 to 1.18 */
};
char *gwcs_tree(enum gwcs_form form);

/* An exposure of one empty HDU and this content of an ASDF extension. */
void gwcs_write(const char *path, const char *content);

#endif
