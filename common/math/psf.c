#include "common/math/psf.h"

#include <math.h>

#define FWHM_PER_SIGMA 2.354820045

/* 0.045 of the telescope; two boxes of 0.1, each as wide as a Gaussian of FWHM 0.068 */
const struct psf psf_nominal = {0.032, 0.106, 0.16, 3.0};

double psf_fwhm(const struct psf *p, double um)
{
    return hypot(p->per_um * um, p->constant);
}

double psf_enclosed(const struct psf *p, double um, double radius)
{
    double core = radius * FWHM_PER_SIGMA / psf_fwhm(p, um);
    double wing = core / p->wing_scale;
    return (p->wing_share - 1.0) * expm1(-0.5 * core * core) -
           p->wing_share * expm1(-0.5 * wing * wing);
}

/* Integrals of a Gaussian at `at` over the n spaxels of an edge. */
static void along_edge(double at, double sigma, int n, double *ret)
{
    double k = M_SQRT1_2 / sigma, low = erf((-0.5 - at) * k);
    for (int i = 0; i < n; i++) {
        double high = erf((i + 0.5 - at) * k);
        ret[i] = 0.5 * (high - low);
        low = high;
    }
}

void psf_spaxels(const struct psf *p, double um, double x, double y, double spaxel,
                 int nx, int ny, double *edge, double *share)
{
    double sigma = psf_fwhm(p, um) / FWHM_PER_SIGMA / spaxel;
    double *core_x = edge, *wing_x = core_x + nx, *core_y = wing_x + nx,
           *wing_y = core_y + ny;
    along_edge(x, sigma, nx, core_x);
    along_edge(x, sigma * p->wing_scale, nx, wing_x);
    along_edge(y, sigma, ny, core_y);
    along_edge(y, sigma * p->wing_scale, ny, wing_y);
    for (int j = 0; j < ny; j++) {
        double core = (1.0 - p->wing_share) * core_y[j];
        double wing = p->wing_share * wing_y[j];
        for (int i = 0; i < nx; i++) {
            share[(size_t)j * (size_t)nx + (size_t)i] =
                core * core_x[i] + wing * wing_x[i];
        }
    }
}
