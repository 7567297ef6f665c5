#include "cli/sim/instrument.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* metres and degrees where not said */
#define F_CAMERA 0.28
#define F_COLLIMATOR 0.58
#define FOLD_TAN 0.3057 /* tangent of the folding angle, 17 degrees */
#define PIXEL 18e-6
#define GAP 2.61e-3         /* between the detectors' edges */
#define SLIT_X 0.0487       /* the virtual slits in the collimator's field */
#define SLICER_SCALE 0.0932 /* slicer to virtual slit: 30 pixels a slice */
#define SLICE_WIDTH 0.8e-3
#define SLICE_LENGTH 12e-3
#define SLICE_LENGTH_ARCSEC 3.0
#define ENTRANCE_X 0.0410 /* of the IFU in the MSA plane */
#define MSA_PER_ARCSEC 0.392e-3
#define FORE_SCALE_X 0.615
#define FORE_SCALE_Y 0.604
#define FORE_ANGLE_DEG (-41.2)
#define OTE_PER_DEG 2.296
#define TILT_H (-8.8)
#define TILT_M (-4.2)
#define TILT_PRISM 24.29
#define PRISM_APEX (-16.5)            /* the sign is the reference format's */
#define CHROMATIC_ARCSEC_PER_M 4000.0 /* about 10 mas over a band */

static const struct sim_mode modes[] = {
    {"PRISM", "CLEAR", 0.6, 5.3, 5e-3, 0, TILT_PRISM},
    {"G140M", "F070LP", 0.7, 1.27, 6.36e-4, 95397, TILT_M},
    {"G140M", "F100LP", 0.97, 1.89, 6.36e-4, 95397, TILT_M},
    {"G140H", "F070LP", 0.7, 1.27, 2.35e-4, 252286, TILT_H},
    {"G140H", "F100LP", 0.97, 1.89, 2.35e-4, 252286, TILT_H},
    {"G235M", "F170LP", 1.66, 3.17, 1.06e-3, 56876, TILT_M},
    {"G235H", "F170LP", 1.66, 3.17, 3.96e-4, 150293, TILT_H},
    {"G395M", "F290LP", 2.87, 5.27, 1.79e-3, 33822, TILT_M},
    {"G395H", "F290LP", 2.87, 5.27, 6.65e-4, 89409, TILT_H},
};
static const size_t n_modes = sizeof modes / sizeof *modes;

const struct sim_mode *sim_modes(size_t *ret_n)
{
    *ret_n = n_modes;
    return modes;
}

int sim_mode_find(const char *grating, const char *filter, const struct sim_mode **ret,
                  struct err *err)
{
    for (size_t i = n_modes; i-- > 0;) {
        if (!strcmp(modes[i].grating, grating) &&
            (!filter || !strcmp(modes[i].filter, filter))) {
            *ret = &modes[i];
            return 0;
        }
    }
    return err_set(err, ERR_PARAM,
                   "no mode %s/%s: give PRISM/CLEAR, G140M or G140H with F070LP or "
                   "F100LP, G235M or G235H with F170LP, G395M or G395H with F290LP",
                   grating, filter ? filter : "(any)");
}

/* ---- ASDF as text: inline arrays only, so that a file can be read by eye ---- */

static FILE *begin(const char *folder, const char *name, const char *reftype,
                   const char *model_type, const char *grating, const char *filter,
                   struct err *err)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/ideal_%s.asdf", folder, name);
    FILE *f = fopen(path, "we");
    if (!f) {
        err_set(err, ERR_IO, "%s: cannot be created: %s", path, strerror(errno));
        return NULL;
    }
    fprintf(f, "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%%YAML 1.1\n"
               "%%TAG ! tag:stsci.edu:asdf/\n--- !core/asdf-1.1.0\n"
               "meta:\n  author: ifusim\n  date: '2022-01-01T00:00:00.000'\n"
               "  description: idealised NIRSpec IFU, published round numbers\n"
               "  exposure: {p_exptype: NRS_IFU|, type: NRS_IFU}\n"
               "  instrument: {name: NIRSPEC, p_detector: NRS1|NRS2|");
    if (grating) {
        fprintf(f, ", grating: %s", grating);
    }
    if (filter) {
        fprintf(f, ", filter: %s", filter);
    }
    fprintf(f,
            "}\n  model_type: %s\n  pedigree: DUMMY\n  reftype: %s\n"
            "  telescope: JWST\n  useafter: '2022-01-01T00:00:00'\n",
            model_type, reftype);
    return f;
}

