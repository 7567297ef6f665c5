#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "daemon/machine.h"
#include "tests/support.h"

static char *top;

static void setup(void)
{
    top = support_folder();
    ck_assert_int_eq(mkdir(support_path(top, "self"), 0700), 0);
    ck_assert_int_eq(mkdir(support_path(top, "groups"), 0700), 0);
    ck_assert_int_eq(mkdir(support_path(top, "groups/a.slice"), 0700), 0);
    ck_assert_int_eq(mkdir(support_path(top, "groups/a.slice/b.service"), 0700), 0);
}

static void teardown(void)
{
    support_remove(top);
}

static void put(const char *name, const char *text)
{
    support_write_file(support_path(top, name), text, strlen(text));
}

static int64_t memory(void)
{
    return machine_memory(top, support_path(top, "groups"));
}

START_TEST(test_machine_memory_is_the_least_that_is_said)
{
    ck_assert_int_eq(memory(), 0);
    put("meminfo", "MemTotal:       16000000 kB\nMemFree:  5 kB\n");
    ck_assert_int_eq(memory(), (int64_t)16000000 * 1024);
    put("self/cgroup", "0::/a.slice/b.service\n");
    ck_assert_int_eq(memory(), (int64_t)16000000 * 1024);
    put("groups/a.slice/b.service/memory.max", "max\n");
    ck_assert_int_eq(memory(), (int64_t)16000000 * 1024);
    put("groups/a.slice/b.service/memory.max", "4000000000\n");
    ck_assert_int_eq(memory(), 4000000000);
    put("groups/a.slice/memory.max", "3000000000\n"); /* the one that holds it */
    ck_assert_int_eq(memory(), 3000000000);
    put("groups/memory.max", "2000000000\n"); /* a container's own root */
    ck_assert_int_eq(memory(), 2000000000);
    put("self/cgroup", "12:pids:/x\n0::/\n");
    ck_assert_int_eq(memory(), 2000000000);
    put("self/cgroup", "5:memory:/a.slice\n"); /* version 1 has no such file */
    ck_assert_int_eq(memory(), (int64_t)16000000 * 1024);
}
END_TEST

START_TEST(test_machine_of_this_process)
{
    enum { MUCH = 64 << 20 };
    ck_assert_int_ge(machine_cores(), 1);
    ck_assert_int_gt(machine_memory("/proc", "/sys/fs/cgroup"), MUCH);
    void *mapped = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0); /* goes back at once */
    ck_assert_ptr_ne(mapped, MAP_FAILED);
    volatile char *const block = mapped; /* volatile: it is really written */
    for (size_t i = 0; i < MUCH; i += 512) {
        block[i] = 1;
    }
    ck_assert_int_ge(machine_resident(), MUCH);
    ck_assert_int_ge(machine_peak(), machine_resident() / 2);
    munmap(mapped, MUCH);
    int64_t before = machine_peak();
    if (machine_reset_peak()) {
        ck_assert_int_lt(machine_peak(), before);
    } else {
        ck_assert_int_ge(machine_peak(), before);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("machine");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_machine_memory_is_the_least_that_is_said);
    tcase_add_test(t, test_machine_of_this_process);
    suite_add_tcase(s, t);
    return support_run(s);
}
