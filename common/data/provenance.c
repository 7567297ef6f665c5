#include "common/data/provenance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"

#define EXTNAME "IFUD_PROVENANCE"
#define N_COLUMNS 5

static const char *const kind_names[] = {
    [PROVENANCE_INPUT] = "input",
    [PROVENANCE_REFERENCE] = "reference",
    [PROVENANCE_PARAMETER] = "parameter",
    [PROVENANCE_FINGERPRINT] = "fingerprint",
};

/* Keyword of each reference type, as the observatory's products name them. */
static const struct {
    const char *type, *keyword, *comment;
} references[] = {
    {"area", "R_AREA", "Pixel areas"},
    {"camera", "R_CAMERA", "NIRSpec camera model"},
    {"chromcorr", "R_CHRCOR", "NIRSpec chromatic correction"},
    {"collimator", "R_COLLIM", "NIRSpec collimator model"},
    {"cubepar", "R_CUBPAR", "IFU cube parameters"},
    {"dflat", "R_DFLAT", "Detector flat"},
    {"disperser", "R_DISPER", "Disperser parameters"},
    {"extract1d", "R_EXTR1D", "1-D extraction parameters"},
    {"apcorr", "R_APCORR", "1-D extraction aperture correction"},
    {"fflat", "R_FFLAT", "Fore-optics flat"},
    {"flat", "R_FLAT", "Total flat given by the user"},
    {"fore", "R_FORE", "NIRSpec fore-optics model"},
    {"fpa", "R_FPA", "NIRSpec focal plane model"},
    {"ifufore", "R_IFUFOR", "IFU fore-optics model"},
    {"ifupost", "R_IFUPOS", "IFU post-optics model"},
    {"ifuslicer", "R_IFUSLI", "IFU slicer model"},
    {"msa", "R_MSA", "NIRSpec MSA model"},
    {"msaoper", "R_MSAOPE", "Failed shutters of the MSA"},
    {"ote", "R_OTE", "Telescope model"},
    {"pathloss", "R_PTHLOS", "Path loss"},
    {"photom", "R_PHOTOM", "Photometric calibration"},
    {"sflat", "R_SFLAT", "Spectrograph flat"},
    {"wavelengthrange", "R_WAVRAN", "Wavelength ranges"},
};

const char *provenance_keyword(const char *reference_type, const char **ret_comment)
{
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        if (!strcmp(references[i].type, reference_type)) {
            if (ret_comment) {
                *ret_comment = references[i].comment;
            }
            return references[i].keyword;
        }
    }
    return NULL;
}

static void item_done(struct provenance_item *item)
{
    free(item->stage);
    free(item->name);
    free(item->value);
}

void provenance_done(struct provenance *p)
{
    for (size_t i = 0; i < p->n; i++) {
        item_done(&p->items[i]);
    }
    free(p->items);
    *p = (struct provenance){0};
}

int provenance_add(struct provenance *p, enum provenance_kind kind, const char *stage,
                   const char *name, const char *value, const char *sha256,
                   struct err *err)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct provenance_item *have = &p->items[i];
        if (have->kind == kind && !strcmp(have->stage, stage) &&
            !strcmp(have->name, name) && !strcmp(have->value, value) &&
            !strcmp(have->sha256, sha256 ? sha256 : "")) {
            return 0;
        }
    }
    if (p->n == p->room) {
        size_t room = p->room ? 2 * p->room : 32;
        struct provenance_item *items = mem_realloc(p->items, room, sizeof *items, err);
        if (!items) {
            return ERR_NOMEM;
        }
        p->items = items;
        p->room = room;
    }
    struct provenance_item item = {.kind = kind};
    item.stage = mem_strdup(stage, err);
    item.name = item.stage ? mem_strdup(name, err) : NULL;
    item.value = item.name ? mem_strdup(value, err) : NULL;
    if (!item.value) {
        item_done(&item);
        return ERR_NOMEM;
    }
    snprintf(item.sha256, sizeof item.sha256, "%s", sha256 ? sha256 : "");
    p->items[p->n++] = item;
    return 0;
}

/* R_* of every reference; where exposures used different ones, the first. */
static int reference_keywords(const struct provenance *p, struct header *h,
                              struct err *err)
{
    bool done[sizeof references / sizeof *references] = {false};
    int code = 0;
    for (size_t i = 0; !code && i < p->n; i++) {
        const struct provenance_item *item = &p->items[i];
        for (size_t r = 0; r < sizeof references / sizeof *references; r++) {
            if (item->kind == PROVENANCE_REFERENCE && !done[r] &&
                !strcmp(item->name, references[r].type)) {
                code = header_set_string(h, references[r].keyword, item->value,
                                         references[r].comment, err);
                done[r] = true;
            }
        }
    }
    return code;
}

