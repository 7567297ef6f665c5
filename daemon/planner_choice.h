#ifndef IFUD_DAEMON_PLANNER_CHOICE_H
#define IFUD_DAEMON_PLANNER_CHOICE_H

#include "daemon/planner.h"

/*
 * Which leakage and background exposures belong to an exposure. Pure.
 *
 * All come through the same disperser and filter, on the same detector. Chosen are:
 *   imprint     every leakage exposure of the observation; if it has none, of the program;
 *               and those of the observations of its backgrounds. The stage matches them.
 *   background  the other positions of a nod pattern; else of the program's observations
 *               of dedicated backgrounds the nearest in time and on the sky; else, where
 *               the rules say so, the nearest observation of blank sky that nothing links
 *               to the target. The grating wheel stands as for the exposure (peer's
 *               tolerance).
 * A dedicated background gets leakage exposures only.
 * Thread: any. Test: tests/daemon/test_planner_companions.c
 */

/* Companions of one kind; the nearest in time are taken. */
#define PLANNER_COMPANIONS 32

struct shortlist { /* the nearest in time, by their places */
    size_t at[PLANNER_COMPANIONS], n;
    double days[PLANNER_COMPANIONS];
};

struct choice {
    struct shortlist nods;         /* of the group's members */
    struct shortlist skies, leaks; /* of its neighbours */
    bool off_scene;                /* that is what skies are */
    double days, degrees;          /* away; of these */
};

/* Is a target's name that of empty sky ("SKY", "BKG", "blank field", ...)? */
bool planner_says_blank(const char *target);

/* The order in which backgrounds are preferred: days / 10 and degrees / 2, added in
 * quadrature. */
double planner_distance(double days, double degrees);

/* Nods, else dedicated or off-scene backgrounds; the rest of *ret is 0. */
void planner_choose_backgrounds(const struct queue_group *g,
                                const struct queue_member *m,
                                const struct plan_rules *rules, struct choice *ret);
/* Off-scene ones whatever the rules say, into ret->skies, which must be empty. */
void planner_choose_off_scene(const struct queue_group *g, const struct queue_member *m,
                              struct choice *ret);
/* Leakage exposures, also of the backgrounds in *ret, into ret->leaks. */
void planner_choose_leaks(const struct queue_group *g, const struct queue_member *m,
                          struct choice *ret);

bool planner_is_nod(const struct queue_member *m);
/* Members near m in the order of their names: from *ret_from to before *ret_to. */
void planner_window(const struct queue_group *g, const struct queue_member *m,
                    size_t *ret_from, size_t *ret_to);

#endif
