#ifndef IFUD_TESTS_DAEMON_QUEUE_KIT_H
#define IFUD_TESTS_DAEMON_QUEUE_KIT_H

#include <stdint.h>
#include "daemon/queue.h"

/* A queue with exposures and jobs for tests. Every failure ends the test. */

#define KIT_GROUP "jw01234-o001_t_nirspec_g395h-f290lp"

struct queue *kit_open(const char *folder); /* <folder>/queue.db */

/* The hash that stands for `content`, in a ring of eight. */
const char *kit_hash(long content);

/* Accept the science exposure "<base>_rate.fits" of 4 dithers as the daemon does, with
 * its spec2, in one commit. Returns its number. */
int64_t kit_accept(struct queue *q, const char *base, long content, double now);

/* The live spec2 of an exposure. */
struct queue_job kit_spec2(struct queue *q, int64_t exposure);

void kit_move(struct queue *q, int64_t job, enum job_state to, double now);
/* Run it: to `running` and `done`, with one product at `path` of 5 bytes. */
void kit_run(struct queue *q, int64_t job, const char *path, double now);
/* Plan groups until there is nothing to do. */
void kit_plan(struct queue *q, double now, double quiet_seconds);

/* queue_check finds nothing. */
void kit_check(struct queue *q);

#endif
