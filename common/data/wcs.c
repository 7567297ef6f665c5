#include "common/data/wcs.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include "common/data/wcs_private.h"

struct wcs *wcs_hold(const struct wcs *w)
{
    union {
        const struct wcs *in;
        struct wcs *out;
    } u = {w};
    atomic_fetch_add_explicit(&u.out->count, 1, memory_order_relaxed);
    return u.out;
}

static void release_optics(struct ref_optics *o)
{
    transform_release(o->forward);
    transform_release(o->inverse);
}

void wcs_release(struct wcs *w)
{
    if (!w || atomic_fetch_sub_explicit(&w->count, 1, memory_order_acq_rel) != 1) {
        return;
    }
    release_optics(&w->fpa);
    release_optics(&w->camera);
    release_optics(&w->collimator);
    release_optics(&w->slicer_plane);
    release_optics(&w->ifufore);
    release_optics(&w->fore);
    release_optics(&w->chromcorr);
    release_optics(&w->ote);
    for (int i = 0; i < WCS_SLICES; i++) {
        transform_release(w->post[i].linear);
        transform_release(w->post[i].x0);
        transform_release(w->post[i].x1);
        transform_release(w->post[i].y0);
        transform_release(w->post[i].y1);
    }
    for (int i = 0; i < WCS_SLICES; i++) {
        transform_release(w->slice[i].to_slicer.forward);
        transform_release(w->slice[i].to_slicer.inverse);
        transform_release(w->slice[i].from_slit);
    }
    transform_release(w->to_sky.forward);
    transform_release(w->to_sky.inverse);
    free(w->glass);
    free(w);
}

static const struct wcs_slice *slice_of(const struct wcs *w, int slice)
{
    assert(slice >= 1 && slice <= WCS_SLICES);
    return &w->slice[slice - 1];
}

struct wcs_box wcs_bounding_box(const struct wcs *w, int slice)
{
    return slice_of(w, slice)->box;
}

void wcs_wavelength_range(const struct wcs *w, double *min_um, double *max_um,
                          int *order)
{
    *min_um = w->lam_min * 1e6;
    *max_um = w->lam_max * 1e6;
    *order = w->order;
}

void wcs_spectral_region(const struct wcs *w, double *min_um, double *max_um)
{
    *min_um = w->spectral_min;
    *max_um = w->spectral_max;
}

void wcs_footprint(const struct wcs *w, double ret_ra_dec[8])
{
    for (int i = 0; i < 8; i++) {
        ret_ra_dec[i] = w->footprint[i];
    }
}

double wcs_slice_width(const struct wcs *w)
{
    return w->slice_width;
}

double wcs_slice_across(const struct wcs *w, int slice)
{
    const struct wcs_slice *s = slice_of(w, slice);
    double across = 0.0, along = 0.0, lam = 0.0;
    if (w->to_sky.forward) {
        /* as the peer: in the middle of the bounding box */
        double x = 0.5 * (s->box.x_min + s->box.x_max);
        double y = 0.5 * (s->box.y_min + s->box.y_max);
        wcs_run_to_slicer(w, s, 1, &x, &y, &across, &along, &lam);
        return across;
    }
    double y_slit = 0.0;
    wcs_slit_to_slicer(w, s, 1, &y_slit, &across, &along);
    return across;
}

static size_t run_length(size_t n, size_t done)
{
    return n - done < WCS_RUN ? n - done : WCS_RUN;
}

void wcs_run_to_slicer(const struct wcs *w, const struct wcs_slice *s, size_t n,
                       const double *x, const double *y, double *across_m,
                       double *along_m, double *lam_m)
{
    if (s->to_slicer.forward) {
        wcs_file_to_slicer(s, n, x, y, across_m, along_m, lam_m);
        return;
    }
    double alpha[WCS_RUN], beta[WCS_RUN], y_slit[WCS_RUN];
    wcs_pixel_to_gwa(w, n, x, y, alpha, beta);
    wcs_gwa_to_slit(w, s, n, alpha, beta, y_slit, lam_m);
    wcs_slit_to_slicer(w, s, n, y_slit, across_m, along_m);
}

