#ifndef IFUD_TESTS_FAULT_TREE_H
#define IFUD_TESTS_FAULT_TREE_H

/*
 * Folders as a whole: copied, removed, and listed with the hash of each file. Any
 * failure ends the test.
 */
void tree_copy(const char *from, const char *to); /* `to` must not be there */
void tree_remove(const char *path);               /* fine if it is not there */

/* Lines "path SHA-256\n" of all files below, sorted, paths relative; free it. */
char *tree_list(const char *path);

#endif