/* Which rules chose the references, and who asked them. */
static int context_keywords(const struct provenance *p, const char *version,
                            struct header *h, struct err *err)
{
    char program[48];
    if (!p->crds_context[0]) {
        header_remove(h, "CRDS_CTX");
        header_remove(h, "CRDS_VER");
        return 0;
    }
    snprintf(program, sizeof program, "ifud %s", version);
    int code = header_set_string(h, "CRDS_VER", program,
                                 "File selection software and its version", err);
    return code ? code
                : header_set_string(h, "CRDS_CTX", p->crds_context,
                                    "CRDS context (.pmap) of the ref files", err);
}

int provenance_to_header(const struct provenance *p, const char *filename,
                         const char *datamodl, struct header *h, struct err *err)
{
    const char *version = p && p->version[0] ? p->version : IFUD_VERSION;
    header_remove(h, "CAL_VER");
    header_remove(h, "CAL_VCS");
    int code = header_set_string(h, "FILENAME", filename, "Name of the file", err);
    code = code ? code
                : header_set_string(h, "DATAMODL", datamodl, "Type of data model", err);
    code = code ? code
                : header_set_string(h, "CAL_SW", "ifud", "Calibration software", err);
    code = code ? code : header_set_string(h, "IFUD_VER", version, "Its version", err);
    if (!code && p && p->date[0]) {
        code = header_set_string(h, "DATE", p->date, "UTC date file created", err);
    }
    if (!code && p && p->manifest_sha256[0]) {
        code = header_set_string(h, "IFUD_MAN", p->manifest_sha256,
                                 "SHA-256 of the job's manifest", err);
    }
    code = code || !p ? code : context_keywords(p, version, h, err);
    return code || !p ? code : reference_keywords(p, h, err);
}

/* ---- the table -------------------------------------------------------------------- */

static const char *const column_names[N_COLUMNS] = {"KIND", "STAGE", "NAME", "VALUE",
                                                    "SHA256"};

static const char *cell(const struct provenance_item *item, int column)
{
    const char *const cells[N_COLUMNS] = {kind_names[item->kind], item->stage,
                                          item->name, item->value, item->sha256};
    return cells[column];
}

int provenance_write(const struct provenance *p, struct fits_out *f, struct err *err)
{
    if (!p) {
        return 0;
    }
    const char **cells = mem_calloc(p->n * N_COLUMNS, sizeof *cells, err);
    if (!cells) {
        return ERR_NOMEM;
    }
    struct fits_column columns[N_COLUMNS] = {0};
    for (int c = 0; c < N_COLUMNS; c++) {
        size_t width = 1;
        for (size_t i = 0; i < p->n; i++) {
            const char *text = cell(&p->items[i], c);
            cells[(size_t)c * p->n + i] = text;
            width = strlen(text) > width ? strlen(text) : width;
        }
        columns[c] = (struct fits_column){.name = column_names[c],
                                          .type = FITS_STRING,
                                          .repeat = width,
                                          .data = cells + (size_t)c * p->n};
    }
    int code = fits_out_table(f, EXTNAME, NULL, p->n, columns, N_COLUMNS, err);
    free(cells);
    return code;
}

static int kind_of(const char *text)
{
    for (int k = PROVENANCE_INPUT; k <= PROVENANCE_FINGERPRINT; k++) {
        if (!strcmp(kind_names[k], text)) {
            return k;
        }
    }
    return -1;
}

static void text_of(const struct header *h, const char *keyword, char *ret, size_t size)
{
    const char *text = "";
    header_get_string(h, keyword, &text);
    snprintf(ret, size, "%s", text);
}

int provenance_read(struct fits_in *f, struct provenance *ret, struct err *err)
{
    char **columns[N_COLUMNS] = {0};
    struct provenance p = {0};
    struct header h = {0};
    int hdu;
    int code = fits_in_need(f, EXTNAME, &hdu, err);
    code = code ? code : fits_in_header(f, 0, &h, err);
    for (int c = 0; !code && c < N_COLUMNS; c++) {
        code = fits_in_column_strings(f, hdu, column_names[c], &columns[c], err);
    }
    size_t n = code ? 0 : fits_in_hdu(f, hdu)->rows;
    for (size_t i = 0; !code && i < n; i++) {
        int kind = kind_of(columns[0][i]);
        if (kind < 0) {
            code = err_set(err, ERR_INPUT,
                           EXTNAME ": KIND is '%.40s'; expected input, reference, "
                                   "parameter or fingerprint",
                           columns[0][i]);
        } else {
            code = provenance_add(&p, (enum provenance_kind)kind, columns[1][i],
                                  columns[2][i], columns[3][i], columns[4][i], err);
        }
    }
    if (!code) {
        text_of(&h, "IFUD_VER", p.version, sizeof p.version);
        text_of(&h, "IFUD_MAN", p.manifest_sha256, sizeof p.manifest_sha256);
        text_of(&h, "DATE", p.date, sizeof p.date);
    }
    for (int c = 0; c < N_COLUMNS; c++) {
        free(columns[c]);
    }
    header_done(&h);
    if (code) {
        provenance_done(&p);
        return code;
    }
    *ret = p;
    return 0;
}
