#include "tests/fault/picture.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/sha256.h"
#include "daemon/queue_associations.h"
#include "tests/fault/tree.h"
#include "tests/support.h"

static const char *const folders[PICTURE_PARTS] = {
    "inbox",     "products",   "rejected", "spool/exposures",
    "spool/tmp", "spool/jobs", NULL};

#define ALL ((size_t)1 << 20)

/* ---- text in lines ---- */

struct lines {
    char **line;
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void add(struct lines *l, const char *fmt,
                                                      ...)
{
    char text[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    l->line = realloc(l->line, (l->n + 1) * sizeof *l->line);
    ck_assert(l->line != NULL);
    l->line[l->n++] = strdup(text);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted and joined; NULL if there are none and `or_null`. */
static char *join(struct lines *l, bool or_null)
{
    char *text = NULL;
    size_t n;
    if (l->n || !or_null) {
        FILE *f = open_memstream(&text, &n);
        ck_assert(f != NULL);
        if (l->n) {
            qsort(l->line, l->n, sizeof *l->line, by_text);
        }
        for (size_t i = 0; i < l->n; i++) {
            fprintf(f, "%s\n", l->line[i]);
            free(l->line[i]);
        }
        fclose(f);
    }
    free(l->line);
    return text;
}

static void split(const char *text, struct lines *ret)
{
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        add(ret, "%.*s", (int)(end - text), text);
    }
}

static bool has_line(const char *text, const char *line)
{
    size_t n = strlen(line);
    for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL) {
        if (!strncmp(text, line, n) && text[n] == '\n') {
            return true;
        }
    }
    return false;
}

/* ---- the queue ---- */

static struct queue *open_queue(const char *disk)
{
    char path[4096];
    struct err err = {0};
    struct queue *q = NULL;
    snprintf(path, sizeof path, "%s/spool/queue.db", disk);
    support_ok(queue_open(path, QUEUE_WRITE, &q, &err), &err);
    return q;
}

static size_t all_jobs(struct queue *q, struct queue_job **ret)
{
    struct err err = {0};
    size_t n;
    support_ok(queue_jobs(q, JOB_STATES, ALL, ret, &n, &err), &err);
    return n;
}

static size_t products_of(struct queue *q, int64_t job, struct queue_product **ret)
{
    struct err err = {0};
    size_t n;
    support_ok(queue_products(q, job, ret, &n, &err), &err);
    return n;
}

/* Call for each exposure; none is ever deleted, so their numbers have no gaps. */
static void each_exposure(struct queue *q, const char *disk, struct lines *l,
                          void (*tell)(const struct queue_exposure *e, const char *disk,
                                       struct lines *l))
{
    struct err err = {0};
    struct queue_counts c;
    support_ok(queue_count(q, &c, &err), &err);
    for (long id = 1; id <= c.accepted + c.superseded + c.gone; id++) {
        struct queue_exposure e;
        support_ok(queue_get_exposure(q, id, &e, &err), &err);
        tell(&e, disk, l);
    }
}

static void tell_exposure(const struct queue_exposure *e, const char *disk,
                          struct lines *l)
{
    (void)disk;
    add(l, "exposure %s %s %s", e->name, e->sha256, e->state);
}

static void add_companions(struct queue *q, const struct queue_job *j, struct lines *l)
{
    struct queue_companion *c;
    struct queue_exposure e;
    struct err err = {0};
    size_t n;
    support_ok(queue_companions(q, j->id, &c, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        support_ok(queue_get_exposure(q, c[i].exposure, &e, &err), &err);
        add(l, "member %s %s %s %s", j->name, c[i].role, e.name, e.sha256);
    }
    free(c);
}

static void add_association(struct queue *q, const char *name, struct lines *l)
{
    struct queue_association a;
    struct queue_named_row *m;
    struct err err = {0};
    size_t n;
    if (queue_get_association(q, name, &a, &err)) {
        return;
    }
    add(l, "association %s %s %s", a.name, a.sha256, a.state);
    support_ok(queue_association_members(q, a.id, ALL, &m, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        add(l, "named %s %s %s", a.name, m[i].role, m[i].exposure);
    }
    free(m);
}

static char *rows(const char *disk)
{
    struct lines l = {0};
    struct queue *q = open_queue(disk);
    struct queue_job *jobs;
    size_t n = all_jobs(q, &jobs);
    each_exposure(q, disk, &l, tell_exposure);
    add_association(q, "x_asn.json", &l);
    for (size_t i = 0; i < n; i++) {
        struct queue_product *p;
        size_t m = products_of(q, jobs[i].id, &p);
        add(&l, "job %s %s", jobs[i].name, job_state_name(jobs[i].state));
        for (size_t k = 0; k < m; k++) {
            add(&l, "product %s %s %s", jobs[i].name, p[k].path, p[k].sha256);
        }
        free(p);
        add_companions(q, &jobs[i], &l);
    }
    free(jobs);
    queue_close(q);
    return join(&l, false);
}

char *picture_check_events(const char *disk, bool again)
{
    struct lines l = {0};
    struct err err = {0};
    struct queue *q = open_queue(disk);
    struct queue_job *jobs;
    size_t n = all_jobs(q, &jobs);
    for (size_t i = 0; i < n; i++) {
        struct queue_event *e;
        size_t m;
        int done = 0;
        support_ok(queue_events(q, 0, jobs[i].name, ALL, &e, &m, &err), &err);
        for (size_t k = 0; k < m; k++) {
            const char *was = k ? e[k - 1].to : "new";
            /* a remark on a job that is done (its spectrum's difference) is no move */
            done += !strcmp(e[k].to, "done") && strcmp(e[k].from, "done") != 0;
            if (strcmp(e[k].from, *e[k].from || k ? was : "") != 0) {
                add(&l, "%s: event %s -> %s comes after -> %s", jobs[i].name, e[k].from,
                    e[k].to, was);
            }
        }
        if (m == 0 || strcmp(e[m - 1].to, job_state_name(jobs[i].state)) != 0) {
            add(&l, "%s: its last event is not its state", jobs[i].name);
        }
        if (done == 0 || (done > 1 && !again)) {
            add(&l, "%s: done %d times", jobs[i].name, done);
        }
        free(e);
    }
    free(jobs);
    queue_close(q);
    return join(&l, true);
}

static void check_copy(const struct queue_exposure *e, const char *disk,
                       struct lines *l)
{
    char path[4096], hash[65] = "unreadable";
    snprintf(path, sizeof path, "%s/spool/exposures/%s/%s", disk, e->sha256, e->name);
    if (sha256_file(path, hash, NULL, NULL) || strcmp(hash, e->sha256) != 0) {
        add(l, "the copy of %s (%s) is %s", e->name, e->sha256, hash);
    }
}

char *picture_check_committed(const char *disk)
{
    struct lines l = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/spool/queue.db", disk);
    if (access(path, F_OK)) {
        return NULL;
    }
    struct queue *q = open_queue(disk);
    struct queue_job *jobs;
    size_t n = all_jobs(q, &jobs);
    each_exposure(q, disk, &l, check_copy);
    for (size_t i = 0; i < n; i++) {
        struct queue_product *p;
        size_t m = products_of(q, jobs[i].id, &p);
        for (size_t k = 0; k < m && jobs[i].state == JOB_DONE; k++) {
            if (access(p[k].path, F_OK)) {
                add(&l, "%s is done, %s is not there", jobs[i].name, p[k].path);
            }
        }
        free(p);
    }
    free(jobs);
    queue_close(q);
    return join(&l, true);
}

/* ---- pictures ---- */

/* The names without the hashes, and without what tells how a job's process died. */
static char *names_of(char *text)
{
    struct lines l = {0}, names = {0};
    split(text, &l);
    for (size_t i = 0; i < l.n; i++) {
        if (!strstr(l.line[i], ".crash.txt")) {
            add(&names, "%.*s", (int)(strrchr(l.line[i], ' ') - l.line[i]), l.line[i]);
        }
        free(l.line[i]);
    }
    free(l.line);
    free(text);
    return join(&names, false);
}

static char *part(const char *disk, enum picture_part i)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", disk, folders[i]);
    char *text = access(path, F_OK) ? strdup("") : tree_list(path);
    return i == PICTURE_MANIFESTS ? names_of(text) : text;
}

void picture_files(const char *disk, struct picture *ret)
{
    for (int i = 0; i < PICTURE_ROWS; i++) {
        ret->part[i] = part(disk, (enum picture_part)i);
    }
}

void picture_take(const char *disk, struct picture *ret)
{
    picture_files(disk, ret);
    ret->part[PICTURE_ROWS] = rows(disk);
}

void picture_done(struct picture *p)
{
    for (int i = 0; i < PICTURE_PARTS; i++) {
        free(p->part[i]);
        p->part[i] = NULL;
    }
}

/* Lines of a that b has not. */
static void difference(const char *a, const char *b, const char *what, const char *name,
                       struct lines *ret)
{
    struct lines l = {0};
    split(a, &l);
    for (size_t i = 0; i < l.n; i++) {
        if (!has_line(b, l.line[i])) {
            add(ret, "%s: %s: %s", name, what, l.line[i]);
        }
        free(l.line[i]);
    }
    free(l.line);
}

char *picture_compare(const struct picture *should, const struct picture *is)
{
    struct lines l = {0};
    for (int i = 0; i < PICTURE_PARTS; i++) {
        const char *name = folders[i] ? folders[i] : "queue";
        difference(should->part[i], is->part[i], "missing", name, &l);
        difference(is->part[i], should->part[i], "too much", name, &l);
    }
    return join(&l, true);
}

static bool is_hidden(const char *line)
{
    return line[0] == '.' || strstr(line, "/.");
}

/* "path hash" lines of `text`: is the hash in one of the others? */
static void check_kept(const char *text, char *const where[3], struct lines *ret)
{
    struct lines l = {0};
    split(text, &l);
    for (size_t i = 0; i < l.n; i++) {
        const char *hash = strrchr(l.line[i], ' ');
        if (hash && !strstr(l.line[i], "_asn.json ") && !strstr(where[0], hash) &&
            !strstr(where[1], hash) && !strstr(where[2], hash)) {
            add(ret, "lost: %s", l.line[i]);
        }
        free(l.line[i]);
    }
    free(l.line);
}

char *picture_check_dead(const char *disk, const struct picture *before,
                         const struct picture *after)
{
    struct lines l = {0}, products = {0};
    char *now = part(disk, PICTURE_PRODUCTS);
    char *where[3] = {part(disk, PICTURE_INBOX), part(disk, PICTURE_COPIES),
                      part(disk, PICTURE_REJECTED)};
    split(now, &products);
    for (size_t i = 0; i < products.n; i++) {
        const char *line = products.line[i];
        if (!is_hidden(line) && !has_line(before->part[PICTURE_PRODUCTS], line) &&
            !has_line(after->part[PICTURE_PRODUCTS], line)) {
            add(&l, "not whole: %s", line);
        }
        free(products.line[i]);
    }
    free(products.line);
    check_kept(before->part[PICTURE_INBOX], where, &l);
    check_kept(before->part[PICTURE_COPIES], where, &l);
    check_kept(before->part[PICTURE_REJECTED], where, &l);
    for (int i = 0; i < 3; i++) {
        free(where[i]);
    }
    free(now);
    return join(&l, true);
}
