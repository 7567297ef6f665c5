/*
 * ifusim: simulate NIRSpec IFU exposures, and make the references of the idealised
 * instrument they are seen through.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/sim/calibration.h"
#include "cli/sim/instrument.h"
#include "cli/sim/simulate.h"
#include "common/base/params.h"
#include "common/base/path.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const struct param options[] = {
    {"make-references", PARAM_STRING, "none", 0, 0, NULL, "folder",
     "write the idealised instrument's references for --grating and --filter and stop",
     true},
    {"references", PARAM_STRING, "none", 0, 0, NULL, "folder",
     "reference files to simulate through", true},
    {"output", PARAM_STRING, ".", 0, 0, NULL, "folder", "where the exposures go",
     false},
    {"grating", PARAM_STRING, "G395H", 0, 0,
     "PRISM|G140M|G140H|G235M|G235H|G395M|G395H", "", "disperser", false},
    {"filter", PARAM_STRING, "none", 0, 0, "CLEAR|F070LP|F100LP|F170LP|F290LP", "",
     "filter; none: the disperser's usual one", true},
    {"detector", PARAM_STRING, "both", 0, 0, "both|NRS1|NRS2", "",
     "detector, or both where the disperser reaches both", false},
    {"dithers", PARAM_INT, "4", 1, 64, NULL, "", "positions of the dither pattern",
     false},
    {"dither", PARAM_INT, "0", 0, 64, NULL, "", "only this position; 0: all of them",
     false},
    {"nod", PARAM_REAL, "0", 0, 2, NULL, "arcsec",
     "dithers are nods: the corners of a square of twice this edge; 0: small dithers",
     false},
    {"ra", PARAM_REAL, "150.1163", 0, 360, NULL, "deg", "right ascension of the field",
     false},
    {"dec", PARAM_REAL, "2.2058", -89, 89, NULL, "deg", "declination of the field",
     false},
    {"roll", PARAM_REAL, "60", -360, 360, NULL, "deg", "ROLL_REF", false},
    {"velosys", PARAM_REAL, "-12345.6", -1e5, 1e5, NULL, "m/s",
     "barycentric velocity of the spacecraft", false},
    {"va-scale", PARAM_REAL, "1.00002", 0.999, 1.001, NULL, "",
     "velocity aberration scale", false},
    {"program", PARAM_STRING, "01234", 0, 0, NULL, "", "PROGRAM, five digits", false},
    {"observation", PARAM_STRING, "001", 0, 0, NULL, "", "OBSERVTN, three digits",
     false},
    {"target", PARAM_STRING, "SIMTARG", 0, 0, NULL, "", "TARGPROP", false},
    {"source", PARAM_REAL, "0.35", 0, 1e6, NULL, "mJy",
     "continuum of the point source at 3 um; 0: none", false},
    {"source-offset", PARAM_LIST, "0.08,-0.05", -5, 5, NULL, "arcsec",
     "east and north offset of the point source from the field's centre", false},
    {"disc", PARAM_REAL, "250", 0, 1e6, NULL, "MJy/sr",
     "line peak at the centre of the rotating disc; 0: none", false},
    {"zodi", PARAM_REAL, "1", 0, 1e3, NULL, "", "factor on the zodiacal light", false},
    {"leakage", PARAM_REAL, "0", 0, 1e3, NULL, "DN/s",
     "scale of the light through the closed and failed-open shutters", false},
    {"imprint", PARAM_BOOL, "false", 0, 0, NULL, "",
     "a leakage exposure: the IFU's light is blocked", false},
    {"background", PARAM_BOOL, "false", 0, 0, NULL, "",
     "an off-scene background: no source, no disc, BKGDTARG set", false},
    {"exposure-time", PARAM_REAL, "1458.9", 1, 1e6, NULL, "s", "EFFEXPTM", false},
    {"noise", PARAM_BOOL, "true", 0, 0, NULL, "",
     "draw shot noise and read noise (the variances are told anyway)", false},
    {"read-noise", PARAM_REAL, "0.0065", 0, 10, NULL, "DN/s", "read noise of a pixel",
     false},
    {"flicker", PARAM_REAL, "0", 0, 10, NULL, "DN/s",
     "standard deviation of the 1/f noise", false},
    {"cosmic-rays", PARAM_INT, "0", 0, 1000000, NULL, "",
     "hits that the ramp fit has left", false},
    {"bad-pixels", PARAM_REAL, "0.002", 0, 0.5, NULL, "", "share of flagged pixels",
     false},
    {"seed", PARAM_INT, "1", 0, 1e9, NULL, "", "seed of everything random", false},
    {"subarray", PARAM_LIST, "none", 0, 2048, NULL, "pixels",
     "x0,y0,nx,ny: cut this window (0-based) out of the frame", true},
    {"truth", PARAM_BOOL, "true", 0, 0, NULL, "",
     "write <exposure>_truth.fits: light, 1/f noise, cosmic rays, source, lines",
     false},
    {"threads", PARAM_INT, "0", 0, 64, NULL, "", "threads; 0: one per core", false},
};
#define N_OPTIONS (sizeof options / sizeof *options)

static void help(FILE *f)
{
    fputs("usage: ifusim --make-references FOLDER [--grating G] [--filter F]\n"
          "       ifusim --references FOLDER [--output FOLDER] [--OPTION VALUE]...\n\n"
          "Simulates _rate.fits exposures of a known scene: a point source with lines, "
          "a\n"
          "rotating disc and zodiacal light. Prints the path of each file written.\n\n",
          f);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        fprintf(f, "  --%-16s %s%s%s%s (default: %s%s%s)\n", options[i].name,
                options[i].doc, *options[i].unit ? " [" : "", options[i].unit,
                *options[i].unit ? "]" : "", options[i].fallback,
                options[i].choices ? "; " : "",
                options[i].choices ? options[i].choices : "");
    }
    fputs("  --help             this text\n  --version          the version\n", f);
}

static int fail(const struct err *err)
{
    fprintf(stderr, "ifusim: %s\n", err->message);
    return err->code == ERR_PARAM ? EXIT_USAGE : EXIT_FAILED;
}

/* Read the command line. Returns -1 to go on, or the exit status. */
static int parse(int argc, char **argv, struct params *p)
{
    struct err err;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            help(stdout);
            return EXIT_DONE;
        }
        if (!strcmp(argv[i], "--version")) {
            puts("ifusim " IFUD_VERSION);
            return EXIT_DONE;
        }
        if (strncmp(argv[i], "--", 2) || i + 1 >= argc) {
            fprintf(stderr, "ifusim: '%s': give --OPTION VALUE pairs; see --help\n",
                    argv[i]);
            return EXIT_USAGE;
        }
        if (params_set(p, argv[i] + 2, argv[i + 1], &err)) {
            return fail(&err);
        }
        i++;
    }
    if (params_is_none(p, "make-references") && params_is_none(p, "references")) {
        fprintf(stderr, "ifusim: give --references FOLDER or --make-references FOLDER; "
                        "see --help\n");
        return EXIT_USAGE;
    }
    return -1;
}

