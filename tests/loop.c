#include "tests/loop.h"

#include <check.h>

/* uv_run may block after a timer has run what we wait for: a beat lets us look. */
#define BEAT_MS 10

static void on_beat(uv_timer_t *timer)
{
    (void)timer;
}

static double seconds(void)
{
    return (double)uv_hrtime() * 1e-9;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* Until done or the time is over; false if it is over. */
static bool run(uv_loop_t *loop, double limit, bool (*done)(void *arg), void *arg)
{
    uv_timer_t beat;
    double end = seconds() + limit;
    bool is_done;
    uv_timer_init(loop, &beat);
    uv_timer_start(&beat, on_beat, BEAT_MS, BEAT_MS);
    while (!(is_done = done(arg)) && seconds() < end) {
        uv_run(loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&beat, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return is_done;
}

void loop_until(uv_loop_t *loop, bool (*done)(void *arg), void *arg)
{
    ck_assert_msg(run(loop, 20.0, done, arg), "nothing came within 20 s");
}

void loop_for(uv_loop_t *loop, double limit)
{
    run(loop, limit, never, NULL);
}

void loop_end(uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(loop), 0);
}
