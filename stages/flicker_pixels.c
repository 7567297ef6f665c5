#include "stages/flicker.h"

enum { PIECE = 65536 };

struct call {
    void (*fn)(void *arg, size_t first, size_t end);
    void *arg;
    size_t n;
};

static int body(size_t piece, int thread, void *arg, struct err *err)
{
    const struct call *c = arg;
    const size_t first = piece * PIECE;
    (void)thread;
    (void)err;
    c->fn(c->arg, first, first + PIECE < c->n ? first + PIECE : c->n);
    return 0;
}

int flicker_pixels(const struct stage_env *env, const struct flicker *f,
                   void (*fn)(void *arg, size_t first, size_t end), void *arg,
                   struct err *err)
{
    struct call c = {.fn = fn, .arg = arg, .n = exposure_pixels(f->exposure)};
    return par_for(env->par, (c.n + PIECE - 1) / PIECE, body, &c, env->cancel, err);
}
