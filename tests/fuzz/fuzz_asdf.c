/*
 * ASDF: the tree with its arrays; every transform compiled and evaluated both ways; then
 * the reference that the file says it is.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/asdf.h"
#include "common/data/reference_index.h"
#include "common/data/references.h"
#include "common/data/transform.h"
#include "tests/fuzz/fuzz.h"

#define MAX_NODES 300
#define MAX_ARRAYS 40
#define MAX_TRANSFORMS 20
#define POINTS 9
#define MAX_AXES 64

static int n_nodes, n_arrays, n_transforms;

static void evaluate(const struct transform *t)
{
    static const double points[POINTS] = {0.0,  1.0,   -1.0,  0.5, 1e-6,
                                          1e30, -1e30, 1e300, 3.0};
    double in[POINTS], out[MAX_AXES][POINTS];
    const double *ins[MAX_AXES];
    double *outs[MAX_AXES];
    int n_in = transform_n_inputs(t), n_out = transform_n_outputs(t);
    fuzz_must(n_in >= 0 && n_in <= MAX_AXES && n_out >= 0 && n_out <= MAX_AXES,
              "a transform of so many axes");
    memcpy(in, points, sizeof in);
    in[POINTS - 1] = (double)NAN;
    for (int i = 0; i < MAX_AXES; i++) {
        ins[i] = in;
        outs[i] = out[i];
    }
    transform_eval(t, POINTS, ins, outs);
}

static void transform(const struct asdf_node *node)
{
    struct err err = {0};
    struct transform *t = NULL, *back = NULL;
    if (asdf_transform(node, &t, &err)) {
        fuzz_must(err.message[0] != '\0', "refused without a word");
        return;
    }
    evaluate(t);
    if (!transform_inverse(t, &back, &err)) {
        evaluate(back);
        transform_release(back);
    }
    transform_release(t);
}

static void look_at(const struct asdf_node *node)
{
    struct err err = {0};
    struct asdf_array a = {0};
    const char *text;
    double real;
    long long whole;
    bool truth;
    if (n_nodes++ >= MAX_NODES) {
        return;
    }
    asdf_string(node, &text);
    asdf_real(node, &real);
    asdf_int(node, &whole);
    asdf_bool(node, &truth);
    asdf_is_null(node);
    if ((asdf_is_mapping(node) || asdf_is_sequence(node)) && n_arrays++ < MAX_ARRAYS) {
        if (!asdf_array(node, &a, &err)) {
            free(a.values);
        }
    }
    if (asdf_is_mapping(node) && strstr(asdf_tag(node), "tag:") &&
        n_transforms++ < MAX_TRANSFORMS) {
        transform(node);
    }
    for (size_t i = 0; i < asdf_count(node); i++) {
        look_at(asdf_item(node, i));
    }
}

static void read_reference(const char *path)
{
    struct err err = {0};
    struct reference_entry entry;
    if (reference_entry_read(path, &entry, &err)) {
        return;
    }
    for (const struct reference_type *t = reference_types; t->type; t++) {
        void *object = NULL;
        size_t bytes = 0;
        if (t->is_asdf && !strcmp(t->type, entry.type) &&
            !t->load(path, &object, &bytes, &err)) {
            t->free(object);
        }
    }
    reference_entry_done(&entry);
}

void fuzz_asdf(const uint8_t *data, size_t n)
{
    const char *path = fuzz_file("x.asdf", data, n);
    struct err err = {0};
    struct asdf *a = NULL;
    if (asdf_read(path, &a, &err)) {
        fuzz_must(err.message[0] != '\0', "refused without a word");
        return;
    }
    n_nodes = n_arrays = n_transforms = 0;
    look_at(asdf_root(a));
    asdf_get(asdf_root(a), "meta.instrument.0.name");
    asdf_free(a);
    read_reference(path);
}
