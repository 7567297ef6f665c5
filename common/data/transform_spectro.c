#include <math.h>
#include <string.h>
#include "common/data/asdf_text.h"
#include "common/data/transform_impl.h"

/* Gratings and the prism. Directions are cosines; z follows from the other two. */

#define DEGREE 0.017453292519943295

static void run_grating_angles(const struct transform *leaf, size_t n,
                               const double *const *in, double *const *out)
{
    const double by = -leaf->par[0] * leaf->par[1];

    for (size_t i = 0; i < n; i += LANES) {
        const lanes a = by * *(const lanes *)(in[0] + i) + *(const lanes *)(in[1] + i);
        const lanes b = -*(const lanes *)(in[2] + i);
        lanes z = 1.0 - a * a - b * b;

        lanes_sqrt(&z);
        *(lanes *)(out[0] + i) = a;
        *(lanes *)(out[1] + i) = b;
        *(lanes *)(out[2] + i) = z;
    }
}

static void run_grating_wavelength(const struct transform *leaf, size_t n,
                                   const double *const *in, double *const *out)
{
    const double by = leaf->par[0] * leaf->par[1];

    for (size_t i = 0; i < n; i += LANES) {
        *(lanes *)(out[0] + i) =
            (*(const lanes *)(in[0] + i) + *(const lanes *)(in[1] + i)) / by;
    }
}

static void write_grating(const struct transform *leaf, struct asdf_text *t,
                          const char *keys)
{
    asdf_text_put(t,
                  "!<tag:stsci.edu:gwcs/grating_equation-1.1.0> {%soutput: %s, "
                  "groove_density: ",
                  keys, leaf->n_out == 3 ? "angle" : "wavelength");
    asdf_text_real(t, leaf->par[0]);
    asdf_text_put(t, ", order: %d", (int)leaf->par[1]);
}

static const struct transform_op op_grating_angles = {
    "grating_equation", run_grating_angles, NULL, write_grating};
static const struct transform_op op_grating_wavelength = {
    "grating_equation", run_grating_wavelength, NULL, write_grating};

struct transform *transform_grating_angles(double groove_density, double order,
                                           struct err *err)
{
    const double par[2] = {groove_density, order};

    return transform_leaf(&op_grating_angles, 3, 3, 2, par, err);
}

struct transform *transform_grating_wavelength(double groove_density, double order,
                                               struct err *err)
{
    const double par[2] = {groove_density, order};

    return transform_leaf(&op_grating_wavelength, 2, 1, 2, par, err);
}

/* ---- refraction index ---- */

static double sellmeier(double um, const double b[3], const double c[3])
{
    const double sq = um * um;

    return sqrt(1.0 + b[0] * sq / (sq - c[0]) + b[1] * sq / (sq - c[1]) +
                b[2] * sq / (sq - c[2]));
}

/* Index at temperature and pressure, from the reference ones (as Zemax does it). */
static double zemax(double um, const struct transform_glass *g)
{
    const double temp = g->temperature_k - 273.15, ref = g->tref_k - 273.15;
    const double delta = temp - ref, sq = um * um;
    const double *d = g->tcoef, *e = g->tcoef + 3;
    const double air = 1.0 + (6432.8 + 2949810.0 * sq / (146.0 * sq - 1.0) +
                              (5540.0 * sq) / (41.0 * sq - 1.0)) *
                                 1e-8;
    const double air_obs =
        1.0 + ((air - 1.0) * g->pressure_atm) / (1.0 + (temp - 15.0) * 3.4785e-3);
    const double air_ref =
        1.0 + ((air - 1.0) * g->pref_atm) / (1.0 + (ref - 15.0) * 3.4785e-3);
    const double relative = um * air_obs / air_ref;
    const double index = sellmeier(relative, g->kcoef, g->lcoef);
    const double change =
        (0.5 * (index * index - 1.0) / index) *
        (d[0] * delta + d[1] * (delta * delta) + d[2] * (delta * delta * delta) +
         (e[0] * delta + e[1] * (delta * delta)) / (relative * relative - e[2] * e[2]));

    return (index * air_ref + change) / air_obs;
}

void transform_refraction_index(const struct transform_glass *glass, int n,
                                const double *wavelength_m, double *ret_index)
{
    const bool warm = glass->temperature_k - glass->tref_k >= 20.0;

    for (int i = 0; i < n; i++) {
        const double um = wavelength_m[i] * 1.0e6;

        ret_index[i] =
            warm ? zemax(um, glass) : sellmeier(um, glass->kcoef, glass->lcoef);
    }
}

static void run_glass_index(const struct transform *leaf, size_t n,
                            const double *const *in, double *const *out)
{
    struct transform_glass glass;

    memcpy(&glass, leaf->par + 1, sizeof(glass));
    for (size_t i = 0; i < n; i++) {
        out[0][i] = leaf->par[0] != 0.0 ? zemax(in[0][i], &glass)
                                        : sellmeier(in[0][i], glass.kcoef, glass.lcoef);
    }
}

static const struct transform_op op_glass_index = {"sellmeier", run_glass_index, NULL,
                                                   NULL};

struct transform *transform_glass_index(const struct transform_glass *glass,
                                        bool thermal, struct err *err)
{
    struct transform *t = transform_leaf(
        &op_glass_index, 1, 1, 1 + sizeof(*glass) / sizeof(double), NULL, err);

    if (t != NULL) {
        t->par[0] = thermal;
        memcpy(t->par + 1, glass, sizeof(*glass));
    }
    return t;
}

