#include "cli/sim/scene.h"

#include <math.h>

/* Hydrogen, helium and molecular hydrogen lines from the visible red to 5 um: NIST. */
static const struct scene_line lines[] = {
    {"H-alpha", 0.65646, 1.6},     {"[S III]", 0.90711, 0.8},
    {"He I", 1.08333, 1.0},        {"Pa-beta", 1.28216, 1.1},
    {"[Fe II]", 1.64400, 0.7},     {"Pa-alpha", 1.87561, 2.0},
    {"H2 1-0 S(1)", 2.12183, 0.7}, {"Br-gamma", 2.16612, 0.9},
    {"Br-beta", 2.62587, 1.2},     {"Pf-delta", 3.29699, 0.8},
    {"Pf-gamma", 3.74056, 0.7},    {"Br-alpha", 4.05226, 2.2},
    {"Pf-beta", 4.65378, 1.0},
};
static const size_t n_lines = sizeof lines / sizeof *lines;

/* the PSF: a core and a wide wing, both Gaussian */
#define WING_SHARE 0.16
#define WING_SCALE 3.0
#define FWHM_PER_SIGMA 2.354820045

const struct scene_line *scene_lines(size_t *ret_n)
{
    *ret_n = n_lines;
    return lines;
}

/* A Gaussian of unit peak at `centre`, averaged over um +- width / 2. */
static double line_mean(double um, double centre, double sigma, double width)
{
    double d = um - centre;
    if (fabs(d) > 6 * sigma + width) {
        return 0;
    }
    if (width <= 0) {
        return exp(-0.5 * d * d / (sigma * sigma));
    }
    double k = M_SQRT1_2 / sigma;
    return sigma * sqrt(M_PI / 2) *
           (erf((d + width / 2) * k) - erf((d - width / 2) * k)) / width;
}

double scene_source_mjy(const struct scene *s, double um, double width_um)
{
    double f = pow(um / 3, -0.7);
    for (size_t i = 0; i < n_lines; i++) {
        f += lines[i].peak * line_mean(um, lines[i].um, s->line_sigma_um, width_um);
    }
    return s->source_mjy * f;
}

static double core_sigma(double um)
{
    return sqrt(0.032 * um * 0.032 * um + 0.045 * 0.045) / FWHM_PER_SIGMA;
}

double scene_psf(double east, double north, double um)
{
    double a = core_sigma(um), b = WING_SCALE * a, r2 = east * east + north * north;
    if (r2 > 49 * b * b) {
        return 0;
    }
    double core = r2 > 49 * a * a ? 0 : exp(-0.5 * r2 / (a * a)) / (a * a);
    double wing = exp(-0.5 * r2 / (b * b)) / (b * b);
    return ((1 - WING_SHARE) * core + WING_SHARE * wing) / (2 * M_PI);
}

double scene_psf_enclosed(double radius, double um)
{
    double a = core_sigma(um), b = WING_SCALE * a, r2 = radius * radius;
    return (1 - WING_SHARE) * -expm1(-0.5 * r2 / (a * a)) +
           WING_SHARE * -expm1(-0.5 * r2 / (b * b));
}

double scene_disc_velocity(double east, double north)
{
    (void)north;
    return 180 * tanh(east / 0.4);
}

double scene_extended_mjysr(const struct scene *s, double east, double north, double um,
                            double width_um)
{
    double light = 0;
    if (s->zodi > 0) {
        light += s->zodi * (0.20 + 0.06 * pow(um / 3, 2) + 0.10 * pow(um / 4.5, 6));
    }
    if (s->disc_mjysr > 0) {
        double disc = s->disc_mjysr * exp(-hypot(east, north / 0.6) / 0.5);
        double shift = 1 + scene_disc_velocity(east, north) / SCENE_C_KMS, sum = 0.03;
        for (size_t i = 0; i < n_lines; i++) {
            sum += lines[i].peak *
                   line_mean(um, lines[i].um * shift, s->line_sigma_um, width_um);
        }
        light += disc * sum;
    }
    return light;
}
