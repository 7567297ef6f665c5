#include <math.h>
#include "common/data/transform_build.h"
#include "common/data/wcs_private.h"

/*
 * The WCS as trees of transforms, for the file that others read. A grating's alpha_in is
 * the series that is used here too (wcs_slit.c), so that they give the same wavelengths;
 * for the prism the optics are followed. The way back goes by the stored inverses, as the
 * peer's does.
 */

typedef struct transform *tree;

/* Short names; each takes its arguments over (transform_build.h). */
struct maker {
    struct err *err;
    const struct wcs *w;
};

static tree then(const struct maker *m, tree a, tree b)
{
    return transform_compose(a, b, m->err);
}

static tree beside(const struct maker *m, tree a, tree b)
{
    return transform_concatenate(a, b, m->err);
}

static tree same(const struct maker *m, int n)
{
    return transform_identity(n, m->err);
}

static tree shift(const struct maker *m, double x)
{
    return transform_shift(x, m->err);
}

static tree scale(const struct maker *m, double x)
{
    return transform_scale(x, m->err);
}

/* Inputs by their digits: pick(m, 3, "0122"). */
static tree pick(const struct maker *m, int n_in, const char *digits)
{
    int idx[8], n = 0;
    for (; digits[n]; n++) {
        idx[n] = digits[n] - '0';
    }
    return transform_remap(n_in, n, idx, m->err);
}

/* The inverse of a tree that may be NULL. */
static tree back(const struct maker *m, const struct transform *t)
{
    tree inverse = NULL;
    return t && transform_inverse(t, &inverse, m->err) == 0 ? inverse : NULL;
}

/* ---- detector and grating wheel ---- */

static tree pixel_to_gwa(const struct maker *m)
{
    static const char axes[] = "xyzy";
    const struct wcs *w = m->w;
    tree t = beside(m, shift(m, w->corner_x), shift(m, w->corner_y));
    if (w->flip) {
        const double last = WCS_FULL - 1;
        t = then(m, t,
                 then(m, beside(m, shift(m, -last), shift(m, -last)),
                      beside(m, scale(m, -1.0), scale(m, -1.0))));
    }
    t = then(m, t,
             transform_with_inverse(transform_hold(w->fpa.forward),
                                    transform_hold(w->fpa.inverse), m->err));
    t = then(m, t,
             transform_with_inverse(transform_hold(w->camera.forward),
                                    transform_hold(w->camera.inverse), m->err));
    t = then(m, t, transform_to_cosines(m->err));
    return then(m, t, transform_rotation_gwa(axes, w->tilt_deg, m->err));
}

/* x' = x0(x, y) + x1(x, y) lam, of (x, y, lam). */
static tree linear_in_lam(const struct maker *m, const struct transform *zero,
                          const struct transform *one)
{
    tree slope = transform_arithmetic(
        '*', then(m, pick(m, 3, "01"), transform_hold(one)), pick(m, 3, "2"), m->err);
    return transform_arithmetic('+', then(m, pick(m, 3, "01"), transform_hold(zero)),
                                slope, m->err);
}

/* (across, along, lam) to the directions onto the grating. */
static tree slicer_to_grating(const struct maker *m, const struct ref_ifupost_slice *p)
{
    static const char axes[] = "xyzy";
    tree t = beside(m, transform_hold(p->linear), same(m, 1));
    t = then(m, t, pick(m, 3, "012012"));
    t = then(m, t,
             beside(m, linear_in_lam(m, p->x0, p->x1), linear_in_lam(m, p->y0, p->y1)));
    t = then(m, t, transform_hold(m->w->collimator.inverse));
    t = then(m, t, transform_to_cosines(m->err));
    return then(m, t, transform_rotation_gwa(axes, m->w->tilt_deg, m->err));
}

/* (wavelength, alpha_in, beta_in, gamma_in) to what leaves the grating. */
static tree disperse(const struct maker *m)
{
    const struct wcs_glass *g = m->w->glass;
    if (!g) {
        tree t = then(m, pick(m, 4, "012"),
                      beside(m, beside(m, same(m, 1), scale(m, -1.0)), same(m, 1)));
        return then(m, t,
                    transform_grating_angles(m->w->groove_order / m->w->order,
                                             m->w->order, m->err));
    }
    return transform_snell(g->angle_deg, &g->glass, m->err);
}

/* ---- one slice ---- */

