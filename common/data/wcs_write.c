#include "common/data/wcs_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "common/data/asdf_text.h"
#include "common/data/transform_build.h"
#include "common/data/wcs_private.h"

/* The tree of the peer's gWCS around the transforms of wcs_tree.c. */

#define GWCS "!<tag:stsci.edu:gwcs/"
#define UNIT "!unit/unit-1.0.0 "

static const char coordinates[] =
    "    - " GWCS "step-1.0.0>\n"
    "      frame: " GWCS "frame2d-1.0.0>\n"
    "        {name: coordinates, axes_names: [x, y], axes_order: [0, 1],\n"
    "         axis_physical_types: ['custom:x', 'custom:y'], unit: [" UNIT
    "pixel, " UNIT "pixel]}\n"
    "      transform: !transform/identity-1.2.0\n"
    "        {n_dims: 2, name: coord2det, inputs: [x, y], outputs: [x, y]}\n"
    "    - " GWCS "step-1.0.0>\n"
    "      frame: " GWCS "frame2d-1.0.0>\n"
    "        {name: detector, axes_names: [x, y], axes_order: [0, 1],\n"
    "         axis_physical_types: ['custom:x', 'custom:y'], unit: [" UNIT
    "pixel, " UNIT "pixel]}\n"
    "      transform: " GWCS "regions_selector-1.0.0>\n"
    "        name: det2slicer\n"
    "        inputs: [x, y]\n"
    "        outputs: [x_slice, y_slice, lam]\n"
    "        undefined_transform_value: .nan\n";

/* Frames from the slicer on: the name of the whole and of its two axes on a plane. */
static const struct frame {
    const char *name, *plane, *axes, *unit;
} frames[] = {
    {"slicer", "slicer_spatial", "x_slicer, y_slicer", ""},
    {"msa_frame", "msa_spatial", "x_msa, y_msa", "m"},
    {"oteip", "oteip", "X_OTEIP, Y_OTEIP", "deg"},
    {"oteip_chromcorr", "oteip", "X_OTEIP, Y_OTEIP", "deg"},
    {"v2v3", "v2v3_spatial", "v2, v3", "arcsec"},
    {"v2v3vacorr", "v2v3vacorr_spatial", "v2, v3", "arcsec"},
};

static const char spectral[] =
    "        - " GWCS "spectral_frame-1.0.0>\n"
    "          {name: spectral, axes_names: [wavelength], axes_order: [2],\n"
    "           axis_physical_types: [em.wl], unit: [" UNIT "um]}\n";

static void put_frame(struct asdf_text *t, const char *name)
{
    size_t i = 0;
    while (i + 1 < sizeof frames / sizeof *frames && strcmp(frames[i].name, name)) {
        i++;
    }
    const struct frame *f = &frames[i];
    asdf_text_put(t,
                  "    - " GWCS "step-1.0.0>\n"
                  "      frame: " GWCS "composite_frame-1.0.0>\n"
                  "        name: %s\n"
                  "        frames:\n"
                  "        - " GWCS "frame2d-1.0.0>\n"
                  "          {name: %s, axes_names: [%s], axes_order: [0, 1],\n"
                  "           axis_physical_types: ['custom:a', 'custom:b'],\n"
                  "           unit: [" UNIT "'%s', " UNIT "'%s']}\n"
                  "%s",
                  f->name, f->plane, f->axes, f->unit, f->unit, spectral);
}

static const char world[] = "    - " GWCS "step-1.0.0>\n"
                            "      frame: " GWCS "composite_frame-1.0.0>\n"
                            "        name: world\n"
                            "        frames:\n"
                            "        - " GWCS "celestial_frame-1.0.0>\n"
                            "          axes_names: [lon, lat]\n"
                            "          axes_order: [0, 1]\n"
                            "          axis_physical_types: [pos.eq.ra, pos.eq.dec]\n"
                            "          name: sky\n"
                            "          reference_frame: "
                            "!<tag:astropy.org:astropy/coordinates/frames/icrs-1.1.0>\n"
                            "            frame_attributes: {}\n"
                            "          unit: [" UNIT "deg, " UNIT "deg]\n";

/* keys and the inverse of a transform that has both apart. */
static void put_pair(struct asdf_text *t, const struct wcs_there_and_back *p,
                     const char *keys)
{
    struct err err = {0};
    struct transform *both = transform_with_inverse(transform_hold(p->forward),
                                                    transform_hold(p->inverse), &err);
    if (!both) {
        asdf_text_fail(t, err.code, err.message);
        return;
    }
    asdf_text_transform(t, both, keys);
    transform_release(both);
}

