#include "daemon/inbox_clear.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/path.h"
#include "daemon/inbox.h"

bool inbox_is_temporary(const char *name)
{
    static const char *const endings[] = {
        "~", ".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp", ".lock"};
    size_t n = strlen(name);
    if (name[0] == '.' || name[0] == '#' || n == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t m = strlen(endings[i]);
        if (n > m && !strcmp(name + n - m, endings[i])) {
            return true;
        }
    }
    return false;
}

void inbox_name_back(int dir, const char *name)
{
    const char *old = name + strlen(INBOX_TAKEN_PREFIX);
    if (*old && renameat2(dir, name, dir, old, RENAME_NOREPLACE) && errno == EEXIST) {
        char other[NAME_MAX + 1];
        for (int i = 1; i < 100; i++) {
            snprintf(other, sizeof other, "%d-%.240s", i, old);
            if (renameat2(dir, name, dir, other, RENAME_NOREPLACE) == 0 ||
                errno != EEXIST) {
                return;
            }
        }
    }
}

int inbox_name_clear(int dir, const char *name, const struct stat *st, struct err *err)
{
    char taken[NAME_MAX + 1];
    struct stat is;
    int n = snprintf(taken, sizeof taken, INBOX_TAKEN_PREFIX "%s", name);
    if (fstatat(dir, name, &is, AT_SYMLINK_NOFOLLOW)) {
        return 0;
    }
    if (!path_same_file(&is, st)) {
        return err_set(err, ERR_INPUT, "%s is another file now", name);
    }
    if (n >= (int)sizeof taken || renameat(dir, name, dir, taken)) {
        return err_set(err, ERR_IO, "cannot remove %s from the inbox: %s", name,
                       n >= (int)sizeof taken ? "its name is too long"
                                              : strerror(errno));
    }
    if (fstatat(dir, taken, &is, AT_SYMLINK_NOFOLLOW) == 0 &&
        !path_same_file(&is, st)) {
        inbox_name_back(dir, taken);
        return err_set(err, ERR_INPUT, "%s is another file now", name);
    }
    if (unlinkat(dir, taken, 0)) {
        int code = err_set(err, ERR_IO, "cannot remove %s from the inbox: %s", name,
                           strerror(errno));
        inbox_name_back(dir, taken);
        return code;
    }
    return 0;
}
