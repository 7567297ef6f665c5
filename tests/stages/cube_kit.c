#include "tests/stages/cube_kit.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "tests/support.h"

void make_grid(struct cube_grid *g)
{
    struct err err = {0};
    *g = (struct cube_grid){.nx = CUBE,
                            .ny = CUBE,
                            .nw = PLANES,
                            .scale = 0.1,
                            .x0 = -2.05,
                            .y0 = -2.05,
                            .linear = true,
                            .step = step,
                            .dz_mean = step,
                            .dz_max = step,
                            .reach = step};
    g->z = mem_alloc(PLANES, sizeof *g->z, &err);
    g->dz = mem_alloc(PLANES, sizeof *g->dz, &err);
    for (int k = 0; k < PLANES; k++) {
        g->z[k] = 1 + k * step;
        g->dz[k] = step;
    }
}

static void add_row(struct cube_band *band, int row, double lam0)
{
    const double c = cos(M_PI / 6), s = sin(M_PI / 6);
    const double sx[4] = {-0.5, 0.5, 0.5, -0.5}, sy[4] = {-0.5, -0.5, 0.5, 0.5};
    struct cube_block b = {.row = row,
                           .n = NX,
                           .slice = 1 + row / 10,
                           .listed = true,
                           .lo = lam0 - 0.1,
                           .hi = lam0 + 0.012 * NX + 0.1,
                           .at = band->n_values};
    double *v = band->values + band->n_values;
    for (int i = 0; i < NX; i++) {
        double u = 12.3 + 0.5 * (row % 10) + (row / 10) * 3 + 0.001 * i,
               w = 15.2 + row % 10;
        v[CUBE_LAM * NX + i] = lam0 + i * 0.012;
        v[CUBE_DLAM * NX + i] = 0.012;
        v[CUBE_U0 * NX + i] = u;
        v[CUBE_V0 * NX + i] = w;
        for (int k = 0; k < 4; k++) {
            v[(CUBE_U1 + k) * NX + i] = u + c * sx[k] - s * sy[k];
            v[(CUBE_V1 + k) * NX + i] = w + s * sx[k] + c * sy[k];
        }
    }
    band->n_values += NX * CUBE_QUANTITIES;
    band->blocks[band->n_blocks++] = b;
}

struct cube_trace *make_trace(double lam0)
{
    struct err err = {0};
    struct cube_trace *t = mem_calloc(1, sizeof *t, &err);
    t->n_bands = 3;
    t->bands = mem_calloc(3, sizeof *t->bands, &err);
    for (int b = 0; b < 3; b++) {
        struct cube_band *band = &t->bands[b];
        band->blocks = mem_calloc(10, sizeof *band->blocks, &err);
        band->values = mem_calloc(10 * NX * CUBE_QUANTITIES, sizeof(double), &err);
        for (int r = 0; r < 10; r++) {
            add_row(band, 10 * b + r, lam0);
        }
        band->lo = lam0 - 0.1;
        band->hi = lam0 + 0.012 * NX + 0.1;
    }
    return t;
}

struct exposure *make_exposure(void)
{
    struct err err = {0};
    struct exposure *e = exposure_new(NX, ROWS, &err);
    size_t n = (size_t)NX * ROWS;
    e->sci = mem_alloc(n, sizeof *e->sci, &err);
    e->err = mem_alloc(n, sizeof *e->err, &err);
    e->dq = mem_calloc(n, sizeof *e->dq, &err);
    for (size_t i = 0; i < n; i++) {
        e->sci[i] = 1;
        e->err[i] = 0.5f;
    }
    return e;
}

struct cube_sums make_sums(const struct cube_grid *g, bool flag)
{
    struct err err = {0};
    struct cube_sums s = {.grid = g, .flag = flag, .k1 = g->nw};
    s.cube = cube_new(g->nx, g->ny, g->nw, &err);
    s.weight = mem_calloc((size_t)CUBE * CUBE * PLANES, sizeof(float), &err);
    ck_assert(s.cube && s.weight);
    return s;
}

void free_sums(struct cube_sums *s)
{
    cube_free(s->cube);
    free(s->weight);
}

void add(struct cube_sums *s, const struct exposure *e, const struct cube_trace *t,
         struct par *par, size_t *used)
{
    struct err err = {0};
    support_ok(cube_add_exposure(s, e, t, 3, par, NULL, used, &err), &err);
}
