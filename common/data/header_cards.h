#ifndef IFUD_DATA_HEADER_CARDS_H
#define IFUD_DATA_HEADER_CARDS_H

#include <stdbool.h>
#include "common/base/err.h"
#include "common/data/header.h"

/*
 * Header cards from and to the 80-byte lines of a FITS file: quoted strings, long
 * strings over CONTINUE lines, HIERARCH keywords, commentary.
 * Reference: FITS Standard 4.0, section 4. Thread: any. Test: tests/data/test_header.c
 */
#define HEADER_LINE 80
#define HEADER_MAX_TEXT 65536 /* bytes of a long string */

/* Is this keyword part of the structure of an HDU (never carried from file to file)?
 * of_table: the columns' keywords count too. */
bool header_is_structural(const char *keyword, bool of_table);

/* Which cards count: without those of the structure of an image or a table, or all. */
enum header_part { HEADER_OF_IMAGE, HEADER_OF_TABLE, HEADER_WHOLE };

/*
 * Add one line (up to 80 bytes, trailing blanks may be missing) to h if it counts. A
 * CONTINUE line is joined to the string before it, up to HEADER_MAX_TEXT.
 */
int header_parse_line(struct header *h, const char *line, enum header_part part,
                      struct err *err);

/*
 * The lines of one card: `line` is called with each (exactly 80 bytes and a
 * terminator); it returns 0 to go on. Bytes outside printable ASCII become '?'.
 */
int header_format_card(const struct card *c,
                       int (*line)(void *arg, const char *text, struct err *err),
                       void *arg, struct err *err);

#endif
