#ifndef IFUD_TESTS_POISON_CHILD_H
#define IFUD_TESTS_POISON_CHILD_H

/*
 * Poison for the programs that a test starts from now on (tests/fault/poison.c): pairs as
 * "segv=00003_nrs1_cal,abort=...", NULL for none. Memory bombs stop at `bomb_mb`.
 */
void poison_child_set(const char *pairs, int bomb_mb);

#endif
