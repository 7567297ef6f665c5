#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/path.h"
#include "jobs/job_resume.h"

/* The list of what a run published, so that a later one can tell whether it is still that. */

#define FORMAT 1

static char *list_name(const char *base, const char *recipe, struct err *err)
{
    return mem_printf(err, "%s_%s_products.json", base, recipe);
}

int job_write_list(struct job_context *c, struct err *err)
{
    const struct job_result *r = c->result;
    json_t *products = json_array();
    for (size_t i = 0; i < r->n_products; i++) {
        const struct job_product *p = &r->products[i];
        json_array_append_new(
            products, json_pack("{s:s, s:s, s:I}", "name", path_base(p->path), "sha256",
                                p->sha256, "bytes", (json_int_t)p->bytes));
    }
    json_t *root =
        json_pack("{s:i, s:o}", "ifud_products", FORMAT, "products", products);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    char *name = list_name(c->base, c->plan.recipe->name, err);
    int code = text && name
                   ? publish_set_bytes(&c->set, c->job->output_folder, name,
                                       c->job->attempt, text, strlen(text), err)
                   : err_set(err, ERR_NOMEM, "no memory for the list of products");
    json_decref(root);
    free(text);
    free(name);
    return code;
}

static bool is_hash(const char *text)
{
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static int take(struct job *job, const char *path, const json_t *products,
                struct err *err)
{
    size_t i;
    const json_t *product;
    job->reuse = mem_calloc(json_array_size(products), sizeof *job->reuse, err);
    int code = job->reuse ? 0 : ERR_NOMEM;
    json_array_foreach(products, i, product)
    {
        const char *name = json_string_value(json_object_get(product, "name"));
        const char *hash = json_string_value(json_object_get(product, "sha256"));
        if (code) {
            break;
        }
        if (!name || !path_is_safe_name(name) || !is_hash(hash)) {
            code =
                err_set(err, ERR_INPUT,
                        "%s: product %zu has no plain name or no SHA-256", path, i + 1);
            break;
        }
        struct job_input *file = &job->reuse[job->n_reuse];
        memcpy(file->sha256, hash, sizeof file->sha256);
        file->path = path_join(job->output_folder, name, err);
        code = file->path ? 0 : ERR_NOMEM;
        job->n_reuse += !code;
    }
    return code;
}

int job_reuse_published(struct job *job, struct err *err)
{
    char *base = job->product_name ? mem_strdup(job->product_name, err)
                                   : job_input_base(job->inputs[0].path, err);
    char *name = base ? list_name(base, job->recipe, err) : NULL;
    char *path = name ? path_join(job->output_folder, name, err) : NULL;
    int code = path ? 0 : ERR_NOMEM;
    if (!code && access(path, F_OK) == 0) {
        json_error_t at;
        json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &at);
        const json_t *products = json_object_get(root, "products");
        if (json_integer_value(json_object_get(root, "ifud_products")) != FORMAT ||
            !json_is_array(products)) {
            code =
                err_set(err, ERR_INPUT, "%s is no list of products (ifud_products %d)",
                        path, FORMAT);
        } else {
            code = take(job, path, products, err);
        }
        json_decref(root);
    }
    free(base);
    free(name);
    free(path);
    return code;
}
