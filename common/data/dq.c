#include "common/data/dq.h"

#include <string.h>

/* By bit. RESERVED and RC are names that reference files may still carry. */
static const char *const names[32] = {"DO_NOT_USE",
                                      "SATURATED",
                                      "JUMP_DET",
                                      "DROPOUT",
                                      "OUTLIER",
                                      "PERSISTENCE",
                                      "AD_FLOOR",
                                      "CHARGELOSS",
                                      "RESERVED",
                                      "NON_SCIENCE",
                                      "DEAD",
                                      "HOT",
                                      "WARM",
                                      "LOW_QE",
                                      "RC",
                                      "TELEGRAPH",
                                      "NONLINEAR",
                                      "BAD_REF_PIXEL",
                                      "NO_FLAT_FIELD",
                                      "NO_GAIN_VALUE",
                                      "NO_LIN_CORR",
                                      "NO_SAT_CHECK",
                                      "UNRELIABLE_BIAS",
                                      "UNRELIABLE_DARK",
                                      "UNRELIABLE_SLOPE",
                                      "UNRELIABLE_FLAT",
                                      "OPEN",
                                      "ADJ_OPEN",
                                      "FLUX_ESTIMATED",
                                      "MSA_FAILED_OPEN",
                                      "OTHER_BAD_PIXEL",
                                      "REFERENCE_PIXEL"};

bool dq_by_name(const char *name, uint32_t *ret_flag)
{
    if (!strcmp(name, "GOOD")) {
        *ret_flag = 0;
        return true;
    }
    for (int bit = 0; bit < 32; bit++) {
        if (!strcmp(name, names[bit])) {
            *ret_flag = UINT32_C(1) << bit;
            return true;
        }
    }
    return false;
}
