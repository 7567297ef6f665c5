#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/status.h"
#include "tests/loop.h"
#include "tests/support.h"

static uv_loop_t loop;
static struct status *status;
static char *folder;
static size_t answer_bytes;
static struct err err;

/* Answers with what was asked, or with as many bytes as a test wants. */
static char *on_ask(void *user, const char *request, size_t n, bool is_owner)
{
    (void)user;
    ck_assert(is_owner); /* this process asks itself */
    if (answer_bytes) {
        char *big = malloc(answer_bytes + 1);
        memset(big, 'x', answer_bytes);
        big[answer_bytes] = 0;
        return big;
    }
    if (n == 4 && !memcmp(request, "quit", 4)) {
        return NULL;
    }
    return strndup(request, n);
}

static int open_status(unsigned mode, double idle_seconds)
{
    struct status_options o = {.path = support_path(folder, "s"),
                               .mode = mode,
                               .idle_seconds = idle_seconds,
                               .answer = on_ask};
    return status_open(&loop, &o, &status, &err);
}

static void setup(void)
{
    uv_loop_init(&loop);
    folder = support_folder();
    status = NULL;
    answer_bytes = 0;
}

static void teardown(void)
{
    status_close(status);
    loop_end(&loop);
    support_remove(folder);
}

static int client(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/s", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

struct reading {
    int fd;
    char text[16384];
    size_t n;
    bool over;
};

static bool got_line(void *arg)
{
    struct reading *r = arg;
    ssize_t n = recv(r->fd, r->text + r->n, sizeof r->text - 1 - r->n, 0);
    r->over |= n == 0 || (n < 0 && errno != EAGAIN);
    r->n += n > 0 ? (size_t)n : 0;
    r->text[r->n] = 0;
    return r->over || strchr(r->text, '\n');
}

/* The next line the daemon sends, without its end; NULL if it hung up. */
static const char *answer(int fd)
{
    static struct reading r;
    r = (struct reading){.fd = fd};
    loop_until(&loop, got_line, &r);
    char *end = strchr(r.text, '\n');
    if (!end) {
        return NULL;
    }
    *end = 0;
    return r.text;
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

START_TEST(test_status_lines_are_answered_in_order)
{
    support_ok(open_status(0600, 30), &err);
    int fd = client();
    say(fd, "first\n");
    ck_assert_str_eq(answer(fd), "first");
    say(fd, "in pieces");
    loop_for(&loop, 0.03);
    say(fd, ", second\n");
    ck_assert_str_eq(answer(fd), "in pieces, second");
    say(fd, "quit\n");
    ck_assert_ptr_null(answer(fd));
    close(fd);
}
END_TEST

START_TEST(test_status_mode_and_removal)
{
    struct stat st;
    support_ok(open_status(0660, 30), &err);
    ck_assert_int_eq(stat(support_path(folder, "s"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0660);
    status_close(status);
    status = NULL;
    ck_assert_int_ne(stat(support_path(folder, "s"), &st), 0);
}
END_TEST

START_TEST(test_status_too_long_a_request_is_refused)
{
    support_ok(open_status(0600, 30), &err);
    int fd = client(), other = client();
    char *big = malloc(2 * STATUS_MAX_REQUEST);
    memset(big, 'a', 2 * STATUS_MAX_REQUEST);
    ck_assert_int_gt(send(fd, big, 2 * STATUS_MAX_REQUEST, MSG_NOSIGNAL), 0);
    free(big);
    ck_assert_ptr_nonnull(strstr(answer(fd), "longer than 4096"));
    ck_assert_ptr_null(answer(fd));
    say(other, "still here\n");
    ck_assert_str_eq(answer(other), "still here");
    close(fd);
    close(other);
}
END_TEST

START_TEST(test_status_a_client_that_does_not_read_stalls_nobody)
{
    support_ok(open_status(0600, 0.3), &err);
    int slow = client(), fd = client();
    answer_bytes = 8 << 20; /* more than any socket buffer */
    say(slow, "big\n");
    loop_for(&loop, 0.05);
    answer_bytes = 0;
    say(fd, "small\n");
    ck_assert_str_eq(answer(fd), "small");
    close(fd);
    loop_for(&loop, 0.5); /* and it is dropped when its time is over */
    char buffer[65536];
    ssize_t n;
    size_t got = 0;
    while ((n = recv(slow, buffer, sizeof buffer, 0)) > 0) {
        got += (size_t)n;
    }
    ck_assert_int_eq(n, 0);
    ck_assert_uint_lt(got, 8 << 20);
    close(slow);
}
END_TEST

START_TEST(test_status_idle_clients_are_dropped)
{
    support_ok(open_status(0600, 0.1), &err);
    int fd = client();
    ck_assert_ptr_null(answer(fd));
    close(fd);
}
END_TEST

START_TEST(test_status_clients_are_bounded)
{
    support_ok(open_status(0600, 30), &err);
    int fds[STATUS_MAX_CLIENTS + 1];
    for (int i = 0; i <= STATUS_MAX_CLIENTS; i++) {
        fds[i] = client();
        loop_for(&loop, 0.002);
    }
    ck_assert_ptr_nonnull(strstr(answer(fds[STATUS_MAX_CLIENTS]), "too many"));
    say(fds[0], "hello\n");
    ck_assert_str_eq(answer(fds[0]), "hello");
    for (int i = 0; i <= STATUS_MAX_CLIENTS; i++) {
        close(fds[i]);
    }
}
END_TEST

START_TEST(test_status_stale_socket_is_replaced_a_live_one_is_not)
{
    /* stale: bound once, nobody listens */
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/s", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
    close(fd);
    support_ok(open_status(0600, 30), &err);
    struct status *first = status, *second = NULL;
    status = NULL;
    struct status_options o = {.path = support_path(folder, "s"), .answer = on_ask};
    ck_assert_int_eq(status_open(&loop, &o, &second, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "another ifud"));
    status = first;
}
END_TEST

START_TEST(test_status_what_is_no_socket_is_left_alone)
{
    support_write_file(support_path(folder, "s"), "data", 4);
    ck_assert_int_eq(open_status(0600, 30), ERR_IO);
    size_t n;
    char *text = support_read_file(support_path(folder, "s"), &n);
    ck_assert_str_eq(text, "data");
    free(text);
    char path[200];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = 0;
    struct status_options o = {.path = path, .answer = on_ask};
    ck_assert_int_eq(status_open(&loop, &o, &status, &err), ERR_PARAM);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("status");
    TCase *t = tcase_create("status");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_status_lines_are_answered_in_order);
    tcase_add_test(t, test_status_mode_and_removal);
    tcase_add_test(t, test_status_too_long_a_request_is_refused);
    tcase_add_test(t, test_status_a_client_that_does_not_read_stalls_nobody);
    tcase_add_test(t, test_status_idle_clients_are_dropped);
    tcase_add_test(t, test_status_clients_are_bounded);
    tcase_add_test(t, test_status_stale_socket_is_replaced_a_live_one_is_not);
    tcase_add_test(t, test_status_what_is_no_socket_is_left_alone);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
