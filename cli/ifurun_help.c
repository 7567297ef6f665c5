#include <string.h>

#include "cli/ifurun_commands.h"
#include "stages/recipe.h"

void ifurun_print_usage(FILE *out)
{
    fputs(
        "usage: ifurun RECIPE [OPTION]... FILE...   run a recipe, without the daemon\n"
        "       ifurun RECIPE [OPTION]... X_asn.json...  the products of "
        "associations,\n"
        "                                           whose members lie beside them\n"
        "       ifurun MANIFEST.json [--threads N] [--reuse]   run a job as its "
        "manifest\n"
        "                                           says\n"
        "       ifurun refs [OPTION]... EXPOSURE    which references suit, and why\n"
        "       ifurun wcs [OPTION]... EXPOSURE     lines `x y` (0-based pixels) from\n"
        "                                           standard input to\n"
        "                                           `x y slice ra dec wavelength`\n"
        "       ifurun stages                       stages and their parameters\n"
        "       ifurun --help | --version\n"
        "\n"
        "recipes:\n",
        out);
    for (const struct recipe *r = recipes; r->name; r++) {
        fprintf(out, "  %-22s %s\n", r->name, r->summary);
    }
    fputs(
        "\n"
        "options:\n"
        "  --references DIR       reference files, any depth; default "
        "$IFUD_REFERENCES,\n"
        "                         else as the next two say\n"
        "  --crds-path DIR        a CRDS cache whose rules choose; default $CRDS_PATH "
        "(without\n"
        "                         a context: its folder references)\n"
        "  --crds-context NAME    jwst_NNNN.pmap, or latest; default $CRDS_CONTEXT, "
        "else the\n"
        "                         newest that the cache knows of\n"
        "  --output DIR           where products go; default the working folder\n"
        "  --set STAGE.NAME=VALUE a parameter; also STAGE.skip=true and\n"
        "                         STAGE.override_<type>=FILE; none is None, lists "
        "are a,b\n"
        "  --imprint FILE         leakage exposure to be taken off (spec2; repeat it)\n"
        "  --background FILE      spec2: exposure to be taken off, nods may name each\n"
        "                         other; spec3: its spectrum (_x1d) (repeat it)\n"
        "  --save STAGE           write what this stage makes too\n"
        "  --stop-after STAGE     write what this stage makes, and end there\n"
        "  --reuse                go on from products of DIR that this run would make\n"
        "                         as they are; also with a manifest\n"
        "  --threads N            default: the number of cores\n"
        "  --timings FILE         add a line of JSON: seconds of each stage\n"
        "  --limit-memory-mb N    end when it needs more than this\n"
        "  --limit-cpu-seconds N  end by SIGXCPU after this much CPU time\n"
        "  --limit-file-mb N      end by SIGXFSZ when a file grows beyond this\n"
        "  --report-fd N          with a manifest: pin its references, tell progress,\n"
        "                         products and the end as lines of JSON on this\n"
        "                         descriptor, and die with the process that reads it\n"
        "\n"
        "Exit codes: 0 done, 1 failed, 2 usage.\n",
        out);
}

static const char *type_name(const struct param *p)
{
    static const char *const names[] = {"true/false", "whole number", "number", "text",
                                        "list"};
    return p->choices ? p->choices : names[p->type];
}

static void print_stage(FILE *out, const struct recipe_step *step)
{
    const struct stage *s = step->stage;
    if (!s) {
        fprintf(out, "  %s: not built yet (skip=true is accepted)\n", step->name);
        return;
    }
    fprintf(out, "  %s: %s%s\n", step->name, s->summary,
            step->flags & STEP_OFF ? " (only with skip=false)" : "");
    if (s->reference_types[0]) {
        fputs("    references:", out);
        for (const char *const *t = s->reference_types; *t; t++) {
            fprintf(out, " %s", *t);
        }
        fputc('\n', out);
    }
    for (size_t i = 0; i < s->n_params; i++) {
        const struct param *p = &s->params[i];
        fprintf(out, "    %-22s %-10s %s [%s%s%s]\n", p->name,
                *p->fallback ? p->fallback : "\"\"", p->doc, type_name(p),
                p->unit && *p->unit ? ", " : "", p->unit ? p->unit : "");
    }
}

void ifurun_print_stages(FILE *out)
{
    fputs("Each stage: name and what it does, the references it reads, and its\n"
          "parameters with default, meaning [type, unit].\n",
          out);
    for (const struct recipe *r = recipes; r->name; r++) {
        fprintf(out, "\n%s: %s\n", r->name, r->summary);
        for (int i = 0; i < r->n_steps; i++) {
            print_stage(out, &r->steps[i]);
        }
    }
}
