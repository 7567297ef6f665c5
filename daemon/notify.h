#ifndef IFUD_DAEMON_NOTIFY_H
#define IFUD_DAEMON_NOTIFY_H

#include <stdint.h>
#include <sys/types.h>

/*
 * The service manager. Reference: sd_notify(3), systemd 252.
 * Thread: any. Test: tests/e2e/test_lifecycle.c, tests/daemon/test_watchdog.c
 */

/* A datagram to $NOTIFY_SOCKET, such as "READY=1"; lines are separated by newlines. Does
 * nothing where there is no such socket, and waits for nothing. */
void notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The monotonic clock in microseconds, as MONOTONIC_USEC= wants it. */
uint64_t notify_clock_us(void);

/*
 * How often the manager wants to hear WATCHDOG=1: half of $WATCHDOG_USEC, in seconds; 0 if
 * it does not watch process `self` ($WATCHDOG_PID names another, or a value is no number).
 * Pure: the variables are given; NULL where they are not set.
 */
double notify_watchdog_interval(const char *watchdog_usec, const char *watchdog_pid,
                                pid_t self);

#endif
