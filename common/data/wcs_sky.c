#include <math.h>
#include "common/data/wcs_private.h"

static const double pi = 3.14159265358979323846;
static const double arcsec = 3.14159265358979323846 / 180.0 / 3600.0;

int wcs_set_pointing(struct wcs_pointing *p, const struct exposure_meta *meta,
                     struct err *err)
{
    const struct {
        const char *keyword;
        double value, low, high;
    } need[] = {{"RA_REF", meta->ra_ref, -360.0, 360.0},
                {"DEC_REF", meta->dec_ref, -90.0, 90.0},
                {"V2_REF", meta->v2_ref, -18000.0, 18000.0},
                {"V3_REF", meta->v3_ref, -18000.0, 18000.0},
                {"ROLL_REF", meta->roll_ref, -360.0, 720.0},
                {"VA_SCALE", meta->va_scale, 0.5, 1.5}};
    for (size_t i = 0; i < sizeof need / sizeof need[0]; i++) {
        if (!(need[i].value >= need[i].low && need[i].value <= need[i].high)) {
            return err_set(err, ERR_INPUT,
                           "%s: %s is %g; the WCS needs a number from %g to %g",
                           meta->filename, need[i].keyword, need[i].value, need[i].low,
                           need[i].high);
        }
    }
    p->va_scale = meta->va_scale;
    p->v2_ref = meta->v2_ref;
    p->v3_ref = meta->v3_ref;
    p->ra_ref = meta->ra_ref;
    p->dec_ref = meta->dec_ref * pi / 180.0;
    p->dec_deg = meta->dec_ref;
    p->roll_deg = meta->roll_ref;
    p->sin_v3 = sin(meta->v3_ref * arcsec);
    p->cos_v3 = cos(meta->v3_ref * arcsec);
    p->sin_roll = sin(meta->roll_ref * pi / 180.0);
    p->cos_roll = cos(meta->roll_ref * pi / 180.0);
    p->sin_dec = sin(p->dec_ref);
    p->cos_dec = cos(p->dec_ref);
    return 0;
}

/* Within this the short series below are exact to rounding. */
static const double small_angle = 3e-3; /* rad: 10 arcmin */

static double sine(double d)
{
    double q = d * d;
    return d * (1.0 - q * (1.0 / 6) * (1.0 - q * (1.0 / 20) * (1.0 - q * (1.0 / 42))));
}

static double cosine(double d)
{
    double q = d * d;
    return 1.0 - q * 0.5 * (1.0 - q * (1.0 / 12) * (1.0 - q * (1.0 / 30)));
}

static double arctangent(double t)
{
    double q = t * t;
    return t * (1.0 -
                q * (1.0 / 3.0 - q * (1.0 / 5.0 - q * (1.0 / 7.0 - q * (1.0 / 9.0)))));
}

/* Right ascension in 0..360. */
static double wrap(double ra)
{
    ra = ra < 0.0 ? ra + 360.0 : ra;
    return ra >= 360.0 ? ra - 360.0 : ra;
}

/*
 * (v2, v3) in arcsec to (ra, dec) in degrees, in place. The peer scales about the
 * reference point for velocity aberration and turns the unit vector by v2_ref, -v3_ref,
 * roll, dec and -ra; here angles from the reference point are kept apart from the start,
 * so that they need no functions of the mathematical library unless they are large.
 */
static inline __attribute__((always_inline)) void
v2v3_to_sky_body(const struct wcs_pointing *p, size_t n, double *restrict a,
                 double *restrict b)
{
    double x[WCS_RUN], y[WCS_RUN], z[WCS_RUN];
    int far = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (a[i] - p->v2_ref) * p->va_scale * arcsec;
        double e = (b[i] - p->v3_ref) * p->va_scale * arcsec;
        far |= (fabs(d) > small_angle) | (fabs(e) > small_angle);
        a[i] = d;
        b[i] = e;
        x[i] = cosine(d);
        y[i] = sine(d);
        z[i] = sine(e);
    }
    if (far) {
        for (size_t i = 0; i < n; i++) {
            x[i] = cos(a[i]);
            y[i] = sin(a[i]);
            z[i] = sin(b[i]);
            b[i] = cos(b[i]);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            b[i] = cosine(b[i]);
        }
    }
    far = 0;
    for (size_t i = 0; i < n; i++) {
        double lat_s = p->sin_v3 * b[i] + p->cos_v3 * z[i];
        double lat_c = p->cos_v3 * b[i] - p->sin_v3 * z[i];
        double px = lat_c * x[i] * p->cos_v3 + lat_s * p->sin_v3;
        double qz = -lat_c * x[i] * p->sin_v3 + lat_s * p->cos_v3;
        double qy = lat_c * y[i];
        double py = qy * p->cos_roll + qz * p->sin_roll;
        double pz = -qy * p->sin_roll + qz * p->cos_roll;
        x[i] = p->cos_dec * px - p->sin_dec * pz;
        y[i] = py;
        z[i] = p->sin_dec * px + p->cos_dec * pz;
        double h = sqrt(x[i] * x[i] + y[i] * y[i]);
        double up = z[i] * p->cos_dec - h * p->sin_dec;
        double along = z[i] * p->sin_dec + h * p->cos_dec;
        a[i] = y[i] / x[i];
        b[i] = up / along;
        far |= (fabs(a[i]) > 10.0 * small_angle) | (fabs(b[i]) > 10.0 * small_angle) |
               (x[i] <= 0.0) | (along <= 0.0);
    }
    for (size_t i = 0; i < n; i++) {
        double h = sqrt(x[i] * x[i] + y[i] * y[i]);
        double dra = far ? atan2(y[i], x[i]) : arctangent(a[i]);
        double dec = far ? atan2(z[i], h) : p->dec_ref + arctangent(b[i]);
        a[i] = wrap(wrap(p->ra_ref) + dra * (180.0 / pi));
        b[i] = dec * (180.0 / pi);
    }
}

