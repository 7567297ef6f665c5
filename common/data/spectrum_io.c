#include "common/data/spectrum_io.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/fits_io.h"
#include "common/data/product_asdf.h"

/* The columns of EXTRACT1D, in the peer's order. */
static const struct spectrum_column {
    const char *name, *unit;
    size_t offset; /* of the pointer in struct spectrum */
    enum fits_type type;
} columns[] = {
#define DOUBLE(name, unit, member)                                                     \
    {                                                                                  \
        name, unit, offsetof(struct spectrum, member), FITS_DOUBLE                     \
    }
    DOUBLE("WAVELENGTH", "um", wavelength),
    DOUBLE("FLUX", "Jy", flux),
    DOUBLE("FLUX_ERROR", "Jy", flux_error),
    DOUBLE("FLUX_VAR_POISSON", "Jy^2", flux_var_poisson),
    DOUBLE("FLUX_VAR_RNOISE", "Jy^2", flux_var_rnoise),
    DOUBLE("FLUX_VAR_FLAT", "Jy^2", flux_var_flat),
    DOUBLE("SURF_BRIGHT", "MJy/sr", surf_bright),
    DOUBLE("SB_ERROR", "MJy/sr", sb_error),
    DOUBLE("SB_VAR_POISSON", "(MJy/sr)^2", sb_var_poisson),
    DOUBLE("SB_VAR_RNOISE", "(MJy/sr)^2", sb_var_rnoise),
    DOUBLE("SB_VAR_FLAT", "(MJy/sr)^2", sb_var_flat),
    {"DQ", "", offsetof(struct spectrum, dq), FITS_UINT32},
    DOUBLE("BACKGROUND", "MJy/sr", background),
    DOUBLE("BKGD_ERROR", "MJy/sr", bkgd_error),
    DOUBLE("BKGD_VAR_POISSON", "(MJy/sr)^2", bkgd_var_poisson),
    DOUBLE("BKGD_VAR_RNOISE", "(MJy/sr)^2", bkgd_var_rnoise),
    DOUBLE("BKGD_VAR_FLAT", "(MJy/sr)^2", bkgd_var_flat),
    DOUBLE("NPIXELS", "", npixels),
};
#define N_COLUMNS (sizeof columns / sizeof *columns)

/* Those of COMBINE1D. */
static const struct spectrum_column combined[] = {
    DOUBLE("WAVELENGTH", "um", wavelength),
    DOUBLE("FLUX", "Jy", flux),
    DOUBLE("ERROR", "Jy", flux_error),
    DOUBLE("SURF_BRIGHT", "MJy/sr", surf_bright),
    DOUBLE("SB_ERROR", "MJy/sr", sb_error),
    {"DQ", "", offsetof(struct spectrum, dq), FITS_UINT32},
    DOUBLE("WEIGHT", "", weight),
    DOUBLE("N_INPUT", "", n_inputs),
};
#define N_COMBINED (sizeof combined / sizeof *combined)

/* The array of a column. */
static void *data_of(const struct spectrum *s, const struct spectrum_column *column)
{
    void *data;
    memcpy(&data, (const char *)s + column->offset, sizeof data);
    return data;
}

/* The carried cards, and what the spectrum says itself where they do not. */
static int table_header(const struct spectrum *s, struct header *h, struct err *err)
{
    const struct {
        const char *keyword, *text, *comment;
    } texts[] = {
        {"SLTNAME", s->meta.exp_type, "Slit name"},
        {"SRCTYPE", s->source_type, "Source type used for calibration"},
        {"DETECTOR", s->meta.detector, "Name of detector used to acquire the data"}};
    const struct {
        const char *keyword;
        double value;
        const char *comment;
    } reals[] = {{"EXTR_X", s->extraction_x, "X center of extraction region"},
                 {"EXTR_Y", s->extraction_y, "Y center of extraction region"},
                 {"SLIT_RA", s->source_ra, "[deg] Right Ascension at middle of slit"},
                 {"SLIT_DEC", s->source_dec, "[deg] Declination at middle of slit"}};
    int code = header_copy(h, &s->table, err);
    if (s->weight) { /* combined: of no slit, detector or place on a cube */
        return code ? code
                    : header_set_string(h, "SRCTYPE", s->source_type,
                                        "Source type used for calibration", err);
    }
    for (size_t i = 0; !code && i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].text[0] && !header_find(h, texts[i].keyword)) {
            code = header_set_string(h, texts[i].keyword, texts[i].text,
                                     texts[i].comment, err);
        }
    }
    for (size_t i = 0; !code && i < sizeof reals / sizeof *reals; i++) {
        if (!header_find(h, reals[i].keyword)) {
            code = header_set_real(h, reals[i].keyword, reals[i].value,
                                   reals[i].comment, err);
        }
    }
    return code;
}

/* One EXTRACT1D or COMBINE1D; of several each has its number as EXTVER. */
static int write_table(const struct spectrum *s, int extver, struct fits_out *f,
                       struct err *err)
{
    struct header table = {0};
    struct fits_column out[N_COLUMNS] = {0};
    const struct spectrum_column *column = s->weight ? combined : columns;
    const size_t n = s->weight ? N_COMBINED : N_COLUMNS;
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct fits_column){.name = column[i].name,
                                      .unit = column[i].unit,
                                      .type = column[i].type,
                                      .repeat = 1,
                                      .data = data_of(s, &column[i])};
    }
    int code = table_header(s, &table, err);
    if (!code && extver > 0) {
        code = header_set_int(&table, "EXTVER", extver, "extension value", err);
    }
    code = code ? code
                : fits_out_table(f, s->weight ? "COMBINE1D" : "EXTRACT1D", &table, s->n,
                                 out, n, err);
    header_done(&table);
    return code;
}

