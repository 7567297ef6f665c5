#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/sim/instrument.h"
#include "common/data/dq.h"
#include "common/data/ref_wcs.h"
#include "stages/assign_wcs.h"
#include "tests/support.h"

/*
 * The idealised optics of ifusim, with an MSA whose shutters lie where slices have their
 * virtual slits: then a shutter's trace is that of the slice.
 */
static char *folder;
static struct references *refs;
static struct err err;
static char said[4096];
static bool skipped;
static const char *no_msa; /* what stands for the choice of msa */

static void setup(void)
{
    folder = support_folder();
    support_ok(sim_write_optics(folder, &err), &err);
}

static void teardown(void)
{
    references_close(refs);
    refs = NULL;
    support_remove(folder);
    no_msa = NULL;
}

static void on_note(void *user, int is_warning, const char *line)
{
    (void)user;
    ck_assert(!is_warning);
    snprintf(said, sizeof said, "%s", line);
}

static void on_skipped(void *user)
{
    (void)user;
    skipped = true;
}

static const char *on_override(void *user, const char *stage, const char *type,
                               const struct exposure_meta *meta)
{
    (void)user;
    (void)stage;
    (void)meta;
    return strcmp(type, "msa") ? NULL : no_msa;
}

static int run(struct exposure *e)
{
    struct stage_env env = {.refs = refs,
                            .recipe = "spec2",
                            .override = on_override,
                            .note = on_note,
                            .skipped = on_skipped,
                            .stage_name = "msa_flagging"};
    struct dataset data = {.exposures = &e, .n_exposures = 1};
    skipped = false;
    said[0] = '\0';
    err = (struct err){0};
    return stage_msa_flagging.run(&env, NULL, &data, &err);
}

/* A window of the frame with its WCS; slices end where a shutter does. */
static struct exposure *window(void)
{
    static const double ends[2] = {-0.5, 0.5};
    struct exposure *e = support_exposure(256, 900, 801, 1, "NRS1", "F290LP", "G395H");
    struct stage_env env = {.refs = refs, .stage_name = "assign_wcs"};
    support_ok(assign_wcs_exposure(&env, e, ends, true, &err), &err);
    return e;
}

static void open_references(void)
{
    references_close(refs);
    refs = NULL;
    support_ok(references_open(folder, (size_t)1 << 30, &refs, &err), &err);
}

/* ---- references -------------------------------------------------------------------- */

static const void *load(const char *type, struct reference **ret)
{
    struct exposure *e = support_exposure(8, 8, 1, 1, "NRS1", "F290LP", "G395H");
    struct reference_choice choice;
    const void *object;
    support_ok(references_choose(refs, type, &e->meta, NULL, &choice, &err), &err);
    support_ok(references_load(refs, &choice, ret, &object, &err), &err);
    exposure_free(e);
    return object;
}

/* Virtual slit of a slice (1..30) behind IFUPOST at the middle of the range, y_slit of
 * its length from its centre. */
static void slit_at(int slice, double y_slit, double *ret_x, double *ret_y)
{
    const double mid = 0.5 * (2.87e-6 + 5.27e-6);
    struct reference *held[2];
    const struct ref_ifuslicer *slicer = load("ifuslicer", &held[0]);
    const struct ref_ifupost *post = load("ifupost", &held[1]);
    const struct ref_ifupost_slice *p = &post->slice[slice - 1];
    double x = slicer->slice[slice - 1].x;
    double y = slicer->slice[slice - 1].y + y_slit * slicer->slice[slice - 1].size_y;
    double v[4];
    double *const at[2] = {&x, &y};
    const double *const in[2] = {&x, &y};
    transform_eval(p->linear, 1, in, at);
    const struct transform *const part[4] = {p->x0, p->x1, p->y0, p->y1};
    for (int i = 0; i < 4; i++) {
        double *const out[1] = {&v[i]};
        transform_eval(part[i], 1, in, out);
    }
    *ret_x = v[0] + v[1] * mid;
    *ret_y = v[2] + v[3] * mid;
    reference_release(held[0]);
    reference_release(held[1]);
}

/* Q2 with three shutters: of slices 3 and 7, and one whose light misses the window. The
 * quadrant's transform moves them by 10 mm, which the rows take back. */
