/*
 * Changes to FITS files, card by card: plain changes of bytes mostly shift the cards off
 * their places, and then the first check refuses the file.
 */
#include <stdio.h>
#include <string.h>
#include "tests/fuzz/fuzz.h"

#define CARD 80
#define BLOCK 2880

static const char *const values[] = {"0",
                                     "1",
                                     "-1",
                                     "2",
                                     "8",
                                     "16",
                                     "32",
                                     "64",
                                     "-32",
                                     "-64",
                                     "3",
                                     "10",
                                     "999",
                                     "1000",
                                     "2048",
                                     "65536",
                                     "2147483647",
                                     "-2147483648",
                                     "4294967296",
                                     "9223372036854775807",
                                     "1152921504606846976",
                                     "2305843009213693952",
                                     "T",
                                     "F",
                                     "1E400",
                                     "NaN",
                                     "-0.0",
                                     "1.5",
                                     "1E30",
                                     "''",
                                     "'A'",
                                     "'IMAGE'",
                                     "'BINTABLE'",
                                     "'TABLE'",
                                     "'1E'",
                                     "'0E'",
                                     "'1D'",
                                     "'1J'",
                                     "'2K'",
                                     "'8X'",
                                     "'1PE(3)'",
                                     "'1QD(9)'",
                                     "'16A'",
                                     "'20A5'",
                                     "'999999999999J'",
                                     "'4611686018427387904J'",
                                     "'1B'",
                                     "'1L'",
                                     "'1C'",
                                     "'0A'",
                                     "'-1E'",
                                     "'(1,2)'",
                                     "'(0)'",
                                     "'(99999999999,9)'",
                                     "'SCI'",
                                     "'ERR'",
                                     "'DQ'",
                                     "'VAR_POISSON'",
                                     "'VAR_RNOISE'",
                                     "'REGIONS'",
                                     "'RICE_1'",
                                     "'GZIP_1'",
                                     "'NRS1'",
                                     "'NRS2'",
                                     "'NRS_IFU'",
                                     "'2024-03-12'",
                                     "'text&'"};

static const char *const keywords[] = {
    "NAXIS",    "NAXIS1",   "NAXIS2",   "NAXIS3",  "BITPIX",   "PCOUNT",   "GCOUNT",
    "TFIELDS",  "TFORM1",   "TFORM2",   "TTYPE1",  "TTYPE2",   "TDIM1",    "TSCAL1",
    "TZERO1",   "TNULL1",   "THEAP",    "BSCALE",  "BZERO",    "BLANK",    "EXTNAME",
    "EXTVER",   "ZIMAGE",   "ZCMPTYPE", "ZBITPIX", "ZNAXIS",   "ZNAXIS1",  "ZTILE1",
    "ZNAME1",   "ZVAL1",    "GROUPS",   "EXTEND",  "SUBSTRT1", "SUBSIZE1", "SUBSIZE2",
    "NUMDTHPT", "PATT_NUM", "CONTINUE", "END"};

#define COUNT(a) ((unsigned)(sizeof(a) / sizeof *(a)))

static unsigned draw(unsigned *state, unsigned below)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

/* The offset of a card that is in use; after a few tries, of any. */
static size_t pick(const uint8_t *data, size_t n, unsigned *state)
{
    size_t at = 0;
    for (int i = 0; i < 8; i++) {
        at = CARD * (size_t)draw(state, (unsigned)(n / CARD));
        if (data[at] >= 'A' && data[at] <= 'Z' && data[at + 8] == '=') {
            break;
        }
    }
    return at;
}

/* "KEYWORD = value", padded. */
static void put(uint8_t *card, const char *keyword, const char *value)
{
    char line[CARD + 1];
    int is_text = value[0] == '\'';
    snprintf(line, sizeof line, is_text ? "%-8.8s= %-70s" : "%-8.8s= %20s%50s", keyword,
             value, "");
    memcpy(card, line, CARD);
}

static void change_value(uint8_t *card, unsigned *state)
{
    char keyword[9];
    memcpy(keyword, card, 8);
    keyword[8] = '\0';
    put(card, keyword, values[draw(state, COUNT(values))]);
}

/* A copy of one card before another; a card of the header's tail makes room. */
static void insert(uint8_t *data, size_t n, size_t at, const uint8_t card[CARD])
{
    size_t end = (at / BLOCK + 1) * BLOCK;
    end = end > n ? n : end;
    if (end >= at + CARD) {
        memmove(data + at + CARD, data + at, end - at - CARD);
        memcpy(data + at, card, CARD);
    }
}

size_t fuzz_cards_mutate(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    unsigned state = seed * 2654435761u + 1;
    uint8_t card[CARD];
    for (unsigned times = 1 + draw(&state, 3); times > 0; times--) {
        size_t at = pick(data, n, &state), from = pick(data, n, &state);
        memcpy(card, data + from, CARD);
        switch (draw(&state, 8)) {
        case 0:
        case 1:
            change_value(data + at, &state);
            break;
        case 2: /* one byte of the value */
            data[at + 10 + draw(&state, 30)] = (uint8_t)(32 + draw(&state, 95));
            break;
        case 3: /* exchanged */
            memcpy(data + from, data + at, CARD);
            memcpy(data + at, card, CARD);
            break;
        case 4:
            insert(data, n, at, card);
            break;
        case 5:
            put(card, keywords[draw(&state, COUNT(keywords))],
                values[draw(&state, COUNT(values))]);
            insert(data, n, at, card);
            break;
        case 6: /* away */
            if (at + 2 * CARD <= (at / BLOCK + 1) * BLOCK && at + 2 * CARD <= n) {
                size_t end = (at / BLOCK + 1) * BLOCK;
                end = end > n ? n : end;
                memmove(data + at, data + at + CARD, end - at - CARD);
                memset(data + end - CARD, ' ', CARD);
            }
            break;
        default: /* blocks off or on the end */
            if (draw(&state, 2) && n > 2 * BLOCK) {
                n -= BLOCK;
            } else if (n + BLOCK <= max) {
                memset(data + n, (int)draw(&state, 256), BLOCK);
                n += BLOCK;
            }
        }
    }
    return n;
}