static int end(FILE *f, const char *folder, const char *name, struct err *err)
{
    fputs("...\n", f);
    int bad = ferror(f);
    if (fclose(f) || bad) {
        return err_set(err, ERR_IO, "%s/ideal_%s.asdf: cannot be written: %s", folder,
                       name, strerror(errno));
    }
    return 0;
}

/* An affine transform as one flow mapping: out = matrix . in + translation. */
static void affine(FILE *f, const double m[4], const double t[2])
{
    fprintf(f,
            "!transform/affine-1.3.0 {matrix: !core/ndarray-1.0.0 "
            "[[%.17g, %.17g], [%.17g, %.17g]], translation: !core/ndarray-1.0.0 "
            "[%.17g, %.17g], inputs: [x, y], outputs: [x, y]",
            m[0], m[1], m[2], m[3], t[0], t[1]);
}

static void affine_inverse(const double m[4], const double t[2], double im[4],
                           double it[2])
{
    double det = m[0] * m[3] - m[1] * m[2];
    im[0] = m[3] / det;
    im[1] = -m[1] / det;
    im[2] = -m[2] / det;
    im[3] = m[0] / det;
    it[0] = -(im[0] * t[0] + im[1] * t[1]);
    it[1] = -(im[2] * t[0] + im[3] * t[1]);
}

static void affine_both(FILE *f, const char *key, const double m[4], const double t[2])
{
    double im[4], it[2];
    affine_inverse(m, t, im, it);
    fprintf(f, "%s: ", key);
    affine(f, m, t);
    fputs(", inverse: ", f);
    affine(f, im, it);
    fputs("}}\n", f);
}

static int write_affine(const char *folder, const char *name, const char *reftype,
                        const char *model_type, const double m[4], const double t[2],
                        const char *more_meta, struct err *err)
{
    FILE *f = begin(folder, name, reftype, model_type, NULL, NULL, err);
    if (!f) {
        return ERR_IO;
    }
    fputs(more_meta, f);
    affine_both(f, "model", m, t);
    return end(f, folder, name, err);
}

static int write_fpa(const char *folder, struct err *err)
{
    FILE *f = begin(folder, "fpa", "fpa", "FPAModel", NULL, NULL, err);
    if (!f) {
        return ERR_IO;
    }
    double edge = 2048 * PIXEL + GAP / 2;
    affine_both(f, "nrs1_model", (double[]){PIXEL, 0, 0, PIXEL},
                (double[]){-edge + PIXEL / 2, -1023.5 * PIXEL});
    affine_both(f, "nrs2_model", (double[]){-PIXEL, 0, 0, -PIXEL},
                (double[]){edge - PIXEL / 2, 1023.5 * PIXEL});
    return end(f, folder, "fpa", err);
}

/* Row where slice s (0-based) is centred near the middle of NRS1. Even slices lie in
 * the lower half of the detectors, odd ones in the upper. */
static double slice_row(int s)
{
    int j = s / 2;
    return s % 2 ? 1221.0 + 49.0 * j : 113.0 + 49.3 * j;
}

/* Centre of slice s on the slicer, from the middle outwards: +0.4, -0.4, +1.2, ... mm */
static double slice_centre(int s)
{
    double c = (s / 2 + 0.5) * SLICE_WIDTH;
    return s % 2 ? -c : c;
}

static void polynomial(FILE *f, const char *key, double c00, double c10, double c01)
{
    fprintf(f,
            "  %s: !transform/polynomial-1.2.0 {coefficients: !core/ndarray-1.0.0 "
            "[[%.17g, %.17g], [%.17g, 0.0]], domain: [[-1, 1], [-1, 1]], "
            "window: [[-1, 1], [-1, 1]], inputs: [x, y], outputs: [z]}\n",
            key, c00, c01, c10);
}

static int write_ifupost(const char *folder, struct err *err)
{
    FILE *f = begin(folder, "ifupost", "ifupost", "IFUPostModel", NULL, NULL, err);
    if (!f) {
        return ERR_IO;
    }
    for (int s = 0; s < 30; s++) {
        double y = -(slice_row(s) - 1023.5) * PIXEL * F_COLLIMATOR / F_CAMERA;
        double k = SLICER_SCALE;
        fprintf(f, "slice_%d:\n  ", s);
        affine_both(f, "linear", (double[]){k, 0, 0, k},
                    (double[]){SLIT_X - k * slice_centre(s), y});
        polynomial(f, "xpoly", 0, 1, 0);
        polynomial(f, "xpoly_distortion", 0, 5, 0);
        polynomial(f, "ypoly", 0, 0, 1);
        polynomial(f, "ypoly_distortion", 0, 0, 5);
    }
    return end(f, folder, "ifupost", err);
}

