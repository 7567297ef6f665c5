#include <stdio.h>
#include <string.h>
#include "stages/stage.h"

/*
 * srctype: is the source a point or extended? Sets SRCTYPE, which pathloss and
 * extract_1d follow.
 *
 * In order: the parameter; EXTENDED for a background target; POINT for a time series;
 * what the observer said (SRCTYAPT, in older files SRCTYPE); POINT for nods and
 * point-source dithers; else EXTENDED.
 * Reference: jwst user documentation, "srctype". Test: tests/stages/test_srctype.c
 */

static bool is_time_series(const struct exposure *e)
{
    bool is_tso = false;
    long n_integrations;
    header_get_bool(&e->primary, "TSOVISIT", &is_tso);
    return is_tso && !(header_get_int(&e->primary, "NINTS", &n_integrations) &&
                       n_integrations < 2);
}

static const char *choose(const struct exposure_meta *meta, const struct exposure *e,
                          const char *parameter, const char **ret_why)
{
    if (parameter) {
        *ret_why = "by parameter";
        return parameter;
    }
    if (meta->is_background) {
        *ret_why = "a background target";
        return "EXTENDED";
    }
    if (is_time_series(e)) {
        *ret_why = "a time series";
        return "POINT";
    }
    if (!strcmp(meta->source_type_apt, "POINT") ||
        !strcmp(meta->source_type_apt, "EXTENDED")) {
        *ret_why = "the observer's choice";
        return meta->source_type_apt;
    }
    if (strstr(meta->pattern_type, "NOD") ||
        strstr(meta->pattern_type, "POINT-SOURCE")) {
        *ret_why = "nodded";
        return "POINT";
    }
    *ret_why = "nothing else is known";
    return "EXTENDED";
}

static int one_exposure(const struct stage_env *env, const struct params *params,
                        struct exposure *e, struct err *err)
{
    struct exposure_meta *meta = &e->meta;
    const char *why;
    int code = 0;
    if (!meta->source_type_apt[0] && meta->source_type[0]) {
        snprintf(meta->source_type_apt, sizeof meta->source_type_apt, "%s",
                 meta->source_type);
        code = header_set_string(&e->primary, "SRCTYAPT", meta->source_type_apt,
                                 "Source type from APT (point/extended)", err);
    }
    const char *type = choose(meta, e, params_string(params, "source_type"), &why);
    stage_note(env, "source type %s: %s", type, why);
    snprintf(meta->source_type, sizeof meta->source_type, "%s", type);
    if (!code) {
        code = header_set_string(&e->science, "SRCTYPE", meta->source_type,
                                 "Source type used for calibration", err);
    }
    return code;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    return stage_each_exposure(env, params, data, one_exposure, err);
}

static const char *const types[] = {NULL};

static const struct param table[] = {
    {"source_type", PARAM_STRING, "none", 0, 0, "POINT|EXTENDED", "",
     "Use this source type, whatever the headers say", true},
};

const struct stage stage_srctype = {
    .name = "srctype",
    .status_keyword = "S_SRCTYP",
    .suffix = "srctype",
    .summary = "Decide whether the source is a point or extended",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