int spectrum_write(const struct spectrum *s, const char *path, const char *filename,
                   const struct provenance *provenance, struct err *err)
{
    struct header primary = {0};
    struct fits_out *f = NULL;
    const char *model = s->weight ? "MultiCombinedSpecModel" : "MultiSpecModel";
    int extver = s->next ? 1 : 0;
    int code = header_copy(&primary, &s->primary, err);
    code =
        code ? code : provenance_to_header(provenance, filename, model, &primary, err);
    code = code ? code : fits_out_create(path, &f, err);
    code = code ? code : fits_out_primary(f, &primary, err);
    for (const struct spectrum *t = s; t && !code; t = t->next) {
        code = write_table(t, extver, f, err);
        extver++;
    }
    code = code ? code : product_asdf_plain(model, f, err);
    code = code ? code : provenance_write(provenance, f, err);
    header_done(&primary);
    if (code) {
        fits_out_discard(f);
        return code;
    }
    return fits_out_close(f, err);
}

/* A kind of table. */
struct kind {
    const char *extname;
    const struct spectrum_column *columns;
    size_t n;
};
static const struct kind extracted_kind = {"EXTRACT1D", columns, N_COLUMNS},
                         combined_kind = {"COMBINE1D", combined, N_COMBINED};

static int read_column(struct fits_in *f, int hdu, struct spectrum *s,
                       const struct kind *kind, size_t column, struct err *err)
{
    double *values = NULL;
    int64_t *flags = NULL;
    size_t repeat = 0;
    const struct spectrum_column *c = &kind->columns[column];
    const char *name = c->name;
    if (c->type == FITS_DOUBLE) {
        int code = fits_in_column_doubles(f, hdu, name, &values, &repeat, err);
        if (!code && repeat == 1) {
            memcpy(data_of(s, c), values, s->n * sizeof *values);
        }
        free(values);
        return code || repeat == 1
                   ? code
                   : err_set(err, ERR_INPUT, "%s: column %s: expected one value a row",
                             kind->extname, name);
    }
    int code = fits_in_column_ints(f, hdu, name, &flags, &repeat, err);
    for (size_t i = 0; !code && repeat == 1 && i < s->n; i++) {
        s->dq[i] = (uint32_t)flags[i];
    }
    free(flags);
    return code;
}

/* The spectrum of one extension. */
static int read_table(struct fits_in *f, int hdu, const struct kind *kind,
                      const char *path, struct spectrum **ret, struct err *err)
{
    const char *type = "";
    struct spectrum *s = spectrum_new(fits_in_hdu(f, hdu)->rows, err);
    if (!s) {
        return ERR_NOMEM;
    }
    int code = 0;
    if (kind == &combined_kind) {
        s->weight = mem_calloc(s->n, sizeof *s->weight, err);
        s->n_inputs = mem_calloc(s->n, sizeof *s->n_inputs, err);
        code = s->weight && s->n_inputs ? 0 : ERR_NOMEM;
    }
    code = code ? code : fits_in_header(f, 0, &s->primary, err);
    code = code ? code : fits_in_header(f, hdu, &s->table, err);
    for (size_t i = 0; !code && i < kind->n; i++) {
        code = read_column(f, hdu, s, kind, i, err);
    }
    if (code) {
        spectrum_free(s);
        return code;
    }
    header_get_string(&s->table, "SRCTYPE", &type);
    snprintf(s->source_type, sizeof s->source_type, "%s", type);
    header_get_real(&s->table, "EXTR_X", &s->extraction_x);
    header_get_real(&s->table, "EXTR_Y", &s->extraction_y);
    header_get_real(&s->table, "SLIT_RA", &s->source_ra);
    header_get_real(&s->table, "SLIT_DEC", &s->source_dec);
    snprintf(s->filename, sizeof s->filename, "%s", path_base(path));
    exposure_glean_meta(&s->primary, &s->table, s->filename, &s->meta);
    *ret = s;
    return 0;
}

static int read_kind(const char *path, const struct kind *kind, struct spectrum **ret,
                     struct err *err)
{
    struct fits_in *f = NULL;
    struct spectrum *first = NULL, **last = &first;
    int hdu;
    int code = fits_in_open(path, ERR_INPUT, &f, err);
    code = code ? code : fits_in_need(f, kind->extname, &hdu, err);
    for (int i = code ? 0 : hdu; !code && i < fits_in_count(f); i++) {
        if (!strcasecmp(fits_in_hdu(f, i)->extname, kind->extname)) {
            code = read_table(f, i, kind, path, last, err);
            last = code ? last : &(*last)->next;
        }
    }
    fits_in_close(f);
    if (code) {
        spectrum_free(first);
        return code;
    }
    *ret = first;
    return 0;
}

int spectrum_read(const char *path, struct spectrum **ret, struct err *err)
{
    return read_kind(path, &extracted_kind, ret, err);
}

int spectrum_read_combined(const char *path, struct spectrum **ret, struct err *err)
{
    return read_kind(path, &combined_kind, ret, err);
}
