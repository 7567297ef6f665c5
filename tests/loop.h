#ifndef IFUD_TESTS_LOOP_H
#define IFUD_TESTS_LOOP_H

#include <stdbool.h>
#include <uv.h>

/*
 * Run a loop until `done` says so; the test fails after 20 s. The loop's own
 * events wake it; a 10 ms beat looks whether it is over.
 */
void loop_until(uv_loop_t *loop, bool (*done)(void *arg), void *arg);

/* Run a loop for `limit` seconds (to see that nothing happens). */
void loop_for(uv_loop_t *loop, double limit);

/* Run what closing handles have left, and close the loop; nothing may be open. */
void loop_end(uv_loop_t *loop);

#endif
