#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/asdf.h"
#include "tests/support.h"

#define HEAD                                                                           \
    "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n%TAG ! tag:stsci.edu:asdf/\n"       \
    "--- !core/asdf-1.1.0\n"
#define TAIL "\n...\n"

static char *folder;
static const char *scratch; /* a file in it */

static void setup(void)
{
    folder = support_folder();
    scratch = support_path(folder, "scratch.asdf");
}

static void teardown(void)
{
    support_remove(folder);
}

/* A file of a tree; returns what asdf_read says. */
static int read_tree(const char *tree, struct asdf **ret, struct err *err)
{
    char *text = NULL;

    ck_assert_int_gt(asprintf(&text, "%s%s%s", HEAD, tree, TAIL), 0);
    support_write_file(scratch, text, strlen(text));
    free(text);
    return asdf_read(scratch, ret, err);
}

static struct asdf *tree_of(const char *tree)
{
    struct asdf *a = NULL;
    struct err err = {0};

    ck_assert_msg(read_tree(tree, &a, &err) == 0, "%s", err.message);
    return a;
}

static const struct asdf_node *node(const struct asdf *a, const char *path)
{
    const struct asdf_node *x = asdf_get(asdf_root(a), path);

    ck_assert_msg(x != NULL, "no node %s", path);
    return x;
}

/* One block of 16 bytes below a tree. */
static int read_with_block(const char *tree, struct asdf **ret, struct err *err)
{
    static const unsigned char header[54] = {
        0323, 'B', 'L', 'K', 0, 48, 0, 0,  0, 0, 0, 0, 0, 0, /* no flags, no compression */
        0,    0,   0,   0,   0, 0,  0, 16, 0, 0, 0, 0, 0, 0, 0,
        16,   0,   0,   0,   0, 0,  0, 0,  16};
    static const unsigned char data[16] = {1, 2, 3, 4, 0, 0, 0,    0,
                                           9, 9, 9, 9, 0, 0, 0x80, 0x3f};
    char text[1024];
    int n = snprintf(text, sizeof(text) - 100, "%s%s%s", HEAD, tree, TAIL);

    memcpy(text + n, header, sizeof(header));
    memcpy(text + n + 54, data, sizeof(data));
    support_write_file(scratch, text, (size_t)n + 70);
    return asdf_read(scratch, ret, err);
}

START_TEST(test_asdf_scalars)
{
    struct asdf *a = tree_of("r: -1.5e-3\ni: 1_000\nx: 0x1F\nn: ~\nyes: true\n"
                             "s: '12'\ninf: -.inf\nnan: .nan\n"
                             "q: !unit/quantity-1.1.0 {value: 2.5, unit: m}\n"
                             "deep: {list: [a, {b: 3}]}");
    const char *s;
    double r;
    long long i;
    bool b;

    ck_assert(asdf_real(node(a, "r"), &r) && r == -1.5e-3);
    ck_assert(asdf_int(node(a, "i"), &i) && i == 1000);
    ck_assert(asdf_int(node(a, "x"), &i) && i == 31);
    ck_assert(asdf_is_null(node(a, "n")));
    ck_assert(asdf_bool(node(a, "yes"), &b) && b);
    ck_assert(!asdf_real(node(a, "s"), &r));
    ck_assert(asdf_string(node(a, "s"), &s) && strcmp(s, "12") == 0);
    ck_assert(asdf_real(node(a, "inf"), &r) && isinf(r) && r < 0.0);
    ck_assert(asdf_real(node(a, "nan"), &r) && isnan(r));
    ck_assert(asdf_real(node(a, "q"), &r) && r == 2.5);
    ck_assert(asdf_int(node(a, "deep.list.1.b"), &i) && i == 3);
    ck_assert_str_eq(asdf_path(node(a, "deep.list.1.b")), "deep.list.1.b");
    ck_assert_str_eq(asdf_tag(node(a, "q")), "tag:stsci.edu:asdf/unit/quantity-1.1.0");
    ck_assert_ptr_null(asdf_get(asdf_root(a), "deep.list.7"));
    ck_assert(!asdf_string(NULL, &s));
    asdf_free(a);
}
END_TEST

