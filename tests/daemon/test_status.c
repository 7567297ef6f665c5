#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/status.h"
#include "tests/loop.h"
#include "tests/support.h"

static uv_loop_t loop;
static struct status *status;
static char *folder;
static size_t answer_bytes;
static int n_asked;
static bool last_is_owner;
static struct err err;

/* Answers with what was asked, or with as many bytes as a test wants. */
static char *on_ask(void *user, const char *request, size_t n, bool is_owner)
{
    (void)user;
    n_asked++;
    last_is_owner = is_owner;
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

static int open_limits(unsigned mode, double idle, double request, double answer)
{
    struct status_options o = {.path = support_path(folder, "s"),
                               .mode = mode,
                               .group = -1,
                               .idle_seconds = idle,
                               .request_seconds = request,
                               .answer_seconds = answer,
                               .answer = on_ask};
    return status_open(&loop, &o, &status, &err);
}

static int open_status(unsigned mode, double idle_seconds)
{
    return open_limits(mode, idle_seconds, 30, 30);
}

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    uv_loop_init(&loop);
    folder = support_folder();
    status = NULL;
    answer_bytes = 0;
    n_asked = 0;
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
    ck_assert(last_is_owner); /* this process asks itself */
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

/* The median of 20 answers to a new client each, in seconds. */
static double usual_wait(void)
{
    double waits[20];
    for (int i = 0; i < 20; i++) {
        uint64_t begin = uv_hrtime();
        int fd = client();
        say(fd, "status\n");
        ck_assert_str_eq(answer(fd), "status");
        waits[i] = (double)(uv_hrtime() - begin) * 1e-9;
        close(fd);
    }
    for (int i = 0; i < 20; i++) {
        for (int k = i + 1; k < 20; k++) {
            double lower = waits[k] < waits[i] ? waits[k] : waits[i];
            waits[k] = waits[k] < waits[i] ? waits[i] : waits[k];
            waits[i] = lower;
        }
    }
    return waits[10];
}

/* Read what is left until the daemon hangs up; how many bytes that were. */
static size_t until_dropped(int fd)
{
    char buffer[65536];
    ssize_t n;
    size_t got = 0;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
        got += (size_t)n;
    }
    ck_assert_int_eq(n, 0);
    return got;
}

START_TEST(test_status_a_client_that_does_not_read_stalls_nobody)
{
    support_ok(open_limits(0600, 30, 30, 0.5), &err);
    int slow = client();
    answer_bytes = 3 << 20; /* more than any socket buffer */
    say(slow, "big\n");
    loop_for(&loop, 0.05);
    answer_bytes = 0;
    ck_assert_double_lt(usual_wait(), 0.05);
    loop_for(&loop, 0.7); /* and it is dropped when its time is over */
    ck_assert_uint_lt(until_dropped(slow), 3 << 20);
    close(slow);
}
END_TEST

START_TEST(test_status_answers_are_bounded_one_by_one_and_together)
{
    support_ok(open_status(0600, 30), &err);
    enum { N = 8 };
    int fds[N], other = client();
    answer_bytes = STATUS_MAX_ANSWER + 1;
    say(other, "x\n");
    ck_assert_ptr_nonnull(strstr(answer(other), "too long"));
    answer_bytes = STATUS_MAX_ANSWER;
    for (int i = 0; i < N; i++) { /* none of them reads */
        fds[i] = client();
        say(fds[i], "x\n");
    }
    loop_for(&loop, 0.2);
    int asked = n_asked;
    say(other, "x\n");
    ck_assert_ptr_nonnull(strstr(answer(other), "too many answers"));
    ck_assert_int_eq(n_asked, asked);
    for (int i = 0; i < N; i++) {
        close(fds[i]);
    }
    loop_for(&loop, 0.05);
    answer_bytes = 0;
    say(other, "again\n");
    ck_assert_str_eq(answer(other), "again");
    close(other);
}
END_TEST

