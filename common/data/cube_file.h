#ifndef IFUD_DATA_CUBE_FILE_H
#define IFUD_DATA_CUBE_FILE_H

#include <stdbool.h>
#include "common/data/cube.h"

/*
 * A cube that is larger than memory should be: its planes lie in a file without a name,
 * mapped, which goes with the cube or with the process. Memory holds the planes that are
 * being worked on, and gives them up when cube_rest is told so.
 * Ownership: cube_free. Thread: as struct cube; cube_rest any, also while others work on
 * the same planes (they come back from the file).
 * Test: tests/data/test_cube_file.c
 */

/*
 * A cube with planes of zeros, and var_background if `shared`. The file takes its room in
 * `folder` at once.
 * Errors: ERR_IO: the folder's disk has not the room of the file and, beside it, of the
 * product that is made of it, or refuses.
 */
int cube_new_in_file(int nx, int ny, int nw, bool shared, const char *folder,
                     struct cube **ret, struct err *err);

/* Planes k0..k1-1 may leave memory for now; nothing happens to a cube that has no file. */
void cube_rest(const struct cube *c, int k0, int k1);

#endif
