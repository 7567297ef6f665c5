#include <math.h>
#include <string.h>
#include "common/data/asdf_text.h"
#include "common/data/transform_impl.h"

/* Affine maps, rotations, direction cosines, spherical coordinates. */

#define DEGREE 0.017453292519943295
#define RADIAN 57.29577951308232
#define MAX_TURNS 16

/* ---- the plane ---- */

static void run_affine(const struct transform *leaf, size_t n, const double *const *in,
                       double *const *out)
{
    const double *m = leaf->par, *shift = leaf->par + 4;

    for (size_t i = 0; i < n; i += LANES) {
        const lanes x = *(const lanes *)(in[0] + i), y = *(const lanes *)(in[1] + i);

        *(lanes *)(out[0] + i) = m[0] * x + m[1] * y + shift[0];
        *(lanes *)(out[1] + i) = m[2] * x + m[3] * y + shift[1];
    }
}

static struct transform *affine_back(const struct transform *leaf, struct err *err)
{
    const double *m = leaf->par, *shift = leaf->par + 4;
    const double det = m[0] * m[3] - m[1] * m[2];
    double back[4] = {m[3], -m[1], -m[2], m[0]};

    if (det == 0.0) {
        err_set(err, ERR_REFERENCE, "%s%sa singular affine matrix has no inverse",
                leaf->origin ? leaf->origin : "", leaf->origin ? ": " : "");
        return NULL;
    }
    for (int i = 0; i < 4; i++) {
        back[i] /= det;
    }
    const double moved[2] = {-(back[0] * shift[0] + back[1] * shift[1]),
                             -(back[2] * shift[0] + back[3] * shift[1])};

    return transform_affine(back, moved, err);
}

static void write_affine(const struct transform *leaf, struct asdf_text *t,
                         const char *keys)
{
    asdf_text_put(t, "!transform/affine-1.3.0 {%smatrix: !core/ndarray-1.0.0 {data: [",
                  keys);
    asdf_text_reals(t, 2, leaf->par);
    asdf_text_put(t, ", ");
    asdf_text_reals(t, 2, leaf->par + 2);
    asdf_text_put(t, "], datatype: float64}, translation: !core/ndarray-1.0.0 {data: ");
    asdf_text_reals(t, 2, leaf->par + 4);
    asdf_text_put(t, ", datatype: float64}");
}

static const struct transform_op op_affine = {"affine", run_affine, affine_back,
                                              write_affine};

struct transform *transform_affine(const double matrix[4], const double translation[2],
                                   struct err *err)
{
    struct transform *t = transform_leaf(&op_affine, 2, 2, 6, NULL, err);

    if (t != NULL) {
        memcpy(t->par, matrix, 4 * sizeof(double));
        memcpy(t->par + 4, translation, 2 * sizeof(double));
    }
    return t;
}

static void run_rotate2d(const struct transform *leaf, size_t n,
                         const double *const *in, double *const *out)
{
    const double c = leaf->par[1], s = leaf->par[2];

    for (size_t i = 0; i < n; i += LANES) {
        const lanes x = *(const lanes *)(in[0] + i), y = *(const lanes *)(in[1] + i);

        *(lanes *)(out[0] + i) = c * x - s * y;
        *(lanes *)(out[1] + i) = s * x + c * y;
    }
}

static struct transform *rotate2d_back(const struct transform *leaf, struct err *err)
{
    return transform_rotate2d(-leaf->par[0], err);
}

static void write_rotate2d(const struct transform *leaf, struct asdf_text *t,
                           const char *keys)
{
    asdf_text_put(t, "!transform/rotate2d-1.3.0 {%sangle: ", keys);
    asdf_text_real(t, leaf->par[0]);
}

static const struct transform_op op_rotate2d = {"rotate2d", run_rotate2d, rotate2d_back,
                                                write_rotate2d};

struct transform *transform_rotate2d(double angle_deg, struct err *err)
{
    const double angle = angle_deg * DEGREE;
    const double par[3] = {angle_deg, cos(angle), sin(angle)};

