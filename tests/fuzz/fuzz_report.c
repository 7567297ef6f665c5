/*
 * What a job's process says to the daemon, line by line: taken as it comes, in one piece
 * and in small ones, it must mean the same.
 */
#include <stdlib.h>
#include <string.h>
#include "jobs/job_report.h"
#include "tests/fuzz/fuzz.h"

#define FOLDER "/products/01234"

struct heard {
    size_t stages, notes;
};

static void on_stage(void *user, const char *stage, int index, int count, double share)
{
    struct heard *h = user;
    fuzz_must(strlen(stage) < 40 && index >= 0 && index <= count && share >= 0.0 &&
                  share <= 1.0,
              "a stage that cannot be");
    h->stages++;
}

static void on_note(void *user, int is_warning, const char *stage, const char *line)
{
    struct heard *h = user;
    (void)is_warning;
    fuzz_must(strlen(stage) < 40 && !strpbrk(line, "\n\r\033"),
              "a note that cannot be");
    h->notes++;
}

static int feed(const char *text, size_t n, size_t piece, struct heard *h,
                struct job_report **ret)
{
    const struct job_events events = {on_stage, on_note, h};
    struct job_report *r = calloc(1, sizeof *r);
    struct err err = {0};
    int code = 0;
    fuzz_must(r != NULL, "no memory");
    r->folder = FOLDER;
    for (size_t at = 0; at < n && !code; at += piece) {
        code = job_report_feed(r, text + at, n - at < piece ? n - at : piece, &events,
                               &err);
    }
    fuzz_must(!code || err.message[0] != '\0', "refused without a word");
    *ret = r;
    return code;
}

static void finish(struct job_report *r)
{
    job_result_done(&r->result);
    free(r);
}

void fuzz_report(const uint8_t *data, size_t n)
{
    struct heard whole = {0}, pieces = {0};
    struct job_report *a, *b;
    int code = feed((const char *)data, n, n ? n : 1, &whole, &a);
    fuzz_must(code == feed((const char *)data, n, 1 + n % 7, &pieces, &b),
              "refused in one piece or in many, but not in both");
    fuzz_must(whole.stages == pieces.stages && whole.notes == pieces.notes &&
                  a->ended == b->ended && a->code == b->code &&
                  a->signal == b->signal && a->peak_bytes == b->peak_bytes &&
                  a->result.n_products == b->result.n_products &&
                  !strcmp(a->backtrace, b->backtrace),
              "in pieces it means something else");
    for (size_t i = 0; i < a->result.n_products; i++) {
        const char *path = a->result.products[i].path;
        fuzz_must(!strncmp(path, FOLDER "/", strlen(FOLDER) + 1) &&
                      !strchr(path + strlen(FOLDER) + 1, '/'),
                  "a product outside of its folder");
    }
    finish(a);
    finish(b);
}
