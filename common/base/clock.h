#ifndef IFUD_BASE_CLOCK_H
#define IFUD_BASE_CLOCK_H

/*
 * Clocks, in seconds. Thread: any. Test: tests/base/test_clock.c
 */

/* For how long something takes: nobody sets it, its zero means nothing. */
double clock_steady(void);

/* For when something was: since 1970; may be set back and forth. */
double clock_date(void);

#endif
