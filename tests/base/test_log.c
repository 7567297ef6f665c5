#include <check.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/base/journal.h"
#include "common/base/log.h"
#include "tests/support.h"

#define ID "0123456789abcdef0123456789abcdef"

static char *folder;

static void setup(void)
{
    folder = support_folder();
}

static void teardown(void)
{
    log_close_file();
    support_remove(folder);
}

/* The value of a field of a datagram, read as the protocol says; NULL if it is not there.
 * Aborts on what is no such datagram. */
static const char *field(const char *bytes, size_t n, const char *key, size_t *ret_n)
{
    const char *at = bytes, *end = bytes + n;
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        ck_assert_ptr_nonnull(line);
        const char *is = memchr(at, '=', (size_t)(line - at)), *value;
        size_t k = (size_t)((is ? is : line) - at), v = 0;
        if (is) {
            value = is + 1;
            v = (size_t)(line - value);
        } else {
            ck_assert(end - line > 9);
            for (int i = 0; i < 8; i++) {
                v |= (size_t)(unsigned char)line[1 + i] << (8 * i);
            }
            value = line + 9;
            ck_assert(v < (size_t)(end - value) && value[v] == '\n');
        }
        if (strlen(key) == k && !memcmp(at, key, k)) {
            *ret_n = v;
            return value;
        }
        at = value + v + 1;
    }
    return NULL;
}

static void has(const char *bytes, size_t n, const char *key, const char *value)
{
    size_t v = 0;
    const char *is = field(bytes, n, key, &v);
    ck_assert_msg(is != NULL, "no field %s", key);
    ck_assert_msg(v == strlen(value) && !memcmp(is, value, v), "%s is %.*s", key,
                  (int)v, is);
}

static int journal_socket(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

/* Standard error becomes a file, which JOURNAL_STREAM names. */
static void stderr_to(const char *path, bool is_journal)
{
    struct stat st;
    char stream[64];
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    close(fd);
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino + !is_journal);
    setenv("JOURNAL_STREAM", stream, 1);
}

