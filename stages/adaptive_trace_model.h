#ifndef IFUD_STAGES_ADAPTIVE_TRACE_MODEL_H
#define IFUD_STAGES_ADAPTIVE_TRACE_MODEL_H

#include "common/base/params.h"
#include "stages/stage.h"

/*
 * The trace model of an exposure as it stands, for stages that want to know what a pixel of
 * a compact source should hold: sets e->trace_model (NaN: no compact source there) by the
 * peer's rules with fit_threshold and slope_limit at their defaults, and nothing else.
 * Needs SCI, ERR, REGIONS and a WCS; of samples (e->sampling) it is there already.
 */
int adaptive_trace_model_of(const struct stage_env *env, struct exposure *e,
                            struct err *err);

#endif