    return transform_leaf(&op_rotate2d, 2, 2, 3, par, err);
}

/* ---- direction cosines ---- */

static void run_to_cosines(const struct transform *leaf, size_t n,
                           const double *const *in, double *const *out)
{
    (void)leaf;
    for (size_t i = 0; i < n; i += LANES) {
        const lanes x = *(const lanes *)(in[0] + i), y = *(const lanes *)(in[1] + i);
        lanes length = 1.0 + x * x + y * y;

        lanes_sqrt(&length);
        *(lanes *)(out[0] + i) = x / length;
        *(lanes *)(out[1] + i) = y / length;
        *(lanes *)(out[2] + i) = 1.0 / length;
    }
}

static void run_from_cosines(const struct transform *leaf, size_t n,
                             const double *const *in, double *const *out)
{
    (void)leaf;
    for (size_t i = 0; i < n; i += LANES) {
        const lanes z = *(const lanes *)(in[2] + i);

        *(lanes *)(out[0] + i) = *(const lanes *)(in[0] + i) / z;
        *(lanes *)(out[1] + i) = *(const lanes *)(in[1] + i) / z;
    }
}

static struct transform *to_cosines_back(const struct transform *leaf, struct err *err)
{
    (void)leaf;
    return transform_from_cosines(err);
}

static struct transform *from_cosines_back(const struct transform *leaf,
                                           struct err *err)
{
    (void)leaf;
    return transform_to_cosines(err);
}

static void write_coords(const struct transform *leaf, struct asdf_text *t,
                         const char *keys)
{
    asdf_text_put(t, "!<tag:stsci.edu:jwst_pipeline/coords-1.0.0> {%smodel_type: %s",
                  keys, leaf->op->name);
}

static const struct transform_op op_to_cosines = {
    "unitless2directional", run_to_cosines, to_cosines_back, write_coords};
static const struct transform_op op_from_cosines = {
    "directional2unitless", run_from_cosines, from_cosines_back, write_coords};

struct transform *transform_to_cosines(struct err *err)
{
    return transform_leaf(&op_to_cosines, 2, 3, 0, NULL, err);
}

struct transform *transform_from_cosines(struct err *err)
{
    return transform_leaf(&op_from_cosines, 3, 2, 0, NULL, err);
}

/* gwcs: (x, y, z) to the cosines of (x, y, 1) and the length, and back. */
static void run_cosines4(const struct transform *leaf, size_t n,
                         const double *const *in, double *const *out)
{
    run_to_cosines(leaf, n, in, out);
    for (size_t i = 0; i < n; i++) {
        out[3][i] = sqrt(1.0 + in[0][i] * in[0][i] + in[1][i] * in[1][i]);
    }
}

static void run_vector4(const struct transform *leaf, size_t n, const double *const *in,
                        double *const *out)
{
    (void)leaf;
    for (int axis = 0; axis < 3; axis++) {
        for (size_t i = 0; i < n; i++) {
            out[axis][i] = in[axis][i] * in[3][i];
        }
    }
}

static struct transform *cosines4_back(const struct transform *leaf, struct err *err)
{
    (void)leaf;
    return transform_vector_from_cosines(err);
}

static struct transform *vector4_back(const struct transform *leaf, struct err *err)
{
    (void)leaf;
    return transform_vector_to_cosines(err);
}

static const struct transform_op op_cosines4 = {"to_direction_cosines", run_cosines4,
                                                cosines4_back, NULL};
static const struct transform_op op_vector4 = {"from_direction_cosines", run_vector4,
                                               vector4_back, NULL};

struct transform *transform_vector_to_cosines(struct err *err)
{
    return transform_leaf(&op_cosines4, 3, 4, 0, NULL, err);
}

struct transform *transform_vector_from_cosines(struct err *err)
{
    return transform_leaf(&op_vector4, 4, 3, 0, NULL, err);
}

/* ---- the sphere ---- */

