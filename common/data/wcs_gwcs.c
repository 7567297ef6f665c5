#include "common/data/wcs_gwcs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/transform_build.h"
#include "common/data/wcs_private.h"

/*
 * From the tree of a gWCS to transforms per slice (detector to slicer) and one common to
 * all (slicer to sky), both ways. Names of slices, which the older form passes through
 * every step, are held fixed on the way.
 */

#define MAX_BYTES ((size_t)256 << 20) /* of the extension */
#define MAX_STEPS 32

/* Ends of a slice where the peer looks for its bounding box, in slice lengths. */
static const double slit_end = 0.55;

struct pipeline {
    const char *name; /* of the file */
    size_t n;
    const char *frame[MAX_STEPS];          /* names */
    const struct asdf_node *at[MAX_STEPS]; /* transforms from there on */
};

static int wrong(const struct pipeline *p, struct err *err, const char *what)
{
    return err_set(err, ERR_INPUT, "%s: ASDF: meta.wcs: %s", p->name, what);
}

/* ---- pairs of a transform and its inverse ---- */

static void pair_done(struct wcs_there_and_back *t)
{
    transform_release(t->forward);
    transform_release(t->inverse);
    *t = (struct wcs_there_and_back){NULL, NULL};
}

/*
 * a after b, of steps back from the sky: some give the wavelength twice, and some want
 * it so, where the steps beside them do not. What is missing is the wavelength.
 */
static struct transform *before(struct transform *b, struct transform *a,
                                struct err *err)
{
    int given = b ? transform_n_outputs(b) : 0, wanted = a ? transform_n_inputs(a) : 0;
    if (given != wanted && given >= 3 && wanted >= 3 && wanted <= 8) {
        int idx[8];
        for (int i = 0; i < wanted; i++) {
            idx[i] = i < given ? i : 2;
        }
        b = transform_compose(b, transform_remap(given, wanted, idx, err), err);
    }
    return transform_compose(b, a, err);
}

/* b after a, in a; an empty a is b. Takes b over. */
static int pair_append(struct wcs_there_and_back *a, struct wcs_there_and_back *b,
                       struct err *err)
{
    if (!a->forward) {
        *a = *b;
    } else {
        a->forward = transform_compose(a->forward, b->forward, err);
        a->inverse = before(b->inverse, a->inverse, err);
    }
    *b = (struct wcs_there_and_back){NULL, NULL};
    if (!a->forward || !a->inverse) {
        pair_done(a);
        return err->code;
    }
    return 0;
}

static int pair_hold(struct wcs_there_and_back *a, const struct wcs_there_and_back *b,
                     struct err *err)
{
    struct wcs_there_and_back held = {transform_hold(b->forward),
                                      transform_hold(b->inverse)};
    return pair_append(a, &held, err);
}

/* Steps need not mirror their inverses, but the whole must. */
static int pair_compile(const struct pipeline *p, const struct wcs_there_and_back *t,
                        struct err *err)
{
    int n_in = transform_n_inputs(t->forward), n_out = transform_n_outputs(t->forward);
    if (transform_n_inputs(t->inverse) != n_out ||
        transform_n_outputs(t->inverse) != n_in) {
        return err_set(
            err, ERR_INPUT,
            "%s: ASDF: meta.wcs: the way back has %d inputs and %d outputs; %d "
            "and %d are right",
            p->name, transform_n_inputs(t->inverse), transform_n_outputs(t->inverse),
            n_out, n_in);
    }
    int code = transform_compile(t->forward, err);
    return code ? code : transform_compile(t->inverse, err);
}

static int pair_read(const struct asdf_node *node, struct wcs_there_and_back *ret,
                     struct err *err)
{
    int code = asdf_transform(node, &ret->forward, err);
    if (!code) {
        code = transform_inverse(ret->forward, &ret->inverse, err);
        if (code) {
            transform_release(ret->forward);
            ret->forward = NULL;
        }
    }
    return code;
}

/* ---- without the slice's name ---- */

