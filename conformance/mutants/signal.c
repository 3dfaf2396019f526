/* SPDX-License-Identifier: MIT
 *
 * Signals that break their promises. The trigger's argument is the signal's number. What a receiver
 * keeps back is its own: it takes for itself.
 */
#include "shim.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { FDS = 1024 };

static const struct timespec at_once;

static int drop_sigqueue(pid_t pid, int signo, union sigval value)
{
	return signo > 0 && pl_fires(signo) ? 0 : pl_real.sigqueue(pid, signo, value);
}

static int drop_kill(pid_t pid, int signo)
{
	return signo > 0 && pl_fires(signo) ? 0 : pl_real.kill(pid, signo);
}

/* A number that this process has just sent there is taken for one that is still pending. */
static int merge_sigqueue(pid_t pid, int signo, union sigval value)
{
	static int to, last;
	bool same = to == pid && last == signo;

	to = pid, last = signo;
	return same && pl_fires(signo) ? 0 : pl_real.sigqueue(pid, signo, value);
}

/* Takes a second one of the number if there is one, and gives it before the first. */
static int swap_take(const sigset_t *set, siginfo_t *si, const struct timespec *within)
{
	static siginfo_t kept;
	siginfo_t second;
	sigset_t same;
	int n;

	if (kept.si_signo && sigismember(set, kept.si_signo) == 1) {
		*si = kept;
		kept.si_signo = 0;
		return si->si_signo;
	}
	n = pl_real.sigtimedwait(set, si, within);
	if (n <= 0 || kept.si_signo || !pl_fires(n))
		return n;
	(void)sigemptyset(&same);
	(void)sigaddset(&same, n);
	if (pl_real.sigtimedwait(&same, &second, &at_once) == n) {
		kept = *si;
		*si = second;
	}
	return n;
}

/* The death of a child comes in between, and takes a queued signal along. */
static int distracted_take(const sigset_t *set, siginfo_t *si, const struct timespec *within)
{
	sigset_t realtime;
	int n = pl_real.sigtimedwait(set, si, within);

	if (n < SIGRTMIN || !pl_fires(n))
		return n;
	(void)pl_real.kill(getpid(), SIGCHLD);
	(void)sigemptyset(&realtime);
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		if (sigismember(set, i) == 1)
			(void)sigaddset(&realtime, i);
	(void)pl_real.sigtimedwait(&realtime, NULL, &at_once);
	return n;
}

static int twice_take(const sigset_t *set, siginfo_t *si, const struct timespec *within)
{
	static siginfo_t last;
	int n;

	if (last.si_signo && sigismember(set, last.si_signo) == 1 && pl_fires(last.si_signo)) {
		*si = last;
		return si->si_signo;
	}
	n = pl_real.sigtimedwait(set, si, within);
	if (n > 0)
		last = *si;
	return n;
}

/* One that is pending is not seen, by a look that does not wait for ever. */
static int blind_take(const sigset_t *set, siginfo_t *si, const struct timespec *within)
{
	sigset_t pending;
	int n;

	if (!within || sigpending(&pending) != 0)
		return pl_real.sigtimedwait(set, si, within);
	for (n = 1; n < _NSIG; n++)
		if (sigismember(set, n) == 1 && sigismember(&pending, n) == 1)
			break;
	if (n == _NSIG || !pl_fires(n))
		return pl_real.sigtimedwait(set, si, within);
	errno = EAGAIN;
	return -1;
}

static bool signals_at[FDS];

static int note_signalfd(int fd, const sigset_t *set, int flags)
{
	fd = pl_real.signalfd(fd, set, flags);
	if (fd >= 0 && fd < FDS)
		signals_at[fd] = true;
	return fd;
}

/* A read for one that takes two: the other is gone. */
static ssize_t greedy_read(int fd, void *buf, size_t n)
{
	ssize_t got = pl_real.read(fd, buf, n);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct signalfd_siginfo gone;

	if (fd < 0 || fd >= FDS || !signals_at[fd] || got != sizeof gone || poll(&p, 1, 0) != 1 ||
		!pl_fires(0))
		return got;
	(void)!pl_real.read(fd, &gone, sizeof gone);
	return got;
}

const struct pl_mutant pl_signal_mutants[] = {
	{ "sig-drop", { .every = 1000 }, { .kill = drop_kill, .sigqueue = drop_sigqueue } },
	{ "sig-merge", { .within_us = 20 }, { .sigqueue = merge_sigqueue } },
	{ "sig-swap", { .within_us = 20 }, { .sigtimedwait = swap_take } },
	{ "sig-distracted", { .every = 100 }, { .sigtimedwait = distracted_take } },
	{ "sig-twice", { .every = 1000 }, { .sigtimedwait = twice_take } },
	{ "sig-blind", { .every = 100 }, { .sigtimedwait = blind_take } },
	{ "sig-fd-greedy", { .every = 1000 }, { .signalfd = note_signalfd, .read = greedy_read } },
	{ 0 },
};
