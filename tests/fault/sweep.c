#include "tests/fault/sweep.h"
#include "tests/support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long number(const char *name, long fallback)
{
    const char *text = getenv(name);
    return text && *text ? atol(text) : fallback;
}

struct sweep sweep_begin(long points)
{
    return (struct sweep){.points = number("IFUD_SWEEP_POINTS", points),
                          .first = number("IFUD_SWEEP_FIRST", 0),
                          .step = number("IFUD_SWEEP_STEP", 1)};
}

bool sweep_next(struct sweep *s, long *ret_number)
{
    *ret_number = s->first + s->done * s->step;
    return s->done++ < s->points;
}

void sweep_failed(struct sweep *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    s->failures++;
    fprintf(stderr, "FAILED point %ld: ", s->first + (s->done - 1) * s->step);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
}

void sweep_tell(const struct sweep *s, const char *fmt, ...)
{
    if (s->done % 100 == 0 || s->done == s->points) {
        va_list ap;
        va_start(ap, fmt);
        printf("%ld points, %ld failures: ", s->done, s->failures);
        vprintf(fmt, ap);
        printf("\n");
        fflush(stdout);
        va_end(ap);
    }
}

char *sweep_wrong_end(enum life_end end)
{
    static const char *const names[] = {"done", "failed", "killed", "crashed", "hung"};
    char text[80];
    snprintf(text, sizeof text, "the last life ended: %s\n", names[end]);
    return strdup(text);
}

int sweep_main(const char *name, const TTest *test)
{
    Suite *s = suite_create(name);
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, 0);
    tcase_add_test(t, test);
    suite_add_tcase(s, t);
    return support_run(s);
}
