#ifndef IFUD_DATA_TRANSFORM_BUILD_H
#define IFUD_DATA_TRANSFORM_BUILD_H

#include <stdbool.h>
#include "common/data/transform.h"

/*
 * Building transforms in code: leaves, combinators, stored inverses.
 *
 * Every function returns a new reference, or NULL with `err` set. Arguments that are
 * transforms are TAKEN OVER, on failure too; keep one by passing transform_hold(t).
 * A NULL argument gives NULL and leaves err as the failed argument set it, so calls nest:
 *
 *     t = transform_compose(transform_shift(-1.0, err), transform_scale(2.0, err), err);
 *
 * A transform that was built must be compiled (transform_compile) before it is evaluated;
 * what asdf_transform and transform_inverse return is compiled already.
 *
 * The operations and their order are those of astropy.modeling, so that results agree to
 * rounding. Where an analytic inverse is named, transform_inverse finds it; a stored one
 * (transform_with_inverse) always goes first, at every level of a tree.
 * Thread: any. Test: tests/data/test_transform.c, tests/data/test_transform_asdf.c
 */

/* ---- combinators ---- */

/* b after a. Inverse: inverse of b, then of a. */
struct transform *transform_compose(struct transform *a, struct transform *b,
                                    struct err *err);
/* a and b side by side: the inputs (outputs) of a, then those of b. Inverse: of each. */
struct transform *transform_concatenate(struct transform *a, struct transform *b,
                                        struct err *err);
/* Outputs are the inputs idx[0..n_out-1]. Inverse: if idx is a permutation, or lets every
 * input appear (then of the first appearance of each). */
struct transform *transform_remap(int n_in, int n_out, const int *idx, struct err *err);
/* n inputs, unchanged. Inverse: itself. */
struct transform *transform_identity(int n, struct err *err);
/* op is one of + - * / ^ : both see the same inputs; outputs are combined one by one. */
struct transform *transform_arithmetic(char op, struct transform *a,
                                       struct transform *b, struct err *err);
/* t with the inputs idx[0..n-1] held at values[0..n-1]; the others keep their order. */
struct transform *transform_fix_inputs(struct transform *t, int n, const int *idx,
                                       const double *values, struct err *err);
/* t, whose inverse is inv (n_inputs and n_outputs need not mirror those of t). */
struct transform *transform_with_inverse(struct transform *t, struct transform *inv,
                                         struct err *err);

/* ---- one input ---- */

struct transform *transform_shift(double offset, struct err *err); /* has inverse */
struct transform *transform_scale(double factor, struct err *err); /* has inverse */
/* n_in inputs are ignored, the output is value (Const1D: n_in = 1). */
struct transform *transform_constant(int n_in, double value, struct err *err);
/* Sum of coef[i] x^i, i = 0..n-1; x is first mapped from domain to window (double[2],
 * NULL: [-1, 1]). */
struct transform *transform_polynomial1d(int n, const double *coef,
                                         const double *domain, const double *window,
                                         struct err *err);
/*
 * A series of chebyshev, legendre or hermite polynomials in one or two variables: coef is
 * nx x ny (ny = 1 in one), the index of y fast. domain, window: as above.
 */
struct transform *transform_ortho(const char *type, int n_axes, int nx, int ny,
                                  const double *coef, const double *domain,
                                  const double *window, struct err *err);
/* A table's value for x outside its points. */
enum transform_outside {
    TRANSFORM_OUTSIDE_FILL,       /* the fill value */
    TRANSFORM_OUTSIDE_EXTRAPOLATE /* the line (method nearest: the value) of the end */
};
/*
 * A table with linear interpolation: n >= 2 points, strictly monotonic (either way).
 * Inverse: the table swapped, where the values are strictly monotonic; outside it is NaN
 * unless the table extrapolates.
 */
struct transform *transform_tabular1d(int n, const double *points, const double *values,
                                      enum transform_outside outside, double fill,
                                      struct err *err);
/* The same with the value of the nearest point (half way: the lower one). */
struct transform *transform_nearest1d(int n, const double *points, const double *values,
                                      enum transform_outside outside, double fill,
                                      struct err *err);
/* x, but `value` where `x condition compareto` ("GT", "LT", "EQ", "NE"); NaN stays. */
struct transform *transform_logical(const char *condition, double compareto,
                                    double value, struct err *err);
/* A function by its numpy name ("sin", "deg2rad", "arctan2", ...); one or two inputs. */
struct transform *transform_function(const char *name, struct err *err);

/* ---- two inputs ---- */

/* matrix (row by row) times (x, y), plus translation. Inverse: unless singular. */
struct transform *transform_affine(const double matrix[4], const double translation[2],
                                   struct err *err);
