#include "jobs/job_estimate.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "jobs/job_plan.h"
#include "stages/cube_choice.h"
#include "stages/cube_geometry.h"

#define MB 1e6
#define HALF_FIELD 1.8   /* arcsec: half of a field's edge, with the pointing's slack */
#define SPAXEL 0.1       /* arcsec, as cubepar has it */
#define MAX_VOXELS 1e9   /* cube_build refuses larger cubes */
#define MAX_EDGE 20001.0 /* spaxels */
#define DEGREE (M_PI / 180)

/* Bytes of a pixel: SCI, ERR, DQ, three variances, slice, wavelength as double ... */
#define CALIBRATED 33.0
#define PATHLOSS 8.0 /* ... two corrections until _cal is written ... */
#define NARROW 4.0   /* ... with the wavelengths once more, as floats */
#define FLAT 12.0    /* SCI, ERR, DQ of the flat where it is kept */
#define TRACE 10.0
/* ... an imprint or background being prepared, an imprint that is kept, and of each
 * background SCI, DQ and three variances, for their mean. */
#define MEMBER CALIBRATED
#define KEPT_IMPRINT 25.0
#define KEPT_BACKGROUND 20.0
/* While gp cleans: image, noise, variance, errors and masks (22), and eight series and
 * spectra of the samples, of which NRSIRS2 has 1.4 for each pixel. */
#define CLEANING 66.0
/* VAR_BKG of exposures, and of a voxel where they share a background. */
#define SHARED 4.0
#define OPENED (14.0 + SHARED) /* spec3: SCI, ERR, DQ, slice ... */
#define CORRECTED 46.0         /* ... or all, where a stage corrects what is opened */
#define REJECTING 24.0         /* outlier_detection: least differences, their ratios */
#define DIFFERENCES 4.0        /* ... of every exposure where they are kept, */
#define MEDIANS 8.0            /* with what they are divided by */
#define DEPARTING 3.0          /* ... or of every exposure the pixels that depart */
#define REASON 1.0             /* why it rejected a pixel */
/* adaptive_trace_model: what it samples on the sky (a fifth more rows than pixels) or, of
 * each row that it makes of a row, all planes, and its models. */
#define SAMPLED_ON_SKY 75.0
#define SAMPLED_ROW 70.0
#define VOXEL 20.0
#define TILE (6 * MB)
/* Weights that cube_build keeps for the covariance: of an exposure with spaxels as fine as
 * its pixels, and of all (stages/cube_links.c). */
#define LINKS (1.5 * MB)
#define MOST_LINKS (150 * MB)
#define KEPT_WCS (0.5 * MB)
#define PROCESS (24 * MB)

/* Nominal ranges and steps; cubepar's are the same but for a few planes. */
static const struct grid {
    const char *grating, *filter;
    double wave_min, wave_max, step; /* um */
} grids[] = {
    {"PRISM", "CLEAR", 0.6, 5.3, 5e-3},       {"G140M", "F070LP", 0.7, 1.27, 6.36e-4},
    {"G140M", "F100LP", 0.97, 1.89, 6.36e-4}, {"G140H", "F070LP", 0.7, 1.27, 2.35e-4},
    {"G140H", "F100LP", 0.97, 1.89, 2.35e-4}, {"G235M", "F170LP", 1.66, 3.17, 1.06e-3},
    {"G235H", "F170LP", 1.66, 3.17, 3.96e-4}, {"G395M", "F290LP", 2.87, 5.27, 1.79e-3},
    {"G395H", "F290LP", 2.87, 5.27, 6.65e-4},
};
static const struct grid widest = {"", "", 0.97, 1.89, 2.35e-4}; /* most planes */

/* Of all inputs. */
struct extent {
    double pixels; /* of the largest exposure */
    size_t n;      /* exposures that go into the cube */
    double u[2],
        v[2]; /* least and largest, arcsec west and north of the first pointing */
    double ra0, dec0; /* of the first pointing, degrees */
    const struct grid *grid;
};

