#include "stages/cube_survey.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/wcs.h"
#include "common/math/robust.h"
#include "stages/background_record.h"
#include "stages/cube_geometry.h"

#define DEGREE (M_PI / 180)

/* Four corners on the sky: the box in RA and Dec that S_REGION holds, to its nine
 * decimals; a turned grid or a moving target needs the pixels themselves. */
static int corners(const struct stage_env *env, const struct exposure *e, bool turned,
                   double ra[4], double dec[4], struct err *err)
{
    const char *kind = NULL;
    bool moving = header_get_string(&e->primary, "TARGTYPE", &kind) &&
                  !strcasecmp(kind, "MOVING");
    if (turned || moving) {
        return cube_extremes(e->wcs, e->meta.ra_ref, env->par, env->cancel, ra, dec,
                             err);
    }
    double box[8];
    wcs_footprint(e->wcs, box);
    for (int k = 0; k < 4; k++) {
        ra[k] = round(box[2 * k] * 1e9) / 1e9;
        dec[k] = round(box[2 * k + 1] * 1e9) / 1e9;
    }
    return 0;
}

/* The angle of the slices on the sky, from two points along the middle of the slicer, at
 * the median wavelength of the first slice (as the peer). */
static int angle_of_slices(const struct wcs *w, double *ret, struct err *err)
{
    enum { RUN = 256 };
    const struct wcs_box box = wcs_bounding_box(w, 1);
    const double x0 = floor(box.x_min + 0.5), x1 = ceil(box.x_max - 0.5);
    const double y0 = floor(box.y_min + 0.5), y1 = ceil(box.y_max - 0.5);
    double um[2];
    int order;
    wcs_wavelength_range(w, &um[0], &um[1], &order);
    double middle = (um[0] + um[1]) / 2 * 1e-6;
    if (x1 >= x0 && y1 >= y0) {
        const size_t most = (size_t)(x1 - x0 + 1) * (size_t)(y1 - y0 + 1);
        float *all = mem_alloc(most, sizeof *all, err);
        size_t n = 0;
        if (!all) {
            return ERR_NOMEM;
        }
        for (double row = y0; row <= y1; row++) {
            for (double col = x0; col <= x1; col += RUN) {
                double x[RUN], y[RUN], across[RUN], along[RUN], lam[RUN];
                size_t m = 0;
                for (; m < RUN && col + (double)m <= x1; m++) {
                    x[m] = col + (double)m;
                    y[m] = row;
                }
                wcs_detector_to_slicer(w, 1, m, x, y, across, along, lam);
                for (size_t i = 0; i < m; i++) {
                    if (isfinite(lam[i])) {
                        all[n++] = (float)lam[i];
                    }
                }
            }
        }
        middle = n ? (double)robust_median(all, n) : middle;
        free(all);
    }
    const double across[2] = {0, 0}, along[2] = {0, 0.005};
    const double lam[2] = {middle, middle};
    double ra[2], dec[2], unused[2];
    wcs_slicer_to_sky(w, 2, across, along, lam, ra, dec, unused);
    *ret = 90 + atan2(remainder(ra[1] - ra[0], 360) * cos(dec[0] * DEGREE),
                      dec[1] - dec[0]) /
                    DEGREE;
    return 0;
}

static int add_band(struct cube_survey *s, const struct exposure_meta *m, bool several,
                    struct err *err)
{
    for (size_t b = 0; b < s->n_bands; b++) {
        if (!strcasecmp(m->grating, s->bands[b].grating) &&
            !strcasecmp(m->filter, s->bands[b].filter)) {
            return 0;
        }
    }
    if (s->n_bands && !several) {
        return err_set(err, ERR_INPUT,
                       "%s is %s/%s but %s is %s/%s: a cube is made of one disperser "
                       "and filter, unless output_type is multi or grating and filter "
                       "choose",
                       m->filename, m->grating, m->filter, s->meta.filename,
                       s->meta.grating, s->meta.filter);
    }
    if (s->n_bands == CUBE_BANDS) {
        return err_set(err, ERR_INPUT, "%s: more than %d pairs of disperser and filter",
                       m->filename, CUBE_BANDS);
    }
    struct cube_band_name *b = &s->bands[s->n_bands++];
    snprintf(b->grating, sizeof b->grating, "%s", m->grating);
    snprintf(b->filter, sizeof b->filter, "%s", m->filter);
    return 0;
}