/* Where "name" stands in a list of inputs or outputs; -1: it does not. */
static int find_name(const struct asdf_node *node, const char *list)
{
    const struct asdf_node *names = asdf_get(node, list);
    for (size_t i = 0; i < asdf_count(names); i++) {
        const char *s;
        if (asdf_string(asdf_item(names, i), &s) && !strcmp(s, "name")) {
            return (int)i;
        }
    }
    return -1;
}

/* t with input `in` held at `value` and output `out` dropped. Takes t over. */
static struct transform *fix(struct transform *t, int in, int out, double value,
                             struct err *err)
{
    int keep[8], n = 0;
    if (!t || transform_n_outputs(t) > 8) {
        transform_release(t);
        return NULL;
    }
    for (int i = 0; i < transform_n_outputs(t); i++) {
        if (i != out) {
            keep[n++] = i;
        }
    }
    int n_out = transform_n_outputs(t);
    return transform_compose(transform_fix_inputs(t, 1, &in, &value, err),
                             transform_remap(n_out, n, keep, err), err);
}

/* The transform of a step, as one of n_in inputs and n_out outputs for this slice. */
static int step_read(const struct pipeline *p, const struct asdf_node *node, int slice,
                     int n_in, int n_out, struct wcs_there_and_back *ret,
                     struct err *err)
{
    int in = find_name(node, "inputs"), out = find_name(node, "outputs");
    if (strstr(asdf_tag(node), "transform/concatenate-") &&
        strstr(asdf_tag(asdf_get(node, "forward.0")), "transform/identity-") &&
        in < 0 && asdf_count(asdf_get(node, "inputs")) != (size_t)n_in) {
        /* Identity(2) beside the transform from sca to gwa, up to jwst 1.18 */
        long long n;
        if (asdf_int(asdf_get(node, "forward.0.n_dims"), &n) && n == 2) {
            node = asdf_get(node, "forward.1");
        }
    }
    int code = pair_read(node, ret, err);
    if (!code && in >= 0 && out >= 0) {
        ret->forward = fix(ret->forward, in, out, slice, err);
        ret->inverse = fix(ret->inverse, out, in, slice, err);
    }
    if (!code &&
        (!ret->forward || !ret->inverse || transform_n_inputs(ret->forward) != n_in ||
         transform_n_outputs(ret->forward) != n_out)) {
        code = err_set(err, ERR_INPUT,
                       "%s: %s: a transform of %d inputs and %d outputs is right here",
                       p->name, asdf_path(node), n_in, n_out);
    }
    if (code) {
        pair_done(ret);
    }
    return code;
}

/* ---- the pipeline ---- */

static int pipeline_read(const struct asdf *a, const char *name, struct pipeline *ret,
                         struct err *err)
{
    const struct asdf_node *wcs = asdf_get(asdf_root(a), "meta.wcs");
    const struct asdf_node *steps = asdf_get(wcs, "steps");
    *ret = (struct pipeline){.name = name};
    if (!wcs) {
        return wrong(ret, err, "there is none");
    }
    ret->n = asdf_count(steps);
    if (!strstr(asdf_tag(wcs), "gwcs/wcs-") || !asdf_is_sequence(steps) || ret->n < 3 ||
        ret->n > MAX_STEPS) {
        return wrong(ret, err, "a gWCS with its steps is right here");
    }
    for (size_t i = 0; i < ret->n; i++) {
        const struct asdf_node *step = asdf_item(steps, i);
        const struct asdf_node *frame = asdf_get(step, "frame");
        ret->at[i] = asdf_get(step, "transform");
        if (!asdf_string(frame, &ret->frame[i]) &&
            !asdf_string(asdf_get(frame, "name"), &ret->frame[i])) {
            return wrong(ret, err, "a step has no frame with a name");
        }
        if (i + 1 < ret->n && !asdf_is_mapping(ret->at[i])) {
            return wrong(ret, err, "a step has no transform");
        }
    }
    return 0;
}

static size_t find_frame(const struct pipeline *p, const char *name)
{
    size_t i = 0;
    while (i < p->n && strcmp(p->frame[i], name)) {
        i++;
    }
    return i;
}

