#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "common/data/dq.h"
#include "common/data/ref_flat.h"
#include "tests/support.h"

enum { NX = 40, NY = 20, N = 3 };

static float value(int plane, int x, int y)
{
    return (float)(plane + 1) + (float)x / 64 + (float)y / 4096;
}

/* A detector flat: SCI as floats or as scaled integers, DQ with or without an offset. */
static void write_flat(const char *path, bool plain)
{
    struct err err = {0};
    struct fits_out *f;
    static float sci[N * NX * NY];
    static int16_t small[N * NX * NY];
    static uint32_t dq[NX * NY];
    static int32_t signed_dq[NX * NY];
    size_t axes[3] = {NX, NY, N};
    for (int i = 0; i < N * NX * NY; i++) {
        sci[i] = value(i / (NX * NY), i % NX, i / NX % NY);
        small[i] = (int16_t)(i % 100);
    }
    for (int i = 0; i < NX * NY; i++) {
        signed_dq[i] = i % 5;
        dq[i] = (uint32_t)i % 5;
    }
    float um[N] = {1, 2, 4}, flat[2] = {1, 1}, fast_um[2] = {0.5F, 5};
    struct fits_column wave = {"wavelength", "um", FITS_FLOAT, 1, NULL, um};
    struct fits_column fast[] = {{"wavelength", "um", FITS_FLOAT, 1, NULL, fast_um},
                                 {"data", "", FITS_FLOAT, 1, NULL, flat}};
    support_ok(fits_out_create(path, &f, &err), &err);
    support_ok(fits_out_primary(f, NULL, &err), &err);
    if (plain) {
        support_ok(fits_out_image(f, "SCI", NULL, FITS_FLOAT, 3, axes, sci, &err),
                   &err);
        support_ok(fits_out_image(f, "DQ", NULL, FITS_UINT32, 2, axes, dq, &err), &err);
    } else {
        support_ok(fits_out_image(f, "SCI", NULL, FITS_INT16, 3, axes, small, &err),
                   &err);
        support_ok(fits_out_image(f, "DQ", NULL, FITS_INT32, 2, axes, signed_dq, &err),
                   &err);
    }
    support_ok(fits_out_table(f, "WAVELENGTH", NULL, N, &wave, 1, &err), &err);
    support_ok(fits_out_table(f, "FAST_VARIATION", NULL, 2, fast, 2, &err), &err);
    support_ok(fits_out_close(f, &err), &err);
}

static struct ref_flat *load(const char *path, size_t *bytes)
{
    struct err err = {0};
    void *object;
    support_ok(ref_image_flat_load(path, &object, bytes, &err), &err);
    return object;
}

static void check_values(const struct ref_flat *r, bool plain)
{
    struct err err = {0};
    float row[NX];
    uint32_t dq[NX];
    for (int plane = 0; plane < N; plane++) {
        for (int y = 0; y < NY; y++) {
            support_ok(ref_planes_floats(&r->sci, (size_t)plane, 3, (size_t)y, NX - 3,
                                         row, &err),
                       &err);
            for (int x = 3; x < NX; x++) {
                int i = (plane * NY + y) * NX + x;
                ck_assert(row[x - 3] ==
                          (plain ? value(plane, x, y) : (float)(i % 100)));
            }
        }
    }
    support_ok(ref_flat_dq(r, 0, 3, 7, NX - 3, dq, &err), &err);
    for (int x = 3; x < NX; x++) {
        ck_assert_uint_eq(dq[x - 3], (unsigned)(7 * NX + x) % 5);
    }
}

START_TEST(test_ref_flat_plain_images_stay_on_disk)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "dflat.fits");
    size_t bytes;
    write_flat(path, true);
    struct ref_flat *r = load(path, &bytes);
    ck_assert_uint_lt(bytes, NX * NY * sizeof(float));
    ck_assert_uint_eq(r->sci.n, N);
    check_values(r, true);
    /* A table without errors: they are unknown. */
    ck_assert(isnan(r->fast_error.y[0]));
    ref_flat_free(r);
    support_remove(folder);
}
END_TEST

START_TEST(test_ref_flat_other_formats_are_read_into_memory)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "dflat.fits");
    size_t bytes;
    write_flat(path, false);
    struct ref_flat *r = load(path, &bytes);
    ck_assert_uint_ge(bytes, (N + 1) * NX * NY * sizeof(float));
    check_values(r, false);
    ref_flat_free(r);
    support_remove(folder);
}
END_TEST

START_TEST(test_ref_flat_gzip)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "dflat.fits");
    const char *packed = support_path(folder, "dflat.fits.gz");
    size_t n, bytes;
    write_flat(path, true);
    char *data = support_read_file(path, &n);
    gzFile g = gzopen(packed, "wb");
    ck_assert_ptr_nonnull(g);
    ck_assert_int_eq(gzwrite(g, data, (unsigned)n), (int)n);
    ck_assert_int_eq(gzclose(g), Z_OK);
    free(data);
    struct ref_flat *r = load(packed, &bytes);
    check_values(r, true);
    ref_flat_free(r);
    support_remove(folder);
}
END_TEST

START_TEST(test_ref_flat_cut_short)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "dflat.fits");
    size_t bytes;
    struct err err = {0};
    void *object;
    write_flat(path, true);
    support_truncate(path, 8640);
    ck_assert_int_eq(ref_image_flat_load(path, &object, &bytes, &err), ERR_REFERENCE);
    ck_assert_msg(strstr(err.message, "SCI"), "%s", err.message);
    support_remove(folder);
}
END_TEST

START_TEST(test_ref_flat_names_of_flags)
{
    uint32_t flag;
    ck_assert(dq_by_name("GOOD", &flag) && flag == 0);
    ck_assert(dq_by_name("DO_NOT_USE", &flag) && flag == DQ_DO_NOT_USE);
    ck_assert(dq_by_name("NO_FLAT_FIELD", &flag) && flag == DQ_NO_FLAT_FIELD);
    ck_assert(dq_by_name("UNRELIABLE_FLAT", &flag) && flag == DQ_UNRELIABLE_FLAT);
    ck_assert(dq_by_name("TELEGRAPH", &flag) && flag == DQ_TELEGRAPH);
    ck_assert(dq_by_name("OTHER_BAD_PIXEL", &flag) && flag == DQ_OTHER_BAD_PIXEL);
    ck_assert(dq_by_name("REFERENCE_PIXEL", &flag) && flag == DQ_REFERENCE_PIXEL);
    ck_assert(!dq_by_name("NO_SUCH_FLAG", &flag));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ref_flat");
    TCase *t = tcase_create("ref_flat");
    tcase_add_test(t, test_ref_flat_plain_images_stay_on_disk);
    tcase_add_test(t, test_ref_flat_other_formats_are_read_into_memory);
    tcase_add_test(t, test_ref_flat_gzip);
    tcase_add_test(t, test_ref_flat_cut_short);
    tcase_add_test(t, test_ref_flat_names_of_flags);
    suite_add_tcase(s, t);
    return support_run(s);
}