START_TEST(test_asdf_inline_arrays)
{
    struct asdf *a = tree_of(
        "plain: [[1, 2, 3], [4, null, 6]]\n"
        "nd: !core/ndarray-1.0.0 {data: [0.1, 2], datatype: float32, shape: [2]}\n"
        "q: !unit/quantity-1.2.0 {value: !core/ndarray-1.1.0 {data: [7], datatype: "
        "int8}, unit: m}\n"
        "ragged: [[1], [2, 3]]\nwords: [a]\nodd: !other/thing-1.0.0 [1]\n");
    struct asdf_array x;
    struct err err;

    ck_assert_int_eq(asdf_array(node(a, "plain"), &x, &err), 0);
    ck_assert_int_eq(x.n_axes, 2);
    ck_assert_uint_eq(x.shape[0], 2);
    ck_assert_uint_eq(x.shape[1], 3);
    ck_assert_double_eq(x.values[3], 4.0);
    ck_assert(isnan(x.values[4]));
    free(x.values);
    ck_assert_int_eq(asdf_array(node(a, "nd"), &x, &err), 0);
    ck_assert_double_eq(x.values[0], (double)0.1f); /* as single precision stores it */
    free(x.values);
    ck_assert_int_eq(asdf_array(node(a, "q"), &x, &err), 0);
    ck_assert_double_eq(x.values[0], 7.0);
    free(x.values);
    ck_assert_int_eq(asdf_array(node(a, "ragged"), &x, &err), ERR_REFERENCE);
    ck_assert_int_eq(asdf_array(node(a, "words"), &x, &err), ERR_REFERENCE);
    ck_assert_int_eq(asdf_array(node(a, "odd"), &x, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "other/thing-1.0.0"));
    ck_assert_ptr_nonnull(strstr(err.message, "odd"));
    asdf_free(a);
}
END_TEST

static void check_array(const struct asdf *a, const char *path, size_t n,
                        const double *want)
{
    struct asdf_array x;
    struct err err;

    ck_assert_msg(asdf_array(node(a, path), &x, &err) == 0, "%s", err.message);
    ck_assert_uint_eq(x.n, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_double_eq(x.values[i], want[i]);
    }
    free(x.values);
}

/* The fields of records are the last axis. */
START_TEST(test_asdf_records)
{
    static const char *const two =
        "x: !core/ndarray-1.0.0 {%s, datatype: [{name: A, datatype: uint32, byteorder: "
        "big}, {name: B, datatype: float32, byteorder: little}], byteorder: big%s}";
    struct asdf *a;
    struct asdf_array x;
    struct err err;
    char tree[400];

    snprintf(tree, sizeof(tree), two, "data: [[1, 2.5], [3, 4.5]]", "");
    a = tree_of(tree);
    check_array(a, "x", 4, (double[]){1, 2.5, 3, 4.5});
    asdf_free(a);
    snprintf(tree, sizeof(tree), two, "data: [[1], [3]]", "");
    a = tree_of(tree);
    ck_assert_int_eq(asdf_array(node(a, "x"), &x, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "do not have the 2 fields"));
    asdf_free(a);

    snprintf(tree, sizeof(tree), two, "source: 0", ", shape: [2]");
    ck_assert_int_eq(read_with_block(tree, &a, &err), 0);
    ck_assert_int_eq(asdf_array(node(a, "x"), &x, &err), 0);
    ck_assert_int_eq(x.n_axes, 2);
    ck_assert_uint_eq(x.shape[1], 2);
    ck_assert_double_eq(x.values[0], 0x01020304);
    ck_assert_double_eq(x.values[3], 1.0); /* 0x3f800000, little endian */
    free(x.values);
    asdf_free(a);
}
END_TEST

/* The files were written by the reference library; the numbers are exact in binary. */
static const char *const samples[] = {"tests/data/samples/arrays_block.asdf",
                                      "tests/data/samples/arrays_zlib.asdf",
                                      "tests/data/samples/arrays_lz4.asdf"};