static void run_to_cartesian(const struct transform *leaf, size_t n,
                             const double *const *in, double *const *out)
{
    (void)leaf;
    for (size_t i = 0; i < n; i++) {
        double sin_lon, cos_lon, sin_lat, cos_lat;

        sincos(in[0][i] * DEGREE, &sin_lon, &cos_lon);
        sincos(in[1][i] * DEGREE, &sin_lat, &cos_lat);
        out[0][i] = cos_lat * cos_lon;
        out[1][i] = cos_lat * sin_lon;
        out[2][i] = sin_lat;
    }
}

/* par[0]: how the longitude is wrapped. */
enum { WRAP_NONE, WRAP_180, WRAP_360, WRAP_POSITIVE };

static void run_to_spherical(const struct transform *leaf, size_t n,
                             const double *const *in, double *const *out)
{
    const int wrap = (int)leaf->par[0];

    for (size_t i = 0; i < n; i++) {
        const double x = in[0][i], y = in[1][i];
        const double h = hypot(x, y);
        double lon = atan2(y, x) * RADIAN;

        if (h == 0.0 && (wrap == WRAP_180 || wrap == WRAP_360)) {
            lon *= 0.0;
        }
        if (wrap == WRAP_POSITIVE && lon < 0.0) {
            lon += 360.0;
        } else if (wrap == WRAP_360 && isfinite(lon)) {
            lon = lon < 0.0 ? lon + 360.0 : lon; /* as the remainder by 360 */
        }
        out[0][i] = lon;
        out[1][i] = atan2(in[2][i], h) * RADIAN;
    }
}

static const struct transform_op op_to_cartesian, op_to_spherical;

static struct transform *to_cartesian_back(const struct transform *leaf,
                                           struct err *err)
{
    return transform_leaf(&op_to_spherical, 3, 2, 1, leaf->par, err);
}

static struct transform *to_spherical_back(const struct transform *leaf,
                                           struct err *err)
{
    return transform_leaf(&op_to_cartesian, 2, 3, 1, leaf->par, err);
}

static void write_spherical(const struct transform *leaf, struct asdf_text *t,
                            const char *keys)
{
    const int wrap = (int)leaf->par[0];

    if (wrap != WRAP_180 && wrap != WRAP_360) {
        asdf_text_fail(t, ERR_REFERENCE,
                       "a rotation of the sphere cannot be written that is not "
                       "wrapped at 180 or 360");
    }
    asdf_text_put(t,
                  "!<tag:stsci.edu:gwcs/spherical_cartesian-1.1.0> {%s"
                  "transform_type: %s, wrap_lon_at: %d",
                  keys, leaf->op->name, wrap == WRAP_180 ? 180 : 360);
}

static const struct transform_op op_to_cartesian = {
    "spherical_to_cartesian", run_to_cartesian, to_cartesian_back, write_spherical};
static const struct transform_op op_to_spherical = {
    "cartesian_to_spherical", run_to_spherical, to_spherical_back, write_spherical};

static struct transform *spherical(const struct transform_op *op, int n_in, int n_out,
                                   int wrap_at, struct err *err)
{
    const double wrap = wrap_at == 180 ? WRAP_180 : WRAP_360;

    if (wrap_at != 180 && wrap_at != 360) {
        err_set(err, ERR_REFERENCE, "longitude wrapped at %d; 180 or 360 is possible",
                wrap_at);
        return NULL;
    }
    return transform_leaf(op, n_in, n_out, 1, &wrap, err);
}

struct transform *transform_spherical_to_cartesian(int wrap_at, struct err *err)
{
    return spherical(&op_to_cartesian, 2, 3, wrap_at, err);
}

struct transform *transform_cartesian_to_spherical(int wrap_at, struct err *err)
{
    return spherical(&op_to_spherical, 3, 2, wrap_at, err);
}

/* ---- rotations of space: the matrix, then the angles and axes for the inverse ---- */

enum { PAR_MATRIX, PAR_TURNS = 9, PAR_ANGLES = 10, PAR_AXES = 10 + MAX_TURNS };

