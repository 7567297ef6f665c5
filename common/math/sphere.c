#include "common/math/sphere.h"

#include <math.h>

double sphere_separation(double ra, double dec, double ra2, double dec2)
{
    const double rad = M_PI / 180, dl = (ra2 - ra) * rad;
    const double s1 = sin(dec * rad), c1 = cos(dec * rad);
    const double s2 = sin(dec2 * rad), c2 = cos(dec2 * rad);
    const double a = c2 * sin(dl), b = c1 * s2 - s1 * c2 * cos(dl);
    return atan2(hypot(a, b), s1 * s2 + c1 * c2 * cos(dl)) / rad;
}
