#include <math.h>
#include <string.h>
#include "common/data/transform_build.h"
#include "common/data/wcs_private.h"

static const double pi = 3.14159265358979323846;

/* Where x lies in n ascending points: k with at[k] <= x <= at[k + 1]; -1 outside. */
static int find(const double *at, int n, double scale, double x)
{
    if (!(x >= at[0] && x <= at[n - 1])) {
        return -1;
    }
    int k = (int)((x - at[0]) * scale);
    k = k > n - 2 ? n - 2 : k;
    while (k > 0 && x < at[k]) {
        k--;
    }
    while (k < n - 2 && x >= at[k + 1]) {
        k++;
    }
    return k;
}

/* Linear interpolation of value at ascending points; NaN outside. */
static double interpolate(const double *at, const double *value, int n, double scale,
                          double x)
{
    int k = find(at, n, scale, x);
    if (k < 0) {
        return NAN;
    }
    double t = (x - at[k]) / (at[k + 1] - at[k]);
    return value[k] * (1.0 - t) + value[k + 1] * t;
}

/* IFUPOST at the given wavelengths. */
static void behind_slicer(const struct ref_ifupost_slice *post, size_t n,
                          const double *lam_m, double *x, double *y)
{
    double poly[4][WCS_RUN];
    double *const at[2] = {x, y};
    const double *const in[2] = {x, y};
    transform_eval(post->linear, n, in, at);
    double *const out[4] = {poly[0], poly[1], poly[2], poly[3]};
    transform_eval(post->x0, n, in, &out[0]);
    transform_eval(post->x1, n, in, &out[1]);
    transform_eval(post->y0, n, in, &out[2]);
    transform_eval(post->y1, n, in, &out[3]);
    for (size_t i = 0; i < n; i++) {
        x[i] = poly[0][i] + poly[1][i] * lam_m[i];
        y[i] = poly[2][i] + poly[3][i] * lam_m[i];
    }
}

/* From a slit to the directions onto the grating. */
static void slit_to_grating(const struct wcs *w, const struct wcs_slice *s, size_t n,
                            const double *x_slit, const double *y_slit,
                            const double *lam_m, double *alpha_in, double *beta_in)
{
    double x[WCS_RUN], y[WCS_RUN];
    double *const at[2] = {x, y};
    for (size_t i = 0; i < n; i++) {
        x[i] = x_slit[i] * s->size_x + s->x;
        y[i] = y_slit[i] * s->size_y + s->y;
    }
    const double *const in[2] = {x, y};
    transform_eval(s->plane, n, in, at);
    if (s->post) {
        behind_slicer(s->post, n, lam_m, x, y);
    }
    transform_eval(w->collimator.inverse, n, in, at);
    const double *m = w->to_gwa;
    for (size_t i = 0; i < n; i++) {
        double scale = 1.0 / sqrt(1.0 + x[i] * x[i] + y[i] * y[i]);
        alpha_in[i] = (m[0] * x[i] + m[1] * y[i] + m[2]) * scale;
        beta_in[i] = (m[3] * x[i] + m[4] * y[i] + m[5]) * scale;
    }
}

/* The same for the centre line at the mid wavelength, as towards the sky. */
static void centre_to_grating(const struct wcs *w, const struct wcs_slice *s, size_t n,
                              const double *y_slit, double *alpha_in, double *beta_in)
{
    double zero[WCS_RUN] = {0.0}, lam[WCS_RUN] = {0.0};
    for (size_t i = 0; i < n; i++) {
        lam[i] = w->lam_mid;
    }
    slit_to_grating(w, s, n, zero, y_slit, lam, alpha_in, beta_in);
}

/*
 * A series for a smooth function sampled at the n Chebyshev nodes: its expansion up to
 * the term from which on the rest is below `small`, as powers. Returns the number of
 * terms, or 0 if WCS_SERIES are not enough for `bad`. Reference: Clenshaw & Curtis 1960.
 */