static void write_msa(const char *model)
{
    double x, y, x0, y0, x1, y1;
    char row[3][200];
    const int slices[3] = {3, 7, 30};
    open_references();
    for (int i = 0; i < 3; i++) {
        slit_at(slices[i], 0, &x, &y);
        slit_at(slices[i], -0.5, &x0, &y0);
        slit_at(slices[i], 0.5, &x1, &y1);
        snprintf(row[i], sizeof row[i], "  - [%d, %.17g, %.17g, 0.0001, %.17g]\n",
                 i + 1, x - 0.01, y, y1 - y0);
    }
    char text[3000];
    int n = snprintf(text, sizeof text,
                     "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%%YAML 1.1\n"
                     "%%TAG ! tag:stsci.edu:asdf/\n--- !core/asdf-1.1.0\n"
                     "meta:\n  reftype: msa\n  useafter: '2022-01-01T00:00:00'\n"
                     "  instrument: {name: NIRSPEC}\n  exposure: {type: NRS_IFU}\n"
                     "Q2:\n  model: %s\n"
                     "  data: !core/ndarray-1.0.0\n    datatype:\n"
                     "    - {byteorder: big, datatype: int32, name: 'NO'}\n"
                     "    - {byteorder: big, datatype: float64, name: XC}\n"
                     "    - {byteorder: big, datatype: float64, name: YC}\n"
                     "    - {byteorder: big, datatype: float64, name: SIZEX}\n"
                     "    - {byteorder: big, datatype: float64, name: SIZEY}\n"
                     "    shape: [3]\n    data:\n  %s  %s  %s...\n",
                     model, row[0], row[1], row[2]);
    support_write_file(support_path(folder, "msa.asdf"), text, (size_t)n);
}

#define MOVED                                                                          \
    "!transform/affine-1.3.0 {matrix: !core/ndarray-1.0.0 [[1.0, 0.0], [0.0, 1.0]], "  \
    "translation: !core/ndarray-1.0.0 [0.01, 0.0], inputs: [x, y], outputs: [x, y]}"

#define SHUTTER(q, x, y, state, ta, internal)                                          \
    "{\"Q\": " #q ", \"x\": " #x ", \"y\": " #y ", \"state\": \"" #state               \
    "\", \"TA state\": \"" #ta "\", \"Internal state\": \"" #internal                  \
    "\", \"Vignetted\": \"no\"}"

static void write_oper(const char *useafter, const char *rows)
{
    char text[2000];
    int n = snprintf(text, sizeof text,
                     "{\"reftype\": \"MSAOPER\", \"instrument\": \"NIRSPEC\", "
                     "\"exp_type\": \"NRS_IFU|NRS_MSASPEC\", \"useafter\": \"%s\",\n"
                     "\"msaoper\": [%s]}",
                     useafter, rows);
    support_write_file(support_path(folder, "msaoper.json"), text, (size_t)n);
    open_references();
}

#define AFTER "2022-01-01T00:00:00"

/* ---- tests ------------------------------------------------------------------------- */

/* Exactly the pixels of the slice whose slit the shutter is: the way from there to the
 * detector is the same. What stood in DQ stays. */
START_TEST(test_msa_flagging_flags_the_trace)
{
    static const struct {
        const char *rows;
        int slice; /* 0: none */
    } cases[] = {{SHUTTER(2, 1, 1, open, closed, normal), 3},
                 {SHUTTER(2, 2, 1, closed, open, normal), 7},
                 {SHUTTER(2, 2, 1, closed, closed, open), 7},
                 {SHUTTER(2, 2, 1, closed, closed, normal), 0},
                 {SHUTTER(2, 3, 1, open, closed, normal) ",\n" SHUTTER(2, 1, 1, closed,
                                                                       closed, normal),
                  0}};
    write_msa(MOVED);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        write_oper(AFTER, cases[k].rows);
        struct exposure *e = window();
        size_t flagged = 0, wrong = 0;
        e->dq[5] = DQ_HOT;
        support_ok(run(e), &err);
        ck_assert(!skipped);
        for (size_t i = 0; i < exposure_pixels(e); i++) {
            bool is = e->dq[i] & DQ_MSA_FAILED_OPEN;
            bool expected = cases[k].slice && e->regions[i] == cases[k].slice;
            flagged += is;
            wrong += is != expected;
            ck_assert_uint_eq(e->dq[i] & ~(uint32_t)DQ_MSA_FAILED_OPEN,
                              i == 5 ? DQ_HOT : 0);
        }
        ck_assert_msg(wrong == 0, "%zu wrong: %s", wrong, said);
        ck_assert_int_eq(flagged > 5000, cases[k].slice > 0);
        char expected[100];
        snprintf(expected, sizeof expected, "on %zu pixels", flagged);
        ck_assert_ptr_nonnull(strstr(said, expected));
        exposure_free(e);
    }
}
END_TEST

