#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/cube_collapse.h"
#include "common/data/cube_file.h"
#include "common/data/cube_io.h"
#include "tests/support.h"

/* A plane is not a whole number of pages. */
enum { NX = 61, NY = 47, NW = 150, PLANE = NX * NY, N = PLANE * NW };

static void fill(struct cube *c)
{
    for (int i = 0; i < N; i++) {
        c->sci[i] = (float)(i % 997);
        c->err[i] = (float)(i % 89) + 0.5f;
        c->dq[i] = (uint32_t)i;
        c->wmap[i] = (float)(i % 7);
    }
    for (int k = 0; k < NW; k++) {
        c->wavelength[k] = 3 + k * 0.001;
    }
    c->crval3 = 3;
    c->cdelt3 = 0.001;
    c->crpix3 = 1;
    c->cdelt1 = c->cdelt2 = 0.1 / 3600;
}

static size_t entries(const char *folder)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n;
}

/* Bytes of the file that are in this process's memory. */
static size_t resident(const struct cube *c)
{
    char line[300];
    unsigned long at = 0;
    long kb = 0;
    FILE *f = fopen("/proc/self/smaps", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        unsigned long low, high;
        if (sscanf(line, "%lx-%lx ", &low, &high) == 2) {
            at = low;
        } else if (at == (unsigned long)c->file && sscanf(line, "Rss: %ld", &kb) == 1) {
            break;
        }
    }
    fclose(f);
    return (size_t)kb * 1024;
}

/* Planes that rest leave memory and come back as they were; the file has no name. */
START_TEST(test_cube_file_rests)
{
    struct err err = {0};
    struct cube *c = NULL;
    char *folder = support_folder();
    const size_t before = entries(folder);
    support_ok(cube_new_in_file(NX, NY, NW, true, folder, &c, &err), &err);
    ck_assert_uint_eq(entries(folder), before);
    for (int i = 0; i < N; i++) {
        ck_assert(c->sci[i] == 0 && c->wmap[i] == 0 && c->var_background[i] == 0);
    }
    fill(c);
    ck_assert_uint_ge(resident(c), c->file_bytes * 3 / 4);
    cube_rest(c, 0, NW);
    ck_assert_uint_lt(resident(c), c->file_bytes / 20);
    cube_rest(c, 0, 0);
    for (int i = 0; i < N; i++) {
        ck_assert(c->sci[i] == (float)(i % 997) && c->wmap[i] == (float)(i % 7));
        ck_assert_uint_eq(c->dq[i], (uint32_t)i);
    }
    cube_free(c);
    support_remove(folder);
}
END_TEST

/* Its product and its median are those of a cube in memory. */
START_TEST(test_cube_file_same_product)
{
    struct err err = {0};
    static float medians[2][PLANE];
    char *folder = support_folder(), *bytes[2];
    size_t n[2];
    const struct provenance p = {.version = "1.2.3", .date = "2024-03-12T01:02:03.000"};
    for (int way = 0; way < 2; way++) {
        const char *path = support_path(folder, way ? "a_s3d.fits" : "b_s3d.fits");
        struct cube *c = NULL;
        if (way) {
            support_ok(cube_new_in_file(NX, NY, NW, false, folder, &c, &err), &err);
            ck_assert_ptr_null(c->var_background);
        } else {
            c = cube_new(NX, NY, NW, &err);
        }
        fill(c);
        support_ok(cube_median_image(c, 3, NW, NULL, medians[way], &err), &err);
        support_ok(cube_write(c, path, "x_s3d.fits", &p, &err), &err);
        ck_assert(!way || resident(c) < c->file_bytes / 4);
        cube_free(c);
        bytes[way] = support_read_file(path, &n[way]);
    }
    ck_assert_uint_eq(n[0], n[1]);
    ck_assert_int_eq(memcmp(bytes[0], bytes[1], n[0]), 0);
    ck_assert_int_eq(memcmp(medians[0], medians[1], sizeof medians[0]), 0);
    free(bytes[0]);
    free(bytes[1]);
    support_remove(folder);
}
END_TEST

/* More than the disk has is refused with numbers, and leaves nothing behind. */
START_TEST(test_cube_file_no_room)
{
    struct err err = {0};
    struct cube *c = NULL;
    char *folder = support_folder();
    const size_t before = entries(folder);
    ck_assert_int_eq(cube_new_in_file(90000, 90000, 90000, false, folder, &c, &err),
                     ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "GB are free"));
    ck_assert_ptr_null(c);
    ck_assert_int_eq(
        cube_new_in_file(NX, NY, NW, false, support_path(folder, "none"), &c, &err),
        ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "none"));
    ck_assert_uint_eq(entries(folder), before);
    support_remove(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_file");
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_cube_file_rests);
    tcase_add_test(t, test_cube_file_same_product);
    tcase_add_test(t, test_cube_file_no_room);
    suite_add_tcase(s, t);
    return support_run(s);
}
