#include "tests/fault/workload.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/programs.h"
#include "tests/fault/tree.h"
#include "tests/support.h"

#define FIRST "jw01234001001_02101_00001_nrs1_rate.fits"
#define SECOND "jw01234001001_02101_00002_nrs1_rate.fits"
#define GRATING "jw01234001001_04101_00001_nrs1_rate.fits"
#define SETTINGS "\"cube_build.scalew=0.5\", \"cube_build.scalexy=0.5\""

/* The second dither alone: the leakage exposure is not taken off it, whenever this comes. */
static const char association[] =
    "{\"asn_type\": \"spec2\", \"products\": [{\"members\": [{\"exptype\": \"science\","
    " \"expname\": \"" SECOND "\"}]}]}";

static void make_top(struct workload *w)
{
    const char *top = getenv("TMPDIR");
    top = top && *top ? top : !access("/dev/shm", W_OK | X_OK) ? "/dev/shm" : "/tmp";
    snprintf(w->top, sizeof w->top, "%.150s/ifud-fault-XXXXXX", top);
    ck_assert_msg(mkdtemp(w->top) != NULL, "%s: %s", w->top, strerror(errno));
    snprintf(w->disk, sizeof w->disk, "%s/disk", w->top);
    snprintf(w->log, sizeof w->log, "%s/log", w->top);
    snprintf(w->calls_log, sizeof w->calls_log, "%s/calls", w->top);
    snprintf(w->start[0], sizeof w->start[0], "%s/start0", w->top);
    snprintf(w->start[1], sizeof w->start[1], "%s/start1", w->top);
    snprintf(w->config[0], sizeof w->config[0], "%s/thread.json", w->top);
    snprintf(w->config[1], sizeof w->config[1], "%s/child.json", w->top);
}

static void make_state(struct workload *w)
{
    char path[256];
    snprintf(path, sizeof path, "%s/state", w->top);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert(fd >= 0 && !ftruncate(fd, sizeof *w->state));
    w->state = mmap(NULL, sizeof *w->state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    ck_assert(w->state != MAP_FAILED);
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&w->state->lock, &a);
    pthread_mutexattr_destroy(&a);
}

static void make_config(struct workload *w, int child)
{
    char text[4096];
    int n = snprintf(
        text, sizeof text,
        "{\"inbox_folder\": \"%s/inbox\", \"spool_folder\": \"%s/spool\","
        " \"products_folder\": \"%s/products\", \"rejected_folder\": \"%s/rejected\","
        " \"references_folder\": \"%s/references\", \"socket_path\": \"%s/run/s\","
        " \"settle_seconds\": 0.01, \"incomplete_seconds\": 0.05,"
        " \"member_wait_seconds\": 3600," /* each leakage exposure finds its jobs */
        " \"rescan_seconds\": 0.5, \"retry_seconds\": 0.05, \"retry_limit\": 20,"
        " \"threads_per_worker\": 1, \"executor\": \"%s\", \"reserve_mb\": 0,"
        " \"spec2_settings\": [\"flat_field.skip=true\", "
        "\"extract_1d.skip=true\", " SETTINGS "], \"spec3_settings\": [" SETTINGS "]}",
        w->disk, w->disk, w->disk, w->disk, w->top, w->top, child ? "child" : "thread");
    support_write_file(w->config[child], text, (size_t)n);
}

/* References and exposures. Of the flats, 330 MB, nothing is kept: they are skipped. */
static void simulate(const struct workload *w)
{
    static const char sim[] = "$B/ifusim --references references --truth false "
                              "--threads 1";
    static const char prism[] = "--grating PRISM --filter CLEAR --dithers 2 "
                                "--subarray 900,800,8,64";
    programs_run(w->top,
                 "mkdir -p start0/inbox made && "
                 "$B/ifusim --make-references references --grating PRISM && "
                 "$B/ifusim --make-references references --grating G395M && "
                 "%s %s --output start0/inbox && "
                 "%s %s --output made --dither 1 --seed 2 && "
                 "%s %s --output leak --dither 1 --imprint true && "
                 "%s --grating G395M --detector NRS1 --dithers 1 --output grating "
                 "--subarray 1000,700,16,16 && mv grating/*_rate.fits "
                 "start0/inbox/" GRATING " && "
                 "rm references/*dflat* references/*sflat* && "
                 "echo no exposure >start0/inbox/notes.txt",
                 sim, prism, sim, prism, sim, prism, sim);
}

void workload_restore(struct workload *w, int phase)
{
    tree_remove(w->disk);
    tree_copy(w->start[phase], w->disk);
    unlink(w->calls_log);
    support_write_file(w->log, "", 0);
}

void workload_shell(const struct workload *w, const char *command)
{
    programs_run(w->top, "%s", command);
}

/* An undisturbed life; afterwards `disk` is the end of the phase. */
static void rehearse(struct workload *w, int phase)
{
    workload_restore(w, phase);
    picture_files(w->disk, &w->before[phase]);
    enum life_end end = workload_run(w, &(struct life){.phase = phase});
    char *text = workload_text(w);
    ck_assert_msg(end == LIFE_DONE, "the workload does not end well:\n%s", text);
    free(text);
    w->calls[phase] = atomic_load(&w->state->calls);
    picture_take(w->disk, &w->end[phase]);
}