struct transform *transform_rotate2d(double angle_deg,
                                     struct err *err); /* has inverse */
/*
 * Sum of coef[i][j] x^i y^j over i + j <= degree; coef is (degree+1) x (degree+1), the
 * index of y fast. domain, window: double[4] as x0 x1 y0 y1, NULL: [-1, 1] each.
 */
struct transform *transform_polynomial2d(int degree, const double *coef,
                                         const double *domain, const double *window,
                                         struct err *err);
/* Bilinear (or nearest) in a table values[nx][ny], the index of y fast; points of either
 * axis strictly monotonic. */
struct transform *transform_tabular2d(int nx, const double *x, int ny, const double *y,
                                      const double *values, bool nearest,
                                      enum transform_outside outside, double fill,
                                      struct err *err);

/* The value of the nearest pixel of a picture values[ny][nx]; `none` outside of it. */
struct transform *transform_lookup(size_t nx, size_t ny, const double *values,
                                   double none, struct err *err);

/* ---- directions and rotations ---- */

/* (x, y) to the direction cosines of (x, y, 1), and back: (x/z, y/z). Inverses. */
struct transform *transform_to_cosines(struct err *err);
struct transform *transform_from_cosines(struct err *err);
/* (longitude, latitude) degrees to a unit vector, and back. Longitude is wrapped at 360
 * (0 <= lon < 360) or at 180 (-180 <= lon < 180). Inverses of each other. */
struct transform *transform_spherical_to_cartesian(int wrap_at, struct err *err);
struct transform *transform_cartesian_to_spherical(int wrap_at, struct err *err);
/* Successive rotations about axes ("xyzy", one letter each), angles in degrees, of a
 * vector (x, y, z): astropy's RotationSequence3D. Has inverse. */
struct transform *transform_rotation(const char *axes, const double *angles_deg,
                                     struct err *err);
/* The same of (longitude, latitude) in degrees: SphericalRotationSequence. */
struct transform *transform_rotation_spherical(const char *axes,
                                               const double *angles_deg,
                                               struct err *err);
/* The peer's Rotation3DToGWA: each step keeps the vector's length 1 by recomputing z as
 * the positive root. Has inverse. */
struct transform *transform_rotation_gwa(const char *axes, const double *angles_deg,
                                         struct err *err);
/* (longitude, latitude) in degrees from native to celestial coordinates or back: lon and
 * lat of the fiducial point, native longitude of the celestial pole. Longitude 0..360. */
struct transform *transform_rotate_native(double lon_deg, double lat_deg,
                                          double pole_deg, bool to_celestial,
                                          struct err *err);
/* (x, y, z) to the direction cosines of (x, y, 1) and the length, and back (gwcs). */
struct transform *transform_vector_to_cosines(struct err *err);
struct transform *transform_vector_from_cosines(struct err *err);

/* ---- spectrograph ---- */

/* (wavelength, alpha_in, beta_in) to (alpha_out, beta_out, gamma_out) in direction
 * cosines: alpha_out = -groove_density * order * wavelength + alpha_in (as gwcs). */
struct transform *transform_grating_angles(double groove_density, double order,
                                           struct err *err);
/* (alpha_in, alpha_out) to (alpha_in + alpha_out) / (groove_density * order). */
struct transform *transform_grating_wavelength(double groove_density, double order,
                                               struct err *err);
/* A prism in reflection; the glass by Sellmeier, with temperature (Zemax) from 20 K of
 * difference on. */
struct transform_glass {
    double kcoef[3], lcoef[3]; /* Sellmeier B and C (um^2) */
    double tcoef[6];           /* D0 D1 D2 E0 E1 lambda_tk */
    double tref_k, pref_atm;   /* reference temperature and pressure */
    double temperature_k, pressure_atm;
};
/* Refraction index at n wavelengths in metres. */
void transform_refraction_index(const struct transform_glass *glass, int n,
                                const double *wavelength_m, double *ret_index);
/* Wavelength in micrometres to the index; `thermal`: with temperature and pressure. */
struct transform *transform_glass_index(const struct transform_glass *glass,
                                        bool thermal, struct err *err);
/* (index, x, y, z) of a direction to (x, y, z) behind the surface. */
struct transform *transform_snell3d(struct err *err);
/* (wavelength m, alpha_in, beta_in, z_in) to (alpha_out, beta_out, z_out). */
struct transform *transform_snell(double prism_angle_deg,
                                  const struct transform_glass *glass, struct err *err);
/* (alpha_in, beta_in, alpha_out) to the refraction index. */
struct transform *transform_prism_index(double prism_angle_deg, struct err *err);

#endif