static int read_window(const struct params *p, int ret[4], struct err *err)
{
    const double *v;
    size_t n = params_list(p, "subarray", &v);
    if (!n) {
        return 0;
    }
    if (n != 4) {
        return err_set(err, ERR_PARAM, "subarray has %zu numbers: give x0,y0,nx,ny", n);
    }
    for (size_t i = 0; i < 4; i++) {
        if (v[i] != floor(v[i])) {
            return err_set(err, ERR_PARAM, "subarray: %g is not a whole number", v[i]);
        }
        ret[i] = (int)v[i];
    }
    if (ret[2] < 1 || ret[3] < 1 || ret[0] + ret[2] > SIM_FRAME ||
        ret[1] + ret[3] > SIM_FRAME) {
        return err_set(err, ERR_PARAM,
                       "subarray %s does not lie in the frame of %d x %d pixels",
                       params_text(p, "subarray"), SIM_FRAME, SIM_FRAME);
    }
    return 0;
}

static int all_digits(const char *text, size_t n)
{
    return strlen(text) == n && strspn(text, "0123456789") == n;
}

static int fill(const struct params *p, struct simulation *sim, struct err *err)
{
    const double *offset;
    if (params_list(p, "source-offset", &offset) != 2) {
        return err_set(err, ERR_PARAM, "source-offset: give east,north");
    }
    if (!all_digits(params_string(p, "program"), 5) ||
        !all_digits(params_string(p, "observation"), 3)) {
        return err_set(err, ERR_PARAM,
                       "program '%s' and observation '%s': give five and three digits",
                       params_string(p, "program"), params_string(p, "observation"));
    }
    int background = params_bool(p, "background");
    *sim = (struct simulation){
        .scene = {.source_east = offset[0],
                  .source_north = offset[1],
                  .source_mjy = background ? 0 : params_real(p, "source"),
                  .disc_mjysr = background ? 0 : params_real(p, "disc"),
                  .zodi = params_real(p, "zodi")},
        .noise = {.exposure_time = params_real(p, "exposure-time"),
                  .read_noise = params_real(p, "read-noise"),
                  .flicker = params_real(p, "flicker"),
                  .leakage = params_real(p, "leakage"),
                  .cosmic_rays = params_int(p, "cosmic-rays"),
                  .bad_fraction = params_real(p, "bad-pixels"),
                  .draw = params_bool(p, "noise")},
        .ra = params_real(p, "ra"),
        .dec = params_real(p, "dec"),
        .roll = params_real(p, "roll"),
        .velosys = params_real(p, "velosys"),
        .va_scale = params_real(p, "va-scale"),
        .program = params_string(p, "program"),
        .observation = params_string(p, "observation"),
        .target = params_string(p, "target"),
        .n_dithers = (int)params_int(p, "dithers"),
        .is_imprint = params_bool(p, "imprint"),
        .is_background = background,
        .with_truth = params_bool(p, "truth"),
    };
    int code = sim_mode_find(params_string(p, "grating"), params_string(p, "filter"),
                             &sim->mode, err);
    if (!code) {
        sim->scene.line_sigma_um = 1.6 * sim->mode->step_um;
        code = read_window(p, sim->subarray, err);
    }
    return code;
}

