#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/base/sha256.h"
#include "common/data/cube_io.h"
#include "common/data/exposure_io.h"
#include "common/data/spectrum_io.h"
#include "jobs/job_context.h"
#include "jobs/job_difference.h"
#include "jobs/quicklook.h"
#include "jobs/quicklook_combined.h"
#include "jobs/quicklook_difference.h"

int job_set_status(const struct job_context *c, struct header *primary, struct err *err)
{
    int code = 0;
    for (int i = 0; i <= c->step && !code; i++) {
        const struct recipe_step *step = &c->plan.recipe->steps[i];
        if (step->flags & STEP_ON_OPEN) {
            continue; /* it stands in the header as the product that was read has it */
        }
        const bool done = job_plan_runs(&c->plan, i) && !(c->idle >> i & 1);
        code = header_set_string(primary, step->status_keyword,
                                 done ? "COMPLETE" : "SKIPPED", step->title, err);
    }
    return code;
}

/* One more of the result's. *ret_p: its path and suffix are set. */
static int add_row(struct job_context *c, const char *path, const char *suffix,
                   struct job_product **ret_p, struct err *err)
{
    struct job_result *r = c->result;
    struct job_product *grown =
        mem_realloc(r->products, r->n_products + 1, sizeof *grown, err);
    if (!grown) {
        return ERR_NOMEM;
    }
    r->products = grown;
    struct job_product *p = &grown[r->n_products];
    *p = (struct job_product){0};
    p->path = mem_strdup(path, err);
    if (!p->path) {
        return ERR_NOMEM;
    }
    r->n_products++;
    strncpy(p->suffix, suffix, sizeof p->suffix - 1);
    *ret_p = p;
    return 0;
}

/* Remember a part that is written; its path is where it will appear. */
static int add_product(struct job_context *c, const struct publish *part,
                       const char *suffix, struct err *err)
{
    struct job_product *p = NULL;
    uint64_t bytes = 0;
    int code = add_row(c, part->final_path, suffix, &p, err);
    code = code ? code : sha256_file(part->part_path, p->sha256, &bytes, err);
    if (!code) {
        p->bytes = bytes;
    }
    return code;
}

