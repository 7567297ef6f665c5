#ifndef IFUD_TESTS_DAEMON_KILLING_VFS_H
#define IFUD_TESTS_DAEMON_KILLING_VFS_H

/*
 * From now on the n-th write, sync, truncation or deletion of SQLite in this process ends
 * it with status 9: a write after half of its bytes. For a child that is to die.
 */
void killing_vfs_install(long n);

#endif
