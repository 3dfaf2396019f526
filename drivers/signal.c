/* SPDX-License-Identifier: MIT
 *
 * signal(7): an event sent to a process. Standard signals keep one pending bit a number, so that
 * sends merge; real-time ones queue, carry a value, and arrive lowest number first. Whoever opens
 * the object blocks its four signals, and takes them with sigwaitinfo(2) or by signalfd(2).
 */
#include "driver.h"
#include "handler.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { RT, RT_FD, STANDARD, STANDARD_FD };
enum { OWN = 4, RAW = 1000 }; /* numbers 0 to 3: the variant's own signals; 1000 + n: signal n */

/* Signals that nobody else sends, and that are not ignored by default: those a system may drop even
 * while they are blocked. */
static int own_signal(const struct pl_obj *o, int n)
{
	static const int standard[OWN] = { SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM };

	return o->variant <= RT_FD ? SIGRTMIN + n : standard[n];
}

static int number(const struct pl_obj *o, uint64_t tag)
{
	return tag < OWN ? own_signal(o, (int)tag) : (int)tag - RAW;
}

static uint64_t tag_of(const struct pl_obj *o, int signo)
{
	int n;

	for (n = 0; n < OWN; n++)
		if (own_signal(o, n) == signo)
			return (uint64_t)n;
	return (uint64_t)signo + RAW;
}

static void own_set(const struct pl_obj *o, sigset_t *set)
{
	int n;

	(void)sigemptyset(set);
	for (n = 0; n < OWN; n++)
		(void)sigaddset(set, own_signal(o, n));
}

/* Control, which creates, takes no part: its own signals stay as they are. */
static long signal_open(struct pl_obj *o, const struct pl_args *a)
{
	sigset_t set;

	if (o->create)
		return 0;
	own_set(o, &set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	if (o->variant == RT || o->variant == STANDARD)
		return 0;
	return o->fd[0] = signalfd(-1, &set, SFD_CLOEXEC | (a->v[0] ? SFD_NONBLOCK : 0));
}

static long op_sigqueue(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	union sigval value = { .sival_ptr = (void *)(uintptr_t)a->token };

	return sigqueue((pid_t)a->v[0], number(o, r->tag), value);
}

static long op_kill(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return kill((pid_t)a->v[0], number(o, r->tag));
}

static long got(struct pl_obj *o, long rc, const siginfo_t *si, struct pl_result *r)
{
	if (rc < 0)
		return rc;
	r->tag = tag_of(o, si->si_signo);
	r->token = o->variant <= RT_FD ? (uintptr_t)si->si_value.sival_ptr : (uint64_t)si->si_pid;
	r->out[0] = si->si_signo, r->out[1] = si->si_code;
	r->out[2] = si->si_pid, r->out[3] = si->si_uid;
	return rc;
}

static long op_sigwaitinfo(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	siginfo_t si = { 0 };
	sigset_t set;

	own_set(o, &set);
	return got(o, sigwaitinfo(&set, &si), &si, r);
}

static long op_sigtimedwait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	siginfo_t si = { 0 };
	sigset_t set;

	own_set(o, &set);
	return got(o, sigtimedwait(&set, &si, &a->deadline), &si, r);
}

static long op_read(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct signalfd_siginfo f = { 0 };
	long n = read(a->fd, &f, sizeof f);
	siginfo_t si = { .si_signo = (int)f.ssi_signo, .si_code = f.ssi_code };

	si.si_pid = (pid_t)f.ssi_pid, si.si_uid = f.ssi_uid;
	if (o->variant == RT_FD)
		si.si_value.sival_ptr = (void *)(uintptr_t)f.ssi_ptr;
	n = got(o, n, &si, r);
	r->out[2] = (int64_t)f.ssi_pid, r->out[3] = f.ssi_uid;
	return n;
}

