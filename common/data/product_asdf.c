#include "common/data/product_asdf.h"

#include "common/data/asdf_text.h"

/* Write the extension, release the text. */
static int finish(struct asdf_text *t, struct fits_out *f, struct err *err)
{
    int code = asdf_text_write(t, f, err);
    asdf_text_free(t);
    return code;
}

int product_asdf_plain(const char *model, struct fits_out *f, struct err *err)
{
    struct asdf_text *t = asdf_text_new(err);
    if (!t) {
        return ERR_NOMEM;
    }
    asdf_text_put(t, "meta: {model_type: %s, telescope: JWST}\n", model);
    return finish(t, f, err);
}

/* pixel -> RA, Dec: the steps of a FITS tangential projection. */
static void put_sky(struct asdf_text *t, const struct cube *c)
{
    asdf_text_put(
        t,
        "        - !transform/compose-1.2.0\n"
        "          forward:\n"
        "          - !transform/concatenate-1.2.0\n"
        "            forward:\n"
        "            - !transform/shift-1.2.0 {offset: %s}\n"
        "            - !transform/shift-1.2.0 {offset: %s}\n"
        "          - !transform/compose-1.2.0\n"
        "            forward:\n"
        "            - !transform/affine-1.3.0\n"
        "              matrix: !core/ndarray-1.0.0 {data: [[%s, %s], [%s, "
        "%s]], "
        "datatype: float64}\n"
        "              translation: !core/ndarray-1.0.0 {data: [0.0, 0.0], datatype: "
        "float64}\n",
        asdf_number(1 - c->crpix1).text, asdf_number(1 - c->crpix2).text,
        asdf_number(c->cdelt1 * c->pc[0][0]).text,
        asdf_number(c->cdelt1 * c->pc[0][1]).text,
        asdf_number(c->cdelt2 * c->pc[1][0]).text,
        asdf_number(c->cdelt2 * c->pc[1][1]).text);
    asdf_text_put(
        t,
        "            - !transform/compose-1.2.0\n"
        "              forward:\n"
        "              - !transform/gnomonic-1.2.0 {direction: pix2sky}\n"
        "              - !transform/rotate3d-1.3.0 {direction: native2celestial, phi: "
        "%s, "
        "psi: 180.0, theta: %s}\n",
        asdf_number(c->crval1).text, asdf_number(c->crval2).text);
}

/* pixel -> across and along the slicer, metres. */
static void put_slicer(struct asdf_text *t, const struct cube *c)
{
    asdf_text_put(
        t,
        "        - !transform/compose-1.2.0\n"
        "          forward:\n"
        "          - !transform/concatenate-1.2.0\n"
        "            forward:\n"
        "            - !transform/shift-1.2.0 {offset: %s}\n"
        "            - !transform/shift-1.2.0 {offset: %s}\n"
        "          - !transform/affine-1.3.0\n"
        "            matrix: !core/ndarray-1.0.0 {data: [[%s, 0.0], [0.0, %s]], "
        "datatype: float64}\n"
        "            translation: !core/ndarray-1.0.0 {data: [%s, %s], datatype: "
        "float64}\n",
        asdf_number(1 - c->crpix1).text, asdf_number(1 - c->crpix2).text,
        asdf_number(c->cdelt1).text, asdf_number(c->cdelt2).text,
        asdf_number(c->crval1).text, asdf_number(c->crval2).text);
}

static const char celestial[] =
    "        - !<tag:stsci.edu:gwcs/celestial_frame-1.0.0>\n"
    "          axes_names: [RA, DEC]\n"
    "          axes_order: [0, 1]\n"
    "          name: sky\n"
    "          reference_frame: "
    "!<tag:astropy.org:astropy/coordinates/frames/icrs-1.1.0>\n"
    "            frame_attributes: {}\n"
    "          unit: [!unit/unit-1.0.0 deg, !unit/unit-1.0.0 deg]\n";
static const char slicer[] =
    "        - !<tag:stsci.edu:gwcs/frame2d-1.0.0>\n"
    "          axes_names: [across, along]\n"
    "          axes_order: [0, 1]\n"
    "          axis_physical_types: [custom:x, custom:y]\n"
    "          name: slicer\n"
    "          unit: [!unit/unit-1.0.0 m, !unit/unit-1.0.0 m]\n";