static int write_ifuslicer(const char *folder, struct err *err)
{
    FILE *f =
        begin(folder, "ifuslicer", "ifuslicer", "IFUSlicerModel", NULL, NULL, err);
    if (!f) {
        return ERR_IO;
    }
    fputs("data: !core/ndarray-1.0.0\n  datatype:\n"
          "  - {byteorder: big, datatype: int32, name: 'NO'}\n"
          "  - {byteorder: big, datatype: float32, name: XC}\n"
          "  - {byteorder: big, datatype: float32, name: YC}\n"
          "  - {byteorder: big, datatype: float32, name: SIZEX}\n"
          "  - {byteorder: big, datatype: float32, name: SIZEY}\n"
          "  shape: [30]\n  data:\n",
          f);
    for (int s = 0; s < 30; s++) {
        fprintf(f, "  - [%d, %.9g, 0.0, %.9g, %.9g]\n", s, slice_centre(s), SLICE_WIDTH,
                SLICE_LENGTH);
    }
    fputs("model: !transform/identity-1.2.0 {n_dims: 2, inputs: [x0, x1], "
          "outputs: [x0, x1]}\n",
          f);
    return end(f, folder, "ifuslicer", err);
}

static void take_xy(FILE *f)
{
    fputs("!transform/remap_axes-1.3.0 {mapping: [0, 1], n_inputs: 3, "
          "inputs: [x0, x1, x2], outputs: [x0, x1]}",
          f);
}

/*
 * The transforms behind the slicer take x, y and wavelength both ways, though nothing
 * here depends on the wavelength.
 */
static int write_achromatic(const char *folder, const char *name, const char *reftype,
                            const char *model_type, const char *filter,
                            const double m[4], const double t[2], struct err *err)
{
    FILE *f = begin(folder, name, reftype, model_type, NULL, filter, err);
    if (!f) {
        return ERR_IO;
    }
    double im[4], it[2];
    affine_inverse(m, t, im, it);
    fputs("model: !transform/compose-1.2.0\n  forward:\n  - ", f);
    take_xy(f);
    fputs("\n  - ", f);
    affine(f, m, t);
    fputs("}\n  inputs: [x0, x1, x2]\n  outputs: [x, y]\n"
          "  inverse: !transform/compose-1.2.0\n    forward:\n    - ",
          f);
    take_xy(f);
    fputs("\n    - ", f);
    affine(f, im, it);
    fputs("}\n    inputs: [x0, x1, x2]\n    outputs: [x, y]\n", f);
    return end(f, folder, name, err);
}

/* MSA plane to the OTE image plane: turned and stretched, the same at all wavelengths. */
static int write_fore(const char *folder, const char *filter, struct err *err)
{
    char name[32];
    snprintf(name, sizeof name, "fore_%s", filter);
    double a = FORE_ANGLE_DEG * M_PI / 180;
    double m[4] = {cos(a) / FORE_SCALE_X, -sin(a) / FORE_SCALE_Y, sin(a) / FORE_SCALE_X,
                   cos(a) / FORE_SCALE_Y};
    return write_achromatic(folder, name, "fore", "FOREModel", filter, m,
                            (double[]){0, 0}, err);
}

/* x + (lam - 4 um) * slope, where the slope is in metres of the OTE image per metre. */
static void chromatic_axis(FILE *f, const char *indent, int axis, double slope)
{
    fprintf(f,
            "%s- !transform/add-1.2.0\n"
            "%s  forward:\n"
            "%s  - !transform/remap_axes-1.3.0 {mapping: [%d], n_inputs: 3, inputs: "
            "[x0, x1, x2], outputs: [x0]}\n"
            "%s  - !transform/compose-1.2.0\n"
            "%s    forward:\n"
            "%s    - !transform/remap_axes-1.3.0 {mapping: [2], inputs: [x0, x1, x2], "
            "outputs: [x0]}\n"
            "%s    - !transform/compose-1.2.0 {forward: [!transform/shift-1.2.0 "
            "{offset: -4.0e-06, inputs: [x], outputs: [y]}, !transform/scale-1.2.0 "
            "{factor: %.17g, inputs: [x], outputs: [y]}], inputs: [x], outputs: [y]}\n"
            "%s    inputs: [x0, x1, x2]\n%s    outputs: [y]\n"
            "%s  inputs: [x0, x1, x2]\n%s  outputs: [x0]\n",
            indent, indent, indent, axis, indent, indent, indent, indent, slope, indent,
            indent, indent, indent);
}