static void run_rotation(const struct transform *leaf, size_t n,
                         const double *const *in, double *const *out)
{
    const double *m = leaf->par + PAR_MATRIX;

    for (size_t i = 0; i < n; i += LANES) {
        const lanes x = *(const lanes *)(in[0] + i), y = *(const lanes *)(in[1] + i),
                    z = *(const lanes *)(in[2] + i);

        *(lanes *)(out[0] + i) = m[0] * x + m[1] * y + m[2] * z;
        *(lanes *)(out[1] + i) = m[3] * x + m[4] * y + m[5] * z;
        *(lanes *)(out[2] + i) = m[6] * x + m[7] * y + m[8] * z;
    }
}

/* The last turn stands leftmost: m = turn * m. */
static void turn(double m[9], int axis, double angle)
{
    const int a = (axis + 1) % 3, b = (axis + 2) % 3;
    const double c = cos(angle), s = sin(angle);

    for (int k = 0; k < 3; k++) {
        const double ma = m[3 * a + k], mb = m[3 * b + k];

        m[3 * a + k] = c * ma + s * mb;
        m[3 * b + k] = -s * ma + c * mb;
    }
}

/* A leaf of turns about axes, with angles in radians as they are used. */
static struct transform *turns(const struct transform_op *op, const char *axes,
                               const double *angles, struct err *err)
{
    static const double unit[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    const size_t n = strlen(axes);
    struct transform *t;

    if (n < 1 || n > MAX_TURNS || strspn(axes, "xyz") != n) {
        err_set(err, ERR_REFERENCE,
                "rotation about the axes '%s'; 1 to %d letters of xyz are possible",
                axes, MAX_TURNS);
        return NULL;
    }
    t = transform_leaf(op, 3, 3, PAR_AXES + MAX_TURNS, NULL, err);
    if (t == NULL) {
        return NULL;
    }
    memcpy(t->par, unit, sizeof(unit));
    t->par[PAR_TURNS] = (double)n;
    for (size_t i = 0; i < n; i++) {
        t->par[PAR_ANGLES + i] = angles[i];
        t->par[PAR_AXES + i] = axes[i];
        turn(t->par, axes[i] - 'x', angles[i]);
    }
    return t;
}

static struct transform *turns_back(const struct transform *leaf, struct err *err)
{
    const int n = (int)leaf->par[PAR_TURNS];
    double angles[MAX_TURNS];
    char axes[MAX_TURNS + 1] = "";

    for (int i = 0; i < n; i++) {
        angles[i] = -leaf->par[PAR_ANGLES + n - 1 - i];
        axes[i] = (char)leaf->par[PAR_AXES + n - 1 - i];
    }
    return turns(leaf->op, axes, angles, err);
}

static const struct transform_op op_rotation;

static void write_rotation(const struct transform *leaf, struct asdf_text *t,
                           const char *keys)
{
    const bool cartesian = leaf->op == &op_rotation;
    const int n = (int)leaf->par[PAR_TURNS];
    double angles[MAX_TURNS] = {0};
    char axes[MAX_TURNS + 1] = "";

    for (int i = 0; i < n; i++) {
        angles[i] = leaf->par[PAR_ANGLES + i] * RADIAN;
        axes[i] = (char)leaf->par[PAR_AXES + i];
    }
    asdf_text_put(t, "!<tag:stsci.edu:%s> {%s%saxes_order: '%s', angles: ",
                  cartesian ? "asdf/transform/rotate_sequence_3d-1.0.0"
                            : "jwst_pipeline/rotation_sequence-1.0.0",
                  keys, cartesian ? "rotation_type: cartesian, " : "", axes);
    asdf_text_reals(t, (size_t)n, angles);
}

static const struct transform_op op_rotation = {"rotate_sequence_3d", run_rotation,
                                                turns_back, write_rotation};

static struct transform *turns_deg(const struct transform_op *op, const char *axes,
                                   const double *angles_deg, struct err *err)
{
    double angles[MAX_TURNS] = {0};

    for (size_t i = 0; i < MAX_TURNS && axes[i] != '\0'; i++) {
        angles[i] = angles_deg[i] * DEGREE;
    }
    return turns(op, axes, angles, err);
}

struct transform *transform_rotation(const char *axes, const double *angles_deg,
                                     struct err *err)
{
    return turns_deg(&op_rotation, axes, angles_deg, err);
}

/* Between spherical coordinates and back. */
static struct transform *on_sphere(struct transform *rotation, double wrap,
                                   struct err *err)
{
    return transform_compose(
        transform_compose(transform_leaf(&op_to_cartesian, 2, 3, 1, &wrap, err),
                          rotation, err),
        transform_leaf(&op_to_spherical, 3, 2, 1, &wrap, err), err);
}

struct transform *transform_rotation_spherical(const char *axes,
                                               const double *angles_deg,
                                               struct err *err)
{
    return on_sphere(turns_deg(&op_rotation, axes, angles_deg, err), WRAP_NONE, err);
}

struct transform *transform_rotate_native(double lon_deg, double lat_deg,
                                          double pole_deg, bool to_celestial,
                                          struct err *err)
{
    const double lon = lon_deg * DEGREE, lat = lat_deg * DEGREE;
    const double pole = pole_deg * DEGREE, quarter = 1.5707963267948966;
    const double forward[3] = {pole - quarter, -(quarter - lat), -(quarter + lon)};
    const double back[3] = {quarter + lon, quarter - lat, -(pole - quarter)};

    return on_sphere(turns(&op_rotation, "zxz", to_celestial ? forward : back, err),
                     WRAP_POSITIVE, err);
}

/* ---- the peer's rotation to the grating wheel ---- */

/* One turn in the plane of p and q, of which only p counts. */
static void turn_gwa(size_t n, double c, double s, double *p, const double *q)
{
    for (size_t i = 0; i < n; i += LANES) {
        lanes *to = (lanes *)(p + i);

        *to = *to * c + *(const lanes *)(q + i) * s;
    }
}

static void turn_gwa_z(size_t n, double c, double s, double *xs, double *ys)
{
    for (size_t i = 0; i < n; i += LANES) {
        const lanes x = *(lanes *)(xs + i), y = *(lanes *)(ys + i);

        *(lanes *)(xs + i) = x * c + y * s;
        *(lanes *)(ys + i) = -x * s + y * c;
    }
}

static void keep_length(size_t n, const double *xs, const double *ys, double *zs)
{
    for (size_t i = 0; i < n; i += LANES) {
        const lanes x = *(const lanes *)(xs + i), y = *(const lanes *)(ys + i);
        lanes z = 1.0 - x * x - y * y;

        lanes_sqrt(&z);
        *(lanes *)(zs + i) = z;
    }
}

static void run_rotation_gwa(const struct transform *leaf, size_t n,
                             const double *const *in, double *const *out)
{
    const int n_turns = (int)leaf->par[PAR_TURNS];

    for (int k = 0; k < 3; k++) {
        memcpy(out[k], in[k], n * sizeof(double));
    }
    for (int t = 0; t < n_turns; t++) {
        const double angle = leaf->par[PAR_ANGLES + t];
        const double c = cos(angle), s = sin(angle);

        switch ((char)leaf->par[PAR_AXES + t]) {
        case 'x':
            turn_gwa(n, c, s, out[1], out[2]);
            break;
        case 'y':
            turn_gwa(n, c, -s, out[0], out[2]);
            break;
        default:
            turn_gwa_z(n, c, s, out[0], out[1]);
            break;
        }
        /* a turn about z does not look at z, and gives the same length */
        if (t + 1 == n_turns || (char)leaf->par[PAR_AXES + t + 1] != 'z') {
            keep_length(n, out[0], out[1], out[2]);
        }
    }
}

static const struct transform_op op_rotation_gwa = {
    "rotation_sequence", run_rotation_gwa, turns_back, write_rotation};

struct transform *transform_rotation_gwa(const char *axes, const double *angles_deg,
                                         struct err *err)
{
    return turns_deg(&op_rotation_gwa, axes, angles_deg, err);
}