static int fit_series(const double *value, int n, double small, double bad,
                      double *ret_power)
{
    double c[WCS_SERIES + 8], rest = 0.0;
    int room = WCS_SERIES + 8, terms = 1;
    for (int k = 0; k < room; k++) {
        c[k] = 0.0;
        for (int i = 0; i < n; i++) {
            c[k] += value[i] * cos(pi * k * (i + 0.5) / n);
        }
        c[k] *= (k == 0 ? 1.0 : 2.0) / n;
    }
    for (int k = room - 1; k > 0 && terms == 1; k--) {
        rest += fabs(c[k]);
        if (rest > (k >= WCS_SERIES ? bad : small)) {
            terms = k + 1;
        }
    }
    if (terms > WCS_SERIES) {
        return 0;
    }
    /* T0 = 1, T1 = t, Tk+1 = 2 t Tk - Tk-1 */
    double before[WCS_SERIES] = {1.0}, now[WCS_SERIES] = {0.0, 1.0};
    memset(ret_power, 0, WCS_SERIES * sizeof *ret_power);
    ret_power[0] = c[0];
    for (int k = 1; k < terms; k++) {
        double next[WCS_SERIES];
        for (int j = 0; j < WCS_SERIES; j++) {
            ret_power[j] += c[k] * now[j];
            next[j] = 2.0 * (j > 0 ? now[j - 1] : 0.0) - before[j];
        }
        memcpy(before, now, sizeof before);
        memcpy(now, next, sizeof now);
    }
    return terms;
}

enum { nodes = 48 };

static int prepare_series(const struct wcs *w, struct wcs_slice *s, struct err *err)
{
    double y[nodes], alpha[nodes], beta[nodes];
    for (int i = 0; i < nodes; i++) {
        y[i] = 0.5 * (s->y_min + s->y_max) +
               0.5 * (s->y_max - s->y_min) * cos(pi * (i + 0.5) / nodes);
    }
    centre_to_grating(w, s, nodes, y, alpha, beta);
    /* rounding of IFUPOST's large coefficients leaves some 1e-11; that of a direction is
     * 3e-10 um with the coarsest grating */
    s->n_terms = fit_series(alpha, nodes, 2e-11, 1e-9, s->alpha_in);
    if (s->n_terms == 0) {
        return err_set(
            err, ERR_REFERENCE,
            "%s and collimator do not give a smooth way from slit to grating",
            s->post ? "ifuslicer, ifupost" : "msa");
    }
    return 0;
}

int wcs_slice_prepare(const struct wcs *w, struct wcs_slice *s, struct err *err)
{
    double alpha[WCS_RUN];
    const int n = WCS_SLIT_TABLE;
    double step = (s->y_max - s->y_min) / (n - 1);
    for (int i = 0; i < n; i++) {
        s->y_slit[i] = i < n - 1 ? i * step + s->y_min : s->y_max;
    }
    for (int i = 0; i < n; i += WCS_RUN) {
        size_t m = n - i < WCS_RUN ? (size_t)(n - i) : WCS_RUN;
        centre_to_grating(w, s, m, s->y_slit + i, alpha, s->beta + i);
    }
    if (s->beta[0] > s->beta[n - 1]) {
        for (int i = 0, j = n - 1; i < j; i++, j--) {
            double beta = s->beta[i], y = s->y_slit[i];
            s->beta[i] = s->beta[j];
            s->y_slit[i] = s->y_slit[j];
            s->beta[j] = beta;
            s->y_slit[j] = y;
        }
    }
    for (int i = 1; i < n; i++) {
        if (!(s->beta[i] > s->beta[i - 1])) {
            return err_set(err, ERR_REFERENCE,
                           "the direction onto the grating does not change steadily "
                           "along the slit (%s, collimator)",
                           s->post ? "ifuslicer, ifupost" : "msa");
        }
    }
    s->beta_scale = (n - 1) / (s->beta[n - 1] - s->beta[0]);
    return prepare_series(w, s, err);
}

/* ---- the prism ---- */

