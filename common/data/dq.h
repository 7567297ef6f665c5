#ifndef IFUD_DATA_DQ_H
#define IFUD_DATA_DQ_H

#include <stdbool.h>
#include <stdint.h>

/* Data-quality bits of a pixel, as the observatory defines them (JWST DMS, "dqflags"). */
enum dq_flag {
    DQ_DO_NOT_USE = 1u << 0,
    DQ_SATURATED = 1u << 1,
    DQ_JUMP_DET = 1u << 2,
    DQ_DROPOUT = 1u << 3,
    DQ_OUTLIER = 1u << 4,
    DQ_PERSISTENCE = 1u << 5,
    DQ_AD_FLOOR = 1u << 6,
    DQ_CHARGELOSS = 1u << 7,
    DQ_UNRELIABLE_ERROR = 1u << 8,
    DQ_NON_SCIENCE = 1u << 9,
    DQ_DEAD = 1u << 10,
    DQ_HOT = 1u << 11,
    DQ_WARM = 1u << 12,
    DQ_LOW_QE = 1u << 13,
    DQ_TELEGRAPH = 1u << 15,
    DQ_NONLINEAR = 1u << 16,
    DQ_BAD_REF_PIXEL = 1u << 17,
    DQ_NO_FLAT_FIELD = 1u << 18,
    DQ_NO_GAIN_VALUE = 1u << 19,
    DQ_NO_LIN_CORR = 1u << 20,
    DQ_NO_SAT_CHECK = 1u << 21,
    DQ_UNRELIABLE_BIAS = 1u << 22,
    DQ_UNRELIABLE_DARK = 1u << 23,
    DQ_UNRELIABLE_SLOPE = 1u << 24,
    DQ_UNRELIABLE_FLAT = 1u << 25,
    DQ_OPEN = 1u << 26,
    DQ_ADJ_OPEN = 1u << 27,
    DQ_FLUX_ESTIMATED = 1u << 28,
    DQ_MSA_FAILED_OPEN = 1u << 29,
    DQ_OTHER_BAD_PIXEL = 1u << 30
};
#define DQ_REFERENCE_PIXEL 0x80000000u

/* The flag of the observatory's name for it ("NO_FLAT_FIELD"), as DQ_DEF tables write it;
 * false if there is none. "GOOD" is 0. Test: tests/data/test_ref_flat.c */
bool dq_by_name(const char *name, uint32_t *ret_flag);

#endif
