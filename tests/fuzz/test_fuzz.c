/*
 * The fuzzing targets on their seeds and on everything that was ever found: no crash, no
 * report of a sanitizer. With arguments: test_fuzz TARGET FILE... replays files.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tests/fuzz/fuzz.h"
#include "tests/support.h"

/* Also outside of a test, so without check's words. */
static void replay(const struct fuzz_target *target, const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    fuzz_must(f && !fstat(fileno(f), &st), path);
    /* as libFuzzer hands it over: exactly as long, so that a read beyond is seen */
    size_t n = (size_t)st.st_size;
    uint8_t *data = malloc(n ? n : 1);
    fuzz_must(data && fread(data, 1, n, f) == n, path);
    fclose(f);
    target->one(data, n);
    free(data);
}

/* Every file of a folder; how many there were. */
static int replay_folder(const struct fuzz_target *target, const char *kind)
{
    struct dirent **names = NULL;
    char folder[200];
    int done = 0;
    snprintf(folder, sizeof folder, "tests/fuzz/%s/%s", kind, target->name);
    int n = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *path = support_path(folder, names[i]->d_name);
        struct stat st;
        if (names[i]->d_name[0] != '.' && !stat(path, &st) && S_ISREG(st.st_mode)) {
            fprintf(stderr, "%s\n", path);
            replay(target, path);
            done++;
        }
        free(names[i]);
    }
    free(names);
    return done;
}

START_TEST(test_fuzz_seeds)
{
    ck_assert_int_gt(replay_folder(&fuzz_targets[_i], "corpus"), 0);
}
END_TEST

START_TEST(test_fuzz_found)
{
    replay_folder(&fuzz_targets[_i], "found");
}
END_TEST

/* The mutator keeps within its room, and files at whole cards. */
START_TEST(test_fuzz_cards)
{
    static uint8_t data[8640 + 2880];
    size_t n = 8640;
    memset(data, ' ', sizeof data);
    for (size_t at = 0; at < n; at += 80) {
        memcpy(data + at, "NAXIS   = 2", 11);
    }
    memset(data + 8640, 0x55, 2880);
    for (unsigned seed = 0; seed < 2000; seed++) {
        n = fuzz_cards_mutate(data, n, 8640, seed);
        ck_assert_uint_le(n, 8640);
        ck_assert_uint_ge(n, 2880);
        ck_assert_uint_eq(n % 80, 0);
    }
    ck_assert_uint_eq(data[8640], 0x55);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) {
        const struct fuzz_target *target = fuzz_target_find(argv[1]);
        if (!target) {
            fprintf(stderr, "no target '%s'\n", argv[1]);
            return 2;
        }
        for (int i = 2; i < argc; i++) {
            replay(target, argv[i]);
        }
        return 0;
    }
    int n = 0;
    while (fuzz_targets[n].name) {
        n++;
    }
    Suite *suite = suite_create("fuzz");
    TCase *tc = tcase_create("fuzz");
    tcase_add_loop_test(tc, test_fuzz_seeds, 0, n);
    tcase_add_loop_test(tc, test_fuzz_found, 0, n);
    tcase_add_test(tc, test_fuzz_cards);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
