#ifndef IFUD_DAEMON_MACHINE_H
#define IFUD_DAEMON_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What the machine gives: memory, and how much of it this process uses.
 * Thread: any. Test: tests/daemon/test_machine.c
 */

/*
 * Bytes of memory: MemTotal of <proc>/meminfo, or less where memory.max of this process'
 * control group (<proc>/self/cgroup, version 2), or of one that holds it, says so. 0: not
 * known.
 * Given: proc, cgroup: "/proc" and "/sys/fs/cgroup", or a test's own folders
 */
int64_t machine_memory(const char *proc, const char *cgroup);

/* Cores that this process may use, 1 or more. */
int machine_cores(void);

/* What this process has in memory now, and the most since the last reset; bytes, 0 if not
 * known. */
int64_t machine_resident(void);
int64_t machine_peak(void);
bool machine_reset_peak(void); /* false: the system does not let us */

#endif
