#include "config/reload.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "config/check.h"

/* "a" and "b" give "a, b". */
static int add_name(char **list, const char *name, struct err *err)
{
    char *longer = mem_printf(err, "%s%s%s", *list, **list ? ", " : "", name);
    if (!longer) {
        return ERR_NOMEM;
    }
    free(*list);
    *list = longer;
    return 0;
}

int config_merge(const struct config *now, const struct config *fresh,
                 struct config **ret, char **ret_changed, char **ret_restart,
                 struct err *err)
{
    char *changed = mem_strdup("", err), *restart = mem_strdup("", err);
    struct config *c = mem_calloc(1, sizeof *c, err);
    int code = changed && restart && c ? 0 : ERR_NOMEM;
    code = code ? code : params_new(config_table, config_table_n, &c->values, err);
    if (!code && !(c->path = mem_strdup(fresh->path, err))) {
        code = ERR_NOMEM;
    }
    for (size_t i = 0; i < config_table_n && !code; i++) {
        const struct param *p = &config_table[i];
        const char *old = params_text(now->values, p->name);
        const char *new = params_text(fresh->values, p->name);
        bool live = config_is_live(p->name);
        if (strcmp(old, new) != 0) {
            code = add_name(live ? &changed : &restart, p->name, err);
        }
        code = code ? code : params_set(c->values, p->name, live ? new : old, err);
    }
    code = code ? code : config_check(c, err);
    if (code) {
        config_free(c);
        free(changed);
        free(restart);
        return code;
    }
    *ret = c;
    *ret_changed = changed;
    *ret_restart = restart;
    return 0;
}