static int write_chromcorr(const char *folder, struct err *err)
{
    FILE *f =
        begin(folder, "chromcorr", "chromcorr", "ChromCorrModel", NULL, NULL, err);
    if (!f) {
        return ERR_IO;
    }
    double slope = CHROMATIC_ARCSEC_PER_M * OTE_PER_DEG / 3600;
    fputs("model: !transform/compose-1.2.0\n  forward:\n"
          "  - !transform/remap_axes-1.3.0 {mapping: [0, 1, 2, 0, 1, 2, 2], inputs: "
          "[x0, x1, x2], outputs: [x0, x1, x2, x3, x4, x5, x6]}\n"
          "  - !transform/concatenate-1.2.0\n    forward:\n"
          "    - !transform/concatenate-1.2.0\n      forward:\n",
          f);
    chromatic_axis(f, "      ", 0, slope);
    chromatic_axis(f, "      ", 1, -slope / 2);
    fputs("      inputs: [x00, x10, x20, x01, x11, x21]\n      outputs: [x00, x01]\n"
          "    - !transform/identity-1.2.0 {inputs: [x0], outputs: [x0]}\n"
          "    inputs: [x00, x10, x20, x01, x11, x21, x0]\n"
          "    outputs: [x00, x01, x0]\n"
          "  inputs: [x0, x1, x2]\n  outputs: [x00, x01, x0]\n"
          "  inverse: !transform/compose-1.2.0\n    forward:\n"
          "    - !transform/remap_axes-1.3.0 {mapping: [0, 1, 2, 0, 1, 2], inputs: "
          "[x0, x1, x2], outputs: [x0, x1, x2, x3, x4, x5]}\n"
          "    - !transform/concatenate-1.2.0\n      forward:\n",
          f);
    chromatic_axis(f, "      ", 0, -slope);
    chromatic_axis(f, "      ", 1, slope / 2);
    fputs("      inputs: [x00, x10, x20, x01, x11, x21]\n      outputs: [x00, x01]\n"
          "    inputs: [x0, x1, x2]\n    outputs: [x00, x01]\n",
          f);
    return end(f, folder, "chromcorr", err);
}

static int write_ote(const char *folder, struct err *err)
{
    /* where FORE sends the middle of the IFU's entrance */
    double a = FORE_ANGLE_DEG * M_PI / 180;
    double x = cos(a) / FORE_SCALE_X * ENTRANCE_X,
           y = sin(a) / FORE_SCALE_X * ENTRANCE_X;
    double k = 3600 / OTE_PER_DEG;
    double m[4] = {k, 0, 0, k};
    double t[2] = {SIM_V2_ARCSEC - k * x, SIM_V3_ARCSEC - k * y};
    return write_affine(folder, "ote", "ote", "OTEModel", m, t,
                        "  output_units: arcsec\n", err);
}

static void gwa_sensor(FILE *f, const char *key, double zero)
{
    fprintf(f,
            "%s:\n  temperatures: [37.5]\n  tilt_model: !transform/polynomial-1.2.0 "
            "{coefficients: !core/ndarray-1.0.0 [0.0, 500.0], domain: [-1, 1], "
            "window: [-1, 1], inputs: [x], outputs: [y]}\n  unit: arcsec\n"
            "  zeroreadings: [%.17g]\n",
            key, zero);
}

static int write_disperser(const char *folder, const struct sim_mode *mode,
                           struct err *err)
{
    char name[32];
    snprintf(name, sizeof name, "disperser_%s", mode->grating);
    FILE *f =
        begin(folder, name, "disperser", "DisperserModel", mode->grating, NULL, err);
    if (!f) {
        return ERR_IO;
    }
    if (mode->grooves > 0) {
        fprintf(f, "groovedensity: %.17g\n", mode->grooves);
    } else {
        /* CaF2 and its Sellmeier coefficients: Malitson 1963, Appl. Opt. 2, 1103, in
         * the three-term form of the observatory's disperser file */
        fprintf(f,
                "angle: %.17g\nkcoef: [0.5675888, 0.4710914, 3.8484723]\n"
                "lcoef: [0.00252642999, 0.0100783328, 1200.555973]\n"
                "tcoef: [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]\npref: 0.0\ntref: 35.0\n"
                "wbound: [4.0e-07, 7.0e-06]\n",
                PRISM_APEX);
    }
    gwa_sensor(f, "gwa_tiltx", SIM_GWA_XTILT);
    gwa_sensor(f, "gwa_tilty", SIM_GWA_YTILT);
    fprintf(f, "theta_x: 0.0\ntheta_y: 0.0\ntheta_z: 0.0\ntilt_x: 0.0\ntilt_y: %.17g\n",
            mode->tilt_y_deg);
    return end(f, folder, name, err);
}