/* Towards the detector the slice follows from across, as the peer tells it. */
static void put_labels_back(struct asdf_text *t, const struct wcs *w)
{
    asdf_text_put(t, "          inverse: " GWCS "label_mapper-1.0.0>\n"
                     "            atol: 0.0001\n"
                     "            no_label: 0\n"
                     "            inputs: [x_slice, y_slice, lam]\n"
                     "            inputs_mapping: !transform/remap_axes-1.3.0 "
                     "{mapping: [0], n_inputs: 3}\n"
                     "            mapper: !!omap\n"
                     "            - labels: [");
    for (int i = 1; i <= WCS_SLICES; i++) {
        asdf_text_put(t, i > 1 ? ", " : "");
        asdf_text_real(t, round(wcs_slice_across(w, i) * 1e5) / 1e5);
    }
    asdf_text_put(t, "]\n            - models:\n");
    for (int i = 1; i <= WCS_SLICES; i++) {
        asdf_text_put(t,
                      "              - !transform/compose-1.2.0 {forward: "
                      "[!transform/remap_axes-1.3.0 {mapping: [0], n_inputs: 3}, "
                      "!transform/constant-1.4.0 {dimensions: 1, value: %d.0}]}\n",
                      i);
    }
}

static void put_selector(struct asdf_text *t, const struct exposure *e,
                         const struct wcs_trees *trees)
{
    const struct wcs *w = e->wcs;
    asdf_text_put(t, "        label_mapper: " GWCS "label_mapper-1.0.0>\n"
                     "          inputs: [x, y]\n"
                     "          no_label: 0\n"
                     "          mapper: ");
    asdf_text_bytes(t, (size_t)e->nx, (size_t)e->ny, e->regions);
    asdf_text_put(t, "\n");
    put_labels_back(t, w);
    asdf_text_put(t, "        selector: !!omap\n        - labels: [");
    for (int i = 1; i <= WCS_SLICES; i++) {
        asdf_text_put(t, i > 1 ? ", %d" : "%d", i);
    }
    asdf_text_put(t, "]\n        - transforms:\n");
    for (int i = 0; i < WCS_SLICES; i++) {
        struct wcs_box b = w->slice[i].box;
        char keys[300];
        if (b.x_min > b.x_max) {
            /* a subarray leaves it out: one pixel, which is not of it, for readers that
             * go through all slices */
            b = (struct wcs_box){-0.5, 0.5, -0.5, 0.5};
        }
        snprintf(keys, sizeof keys,
                 "inputs: [x, y], outputs: [x_slice, y_slice, lam], bounding_box: "
                 "!transform/property/bounding_box-1.0.0 {ignore: [], intervals: {x: "
                 "[%.1f, %.1f], y: [%.1f, %.1f]}, order: F}, ",
                 b.x_min, b.x_max, b.y_min, b.y_max);
        asdf_text_put(t, "          - ");
        put_pair(t, &trees->slice[i], keys);
        asdf_text_put(t, "\n");
    }
}

static void put_wcs(struct asdf_text *t, const struct exposure *e,
                    const struct wcs_trees *trees)
{
    double low, high;
    wcs_spectral_region(e->wcs, &low, &high);
    if (isfinite(low) && isfinite(high)) {
        asdf_text_put(t, "  wcsinfo: {spectral_region: [");
        asdf_text_real(t, low);
        asdf_text_put(t, ", ");
        asdf_text_real(t, high);
        asdf_text_put(t, "]}\n");
    }
    asdf_text_put(t, "  wcs: " GWCS "wcs-1.0.0>\n    name: ''\n    steps:\n%s",
                  coordinates);
    put_selector(t, e, trees);
    for (int i = 0; i < trees->n_steps; i++) {
        put_frame(t, trees->step[i].frame);
        asdf_text_put(t, "      transform: ");
        put_pair(t, &trees->step[i].t, "");
        asdf_text_put(t, "\n");
    }
    asdf_text_put(t, "%s%s      transform: null\n", world, spectral);
}

int wcs_write(const struct exposure *e, struct fits_out *f, struct err *err)
{
    struct wcs_trees trees = {.n_steps = 0};
    struct asdf_text *t = asdf_text_new(err);
    int code = t ? 0 : ERR_NOMEM;
    bool has_wcs = e->wcs && e->regions && !e->sampling;
    if (!code) {
        asdf_text_put(t, "meta:\n  model_type: IFUImageModel\n  telescope: JWST\n");
    }
    if (!code && has_wcs) {
        code = wcs_trees_make(e->wcs, &trees, err);
    }
    if (!code && has_wcs) {
        put_wcs(t, e, &trees);
    }
    code = code ? code : asdf_text_write(t, f, err);
    wcs_trees_done(&trees);
    asdf_text_free(t);
    return code;
}
