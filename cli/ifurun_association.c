#include "cli/ifurun_association.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/exposure_io.h"

int ifurun_has_associations(const struct ifurun_options *o, bool *ret, struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < o->n_files; i++) {
        n += path_has_suffix(o->files[i], ".json");
    }
    *ret = n > 0;
    if (n && n < o->n_files) {
        return err_set(err, ERR_PARAM,
                       "give association files or exposures, not both at once");
    }
    if (n && o->n_members) {
        return err_set(
            err, ERR_PARAM,
            "an association names imprints and backgrounds itself: --imprint "
            "and --background do not go with it");
    }
    return 0;
}

struct place {
    const char *path;
    char *folder;
    const struct association_product *product;
};

static int wrong(const struct place *at, const struct association_member *m,
                 const char *what, struct err *err)
{
    return err_set(err, ERR_INPUT, "%s: product %.100s: member %.100s %s",
                   path_base(at->path), at->product->name, m->expname, what);
}

/* Is it of the disperser and filter of the first one? *first keeps that one's. */
static int check_optics(const struct place *at, const struct association_member *m,
                        const char *path, struct exposure_meta *first,
                        const struct association_member **first_member, struct err *err)
{
    struct exposure *e = NULL;
    char what[400];
    int code = exposure_read_headers(path, &e, err);
    if (code) {
        return code;
    }
    if (!*first_member) {
        *first = e->meta;
        *first_member = m;
    } else if (strcmp(first->grating, e->meta.grating) ||
               strcmp(first->filter, e->meta.filter)) {
        snprintf(what, sizeof what,
                 "has %.20s/%.20s, %.100s has %.20s/%.20s; expected is one disperser "
                 "and filter in a product",
                 e->meta.filter, e->meta.grating, (*first_member)->expname,
                 first->filter, first->grating);
        code = wrong(at, m, what, err);
    }
    exposure_free(e);
    return code;
}

/* Paths of the members that are used, science first (those of files), then others. */
static int collect(const struct place *at, char **files, size_t *n_files,
                   struct job_member *members, size_t *n_members, struct err *err)
{
    struct exposure_meta first;
    const struct association_member *first_member = NULL;
    const struct association_product *p = at->product;
    int code = 0;
    for (size_t i = 0; i < p->n_members && !code; i++) {
        const struct association_member *m = &p->members[i];
        if (m->role == ASSOCIATION_UNUSED) {
            fprintf(stderr, "%s: product %s: member %s is not used: exptype %s\n",
                    path_base(at->path), p->name, m->expname, m->exptype);
            continue;
        }
        char *path = path_join(at->folder, m->expname, err);
        if (!path) {
            code = ERR_NOMEM;
        } else if (access(path, R_OK)) {
            char what[300];
            snprintf(what, sizeof what, "cannot be read in %.200s: %s", at->folder,
                     strerror(errno));
            code = wrong(at, m, what, err);
        } else if (!path_has_suffix(path_base(path), "_x1d.fits")) {
            code = check_optics(at, m, path, &first, &first_member, err);
        }
        if (code) {
            free(path);
        } else if (m->role == ASSOCIATION_SCIENCE) {
            files[(*n_files)++] = path;
        } else {
            members[*n_members].path = path;
            members[(*n_members)++].role =
                mem_strdup(association_role_name(m->role), err);
            code = members[*n_members - 1].role ? 0 : ERR_NOMEM;
        }
    }
    return code;
}

int ifurun_association_job(const struct ifurun_options *o, const char *path,
                           const struct association *a, size_t product, struct job *ret,
                           struct err *err)
{
    const struct association_product *p = &a->products[product];
    struct place at = {path, path_folder(path, err), p};
    char **files = mem_calloc(p->n_members, sizeof *files, err);
    struct job_member *members = mem_calloc(p->n_members, sizeof *members, err);
    struct job job = {0};
    size_t n_files = 0, n_members = 0;
    int code = at.folder && files && members ? 0 : ERR_NOMEM;
    code = code ? code : collect(&at, files, &n_files, members, &n_members, err);
    if (!code) {
        struct ifurun_options own = *o;
        own.members = members;
        own.n_members = n_members;
        code = ifurun_make_job(&own, a->recipe, files, n_files, &job, err);
    }
    if (!code) {
        free(job.id);
        job.id = mem_printf(err, "%s-%s-1", a->recipe, p->name);
        job.product_name = mem_strdup(p->name, err);
        code = job.id && job.product_name ? 0 : ERR_NOMEM;
    }
    for (size_t i = 0; i < n_files; i++) {
        free(files[i]);
    }
    for (size_t i = 0; i < n_members; i++) {
        free(members[i].path);
        free(members[i].role);
    }
    free(files);
    free(members);
    free(at.folder);
    if (code) {
        job_done(&job);
    } else {
        *ret = job;
    }
    return code;
}
