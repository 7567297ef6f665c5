#include "common/data/product_asdf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"

static const char head[] =
    "#ASDF 1.0.0\n"
    "#ASDF_STANDARD 1.5.0\n"
    "%YAML 1.1\n"
    "%TAG ! tag:stsci.edu:asdf/\n"
    "--- !core/asdf-1.1.0\n"
    "asdf_library: !core/software-1.0.0 {name: ifud, version: " IFUD_VERSION "}\n";

/* The tree is small but for a table of wavelengths: text grows as it is written. */
struct text {
    char *at;
    size_t n, room;
    int code;
};

__attribute__((format(printf, 3, 4))) static void put(struct text *t, struct err *err,
                                                      const char *fmt, ...)
{
    for (int attempt = 0; attempt < 2 && !t->code; attempt++) {
        va_list ap;
        va_start(ap, fmt);
        int n = vsnprintf(t->at + t->n, t->room - t->n, fmt, ap);
        va_end(ap);
        if (n >= 0 && (size_t)n < t->room - t->n) {
            t->n += (size_t)n;
            return;
        }
        size_t room = 2 * t->room + (size_t)(n > 0 ? n : 0);
        char *at = mem_realloc(t->at, room, 1, err);
        if (!at) {
            t->code = ERR_NOMEM;
        } else {
            t->at = at;
            t->room = room;
        }
    }
}

struct number {
    char text[40];
};

/* A number that YAML 1.1 takes for one: with a point, before the exponent if any. */
static struct number number(double v)
{
    struct number n;
    char digits[32];
    snprintf(digits, sizeof digits, "%.17g", v);
    size_t mantissa = strcspn(digits, "e");
    bool pointed = memchr(digits, '.', mantissa) != NULL;
    snprintf(n.text, sizeof n.text, "%.*s%s%s", (int)mantissa, digits,
             pointed ? "" : ".0", digits + mantissa);
    return n;
}

static int start(struct text *t, struct err *err)
{
    *t = (struct text){.room = 8192};
    t->at = mem_alloc(t->room, 1, err);
    t->code = t->at ? 0 : ERR_NOMEM;
    put(t, err, "%s", head);
    return t->code;
}

/* End the document, write the extension, release the text. */
static int finish(struct text *t, struct fits_out *f, struct err *err)
{
    put(t, err, "...\n");
    int code = t->code;
    if (!code) {
        const struct fits_column column = {
            .name = "ASDF_METADATA", .type = FITS_UINT8, .repeat = t->n, .data = t->at};
        code = fits_out_table(f, "ASDF", NULL, 1, &column, 1, err);
    }
    free(t->at);
    return code;
}

int product_asdf_plain(const char *model, struct fits_out *f, struct err *err)
{
    struct text t;
    int code = start(&t, err);
    if (code) {
        return code;
    }
    put(&t, err, "meta: {model_type: %s, telescope: JWST}\n", model);
    return finish(&t, f, err);
}

/* pixel -> RA, Dec: the steps of a FITS tangential projection. */
static void put_sky(struct text *t, const struct cube *c, struct err *err)
{
    put(t, err,
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
        number(1 - c->crpix1).text, number(1 - c->crpix2).text,
        number(c->cdelt1 * c->pc[0][0]).text, number(c->cdelt1 * c->pc[0][1]).text,
        number(c->cdelt2 * c->pc[1][0]).text, number(c->cdelt2 * c->pc[1][1]).text);
    put(t, err,
        "            - !transform/compose-1.2.0\n"
        "              forward:\n"
        "              - !transform/gnomonic-1.2.0 {direction: pix2sky}\n"
        "              - !transform/rotate3d-1.3.0 {direction: native2celestial, phi: "
        "%s, "
        "psi: 180.0, theta: %s}\n",
        number(c->crval1).text, number(c->crval2).text);
}

/* pixel -> across and along the slicer, metres. */
static void put_slicer(struct text *t, const struct cube *c, struct err *err)
{
    put(t, err,
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
        number(1 - c->crpix1).text, number(1 - c->crpix2).text, number(c->cdelt1).text,
        number(c->cdelt2).text, number(c->crval1).text, number(c->crval2).text);
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

static void put_wavelength(struct text *t, const struct cube *c, bool linear,
                           struct err *err)
{
    if (linear) {
        put(t, err,
            "        - !transform/compose-1.2.0\n"
            "          forward:\n"
            "          - !transform/scale-1.2.0 {factor: %s}\n"
            "          - !transform/shift-1.2.0 {offset: %s}\n",
            number(c->cdelt3).text,
            number(c->crval3 + (1 - c->crpix3) * c->cdelt3).text);
        return;
    }
    put(t, err,
        "        - !transform/tabular-1.2.0\n"
        "          bounds_error: false\n"
        "          fill_value: .nan\n"
        "          lookup_table: !core/ndarray-1.0.0\n"
        "            datatype: float64\n"
        "            data: [");
    for (int k = 0; k < c->nw; k++) {
        put(t, err, "%s%s", k ? ", " : "", number(c->wavelength[k]).text);
    }
    put(t, err,
        "]\n"
        "          method: linear\n"
        "          points:\n"
        "          - !core/ndarray-1.0.0\n"
        "            datatype: float64\n"
        "            data: [");
    for (int k = 0; k < c->nw; k++) {
        put(t, err, "%s%d.0", k ? ", " : "", k);
    }
    put(t, err, "]\n");
}

int product_asdf_cube(const struct cube *c, bool linear, struct fits_out *f,
                      struct err *err)
{
    struct text t;
    int code = start(&t, err);
    if (code) {
        return code;
    }
    put(&t, err,
        "meta:\n"
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
    put(&t, err,
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
        put_slicer(&t, c, err);
    } else {
        put_sky(&t, c, err);
    }
    put_wavelength(&t, c, linear, err);
    put(&t, err,
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
    return finish(&t, f, err);
}
