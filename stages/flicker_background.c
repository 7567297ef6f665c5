#include <stdlib.h>

#include "common/base/mem.h"
#include "common/math/robust.h"
#include "stages/flicker.h"

int flicker_background(struct flicker *f, struct err *err)
{
    const size_t n = exposure_pixels(f->exposure);
    size_t used = 0;
    int code = flicker_clip(f->image, f->mask, n, 3, 3, true, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n; i++) {
        if (f->mask[i]) {
            f->noise[used++] = f->image[i];
        }
    }
    f->level = used ? robust_median(f->noise, used) : 0;
    for (size_t i = 0; i < n; i++) {
        f->image[i] -= f->level;
    }
    return 0;
}
