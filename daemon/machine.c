#include "daemon/machine.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "Key:   123 kB" of a file of /proc, in bytes; 0 if it is not there. */
static int64_t field(const char *path, const char *key)
{
    char line[256];
    int64_t found = 0;
    size_t n = strlen(key);
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        if (!strncmp(line, key, n) && line[n] == ':') {
            found = strtoll(line + n + 1, NULL, 10) * 1024;
        }
    }
    if (f) {
        fclose(f);
    }
    return found;
}

/* The number of a file that holds one ("max": no limit); 0 if there is none. */
static int64_t limit(const char *folder, const char *group)
{
    char path[PATH_MAX], line[64] = "";
    int n = snprintf(path, sizeof path, "%s%s/memory.max", folder, group);
    FILE *f = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
    if (f) {
        if (!fgets(line, sizeof line, f)) {
            *line = 0;
        }
        fclose(f);
    }
    return strtoll(line, NULL, 10);
}

/* The group of this process in the one hierarchy of version 2: "/a/b", or "" for the root.
 * False if there is none. */
static bool own_group(const char *proc, char ret[PATH_MAX])
{
    char path[PATH_MAX], line[PATH_MAX];
    bool found = false;
    int n = snprintf(path, sizeof path, "%s/self/cgroup", proc);
    FILE *f = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, "0::/", 4)) {
            line[strcspn(line, "\n")] = 0;
            snprintf(ret, PATH_MAX, "%s", line[4] ? line + 3 : "");
            found = true;
        }
    }
    if (f) {
        fclose(f);
    }
    return found;
}

int64_t machine_memory(const char *proc, const char *cgroup)
{
    char path[PATH_MAX], group[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/meminfo", proc);
    int64_t least = n > 0 && (size_t)n < sizeof path ? field(path, "MemTotal") : 0;
    for (char *up = own_group(proc, group) ? group + strlen(group) : NULL; up;
         up = strrchr(group, '/')) {
        *up = 0;
        int64_t here = limit(cgroup, group);
        least = here > 0 && (least == 0 || here < least) ? here : least;
    }
    return least;
}

int machine_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 0 : CPU_COUNT(&set);
    long all = n > 0 ? n : sysconf(_SC_NPROCESSORS_ONLN);
    return all < 1 ? 1 : all > INT_MAX ? INT_MAX : (int)all;
}

int64_t machine_resident(void)
{
    return field("/proc/self/status", "VmRSS");
}

int64_t machine_peak(void)
{
    return field("/proc/self/status", "VmHWM");
}

bool machine_reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, "5", 1) == 1;
    if (fd >= 0) {
        close(fd);
    }
    return done;
}
