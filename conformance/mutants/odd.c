/* SPDX-License-Identifier: MIT
 *
 * Oddities: strange, and allowed. A judge that calls one of them a violation raises false alarms.
 *
 * The stalls here are test equipment: they stand in for a machine that is busy elsewhere, and
 * nothing waits by them. SIGSTOP and SIGKILL at any point come from the engine (--fault), not from
 * here.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/msg.h>
#include <unistd.h>

enum { STALL_MS = 200, DELAY_US = 100, YIELDS = 20, SLACK = 2 };

static void stall_ns(int64_t ns)
{
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	int e = errno;

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	errno = e;
}

static bool interrupted(int64_t arg)
{
	if (!pl_fires(arg))
		return false;
	errno = EINTR;
	return true;
}

/* EINTR before anything happened. Not for mutexes, which never give it. */
static ssize_t eintr_write(int fd, const void *buf, size_t n)
{
	return pl_is_pipe(fd) && interrupted((int64_t)n) ? -1 : pl_real.write(fd, buf, n);
}

static ssize_t eintr_read(int fd, void *buf, size_t n)
{
	return pl_is_pipe(fd) && interrupted((int64_t)n) ? -1 : pl_real.read(fd, buf, n);
}

static int eintr_send(mqd_t q, const char *buf, size_t n, unsigned prio, const struct timespec *abs)
{
	return interrupted((int64_t)n) ? -1 : pl_real.mq_send(q, buf, n, prio, abs);
}

static ssize_t eintr_receive(
	mqd_t q, char *buf, size_t n, unsigned *prio, const struct timespec *abs)
{
	return interrupted((int64_t)n) ? -1 : pl_real.mq_receive(q, buf, n, prio, abs);
}

static int eintr_take(const sigset_t *set, siginfo_t *si, const struct timespec *within)
{
	return interrupted(0) ? -1 : pl_real.sigtimedwait(set, si, within);
}

static int eintr_file_lock(const struct pl_file_lock *a)
{
	return pl_lock_waits(a) && !pl_lock_ends(a) && interrupted(0) ? -1 : pl_real.file_lock(a);
}

static int eintr_msgsnd(int id, const void *m, size_t n, int flags)
{
	return !(flags & IPC_NOWAIT) && interrupted((int64_t)n) ? -1
								: pl_real.msgsnd(id, m, n, flags);
}

static ssize_t eintr_msgrcv(int id, void *m, size_t n, long type, int flags)
{
	return !(flags & IPC_NOWAIT) && interrupted((int64_t)n)
		       ? -1
		       : pl_real.msgrcv(id, m, n, type, flags);
}

/* Fewer bytes than there are. Not where there are pipes of packets: the rest of one would be lost, and the end that
 * is read does not tell what it is. */
static bool packets;

static int note_pipe2(int fd[2], int flags)
{
	packets |= flags & O_DIRECT;
	return pl_real.pipe2(fd, flags);
}

static ssize_t short_read(int fd, void *buf, size_t n)
{
	if (n > 1 && !packets && pl_is_pipe(fd) && pl_fires((int64_t)n)) {
		uint64_t r = pl_mix(atomic_load(&pl_shared->candidates));

		n = r & 1 ? 1 : 1 + (size_t)(r >> 1) % n;
	}
	return pl_real.read(fd, buf, n);
}

/* The kernel is done, the caller does not know it yet. */
static ssize_t stall_write(int fd, const void *buf, size_t n)
{
	ssize_t done = pl_real.write(fd, buf, n);

	if (pl_is_pipe(fd) && pl_fires((int64_t)n))
		stall_ns(STALL_MS * INT64_C(1000000));
	return done;
}

static ssize_t stall_read(int fd, void *buf, size_t n)
{
	ssize_t done = pl_real.read(fd, buf, n);

	if (pl_is_pipe(fd) && pl_fires((int64_t)n))
		stall_ns(STALL_MS * INT64_C(1000000));
	return done;
}

static int stall_send(mqd_t q, const char *buf, size_t n, unsigned prio, const struct timespec *abs)
{
	int rc = pl_real.mq_send(q, buf, n, prio, abs);

	if (pl_fires((int64_t)n))
		stall_ns(STALL_MS * INT64_C(1000000));
	return rc;
}

