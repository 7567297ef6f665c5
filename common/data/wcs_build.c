#include "common/data/wcs_build.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/wcs_private.h"

static const double light_m_s = 299792458.0;

const char *const wcs_reference_types[] = {
    "camera",          "collimator", "fore",      "ifufore", "ote",
    "chromcorr",       "fpa",        "disperser", "ifupost", "ifuslicer",
    "wavelengthrange", NULL};

void wcs_references_set(struct wcs_references *refs, size_t i, const void *object)
{
    static const size_t at[] = {offsetof(struct wcs_references, camera),
                                offsetof(struct wcs_references, collimator),
                                offsetof(struct wcs_references, fore),
                                offsetof(struct wcs_references, ifufore),
                                offsetof(struct wcs_references, ote),
                                offsetof(struct wcs_references, chromcorr),
                                offsetof(struct wcs_references, fpa),
                                offsetof(struct wcs_references, disperser),
                                offsetof(struct wcs_references, ifupost),
                                offsetof(struct wcs_references, ifuslicer),
                                offsetof(struct wcs_references, wavelengthrange)};
    memcpy((char *)refs + at[i], &object, sizeof object);
}

/* ---- what the headers must say ---- */

static int need(const struct exposure_meta *meta, const char *keyword, double value,
                struct err *err)
{
    if (isfinite(value)) {
        return 0;
    }
    return err_set(err, ERR_INPUT, "%s: %s is missing; the WCS needs it",
                   meta->filename, keyword);
}

static int check_detector(const struct exposure_meta *meta, struct err *err)
{
    bool nrs1 = strcmp(meta->detector, "NRS1") == 0;
    bool nrs2 = strcmp(meta->detector, "NRS2") == 0;
    if (!nrs1 && !nrs2) {
        return err_set(err, ERR_INPUT, "%s: DETECTOR is '%s'; NRS1 or NRS2 expected",
                       meta->filename, meta->detector);
    }
    return exposure_check_reaches(meta, err);
}

int wcs_set_frame(struct wcs *w, const struct exposure_meta *meta, int nx, int ny,
                  struct err *err)
{
    int x = meta->substrt1, y = meta->substrt2;
    if (nx < 1 || ny < 1 || x < 1 || y < 1 || x - 1 + nx > WCS_FULL ||
        y - 1 + ny > WCS_FULL) {
        return err_set(err, ERR_INPUT,
                       "%s: %d x %d pixels from SUBSTRT1 %d, SUBSTRT2 %d do not lie "
                       "within the frame of %d x %d",
                       meta->filename, nx, ny, x, y, WCS_FULL, WCS_FULL);
    }
    w->nx = nx;
    w->ny = ny;
    w->corner_x = x - 1;
    w->corner_y = y - 1;
    w->flip = strcmp(meta->detector, "NRS2") == 0;
    return 0;
}

/* ---- spectral range ---- */

/* The pair itself, else the first of the same disperser, else all of NIRSpec. */
static void set_range(struct wcs *w, const struct exposure_meta *meta,
                      const struct ref_wavelengthrange *table)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%s", meta->filter, meta->grating);
    const struct ref_waverange *found = NULL;
    for (size_t i = 0; i < table->n && !found; i++) {
        found = strcmp(table->row[i].selector, name) == 0 ? &table->row[i] : NULL;
    }
    for (size_t i = 0; i < table->n && !found; i++) {
        const char *bar = strchr(table->row[i].selector, '_');
        found = bar && strcmp(bar + 1, meta->grating) == 0 ? &table->row[i] : NULL;
    }
    w->order = found ? found->order : -1;
    w->lam_min = found ? found->min_m : 0.6e-6;
    w->lam_max = found ? found->max_m : 5.3e-6;
    w->lam_mid = 0.5 * (w->lam_max - w->lam_min) + w->lam_min;
}

/* ---- disperser ---- */

/* Half the turn that the sensor tells against its zero, degrees. */
static double tilt_correction(const struct ref_tilt *t, double reading)
{
    double in[2] = {reading, t->zero_reading}, out[2] = {0};
    const double *const from[1] = {in};
    double *const to[1] = {out};
    transform_eval(t->model, 2, from, to);
    return 0.5 * (out[0] - out[1]) / 3600.0;
}

static int set_disperser(struct wcs *w, const struct exposure_meta *meta,
                         const struct ref_disperser *d, struct err *err)
{
    bool prism = strcmp(meta->grating, "PRISM") == 0;
    int code = need(meta, "GWA_XTIL", meta->gwa_xtilt, err);
    if (!code) {
        code = need(meta, "GWA_YTIL", meta->gwa_ytilt, err);
    }
    if (!code && prism) {
        code = need(meta, "GWA_TILT", meta->gwa_temperature, err);
    }
    if (code) {
        return code;
    }
    /* the x sensor corrects theta_y, the y sensor theta_x */
    const double angle[4] = {
        d->theta_x + tilt_correction(&d->tilt_y_sensor, meta->gwa_ytilt),
        d->theta_y + tilt_correction(&d->tilt_x_sensor, meta->gwa_xtilt), d->theta_z,
        d->tilt_y};
    wcs_set_rotation(w, angle);
    if (prism ? !d->has_glass : !d->has_grooves) {
        return err_set(err, ERR_REFERENCE,
                       "%s: GRATING is %s, but its disperser reference has no %s",
                       meta->filename, meta->grating,
                       prism ? "glass (angle, kcoef, lcoef, tcoef, tref, pref)"
                             : "groovedensity");
    }
    if (!prism) {
        w->groove_order = d->grooves_per_m * w->order;
        if (w->groove_order == 0.0) {
            return err_set(err, ERR_REFERENCE,
                           "%s: the wavelengthrange reference gives spectral order 0 "
                           "for %s_%s",
                           meta->filename, meta->filter, meta->grating);
        }
        return 0;
    }
    w->glass = mem_calloc(1, sizeof *w->glass, err);
    if (!w->glass) {
        return ERR_NOMEM;
    }
    code = wcs_glass_prepare(w->glass, d, meta->gwa_temperature, err);
    if (code) {
        err_prefix(err, "%s", meta->filename);
    }
    return code;
}

