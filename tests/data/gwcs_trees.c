#include "tests/data/gwcs_trees.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/fits_io.h"
#include "tests/support.h"

#define T "!transform/"
#define CHAIN(a, b) T "compose-1.2.0 {forward: [" a ", " b "]}"
#define BESIDE(a, b) T "concatenate-1.2.0 {forward: [" a ", " b "]}"
#define SHIFT(x) T "shift-1.2.0 {offset: " x "}"
#define SCALE(x) T "scale-1.2.0 {factor: " x "}"
#define SAME(n) T "identity-1.2.0 {n_dims: " n "}"
#define PICK(list, n) T "remap_axes-1.3.0 {mapping: [" list "], n_inputs: " n "}"
#define X_TO_LAM CHAIN(SCALE("1.0e-8"), SHIFT("3.0e-6"))
#define LAM_TO_X CHAIN(SHIFT("-3.0e-6"), SCALE("1.0e+8"))
#define TO_SKY                                                                         \
    BESIDE(BESIDE(CHAIN(SCALE("100.0"), SHIFT("10.0")),                                \
                  CHAIN(SCALE("100.0"), SHIFT("-20.0"))),                              \
           SCALE("1.0e+6"))
/* (x, y) to three angles and back */
#define TO_GWA T "remap_axes-1.3.0 {mapping: [0, 1, 0], inverse: " PICK("0, 1", "3") "}"
#define LOGICAL(c, v)                                                                  \
    "!<tag:stsci.edu:jwst_pipeline/logical-1.0.0> {condition: " c ", compareto: " v    \
    ", value: .nan}"
#define SUM2 T "add-1.2.0 {forward: [" PICK("0", "2") ", " PICK("1", "2") "]}"
/* NaN beyond the ends of the slit */
#define MASK                                                                           \
    CHAIN(CHAIN(CHAIN(PICK("0, 1, 2, 1", "3"),                                         \
                      BESIDE(SAME("3"), CHAIN(CHAIN(LOGICAL("GT", "0.55"),             \
                                                    LOGICAL("LT", "-0.55")),           \
                                              SCALE("0.0")))),                         \
                PICK("0, 1, 3, 2, 3", "4")),                                           \
          BESIDE(BESIDE(SAME("1"), SUM2), SUM2))

static const char head[] =
    "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n%TAG ! tag:stsci.edu:asdf/\n"
    "--- !core/asdf-1.1.0\nmeta:\n  wcs: !<tag:stsci.edu:gwcs/wcs-1.0.0>\n"
    "    name: ''\n    steps:\n";

static void step(FILE *f, const char *frame, const char *transform)
{
    fprintf(f,
            "    - !<tag:stsci.edu:gwcs/step-1.0.0>\n"
            "      frame: !<tag:stsci.edu:gwcs/frame2d-1.0.0> {name: %s}\n"
            "      transform: %s\n",
            frame, transform);
}

static void each(FILE *f, const char *between, void (*one)(FILE *f, int k))
{
    for (int k = 1; k <= 30; k++) {
        fputs(k > 1 ? between : "", f);
        one(f, k);
    }
}

static void label(FILE *f, int k)
{
    fprintf(f, "%d", k);
}

static void slit(FILE *f, int k)
{
    fprintf(f, "%d", k - 1);
}

static void by_pixel(FILE *f, int k)
{
    double across = 0.0008 * k;
    fprintf(f,
            T "compose-1.2.0 {forward: [" PICK(
                "0, 1, 0",
                "2") ", " T "concatenate-1.2.0 {forward: [" T
                     "concatenate-1.2.0 {forward: [" T
                     "constant-1.4.0 {dimensions: 1, value: %.17g}, " T
                     "compose-1.2.0 {forward: [" T "shift-1.2.0 {offset: %d.0}, " SCALE(
                         "1.0e-5") "]}]}, " X_TO_LAM "]}], inputs: [x, y], inverse: " T
                                   "compose-1.2.0 {forward: [" PICK(
                                       "2, 1",
                                       "3") ", " T
                                            "concatenate-1.2.0 {forward: [" LAM_TO_X
                                            ", " T "compose-1.2.0 {forward: [" SCALE(
                                                "1.0e+5") ", " T
                                                          "shift-1.2.0 {offset: "
                                                          "%d.0}]}]}]}, bounding_box: "
                                                          "!transform/property/"
                                                          "bounding_box-1.0.0 {ignore: "
                                                          "[], intervals: "
                                                          "{x: [-0.5, 63.5], y: [%d.5, "
                                                          "%d.5]}, order: F}}",
            across, -20 * k, 20 * k, 20 * k - 9, 20 * k + 8);
}

