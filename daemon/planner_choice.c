#include "daemon/planner_choice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/path.h"
#include "common/data/exposure.h"
#include "common/math/sphere.h"

#define WINDOW 100 /* members before and after in which nods are looked for */

/* Does a word of a target say so: "sky", "sky2", "targetsky"? */
static bool word_says_blank(const char *word)
{
    static const char *const whole[] = {"bgd", "bkgd",     "blank", "empty",
                                        "off", "offscene", "offset"};
    static const char *const ends[] = {"sky", "bkg", "background"};
    size_t n = strlen(word);
    while (n > 0 && word[n - 1] >= '0' && word[n - 1] <= '9') {
        n--;
    }
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        if (strlen(whole[i]) == n && !strncmp(word, whole[i], n)) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t k = strlen(ends[i]);
        if (k <= n && !strncmp(word + n - k, ends[i], k)) {
            return true;
        }
    }
    return false;
}

bool planner_says_blank(const char *target)
{
    char slug[80], *save = NULL;
    if (path_slug(target, slug, sizeof slug) == 0) {
        return false;
    }
    for (char *w = strtok_r(slug, "-", &save); w; w = strtok_r(NULL, "-", &save)) {
        if (word_says_blank(w)) {
            return true;
        }
    }
    return false;
}

double planner_distance(double days, double degrees)
{
    return hypot(days / 10, degrees / 2);
}

/* ---- a short list ---- */

static double days_between(double a, double b)
{
    return isnan(a) || isnan(b) ? HUGE_VAL : fabs(a - b);
}

static void list_add(struct shortlist *l, size_t at, double days)
{
    size_t i = l->n < PLANNER_COMPANIONS ? l->n++ : PLANNER_COMPANIONS;
    if (i == PLANNER_COMPANIONS && days >= l->days[--i]) {
        return;
    }
    for (; i > 0 && days < l->days[i - 1]; i--) {
        l->at[i] = l->at[i - 1];
        l->days[i] = l->days[i - 1];
    }
    l->at[i] = at;
    l->days[i] = days;
}

static int by_place(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static void list_order(struct shortlist *l)
{
    qsort(l->at, l->n, sizeof *l->at, by_place);
}

/* ---- what belongs to an exposure ---- */

static bool same_wheel(const struct queue_member *m, double xtilt, double ytilt)
{
    return !(fabs(m->xtilt - xtilt) > EXPOSURE_TILT_TOLERANCE) &&
           !(fabs(m->ytilt - ytilt) > EXPOSURE_TILT_TOLERANCE);
}

bool planner_is_nod(const struct queue_member *m)
{
    return m->science && strcasestr(m->pattern_type, "nod");
}

void planner_window(const struct queue_group *g, const struct queue_member *m,
                    size_t *ret_from, size_t *ret_to)
{
    size_t at = (size_t)(m - g->members);
    *ret_from = at > WINDOW ? at - WINDOW : 0;
    *ret_to = g->n_members - at > WINDOW ? at + WINDOW : g->n_members;
}

static void choose_nods(const struct queue_group *g, const struct queue_member *m,
                        struct choice *ret)
{
    size_t from, to;
    planner_window(g, m, &from, &to);
    for (size_t i = from; i < to && planner_is_nod(m); i++) {
        const struct queue_member *o = &g->members[i];
        if (o->live && planner_is_nod(o) && o->pattern_number != m->pattern_number &&
            !strcmp(o->detector, m->detector) &&
            !strcmp(o->observation, m->observation) &&
            same_wheel(m, o->xtilt, o->ytilt)) {
            list_add(&ret->nods, i, days_between(m->expstart, o->expstart));
        }
    }
    list_order(&ret->nods);
}

/* A dedicated background of the program. */
static bool is_linked(const struct queue_group *g, const struct queue_member *m,
                      const struct queue_neighbour *n)
{
    return n->background && !strcmp(n->program, g->program) &&
           same_wheel(m, n->xtilt, n->ytilt);
}

/* Blank sky elsewhere; for what is no sky itself. */
static bool is_off_scene(const struct queue_group *g, const struct queue_member *m,
                         const struct queue_neighbour *n)
{
    bool elsewhere = strcmp(n->program, g->program) ||
                     (!n->background && strcmp(n->observation, m->observation));
    return !n->imprint && elsewhere && !m->blank && !isnan(n->xtilt) &&
           !isnan(m->xtilt) && same_wheel(m, n->xtilt, n->ytilt) &&
           !isnan(n->expstart) && !isnan(m->expstart);
}

/* Of the neighbours that are wanted, the observation of the nearest one, whole. */
static void choose_skies(const struct queue_group *g, const struct queue_member *m,
                         bool (*wanted)(const struct queue_group *,
                                        const struct queue_member *,
                                        const struct queue_neighbour *),
                         struct choice *ret)
{
    const struct queue_neighbour *best = NULL;
    double least = 0;
    for (size_t i = 0; i < g->n_neighbours && m->science; i++) {
        const struct queue_neighbour *n = &g->neighbours[i];
        if (!strcmp(n->detector, m->detector) && wanted(g, m, n)) {
            double days = days_between(m->expstart, n->expstart);
            double degrees = sphere_separation(m->ra, m->dec, n->ra, n->dec);
            double distance = planner_distance(days, degrees);
            if (!best || distance < least) {
                best = n;
                least = distance;
                ret->days = days;
                ret->degrees = degrees;
            }
        }
    }
    for (size_t i = 0; i < g->n_neighbours && best; i++) {
        const struct queue_neighbour *n = &g->neighbours[i];
        if (!strcmp(n->detector, m->detector) && wanted(g, m, n) &&
            !strcmp(n->program, best->program) &&
            !strcmp(n->observation, best->observation)) {
            list_add(&ret->skies, i, days_between(m->expstart, n->expstart));
        }
    }
    ret->off_scene = best && wanted == is_off_scene;
    list_order(&ret->skies);
}

/* Is it an observation of which backgrounds were chosen? */
static bool is_chosen(const struct queue_group *g, const struct choice *c,
                      const char *observation)
{
    for (size_t i = 0; i < c->skies.n && !c->off_scene; i++) {
        if (!strcmp(g->neighbours[c->skies.at[i]].observation, observation)) {
            return true;
        }
    }
    return false;
}

void planner_choose_leaks(const struct queue_group *g, const struct queue_member *m,
                          struct choice *ret)
{
    bool own = false;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < g->n_neighbours; i++) {
            const struct queue_neighbour *n = &g->neighbours[i];
            bool ours = !strcmp(n->observation, m->observation);
            if (!n->imprint || strcmp(n->detector, m->detector)) {
                continue;
            }
            own |= ours;
            if (pass == 1 && (ours || !own || is_chosen(g, ret, n->observation))) {
                list_add(&ret->leaks, i, days_between(m->expstart, n->expstart));
            }
        }
    }
    list_order(&ret->leaks);
}

void planner_choose_backgrounds(const struct queue_group *g,
                                const struct queue_member *m,
                                const struct plan_rules *rules, struct choice *ret)
{
    *ret = (struct choice){0};
    if (rules->nods) {
        choose_nods(g, m, ret);
    }
    if (m->science && !ret->nods.n && rules->backgrounds && rules->linked) {
        choose_skies(g, m, is_linked, ret);
        if (!ret->skies.n && rules->off_scene) {
            choose_skies(g, m, is_off_scene, ret);
        }
    }
}

void planner_choose_off_scene(const struct queue_group *g, const struct queue_member *m,
                              struct choice *ret)
{
    choose_skies(g, m, is_off_scene, ret);
}
