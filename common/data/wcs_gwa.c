#include <math.h>
#include "common/data/wcs_private.h"

static const double deg = 3.14159265358979323846 / 180.0;

/* One step of the rotation to the grating's frame, about x, y or z. */
static void turn(double m[9], char axis, double angle_deg)
{
    int a = axis == 'x' ? 1 : 0;
    int b = axis == 'z' ? 1 : 2;
    double c = cos(angle_deg * deg), s = sin(angle_deg * deg);
    if (axis == 'y') {
        s = -s;
    }
    for (int j = 0; j < 3; j++) {
        double p = m[3 * a + j], q = m[3 * b + j];
        m[3 * a + j] = c * p + s * q;
        m[3 * b + j] = -s * p + c * q;
    }
}

void wcs_set_rotation(struct wcs *w, const double angles_deg[4])
{
    static const char axes[] = "xyzy";
    for (int i = 0; i < 9; i++) {
        w->to_gwa[i] = i % 4 == 0 ? 1.0 : 0.0;
    }
    for (int i = 0; i < 4; i++) {
        w->tilt_deg[i] = angles_deg[i];
        turn(w->to_gwa, axes[i], angles_deg[i]);
    }
}

/* Array pixel to the pixel of the detector's own orientation, and back. */
static double to_sca(const struct wcs *w, double v, double corner)
{
    double full = v + corner;
    return w->flip ? (WCS_FULL - 1) - full : full;
}

static double from_sca(const struct wcs *w, double v, double corner)
{
    double full = w->flip ? (WCS_FULL - 1) - v : v;
    return full - corner;
}

/* Array pixels to the camera's image of the grating: u = tan-like coordinates. */
static void pixel_to_camera(const struct wcs *w, size_t n, const double *x,
                            const double *y, double *u, double *v)
{
    for (size_t i = 0; i < n; i++) {
        u[i] = to_sca(w, x[i], w->corner_x);
        v[i] = to_sca(w, y[i], w->corner_y);
    }
    double *const at[2] = {u, v};
    transform_eval(w->fpa.forward, n, (const double *const *)at, at);
    transform_eval(w->camera.forward, n, (const double *const *)at, at);
}

static void camera_to_pixel(const struct wcs *w, size_t n, double *x, double *y)
{
    double *const at[2] = {x, y};
    transform_eval(w->camera.inverse, n, (const double *const *)at, at);
    transform_eval(w->fpa.inverse, n, (const double *const *)at, at);
    for (size_t i = 0; i < n; i++) {
        x[i] = from_sca(w, x[i], w->corner_x);
        y[i] = from_sca(w, y[i], w->corner_y);
    }
}

/*
 * The peer turns in four steps and takes z as the positive root after each; for a unit
 * vector that stays in front of the grating that is one matrix.
 */
void wcs_pixel_to_gwa(const struct wcs *w, size_t n, const double *x, const double *y,
                      double *alpha, double *beta)
{
    const double *m = w->to_gwa;
    pixel_to_camera(w, n, x, y, alpha, beta);
    for (size_t i = 0; i < n; i++) {
        double u = alpha[i], v = beta[i];
        double scale = 1.0 / sqrt(1.0 + u * u + v * v);
        alpha[i] = (m[0] * u + m[1] * v + m[2]) * scale;
        beta[i] = (m[3] * u + m[4] * v + m[5]) * scale;
    }
}

/* Direction cosines at the grating to the camera's coordinates. */
static void gwa_to_camera(const struct wcs *w, size_t n, const double *alpha,
                          const double *beta, double *u, double *v)
{
    const double *m = w->to_gwa;
    for (size_t i = 0; i < n; i++) {
        double a = alpha[i], b = beta[i];
        double c = sqrt(1.0 - a * a - b * b);
        double z = m[2] * a + m[5] * b + m[8] * c;
        u[i] = (m[0] * a + m[3] * b + m[6] * c) / z;
        v[i] = (m[1] * a + m[4] * b + m[7] * c) / z;
    }
}

void wcs_gwa_to_pixel(const struct wcs *w, size_t n, const double *alpha,
                      const double *beta, double *x, double *y)
{
    gwa_to_camera(w, n, alpha, beta, x, y);
    camera_to_pixel(w, n, x, y);
}

static void to_camera(const void *arg, size_t n, const double *x, const double *y,
                      double *u, double *v)
{
    pixel_to_camera(arg, n, x, y, u, v);
}

void wcs_gwa_to_pixel_exact(const struct wcs *w, size_t n, const double *alpha,
                            const double *beta, double *x, double *y)
{
    double u[WCS_RUN], v[WCS_RUN];
    gwa_to_camera(w, n, alpha, beta, u, v);
    for (size_t i = 0; i < n; i++) {
        x[i] = u[i];
        y[i] = v[i];
    }
    camera_to_pixel(w, n, x, y);
    /* the stored inverse is good to some 1e-2 pixel; the camera is almost linear over h */
    for (int step = 0; step < 2; step++) {
        wcs_newton(to_camera, w, 0.5, n, u, v, x, y);
    }
}
