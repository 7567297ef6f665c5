#include "common/data/wcs_private.h"

void wcs_newton(wcs_map map, const void *arg, double h, size_t n, const double *u,
                const double *v, double *x, double *y)
{
    double moved[WCS_RUN] = {0.0}, u0[WCS_RUN], v0[WCS_RUN], ux[WCS_RUN], vx[WCS_RUN],
           uy[WCS_RUN], vy[WCS_RUN];
    for (size_t i = 0; i < n; i++) {
        moved[i] = x[i] + h;
    }
    map(arg, n, moved, y, ux, vx);
    for (size_t i = 0; i < n; i++) {
        moved[i] = y[i] + h;
    }
    map(arg, n, x, moved, uy, vy);
    map(arg, n, x, y, u0, v0);
    for (size_t i = 0; i < n; i++) {
        double a = (ux[i] - u0[i]) / h, b = (uy[i] - u0[i]) / h;
        double c = (vx[i] - v0[i]) / h, d = (vy[i] - v0[i]) / h;
        double p = u[i] - u0[i], q = v[i] - v0[i], det = a * d - b * c;
        x[i] += (d * p - b * q) / det;
        y[i] += (a * q - c * p) / det;
    }
}