void wcs_detector_to_slicer(const struct wcs *w, int slice, size_t n, const double *x,
                            const double *y, double *across_m, double *along_m,
                            double *lam_m)
{
    const struct wcs_slice *s = slice_of(w, slice);
    for (size_t i = 0; i < n; i += WCS_RUN) {
        wcs_run_to_slicer(w, s, run_length(n, i), x + i, y + i, across_m + i,
                          along_m + i, lam_m + i);
    }
}

void wcs_slicer_to_sky(const struct wcs *w, size_t n, const double *across_m,
                       const double *along_m, const double *lam_m, double *ra,
                       double *dec, double *lam_um)
{
    for (size_t i = 0; i < n; i += WCS_RUN) {
        wcs_run_to_sky(w, run_length(n, i), across_m + i, along_m + i, lam_m + i,
                       ra + i, dec + i, lam_um + i);
    }
}

void wcs_detector_to_sky(const struct wcs *w, int slice, size_t n, const double *x,
                         const double *y, double *ra, double *dec, double *lam_um)
{
    struct wcs_box b = slice_of(w, slice)->box;
    double across[WCS_RUN], along[WCS_RUN], lam[WCS_RUN];
    for (size_t i = 0; i < n; i += WCS_RUN) {
        size_t m = run_length(n, i);
        wcs_detector_to_slicer(w, slice, m, x + i, y + i, across, along, lam);
        for (size_t k = 0; k < m; k++) {
            double px = x[i + k], py = y[i + k];
            if (!(px >= b.x_min && px <= b.x_max && py >= b.y_min && py <= b.y_max)) {
                across[k] = along[k] = lam[k] = (double)NAN;
            }
        }
        wcs_run_to_sky(w, m, across, along, lam, ra + i, dec + i, lam_um + i);
    }
}

void wcs_sky_to_slicer(const struct wcs *w, size_t n, const double *ra,
                       const double *dec, const double *lam_um, double *across_m,
                       double *along_m, double *lam_m)
{
    for (size_t i = 0; i < n; i += WCS_RUN) {
        wcs_run_from_sky(w, run_length(n, i), ra + i, dec + i, lam_um + i, across_m + i,
                         along_m + i, lam_m + i);
    }
}

void wcs_slicer_to_detector(const struct wcs *w, int slice, size_t n,
                            const double *across_m, const double *along_m,
                            const double *lam_m, double *x, double *y)
{
    const struct wcs_slice *s = slice_of(w, slice);
    double x_slit[WCS_RUN], y_slit[WCS_RUN], alpha[WCS_RUN], beta[WCS_RUN];
    for (size_t i = 0; i < n; i += WCS_RUN) {
        size_t m = run_length(n, i);
        if (s->to_slicer.forward) {
            wcs_file_from_slicer(s, m, across_m + i, along_m + i, lam_m + i, x + i,
                                 y + i);
            continue;
        }
        wcs_slicer_to_slit(w, s, m, across_m + i, along_m + i, x_slit, y_slit);
        wcs_slit_to_gwa_exact(w, s, m, x_slit, y_slit, lam_m + i, alpha, beta);
        wcs_gwa_to_pixel_exact(w, m, alpha, beta, x + i, y + i);
    }
}

void wcs_sky_to_detector(const struct wcs *w, int slice, size_t n, const double *ra,
                         const double *dec, const double *lam_um, double *x, double *y)
{
    double across[WCS_RUN], along[WCS_RUN], lam[WCS_RUN];
    for (size_t i = 0; i < n; i += WCS_RUN) {
        size_t m = run_length(n, i);
        wcs_sky_to_slicer(w, m, ra + i, dec + i, lam_um + i, across, along, lam);
        wcs_slicer_to_detector(w, slice, m, across, along, lam, x + i, y + i);
    }
}