static ssize_t stall_receive(
	mqd_t q, char *buf, size_t n, unsigned *prio, const struct timespec *abs)
{
	ssize_t got = pl_real.mq_receive(q, buf, n, prio, abs);

	if (pl_fires((int64_t)n))
		stall_ns(STALL_MS * INT64_C(1000000));
	return got;
}

static int stall_acquire(pthread_mutex_t *m, const struct pl_attempt *a)
{
	int rc = pl_real.acquire(m, a);

	if (pl_fires(0))
		stall_ns(STALL_MS * INT64_C(1000000));
	return rc;
}

static int stall_unlock(pthread_mutex_t *m)
{
	int rc = pl_real.unlock(m);

	if (pl_fires(0))
		stall_ns(STALL_MS * INT64_C(1000000));
	return rc;
}

static int stall_sigqueue(pid_t pid, int signo, union sigval value)
{
	int rc = pl_real.sigqueue(pid, signo, value);

	if (pl_fires(signo))
		stall_ns(STALL_MS * INT64_C(1000000));
	return rc;
}

static int stall_kill(pid_t pid, int signo)
{
	int rc = pl_real.kill(pid, signo);

	if (pl_fires(signo))
		stall_ns(STALL_MS * INT64_C(1000000));
	return rc;
}

static int stall_take(const sigset_t *set, siginfo_t *si, const struct timespec *within)
{
	int rc = pl_real.sigtimedwait(set, si, within);

	if (pl_fires(0))
		stall_ns(STALL_MS * INT64_C(1000000));
	return rc;
}

static int stall_file_lock(const struct pl_file_lock *a)
{
	int rc = pl_real.file_lock(a);

	if (pl_fires(0))
		stall_ns(STALL_MS * INT64_C(1000000));
	return rc;
}

static int stall_msgsnd(int id, const void *m, size_t n, int flags)
{
	int rc = pl_real.msgsnd(id, m, n, flags);

	if (pl_fires((int64_t)n))
		stall_ns(STALL_MS * INT64_C(1000000));
	return rc;
}

static ssize_t stall_msgrcv(int id, void *m, size_t n, long type, int flags)
{
	ssize_t got = pl_real.msgrcv(id, m, n, type, flags);

	if (pl_fires((int64_t)n))
		stall_ns(STALL_MS * INT64_C(1000000));
	return got;
}

/* Who takes is slow: standard signals merge, and real-time ones queue up. */
static int late_take(const sigset_t *set, siginfo_t *si, const struct timespec *within)
{
	if (pl_fires(0))
		stall_ns(DELAY_US * 1000);
	return pl_real.sigtimedwait(set, si, within);
}

/* Of a standard signal the kernel may forget who sent it, when RLIMIT_SIGPENDING is reached. */
static int untold_take(const sigset_t *set, siginfo_t *si, const struct timespec *within)
{
	int n = pl_real.sigtimedwait(set, si, within);

	if (n > 0 && n < SIGRTMIN && si && pl_fires(n)) {
		si->si_code = SI_USER;
		si->si_pid = 0;
		si->si_uid = 0;
	}
	return n;
}

/* Whoever had the lock last gets it again: the others stand aside for a while. No standard promises
 * more. */
static int unfair_acquire(pthread_mutex_t *m, const struct pl_attempt *a)
{
	pid_t me = gettid();

	if (a->how != PL_TRYLOCK && atomic_load(&pl_shared->last_owner) != me && pl_fires(0)) {
		for (int i = 0; i < YIELDS; i++)
			(void)sched_yield();
	}
	int rc = pl_real.acquire(m, a);

	if (rc == 0 || rc == EOWNERDEAD)
		atomic_store(&pl_shared->last_owner, me);
	return rc;
}

static int unfair_file_lock(const struct pl_file_lock *a)
{
	pid_t me = gettid();

	if (pl_lock_waits(a) && !pl_lock_ends(a) && atomic_load(&pl_shared->last_owner) != me &&
		pl_fires(0)) {
		for (int i = 0; i < YIELDS; i++)
			(void)sched_yield();
	}
	int rc = pl_real.file_lock(a);

	if (rc == 0 && !pl_lock_ends(a))
		atomic_store(&pl_shared->last_owner, me);
	return rc;
}