/* One that goes into the cube. */
static void look(const struct job_extent *e, double grid_pa, struct extent *x)
{
    if (!x->n++) {
        x->ra0 = e->ra;
        x->dec0 = e->dec;
        for (size_t k = 0; k < sizeof grids / sizeof *grids; k++) {
            if (!strcasecmp(grids[k].grating, e->grating) &&
                !strcasecmp(grids[k].filter, e->filter)) {
                x->grid = &grids[k];
            }
        }
    }
    double turn = (e->pa - grid_pa) * DEGREE, pa = grid_pa * DEGREE;
    double half = HALF_FIELD * (fabs(cos(turn)) + fabs(sin(turn)));
    double west = -remainder(e->ra - x->ra0, 360) * 3600 * cos(e->dec * DEGREE);
    double north = (e->dec - x->dec0) * 3600;
    double u = west * cos(pa) + north * sin(pa), v = north * cos(pa) - west * sin(pa);
    x->u[0] = fmin(x->u[0], u - half);
    x->u[1] = fmax(x->u[1], u + half);
    x->v[0] = fmin(x->v[0], v - half);
    x->v[1] = fmax(x->v[1], v + half);
}

/* Spaxels along one axis: the grid is symmetric about its centre. */
static double edge(const double range[2], double centre, int asked, double scale)
{
    double far = fmax(fabs(range[0] - centre), fabs(range[1] - centre));
    return asked ? asked : fmin(2 * (ceil(far / scale) + 1) + 1, MAX_EDGE);
}

static double voxels(const struct cube_request *rq, const struct extent *x)
{
    if (!x->n) {
        return 0;
    }
    double scale = rq->scale > 0 ? rq->scale : SPAXEL;
    double step = rq->step > 0 ? rq->step : x->grid->step;
    double wave_min = isnan(rq->wave_min) ? x->grid->wave_min : rq->wave_min;
    double wave_max = isnan(rq->wave_max) ? x->grid->wave_max : rq->wave_max;
    double u = (x->u[0] + x->u[1]) / 2, v = (x->v[0] + x->v[1]) / 2;
    if (!isnan(rq->ra_center) || !isnan(rq->dec_center)) {
        double ra = isnan(rq->ra_center) ? x->ra0 : rq->ra_center;
        double dec = isnan(rq->dec_center) ? x->dec0 : rq->dec_center;
        double pa = (isnan(rq->pa) ? 0 : rq->pa) * DEGREE;
        double west = -remainder(ra - x->ra0, 360) * 3600 * cos(x->dec0 * DEGREE);
        double north = (dec - x->dec0) * 3600;
        u = west * cos(pa) + north * sin(pa);
        v = north * cos(pa) - west * sin(pa);
    }
    double planes = fmax(ceil((wave_max - wave_min) / step) + 1, 2);
    return fmin(planes * edge(x->u, u, rq->nspax_x, scale) *
                    edge(x->v, v, rq->nspax_y, scale),
                MAX_VOXELS);
}

/* The weights of a pixel go with the spaxels that it covers. */
static double links(const struct cube_request *rq, size_t n)
{
    const double fine = rq->scale > 0 && rq->scale < SPAXEL ? SPAXEL / rq->scale : 1;
    return fmin((double)n * LINKS * fine * fine, MOST_LINKS);
}

/* Index of a step that runs, or -1. */
static int running_step(const struct job_plan *plan, const char *name)
{
    struct err none = {0};
    int i;
    return recipe_step_find(plan->recipe, name, &i, &none) || !job_plan_runs(plan, i)
               ? -1
               : i;
}

static bool keeps_flat(const struct job_plan *plan)
{
    int i = running_step(plan, "flat_field");
    return i >= 0 &&
           params_bool(recipe_params(plan->settings, i), "save_interpolated_flat");
}

static bool cleans_by_gp(const struct job_plan *plan)
{
    int i = running_step(plan, "clean_flicker_noise");
    const char *method =
        i < 0 ? NULL : params_string(recipe_params(plan->settings, i), "fit_method");
    return method && !strcmp(method, "gp");
}

/* Bytes of a pixel for the samples of adaptive_trace_model. */
static double samples(const struct job_plan *plan)
{
    const int i = running_step(plan, "adaptive_trace_model");
    const struct params *p = i < 0 ? NULL : recipe_params(plan->settings, i);
    return !p ? 0
           : !strcmp(params_string(p, "sampling"), "sky")
               ? SAMPLED_ON_SKY
               : SAMPLED_ROW * params_real(p, "oversample");
}