static int set_to_sky(const struct pipeline *p, size_t slicer, struct wcs *w,
                      struct err *err)
{
    int code = 0;
    for (size_t i = slicer; i + 1 < p->n && !code; i++) {
        struct wcs_there_and_back step = {NULL, NULL};
        code = step_read(p, p->at[i], 0, 3, 3, &step, err);
        code = code ? code : pair_append(&w->to_sky, &step, err);
    }
    if (!code) {
        w->to_sky.inverse = before(w->to_sky.inverse, transform_identity(3, err), err);
        code = w->to_sky.inverse ? pair_compile(p, &w->to_sky, err) : err->code;
    }
    return code;
}

/* ---- the newer form ---- */

/* The box of a transform of two inputs. */
static bool read_box(const struct asdf_node *node, struct wcs_box *ret)
{
    const struct asdf_node *spans = asdf_get(node, "bounding_box.intervals");
    double v[4];
    for (int axis = 0; axis < 2; axis++) {
        char key[24];
        const char *name = axis == 0 ? "x" : "y";
        snprintf(key, sizeof key, "inputs.%d", axis);
        asdf_string(asdf_get(node, key), &name);
        const struct asdf_node *span = asdf_get(spans, name);
        if (!asdf_real(asdf_item(span, 0), &v[2 * axis]) ||
            !asdf_real(asdf_item(span, 1), &v[2 * axis + 1]) ||
            !(v[2 * axis] >= -1.0 && v[2 * axis + 1] <= WCS_FULL)) {
            return false;
        }
    }
    *ret = (struct wcs_box){v[0], v[1], v[2], v[3]};
    return true;
}

/* One transform per slice, by label; what stands before them goes before each. */
static int set_by_pixel(const struct pipeline *p, size_t at, struct wcs *w,
                        struct err *err)
{
    const struct asdf_node *labels = asdf_get(p->at[at], "selector.labels");
    const struct asdf_node *models = asdf_get(p->at[at], "selector.transforms");
    struct wcs_there_and_back before = {NULL, NULL};
    struct asdf_array numbers;
    int code = asdf_array(labels, &numbers, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < at && !code; i++) {
        struct wcs_there_and_back step = {NULL, NULL};
        code = step_read(p, p->at[i], 0, 2, 2, &step, err);
        code = code ? code : pair_append(&before, &step, err);
    }
    for (size_t i = 0; i < numbers.n && !code; i++) {
        struct wcs_there_and_back model = {NULL, NULL};
        double label = numbers.values[i];
        if (!(label >= 1.0 && label <= WCS_SLICES) || label != floor(label) ||
            asdf_count(models) != numbers.n) {
            code =
                wrong(p, err, "det2slicer needs a transform for each slice, 1 to 30");
            break;
        }
        struct wcs_slice *s = &w->slice[(int)label - 1];
        if (s->to_slicer.forward || !read_box(asdf_item(models, i), &s->box)) {
            code = wrong(p, err,
                         "det2slicer needs one bounding box within the detector for "
                         "each slice");
            break;
        }
        if (before.forward) {
            code = pair_hold(&s->to_slicer, &before, err);
        }
        code = code ? code : step_read(p, asdf_item(models, i), 0, 2, 3, &model, err);
        code = code ? code : pair_append(&s->to_slicer, &model, err);
    }
    pair_done(&before);
    free(numbers.values);
    return code;
}

/* ---- the older forms ---- */

/* The node of a selector by slits, perhaps beside others and before a remapping. */
static const struct asdf_node *find_selector(const struct asdf_node *node)
{
    for (int depth = 0; depth < 4 && node && !asdf_get(node, "models"); depth++) {
        node = asdf_get(node, "forward.0");
    }
    return asdf_get(node, "models") ? node : NULL;
}

static const struct asdf_node *find_model(const struct pipeline *p, size_t at,
                                          int slice, struct err *err)
{
    const struct asdf_node *selector = find_selector(p->at[at]);
    const struct asdf_node *found = NULL;
    struct asdf_array numbers;
    if (!selector || !asdf_get(selector, "slits")) {
        wrong(p, err, "a list of models by slice is missing");
        return NULL;
    }
    if (asdf_array(asdf_get(selector, "slits"), &numbers, err)) {
        return NULL;
    }
    for (size_t i = 0; i < numbers.n && !found; i++) {
        if (numbers.values[i] == slice) {
            found = asdf_item(asdf_get(selector, "models"), i);
        }
    }
    free(numbers.values);
    if (!found) {
        wrong(p, err, "a slice has no model");
    }
    return found;
}

