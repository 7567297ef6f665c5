#ifndef IFUD_STAGES_CUBE_SURVEY_H
#define IFUD_STAGES_CUBE_SURVEY_H

#include "common/data/cube.h"
#include "common/data/ref_cubepar.h"
#include "stages/cube_choice.h"
#include "stages/cube_header.h"
#include "stages/cube_offsets.h"
#include "stages/stage.h"

/*
 * What cube_build has to know of all exposures before it opens the pixels of the first:
 * where they lie, of which dispersers they are, what they have in common.
 * Ownership: cube_survey_done. Thread: that of the stage.
 * Test: tests/stages/test_cube_build.c
 */

#define CUBE_BANDS 16 /* pairs of disperser and filter */

struct cube_band_name {
    char grating[16], filter[16];
};

struct cube_survey {
    size_t n;   /* exposures that go into the cube */
    size_t *at; /* which ones of the dataset */
    struct header_blend headers;
    struct exposure_meta meta; /* of the first exposure */
    double *ra, *dec;          /* four corners per exposure, degrees */
    char **backgrounds;        /* what was subtracted (background_record.h) */
    double (*pointing)[2];     /* RA_REF, DEC_REF */
    double (*offset)[2];       /* arcsec; NULL: no offset_file */
    struct cube_band_name bands[CUBE_BANDS];
    size_t n_bands;
    double
        ifu_pa; /* angle of the slices of the first exposure, degrees; ifualign only */
};

/* What the survey is for. */
struct cube_survey_request {
    struct cube_choice choice;
    bool turned;             /* the grid does not stand along RA and Dec */
    bool ifu;                /* it stands along the slices */
    bool several;            /* dispersers may differ */
    const char *offset_file; /* NULL: none */
};

/*
 * Open all exposures once, without pixels; from then on those that are not chosen do not
 * count. Without any, ret->n is 0 and ret->meta that of the first.
 * Errors: ERR_INPUT: an exposure without WCS, of another disperser or not in MJy/sr;
 * ERR_PARAM: offset_file
 */
int cube_survey_make(const struct stage_env *env, struct dataset *data,
                     const struct cube_survey_request *rq, struct cube_survey *ret,
                     struct err *err);
void cube_survey_done(struct cube_survey *s);

/*
 * The row of cubepar for all bands together: the smallest spaxel, the widest range.
 * Returned:  *ret; *ret_disperser: whose tables of wavelengths hold (that of the last in
 *            the peer's order: from short to long wavelengths, M before H, the prism last)
 */
int cube_survey_row(const struct cube_survey *s, const struct ref_cubepar *par,
                    struct ref_cubepar_row *ret, const char **ret_disperser,
                    struct err *err);

/* How many exposures had the same background taken off as exposure i. */
size_t cube_survey_partners(const struct cube_survey *s, size_t i);
bool cube_survey_shares(const struct cube_survey *s); /* any at all? */
/* Room in the cube for the errors that exposures share, where any do, and how far these
 * look from each other. */
int cube_survey_share(const struct cube_survey *s, struct cube *c, struct err *err);

#endif
