#ifndef IFUD_STAGES_CUBE_ROOM_H
#define IFUD_STAGES_CUBE_ROOM_H

#include <stdbool.h>
#include "common/base/params.h"
#include "common/data/cube.h"
#include "stages/cube_geometry.h"

/*
 * Room for a cube: in memory, beyond max_memory in a file (common/data/cube_file.h), and
 * beyond max_file not at all.
 * Ownership: the cube is the caller's. Thread: that of the stage.
 * Test: tests/stages/test_cube_build.c
 */
struct cube_room {
    const struct cube_grid *grid;
    bool shared;        /* with var_background */
    bool slicer;        /* for messages: of cells, not spaxels */
    const char *folder; /* for the file; NULL: memory alone */
};

/*
 * Returned: *ret an empty cube; *ret_planes: how many of its planes may be made at a time
 * Errors:   ERR_PARAM: it is too large, and what would fit; ERR_IO: the disk is too small
 */
int cube_room_make(const struct cube_room *room, const struct params *params,
                   struct cube **ret, int *ret_planes, struct err *err);

#endif