START_TEST(test_status_a_request_must_be_whole_in_time)
{
    support_ok(open_limits(0600, 30, 0.3, 30), &err);
    int fd = client();
    bool dropped = false;
    uint64_t begin = uv_hrtime();
    while (!dropped && uv_hrtime() - begin < 5000000000u) { /* a byte at a time */
        char byte = 'x', c;
        dropped = send(fd, &byte, 1, MSG_NOSIGNAL) < 0 || recv(fd, &c, 1, 0) == 0;
        loop_for(&loop, 0.03);
    }
    double took = (double)(uv_hrtime() - begin) * 1e-9;
    ck_assert(dropped);
    ck_assert_double_ge(took, 0.25);
    ck_assert_double_lt(took, 3);
    close(fd);
    fd = client(); /* the same bytes in time, and a rest before and after */
    loop_for(&loop, 0.4);
    say(fd, "a");
    loop_for(&loop, 0.05);
    say(fd, "b\n");
    ck_assert_str_eq(answer(fd), "ab");
    loop_for(&loop, 0.4);
    say(fd, "c\n");
    ck_assert_str_eq(answer(fd), "c");
    close(fd);
}
END_TEST

START_TEST(test_status_slow_writers_stall_nobody)
{
    support_ok(open_status(0600, 30), &err);
    int fds[40];
    for (int i = 0; i < 40; i++) {
        fds[i] = client();
        say(fds[i], "{\"requ");
    }
    ck_assert_double_lt(usual_wait(), 0.05);
    for (int i = 0; i < 40; i++) {
        close(fds[i]);
    }
}
END_TEST