START_TEST(test_log_line_has_time_level_message_fields)
{
    const char *path = support_path(folder, "err");
    stderr_to(path, false);
    ck_assert(!log_use_journal(NULL));
    log_event(LOG_LEVEL_WARNING, ID,
              &(struct log_fields){
                  .job = "spec2-a-1", .stage = "photom", .exposure = "a", .attempt = 2},
              "two\nlines");
    log_debug("not said");
    log_event(LOG_LEVEL_INFO, NULL, &(struct log_fields){.exposure = "b"}, "plain %d",
              7);
    log_event(LOG_LEVEL_INFO, NULL, &(struct log_fields){.job = "spec2-a-1"},
              "job spec2-a-1 done"); /* named once is enough */
    char *text = support_read_file(path, NULL);
    const char *line = strchr(text, 'Z');
    ck_assert_ptr_nonnull(line);
    ck_assert_int_eq(line - text, 23);
    const char *first =
        "Z warning two?lines job=spec2-a-1 stage=photom exposure=a attempt=2\n";
    ck_assert_msg(!strncmp(line, first, strlen(first)), "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "info    plain 7 exposure=b\n"));
    ck_assert_ptr_nonnull(strstr(text, "info    job spec2-a-1 done\n"));
    ck_assert_ptr_null(strstr(text, "not said"));
    free(text);
}
END_TEST

START_TEST(test_log_journal_gets_fields)
{
    char bytes[16384];
    const char *path = support_path(folder, "socket");
    int fd = journal_socket(path);
    stderr_to(support_path(folder, "err"), true);
    ck_assert(log_use_journal(path));
    log_event(LOG_LEVEL_ERROR, ID,
              &(struct log_fields){
                  .job = "spec2-a-1", .stage = "photom", .exposure = "a\nb=c"},
              "broken\n%s", "here");
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    ck_assert_int_gt(n, 0);
    has(bytes, (size_t)n, "MESSAGE", "broken\nhere");
    has(bytes, (size_t)n, "PRIORITY", "3");
    has(bytes, (size_t)n, "MESSAGE_ID", ID);
    has(bytes, (size_t)n, "SYSLOG_IDENTIFIER", "ifud");
    has(bytes, (size_t)n, "JOB", "spec2-a-1");
    has(bytes, (size_t)n, "STAGE", "photom");
    has(bytes, (size_t)n, "EXPOSURE", "a\nb=c");
    size_t v;
    ck_assert_ptr_null(field(bytes, (size_t)n, "ATTEMPT", &v));
    log_info("plain");
    n = recv(fd, bytes, sizeof bytes, 0);
    ck_assert_int_gt(n, 0);
    has(bytes, (size_t)n, "MESSAGE", "plain");
    has(bytes, (size_t)n, "PRIORITY", "6");
    ck_assert_ptr_null(field(bytes, (size_t)n, "MESSAGE_ID", &v));
    close(fd);
    char *text = support_read_file(support_path(folder, "err"), NULL);
    ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

START_TEST(test_log_journal_bounds_every_value)
{
    char *long_text = malloc(100001), bytes[16384];
    const char *path = support_path(folder, "socket");
    int fd = journal_socket(path);
    memset(long_text, 'x', 100000);
    long_text[100000] = 0;
    stderr_to(support_path(folder, "err"), true);
    ck_assert(log_use_journal(path));
    log_event(LOG_LEVEL_INFO, ID,
              &(struct log_fields){
                  .job = long_text, .stage = long_text, .exposure = long_text},
              "%s", long_text);
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    ck_assert(n > 0 && n <= JOURNAL_ROOM);
    size_t v = 0;
    ck_assert_ptr_nonnull(field(bytes, (size_t)n, "MESSAGE", &v));
    ck_assert_uint_eq(v, 2047);
    ck_assert_ptr_nonnull(field(bytes, (size_t)n, "EXPOSURE", &v));
    ck_assert_uint_eq(v, 512);
    close(fd);
    free(long_text);
}
END_TEST

START_TEST(test_log_without_a_journal_falls_back_to_lines)
{
    const char *path = support_path(folder, "err");
    stderr_to(path, true);
    ck_assert(log_use_journal(support_path(folder, "nobody")));
    log_event(LOG_LEVEL_WARNING, ID, &(struct log_fields){.job = "j"}, "said");
    log_signal_safe("last words");
    char *text = support_read_file(path, NULL);
    ck_assert_str_eq(text, "<4>said job=j\n<2>last words\n");
    free(text);
}
END_TEST

START_TEST(test_journal_entry_refuses_what_has_no_room)
{
    static struct journal_entry e;
    char value[1024];
    memset(value, 'v', sizeof value);
    ck_assert(!journal_add(&e, "KEY", NULL, 10));
    ck_assert(!journal_add(&e, "KEY", "", 10));
    ck_assert_uint_eq(e.n, 0);
    while (journal_add(&e, "KEY", value, sizeof value)) {
        ck_assert_uint_le(e.n, sizeof e.bytes);
    }
    size_t full = e.n;
    ck_assert_uint_gt(full, sizeof e.bytes - sizeof value - 16);
    ck_assert(!journal_add(&e, "KEY", value, sizeof value));
    ck_assert_uint_eq(e.n, full);
}
END_TEST

START_TEST(test_journal_stream_is_device_and_inode)
{
    struct stat st;
    char stream[64];
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    ck_assert(journal_is_stream(stream, STDERR_FILENO));
    ck_assert(!journal_is_stream(stream, -1));
    ck_assert(!journal_is_stream(NULL, STDERR_FILENO));
    ck_assert(!journal_is_stream("", STDERR_FILENO));
    ck_assert(!journal_is_stream("8", STDERR_FILENO));
    strcat(stream, "x");
    ck_assert(!journal_is_stream(stream, STDERR_FILENO));
}
END_TEST

START_TEST(test_log_file_is_reopened_after_rename)
{
    char path[400], old[400];
    struct err err = {0};
    struct stat st;
    snprintf(path, sizeof path, "%s", support_path(folder, "ifud.log"));
    snprintf(old, sizeof old, "%s", support_path(folder, "ifud.log.1"));
    support_write_file(path, "before\n", 7);
    support_ok(log_open_file(path, &err), &err);
    log_info("one");
    ck_assert_int_eq(rename(path, old), 0);
    log_info("two"); /* still the renamed file */
    support_ok(log_reopen(&err), &err);
    log_info("three");
    char *a = support_read_file(old, NULL), *b = support_read_file(path, NULL);
    ck_assert_int_eq(strncmp(a, "before\n", 7), 0);
    ck_assert(strstr(a, "one") && strstr(a, "two") && !strstr(a, "three"));
    ck_assert(strstr(b, "three") && !strstr(b, "two"));
    free(a);
    free(b);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07137, 0);
}
END_TEST

START_TEST(test_log_file_that_cannot_be_opened_leaves_the_old_one)
{
    char path[400];
    struct err err = {0};
    snprintf(path, sizeof path, "%s", support_path(folder, "ifud.log"));
    support_ok(log_open_file(path, &err), &err);
    ck_assert_int_eq(rename(path, support_path(folder, "old")), 0);
    ck_assert_int_eq(symlink("elsewhere", path), 0);
    ck_assert_int_eq(log_reopen(&err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "symbolic link"));
    log_info("goes on");
    char *text = support_read_file(support_path(folder, "old"), NULL);
    ck_assert_ptr_nonnull(strstr(text, "goes on"));
    free(text);
    ck_assert_int_eq(access(support_path(folder, "elsewhere"), F_OK), -1);
    ck_assert_int_eq(mkfifo(support_path(folder, "fifo"), 0600), 0);
    ck_assert_int_eq(log_open_file(support_path(folder, "fifo"), &err), ERR_IO);
    ck_assert_int_eq(log_open_file(folder, &err), ERR_IO);
}
END_TEST

START_TEST(test_log_level_by_name)
{
    const char *path = support_path(folder, "ifud.log");
    support_ok(log_open_file(path, NULL), NULL);
    ck_assert(log_set_level_name("error"));
    log_warning("quiet");
    log_error("loud");
    ck_assert(!log_set_level_name("loud"));
    ck_assert(log_set_level_name("debug"));
    log_debug("all");
    char *text = support_read_file(path, NULL);
    ck_assert(!strstr(text, "quiet") && strstr(text, "loud") && strstr(text, "all"));
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("log");
    TCase *t = tcase_create("log");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_log_line_has_time_level_message_fields);
    tcase_add_test(t, test_log_journal_gets_fields);
    tcase_add_test(t, test_log_journal_bounds_every_value);
    tcase_add_test(t, test_log_without_a_journal_falls_back_to_lines);
    tcase_add_test(t, test_journal_entry_refuses_what_has_no_room);
    tcase_add_test(t, test_journal_stream_is_device_and_inode);
    tcase_add_test(t, test_log_file_is_reopened_after_rename);
    tcase_add_test(t, test_log_file_that_cannot_be_opened_leaves_the_old_one);
    tcase_add_test(t, test_log_level_by_name);
    suite_add_tcase(s, t);
    return support_run(s);
}
