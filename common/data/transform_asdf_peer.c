#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/transform_asdf.h"

/*
 * The tags of the peer (NIRSpec's own transforms) and of gwcs: directions, gratings, the
 * prism, and what chooses between transforms by a label.
 */

/* ---- directions ---- */

static struct transform *coords(struct asdf_builder *b, const struct asdf_node *node)
{
    const char *type;

    if (!asdf_build_word(b, node, "model_type", &type)) {
        return NULL;
    }
    if (strcmp(type, "to_dircos") == 0 || strcmp(type, "unitless2directional") == 0) {
        return transform_to_cosines(b->err);
    }
    if (strcmp(type, "from_dircos") == 0 || strcmp(type, "directional2unitless") == 0) {
        return transform_from_cosines(b->err);
    }
    return asdf_build_error(b, node, "model_type '%s' is not known", type);
}

static struct transform *direction_cosines(struct asdf_builder *b,
                                           const struct asdf_node *node)
{
    const char *type;

    if (!asdf_build_word(b, node, "transform_type", &type)) {
        return NULL;
    }
    if (strcmp(type, "to_direction_cosines") == 0) {
        return transform_vector_to_cosines(b->err);
    }
    if (strcmp(type, "from_direction_cosines") == 0) {
        return transform_vector_from_cosines(b->err);
    }
    return asdf_build_error(b, node, "transform_type '%s' is not known", type);
}

static struct transform *spherical_cartesian(struct asdf_builder *b,
                                             const struct asdf_node *node)
{
    const char *type;
    long long wrap = 360;

    asdf_int(asdf_get(node, "wrap_lon_at"), &wrap);
    if (!asdf_build_word(b, node, "transform_type", &type)) {
        return NULL;
    }
    if (strcmp(type, "spherical_to_cartesian") == 0) {
        return transform_spherical_to_cartesian(wrap == 180 ? 180 : 360, b->err);
    }
    if (strcmp(type, "cartesian_to_spherical") == 0) {
        return transform_cartesian_to_spherical(wrap == 180 ? 180 : 360, b->err);
    }
    return asdf_build_error(b, node, "transform_type '%s' is not known", type);
}

static struct transform *rotation_sequence(struct asdf_builder *b,
                                           const struct asdf_node *node)
{
    const char *axes;
    double angles[16];

    return asdf_build_turns(b, node, angles, &axes)
               ? transform_rotation_gwa(axes, angles, b->err)
               : NULL;
}

/* ---- gratings ---- */

/* Of the two forms: 'angle' or 'wavelength'. 0: err is set. */
static char grating_kind(struct asdf_builder *b, const struct asdf_node *node,
                         double *density, double *order)
{
    const char *output;

    if (!asdf_build_word(b, node, "output", &output) ||
        !asdf_build_real(b, node, "groove_density", density) ||
        !asdf_build_real(b, node, "order", order)) {
        return 0;
    }
    if (strcmp(output, "angle") != 0 && strcmp(output, "wavelength") != 0) {
        asdf_build_error(b, node, "output '%s'; angle or wavelength", output);
        return 0;
    }
    return output[0];
}

static struct transform *grating_gwcs(struct asdf_builder *b,
                                      const struct asdf_node *node)
{
    double density, order;

    switch (grating_kind(b, node, &density, &order)) {
    case 'a':
        return transform_grating_angles(density, order, b->err);
    case 'w':
        return transform_grating_wavelength(density, order, b->err);
    default:
        return NULL;
    }
}

/* The peer's older form: four inputs, of which z is not used, and other signs. */
static struct transform *grating_peer(struct asdf_builder *b,
                                      const struct asdf_node *node)
{
    static const int angles_from[3] = {0, 1, 2}, wavelength_from[2] = {0, 2};
    double density, order;

    switch (grating_kind(b, node, &density, &order)) {
    case 'a': /* alpha_out = -alpha_in - density order wavelength */
        return transform_compose(
            transform_compose(
                transform_remap(4, 3, angles_from, b->err),
                transform_concatenate(
                    transform_concatenate(transform_identity(1, b->err),
                                          transform_scale(-1.0, b->err), b->err),
                    transform_identity(1, b->err), b->err),
                b->err),
            transform_grating_angles(density, order, b->err), b->err);
    case 'w':
        return transform_compose(
            transform_compose(transform_remap(3, 2, wavelength_from, b->err),
                              transform_grating_wavelength(density, order, b->err),
                              b->err),
            transform_scale(-1.0, b->err), b->err);
    default:
        return NULL;
    }
}