static int check(struct cube_survey *s, const struct exposure *e, bool several,
                 struct err *err)
{
    if (!e->wcs) {
        return err_set(err, ERR_INPUT,
                       "%s has no WCS: run assign_wcs before cube_build",
                       e->meta.filename);
    }
    if (strncasecmp(e->meta.bunit, "MJy/sr", 6)) {
        return err_set(
            err, ERR_INPUT,
            "%s: BUNIT is '%s', expected MJy/sr: cube_build takes what photom "
            "has calibrated",
            e->meta.filename, e->meta.bunit);
    }
    return add_band(s, &e->meta, several, err);
}

static int place(const struct stage_env *env, const struct cube_survey_request *rq,
                 const struct cube_offsets *offsets, const struct exposure *e, size_t i,
                 struct cube_survey *s, struct err *err)
{
    int code = corners(env, e, rq->turned, s->ra + 4 * i, s->dec + 4 * i, err);
    if (!code && i == 0 && rq->ifu) {
        code = angle_of_slices(e->wcs, &s->ifu_pa, err);
    }
    if (code) {
        return err_prefix(err, "%s", e->meta.filename);
    }
    s->pointing[i][0] = e->meta.ra_ref;
    s->pointing[i][1] = e->meta.dec_ref;
    if (offsets) {
        code = cube_offsets_find(offsets, rq->offset_file, e->meta.filename,
                                 s->offset[i], err);
        for (size_t k = 4 * i; k < 4 * i + 4 && !code; k++) {
            cube_offset_apply(s->offset[i], &s->ra[k], &s->dec[k]);
        }
    }
    return code;
}

static int survey_one(const struct stage_env *env, struct dataset *data, size_t i,
                      const struct cube_survey_request *rq,
                      const struct cube_offsets *offsets, struct cube_survey *s,
                      struct err *err)
{
    struct exposure *e = NULL;
    int code = dataset_open(data, i, false, &e, err);
    if (code) {
        return code;
    }
    const bool takes = cube_choice_takes(&rq->choice, e->meta.grating, e->meta.filter);
    if (i == 0 || (takes && s->n == 0)) {
        s->meta = e->meta;
    }
    if (!takes) {
        dataset_close(data, i, e);
        return 0;
    }
    code = check(s, e, rq->several, err);
    code = code ? code : place(env, rq, offsets, e, s->n, s, err);
    code = code ? code : header_blend_add(&s->headers, &e->primary, &e->science, err);
    if (!code) {
        s->backgrounds[s->n] = mem_strdup(background_recorded(&e->primary), err);
        code = s->backgrounds[s->n] ? 0 : ERR_NOMEM;
        s->at[s->n++] = i;
    }
    dataset_close(data, i, e);
    return code;
}

int cube_survey_make(const struct stage_env *env, struct dataset *data,
                     const struct cube_survey_request *rq, struct cube_survey *ret,
                     struct err *err)
{
    struct cube_survey s = {0};
    const size_t n = dataset_n(data);
    struct cube_offsets *offsets = NULL;
    int code = rq->offset_file ? cube_offsets_read(rq->offset_file, &offsets, err) : 0;
    if (!code) {
        s.at = mem_alloc(n, sizeof *s.at, err);
        s.ra = mem_alloc(4 * n, sizeof *s.ra, err);
        s.dec = mem_alloc(4 * n, sizeof *s.dec, err);
        s.backgrounds = mem_calloc(n, sizeof *s.backgrounds, err);
        s.pointing = mem_calloc(n, sizeof *s.pointing, err);
        s.offset = offsets ? mem_calloc(n, sizeof *s.offset, err) : NULL;
        code = s.at && s.ra && s.dec && s.backgrounds && s.pointing &&
                       (s.offset || !offsets)
                   ? 0
                   : ERR_NOMEM;
    }
    for (size_t i = 0; i < n && !code; i++) {
        code = survey_one(env, data, i, rq, offsets, &s, err);
    }
    code = code || !s.n ? code : header_blend_finish(&s.headers, err);
    cube_offsets_free(offsets);
    if (code) {
        cube_survey_done(&s);
        return code;
    }
    *ret = s;
    return 0;
}

