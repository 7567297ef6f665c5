#include "wcs_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/data/transform_build.h"
#include "tests/support.h"

static struct err err;

static struct transform *ready(struct transform *t)
{
    ck_assert_msg(t != NULL, "%s", err.message);
    support_ok(transform_compile(t, &err), &err);
    return t;
}

/* out = (x, y) * scale + offset, in each axis. */
static struct transform *linear(double sx, double sy, double ox, double oy)
{
    const double matrix[4] = {sx, 0.0, 0.0, sy}, offset[2] = {ox, oy};
    return transform_affine(matrix, offset, &err);
}

static struct ref_optics plain(double sx, double sy, double ox, double oy)
{
    struct ref_optics o = {.forward = ready(linear(sx, sy, ox, oy))};
    support_ok(transform_inverse(o.forward, &o.inverse, &err), &err);
    return o;
}

/* The same with a wavelength that is dropped. */
static struct ref_optics dropping(double sx, double sy, double ox, double oy)
{
    const int keep[2] = {0, 1};
    struct ref_optics o;
    o.forward = ready(transform_compose(transform_remap(3, 2, keep, &err),
                                        linear(sx, sy, ox, oy), &err));
    o.inverse =
        ready(transform_compose(transform_remap(3, 2, keep, &err),
                                linear(1.0 / sx, 1.0 / sy, -ox / sx, -oy / sy), &err));
    return o;
}

/* (x, y, lam) -> (x + 1e-4 * (lam - 3.5e-6) / 1e-6 ..., y, lam). */
static struct ref_optics chromatic(void)
{
    const int all[5] = {0, 2, 1, 2, 2}, keep[3] = {0, 2, 1};
    struct ref_optics o;
    for (int back = 0; back < 2; back++) {
        /* x + slope * lam: an affine of (x, lam) of which the first output is kept */
        const double m[4] = {1.0, back ? -5.0 : 5.0, 0.0, 1.0}, no[2] = {0.0, 0.0};
        struct transform *t =
            transform_concatenate(transform_affine(m, no, &err),
                                  transform_identity(back ? 1 : 3, &err), &err);
        if (back) {
            const int first[2] = {0, 2};
            t = transform_compose(transform_remap(3, 3, keep, &err), t, &err);
            o.inverse =
                ready(transform_compose(t, transform_remap(3, 2, first, &err), &err));
        } else {
            const int first[3] = {0, 2, 3};
            t = transform_compose(transform_remap(3, 5, all, &err), t, &err);
            o.forward =
                ready(transform_compose(t, transform_remap(5, 3, first, &err), &err));
        }
    }
    return o;
}

static struct transform *first_or_second(int which)
{
    return ready(transform_remap(2, 1, &which, &err));
}

/* c0 + cx x + cy y */
static struct transform *plane(double c0, double cx, double cy)
{
    const double coef[4] = {c0, cy, cx, 0.0};
    return ready(transform_polynomial2d(1, coef, NULL, NULL, &err));
}

