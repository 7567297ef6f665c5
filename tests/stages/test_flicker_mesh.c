#include <check.h>
#include <math.h>
#include <string.h>

#include "stages/flicker_mesh.h"
#include "tests/support.h"

enum { NX = 120, NY = 96 };

static float image[NX * NY], surface[NX * NY];
static uint8_t mask[NX * NY];
static const struct flicker_mesh mesh = {
    .image = image, .mask = mask, .nx = NX, .ny = NY, .box_x = 24, .box_y = 16};

static void hide(int x0, int x1, int y0, int y1)
{
    for (int y = y0; y < y1; y++) {
        memset(mask + y * NX + x0, 0, (size_t)(x1 - x0));
    }
}

static void make(void)
{
    for (int y = 0; y < NY; y++) {
        for (int x = 0; x < NX; x++) {
            image[y * NX + x] =
                (float)(sin(x / 17.0) + cos(y / 11.0) + 0.01 * ((7 * x + 13 * y) % 10));
        }
    }
    image[5 * NX + 7] = 50;
    for (int y = 60; y < 64; y++) {
        for (int x = 80; x < 84; x++) {
            image[y * NX + x] = 30;
        }
    }
    memset(mask, 1, sizeof mask);
}

static bool run(void)
{
    struct err err = {0};
    struct stage_env env = {0};
    bool found;
    support_ok(flicker_mesh(&env, &mesh, surface, &found, &err), &err);
    return found;
}

/*
 * At six pixels, from photutils 3.0.0: Background2D(image, (16, 24), filter_size=(5, 5),
 * sigma_clip=SigmaClip(3, maxiters=5), bkg_estimator=MedianBackground(), mask=...). Single precision: 1e-6. With `gap` many boxes are
 * filled from neighbours of which several are as far as the tenth; the peer then takes
 * any of them: 0.03 of a surface that runs over 2.
 */
static void compare(const double expected[6], double tolerance)
{
    static const int x[6] = {0, 30, 60, 119, 13, 100}, y[6] = {0, 8, 40, 95, 77, 50};
    for (int i = 0; i < 6; i++) {
        const double v = (double)surface[y[i] * NX + x[i]];
        ck_assert_double_eq_tol(v, expected[i], tolerance);
    }
}

START_TEST(test_flicker_mesh_is_the_peers)
{
    static const double full[6] = {0.13826431334018707, 0.003965068608522415,
                                   0.12078052014112473, 0.029433084651827812,
                                   0.6122702360153198,  -0.20311197638511658},
                        gap[6] = {-0.14321313798427582, -0.3813062608242035,
                                  -0.15549059212207794, 0.03905309736728668,
                                  0.6013944149017334,   -0.3659157156944275};
    make();
    ck_assert(run());
    compare(full, 1e-6);
    hide(0, NX, 0, 16);
    hide(24, 50, 33, 40);
    ck_assert(run());
    compare(gap, 0.03);
}
END_TEST

/* A constant stays one whatever is hidden, and an empty mask has no surface. */
START_TEST(test_flicker_mesh_of_a_constant_and_of_nothing)
{
    make();
    for (int i = 0; i < NX * NY; i++) {
        image[i] = 0.25F;
    }
    hide(10, 90, 20, 60);
    ck_assert(run());
    for (int i = 0; i < NX * NY; i++) {
        ck_assert(surface[i] == 0.25F);
    }
    hide(0, NX, 0, NY);
    ck_assert(!run());
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flicker_mesh");
    TCase *t = tcase_create("flicker_mesh");
    tcase_add_test(t, test_flicker_mesh_is_the_peers);
    tcase_add_test(t, test_flicker_mesh_of_a_constant_and_of_nothing);
    suite_add_tcase(s, t);
    return support_run(s);
}