static int set_one_slice(const struct pipeline *p, const size_t at[4], int slice,
                         struct wcs *w, struct err *err)
{
    struct wcs_slice *s = &w->slice[slice];
    struct wcs_there_and_back step = {NULL, NULL};
    int code = step_read(p, p->at[at[0]], slice, 2, 2, &step, err);
    code = code ? code : pair_append(&s->to_slicer, &step, err);
    code = code ? code : step_read(p, p->at[at[1]], slice, 2, 3, &step, err);
    code = code ? code : pair_append(&s->to_slicer, &step, err);
    const struct asdf_node *model = code ? NULL : find_model(p, at[2], slice, err);
    code = code    ? code
           : model ? step_read(p, model, slice, 3, 3, &step, err)
                   : err->code;
    code = code ? code : pair_append(&s->to_slicer, &step, err);
    if (code) {
        return code;
    }
    s->from_slit = transform_hold(s->to_slicer.inverse);
    model = find_model(p, at[3], slice, err);
    code = model ? step_read(p, model, slice, 2, 2, &step, err) : err->code;
    if (!code) {
        step.forward =
            transform_concatenate(step.forward, transform_identity(1, err), err);
        step.inverse =
            transform_concatenate(step.inverse, transform_identity(1, err), err);
        code = pair_append(&s->to_slicer, &step, err);
    }
    return code ? code : transform_compile(s->from_slit, err);
}

static int set_by_name(const struct pipeline *p, struct wcs *w, struct err *err)
{
    static const char *const frames[] = {"detector", "sca", "gwa", "slit_frame",
                                         "slicer"};
    size_t at[5];
    int code = 0;
    for (int i = 0; i < 5; i++) {
        at[i] = find_frame(p, frames[i]);
        if (at[i] == p->n || (i > 0 && at[i] != at[i - 1] + 1)) {
            return err_set(err, ERR_INPUT,
                           "%s: ASDF: meta.wcs: the frame %s is missing, or not at its "
                           "place: this is not the WCS of a NIRSpec IFU exposure",
                           p->name, frames[i]);
        }
    }
    for (int i = 0; i < WCS_SLICES && !code; i++) {
        code = set_one_slice(p, at, i, w, err);
    }
    return code;
}

/* ---- what the headers say ---- */

/* The four corners of "POLYGON ICRS ra dec ...". */
static bool read_footprint(const struct header *h, double ret[8])
{
    const char *text = NULL;
    double v[8];
    if (!header_get_string(h, "S_REGION", &text) ||
        strncmp(text, "POLYGON ICRS", 12) != 0) {
        return false;
    }
    const char *p = text + 12;
    for (int i = 0; i < 8; i++) {
        char *end;
        v[i] = strtod(p, &end);
        if (end == p || !isfinite(v[i])) {
            return false;
        }
        p = end;
    }
    memcpy(ret, v, sizeof v);
    return true;
}

/* The nominal range, where it is told; boxes are looked for in it. */
static int set_range(struct wcs *w, const struct exposure *e, const char *name,
                     bool needed, struct err *err)
{
    long order = -1;
    bool told = header_get_real(&e->science, "WAVSTART", &w->lam_min) &&
                header_get_real(&e->science, "WAVEND", &w->lam_max) &&
                w->lam_min > 1e-7 && w->lam_max > w->lam_min && w->lam_max < 3e-5;
    header_get_int(&e->science, "SPORDER", &order);
    w->order = (int)order;
    if (!told) {
        w->lam_min = w->lam_max = (double)NAN;
    }
    w->lam_mid = 0.5 * (w->lam_max + w->lam_min);
    return told || !needed
               ? 0
               : err_set(err, ERR_INPUT,
                         "%s: SCI: WAVSTART and WAVEND should be the range of "
                         "wavelengths, in m: its gWCS has no bounding boxes",
                         name);
}

