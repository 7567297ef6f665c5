#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "stages/outlier_expected.h"
#include "stages/outlier_hits.h"
#include "stages/outlier_peer.h"
#include "stages/stage.h"

/*
 * outlier_detection: rejects pixels that cosmic rays hit or that no mask has.
 *
 * Inputs:    calibrated exposures, opened once each
 * Outputs:   of every exposure, as it is opened from then on: NaN and DO_NOT_USE and OUTLIER
 *            in the pixels that are rejected, outlier_reason; OUTMETH and counts by reason
 * Algorithm: method peer: outlier_peer.h; expected: outlier_expected.h
 * Products:  _crf of every exposure where it is saved; outlier_keep.h
 * Agreement: method peer: jwst 3.0.0 outlier_detection of IFU exposures, pixel by pixel; as
 *            there, fewer than two exposures are left as they are
 */

struct finder {
    struct outlier_hits *hits;
};

static int correct(void *user, struct exposure *e, bool pixels, struct err *err)
{
    const struct finder *f = user;
    const struct outlier_list *list = NULL;
    int code = outlier_hits_find(f->hits, e->meta.filename, &list, err);
    if (!code && pixels) {
        code = outlier_list_apply(list, e, err);
    }
    return code
               ? code
               : outlier_list_describe(list, f->hits->method, pixels, &e->primary, err);
}

static void finder_free(void *user)
{
    struct finder *f = user;
    if (f) {
        outlier_hits_free(f->hits);
        free(f);
    }
}

/* Two odd numbers, "7 7" as in the peer. */
static int read_kernel(const struct stage_env *env, const struct params *params,
                       int ret[2], struct err *err)
{
    const double *v;
    const size_t n = params_list(params, "kernel_size", &v);
    if (n != 2 || v[0] != floor(v[0]) || v[1] != floor(v[1])) {
        return err_set(err, ERR_PARAM,
                       "kernel_size is '%s': two odd numbers are needed, as in '7 7'",
                       params_text(params, "kernel_size"));
    }
    for (int k = 0; k < 2; k++) {
        ret[k] = (int)v[k];
        if (ret[k] % 2 == 0) {
            ret[k]++;
            stage_warn(env, "kernel_size must be odd: %d is taken for %d", ret[k],
                       ret[k] - 1);
        }
    }
    return 0;
}

static int find_as_peer(const struct stage_env *env, const struct params *params,
                        struct dataset *data, struct outlier_hits **ret,
                        struct err *err)
{
    int kernel[2] = {0, 0};
    int code = read_kernel(env, params, kernel, err);
    const struct outlier_peer p = {
        .box_y = kernel[0],
        .box_x = kernel[1],
        .percent = params_real(params, "threshold_percent"),
        .second_check = params_bool(params, "ifu_second_check"),
        .keep = params_bool(params, "save_intermediate_results"),
    };
    return code ? code : outlier_peer_find(env, &p, data, ret, err);
}

/* "5 3" */
static int read_snr(const struct params *params, double ret[2], struct err *err)
{
    const double *v;
    if (params_list(params, "snr", &v) != 2 || v[1] > v[0]) {
        return err_set(err, ERR_PARAM,
                       "snr is '%s': two numbers are needed, the second not above the "
                       "first, as in '5 3'",
                       params_text(params, "snr"));
    }
    ret[0] = v[0];
    ret[1] = v[1];
    return 0;
}

static int find_unexpected(const struct stage_env *env, const struct params *params,
                           struct dataset *data, struct outlier_hits **ret,
                           struct err *err)
{
    double snr[2] = {0, 0};
    int code = read_snr(params, snr, err);
    const struct outlier_expected p = {
        .half = (int)params_int(params, "trace_columns"),
        .snr = snr[0],
        .snr_adjacent = snr[1],
        .contrast = params_real(params, "contrast"),
    };
    return code ? code : outlier_expected_find(env, &p, data, ret, err);
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    struct outlier_hits *hits = NULL;
    const bool as_peer = !strcmp(params_string(params, "method"), "peer");
    if (as_peer && dataset_n(data) < 2) {
        stage_warn(env, "one exposure has no other to be compared with: nothing is "
                        "rejected (method=expected needs no other)");
        stage_skipped(env);
        return 0;
    }
    int code = as_peer ? find_as_peer(env, params, data, &hits, err)
                       : find_unexpected(env, params, data, &hits, err);
    struct finder *f = code ? NULL : mem_calloc(1, sizeof *f, err);
    if (!f) {
        outlier_hits_free(hits);
        return code ? code : ERR_NOMEM;
    }
    f->hits = hits;
    const struct corrector c = {
        .correct = correct, .done = finder_free, .user = f, .few_planes = true};
    return dataset_correct(data, &c, err);
}

static const char *const types[] = {NULL};

static const struct param table[] = {
    {"method", PARAM_STRING, "peer", 0, 0, "peer|expected", "",
     "peer: pixels unlike their neighbours in all exposures; expected, not in the "
     "peer: "
     "pixels that depart from their trace where other exposures see nothing",
     false},
    {"kernel_size", PARAM_LIST, "7 7", 1, 501, NULL, "pixels",
     "Box along y and x in which differences are normalised by their median", false},
    {"threshold_percent", PARAM_REAL, "99.8", 0, 100, NULL, "%",
     "Percentile of the normalised differences above which pixels are rejected", false},
    {"ifu_second_check", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Reject pixels, too, that have no difference to a neighbour in any exposure",
     false},
    {"save_intermediate_results", PARAM_BOOL, "false", 0, 0, NULL, "",
     "With peer: keep the differences, their medians and ratios of each detector as "
     "_outlier_output",
     false},
    {"snr", PARAM_LIST, "5 3", 0, 1000, NULL, "sigma",
     "With expected: how far a pixel departs to be rejected, and beside a rejected one",
     false},
    {"contrast", PARAM_REAL, "4", 1, 100, NULL, "",
     "With expected: how many times brighter one exposure may see a line than another",
     false},
    {"trace_columns", PARAM_INT, "12", 3, 60, NULL, "pixels",
     "With expected: columns to each side over which the trace is a median", false},
};

const struct stage stage_outlier_detection = {
    .name = "outlier_detection",
    .status_keyword = "S_OUTLIR",
    .suffix = "crf",
    .summary = "Reject cosmic rays and bad pixels that are left",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
