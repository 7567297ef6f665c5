#ifndef IFUD_DATA_TRANSFORM_H
#define IFUD_DATA_TRANSFORM_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * Coordinate transforms from ASDF trees, compiled once into a flat program and
 * evaluated over whole rows.
 *
 * A struct transform is immutable and reference counted; every function may be called
 * from any thread. A transform may carry a stored inverse; else the analytic one is
 * derived where it exists. transform_build.h makes them in code.
 */
struct transform;

int transform_n_inputs(const struct transform *t);
int transform_n_outputs(const struct transform *t);
struct transform *transform_hold(const struct transform *t); /* another reference */
void transform_release(struct transform *t);                 /* NULL is fine */

/*
 * Compile once into the flat program: constants folded, remaps and unused parts dropped,
 * registers shared. Compiled already: nothing happens. ERR_REFERENCE if the program would
 * be absurdly long. asdf_transform and transform_inverse return compiled transforms.
 */
int transform_compile(const struct transform *t, struct err *err);

/*
 * The inverse: the stored one if there is one, else derived (polynomials and tables
 * without a stored inverse: ERR_REFERENCE that names the node).
 */
int transform_inverse(const struct transform *t, struct transform **ret,
                      struct err *err);

/*
 * Evaluate n points of a compiled transform: in[0..n_inputs-1] and out[0..n_outputs-1] are arrays of n doubles;
 * an output may be the same array as an input. No allocation: scratch is a fixed block
 * on the stack, points go through in runs of a few hundred.
 */
void transform_eval(const struct transform *t, size_t n, const double *const *in,
                    double *const *out);

#endif