struct wcs_fixture *wcs_fixture_new(void)
{
    struct wcs_fixture *f = calloc(1, sizeof *f);
    ck_assert_ptr_nonnull(f);
    f->camera = plain(1.0 / 0.28, 1.0 / 0.28, 0.0, 0.0);
    f->collimator = plain(0.58, 0.58, -0.335 * 0.58, 0.0);
    f->ifufore = dropping(0.05, 0.1, 0.041, 0.0);
    f->fore = dropping(0.615, 0.604, 0.0, 0.0);
    f->chromcorr = chromatic();
    f->ote = plain(3600.0 / 2.296, 3600.0 / 2.296, 260.0, -498.0);
    for (int i = 0; i < 2; i++) {
        f->fpa.detector[i] = plain(18e-6, 18e-6, -1023.5 * 18e-6, -1023.5 * 18e-6);
    }
    f->disperser.has_grooves = true;
    f->disperser.grooves_per_m = 89409.0;
    f->disperser.has_glass = true;
    f->disperser.prism_angle = -16.5;
    f->disperser.tref_k = 35.0;
    const double k[3] = {0.5675888, 0.4710914, 3.8484723};
    const double l[3] = {0.00252642999, 0.0100783328, 1200.555973};
    for (int i = 0; i < 3; i++) {
        f->disperser.kcoef[i] = k[i];
        f->disperser.lcoef[i] = l[i];
    }
    const double tilt[2] = {0.0, 4000.0}; /* arcsec per volt */
    for (int i = 0; i < 2; i++) {
        struct ref_tilt *t =
            i == 0 ? &f->disperser.tilt_x_sensor : &f->disperser.tilt_y_sensor;
        t->model = ready(transform_polynomial1d(2, tilt, NULL, NULL, &err));
        t->zero_reading = 0.3;
    }
    f->ifuslicer.plane = plain(1.0, 1.0, 0.0, 0.0);
    for (int i = 0; i < REF_IFU_SLICES; i++) {
        double across =
            (i % 2 ? -0.0004 : 0.0004) * (1 + 2 * (i / 2)) * (i % 2 ? 1.0 : 1.0);
        double row = (i - 14.5) * 2.3e-3; /* where the slit stands, m */
        f->ifuslicer.slice[i].x = across;
        f->ifuslicer.slice[i].size_x = 0.0008;
        f->ifuslicer.slice[i].size_y = 0.012;
        struct ref_ifupost_slice *p = &f->ifupost.slice[i];
        p->linear = ready(linear(0.1, 0.1, -0.1 * across, row));
        p->x0 = first_or_second(0);
        p->y0 = first_or_second(1);
        p->x1 = plane(0.5, 0.01, 1.0);
        p->y1 = plane(1.0, 1.0, 0.01);
    }
    f->row = (struct ref_waverange){"F290LP_G395H", -1, 3.0e-6, 4.1e-6};
    f->wavelengthrange = (struct ref_wavelengthrange){1, &f->row};
    f->refs = (struct wcs_references){
        &f->camera,         &f->collimator, &f->fore,      &f->ifufore, &f->ote,
        &f->chromcorr,      &f->fpa,        &f->disperser, &f->ifupost, &f->ifuslicer,
        &f->wavelengthrange};
    return f;
}

static void release(struct ref_optics *o)
{
    transform_release(o->forward);
    transform_release(o->inverse);
}

void wcs_fixture_free(struct wcs_fixture *f)
{
    release(&f->camera);
    release(&f->collimator);
    release(&f->fore);
    release(&f->ifufore);
    release(&f->ote);
    release(&f->chromcorr);
    release(&f->fpa.detector[0]);
    release(&f->fpa.detector[1]);
    release(&f->ifuslicer.plane);
    transform_release(f->disperser.tilt_x_sensor.model);
    transform_release(f->disperser.tilt_y_sensor.model);
    for (int i = 0; i < REF_IFU_SLICES; i++) {
        transform_release(f->ifupost.slice[i].linear);
        transform_release(f->ifupost.slice[i].x0);
        transform_release(f->ifupost.slice[i].x1);
        transform_release(f->ifupost.slice[i].y0);
        transform_release(f->ifupost.slice[i].y1);
    }
    free(f);
}

void wcs_fixture_set_collimator(struct wcs_fixture *f, double tangent)
{
    release(&f->collimator);
    f->collimator = plain(0.58, 0.58, -tangent * 0.58, 0.0);
}

struct exposure_meta wcs_fixture_meta(void)
{
    struct exposure_meta m = {.filename = "made_up_nrs1_rate.fits",
                              .exp_type = "NRS_IFU",
                              .instrument = "NIRSPEC",
                              .detector = "NRS1",
                              .filter = "F290LP",
                              .grating = "G395H",
                              .gwa_xtilt = 0.3,
                              .gwa_ytilt = 0.3,
                              .gwa_temperature = 36.9,
                              .ra_ref = 10.0,
                              .dec_ref = -20.0,
                              .v2_ref = 300.3,
                              .v3_ref = -497.9,
                              .roll_ref = 30.0,
                              .vparity = -1,
                              .va_scale = 1.0,
                              .substrt1 = 1,
                              .substrt2 = 1};
    return m;
}