/* (y_slit, alpha_out) to the wavelength of a grating. */
static tree grating_to_lam(const struct maker *m, const struct wcs_slice *s)
{
    double middle = 0.5 * (s->y_min + s->y_max), half = 0.5 * (s->y_max - s->y_min);
    tree series =
        then(m, then(m, shift(m, -middle), scale(m, 1.0 / half)),
             transform_polynomial1d(s->n_terms, s->alpha_in, NULL, NULL, m->err));
    tree sum = transform_arithmetic('+', pick(m, 2, "0"), pick(m, 2, "1"), m->err);
    return then(m, then(m, beside(m, series, same(m, 1)), sum),
                scale(m, -m->w->velocity / m->w->groove_order));
}

/* (across, along, alpha_out) to the wavelength of the prism. */
static tree prism_to_lam(const struct maker *m, const struct ref_ifupost_slice *p)
{
    const struct wcs_glass *g = m->w->glass;
    tree at_mid =
        then(m, beside(m, same(m, 2), transform_constant(1, m->w->lam_mid, m->err)),
             slicer_to_grating(m, p));
    tree t = then(m, pick(m, 3, "0112"), beside(m, at_mid, same(m, 1)));
    t = then(m, t, pick(m, 4, "013"));
    t = then(m, t, transform_prism_index(g->angle_deg, m->err));
    t = then(m, t,
             transform_tabular1d(WCS_PRISM_TABLE, g->index, g->lam,
                                 TRANSFORM_OUTSIDE_FILL, (double)NAN, m->err));
    return then(m, t, scale(m, m->w->velocity));
}

/* Directions from the grating to (across, along, lam). */
static tree gwa_to_slicer(const struct maker *m, const struct wcs_slice *s)
{
    /* (alpha, beta, gamma) to (y_slit, alpha) */
    tree table = then(m, scale(m, -1.0),
                      transform_tabular1d(WCS_SLIT_TABLE, s->beta, s->y_slit,
                                          TRANSFORM_OUTSIDE_FILL, (double)NAN, m->err));
    tree t = then(m, pick(m, 3, "10"), beside(m, table, same(m, 1)));
    /* y_slit to (across, along) */
    tree line = then(m, scale(m, s->size_y), shift(m, s->y));
    tree place =
        then(m, pick(m, 1, "00"), beside(m, transform_constant(1, s->x, m->err), line));
    place = then(m, place, transform_hold(m->w->slicer_plane.forward));
    if (m->w->glass) {
        t = then(m, t, beside(m, place, same(m, 1)));
        t = then(m, t, pick(m, 3, "01012"));
        return then(m, t, beside(m, same(m, 2), prism_to_lam(m, s->post)));
    }
    t = then(m, t, pick(m, 2, "001"));
    return then(m, t, beside(m, place, grating_to_lam(m, s)));
}

/* (across, along, lam) to directions from the grating. */
static tree slicer_to_gwa(const struct maker *m, const struct wcs_slice *s)
{
    tree t =
        then(m, pick(m, 3, "0122"),
             beside(m, slicer_to_grating(m, s->post), scale(m, 1.0 / m->w->velocity)));
    return then(m, then(m, t, pick(m, 4, "3012")), disperse(m));
}

/* ---- slicer to sky ---- */

/* Optics (x, y, lam) -> (x, y), with the wavelength kept, and back. */
static int keep_lam(const struct maker *m, const struct ref_optics *o,
                    struct wcs_there_and_back *ret)
{
    const struct transform *both[2] = {o->forward, o->inverse};
    tree made[2];
    for (int i = 0; i < 2; i++) {
        tree t = transform_hold(both[i]);
        if (transform_n_inputs(t) == 2) {
            made[i] = beside(m, t, same(m, 1));
        } else if (transform_n_outputs(t) == 2) {
            made[i] = then(m, pick(m, 3, "0122"), beside(m, t, same(m, 1)));
        } else {
            made[i] = t;
        }
    }
    ret->forward = made[0];
    ret->inverse = made[1];
    return made[0] && made[1] ? 0 : m->err->code;
}

static int add_step(const struct maker *m, struct wcs_trees *t, const char *frame,
                    tree forward, tree inverse)
{
    t->step[t->n_steps++] = (struct wcs_tree_step){frame, {forward, inverse}};
    return forward && inverse ? 0 : m->err->code;
}