static void expect_nothing(const char *why)
{
    struct exposure *e = window();
    support_ok(run(e), &err);
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        ck_assert_uint_eq(e->dq[i], 0);
    }
    ck_assert(skipped);
    ck_assert_msg(strstr(said, why) != NULL, "%s", said);
    exposure_free(e);
}

START_TEST(test_msa_flagging_without_references)
{
    open_references();
    expect_nothing("no reference of type 'msaoper'");
    write_oper(AFTER, SHUTTER(2, 1, 1, open, closed, normal));
    expect_nothing("no reference of type 'msa'");
    write_msa(MOVED);
    no_msa = "N/A";
    open_references();
    expect_nothing("no reference of type 'msa'");
    no_msa = "";
    expect_nothing("no reference of type 'msa'");
    no_msa = NULL;
    write_oper("2031-01-01T00:00:00", SHUTTER(2, 1, 1, open, closed, normal));
    expect_nothing("no reference of type 'msaoper'");
}
END_TEST

static void expect_error(const char *what)
{
    struct exposure *e = window();
    ck_assert_int_eq(run(e), ERR_REFERENCE);
    ck_assert_msg(strstr(err.message, what) != NULL, "%s", err.message);
    exposure_free(e);
}

START_TEST(test_msa_flagging_bad_references)
{
    write_msa(MOVED);
    write_oper(AFTER, SHUTTER(5, 1, 1, open, closed, normal));
    expect_error("'Q' of msaoper[0] should be a whole number in 1..4");
    write_oper(AFTER, SHUTTER(2, 1, 172, open, closed, normal));
    expect_error("'y' of msaoper[0] should be a whole number in 1..171");
    write_oper(AFTER, SHUTTER(2, 4, 1, open, closed, normal));
    expect_error("number 4; msa has 3 of Q2");
    write_oper(AFTER, SHUTTER(1, 1, 1, open, closed, normal));
    expect_error("msa has 0 of Q1");
    write_oper(AFTER, "{\"Q\": 1, \"x\": 1, \"y\": 1, \"state\": \"open\"}");
    expect_error("'Internal state' of msaoper[0]");
    write_oper(AFTER, SHUTTER(2, 1, 1, open, closed, normal));
    write_msa("!transform/identity-1.2.0 {n_dims: 3}");
    open_references();
    expect_error("should have 2 and 2");
}
END_TEST

/* A reference folder with broken JSON works for everything else. */
START_TEST(test_msa_flagging_broken_json)
{
    support_write_file(support_path(folder, "msaoper.json"), "{\"reftype\": ", 12);
    open_references();
    expect_nothing("no reference of type 'msaoper'");
    support_write_file(support_path(folder, "msaoper.json"), "[1, 2]", 6);
    open_references();
    expect_nothing("no reference of type 'msaoper'");
    struct exposure *e = window();
    struct reference_choice choice;
    int code = references_choose(refs, "msaoper", &e->meta,
                                 support_path(folder, "msaoper.json"), &choice, &err);
    ck_assert_int_eq(code, ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "a JSON object expected"));
    exposure_free(e);
}
END_TEST

START_TEST(test_msa_flagging_needs_the_wcs)
{
    write_msa(MOVED);
    write_oper(AFTER, SHUTTER(2, 1, 1, open, closed, normal));
    struct exposure *e = support_exposure(8, 8, 1, 1, "NRS1", "F290LP", "G395H");
    ck_assert_int_eq(run(e), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "assign_wcs"));
    exposure_free(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("msa_flagging");
    TCase *t = tcase_create("msa_flagging");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_msa_flagging_flags_the_trace);
    tcase_add_test(t, test_msa_flagging_without_references);
    tcase_add_test(t, test_msa_flagging_bad_references);
    tcase_add_test(t, test_msa_flagging_broken_json);
    tcase_add_test(t, test_msa_flagging_needs_the_wcs);
    suite_add_tcase(s, t);
    return support_run(s);
}
