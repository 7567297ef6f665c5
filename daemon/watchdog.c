#include "daemon/watchdog.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "daemon/notify.h"

bool watchdog_judge(const struct watch *watches, size_t n, char *ret_why, size_t room)
{
    const struct watch *worst = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct watch *w = &watches[i];
        if (w->limit > 0 && w->quiet > w->limit &&
            (!worst || w->quiet - w->limit > worst->quiet - worst->limit)) {
            worst = w;
        }
    }
    if (worst) {
        snprintf(ret_why, room, "%s: no progress for %.0f s, at most %.0f s",
                 worst->what, worst->quiet, worst->limit);
    }
    return !worst;
}

void heartbeat_beat(struct heartbeat *h)
{
    atomic_store(&h->at, notify_clock_us());
}

void heartbeat_rest(struct heartbeat *h)
{
    atomic_store(&h->at, 0);
}

double heartbeat_quiet(const struct heartbeat *h)
{
    uint64_t at = atomic_load(&h->at), now = notify_clock_us();
    return at == 0 ? 0 : now > at ? 1e-6 * (double)(now - at) : 1e-6;
}

/* ---- last words ---- */

/* Two texts, so that the handler never reads one that is being written. */
static char seen[2][400];
static atomic_int seen_which;
static atomic_uint_fast64_t seen_at; /* us, monotonic */

void watchdog_saw(const char *what_runs)
{
    int which = !atomic_load(&seen_which);
    snprintf(seen[which], sizeof seen[which], "%s", what_runs);
    atomic_store(&seen_which, which);
    atomic_store(&seen_at, notify_clock_us());
}

/* Append text, then a number; snprintf is not safe in a handler. */
static size_t add(char *line, size_t at, size_t room, const char *text)
{
    while (*text && at + 1 < room) {
        line[at++] = *text++;
    }
    line[at] = 0;
    return at;
}

static size_t add_number(char *line, size_t at, size_t room, uint64_t n)
{
    char digits[24];
    size_t k = sizeof digits - 1;
    digits[k] = 0;
    do {
        digits[--k] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return add(line, at, room, digits + k);
}

static void on_abort(int number)
{
    static char line[600];
    size_t n = add(line, 0, sizeof line, "ifud is aborted: the loop last ran ");
    uint64_t ms = (notify_clock_us() - atomic_load(&seen_at)) / 1000;
    n = add_number(line, n, sizeof line, ms / 1000);
    n = add(line, n, sizeof line, ".");
    n = add_number(line, n, sizeof line, ms / 100 % 10);
    n = add(line, n, sizeof line, " s ago; then ran: ");
    add(line, n, sizeof line, seen[atomic_load(&seen_which)]);
    log_signal_safe(line);
    signal(number, SIG_DFL);
    raise(number); /* comes once this handler returns */
}

void watchdog_catch_abort(void)
{
    struct sigaction action = {.sa_handler = on_abort};
    sigemptyset(&action.sa_mask);
    watchdog_saw("nothing yet");
    sigaction(SIGABRT, &action, NULL);
}