int wcs_glass_prepare(struct wcs_glass *g, const struct ref_disperser *d,
                      double temperature_k, struct err *err)
{
    double angle = d->prism_angle * pi / 180.0;
    g->angle_deg = d->prism_angle;
    g->sin2 = 2.0 * sin(angle) * cos(angle);
    g->cos2 = 1.0 - 2.0 * sin(angle) * sin(angle);
    g->glass = (struct transform_glass){.tref_k = d->tref_k,
                                        .pref_atm = d->pref_atm,
                                        .temperature_k = temperature_k,
                                        .pressure_atm = d->pref_atm};
    memcpy(g->glass.kcoef, d->kcoef, sizeof g->glass.kcoef);
    memcpy(g->glass.lcoef, d->lcoef, sizeof g->glass.lcoef);
    memcpy(g->glass.tcoef, d->tcoef, sizeof g->glass.tcoef);
    /* 0.3 to 8.005 um in steps of 5 nm, from the longest: the index then ascends */
    const int n = WCS_PRISM_TABLE;
    for (int i = 0; i < n; i++) {
        g->lam[i] = (0.3 + 0.005 * (n - 1 - i)) * 1e-6;
    }
    transform_refraction_index(&g->glass, n, g->lam, g->index);
    for (int i = 1; i < n; i++) {
        if (!(g->index[i] > g->index[i - 1])) {
            return err_set(err, ERR_REFERENCE,
                           "disperser: at %g K the prism's refraction index does not "
                           "fall steadily from 0.3 to 8 um (kcoef, lcoef, tcoef)",
                           temperature_k);
        }
    }
    return 0;
}

/* The table wavelength(index) from the index: its points are far from even. */
static double glass_wavelength(const struct wcs_glass *g, double index)
{
    int low = 0, high = WCS_PRISM_TABLE - 1;
    if (!(index >= g->index[low] && index <= g->index[high])) {
        return NAN;
    }
    while (high - low > 1) {
        int mid = (low + high) / 2;
        if (index >= g->index[mid]) {
            low = mid;
        } else {
            high = mid;
        }
    }
    double t = (index - g->index[low]) / (g->index[high] - g->index[low]);
    return g->lam[low] * (1.0 - t) + g->lam[high] * t;
}

static double glass_table_index(const struct wcs_glass *g, double lam)
{
    double step = 0.005e-6, from = g->lam[WCS_PRISM_TABLE - 1];
    double at = (lam - from) / step;
    if (!(at >= 0.0 && at <= WCS_PRISM_TABLE - 1)) {
        return NAN;
    }
    int k = (int)at;
    k = k > WCS_PRISM_TABLE - 2 ? WCS_PRISM_TABLE - 2 : k;
    double t = at - k;
    int i = WCS_PRISM_TABLE - 1 - k;
    return g->index[i] * (1.0 - t) + g->index[i - 1] * t;
}

/* ---- gwa <-> slit ---- */

/* A grating needs alpha_in alone, for which the series is good enough; the prism turns
 * directions into wavelengths so steeply that the peer's own rounding matters, so there
 * the optics are followed as in the peer. */
void wcs_gwa_to_slit(const struct wcs *w, const struct wcs_slice *s, size_t n,
                     const double *alpha, const double *beta, double *y_slit,
                     double *lam_m)
{
    double a[WCS_RUN], b[WCS_RUN];
    for (size_t i = 0; i < n; i++) {
        y_slit[i] =
            interpolate(s->beta, s->y_slit, WCS_SLIT_TABLE, s->beta_scale, -beta[i]);
    }
    if (w->glass) {
        const struct wcs_glass *g = w->glass;
        centre_to_grating(w, s, n, y_slit, a, b);
        for (size_t i = 0; i < n; i++) {
            double q = (alpha[i] + a[i] * g->cos2) / g->sin2;
            lam_m[i] = w->velocity *
                       glass_wavelength(g, sqrt(q * q + a[i] * a[i] + b[i] * b[i]));
        }
        return;
    }
    double middle = 0.5 * (s->y_min + s->y_max);
    double scale = 2.0 / (s->y_max - s->y_min);
    double factor = -w->velocity / w->groove_order;
    for (size_t i = 0; i < n; i++) {
        double t = (y_slit[i] - middle) * scale, sum = 0.0;
        for (int k = s->n_terms - 1; k >= 0; k--) {
            sum = sum * t + s->alpha_in[k];
        }
        lam_m[i] = (sum + alpha[i]) * factor;
    }
}

/*
 * What leaves the grating or prism. Snell's law in the prism, in and out by the front
 * and reflected at the back, comes to
 * alpha_out = sin(2 A) sqrt(n^2 - alpha_in^2 - beta_in^2) - cos(2 A) alpha_in.
 */
