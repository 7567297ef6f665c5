#include "jobs/quicklook.h"

#include <stdio.h>
#include <string.h>
#include "jobs/quicklook_image.h"
#include "jobs/quicklook_plot.h"
#include "jobs/quicklook_spectrum.h"

static void draw_title(cairo_t *cr, const struct cube *c, const struct spectrum *s)
{
    const struct exposure_meta *m = &c->meta;
    const char *name = c->filename[0] ? c->filename : s ? s->filename : "";
    const char *detector;
    if (!header_get_string(&c->primary, "DETECTOR", &detector)) {
        detector = m->detector;
    }
    char text[512];
    plot_colour(cr, plot_ink, 1.0);
    double width =
        plot_text_fit(cr, 40.0, 58.0, 30.0, 800.0, true,
                      m->target_name[0] ? m->target_name : "(no target name)");
    snprintf(text, sizeof text, "NIRSpec IFU  %s/%s  %s   %d exposure%s", m->grating,
             m->filter, strcmp(detector, "MULTIPLE") ? detector : "NRS1+NRS2",
             c->n_exposures, c->n_exposures == 1 ? "" : "s");
    plot_text_fit(cr, 40.0 + width + 26.0, 58.0, 20.0, 1494.0 - width, false, text);
    plot_colour(cr, plot_faint, 1.0);
    snprintf(text, sizeof text, "%s   observed %s %.8s UTC", name, m->date_obs,
             m->time_obs);
    plot_text_fit(cr, 40.0, 88.0, 15.0, 1520.0, false, text);
    plot_colour(cr, plot_ink, 0.15);
    cairo_rectangle(cr, 40.0, 104.0, QUICKLOOK_WIDTH - 80.0, 1.0);
    cairo_fill(cr);
    plot_colour(cr, plot_faint, 1.0);
    snprintf(text, sizeof text, "%d × %d spaxels of %.3f″, %d wavelengths   %s", c->nx,
             c->ny, c->cdelt2 * 3600.0, c->nw, c->weighting);
    plot_text(cr, 40.0, QUICKLOOK_HEIGHT - 22.0, 13.0, false, TEXT_LEFT, false, text);
    plot_text(cr, QUICKLOOK_WIDTH - 40.0, QUICKLOOK_HEIGHT - 22.0, 13.0, false,
              TEXT_RIGHT, false, "ifud " IFUD_VERSION);
}

struct shown {
    const struct cube *c;
    const struct spectrum *s;
};

static int draw(cairo_t *cr, const void *what, struct err *err)
{
    const struct shown *shown = what;
    const struct cube *c = shown->c;
    const struct spectrum *s = shown->s;
    plot_colour(cr, plot_paper, 1.0);
    cairo_paint(cr);
    draw_title(cr, c, s);
    int code = quicklook_image_draw(cr, c, s, err);
    if (!code && s && s->n > 0) {
        code = quicklook_spectrum_draw(cr, s, err);
    }
    return code;
}

int quicklook_write(const struct cube *c, const struct spectrum *s, const char *path,
                    struct err *err)
{
    const struct shown shown = {c, s};
    return plot_picture(draw, &shown, path, err);
}