/* ---- the prism ---- */

static struct transform *prism_index(struct asdf_builder *b,
                                     const struct asdf_node *node)
{
    double angle;

    return asdf_build_real(b, node, "prism_angle", &angle)
               ? transform_prism_index(angle, b->err)
               : NULL;
}

static bool numbers(struct asdf_builder *b, const struct asdf_node *node,
                    const char *key, size_t n, double *to)
{
    struct asdf_array a;

    if (!asdf_build_array(b, node, key, n, &a)) {
        return false;
    }
    memcpy(to, a.values, n * sizeof(double));
    free(a.values);
    return true;
}

static struct transform *snell(struct asdf_builder *b, const struct asdf_node *node)
{
    struct transform_glass g;
    double angle;

    if (!asdf_build_real(b, node, "prism_angle", &angle) ||
        !numbers(b, node, "kcoef", 3, g.kcoef) ||
        !numbers(b, node, "lcoef", 3, g.lcoef) ||
        !numbers(b, node, "tcoef", 6, g.tcoef) ||
        !asdf_build_real(b, node, "ref_temp", &g.tref_k) ||
        !asdf_build_real(b, node, "ref_pressure", &g.pref_atm) ||
        !asdf_build_real(b, node, "temp", &g.temperature_k)) {
        return NULL;
    }
    g.pressure_atm = g.pref_atm; /* as the peer does, whatever `pressure` says */
    return transform_snell(angle, &g, b->err);
}

static struct transform *snell3d(struct asdf_builder *b, const struct asdf_node *node)
{
    (void)node;
    return transform_snell3d(b->err);
}

static struct transform *sellmeier_glass(struct asdf_builder *b,
                                         const struct asdf_node *node)
{
    struct transform_glass g = {0};

    return numbers(b, node, "B_coef", 3, g.kcoef) &&
                   numbers(b, node, "C_coef", 3, g.lcoef)
               ? transform_glass_index(&g, false, b->err)
               : NULL;
}

static struct transform *sellmeier_zemax(struct asdf_builder *b,
                                         const struct asdf_node *node)
{
    struct transform_glass g = {0};

    return numbers(b, node, "B_coef", 3, g.kcoef) &&
                   numbers(b, node, "C_coef", 3, g.lcoef) &&
                   numbers(b, node, "D_coef", 3, g.tcoef) &&
                   numbers(b, node, "E_coef", 3, g.tcoef + 3) &&
                   asdf_build_real(b, node, "temperature", &g.temperature_k) &&
                   asdf_build_real(b, node, "ref_temperature", &g.tref_k) &&
                   asdf_build_real(b, node, "ref_pressure", &g.pref_atm) &&
                   asdf_build_real(b, node, "pressure", &g.pressure_atm)
               ? transform_glass_index(&g, true, b->err)
               : NULL;
}

static struct transform *logical(struct asdf_builder *b, const struct asdf_node *node)
{
    const char *condition;
    double compareto, value;

    return asdf_build_word(b, node, "condition", &condition) &&
                   asdf_build_real(b, node, "compareto", &compareto) &&
                   asdf_build_real(b, node, "value", &value)
               ? transform_logical(condition, compareto, value, b->err)
               : NULL;
}

/* ---- by label ---- */

/*
 * A selector from lists of labels and transforms. Labels are numbers, [low, high] pairs,
 * or the peer's slits: records whose last of 20 items is the slit's number (the first, its
 * name, where there is none).
 */