/* Half a slice and half a pixel off at each step; further positions wind outwards. Nods are
 * the corners of a square. */
static void dither_offset(int i, double nod, double *east, double *north)
{
    static const double four[4][2] = {
        {0, 0}, {0.25, 0.15}, {-0.15, 0.25}, {-0.25, -0.2}};
    if (nod > 0) {
        *east = i & 1 ? nod : -nod;
        *north = i & 2 ? nod : -nod;
        return;
    }
    if (i < 4) {
        *east = four[i][0];
        *north = four[i][1];
        return;
    }
    double angle = 2.399963 * i, radius = 0.1 * sqrt(i);
    *east = radius * cos(angle);
    *north = radius * sin(angle);
}

static int simulate_all(const struct params *p, struct simulation *sim,
                        struct references *refs, struct par *par, struct err *err)
{
    static const char *const detectors[] = {"NRS1", "NRS2"};
    const char *wanted = params_string(p, "detector");
    long only = params_int(p, "dither"), seed = params_int(p, "seed");
    int code = 0;
    if (strcmp(wanted, "both") &&
        !exposure_reaches(wanted, sim->mode->grating, sim->mode->filter)) {
        return err_set(err, ERR_PARAM, "%s/%s does not reach %s: give --detector NRS1",
                       sim->mode->grating, sim->mode->filter, wanted);
    }
    for (int k = 1; k <= sim->n_dithers && !code; k++) {
        for (int d = 0; d < 2 && !code; d++) {
            if ((only && k != only) ||
                !exposure_reaches(detectors[d], sim->mode->grating,
                                  sim->mode->filter) ||
                (strcmp(wanted, "both") && strcmp(wanted, detectors[d]))) {
                continue;
            }
            sim->dither = k;
            sim->detector = detectors[d];
            sim->noise.seed = (uint64_t)(seed * 1000 + 10 * k + d +
                                         2 * sim->is_imprint + 4 * sim->is_background);
            dither_offset(k - 1, params_real(p, "nod"), &sim->dither_east,
                          &sim->dither_north);
            if (sim->is_background) {
                sim->dither_east += 120;
                sim->dither_north += 60;
            }
            char path[512];
            code = simulate_exposure(sim, refs, par, params_string(p, "output"), path,
                                     err);
            if (!code) {
                puts(path);
                fflush(stdout);
            }
        }
    }
    return code;
}

static int make_references(const struct params *p, struct err *err)
{
    const struct sim_mode *mode;
    const char *folder = params_string(p, "make-references");
    int code = sim_mode_find(params_string(p, "grating"), params_string(p, "filter"),
                             &mode, err);
    code = code ? code : path_make_folder(folder, 0777, err);
    code = code ? code : sim_write_optics(folder, err);
    return code ? code : sim_write_calibration(folder, mode, err);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct params *p = NULL;
    if (params_new(options, N_OPTIONS, &p, &err)) {
        return fail(&err);
    }
    int status = parse(argc, argv, p);
    if (status < 0 && !params_is_none(p, "make-references")) {
        status = make_references(p, &err) ? fail(&err) : EXIT_DONE;
    }
    if (status < 0) {
        struct simulation sim;
        struct references *refs = NULL;
        struct par *par = NULL;
        long threads = params_int(p, "threads");
        int code = fill(p, &sim, &err);
        code =
            code ? code
                 : par_new(threads ? (int)threads : (int)sysconf(_SC_NPROCESSORS_ONLN),
                           &par, &err);
        code = code ? code : path_make_folder(params_string(p, "output"), 0777, &err);
        code = code ? code
                    : references_open(params_string(p, "references"), (size_t)1 << 30,
                                      &refs, &err);
        code = code ? code : simulate_all(p, &sim, refs, par, &err);
        references_close(refs);
        par_free(par);
        status = code ? fail(&err) : EXIT_DONE;
    }
    params_free(p);
    return status;
}
