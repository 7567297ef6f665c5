#ifndef IFUD_MATH_SPHERE_H
#define IFUD_MATH_SPHERE_H

/*
 * Degrees between two directions given in degrees, exact for small separations and near
 * 180, too (Vincenty's formula). NaN in, NaN out. Thread: any. Test: tests/math/test_sphere.c
 */
double sphere_separation(double ra, double dec, double ra2, double dec2);

#endif