/* Blocks or lets through one signal in the calling actor. */
static long op_mask(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	sigset_t set;

	(void)sigemptyset(&set);
	if (sigaddset(&set, number(o, (uint64_t)a->v[0])) < 0)
		return -1;
	return sigprocmask(a->v[1] ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static long op_pending(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	sigset_t set;
	int n;

	if (sigpending(&set) < 0)
		return -1;
	for (n = 0; n < OWN; n++)
		r->out[0] |= (int64_t)(sigismember(&set, own_signal(o, n)) == 1) << n;
	return 0;
}

/* A child, right after fork: does it find anything pending, and is the same blocked as in its
 * parent? */
static long op_fork(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	sigset_t before, after, pending;
	int status = 0, n;
	pid_t pid;

	if (sigprocmask(SIG_BLOCK, NULL, &before) < 0 || (pid = fork()) < 0)
		return -1;
	if (pid == 0) {
		(void)sigpending(&pending);
		(void)sigprocmask(SIG_BLOCK, NULL, &after);
		for (n = 1; n < NSIG; n++)
			status |= (sigismember(&pending, n) == 1) |
				  (sigismember(&before, n) != sigismember(&after, n)) << 1;
		_exit(status);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	r->out[0] = WEXITSTATUS(status) & 1, r->out[1] = !(WEXITSTATUS(status) & 2);
	return 0;
}

/* The foreground of a new terminal: says that it is there, then waits for what is typed. */
static _Noreturn void at_terminal(const char *path, int signals)
{
	struct termios t;
	sigset_t none;
	char c = 0;
	int tty;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	tty = setsid() < 0 ? -1 : open(path, O_RDWR);
	if (tty < 0 || tcgetattr(tty, &t) < 0)
		_exit(255);
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO | (signals ? 0 : ISIG));
	if (tcsetattr(tty, TCSANOW, &t) < 0 || write(tty, "!", 1) != 1 || read(tty, &c, 1) != 1)
		_exit(254);
	_exit(c);
}

/* Types Ctrl+C at a terminal: which signal ended the process in its foreground, or what it read. */
static long op_ctrl_c(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), status = 0;
	char path[64], c;
	pid_t pid;

	if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0 ||
		ptsname_r(terminal, path, sizeof path) != 0)
		return -1;
	pid = fork();
	if (pid == 0)
		at_terminal(path, (int)a->v[0]);
	if (pid > 0 && read(terminal, &c, 1) == 1)
		(void)!write(terminal, "\003", 1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	(void)close(terminal);
	r->out[0] = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	r->out[1] = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	return 0;
}

static long op_handle_pending(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return handle_pending(own_signal(o, 0), r);
}

static long op_numbers(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return try_numbers(r);
}

static long op_wait_for_each(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return wait_for_each(own_signal(o, 0), (int)a->v[0], a->v[1], r);
}

static long op_storm(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return stand_storm(own_signal(o, 0), a->v[0], a->v[1], r);
}

static long op_threads(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return send_to_threads(own_signal(o, 0), r);
}

static long op_children(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return reap_all(a->v[0], r);
}

static long op_inherit(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return inherit(a->fd, own_signal(o, 1), r);
}

/* What is told apart by its value needs all of it. */
static const char *signal_probe(int variant)
{
	return variant <= RT_FD && sizeof(union sigval) < sizeof(uint64_t)
		       ? "a signal's value has 32 bits here: the harness needs 64"
		       : NULL;
}

#define CAPS                                                                                       \
	(PL_ANONYMOUS | PL_BLOCKING | PL_TIMEOUT | PL_MULTI_WRITER | PL_EACH | PL_OWNED | PL_APART)

static const struct pl_variant variants[] = {
	[RT] = { "rt", PL_MODEL_PRIORITY, CAPS | PL_PRIORITY | PL_LOWEST },
	[RT_FD] = { "rt-signalfd", PL_MODEL_PRIORITY,
		CAPS | PL_PRIORITY | PL_LOWEST | PL_NONBLOCK | PL_POLL },
	[STANDARD] = { "standard", PL_MODEL_SIGNAL, CAPS | PL_LOSSY },
	[STANDARD_FD] = { "standard-signalfd", PL_MODEL_SIGNAL,
		CAPS | PL_LOSSY | PL_NONBLOCK | PL_POLL },
	{ 0 },
};

enum { BY_WAIT = 1 << RT | 1 << STANDARD, BY_FD = 1 << RT_FD | 1 << STANDARD_FD };
enum { ANY_STANDARD = 1 << STANDARD | 1 << STANDARD_FD };

#define TO                                                                                         \
	{                                                                                          \
		"to", 0, 63, .kind = PL_ACTOR                                                      \
	}
#define SIGNO                                                                                      \
	{                                                                                          \
		"signo", 0, 2 * RAW, 0, OWN - 1, 0, PL_TAG                                         \
	}
#define TOLD                                                                                       \
	{                                                                                          \
		"signo", "code", "pid", "uid"                                                      \
	}

static const struct pl_op ops[] = {
	{ "sigqueue", op_sigqueue, PL_PUT, 0, { TO, SIGNO }, .weight = 4 },
	{ "kill", op_kill, PL_PUT, 0, { TO, SIGNO }, .weight = 4, .only = ANY_STANDARD },
	{ "sigwaitinfo", op_sigwaitinfo, PL_TAKE, PL_BLOCKS, .out = TOLD, .weight = 8,
		.only = 1 << RT },
	{ "sigtimedwait", op_sigtimedwait, PL_TAKE, PL_TIMED | PL_RELATIVE | PL_DRAIN, .out = TOLD,
		.weight = 1, .only = BY_WAIT },
	{ "read", op_read, PL_TAKE, PL_BLOCKS | PL_DRAIN, .out = TOLD, .weight = 8, .only = BY_FD },
	{ "mask", op_mask, PL_NONE, 0, { { "signo", 0, 2 * RAW }, { "block", 0, 1, .def = 1 } } },
	{ "ctrl_c", op_ctrl_c, PL_NONE, 0, { { "signals", 0, 1, .def = 1 } },
		{ "signal", "read" } },
	{ "fork", op_fork, PL_NONE, PL_NEUTRAL, .out = { "pending", "mask" } },
	{ "pending", op_pending, PL_OBSERVE, 0, .out = { "set" } },
	{ "handle_pending", op_handle_pending, PL_NONE, 0, .out = { "n", "order" } },
	{ "numbers", op_numbers, PL_NONE, 0, .out = { "there", "usable" } },
	{ "wait_for_each", op_wait_for_each, PL_NONE, PL_BLOCKS,
		{ { "how", 0, 3 }, { "times", 0, 1 << 20 } }, { "handled" } },
	{ "storm", op_storm, PL_NONE, PL_BLOCKS,
		{ { "senders", 1, CHILDREN_MAX }, { "each", 1, 1 << 20 } }, { "handled", "same" } },
	{ "threads", op_threads, PL_NONE, PL_BLOCKS, .out = { "once", "strangers" } },
	{ "children", op_children, PL_NONE, PL_BLOCKS, { { "n", 1, CHILDREN_MAX } },
		{ "reaped", "none" } },
	{ "inherit", op_inherit, PL_NONE, 0, .out = { "parents", "own", "told" } },
	{ 0 },
};

PL_DRIVER(signal, "signal", variants, ops, .open = signal_open,
	.open_args = { { "nonblock", 0, 1 } }, .probe = signal_probe)