void cube_survey_done(struct cube_survey *s)
{
    for (size_t i = 0; i < s->n && s->backgrounds; i++) {
        free(s->backgrounds[i]);
    }
    free(s->backgrounds);
    free(s->at);
    free(s->pointing);
    free(s->offset);
    free(s->ra);
    free(s->dec);
    header_blend_done(&s->headers);
    *s = (struct cube_survey){0};
}

/* ---- the bands --------------------------------------------------------------------- */

/* Later in the peer's list of dispersers and filters is larger. */
static int rank(const struct cube_band_name *b)
{
    static const char *const order[] = {"G140M F070LP", "G140H F070LP", "G140M F100LP",
                                        "G140H F100LP", "G235M F170LP", "G235H F170LP",
                                        "G395M F290LP", "G395H F290LP", "PRISM CLEAR"};
    char name[40];
    snprintf(name, sizeof name, "%s %s", b->grating, b->filter);
    for (int i = 0; i < (int)(sizeof order / sizeof *order); i++) {
        if (!strcasecmp(name, order[i])) {
            return i;
        }
    }
    return -1;
}

int cube_survey_row(const struct cube_survey *s, const struct ref_cubepar *par,
                    struct ref_cubepar_row *ret, const char **ret_disperser,
                    struct err *err)
{
    int last = -2;
    for (size_t b = 0; b < s->n_bands; b++) {
        const struct cube_band_name *band = &s->bands[b];
        const struct ref_cubepar_row *row =
            ref_cubepar_find(par, band->grating, band->filter);
        if (!row) {
            return err_set(err, ERR_REFERENCE,
                           "cubepar has no row for %s/%s (needed by %s)", band->grating,
                           band->filter, s->meta.filename);
        }
        if (b == 0) {
            *ret = *row;
        }
        ret->wave_min_um = fmin(ret->wave_min_um, row->wave_min_um);
        ret->wave_max_um = fmax(ret->wave_max_um, row->wave_max_um);
        ret->spaxel_arcsec = fmin(ret->spaxel_arcsec, row->spaxel_arcsec);
        if (rank(band) > last) {
            last = rank(band);
            *ret_disperser = band->grating;
        }
    }
    return 0;
}

/* ---- shared backgrounds ------------------------------------------------------------ */

/* Are the errors of their background the same? */
static bool are_partners(const struct cube_survey *s, size_t i, size_t j)
{
    return i != j && s->backgrounds[i][0] &&
           !strcmp(s->backgrounds[i], s->backgrounds[j]);
}

size_t cube_survey_partners(const struct cube_survey *s, size_t i)
{
    size_t partners = 0;
    for (size_t j = 0; j < s->n; j++) {
        partners += are_partners(s, i, j);
    }
    return partners;
}

bool cube_survey_shares(const struct cube_survey *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (cube_survey_partners(s, i)) {
            return true;
        }
    }
    return false;
}

int cube_survey_share(const struct cube_survey *s, struct cube *c, struct err *err)
{
    const size_t n = s->n;
    const size_t voxels = (size_t)c->nx * (size_t)c->ny * (size_t)c->nw;
    size_t pairs = 0;
    for (size_t i = 0; i < n; i++) {
        pairs += cube_survey_partners(s, i);
    }
    if (!pairs) {
        return 0;
    }
    if (!c->file) {
        c->var_background = mem_calloc(voxels, sizeof *c->var_background, err);
    }
    c->pair_arcsec = mem_alloc(pairs, sizeof *c->pair_arcsec, err);
    if (!c->var_background || !c->pair_arcsec) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            if (are_partners(s, i, j)) {
                const double *a = s->pointing[i], *b = s->pointing[j];
                const double east = remainder(a[0] - b[0], 360) * cos(a[1] * DEGREE);
                c->pair_arcsec[c->n_pairs++] = 3600 * hypot(east, a[1] - b[1]);
            }
        }
    }
    return 0;
}