static int add_optics(const struct maker *m, struct wcs_trees *t, const char *frame,
                      const struct ref_optics *o)
{
    struct wcs_there_and_back pair = {NULL, NULL};
    int code = keep_lam(m, o, &pair);
    int added = add_step(m, t, frame, pair.forward, pair.inverse);
    return code ? code : added;
}

/* The wavelength passes, multiplied. */
static int add_plain(const struct maker *m, struct wcs_trees *t, const char *frame,
                     tree forward)
{
    forward = beside(m, forward, same(m, 1));
    return add_step(m, t, frame, forward, back(m, forward));
}

static int add_ote(const struct maker *m, struct wcs_trees *t)
{
    tree forward = beside(m, transform_hold(m->w->ote.forward), scale(m, 1e6));
    tree inverse = beside(m, transform_hold(m->w->ote.inverse), scale(m, 1e-6));
    return add_step(m, t, "oteip_chromcorr", forward, inverse);
}

static int add_pointing(const struct maker *m, struct wcs_trees *t)
{
    const struct wcs_pointing *p = &m->w->pointing;
    const double s = p->va_scale, angles[5] = {p->v2_ref / 3600.0, -p->v3_ref / 3600.0,
                                               p->roll_deg, p->dec_deg, -p->ra_ref};
    tree aberration = then(
        m, beside(m, scale(m, s), scale(m, s)),
        beside(m, shift(m, (1.0 - s) * p->v2_ref), shift(m, (1.0 - s) * p->v3_ref)));
    int code = add_plain(m, t, "v2v3", aberration);
    tree sky = then(m, beside(m, scale(m, 1.0 / 3600.0), scale(m, 1.0 / 3600.0)),
                    transform_spherical_to_cartesian(180, m->err));
    sky = then(m, sky, transform_rotation("zyxyz", angles, m->err));
    sky = then(m, sky, transform_cartesian_to_spherical(360, m->err));
    int added = add_plain(m, t, "v2v3vacorr", sky);
    return code ? code : added;
}

/* ---- together ---- */

void wcs_trees_done(struct wcs_trees *t)
{
    for (int i = 0; i < WCS_SLICES; i++) {
        transform_release(t->slice[i].forward);
        transform_release(t->slice[i].inverse);
    }
    for (int i = 0; i < t->n_steps; i++) {
        transform_release(t->step[i].t.forward);
        transform_release(t->step[i].t.inverse);
    }
    *t = (struct wcs_trees){.n_steps = 0};
}

/* A WCS that came from a file has its transforms. */
static int as_they_are(const struct wcs *w, struct wcs_trees *t)
{
    for (int i = 0; i < WCS_SLICES; i++) {
        t->slice[i].forward = transform_hold(w->slice[i].to_slicer.forward);
        t->slice[i].inverse = transform_hold(w->slice[i].to_slicer.inverse);
    }
    t->n_steps = 1;
    t->step[0] = (struct wcs_tree_step){
        "slicer",
        {transform_hold(w->to_sky.forward), transform_hold(w->to_sky.inverse)}};
    return 0;
}

static int make(const struct maker *m, struct wcs_trees *t)
{
    const struct wcs *w = m->w;
    tree to_gwa = pixel_to_gwa(m), from_gwa = back(m, to_gwa);
    int code = to_gwa && from_gwa ? 0 : m->err->code;
    for (int i = 0; i < WCS_SLICES && !code; i++) {
        const struct wcs_slice *s = &w->slice[i];
        t->slice[i].forward = then(m, transform_hold(to_gwa), gwa_to_slicer(m, s));
        t->slice[i].inverse = then(m, slicer_to_gwa(m, s), transform_hold(from_gwa));
        code = t->slice[i].forward && t->slice[i].inverse ? 0 : m->err->code;
    }
    transform_release(to_gwa);
    transform_release(from_gwa);
    code = code ? code : add_optics(m, t, "slicer", &w->ifufore);
    code = code ? code : add_optics(m, t, "msa_frame", &w->fore);
    code = code ? code : add_optics(m, t, "oteip", &w->chromcorr);
    code = code ? code : add_ote(m, t);
    return code ? code : add_pointing(m, t);
}

int wcs_trees_make(const struct wcs *w, struct wcs_trees *ret, struct err *err)
{
    struct wcs_trees t = {.n_steps = 0};
    const struct maker m = {err, w};
    int code = w->to_sky.forward ? as_they_are(w, &t) : make(&m, &t);
    if (code) {
        wcs_trees_done(&t);
        return code;
    }
    *ret = t;
    return 0;
}
