#include "common/data/exposure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/data/wcs.h"

struct exposure *exposure_new(int nx, int ny, struct err *err)
{
    struct exposure *e = mem_calloc(1, sizeof *e, err);
    if (e) {
        e->nx = nx;
        e->ny = ny;
    }
    return e;
}

struct exposure_sampling *exposure_sampling_new(int nx, int ny, struct err *err)
{
    const size_t n = (size_t)nx * (size_t)ny;
    struct exposure_sampling *s = mem_calloc(1, sizeof *s, err);
    if (!s) {
        return NULL;
    }
    s->y_low = mem_alloc(n, sizeof *s->y_low, err);
    s->y_high = mem_alloc(n, sizeof *s->y_high, err);
    if (!s->y_low || !s->y_high) {
        exposure_sampling_free(s);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        s->y_low[i] = s->y_high[i] = NAN;
    }
    return s;
}

void exposure_sampling_free(struct exposure_sampling *s)
{
    if (s) {
        free(s->y_low);
        free(s->y_high);
        free(s);
    }
}

void exposure_free(struct exposure *e)
{
    if (!e) {
        return;
    }
    header_done(&e->primary);
    header_done(&e->science);
    free(e->sci);
    free(e->err);
    free(e->dq);
    free(e->var_poisson);
    free(e->var_rnoise);
    free(e->var_flat);
    free(e->var_background);
    free(e->regions);
    free(e->outlier_reason);
    free(e->wavelength);
    free(e->pathloss_ps);
    free(e->pathloss_un);
    free(e->trace_model);
    if (e->wcs) {
        wcs_release(e->wcs);
    }
    exposure_sampling_free(e->sampling);
    free(e);
}

void exposure_take_samples(struct exposure *e, struct exposure *o)
{
    const struct exposure was = *e;
    e->nx = o->nx;
    e->ny = o->ny;
    e->sci = o->sci;
    e->err = o->err;
    e->dq = o->dq;
    e->var_poisson = o->var_poisson;
    e->var_rnoise = o->var_rnoise;
    e->var_flat = o->var_flat;
    e->var_background = o->var_background;
    e->trace_model = o->trace_model;
    e->regions = o->regions;
    e->wavelength = o->wavelength;
    e->sampling = o->sampling;
    e->outlier_reason = NULL;
    e->pathloss_ps = e->pathloss_un = NULL;
    *o = (struct exposure){.nx = was.nx,
                           .ny = was.ny,
                           .sci = was.sci,
                           .err = was.err,
                           .dq = was.dq,
                           .var_poisson = was.var_poisson,
                           .var_rnoise = was.var_rnoise,
                           .var_flat = was.var_flat,
                           .var_background = was.var_background,
                           .trace_model = was.trace_model,
                           .regions = was.regions,
                           .wavelength = was.wavelength,
                           .outlier_reason = was.outlier_reason,
                           .pathloss_ps = was.pathloss_ps,
                           .pathloss_un = was.pathloss_un,
                           .sampling = was.sampling};
}

size_t exposure_pixels(const struct exposure *e)
{
    return (size_t)e->nx * (size_t)e->ny;
}

/* Pixels treated at once: the mask stays in the first-level cache. */
#define RUN 4096

__attribute__((optimize("O3"))) static void mark_nans(const float *plane, size_t n,
                                                      uint8_t *bad)
{
    for (size_t i = 0; i < n; i++) {
        bad[i] |= (uint8_t)(plane[i] != plane[i]);
    }
}

__attribute__((optimize("O3"))) static void put_nans(float *plane, size_t n,
                                                     const uint8_t *bad)
{
    for (size_t i = 0; i < n; i++) {
        plane[i] = bad[i] ? NAN : plane[i];
    }
}

void exposure_match_nans_of(uint32_t *dq, float *const *planes, size_t n_planes,
                            size_t n)
{
    uint8_t bad[RUN];
    for (size_t from = 0; from < n; from += RUN) {
        size_t m = n - from < RUN ? n - from : RUN;
        for (size_t i = 0; i < m; i++) {
            bad[i] = dq[from + i] & DQ_DO_NOT_USE;
        }
        for (size_t p = 0; p < n_planes; p++) {
            if (planes[p]) {
                mark_nans(planes[p] + from, m, bad);
            }
        }
        for (size_t i = 0; i < m; i++) {
            dq[from + i] |= bad[i];
        }
        for (size_t p = 0; p < n_planes; p++) {
            if (planes[p]) {
                put_nans(planes[p] + from, m, bad);
            }
        }
    }
}

enum { PLANES = 6 };

static void planes_of(const struct exposure *e, float *ret[PLANES])
{
    float *planes[PLANES] = {e->sci,        e->err,      e->var_poisson,
                             e->var_rnoise, e->var_flat, e->var_background};
    memcpy(ret, planes, sizeof planes);
}

void exposure_match_nans(struct exposure *e)
{
    float *planes[PLANES];
    planes_of(e, planes);
    exposure_match_nans_of(e->dq, planes, PLANES, exposure_pixels(e));
}

void exposure_reject(struct exposure *e, size_t i, uint32_t flags)
{
    float *planes[PLANES];
    planes_of(e, planes);
    e->dq[i] |= flags | DQ_DO_NOT_USE;
    for (int p = 0; p < PLANES; p++) {
        if (planes[p]) {
            planes[p][i] = NAN;
        }
    }
}