static int write_wavelengthrange(const char *folder, struct err *err)
{
    FILE *f = begin(folder, "wavelengthrange", "wavelengthrange",
                    "WavelengthrangeModel", NULL, NULL, err);
    if (!f) {
        return ERR_IO;
    }
    fputs("  wavelength_units: !unit/unit-1.0.0 m\norder: [", f);
    for (size_t i = 0; i < n_modes; i++) {
        fprintf(f, "%s-1", i ? ", " : "");
    }
    fputs("]\nwavelengthrange:\n", f);
    for (size_t i = 0; i < n_modes; i++) {
        fprintf(f, "- [%.17g, %.17g]\n", modes[i].wave_min_um * 1e-6,
                modes[i].wave_max_um * 1e-6);
    }
    fputs("waverange_selector: [", f);
    for (size_t i = 0; i < n_modes; i++) {
        fprintf(f, "%s%s_%s", i ? ", " : "", modes[i].filter, modes[i].grating);
    }
    fputs("]\n", f);
    return end(f, folder, "wavelengthrange", err);
}

static int write_extract1d(const char *folder, struct err *err)
{
    FILE *f =
        begin(folder, "extract1d", "extract1d", "Extract1dIFUModel", NULL, NULL, err);
    if (!f) {
        return ERR_IO;
    }
    static const struct {
        const char *name, *unit;
        double value;
    } columns[] = {{"radius", "arcsec", 0.45},
                   {"inner_bkg", "arcsec", 0.9},
                   {"outer_bkg", "arcsec", 1.3},
                   {"axis_ratio", NULL, 1},
                   {"axis_pa", "degree", 0}};
    const int n = 48;
    fputs("  region_type: target\n  subtract_background: true\n  method: subpixel\n"
          "  subpixels: 10\ndata:\n  wavelength_units: micron\n"
          "  wavelength: !core/ndarray-1.0.0 [",
          f);
    for (int i = 0; i < n; i++) {
        fprintf(f, "%s%.4f", i ? ", " : "", 0.6 + 0.1 * i);
    }
    fputs("]\n", f);
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        if (columns[c].unit) {
            fprintf(f, "  %s_units: %s\n", columns[c].name, columns[c].unit);
        }
        fprintf(f, "  %s: !core/ndarray-1.0.0 [", columns[c].name);
        for (int i = 0; i < n; i++) {
            fprintf(f, "%s%.4f", i ? ", " : "", columns[c].value);
        }
        fputs("]\n", f);
    }
    return end(f, folder, "extract1d", err);
}

int sim_write_optics(const char *folder, struct err *err)
{
    /* camera and collimator see the folded beam: tangent FOLD_TAN at y = 0 */
    double camera[4] = {1 / F_CAMERA, 0, 0, 1 / F_CAMERA};
    double collimator[4] = {F_COLLIMATOR, 0, 0, F_COLLIMATOR};
    /* 0.1 by 3 arcsec on 0.8 by 12 mm: twice as wide across a slice as along it */
    double fore[4] = {MSA_PER_ARCSEC * SIM_SLICE_ARCSEC / SLICE_WIDTH, 0, 0,
                      MSA_PER_ARCSEC * SLICE_LENGTH_ARCSEC / SLICE_LENGTH};
    int code = write_affine(folder, "camera", "camera", "CameraModel", camera,
                            (double[]){0, FOLD_TAN}, "", err);
    if (!code) {
        code =
            write_affine(folder, "collimator", "collimator", "CollimatorModel",
                         collimator, (double[]){0, FOLD_TAN * F_COLLIMATOR}, "", err);
    }
    if (!code) {
        code = write_achromatic(folder, "ifufore", "ifufore", "IFUFOREModel", NULL,
                                fore, (double[]){ENTRANCE_X, 0}, err);
    }
    code = code ? code : write_fpa(folder, err);
    code = code ? code : write_ifupost(folder, err);
    code = code ? code : write_ifuslicer(folder, err);
    code = code ? code : write_ote(folder, err);
    code = code ? code : write_chromcorr(folder, err);
    code = code ? code : write_wavelengthrange(folder, err);
    code = code ? code : write_extract1d(folder, err);
    for (size_t i = 0; i < n_modes && !code; i++) {
        code = write_disperser(folder, &modes[i], err);
        code = code ? code : write_fore(folder, modes[i].filter, err);
    }
    return code;
}