static double disperse(const struct wcs *w, double alpha_in, double beta_in, double lam,
                       double index)
{
    if (!w->glass) {
        return -w->groove_order * lam - alpha_in;
    }
    double depth = sqrt(index * index - alpha_in * alpha_in - beta_in * beta_in);
    return w->glass->sin2 * depth - w->glass->cos2 * alpha_in;
}

void wcs_slit_to_gwa(const struct wcs *w, const struct wcs_slice *s, size_t n,
                     const double *x_slit, const double *y_slit, const double *lam_m,
                     double *alpha, double *beta)
{
    double a[WCS_RUN], b[WCS_RUN], lam[WCS_RUN], index[WCS_RUN] = {0.0};
    slit_to_grating(w, s, n, x_slit, y_slit, lam_m, a, b);
    for (size_t i = 0; i < n; i++) {
        lam[i] = lam_m[i] / w->velocity;
    }
    if (w->glass) {
        transform_refraction_index(&w->glass->glass, (int)n, lam, index);
    }
    for (size_t i = 0; i < n; i++) {
        alpha[i] = disperse(w, a[i], b[i], lam[i], index[i]);
        beta[i] = -b[i];
    }
}

/* beta_in of the table at y_slit; NaN beyond its ends. */
static double table_beta(const struct wcs_slice *s, double y)
{
    const int n = WCS_SLIT_TABLE;
    bool up = s->y_slit[n - 1] > s->y_slit[0];
    double step = (s->y_max - s->y_min) / (n - 1);
    double k = (up ? y - s->y_slit[0] : s->y_slit[0] - y) / step;
    if (!(k >= 0.0 && k <= n - 1)) {
        return (double)NAN;
    }
    int j = (int)k > n - 2 ? n - 2 : (int)k;
    double t = (y - s->y_slit[j]) / (s->y_slit[j + 1] - s->y_slit[j]);
    return s->beta[j] * (1.0 - t) + s->beta[j + 1] * t;
}

void wcs_slit_to_gwa_exact(const struct wcs *w, const struct wcs_slice *s, size_t n,
                           const double *x_slit, const double *y_slit,
                           const double *lam_m, double *alpha, double *beta)
{
    double zero[WCS_RUN] = {0.0}, a[WCS_RUN], b[WCS_RUN], a0[WCS_RUN], b0[WCS_RUN];
    double mid_a[WCS_RUN], mid_b[WCS_RUN];
    slit_to_grating(w, s, n, x_slit, y_slit, lam_m, a, b);
    slit_to_grating(w, s, n, zero, y_slit, lam_m, a0, b0);
    centre_to_grating(w, s, n, y_slit, mid_a, mid_b);
    for (size_t i = 0; i < n; i++) {
        double da = a[i] - a0[i], db = b[i] - b0[i];
        double lam = lam_m[i] / w->velocity, on_table = table_beta(s, y_slit[i]);
        double index = w->glass ? glass_table_index(w->glass, lam) : 0.0;
        alpha[i] = disperse(w, mid_a[i] + da, mid_b[i] + db, lam, index);
        beta[i] = -((isnan(on_table) ? mid_b[i] : on_table) + db);
    }
}

/* ---- slit <-> slicer ---- */

void wcs_slit_to_slicer(const struct wcs *w, const struct wcs_slice *s, size_t n,
                        const double *y_slit, double *across_m, double *along_m)
{
    for (size_t i = 0; i < n; i++) {
        across_m[i] = y_slit[i] == y_slit[i] ? s->x : (double)NAN;
        along_m[i] = y_slit[i] * s->size_y + s->y;
    }
    double *const at[2] = {across_m, along_m};
    transform_eval(w->slicer_plane.forward, n, (const double *const *)at, at);
}

void wcs_slicer_to_slit(const struct wcs *w, const struct wcs_slice *s, size_t n,
                        const double *across_m, const double *along_m, double *x_slit,
                        double *y_slit)
{
    const double *const in[2] = {across_m, along_m};
    double *const out[2] = {x_slit, y_slit};
    transform_eval(w->slicer_plane.inverse, n, in, out);
    for (size_t i = 0; i < n; i++) {
        x_slit[i] = (x_slit[i] - s->x) / s->size_x;
        y_slit[i] = (y_slit[i] - s->y) / s->size_y;
    }
}