/* ---- putting it together ---- */

static struct ref_optics hold_optics(const struct ref_optics *o)
{
    return (struct ref_optics){transform_hold(o->forward), transform_hold(o->inverse)};
}

static void hold_all(struct wcs *w, const struct wcs_references *refs, bool nrs2)
{
    w->fpa = hold_optics(&refs->fpa->detector[nrs2 ? 1 : 0]);
    w->camera = hold_optics(refs->camera);
    w->collimator = hold_optics(refs->collimator);
    w->slicer_plane = hold_optics(&refs->ifuslicer->plane);
    w->ifufore = hold_optics(refs->ifufore);
    w->fore = hold_optics(refs->fore);
    w->chromcorr = hold_optics(refs->chromcorr);
    w->ote = hold_optics(refs->ote);
    for (int i = 0; i < WCS_SLICES; i++) {
        const struct ref_ifupost_slice *p = &refs->ifupost->slice[i];
        w->post[i] = (struct ref_ifupost_slice){
            transform_hold(p->linear), transform_hold(p->x0), transform_hold(p->x1),
            transform_hold(p->y0), transform_hold(p->y1)};
        w->slice[i].plane = w->slicer_plane.forward;
        w->slice[i].post = &w->post[i];
        w->slice[i].x = refs->ifuslicer->slice[i].x;
        w->slice[i].y = refs->ifuslicer->slice[i].y;
        w->slice[i].size_x = refs->ifuslicer->slice[i].size_x;
        w->slice[i].size_y = refs->ifuslicer->slice[i].size_y;
    }
}

static int assemble(struct wcs *w, const struct exposure_meta *meta, int nx, int ny,
                    const struct wcs_references *refs, const double y_slit[2],
                    struct err *err)
{
    int code = check_detector(meta, err);
    if (!code) {
        code = wcs_set_frame(w, meta, nx, ny, err);
    }
    if (!code) {
        code = wcs_set_pointing(&w->pointing, meta, err);
    }
    if (code) {
        return code;
    }
    if (!(y_slit[1] - y_slit[0] > 1e-3)) {
        return err_set(err, ERR_PARAM,
                       "the slit goes from %g to %g; slit_y_high should be above "
                       "slit_y_low",
                       y_slit[0], y_slit[1]);
    }
    for (int i = 0; i < WCS_SLICES; i++) {
        w->slice[i].y_min = y_slit[0];
        w->slice[i].y_max = y_slit[1];
    }
    w->velocity = meta->has_velosys ? 1.0 / (1.0 + meta->velosys / light_m_s) : 1.0;
    if (!(w->velocity > 0.5 && w->velocity < 2.0)) {
        return err_set(err, ERR_INPUT, "%s: VELOSYS is %g; a velocity in m/s expected",
                       meta->filename, meta->velosys);
    }
    hold_all(w, refs, w->flip);
    set_range(w, meta, refs->wavelengthrange);
    return set_disperser(w, meta, refs->disperser, err);
}

int wcs_build(const struct exposure_meta *meta, int nx, int ny,
              const struct wcs_references *refs, const double y_slit[2],
              struct par *par, const atomic_bool *cancel, struct wcs **ret,
              uint8_t *regions, double *wavelength, struct err *err)
{
    struct wcs *w = mem_calloc(1, sizeof *w, err);
    if (!w) {
        return ERR_NOMEM;
    }
    atomic_init(&w->count, 1);
    int code = assemble(w, meta, nx, ny, refs, y_slit, err);
    if (!code) {
        code =
            wcs_find_slices(w, meta->filename, par, cancel, regions, wavelength, err);
    }
    if (code) {
        wcs_release(w);
        return code;
    }
    w->slice_width = fabs(wcs_slice_across(w, 1) - wcs_slice_across(w, 3));
    *ret = w;
    return 0;
}

int wcs_s_region(const struct wcs *w, char *ret, size_t size)
{
    const double *c = w->footprint;
    for (int i = 0; i < 8; i++) {
        if (!isfinite(c[i])) {
            return -1;
        }
    }
    int n = snprintf(ret, size, "POLYGON ICRS  %.9f %.9f %.9f %.9f %.9f %.9f %.9f %.9f",
                     c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]);
    return n > 0 && (size_t)n < size ? 0 : -1;
}
