#ifndef IFUD_DATA_HEADER_H
#define IFUD_DATA_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"

/*
 * A FITS header in memory: an ordered list of cards, without the structural ones
 * (SIMPLE, XTENSION, BITPIX, NAXISn, PCOUNT, GCOUNT, TFIELDS, EXTEND, CHECKSUM, END).
 * Knows nothing of cfitsio. Keywords are compared without regard to case.
 * Ownership: the header owns its cards; strings returned are borrowed until the next
 * change. Thread: one writer, or many readers.
 */

enum card_type {
    CARD_STRING,
    CARD_BOOL,
    CARD_INT,
    CARD_REAL,
    CARD_COMMENT,
    CARD_BLANK
};

struct card {
    char keyword[72]; /* "RA_REF"; "COMMENT" and "HISTORY" are CARD_COMMENT */
    enum card_type type;
    char *text;    /* value without quotes ("T"/"F" for booleans), or comment */
    char *comment; /* behind the slash; "" if none */
};

struct header {
    struct card *cards;
    size_t n, room;
};

void header_done(struct header *h); /* frees the cards, leaves an empty header */
int header_copy(struct header *dst, const struct header *src, struct err *err);

const struct card *header_find(const struct header *h,
                               const char *keyword); /* or NULL */

/* Reads; return false (outputs untouched) if absent or not of that kind. */
bool header_get_string(const struct header *h, const char *keyword, const char **ret);
bool header_get_real(const struct header *h, const char *keyword, double *ret);
bool header_get_int(const struct header *h, const char *keyword, long *ret);
bool header_get_bool(const struct header *h, const char *keyword, bool *ret);

/* Writes: replace the value (keeping place and, if `comment` is NULL, comment) or
 * append. A real that is not finite is written as a keyword without a value. */
int header_set_string(struct header *h, const char *keyword, const char *value,
                      const char *comment, struct err *err);
int header_set_real(struct header *h, const char *keyword, double value,
                    const char *comment, struct err *err);
int header_set_int(struct header *h, const char *keyword, long value,
                   const char *comment, struct err *err);
int header_set_bool(struct header *h, const char *keyword, bool value,
                    const char *comment, struct err *err);
/* Append a card as read: type and text. A COMMENT, HISTORY or blank card is appended. */
int header_append(struct header *h, const char *keyword, enum card_type type,
                  const char *text, const char *comment, struct err *err);
void header_remove(struct header *h, const char *keyword);

#endif