START_TEST(test_status_garbage_harms_nobody)
{
    support_ok(open_status(0600, 30), &err);
    unsigned seed = 7;
    for (int i = 0; i < 50; i++) {
        int fd = client();
        char bytes[3000];
        for (size_t k = 0; k < sizeof bytes; k++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[k] = (char)(seed >> 24); /* lines of garbage, with NUL bytes */
        }
        ck_assert_int_eq(send(fd, bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
        loop_for(&loop, 0.005);
        close(fd);
    }
    ck_assert_int_gt(n_asked, 100);
    ck_assert_double_lt(usual_wait(), 0.05);
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

START_TEST(test_status_more_clients_than_places)
{
    support_ok(open_status(0600, 30), &err);
    enum { N = 200 };
    int fds[N];
    for (int i = 0; i < N; i++) {
        fds[i] = client();
        loop_for(&loop, 0.002);
    }
    /* whoever did nothing for longest made room; the others are still served */
    ck_assert_ptr_null(answer(fds[0]));
    ck_assert_double_lt(usual_wait(), 0.05);
    say(fds[N - 1], "hello\n");
    ck_assert_str_eq(answer(fds[N - 1]), "hello");
    for (int i = 0; i < N; i++) {
        close(fds[i]);
    }
}
END_TEST

/* A stranger's process with this many clients; true if it was told "too many". */
static pid_t stranger(int n)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        snprintf(addr.sun_path, sizeof addr.sun_path, "%s/s", folder);
        int refused = 0;
        if (setgid(65534) || setuid(65534)) {
            _exit(2);
        }
        for (int i = 0; i < n; i++) {
            char text[100] = "";
            int fd = socket(AF_UNIX, SOCK_STREAM, 0);
            if (connect(fd, (const struct sockaddr *)&addr, sizeof addr)) {
                _exit(3);
            }
            send(fd, "hello\n", 6, MSG_NOSIGNAL); /* may be hung up on already */
            if (recv(fd, text, sizeof text - 1, 0) < 1) {
                _exit(4);
            }
            refused += strstr(text, "too many") || strstr(text, "only the owner");
        }
        _exit(refused ? 1 : 0);
    }
    return pid;
}

static bool is_over(void *arg)
{
    int code, *ret = arg;
    if (waitpid(-1, &code, WNOHANG) <= 0) {
        return false;
    }
    *ret = WIFEXITED(code) ? WEXITSTATUS(code) : -1;
    return true;
}

START_TEST(test_status_strangers_read_but_are_no_owners)
{
    int over = -1;
    if (geteuid() != 0) {
        fprintf(stderr, "NOT RUN: only root can become somebody else\n");
        return;
    }
    ck_assert_int_eq(chmod(folder, 0755), 0);
    support_ok(open_status(0666, 30), &err);
    stranger(1);
    loop_until(&loop, is_over, &over);
    ck_assert_int_eq(over, 0);
    ck_assert(!last_is_owner);
    int fds[STATUS_MAX_CLIENTS]; /* the owner holds all places: a stranger gets none */
    for (int i = 0; i < STATUS_MAX_CLIENTS; i++) {
        fds[i] = client();
        loop_for(&loop, 0.002);
    }
    stranger(1);
    loop_until(&loop, is_over, &over);
    ck_assert_int_eq(over, 1);
    say(fds[0], "mine\n");
    ck_assert_str_eq(answer(fds[0]), "mine");
    ck_assert(last_is_owner);
    for (int i = 0; i < STATUS_MAX_CLIENTS; i++) {
        close(fds[i]);
    }
    status_close(status);
    loop_for(&loop, 0.02);
    support_ok(open_status(0600, 30), &err); /* the mode of the socket keeps them out */
    ck_assert_int_eq(chmod(support_path(folder, "s"), 0666), 0); /* even so */
    stranger(1);
    loop_until(&loop, is_over, &over);
    ck_assert_int_eq(over, 1);
}
END_TEST

START_TEST(test_status_group_and_mode)
{
    struct stat st;
    struct status_options o = {.path = support_path(folder, "s"),
                               .mode = 0660,
                               .group = geteuid() == 0 ? 65534 : (int64_t)getegid(),
                               .answer = on_ask};
    support_ok(status_open(&loop, &o, &status, &err), &err);
    ck_assert_int_eq(lstat(support_path(folder, "s"), &st), 0);
    ck_assert_int_eq(st.st_gid, o.group);
    ck_assert_uint_eq(st.st_mode & 0777, 0660);
}
END_TEST

START_TEST(test_status_removes_only_its_own_socket)
{
    struct stat st;
    support_ok(open_status(0600, 30), &err);
    ck_assert_int_eq(unlink(support_path(folder, "s")), 0);
    support_write_file(support_path(folder, "s"), "other", 5);
    status_close(status);
    status = NULL;
    ck_assert_int_eq(lstat(support_path(folder, "s"), &st), 0);
}
END_TEST

START_TEST(test_status_symbolic_links_are_refused)
{
    support_write_file(support_path(folder, "victim"), "data", 4);
    ck_assert_int_eq(symlink("victim", support_path(folder, "s")), 0);
    ck_assert_int_eq(open_status(0600, 30), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "no socket"));
    ck_assert_int_eq(unlink(support_path(folder, "s")), 0);
    ck_assert_int_eq(symlink("nothing", support_path(folder, "s")), 0); /* dangling */
    ck_assert_int_eq(open_status(0600, 30), ERR_IO);
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
    struct status_options o = {
        .path = support_path(folder, "s"), .group = -1, .answer = on_ask};
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
    tcase_add_test(t, test_status_answers_are_bounded_one_by_one_and_together);
    tcase_add_test(t, test_status_a_request_must_be_whole_in_time);
    tcase_add_test(t, test_status_slow_writers_stall_nobody);
    tcase_add_test(t, test_status_garbage_harms_nobody);
    tcase_add_test(t, test_status_more_clients_than_places);
    tcase_add_test(t, test_status_strangers_read_but_are_no_owners);
    tcase_add_test(t, test_status_group_and_mode);
    tcase_add_test(t, test_status_removes_only_its_own_socket);
    tcase_add_test(t, test_status_symbolic_links_are_refused);
    tcase_add_test(t, test_status_stale_socket_is_replaced_a_live_one_is_not);
    tcase_add_test(t, test_status_what_is_no_socket_is_left_alone);
    suite_add_tcase(s, t);
    return support_run(s);
}
