#include <string.h>

#include "cli/ctl_text.h"

void ctl_print_stale_since(FILE *out, const json_t *sum)
{
    char at[32];
    if (json_is_true(json_object_get(sum, "looking"))) {
        fprintf(out, "all products are being looked at; ask again\n");
    } else if (json_is_number(json_object_get(sum, "looked_at"))) {
        ctl_stamp(ctl_number(sum, "looked_at"), at);
        fprintf(out, "as of %s UTC\n", at);
    } else {
        fprintf(out, "nothing has been looked at yet\n");
    }
}

void ctl_print_stale(FILE *out, const json_t *answer, bool names_only)
{
    size_t i;
    const json_t *s, *list = json_object_get(answer, "stale");
    json_array_foreach(list, i, s)
    {
        ctl_print_safe(out, ctl_text(s, "job"));
        if (!names_only) {
            const char *step = ctl_text(s, "step");
            fprintf(out, "%s%s\n    ", strcmp(step, "inputs") ? "  from " : "",
                    strcmp(step, "inputs") ? step : "");
            ctl_print_safe(out, ctl_text(s, "why"));
        }
        fputc('\n', out);
    }
    if (names_only) {
        return;
    }
    if (json_array_size(list)) {
        fprintf(out,
                "\n%zu job%s; ifuctl reduce --stale JOB|GROUP or --all makes new "
                "versions; ",
                json_array_size(list), ctl_plural((long)json_array_size(list)));
    } else {
        fprintf(out, "nothing is stale; ");
    }
    ctl_print_stale_since(out, answer);
}

void ctl_print_reduced(FILE *out, const json_t *answer)
{
    size_t i;
    const json_t *q, *list = json_object_get(answer, "queued");
    long refused = ctl_whole(answer, "refused");
    json_array_foreach(list, i, q)
    {
        ctl_print_safe(out, ctl_text(q, "job"));
        fprintf(out, " takes the place of ");
        ctl_print_safe(out, ctl_text(q, "instead_of"));
        fputc('\n', out);
    }
    if (refused) {
        fprintf(out,
                "%ld job%s left: the copy of the exposure is gone from the spool\n",
                refused, ctl_plural(refused));
    }
    if (!json_array_size(list) && !refused) {
        fprintf(out, "nothing of that is stale\n");
    }
    if (json_is_true(json_object_get(answer, "looking"))) {
        fprintf(out,
                "all products are being looked at; ask again for those that turn out "
                "to be stale\n");
    }
}