/* ---- the prism ---- */

static void run_snell3d(const struct transform *leaf, size_t n, const double *const *in,
                        double *const *out)
{
    (void)leaf;
    for (size_t i = 0; i < n; i += TRANSFORM_BLOCK) {
        for (size_t k = i; k < i + TRANSFORM_BLOCK; k++) {
            const double x = in[1][k] / in[0][k], y = in[2][k] / in[0][k];

            out[0][k] = x;
            out[1][k] = y;
            out[2][k] = sqrt(1.0 - x * x - y * y);
        }
    }
}

static const struct transform_op op_snell3d = {"snell3d", run_snell3d, NULL, NULL};

struct transform *transform_snell3d(struct err *err)
{
    return transform_leaf(&op_snell3d, 4, 3, 0, NULL, err);
}

enum { PAR_SIN, PAR_COS, PAR_GLASS };

static void run_snell(const struct transform *leaf, size_t n, const double *const *in,
                      double *const *out)
{
    const double s = leaf->par[PAR_SIN], c = leaf->par[PAR_COS];
    struct transform_glass glass;
    double index[TRANSFORM_RUN];

    memcpy(&glass, leaf->par + PAR_GLASS, sizeof(glass));
    transform_refraction_index(&glass, (int)n, in[0], index);
    for (size_t k = 0; k < n; k++) {
        double x = in[1][k] / index[k], y = in[2][k] / index[k];
        double z = sqrt(1.0 - x * x - y * y);

        x = x * c - z * s; /* to the back surface, reflected there, and to the front */
        z = sqrt(1.0 - x * x - y * y);
        x = -x;
        y = -y;
        x = x * c + z * s;
        const double inverse = 1.0 / index[k];

        x /= inverse;
        y /= inverse;
        out[0][k] = x;
        out[1][k] = y;
        out[2][k] = sqrt(1.0 - x * x - y * y);
    }
}

static void write_snell(const struct transform *leaf, struct asdf_text *t,
                        const char *keys)
{
    struct transform_glass g;

    memcpy(&g, leaf->par + PAR_GLASS, sizeof(g));
    const struct {
        const char *key;
        size_t n;
        const double *v;
    } parts[] = {{"kcoef", 3, g.kcoef}, {"lcoef", 3, g.lcoef}, {"tcoef", 6, g.tcoef}};
    const struct {
        const char *key;
        double v;
    } numbers[] = {{"ref_temp", g.tref_k},
                   {"ref_pressure", g.pref_atm},
                   {"temp", g.temperature_k},
                   {"pressure", g.pressure_atm}};

    asdf_text_put(t,
                  "!<tag:stsci.edu:jwst_pipeline/snell-1.0.0> {%sprism_angle: ", keys);
    asdf_text_real(t, atan2(leaf->par[PAR_SIN], leaf->par[PAR_COS]) / DEGREE);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        asdf_text_put(t, ", %s: ", parts[i].key);
        asdf_text_reals(t, parts[i].n, parts[i].v);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        asdf_text_put(t, ", %s: ", numbers[i].key);
        asdf_text_real(t, numbers[i].v);
    }
}

static const struct transform_op op_snell = {"snell", run_snell, NULL, write_snell};

struct transform *transform_snell(double prism_angle_deg,
                                  const struct transform_glass *glass, struct err *err)
{
    struct transform *t = transform_leaf(
        &op_snell, 4, 3, PAR_GLASS + sizeof(*glass) / sizeof(double), NULL, err);

    _Static_assert(sizeof(*glass) % sizeof(double) == 0, "the glass is all numbers");
    if (t != NULL) {
        t->par[PAR_SIN] = sin(prism_angle_deg * DEGREE);
        t->par[PAR_COS] = cos(prism_angle_deg * DEGREE);
        memcpy(t->par + PAR_GLASS, glass, sizeof(*glass));
    }
    return t;
}

static void run_prism_index(const struct transform *leaf, size_t n,
                            const double *const *in, double *const *out)
{
    const double s = leaf->par[0], c = leaf->par[1];
    const double by = 1.0 - 2.0 * (s * s), over = 2.0 * s * c;

    for (size_t i = 0; i < n; i += LANES) {
        const lanes x = *(const lanes *)(in[0] + i), y = *(const lanes *)(in[1] + i);
        const lanes q = (*(const lanes *)(in[2] + i) + x * by) / over;
        lanes index = q * q + x * x + y * y;

        lanes_sqrt(&index);
        *(lanes *)(out[0] + i) = index;
    }
}

static void write_prism_index(const struct transform *leaf, struct asdf_text *t,
                              const char *keys)
{
    asdf_text_put(t,
                  "!<tag:stsci.edu:jwst_pipeline/refraction_index_from_prism-1.0.0> {%s"
                  "prism_angle: ",
                  keys);
    asdf_text_real(t, atan2(leaf->par[0], leaf->par[1]) / DEGREE);
}

static const struct transform_op op_prism_index = {
    "refraction_index_from_prism", run_prism_index, NULL, write_prism_index};

struct transform *transform_prism_index(double prism_angle_deg, struct err *err)
{
    const double par[2] = {sin(prism_angle_deg * DEGREE),
                           cos(prism_angle_deg * DEGREE)};

    return transform_leaf(&op_prism_index, 3, 1, 2, par, err);
}