START_TEST(test_asdf_blocks)
{
    struct asdf *a = NULL;
    struct err err = {0};
    struct asdf_array x;
    double cube[24];

    for (int i = 0; i < 24; i++) {
        cube[i] = i / 8.0;
    }
    ck_assert_msg(asdf_read(samples[_i], &a, &err) == 0, "%s", err.message);
    check_array(a, "cube", 24, cube);
    check_array(a, "every", 6, (double[]){1, 3, 5, 7, 9, 11});
    check_array(a, "back", 3, (double[]){8, 4, 0});
    check_array(a, "u64", 1, (double[]){9223372036854775808.0});
    check_array(a, "half", 3, (double[]){1.5, -0x1p-20, INFINITY});
    check_array(a, "truth", 2, (double[]){1, 0});
    check_array(a, "small", 2, (double[]){-3, 4});
    ck_assert_int_eq(asdf_array(node(a, "record"), &x, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "'tag' is not numeric"));
    ck_assert_uint_gt(asdf_bytes(a), 2000);
    asdf_free(a);
}
END_TEST

/* Cut anywhere: an error, or the tree is whole and the lost block is missed later. */
START_TEST(test_asdf_truncated)
{
    static unsigned char bytes[8192];
    FILE *f = fopen(samples[_i], "rb");
    struct asdf *a;
    struct err err;
    size_t n;

    ck_assert_ptr_nonnull(f);
    n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    for (size_t cut = 0; cut < n; cut += 7) {
        struct asdf_array x;

        support_write_file(scratch, bytes, cut);
        if (asdf_read(scratch, &a, &err) != 0) {
            ck_assert_int_eq(err.code, ERR_REFERENCE);
            continue;
        }
        if (asdf_array(node(a, "small"), &x, &err) == 0) {
            ck_assert_double_eq(x.values[0], -3.0);
            free(x.values);
        }
        asdf_free(a);
    }
}
END_TEST

/* Every byte of the blocks turned over: never a wrong number without a word. */
START_TEST(test_asdf_damaged)
{
    static unsigned char bytes[8192];
    FILE *f = fopen(samples[_i], "rb");
    size_t n, first;

    ck_assert_ptr_nonnull(f);
    n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    first = (size_t)((unsigned char *)memmem(bytes, n, "\323BLK", 4) - bytes);
    for (size_t at = first; at < n; at++) {
        struct asdf *a;
        struct asdf_array x;
        struct err err;

        bytes[at] ^= 0x41;
        support_write_file(scratch, bytes, n);
        if (asdf_read(scratch, &a, &err) == 0) {
            if (asdf_array(node(a, "cube"), &x, &err) == 0) {
                ck_assert_double_eq(x.values[23], 23 / 8.0);
                free(x.values);
            }
            asdf_free(a);
        }
        bytes[at] ^= 0x41;
    }
}
END_TEST

START_TEST(test_asdf_absurd_arrays)
{
    static const char *const keys[] = {
        "shape: [3]",
        "shape: [9223372036854775807, 9223372036854775807]",
        "shape: [4294967296, 4294967296, 2]",
        "shape: [-1]",
        "shape: [1], offset: 9",
        "shape: [1], offset: 9223372036854775807",
        "shape: [1], offset: -1",
        "shape: [2], strides: [16]",
        "shape: [2], strides: [-8]",
        "shape: [2], strides: [9223372036854775807]",
        "shape: [2, 1], strides: [-9223372036854775808, 8], offset: 8",
        "shape: [1, 1, 1, 1, 1]",
        "shape: 2",
        "shape: [a]",
        "shape: [2], source: 1",
        "shape: [2], source: -2",
        "shape: [2], source: other.asdf",
        "shape: [2], datatype: complex128",
        "shape: [2], mask: 0",
    };
    struct asdf *a = NULL;
    struct asdf_array x;
    struct err err;
    char tree[300];

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        snprintf(tree, sizeof(tree),
                 "x: !core/ndarray-1.0.0 {source: 0, datatype: float64, byteorder: "
                 "little, %s}",
                 keys[i]);
        ck_assert_int_eq(read_with_block(tree, &a, &err), 0);
        ck_assert_msg(asdf_array(node(a, "x"), &x, &err) == ERR_REFERENCE, "%s",
                      keys[i]);
        ck_assert_ptr_nonnull(strstr(err.message, ": x: "));
        asdf_free(a);
    }
    ck_assert_int_eq(read_with_block("x: !core/ndarray-1.0.0 {source: -1, datatype: "
                                     "float64, byteorder: little, shape: ['*', 1]}",
                                     &a, &err),
                     0);
    ck_assert_int_eq(asdf_array(node(a, "x"), &x, &err), 0);
    ck_assert_uint_eq(x.n, 2);
    free(x.values);
    asdf_free(a);
}
END_TEST

