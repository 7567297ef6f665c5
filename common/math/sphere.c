#include "common/math/sphere.h"

#include <math.h>

double sphere_separation(double ra, double dec, double ra2, double dec2)
{
    const double rad = M_PI / 180;
    const double s = sin((dec2 - dec) * rad / 2), t = sin((ra2 - ra) * rad / 2);
    const double h = s * s + cos(dec * rad) * cos(dec2 * rad) * t * t;
    return 2 * asin(sqrt(h > 1 ? 1 : h)) / rad;
}
