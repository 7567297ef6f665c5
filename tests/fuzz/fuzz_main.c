/*
 * What libFuzzer calls, for the target that FUZZ_TARGET names; and what targets share.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/fuzz/fuzz.h"

/* libFuzzer's own mutations; absent in the replay program. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max) __attribute__((weak));

const struct fuzz_target fuzz_targets[] = {{"fits", fuzz_fits},
                                           {"asdf", fuzz_asdf},
                                           {"manifest", fuzz_manifest},
                                           {"config", fuzz_config},
                                           {"report", fuzz_report},
                                           {"socket", fuzz_socket},
                                           {"association", fuzz_association},
                                           {"crds", fuzz_crds},
                                           {NULL, NULL}};

static const struct fuzz_target *target;

const struct fuzz_target *fuzz_target_find(const char *name)
{
    const struct fuzz_target *t = fuzz_targets;
    while (t->name && strcmp(t->name, name) != 0) {
        t++;
    }
    return t->name ? t : NULL;
}

void fuzz_must(int truth, const char *what)
{
    if (!truth) {
        fprintf(stderr, "fuzz: %s\n", what);
        abort();
    }
}

/* ---- files under test ---- */

static char folder[200], path[300];
static pid_t folder_of;

static int remove_one(const char *name, const struct stat *st, int kind,
                      struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(name);
}

static void remove_folder(void)
{
    if (folder_of == getpid()) {
        nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

const char *fuzz_folder(void)
{
    const char *top = getenv("TMPDIR");
    if (folder_of != getpid()) {
        snprintf(folder, sizeof folder, "%s/ifud-fuzz-XXXXXX",
                 top && *top ? top : "/tmp");
        fuzz_must(mkdtemp(folder) != NULL, "no folder for the files under test");
        folder_of = getpid();
        atexit(remove_folder);
    }
    return folder;
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t n)
{
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fuzz_must(fd >= 0 && write(fd, data, n) == (ssize_t)n, "cannot write the file");
    close(fd);
    return path;
}

char *fuzz_text(const uint8_t *data, size_t n)
{
    char *text = malloc(n + 1);
    fuzz_must(text != NULL, "no memory");
    memcpy(text, data, n);
    text[n] = '\0';
    return text;
}

/* ---- libFuzzer ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("FUZZ_TARGET");
    (void)argc;
    (void)argv;
    target = fuzz_target_find(name ? name : "");
    if (!target) {
        fprintf(stderr, "FUZZ_TARGET names no target: '%s'\n", name ? name : "");
        exit(2);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    target->one(data, n);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    if (target->one == fuzz_fits && seed % 3 != 0 && n >= 2880) {
        return fuzz_cards_mutate(data, n, max, seed / 3);
    }
    return LLVMFuzzerMutate ? LLVMFuzzerMutate(data, n, max) : n;
}
