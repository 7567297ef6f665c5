#include "tests/stages/background_kit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/support.h"

static int open_one(void *user, size_t i, bool pixels, struct exposure **ret,
                    struct err *err)
{
    struct background_kit *kit = user;
    if (pixels && i == kit->fail_at) {
        return err_set(err, ERR_IO, "number %zu cannot be opened", i);
    }
    kit->open++;
    kit->most_open = kit->open > kit->most_open ? kit->open : kit->most_open;
    *ret = kit->exposures[i];
    return 0;
}

static void close_one(void *user, size_t i, struct exposure *e)
{
    struct background_kit *kit = user;
    ck_assert_ptr_eq(e, kit->exposures[i]);
    kit->open--;
}

struct exposure *background_kit_exposure(size_t k, int nx, int ny)
{
    struct exposure *e = support_exposure(nx, ny, 1, 1, "NRS1", "F290LP", "G395H");
    snprintf(e->meta.filename, sizeof e->meta.filename, "bkg%zu_rate.fits", k);
    for (int i = 0; i < nx * ny; i++) {
        e->sci[i] = 0.25F;
        e->var_poisson[i] = 0.003F;
        e->var_rnoise[i] = 0.006F;
    }
    return e;
}

void background_kit_init(struct background_kit *kit, size_t n, int nx, int ny)
{
    *kit = (struct background_kit){.source = {n, open_one, close_one, kit},
                                   .exposures = calloc(n, sizeof(struct exposure *)),
                                   .n = n,
                                   .fail_at = n};
    ck_assert_ptr_nonnull(kit->exposures);
    for (size_t k = 0; k < n; k++) {
        kit->exposures[k] = background_kit_exposure(k, nx, ny);
    }
}

void background_kit_done(struct background_kit *kit)
{
    ck_assert_int_eq(kit->open, 0);
    for (size_t k = 0; k < kit->n; k++) {
        exposure_free(kit->exposures[k]);
    }
    free(kit->exposures);
}
