/* SPDX-License-Identifier: MIT
 *
 * Signals as handlers, waits that let one through, threads and children meet them. Each operation
 * is a story of its own: it sends what it needs itself, and leaves handlers and masks as they were.
 */
#ifndef PLUMBLINE_DRIVERS_HANDLER_H
#define PLUMBLINE_DRIVERS_HANDLER_H

#include "driver.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN_MAX = 64, VALUES_MAX = 256, THREADS = 4 };

static volatile sig_atomic_t handled;
static volatile double clobbered;   /* what handlers reckon with */
static atomic_int came[VALUES_MAX]; /* by value: how often */
static atomic_int arrived, strangers;
static int order[VALUES_MAX]; /* values, as they came */
static pthread_t receiving[THREADS];

static inline sigset_t only(int signo)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, signo);
	return set;
}

/* The handler's own mask is full: none of them is interrupted by another. */
static inline int handle(int signo, void (*with)(int, siginfo_t *, void *), struct sigaction *old)
{
	struct sigaction sa = { .sa_sigaction = with, .sa_flags = SA_SIGINFO };

	(void)sigfillset(&sa.sa_mask);
	return sigaction(signo, &sa, old);
}

static inline void on_value(int signo, siginfo_t *si, void *context)
{
	order[handled++ % VALUES_MAX] = si->si_value.sival_int;
}

/* Eight of four numbers are pending, and let through at once: in which order their handlers run,
 * a digit each, before sigprocmask returns. */