static struct transform *selector(struct asdf_builder *b, const struct asdf_node *node,
                                  const struct asdf_node *labels,
                                  const struct asdf_node *models, double tolerance,
                                  int at_in, int at_out, double none)
{
    const size_t n = asdf_count(labels);
    struct transform **subs, *t = NULL;
    double *low;
    size_t made = 0;

    if (n == 0 || asdf_count(models) != n) {
        return asdf_build_error(b, node, "%s needs as many labels as transforms",
                                node->tag);
    }
    subs = mem_calloc(n, sizeof(*subs), b->err);
    low = mem_calloc(2 * n, sizeof(*low), b->err);
    if (subs == NULL || low == NULL) {
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        const struct asdf_node *x = asdf_item(labels, i);
        const size_t n_items = asdf_count(x);
        double middle, wide;

        if (n_items == 2 && asdf_real(asdf_item(x, 0), &low[i]) &&
            asdf_real(asdf_item(x, 1), &low[n + i])) {
            continue;
        }
        if (n_items > 2 &&
            (!asdf_real(asdf_item(x, 19), &middle) || middle == -9999.0)) {
            x = asdf_item(x, 0);
        } else if (n_items > 2) {
            x = asdf_item(x, 19);
        }
        if (!asdf_real(x, &middle)) {
            asdf_build_error(b, node, "label %zu is not a number", i);
            goto out;
        }
        wide = tolerance > 0.0 ? tolerance + 1e-5 * fabs(middle) : 0.0;
        low[i] = middle - wide;
        low[n + i] = middle + wide;
    }
    for (; made < n; made++) {
        subs[made] = asdf_build_node(b, asdf_item(models, made));
        if (subs[made] == NULL) {
            goto out;
        }
    }
    t = transform_select(n, low, low + n, subs, at_in, at_out, none, b->err);
    made = 0; /* taken over */
out:
    while (made-- > 0) {
        transform_release(subs[made]);
    }
    free(subs);
    free(low);
    return t;
}

static struct transform *slits(struct asdf_builder *b, const struct asdf_node *node,
                               int at_in, int at_out)
{
    return selector(b, node, asdf_get(node, "slits"), asdf_get(node, "models"), 0.0,
                    at_in, at_out, NAN);
}

/* (name, x, y, z) to (name, x_slit, y_slit, wavelength), and back. */
static struct transform *gwa_to_slit(struct asdf_builder *b,
                                     const struct asdf_node *node)
{
    return slits(b, node, 0, 0);
}

/* (name, x, y) to (x_msa, y_msa, name); written by older versions without the name. */
static struct transform *slit_to_msa(struct asdf_builder *b,
                                     const struct asdf_node *node)
{
    return slits(b, node, 0, asdf_count(asdf_get(node, "outputs")) == 2 ? -1 : 2);
}

/* (x_msa, y_msa, name) to (name, x, y). */
static struct transform *msa_to_slit(struct asdf_builder *b,
                                     const struct asdf_node *node)
{
    return slits(b, node, 2, 0);
}

/* The transform of a mapper after inputs_mapping, which picks what it sees. */
static struct transform *mapped(struct asdf_builder *b, const struct asdf_node *node,
                                struct transform *mapper)
{
    if (mapper == NULL || !asdf_is_mapping(asdf_get(node, "inputs_mapping"))) {
        return mapper;
    }
    return transform_compose(asdf_build_child(b, node, "inputs_mapping"), mapper,
                             b->err);
}

/* A picture of labels, indexed by the nearest pixel (x, y). */
static struct transform *label_array(struct asdf_builder *b,
                                     const struct asdf_node *node, double none)
{
    struct asdf_array a;
    struct transform *t = NULL;

    if (!asdf_build_array(b, node, "mapper", ASDF_ANY_LENGTH, &a)) {
        return NULL;
    }
    if (a.n_axes == 2) {
        t = transform_lookup(a.shape[1], a.shape[0], a.values, none, b->err);
    } else {
        asdf_build_error(b, node, "a label array of %d axes; 2 are right", a.n_axes);
    }
    free(a.values);
    return mapped(b, node, t);
}

