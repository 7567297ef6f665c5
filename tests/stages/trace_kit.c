#include "tests/stages/trace_kit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/transform_build.h"
#include "common/math/rng.h"
#include "tests/support.h"

static float *plane(void)
{
    struct err err = {0};
    float *p = mem_calloc((size_t)TRACE_KIT_NX * TRACE_KIT_NY, sizeof *p, &err);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* Turn the detector by a degree, so that traces cross rows. */
static void tilt(struct wcs_fixture *f)
{
    struct err err = {0};
    struct ref_optics *o = &f->fpa.detector[0];
    const double c = 18e-6 * cos(M_PI / 180), s = 18e-6 * sin(M_PI / 180);
    const double matrix[4] = {c, -s, s, c},
                 offset[2] = {-1023.5 * (c - s), -1023.5 * (s + c)};
    transform_release(o->forward);
    transform_release(o->inverse);
    o->forward = transform_affine(matrix, offset, &err);
    support_ok(transform_compile(o->forward, &err), &err);
    support_ok(transform_inverse(o->forward, &o->inverse, &err), &err);
}

static void build(struct trace_kit *kit)
{
    static const double slit[2] = {-0.55, 0.55};
    struct err err = {0};
    struct exposure *e = exposure_new(TRACE_KIT_NX, TRACE_KIT_NY, &err);
    kit->e = e;
    e->meta = wcs_fixture_meta();
    e->meta.substrt1 = 500;
    e->meta.substrt2 = 800;
    strcpy(e->meta.bunit, "MJy/sr");
    e->sci = plane();
    e->err = plane();
    e->var_poisson = plane();
    e->var_rnoise = plane();
    e->dq = mem_calloc(exposure_pixels(e), sizeof *e->dq, &err);
    e->regions = mem_calloc(exposure_pixels(e), 1, &err);
    e->wavelength = mem_calloc(exposure_pixels(e), sizeof *e->wavelength, &err);
    support_ok(wcs_build(&e->meta, e->nx, e->ny, &kit->fixture->refs, slit, NULL, NULL,
                         &e->wcs, e->regions, e->wavelength, &err),
               &err);
}

void trace_kit_init(struct trace_kit *kit)
{
    struct err err = {0};
    *kit = (struct trace_kit){.fixture = wcs_fixture_new(), .sky = 2};
    tilt(kit->fixture);
    build(kit);
    for (int slice = 1; slice <= 30; slice++) { /* the one with most rows */
        struct trace_slice s;
        support_ok(trace_slice_make(kit->e, slice, &s, &err), &err);
        if (s.rows > kit->s.rows) {
            trace_slice_done(&kit->s);
            kit->s = s;
        } else {
            trace_slice_done(&s);
        }
    }
    ck_assert_int_gt(kit->s.rows, 0);
    kit->sigma = 0.5 * kit->s.pitch;
    kit->source = (kit->s.low + kit->s.high) / 2 + 0.137;
    trace_kit_fill(kit, 100, 0.5, 0);
}

void trace_kit_done(struct trace_kit *kit)
{
    trace_slice_done(&kit->s);
    exposure_free(kit->e);
    wcs_fixture_free(kit->fixture);
}

double trace_kit_light(const struct trace_kit *kit, double u)
{
    const double half = kit->s.pitch / 2, scale = kit->sigma * sqrt(2);
    const double a = (u - kit->source - half) / scale,
                 b = (u - kit->source + half) / scale;
    return kit->peak * (erf(b) - erf(a)) / 2 + kit->sky;
}

void trace_kit_fill(struct trace_kit *kit, double peak, double error, unsigned seed)
{
    struct exposure *e = kit->e;
    struct rng rng;
    rng_init(&rng, seed, 0);
    kit->peak = peak;
    kit->error = error;
    for (int y = 0; y < e->ny; y++) {
        for (int x = 0; x < e->nx; x++) {
            const size_t i = (size_t)y * (size_t)e->nx + (size_t)x;
            double f = kit->sky;
            if (e->regions[i] == kit->s.slice) {
                const double u =
                    kit->s.u[(size_t)(y - kit->s.y0) * (size_t)e->nx + (size_t)x];
                f = isnan(u) ? f : trace_kit_light(kit, u);
            }
            f *= 1 + 0.2 * x / e->nx; /* a sloping continuum */
            e->dq[i] = 0;
            e->sci[i] = (float)(f + (seed ? error * rng_normal(&rng) : 0));
            e->err[i] = (float)error;
            e->var_poisson[i] = e->var_rnoise[i] = (float)(error * error / 2);
        }
    }
}