/* ---- all together ---- */

static int assemble(const struct asdf *a, const char *name, const struct exposure *e,
                    struct par *par, const atomic_bool *cancel, struct wcs *w,
                    uint8_t *regions, struct err *err)
{
    struct pipeline p;
    double corners[8];
    int code = pipeline_read(a, name, &p, err);
    code = code ? code : wcs_set_frame(w, &e->meta, e->nx, e->ny, err);
    code = code ? code : wcs_set_pointing(&w->pointing, &e->meta, err);
    if (code) {
        return code;
    }
    size_t slicer = find_frame(&p, "slicer");
    if (slicer == 0 || slicer + 1 >= p.n || strcmp(p.frame[p.n - 1], "world")) {
        return wrong(&p, err,
                     "it does not go through the slicer to the world: not the "
                     "WCS of a NIRSpec IFU exposure");
    }
    bool by_pixel = asdf_get(p.at[slicer - 1], "selector") != NULL;
    code = by_pixel ? set_by_pixel(&p, slicer - 1, w, err) : set_by_name(&p, w, err);
    for (int i = 0; i < WCS_SLICES && !code; i++) {
        struct wcs_slice *s = &w->slice[i];
        s->y_min = -slit_end;
        s->y_max = slit_end;
        code = s->to_slicer.forward ? pair_compile(&p, &s->to_slicer, err)
                                    : wrong(&p, err, "a slice is missing");
    }
    code = code ? code : set_to_sky(&p, slicer, w, err);
    code = code ? code : set_range(w, e, name, !by_pixel, err);
    w->spectral_min = w->spectral_max = (double)NAN;
    bool has_corners = read_footprint(&e->science, corners);
    if (!code && (!by_pixel || !has_corners || regions)) {
        code = wcs_find_slices(w, name, par, cancel, regions, NULL, err);
    }
    if (!code && has_corners) {
        memcpy(w->footprint, corners, sizeof corners);
    }
    return code;
}

/* As the peer, from slices 1 and 3; of a subarray without them, the distance of the two
 * nearest. */
static double slice_width(const struct wcs *w)
{
    double across[WCS_SLICES], least = HUGE_VAL;
    for (int i = 0; i < WCS_SLICES; i++) {
        across[i] = wcs_slice_across(w, i + 1);
        for (int k = 0; k < i; k++) {
            least = fmin(least, fabs(across[i] - across[k]));
        }
    }
    double usual = fabs(across[0] - across[2]);
    return isfinite(usual) ? usual : isfinite(least) ? least : 0.0;
}

/* Faults of the tree are faults of the input here. */
static int as_input(int code, struct err *err)
{
    if (code == ERR_REFERENCE) {
        err->code = ERR_INPUT;
        code = ERR_INPUT;
    }
    return code;
}

int wcs_read_gwcs(struct fits_in *f, const char *path, const struct exposure *e,
                  struct par *par, const atomic_bool *cancel, struct wcs **ret,
                  uint8_t *regions, struct err *err)
{
    struct asdf *a = NULL;
    struct wcs *w = NULL;
    unsigned char *bytes = NULL;
    size_t n = 0;
    int hdu = 0;
    int code = fits_in_need(f, "ASDF", &hdu, err);
    code = code ? code : fits_in_bytes(f, hdu, MAX_BYTES, &bytes, &n, err);
    code = code ? code : asdf_read_bytes(path, bytes, n, &a, err);
    if (!code) {
        w = mem_calloc(1, sizeof *w, err);
        code = w ? 0 : ERR_NOMEM;
    }
    if (!code) {
        atomic_init(&w->count, 1);
        code = assemble(a, path, e, par, cancel, w, regions, err);
    }
    asdf_free(a);
    if (code) {
        wcs_release(w);
        return as_input(code, err);
    }
    w->slice_width = slice_width(w);
    if (!(w->slice_width > 0.0)) {
        wcs_release(w);
        return err_set(
            err, ERR_INPUT,
            "%s: ASDF: meta.wcs: the middles of fewer than two slices lead to "
            "the slicer",
            path);
    }
    *ret = w;
    return 0;
}
