#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ifurun_commands.h"
#include "cli/ifurun_source.h"
#include "common/base/mem.h"
#include "common/data/exposure_io.h"
#include "common/data/wcs.h"
#include "jobs/job_plan.h"
#include "stages/assign_wcs.h"

#define RUN 1024 /* points that are converted together */

struct points {
    size_t n;
    double x[RUN], y[RUN], ra[RUN], dec[RUN], lam[RUN];
    int slice[RUN];
};

static const char *on_override(void *user, const char *stage, const char *type,
                               const struct exposure_meta *meta)
{
    return job_plan_override(user, stage, type, meta);
}

/* Slice of the nearest pixel; 0 outside. */
static int slice_at(const struct exposure *e, double x, double y)
{
    double i = floor(x + 0.5), j = floor(y + 0.5);
    if (!(i >= 0 && j >= 0 && i < e->nx && j < e->ny)) {
        return 0;
    }
    return e->regions[(size_t)j * (size_t)e->nx + (size_t)i];
}

static void convert(const struct wcs *w, struct points *p)
{
    double x[RUN], y[RUN], ra[RUN], dec[RUN], lam[RUN];
    size_t at[RUN];
    for (int slice = 0; slice <= WCS_SLICES; slice++) {
        size_t n = 0;
        for (size_t i = 0; i < p->n; i++) {
            if (p->slice[i] == slice) {
                at[n] = i;
                x[n] = p->x[i];
                y[n] = p->y[i];
                ra[n] = dec[n] = lam[n] = NAN;
                n++;
            }
        }
        if (n && slice) {
            wcs_detector_to_sky(w, slice, n, x, y, ra, dec, lam);
        }
        for (size_t k = 0; k < n; k++) {
            p->ra[at[k]] = ra[k];
            p->dec[at[k]] = dec[k];
            p->lam[at[k]] = lam[k];
        }
    }
}

static void print_number(double value, const char *end)
{
    if (isnan(value)) { /* never "-nan" */
        printf("nan%s", end);
    } else {
        printf("%.17g%s", value, end);
    }
}

static void print_points(const struct points *p)
{
    for (size_t i = 0; i < p->n; i++) {
        print_number(p->x[i], " ");
        print_number(p->y[i], " ");
        printf("%d ", p->slice[i]);
        print_number(p->ra[i], " ");
        print_number(p->dec[i], " ");
        print_number(p->lam[i], "\n");
    }
}

static int convert_input(const struct exposure *e, struct err *err)
{
    char *line = NULL;
    size_t room = 0;
    long number = 0;
    int code = 0;
    struct points *p = mem_calloc(1, sizeof *p, err);
    if (!p) {
        return ERR_NOMEM;
    }
    while (!code && getline(&line, &room, stdin) >= 0) {
        char *end, *rest;
        number++;
        if (line[strspn(line, " \t\r\n")] == 0) {
            continue;
        }
        double x = strtod(line, &end), y = strtod(end, &rest);
        if (end == line || rest == end || rest[strspn(rest, " \t\r\n")]) {
            code = err_set(err, ERR_INPUT,
                           "standard input, line %ld: give two numbers `x y`", number);
            break;
        }
        p->x[p->n] = x;
        p->y[p->n] = y;
        p->slice[p->n++] = slice_at(e, x, y);
        if (p->n == RUN) {
            convert(e->wcs, p);
            print_points(p);
            p->n = 0;
        }
    }
    convert(e->wcs, p);
    print_points(p);
    if (!code && (ferror(stdin) || fflush(stdout))) {
        code = err_set(err, ERR_IO, "cannot read standard input or write the result");
    }
    free(line);
    free(p);
    return code;
}

int ifurun_wcs(const struct ifurun_options *o, const atomic_bool *cancel,
               struct err *err)
{
    struct job job = {0};
    struct job_plan plan = {0};
    struct references *refs = NULL;
    struct exposure *e = NULL;
    struct par *par = NULL;
    int step = 0;
    if (o->n_files != 1) {
        return err_set(err, ERR_PARAM, "wcs takes one exposure; see ifurun --help");
    }
    int code = ifurun_make_job(o, "spec2", o->files, 1, &job, err);
    if (!code) {
        code = job_plan_make(&job, &plan, err);
    }
    if (!code) {
        code = recipe_step_find(plan.recipe, "assign_wcs", &step, err);
    }
    if (!code) {
        code = exposure_read_headers_alone(o->files[0], &e, err);
    }
    if (!code) {
        code = ifurun_open_references(&job, &refs, err);
    }
    if (!code) {
        code = par_new(o->threads, &par, err);
    }
    if (!code) {
        struct stage_env env = {.par = par,
                                .refs = refs,
                                .cancel = cancel,
                                .recipe = "spec2",
                                .override = on_override,
                                .user = &plan,
                                .stage_name = "assign_wcs"};
        const struct params *p = recipe_params(plan.settings, step);
        const double y_slit[2] = {params_real(p, "slit_y_low"),
                                  params_real(p, "slit_y_high")};
        code = assign_wcs_exposure(&env, e, y_slit, true, err);
    }
    if (!code) {
        code = convert_input(e, err);
    }
    par_free(par);
    exposure_free(e);
    references_close(refs);
    job_plan_done(&plan);
    job_done(&job);
    return code;
}