START_TEST(test_asdf_deep_nesting)
{
    enum { N = 100000 };
    char *tree = malloc(2 * N + 3);
    struct asdf *a;
    struct err err;

    memcpy(tree, "x: ", 3);
    memset(tree + 3, '[', N);
    memset(tree + 3 + N, ']', N - 1);
    tree[2 * N + 2] = '\0';
    ck_assert_int_eq(read_tree(tree, &a, &err), ERR_REFERENCE);
    free(tree);
}
END_TEST

/* Aliases are not copied, so that twenty doublings cost twenty nodes ... */
/* Each alias finds its anchor, the last one of its name, however many there are. */
START_TEST(test_asdf_many_anchors)
{
    enum { N = 10000 };
    char *tree = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&tree, &size);
    struct asdf_array x;
    struct err err;

    fprintf(f, "twice: [&x0 -1]\na: [");
    for (int i = 0; i < N; i++) {
        fprintf(f, "%s&x%d %d", i ? ", " : "", i, i);
    }
    fprintf(f, "]\nb: [");
    for (int i = 0; i < N; i++) {
        fprintf(f, "%s*x%d", i ? ", " : "", N - 1 - i);
    }
    fprintf(f, "]");
    ck_assert_int_eq(fclose(f), 0);
    struct asdf *a = tree_of(tree);
    free(tree);
    ck_assert_int_eq(asdf_array(node(a, "b"), &x, &err), 0);
    ck_assert_uint_eq(x.n, N);
    for (int i = 0; i < N; i++) {
        ck_assert_double_eq(x.values[i], N - 1 - i);
    }
    free(x.values);
    asdf_free(a);
}
END_TEST

START_TEST(test_asdf_alias_bomb)
{
    char tree[4000] = "a0: &a0 [1, 1]\n";
    size_t n = strlen(tree);
    struct asdf *a;
    struct asdf_array x;
    struct err err;

    for (int i = 1; i < 30; i++) {
        n += (size_t)snprintf(tree + n, sizeof(tree) - n,
                              "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1,
                              i - 1, i - 1, i - 1, i - 1);
    }
    ck_assert_int_eq(read_tree(tree, &a, &err), 0);
    ck_assert_uint_lt(asdf_bytes(a), 200000);
    /* ... and an array made of them is refused */
    ck_assert_int_eq(asdf_array(node(a, "a29"), &x, &err), ERR_REFERENCE);
    asdf_free(a);
    ck_assert_int_eq(read_tree("x: &x [*x]", &a, &err), ERR_REFERENCE);
    ck_assert_int_eq(read_tree("x: [*nobody]", &a, &err), ERR_REFERENCE);
}
END_TEST

START_TEST(test_asdf_not_asdf)
{
    struct asdf *a;
    struct err err;

    support_write_file(scratch, "SIMPLE  =", 9);
    ck_assert_int_eq(asdf_read(scratch, &a, &err), ERR_REFERENCE);
    support_write_file(scratch, "", 0);
    ck_assert_int_eq(asdf_read(scratch, &a, &err), ERR_REFERENCE);
    ck_assert_int_eq(read_tree("x: [1, 2", &a, &err), ERR_REFERENCE);
    ck_assert_int_eq(read_tree("? [a]\n: 1", &a, &err), ERR_REFERENCE);
    ck_assert_int_eq(asdf_read("/nonexistent.asdf", &a, &err), ERR_REFERENCE);
    ck_assert_int_eq(asdf_read("/dev/null", &a, &err), ERR_REFERENCE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("asdf");
    TCase *c = tcase_create("asdf");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_asdf_scalars);
    tcase_add_test(c, test_asdf_inline_arrays);
    tcase_add_test(c, test_asdf_records);
    tcase_add_loop_test(c, test_asdf_blocks, 0, 3);
    tcase_add_loop_test(c, test_asdf_truncated, 0, 3);
    tcase_add_loop_test(c, test_asdf_damaged, 0, 3);
    tcase_add_test(c, test_asdf_absurd_arrays);
    tcase_add_test(c, test_asdf_deep_nesting);
    tcase_add_test(c, test_asdf_many_anchors);
    tcase_add_test(c, test_asdf_alias_bomb);
    tcase_add_test(c, test_asdf_not_asdf);
    tcase_set_timeout(c, 30);
    suite_add_tcase(s, c);
    return support_run(s);
}