/* The label comes from one of the inputs, looked up among keys; then a model gives it. */
static struct transform *label_keys(struct asdf_builder *b,
                                    const struct asdf_node *node, double none)
{
    const struct asdf_node *labels = asdf_get(node, "mapper.labels");
    const size_t n_inputs = asdf_count(asdf_get(node, "inputs"));
    double tolerance = 1e-8;
    int twice[2 * TRANSFORM_MAX_AXES], first = 0;
    struct transform *key, *t;

    asdf_real(asdf_get(node, "atol"), &tolerance);
    if (n_inputs < 1 || n_inputs >= TRANSFORM_MAX_AXES) {
        return asdf_build_error(b, node, "label_mapper needs its inputs");
    }
    t = selector(b, node, labels, asdf_get(node, "mapper.models"), tolerance, 0, -1,
                 none);
    if (t == NULL) {
        return NULL;
    }
    key = asdf_is_mapping(asdf_get(node, "inputs_mapping"))
              ? asdf_build_child(b, node, "inputs_mapping")
              : transform_remap((int)n_inputs, 1, &first, b->err);
    for (size_t i = 0; i < 2 * n_inputs; i++) {
        twice[i] = (int)(i % n_inputs);
    }
    return transform_compose(
        transform_compose(
            transform_remap((int)n_inputs, 2 * (int)n_inputs, twice, b->err),
            transform_concatenate(key, transform_identity((int)n_inputs, b->err),
                                  b->err),
            b->err),
        t, b->err);
}

struct transform *asdf_build_label_mapper(struct asdf_builder *b,
                                          const struct asdf_node *node)
{
    const struct asdf_node *mapper = asdf_get(node, "mapper");
    double none = 0.0;

    asdf_real(asdf_get(node, "no_label"), &none);
    if (asdf_tag_is(mapper != NULL ? mapper : node, "tag:stsci.edu:asdf/core/",
                    "ndarray") ||
        asdf_is_sequence(mapper)) {
        return label_array(b, node, none);
    }
    if (asdf_get(node, "mapper.labels") != NULL) {
        return label_keys(b, node, none);
    }
    return mapped(b, node, asdf_build_child(b, node, "mapper"));
}

struct transform *asdf_build_regions_selector(struct asdf_builder *b,
                                              const struct asdf_node *node)
{
    const size_t n = asdf_count(asdf_get(node, "inputs"));
    int twice[TRANSFORM_MAX_AXES];
    double none = NAN;
    struct transform *t;

    asdf_real(asdf_get(node, "undefined_transform_value"), &none);
    if (n < 1 || 2 * n > TRANSFORM_MAX_AXES) {
        return asdf_build_error(b, node, "regions_selector needs its inputs");
    }
    for (size_t i = 0; i < 2 * n; i++) {
        twice[i] = (int)(i % n);
    }
    t = selector(b, node, asdf_get(node, "selector.labels"),
                 asdf_get(node, "selector.transforms"), 0.0, 0, -1, none);
    if (t == NULL) {
        return NULL;
    }
    return transform_compose(
        transform_compose(
            transform_remap((int)n, 2 * (int)n, twice, b->err),
            transform_concatenate(asdf_build_child(b, node, "label_mapper"),
                                  transform_identity((int)n, b->err), b->err),
            b->err),
        t, b->err);
}

const struct asdf_tag_row asdf_tags_peer[] = {
    {"coords", coords},
    {"rotation_sequence", rotation_sequence},
    {"grating_equation", grating_peer},
    {"refraction_index_from_prism", prism_index},
    {"snell", snell},
    {"logical", logical},
    {"gwa_to_slit", gwa_to_slit},
    {"slit_to_gwa", gwa_to_slit},
    {"slit_to_msa", slit_to_msa},
    {"msa_to_slit", msa_to_slit},
    {NULL, NULL}};

const struct asdf_tag_row asdf_tags_gwcs[] = {
    {"direction_cosines", direction_cosines},
    {"spherical_cartesian", spherical_cartesian},
    {"grating_equation", grating_gwcs},
    {"snell3d", snell3d},
    {"sellmeier_glass", sellmeier_glass},
    {"sellmeier_zemax", sellmeier_zemax},
    {"label_mapper", asdf_build_label_mapper},
    {"regions_selector", asdf_build_regions_selector},
    {NULL, NULL}};