void workload_init(struct workload *w)
{
    *w = (struct workload){0};
    make_top(w);
    make_state(w);
    make_config(w, 0);
    make_config(w, 1);
    simulate(w);
    rehearse(w, 0);
    tree_copy(w->disk, w->start[1]);
    char name[300];
    snprintf(name, sizeof name, "%s/inbox/x_asn.json", w->start[1]);
    support_write_file(name, association, strlen(association));
    programs_run(w->top, "mv made/" FIRST " start1/inbox && "
                         "mv leak/*_rate.fits start1/inbox && "
                         "cp start0/inbox/" SECOND " start1/inbox/again.fits");
    rehearse(w, 1);
    for (int i = 0; i < WORKLOAD_PHASES; i++) { /* what is new in a phase is combined */
        snprintf(name, sizeof name, "combine-jw01234-o001_simtarg_nirspec-%d done",
                 i + 1);
        ck_assert_msg(strstr(w->end[i].part[PICTURE_ROWS], name) != NULL,
                      "no %s in\n%s", name, w->end[i].part[PICTURE_ROWS]);
    }
}

void workload_done(struct workload *w)
{
    munmap(w->state, sizeof *w->state);
    tree_remove(w->top);
    for (int i = 0; i < WORKLOAD_PHASES; i++) {
        picture_done(&w->before[i]);
        picture_done(&w->end[i]);
    }
}

/* ---- a life ---- */

static void set_long(const char *name, long value)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", value);
    setenv(name, text, 1);
}

/* In the child. The group is its own, so that killall strikes nobody else. */
static void become(const struct workload *w, const struct life *life)
{
    char path[4200], state[256];
    const char *bin = getenv("IFUD_BIN"), *asan = getenv("ASAN_OPTIONS");
    int fd = open(w->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    setpgid(0, 0);
    snprintf(state, sizeof state, "%s/state", w->top);
    setenv("FAULT_STATE", state, 1);
    setenv("FAULT_PATH", w->disk, 1);
    setenv("FAULT_TIME", "1700000000", 1);
    if (life->at > 0 && life->action) {
        set_long("FAULT_AT", life->at);
        set_long("FAULT_SPAN", life->span);
        setenv("FAULT_ACTION", life->action, 1);
    }
    if (life->name) {
        setenv("FAULT_NAME", life->name, 1);
    }
    if (life->log) {
        setenv("FAULT_LOG", w->calls_log, 1);
    }
    snprintf(path, sizeof path, "%s/../tests/fault/shim.so", bin ? bin : "build/bin");
    char *preload = realpath(path, NULL);
    if (!preload) {
        fprintf(stderr, "%s is not there\n", path);
        _exit(127);
    }
    setenv("LD_PRELOAD", preload, 1);
    snprintf(path, sizeof path, "%s:verify_asan_link_order=0", asan ? asan : "");
    setenv("ASAN_OPTIONS", path, 1);
    snprintf(path, sizeof path, "%s/ifud", bin ? bin : "build/bin");
    execl(path, "ifud", "--config", w->config[life->child],
          life->stay ? (char *)NULL : "--once", (char *)NULL);
    _exit(127);
}

pid_t workload_start(struct workload *w, const struct life *life)
{
    atomic_store(&w->state->calls, 0);
    atomic_store(&w->state->hits, 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        become(w, life);
    }
    setpgid(pid, pid);
    return pid;
}

/* True once it has ended. */
static bool wait_for(int fd, double seconds)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;
    do {
        n = poll(&p, 1, (int)(1000 * seconds) + 1);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

enum life_end workload_wait(pid_t pid, double kill_after)
{
    int status = 0, fd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool hung = false;
    ck_assert_msg(fd >= 0, "pidfd_open: %s", strerror(errno));
    if (kill_after > 0 && !wait_for(fd, kill_after)) {
        kill(pid, SIGKILL);
    }
    if (!wait_for(fd, WORKLOAD_PATIENCE)) {
        hung = true;
        kill(-pid, SIGKILL);
    }
    close(fd);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return hung                                                 ? LIFE_HUNG
           : WIFEXITED(status) && WEXITSTATUS(status) == 0      ? LIFE_DONE
           : WIFEXITED(status)                                  ? LIFE_FAILED
           : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? LIFE_KILLED
                                                                : LIFE_CRASHED;
}

enum life_end workload_run(struct workload *w, const struct life *life)
{
    return workload_wait(workload_start(w, life), life->kill_after);
}

char *workload_check_dead(const struct workload *w, int phase)
{
    return picture_check_dead(w->disk, &w->before[phase], &w->end[phase]);
}

char *workload_check_end(const struct workload *w, int phase, bool again)
{
    struct picture now = {0};
    picture_take(w->disk, &now);
    char *wrong = picture_compare(&w->end[phase], &now);
    picture_done(&now);
    return wrong ? wrong : picture_check_events(w->disk, again);
}

char *workload_text(const struct workload *w)
{
    return support_read_file(w->log, NULL);
}
