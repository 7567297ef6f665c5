/*
 * FITS as the intake and the jobs read it: every HDU with its header, image and columns;
 * then as an exposure, and as the reference that it says it is.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/cube_io.h"
#include "common/data/exposure_io.h"
#include "common/data/fits_io.h"
#include "common/data/header_cards.h"
#include "common/data/ref_flat.h"
#include "common/data/reference_index.h"
#include "common/data/references.h"
#include "daemon/planner.h"
#include "tests/fuzz/fuzz.h"

#define MAX_HDUS 16
#define MAX_COLUMNS 12
#define MAX_CARDS 300

static char columns[MAX_COLUMNS][72];
static size_t n_columns;

/* Names of columns, as the cards TTYPEn of the file have them. */
static void find_columns(const uint8_t *data, size_t n)
{
    n_columns = 0;
    for (size_t at = 0; at + 80 <= n && n_columns < MAX_COLUMNS; at += 80) {
        const char *card = (const char *)data + at;
        if (!memcmp(card, "TTYPE", 5) && card[10] == '\'') {
            size_t k = 0;
            while (k < 68 && card[11 + k] != '\'' && card[11 + k] != ' ') {
                k++;
            }
            memcpy(columns[n_columns], card + 11, k);
            columns[n_columns++][k] = '\0';
        }
    }
}

static int look_at_line(void *arg, const char *text, struct err *err)
{
    (void)arg;
    (void)err;
    fuzz_must(strlen(text) == 80, "a card is not 80 bytes long");
    return 0;
}

static void read_header(struct fits_in *f, int hdu)
{
    struct header h = {0};
    struct err err = {0};
    if (!fits_in_header(f, hdu, &h, &err)) {
        for (size_t i = 0; i < h.n && i < MAX_CARDS; i++) {
            const char *text;
            double real;
            long whole;
            bool truth;
            header_get_string(&h, h.cards[i].keyword, &text);
            header_get_real(&h, h.cards[i].keyword, &real);
            header_get_int(&h, h.cards[i].keyword, &whole);
            header_get_bool(&h, h.cards[i].keyword, &truth);
            header_format_card(&h.cards[i], look_at_line, NULL, &err);
        }
    }
    header_done(&h);
}

static void read_image(struct fits_in *f, int hdu)
{
    struct err err = {0};
    float *floats = NULL;
    double *doubles = NULL;
    uint32_t *words = NULL;
    fits_in_floats(f, hdu, &floats, &err);
    fits_in_doubles(f, hdu, &doubles, &err);
    fits_in_uint32s(f, hdu, &words, &err);
    free(floats);
    free(doubles);
    free(words);
}

static void read_table(struct fits_in *f, int hdu)
{
    for (size_t i = 0; i < n_columns; i++) {
        struct err err = {0};
        double *doubles = NULL;
        int64_t *ints = NULL;
        char **texts = NULL, unit[72];
        size_t repeat = 0;
        if (!fits_in_has_column(f, hdu, columns[i], &repeat, unit)) {
            continue;
        }
        fits_in_column_doubles(f, hdu, columns[i], &doubles, &repeat, &err);
        fits_in_column_ints(f, hdu, columns[i], &ints, &repeat, &err);
        if (!fits_in_column_strings(f, hdu, columns[i], &texts, &err)) {
            for (size_t k = 0; k < fits_in_hdu(f, hdu)->rows; k++) {
                fuzz_must(strlen(texts[k]) < (size_t)1 << 30, "text without an end");
            }
        }
        free(doubles);
        free(ints);
        free(texts);
    }
}

static bool read_all(const char *path)
{
    struct err err = {0};
    struct fits_in *f = NULL;
    if (fits_in_open(path, ERR_INPUT, &f, &err)) {
        fuzz_must(err.message[0] != '\0', "refused without a word");
        return false;
    }
    for (int i = 0; i < fits_in_count(f) && i < MAX_HDUS; i++) {
        read_header(f, i);
        if (fits_in_hdu(f, i)->kind == FITS_TABLE) {
            read_table(f, i);
        } else {
            read_image(f, i);
        }
    }
    fits_in_close(f);
    return true;
}

static void read_exposure(const char *path)
{
    struct err err = {0};
    struct exposure *e = NULL;
    struct cube *c = NULL;
    struct queue_exposure row;
    if (!exposure_read_headers(path, &e, &err)) {
        planner_describe(&e->meta, "jw01234_nrs1_rate.fits", &row, &err);
        exposure_free(e);
        e = NULL;
    }
    if (!exposure_read_headers_alone(path, &e, &err)) {
        exposure_free(e);
        e = NULL;
    }
    if (!exposure_read(path, &e, &err)) {
        exposure_free(e);
        e = NULL;
    }
    if (!exposure_read_for_cube(path, NULL, &e, &err)) {
        exposure_free(e);
    }
    if (!cube_read(path, &c, &err)) {
        cube_free(c);
    }
}

/* Some rows of what stays on disk. */
static void read_flat(const struct ref_flat *r)
{
    uint32_t words[64];
    float floats[64];
    struct err err = {0};
    for (size_t plane = 0; plane < r->dq.n && plane < 3; plane++) {
        size_t n = r->dq.nx < 64 ? r->dq.nx : 64;
        ref_flat_dq(r, plane, 0, r->dq.ny - 1, n, words, &err);
    }
    for (size_t plane = 0; plane < r->sci.n && plane < 3; plane++) {
        size_t n = r->sci.nx < 64 ? r->sci.nx : 64;
        ref_planes_floats(&r->sci, plane, r->sci.nx - n, r->sci.ny - 1, n, floats,
                          &err);
    }
}

static void read_reference(const char *path)
{
    struct err err = {0};
    struct reference_entry entry;
    if (reference_entry_read(path, &entry, &err)) {
        return;
    }
    for (const struct reference_type *t = reference_types; t->type; t++) {
        void *object = NULL;
        size_t bytes = 0;
        if (!t->is_asdf && !strcmp(t->type, entry.type) &&
            !t->load(path, &object, &bytes, &err)) {
            if (t->free == ref_flat_free) {
                read_flat(object);
            }
            t->free(object);
        }
    }
    reference_entry_done(&entry);
}

void fuzz_fits(const uint8_t *data, size_t n)
{
    const char *path = fuzz_file("x.fits", data, n);
    fits_may_begin((const char *)data, n);
    find_columns(data, n);
    if (read_all(path)) {
        read_exposure(path);
        read_reference(path);
    }
}
