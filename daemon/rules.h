#ifndef IFUD_DAEMON_RULES_H
#define IFUD_DAEMON_RULES_H

#include "config/config.h"
#include "daemon/planner.h"

/*
 * The planner's rules, from the configuration: its own keys, and which stages the settings
 * of the recipes leave on (nobody waits for exposures that no stage would read).
 * Thread: any; that of the queue. Test: tests/daemon/test_rules.c
 */
void rules_of(const struct config *config, struct plan_rules *ret);

/* The group of an exposure whose observation is combined with others (observation_lists);
 * that of any other stays. */
int rules_group(const struct config *config, struct queue_exposure *e, struct err *err);

/* If they are not those by which the queue was planned, all its groups are looked at
 * again: what waits may go, or wait for something else. */
int rules_apply(struct queue *q, const struct config *config, struct err *err);

#endif