static int slow_file_lock(const struct pl_file_lock *a)
{
	if (pl_fires(0))
		stall_ns(DELAY_US * 1000);
	return pl_real.file_lock(a);
}

static int slow_acquire(pthread_mutex_t *m, const struct pl_attempt *a)
{
	if (pl_fires(0))
		stall_ns(DELAY_US * 1000);
	return pl_real.acquire(m, a);
}

static int slow_unlock(pthread_mutex_t *m)
{
	if (pl_fires(0))
		stall_ns(DELAY_US * 1000);
	return pl_real.unlock(m);
}

/* A clock with steps of 1 us, so that stamps are often equal. Every stamp goes through the same
 * non-decreasing function f, and f(a) < f(b) implies a < b: no order is invented, some is lost. Up
 * rather than down, because a time-out must not seem to come before its deadline. */
static int coarse_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = pl_real.clock_gettime(clock, ts);

	if (rc != 0 || clock != CLOCK_MONOTONIC)
		return rc;
	if (atomic_load_explicit(&pl_shared->fired, memory_order_relaxed) == 0)
		atomic_store(
			&pl_shared->fired, 1); /* seen to run; no trigger, or it were two clocks */
	ts->tv_nsec = (ts->tv_nsec + 999) / 1000 * 1000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_nsec -= 1000000000;
		ts->tv_sec++;
	}
	return rc;
}

/* More room than asked for, where it can be had. */
static int roomy_setpipe_sz(int fd, int size)
{
	int rc = pl_fires(size) ? pl_real.setpipe_sz(fd, size * SLACK) : -1;

	return rc >= 0 ? rc : pl_real.setpipe_sz(fd, size);
}

static mqd_t roomy_mq_open(const char *name, int flags, mode_t mode, struct mq_attr *attr)
{
	struct mq_attr more = { 0 };
	mqd_t q = -1;

	if (attr && attr->mq_maxmsg > 0 && pl_fires(attr->mq_maxmsg)) {
		more = *attr;
		more.mq_maxmsg *= SLACK;
		q = pl_real.mq_open(name, flags, mode, &more);
	}
	return q != -1 ? q : pl_real.mq_open(name, flags, mode, attr);
}

const struct pl_mutant pl_oddities[] = {
	{ "odd-eintr", { .p = 0.05 },
		{ .write = eintr_write,
			.read = eintr_read,
			.mq_send = eintr_send,
			.mq_receive = eintr_receive,
			.sigtimedwait = eintr_take,
			.file_lock = eintr_file_lock,
			.msgsnd = eintr_msgsnd,
			.msgrcv = eintr_msgrcv } },
	{ "odd-short-read", { .p = 0.1 }, { .read = short_read, .pipe2 = note_pipe2 } },
	{ "odd-stall", { .p = 0.0001 },
		{ .write = stall_write,
			.read = stall_read,
			.mq_send = stall_send,
			.mq_receive = stall_receive,
			.acquire = stall_acquire,
			.unlock = stall_unlock,
			.sigqueue = stall_sigqueue,
			.kill = stall_kill,
			.sigtimedwait = stall_take,
			.file_lock = stall_file_lock,
			.msgsnd = stall_msgsnd,
			.msgrcv = stall_msgrcv } },
	{ "odd-unfair", { 0 }, { .acquire = unfair_acquire, .file_lock = unfair_file_lock } },
	{ "odd-slow-lock", { .p = 0.01 },
		{ .acquire = slow_acquire, .unlock = slow_unlock, .file_lock = slow_file_lock } },
	{ "odd-sig-late", { .p = 0.1 }, { .sigtimedwait = late_take } },
	{ "odd-sig-untold", { .p = 0.3 }, { .sigtimedwait = untold_take } },
	{ "odd-coarse-clock", { 0 }, { .clock_gettime = coarse_clock_gettime } },
	{ "odd-roomy", { 0 }, { .setpipe_sz = roomy_setpipe_sz, .mq_open = roomy_mq_open } },
	{ 0 },
};