#if defined(__x86_64__)
/* The same code for newer processors; without contraction the bits are the same, too. */
__attribute__((target("avx2"), optimize("O3"))) static void
v2v3_to_sky_avx2(const struct wcs_pointing *p, size_t n, double *a, double *b)
{
    v2v3_to_sky_body(p, n, a, b);
}
#endif

static void v2v3_to_sky(const struct wcs_pointing *p, size_t n, double *a, double *b)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        v2v3_to_sky_avx2(p, n, a, b);
        return;
    }
#endif
    v2v3_to_sky_body(p, n, a, b);
}

/* The way back, in place. */
static void sky_to_v2v3(const struct wcs_pointing *p, size_t n, double *a, double *b)
{
    for (size_t i = 0; i < n; i++) {
        double dra = (a[i] - p->ra_ref) * pi / 180.0, dec = b[i] * pi / 180.0;
        double x = cos(dec) * cos(dra), y = cos(dec) * sin(dra), z = sin(dec);
        double px = p->cos_dec * x + p->sin_dec * z;
        double pz = -p->sin_dec * x + p->cos_dec * z;
        double qy = y * p->cos_roll - pz * p->sin_roll;
        double qz = y * p->sin_roll + pz * p->cos_roll;
        double rx = px * p->cos_v3 - qz * p->sin_v3;
        double rz = px * p->sin_v3 + qz * p->cos_v3;
        double v2 = atan2(qy, rx) / arcsec;
        double v3 = atan2(rz, hypot(rx, qy)) / arcsec;
        a[i] = p->v2_ref + v2 / p->va_scale;
        b[i] = p->v3_ref + (v3 - p->v3_ref) / p->va_scale;
    }
}

/* slicer -> v2v3, arcsec, and wavelength; outputs may not be the inputs. */
static void slicer_to_v2v3(const struct wcs *w, size_t n, const double *across_m,
                           const double *along_m, const double *lam_m, double *v2,
                           double *v3, double *lam)
{
    const double *const in[3] = {across_m, along_m, lam_m};
    const double *const next[3] = {v2, v3, lam_m};
    double *const out[3] = {v2, v3, lam};
    transform_eval(w->ifufore.forward, n, in, out);
    transform_eval(w->fore.forward, n, next, out);
    transform_eval(w->chromcorr.forward, n, next, out);
    transform_eval(w->ote.forward, n, next, out);
}

void wcs_run_to_sky(const struct wcs *w, size_t n, const double *across_m,
                    const double *along_m, const double *lam_m, double *ra, double *dec,
                    double *lam_um)
{
    double lam[WCS_RUN];
    if (w->to_sky.forward) {
        const double *const in[3] = {across_m, along_m, lam_m};
        double *const out[3] = {ra, dec, lam_um};
        transform_eval(w->to_sky.forward, n, in, out);
        return;
    }
    slicer_to_v2v3(w, n, across_m, along_m, lam_m, ra, dec, lam);
    v2v3_to_sky(&w->pointing, n, ra, dec);
    for (size_t i = 0; i < n; i++) {
        lam_um[i] = lam[i] * 1e6;
    }
}

struct at_wavelength {
    const struct wcs *w;
    const double *lam; /* m */
};

static void to_v2v3(const void *arg, size_t n, const double *across,
                    const double *along, double *v2, double *v3)
{
    const struct at_wavelength *at = arg;
    double lam[WCS_RUN];
    slicer_to_v2v3(at->w, n, across, along, at->lam, v2, v3, lam);
}

void wcs_run_from_sky(const struct wcs *w, size_t n, const double *ra,
                      const double *dec, const double *lam_um, double *across_m,
                      double *along_m, double *lam_m)
{
    double v2[WCS_RUN], v3[WCS_RUN], lam[WCS_RUN], rest[WCS_RUN];
    double x[WCS_RUN], y[WCS_RUN];
    if (w->to_sky.forward) {
        wcs_file_from_sky(w, n, ra, dec, lam_um, across_m, along_m, lam_m);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        v2[i] = ra[i];
        v3[i] = dec[i];
        lam[i] = lam_um[i] * 1e-6;
    }
    sky_to_v2v3(&w->pointing, n, v2, v3);
    const double *const in[3] = {v2, v3, lam};
    const double *const next[3] = {x, y, lam};
    double *const out[3] = {x, y, rest};
    transform_eval(w->ote.inverse, n, in, out);
    transform_eval(w->chromcorr.inverse, n, next, out);
    transform_eval(w->fore.inverse, n, next, out);
    transform_eval(w->ifufore.inverse, n, next, out);
    /* from the stored inverses on; 1e-6 m on the slicer are 1e-4 arcsec */
    const struct at_wavelength at = {w, lam};
    for (int step = 0; step < 2; step++) {
        wcs_newton(to_v2v3, &at, 1e-6, n, v2, v3, x, y);
    }
    for (size_t i = 0; i < n; i++) {
        across_m[i] = x[i];
        along_m[i] = y[i];
        lam_m[i] = lam[i];
    }
}