static void put_wavelength(struct asdf_text *t, const struct cube *c, bool linear)
{
    if (linear) {
        asdf_text_put(t,
                      "        - !transform/compose-1.2.0\n"
                      "          forward:\n"
                      "          - !transform/scale-1.2.0 {factor: %s}\n"
                      "          - !transform/shift-1.2.0 {offset: %s}\n",
                      asdf_number(c->cdelt3).text,
                      asdf_number(c->crval3 + (1 - c->crpix3) * c->cdelt3).text);
        return;
    }
    asdf_text_put(t, "        - !transform/tabular-1.2.0\n"
                     "          bounds_error: false\n"
                     "          fill_value: .nan\n"
                     "          lookup_table: !core/ndarray-1.0.0\n"
                     "            datatype: float64\n"
                     "            data: [");
    for (int k = 0; k < c->nw; k++) {
        asdf_text_put(t, "%s%s", k ? ", " : "", asdf_number(c->wavelength[k]).text);
    }
    asdf_text_put(t, "]\n"
                     "          method: linear\n"
                     "          points:\n"
                     "          - !core/ndarray-1.0.0\n"
                     "            datatype: float64\n"
                     "            data: [");
    for (int k = 0; k < c->nw; k++) {
        asdf_text_put(t, "%s%d.0", k ? ", " : "", k);
    }
    asdf_text_put(t, "]\n");
}

int product_asdf_cube(const struct cube *c, bool linear, struct fits_out *f,
                      struct err *err)
{
    struct asdf_text *t = asdf_text_new(err);
    if (!t) {
        return ERR_NOMEM;
    }
    asdf_text_put(t, "meta:\n"
                     "  model_type: IFUCubeModel\n"
                     "  telescope: JWST\n"
                     "  wcs: !<tag:stsci.edu:gwcs/wcs-1.0.0>\n"
                     "    name: ''\n"
                     "    steps:\n"
                     "    - !<tag:stsci.edu:gwcs/step-1.0.0>\n"
                     "      frame: !<tag:stsci.edu:gwcs/frame-1.0.0>\n"
                     "        axes_names: [x, y, z]\n"
                     "        axes_order: [0, 1, 2]\n"
                     "        axes_type: [SPATIAL, SPATIAL, SPECTRAL]\n"
                     "        name: detector\n"
                     "        naxes: 3\n"
                     "        unit: [!unit/unit-1.0.0 pixel, !unit/unit-1.0.0 pixel, "
                     "!unit/unit-1.0.0 pixel]\n");
    asdf_text_put(t,
                  "      transform: !transform/concatenate-1.2.0\n"
                  "        bounding_box: !transform/property/bounding_box-1.0.0\n"
                  "          ignore: []\n"
                  "          intervals:\n"
                  "            x: [0.0, %d.0]\n"
                  "            y: [0.0, %d.0]\n"
                  "            z: [0.0, %d.0]\n"
                  "          order: F\n"
                  "        inputs: [x, y, z]\n"
                  "        outputs: [alpha, delta, wavelength]\n"
                  "        forward:\n",
                  c->nx - 1, c->ny - 1, c->nw - 1);
    if (c->slicer) {
        put_slicer(t, c);
    } else {
        put_sky(t, c);
    }
    put_wavelength(t, c, linear);
    asdf_text_put(t,
                  "    - !<tag:stsci.edu:gwcs/step-1.0.0>\n"
                  "      frame: !<tag:stsci.edu:gwcs/composite_frame-1.0.0>\n"
                  "        frames:\n"
                  "%s"
                  "        - !<tag:stsci.edu:gwcs/spectral_frame-1.0.0>\n"
                  "          axes_names: [wavelength]\n"
                  "          axes_order: [2]\n"
                  "          axis_physical_types: [em.wl]\n"
                  "          name: spectral\n"
                  "          unit: [!unit/unit-1.0.0 um]\n"
                  "        name: world\n"
                  "      transform: null\n",
                  c->slicer ? slicer : celestial);
    return finish(t, f, err);
}