/* Three angles to the slit: x_slit = 0, y_slit = (y - 20 k) / 16. */
static void gwa_model(FILE *f, int k)
{
    fprintf(
        f,
        T "compose-1.2.0 {forward: [" T "concatenate-1.2.0 {forward: [" T
          "concatenate-1.2.0 {forward: [" T
          "constant-1.4.0 {dimensions: 1, value: 0.0}, " T "compose-1.2.0 {forward: [" T
          "shift-1.2.0 {offset: %d.0}, " SCALE(
              "0.0625") "]}]}, " X_TO_LAM "]}, " MASK "], inverse: " T
                        "compose-1.2.0 {forward: [" PICK(
                            "2, 1, 2",
                            "3") ", " T "concatenate-1.2.0 {forward: [" T
                                 "concatenate-1.2.0 {forward: [" LAM_TO_X ", " T
                                 "compose-1.2.0 {forward: [" SCALE(
                                     "16.0") ", " T
                                             "shift-1.2.0 {offset: %d.0}]}]}, " LAM_TO_X
                                             "]}]}}",
        -20 * k, 20 * k);
}

static void slit_model(FILE *f, int k)
{
    fprintf(f,
            T "concatenate-1.2.0 {forward: [" T "compose-1.2.0 {forward: [" SCALE(
                "1.0e-3") ", " T "shift-1.2.0 {offset: %.17g}]}, " SCALE("1.6e-4") "]}",
            0.0008 * k);
}

static void pixel_steps(FILE *f)
{
    step(f, "coordinates", SAME("2"));
    fputs("    - !<tag:stsci.edu:gwcs/step-1.0.0>\n      frame: detector\n"
          "      transform: !<tag:stsci.edu:gwcs/regions_selector-1.0.0>\n"
          "        selector: !!omap\n        - labels: [",
          f);
    each(f, ", ", label);
    fputs("]\n        - transforms:\n          - ", f);
    each(f, "\n          - ", by_pixel);
    fputs("\n", f);
    step(f, "slicer", TO_SKY);
}

static void slit_steps(FILE *f, bool named)
{
    step(f, "detector",
         named ? T "identity-1.2.0 {n_dims: 3, inputs: [x, y, name], outputs: [x, y, "
                   "name]}"
               : SAME("2"));
    step(f, "sca",
         named ? T
             "compose-1.2.0 {forward: [" BESIDE(TO_GWA, SAME("1")) ", " PICK(
                 "3, 0, 1, 2", "4") "], inputs: [x, y, name], outputs: [name, a, b, c]}"
               : BESIDE(SAME("2"), TO_GWA));
    fputs("    - !<tag:stsci.edu:gwcs/step-1.0.0>\n      frame: gwa\n      transform: "
          "!<tag:stsci.edu:jwst_pipeline/gwa_to_slit-0.7.0>\n        slits: [",
          f);
    each(f, ", ", slit);
    fputs("]\n        models:\n        - ", f);
    each(f, "\n        - ", gwa_model);
    fputs("\n    - !<tag:stsci.edu:gwcs/step-1.0.0>\n      frame: slit_frame\n"
          "      transform: ",
          f);
    fputs(named ? T "compose-1.2.0 {forward: [" T "concatenate-1.2.0 {forward: [" : "",
          f);
    fputs("!<tag:stsci.edu:jwst_pipeline/slit_to_msa-0.7.0> {slits: [", f);
    each(f, ", ", slit);
    fputs("], models: [", f);
    each(f, ", ", slit_model);
    fputs("]}", f);
    fputs(named ? ", " SAME("1") "]}, " PICK("0, 1, 3, 2", "4") "]}\n" : "\n", f);
    step(f, "slicer",
         named ? T
             "concatenate-1.2.0 {forward: [" TO_SKY
             ", " SAME("1") "], inputs: [x, y, lam, name], outputs: [x, y, lam, name]}"
               : TO_SKY);
}

char *gwcs_tree(enum gwcs_form form)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(f);
    fputs(head, f);
    if (form == GWCS_BY_PIXEL) {
        pixel_steps(f);
    } else {
        slit_steps(f, form == GWCS_BY_NAME);
    }
    fputs("    - !<tag:stsci.edu:gwcs/step-1.0.0>\n"
          "      frame: !<tag:stsci.edu:gwcs/composite_frame-1.0.0> {name: world}\n"
          "      transform: null\n...\n",
          f);
    ck_assert_int_eq(fclose(f), 0);
    return text;
}

void gwcs_write(const char *path, const char *content)
{
    struct err err = {0};
    struct fits_out *f = NULL;
    struct fits_column column = {"ASDF_METADATA", NULL, FITS_UINT8,
                                 strlen(content), NULL, content};
    remove(path);
    support_ok(fits_out_create(path, &f, &err), &err);
    support_ok(fits_out_primary(f, NULL, &err), &err);
    support_ok(fits_out_table(f, "ASDF", NULL, 1, &column, 1, &err), &err);
    support_ok(fits_out_close(f, &err), &err);
}