static inline long handle_pending(int first, struct pl_result *r)
{
	static const int number[] = { 1, 3, 0, 3, 2, 0, 1, 2 };
	enum { NUMBERS = 4, SENDS = sizeof number / sizeof *number };
	struct sigaction old[NUMBERS];
	sigset_t set = only(first), before;
	int i, rc = 0;

	for (i = 0; i < NUMBERS; i++) {
		(void)sigaddset(&set, first + i);
		(void)handle(first + i, on_value, &old[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	handled = 0;
	for (i = 0; i < SENDS && rc == 0; i++)
		rc = sigqueue(getpid(), first + number[i], (union sigval){ .sival_int = i });
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	r->out[0] = handled;
	for (i = 0; i < handled && i < SENDS; i++)
		r->out[1] = r->out[1] * 10 + order[i];
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	for (i = 0; i < NUMBERS; i++)
		(void)sigaction(first + i, &old[i], NULL);
	return rc;
}

/* Which of the real-time numbers can be sent and are taken, with their value. */
static inline long try_numbers(struct pl_result *r)
{
	static const struct timespec now;
	int signo;

	for (signo = SIGRTMIN; signo <= SIGRTMAX; signo++) {
		sigset_t set = only(signo), before;
		siginfo_t si = { 0 };

		(void)sigprocmask(SIG_BLOCK, &set, &before);
		r->out[1] += sigqueue(getpid(), signo, (union sigval){ .sival_int = signo }) == 0 &&
			     sigtimedwait(&set, &si, &now) == signo &&
			     si.si_value.sival_int == signo;
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
	}
	r->out[0] = SIGRTMAX - SIGRTMIN + 1;
	return 0;
}

static inline void on_any(int signo, siginfo_t *si, void *context)
{
	handled++;
}

/* sigsuspend, ppoll, pselect or epoll_pwait, under this mask, for ever. */
static inline void wait_under(int how, const sigset_t *mask, int ep)
{
	struct epoll_event ev;

	if (how == 0)
		(void)sigsuspend(mask);
	else if (how == 1)
		(void)ppoll(NULL, 0, NULL, mask);
	else if (how == 2)
		(void)pselect(0, NULL, NULL, NULL, NULL, mask);
	else
		(void)epoll_pwait(ep, &ev, 1, -1, mask);
}

/* Sends the signal to its parent for each byte that it is given, or `times` at once. */
static inline pid_t sender(int signo, int from, int64_t times)
{
	pid_t parent = getpid(), pid = fork();
	char c;

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (from >= 0 ? read(from, &c, 1) == 1 : times-- > 0)
		(void)kill(parent, signo);
	_exit(0);
}

/* The signal is asked for, and may come from then on. It is blocked but in the wait. */
static inline long wait_for_each(int signo, int how, int64_t times, struct pl_result *r)
{
	int go[2] = { -1, -1 }, ep = epoll_create1(EPOLL_CLOEXEC);
	sigset_t set = only(signo), open;
	struct sigaction old;
	pid_t child = -1;
	int64_t i;

	(void)sigprocmask(SIG_BLOCK, &set, &open);
	(void)sigdelset(&open, signo);
	(void)handle(signo, on_any, &old);
	handled = 0;
	if (ep >= 0 && pipe(go) == 0)
		child = sender(signo, go[0], 0);
	for (i = 0; child > 0 && i < times && write(go[1], "!", 1) == 1; i++)
		while (handled == i)
			wait_under(how, &open, ep);
	r->out[0] = handled;
	(void)close(go[1]), (void)close(go[0]), (void)close(ep);
	if (child > 0 && kill(child, SIGKILL) == 0)
		(void)waitpid(child, NULL, 0);
	(void)sigaction(signo, &old, NULL);
	return child > 0 ? 0 : -1;
}

static inline double reckon(double x, int turns)
{
	double a[8], sum = 0;
	int i, k;

	for (k = 0; k < 8; k++)
		a[k] = x + k;
	for (i = 0; i < turns; i++)
		for (k = 0; k < 8; k++)
			a[k] = a[k] * 1.0000001 + 1.0 / (a[k] + i);
	for (k = 0; k < 8; k++)
		sum += a[k];
	return sum;
}

static inline void on_storm(int signo, siginfo_t *si, void *context)
{
	handled++;
	clobbered = reckon(clobbered, 4);
}

/* Several send as fast as they can to one that reckons: is it always the same that comes out? */
static inline long stand_storm(int signo, int64_t senders, int64_t each, struct pl_result *r)
{
	double want = reckon(1.5, 2000);
	sigset_t set = only(signo), before;
	pid_t child[CHILDREN_MAX];
	struct sigaction old;
	int64_t n, left;

	(void)handle(signo, on_storm, &old);
	(void)sigprocmask(SIG_UNBLOCK, &set, &before);
	handled = 0, r->out[1] = 1;
	for (n = 0; n < senders && (child[n] = sender(signo, -1, each)) > 0; n++)
		;
	for (left = n; left > 0;) {
		pid_t pid = child[left - 1];

		r->out[1] &= reckon(1.5, 2000) == want;
		left -= waitpid(pid, NULL, WNOHANG) == pid;
	}
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)sigaction(signo, &old, NULL);
	r->out[0] = handled;
	return n == senders ? 0 : -1;
}

static inline void on_thread(int signo, siginfo_t *si, void *context)
{
	int i, mine = 0;

	for (i = 0; i < THREADS; i++)
		mine |= pthread_equal(pthread_self(), receiving[i]);
	atomic_fetch_add(&strangers, !mine);
	atomic_fetch_add(&came[si->si_value.sival_int % VALUES_MAX], 1);
	atomic_fetch_add(&arrived, 1);
}

static inline void *receive(void *set)
{
	(void)pthread_sigmask(SIG_UNBLOCK, set, NULL);
	while (atomic_load(&arrived) < VALUES_MAX)
		(void)poll(NULL, 0, 1);
	return NULL;
}

/* Sent to the process, whose first thread blocks it: how many values came just once, and how many
 * to a thread that blocks them. */
static inline long send_to_threads(int signo, struct pl_result *r)
{
	sigset_t set = only(signo), before;
	struct sigaction old;
	int i, n, rc = 0;

	(void)sigprocmask(SIG_BLOCK, &set, &before);
	(void)handle(signo, on_thread, &old);
	atomic_store(&arrived, 0), atomic_store(&strangers, 0);
	for (i = 0; i < VALUES_MAX; i++)
		atomic_store(&came[i], 0);
	for (n = 0; n < THREADS && rc == 0; n += rc == 0)
		rc = pthread_create(&receiving[n], NULL, receive, &set);
	for (i = 0; i < VALUES_MAX && rc == 0; i++) {
		rc = sigqueue(getpid(), signo, (union sigval){ .sival_int = i }) < 0 ? errno : 0;
		if (rc == EAGAIN && sched_yield() == 0) /* as many as may be pending are */
			rc = 0, i--;
	}
	if (rc != 0)
		atomic_store(&arrived, VALUES_MAX);
	while (n-- > 0)
		(void)pthread_join(receiving[n], NULL);
	for (i = 0; i < VALUES_MAX; i++)
		r->out[0] += atomic_load(&came[i]) == 1;
	r->out[1] = atomic_load(&strangers);
	(void)sigaction(signo, &old, NULL);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return pl_ret(rc);
}

static inline void on_child(int signo, siginfo_t *si, void *context)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		handled++;
}

static inline int64_t born(int64_t n)
{
	int64_t i;
	pid_t pid = 1;

	for (i = 0; i < n && (pid = fork()) > 0; i++)
		;
	if (pid == 0)
		_exit(0);
	return i;
}

/* Children that all end at once: how many a handler of SIGCHLD reaps that asks as long as there are
 * some; and, with SA_NOCLDWAIT, whether wait finds none when the last has ended. */
static inline long reap_all(int64_t n, struct pl_result *r)
{
	struct sigaction none = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT }, old;
	sigset_t set = only(SIGCHLD), open;
	int64_t there;

	(void)sigprocmask(SIG_BLOCK, &set, &open);
	(void)sigdelset(&open, SIGCHLD);
	(void)handle(SIGCHLD, on_child, &old);
	handled = 0;
	there = born(n);
	while (handled < there)
		(void)sigsuspend(&open);
	r->out[0] = handled;
	(void)sigaction(SIGCHLD, &none, NULL);
	if (there == n)
		there = born(n);
	r->out[1] = wait(NULL) < 0 && errno == ECHILD;
	(void)sigaction(SIGCHLD, &old, NULL);
	(void)sigprocmask(SIG_SETMASK, &open, NULL);
	return there == n ? 0 : -1;
}

enum { FOUND_PARENTS = 1, FOUND_OWN = 2, TOLD_OWN = 4 };

/* A child with its parent's signalfd, and with epoll where its parent has put that: does it
 * find the parent's signals, or its own, and does epoll tell of its own? */
static inline long inherit(int fd, int signo, struct pl_result *r)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC), status = 0;
	struct signalfd_siginfo f;
	pid_t pid = -1;

	if (ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0)
		pid = fork();
	if (pid == 0) {
		status = read(fd, &f, sizeof f) > 0 ? FOUND_PARENTS : 0;
		(void)raise(signo);
		status |= epoll_wait(ep, &ev, 1, 0) > 0 ? TOLD_OWN : 0;
		if (read(fd, &f, sizeof f) > 0 && f.ssi_signo == (unsigned)signo)
			status |= FOUND_OWN;
		_exit(status);
	}
	(void)close(ep);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	status = WEXITSTATUS(status);
	r->out[0] = !!(status & FOUND_PARENTS), r->out[1] = !!(status & FOUND_OWN);
	r->out[2] = !!(status & TOLD_OWN);
	return 0;
}

#endif