/* Bytes of a pixel for the exposures that are taken off. */
static double members(const struct job *job)
{
    double imprints = 0, backgrounds = 0;
    for (size_t i = 0; i < job->n_members; i++) {
        imprints += !strcmp(job->members[i].role, JOB_IMPRINT);
        backgrounds += !strcmp(job->members[i].role, JOB_BACKGROUND);
    }
    return (job->n_members ? MEMBER : 0) +
           (imprints > 0 && backgrounds > 0 ? KEPT_IMPRINT : 0) +
           backgrounds * KEPT_BACKGROUND;
}

static double differences(const struct job *job, const struct job_plan *plan)
{
    int i = running_step(plan, "outlier_detection");
    const struct params *p = i < 0 ? NULL : recipe_params(plan->settings, i);
    return p && params_bool(p, "save_intermediate_results")
               ? DIFFERENCES * (double)job->n_inputs + MEDIANS
               : 0;
}

/* Are exposures opened with all planes: for master_background if it has something to
 * subtract, for a product of outlier_detection? */
static bool opens_all(const struct job *job, const struct job_plan *plan)
{
    const int i = running_step(plan, "master_background");
    const int outlier = running_step(plan, "outlier_detection");
    return (outlier >= 0 && plan->save[outlier]) ||
           (i >= 0 && (job->n_members || params_string(recipe_params(plan->settings, i),
                                                       "user_background")));
}

int job_estimate(const struct job *job, const struct job_extent *extents,
                 struct job_memory *ret, struct err *err)
{
    struct job_plan plan = {0};
    struct cube_choice choice = {0, 0};
    struct cube_request rq = {.ra_center = NAN, .dec_center = NAN, .pa = NAN};
    struct extent x = {
        .u = {INFINITY, -INFINITY}, .v = {INFINITY, -INFINITY}, .grid = &widest};
    int code = job_plan_make(job, &plan, err);
    if (code) {
        return code;
    }
    ret->mapped = 0;
    const int cube = running_step(&plan, "cube_build");
    if (cube >= 0) {
        cube_request_read(recipe_params(plan.settings, cube), &rq);
        code = cube_choice_read(recipe_params(plan.settings, cube), &choice, err);
    }
    if (code) {
        job_plan_done(&plan);
        return code;
    }
    if (cube >= 0 && job->n_inputs &&
        !strcmp(params_string(recipe_params(plan.settings, cube), "coord_system"),
                "ifualign")) {
        rq.pa = extents[0].pa;
    }
    for (size_t i = 0; i < job->n_inputs; i++) {
        x.pixels = fmax(x.pixels, extents[i].pixels);
        if (cube_choice_takes(&choice, extents[i].grating, extents[i].filter)) {
            look(&extents[i], isnan(rq.pa) ? 0 : rq.pa, &x);
        }
    }
    const bool is_spec2 = !strcmp(plan.recipe->name, "spec2");
    double calibrate =
        is_spec2 ? CALIBRATED + PATHLOSS + NARROW + (keeps_flat(&plan) ? FLAT : 0) : 0;
    const double cleaning = cleans_by_gp(&plan) ? CLEANING : 0;
    calibrate = is_spec2 ? fmax(calibrate, CALIBRATED + members(job) + cleaning) : 0;
    calibrate += is_spec2 && job->n_members ? SHARED : 0;
    double open = is_spec2                ? CALIBRATED + (job->n_save ? PATHLOSS : 0)
                  : opens_all(job, &plan) ? CORRECTED
                                          : OPENED;
    if (!is_spec2 && running_step(&plan, "outlier_detection") >= 0) {
        open += REASON;
        calibrate = open + fmax(REJECTING + differences(job, &plan),
                                DEPARTING * (double)job->n_inputs);
    }
    open += samples(&plan);
    const double voxel = VOXEL + (!is_spec2 && job->n_inputs > 1 ? SHARED : 0);
    double most = x.pixels * calibrate;
    if (cube >= 0) {
        const double ceiling =
            1e9 * params_real(recipe_params(plan.settings, cube), "max_memory");
        const double all = voxels(&rq, &x) * voxel;
        most = fmax(most, x.pixels * (open + TRACE) + fmin(all, ceiling) +
                              links(&rq, job->n_inputs));
        ret->mapped = all > ceiling ? (int64_t)all : 0;
    }
    most += (job->threads > 1 ? job->threads : 1) * TILE;
    most += is_spec2 ? 0 : (double)job->n_inputs * KEPT_WCS;
    ret->job = (int64_t)most;
    ret->process = (int64_t)PROCESS;
    job_plan_done(&plan);
    return 0;
}
