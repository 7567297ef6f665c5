/*
 * An association file: what is accepted keeps what the header promises, what is refused is
 * refused with a word.
 */
#include <stdlib.h>
#include <string.h>
#include "common/base/path.h"
#include "jobs/association.h"
#include "tests/fuzz/fuzz.h"

static void check_product(const struct association *a,
                          const struct association_product *p)
{
    size_t n = 0;
    fuzz_must(path_is_safe_name(p->name), "a product's name is unsafe");
    for (size_t i = 0; i < p->n_members; i++) {
        const struct association_member *m = &p->members[i];
        fuzz_must(path_is_safe_name(m->expname), "a member's name is unsafe");
        fuzz_must(path_is_safe_name(m->base), "a member's base name is unsafe");
        n += m->role == ASSOCIATION_SCIENCE;
    }
    fuzz_must(n > 0 && (n == 1 || !strcmp(a->recipe, "spec3")), "science members");
}

void fuzz_association(const uint8_t *data, size_t n)
{
    static const char *const recipes[] = {NULL, "spec2", "spec3"};
    for (int i = 0; i < 3; i++) {
        struct err err = {0};
        struct association a;
        if (association_parse((const char *)data, n, "x_asn.json", recipes[i], &a,
                              &err)) {
            fuzz_must(err.message[0] != '\0', "refused without a word");
            continue;
        }
        fuzz_must(!recipes[i] || !strcmp(a.recipe, recipes[i]), "another recipe");
        for (size_t k = 0; k < a.n_products; k++) {
            check_product(&a, &a.products[k]);
        }
        association_done(&a);
    }
}