int job_keep_product(struct job_context *c, const char *path, const char *suffix,
                     const char *sha256, struct err *err)
{
    struct job_product *p = NULL;
    struct stat st;
    if (stat(path, &st)) {
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    int code = add_row(c, path, suffix, &p, err);
    if (!code) {
        memcpy(p->sha256, sha256, sizeof p->sha256);
        p->bytes = (size_t)st.st_size;
    }
    return code;
}

/* The manifest goes first: no product stands there without one. */
static int write_manifest(struct job_context *c, struct err *err)
{
    if (c->set.n) {
        return 0;
    }
    char *name = mem_printf(err, "%s_%s_manifest.json", c->base, c->plan.recipe->name);
    int code =
        name ? publish_set_bytes(&c->set, c->job->output_folder, name, c->job->attempt,
                                 c->manifest, strlen(c->manifest), err)
             : ERR_NOMEM;
    free(name);
    return code;
}

enum kind { EXPOSURE, CUBE, SPECTRUM, PLANES, PICTURE, DIFFERENCE, COMBINED };

/* Write one file beside its place, to the disk. */
static int write_named(struct job_context *c, enum kind kind, const void *what,
                       const char *base, const char *suffix, struct err *err)
{
    size_t i = 0;
    char *name =
        mem_printf(err, "%s_%s.%s", base, suffix, kind >= PICTURE ? "png" : "fits");
    int code = name ? write_manifest(c, err) : ERR_NOMEM;
    if (!code) {
        code = publish_set_begin(&c->set, c->job->output_folder, name, c->job->attempt,
                                 &i, err);
    }
    const char *path = code ? NULL : c->set.parts[i].part_path;
    if (!code && kind == EXPOSURE) {
        code = exposure_write(what, path, name, &c->provenance, err);
    } else if (!code && kind == CUBE) {
        code = cube_write(what, path, name, &c->provenance, err);
    } else if (!code && kind == SPECTRUM) {
        code = spectrum_write(what, path, name, &c->provenance, err);
    } else if (!code && kind == PLANES) {
        code = plane_set_write(what, path, name, &c->provenance, err);
    } else if (!code && kind == DIFFERENCE) {
        code = quicklook_difference_write(what, path, err);
    } else if (!code && kind == COMBINED) {
        code = quicklook_combined_write(what, path, err);
    } else if (!code) {
        code = quicklook_write(c->data.cube, c->data.spectrum, path, err);
    }
    code = code ? code : publish_set_sync(&c->set, i, err);
    code = code ? code : add_product(c, &c->set.parts[i], suffix, err);
    free(name);
    return code;
}

static int write_product(struct job_context *c, enum kind kind, const void *what,
                         const char *suffix, struct err *err)
{
    return write_named(c, kind, what, c->base, suffix, err);
}

static bool is_combine(const struct job_context *c)
{
    return !strcmp(c->plan.recipe->name, RECIPE_COMBINE);
}

/* What the name of the recipe's spectrum ends in. */
static const char *spectrum_end(const struct job_context *c)
{
    return is_combine(c) ? "_c1d.fits" : "_x1d.fits";
}

/* Of the spectrum that is about to be replaced: its path, or NULL. The caller frees. */
static char *find_replaced(const struct job_context *c, struct err *err)
{
    for (size_t i = 0; i < c->set.n && c->data.spectrum; i++) {
        const char *path = c->set.parts[i].final_path;
        if (path_has_suffix(path, spectrum_end(c))) {
            path = c->job->replaces ? c->job->replaces : path;
            return access(path, F_OK) ? NULL : mem_strdup(path, err);
        }
    }
    return NULL;
}

/* The job that made a spectrum, from the manifest beside it; false: none is there. */
static bool read_maker(const struct job_context *c, const char *spectrum,
                       struct job *ret)
{
    struct err none = {0};
    const char *end = spectrum_end(c);
    if (!path_has_suffix(spectrum, end)) {
        return false;
    }
    const size_t base = strlen(spectrum) - strlen(end);
    char *path = mem_printf(&none, "%.*s_%s_manifest.json", (int)base, spectrum,
                            c->plan.recipe->name);
    bool found = path && !job_read(path, ret, &none);
    free(path);
    return found;
}

static int write_difference(struct job_context *c, const struct spectrum *old,
                            const char *old_path, struct err *err)
{
    struct job maker = {0};
    const struct spectrum *new = c->data.spectrum;
    struct quicklook_difference p = {
        .was = {.spectrum = old, .name = "version before", .date = ""},
        .is = {new, c->job->id, c->job->date, c->job->n_inputs},
        .file = c->base,
        .numbers = c->result->difference};
    header_get_string(&old->primary, "DATE", &p.was.date);
    if (read_maker(c, old_path, &maker)) {
        p.was = (struct quicklook_version){old, maker.id, maker.date, maker.n_inputs};
    }
    int code = write_product(c, DIFFERENCE, &p, "difference", err);
    job_done(&maker);
    return code;
}

/* The version before against the new one: in numbers and as a picture. */
static int compare_spectra(struct job_context *c, struct err *err)
{
    struct spectrum *old = NULL;
    struct err none = {0};
    char line[400], *path = find_replaced(c, err);
    int code = 0;
    if (path && !(is_combine(c) ? spectrum_read_combined(path, &old, &none)
                                : spectrum_read(path, &old, &none))) {
        /* else: none that can be read */
        code = job_difference(old, c->data.spectrum, &c->result->difference, err);
        code = code ? code : write_difference(c, old, path, err);
        job_difference_text(&c->result->difference, line, sizeof line);
        if (!code && c->events && c->events->note) {
            c->events->note(c->events->user, 0, "difference", line);
        }
    }
    spectrum_free(old);
    free(path);
    return code;
}

int job_publish(struct job_context *c, struct err *err)
{
    int code = compare_spectra(c, err);
    code = code || !c->set.n ? code : job_write_list(c, err);
    return code ? code : publish_set_commit(&c->set, err);
}

int job_write_exposure(struct job_context *c, struct exposure *e, const char *suffix,
                       struct err *err)
{
    int code = job_set_status(c, &e->primary, err);
    return code ? code : write_product(c, EXPOSURE, e, suffix, err);
}

/* "o001" of jw01234-o001_target_nirspec_...; any other name is taken whole. */
static char *group_of(const char *base, struct err *err)
{
    const char *dash = strchr(base, '-'), *end = dash ? strchr(dash, '_') : NULL;
    if (strncmp(base, "jw", 2) || !end || end == dash + 1 ||
        strspn(base + 2, "0123456789") != (size_t)(dash - base) - 2) {
        return mem_strdup(base, err);
    }
    return mem_strndup(dash + 1, (size_t)(end - dash) - 1, err);
}

/* "jw..._nrs1_o001" of an exposure's file in a group. The caller frees. */
static char *base_of_exposure(const char *path, const char *group, struct err *err)
{
    char *exposure = job_input_base(path, err);
    char *base = exposure ? mem_printf(err, "%s_%s", exposure, group) : NULL;
    free(exposure);
    return base;
}

int job_write_planes(struct job_context *c, const char *exposure, struct plane_set *p,
                     const char *suffix, struct err *err)
{
    char *group = group_of(c->base, err);
    char *base = group ? base_of_exposure(exposure, group, err) : NULL;
    int code = base ? job_set_status(c, &p->primary, err) : ERR_NOMEM;
    code = code ? code : write_named(c, PLANES, p, base, suffix, err);
    free(base);
    free(group);
    return code;
}

static int write_opened(struct job_context *c, size_t i, const char *group,
                        const char *suffix, struct err *err)
{
    struct exposure *e = NULL;
    char *base = base_of_exposure(c->job->inputs[i].path, group, err);
    int code = base ? dataset_open(&c->data, i, true, &e, err) : ERR_NOMEM;
    if (!code) {
        code = job_set_status(c, &e->primary, err);
        code = code ? code : write_named(c, EXPOSURE, e, base, suffix, err);
        dataset_close(&c->data, i, e);
    }
    free(base);
    return code;
}

int job_write_opened(struct job_context *c, const char *suffix, struct err *err)
{
    char *group = group_of(c->base, err);
    int code = group ? 0 : ERR_NOMEM;
    c->whole = true;
    for (size_t i = 0; i < c->data.source->n && !code; i++) {
        code = c->cancel && atomic_load(c->cancel)
                   ? err_set(err, ERR_CANCELLED, "stopped while exposures were written")
                   : write_opened(c, i, group, suffix, err);
    }
    c->whole = false;
    free(group);
    return code;
}

int job_write_cube(struct job_context *c, const char *suffix, struct err *err)
{
    struct cube *cube = c->data.cube;
    int code = job_set_status(c, &cube->primary, err);
    snprintf(cube->filename, sizeof cube->filename, "%s_%s.fits", c->base, suffix);
    return code ? code : write_product(c, CUBE, cube, suffix, err);
}

int job_write_spectrum(struct job_context *c, const char *suffix, struct err *err)
{
    int code = job_set_status(c, &c->data.spectrum->primary, err);
    code = code ? code : write_product(c, SPECTRUM, c->data.spectrum, suffix, err);
    if (!code && c->data.cube) { /* the picture shows both, under the cube's name */
        code = write_product(c, PICTURE, NULL, "quicklook", err);
    } else if (!code && is_combine(c)) {
        char *file = mem_printf(err, "%s_%s.fits", c->base, suffix);
        const struct quicklook_combined q = {c->data.spectrum, c->data.spectra,
                                             c->data.n_spectra, file};
        code = file ? write_product(c, COMBINED, &q, "quicklook", err) : ERR_NOMEM;
        free(file);
    }
    return code;
}

int job_write_kept_spectrum(struct job_context *c, struct spectrum *s,
                            const char *suffix, struct err *err)
{
    int code = job_set_status(c, &s->primary, err);
    return code ? code : write_product(c, SPECTRUM, s, suffix, err);
}
