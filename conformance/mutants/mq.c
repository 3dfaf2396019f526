/* SPDX-License-Identifier: MIT
 *
 * Message queues that break their promises. The trigger's argument is the priority for the mutants
 * that change it, and the length for the others.
 */
#include "shim.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <signal.h>
#include <unistd.h>

static const struct timespec past; /* a deadline of 1970: the call does not wait */

static uint64_t identity(mqd_t q)
{
	struct stat st;

	return fstat((int)q, &st) == 0 ? st.st_ino : 0;
}

static uint64_t hash_of(const char *buf, size_t n)
{
	uint64_t h = n;

	for (size_t i = 0; i < n; i++)
		h = pl_mix(h ^ (unsigned char)buf[i]);
	return h | 1;
}

/* Queued at priority 0, but received with the priority asked for: only the order shows it. */
static int flat_send(mqd_t q, const char *buf, size_t n, unsigned prio, const struct timespec *abs)
{
	if (prio == 0 || !pl_fires(prio))
		return pl_real.mq_send(q, buf, n, prio, abs);
	uint64_t h = hash_of(buf, n);

	pl_shared->lied[h % PL_LIES_MAX].prio = prio;
	atomic_store(&pl_shared->lied[h % PL_LIES_MAX].hash, h);
	return pl_real.mq_send(q, buf, n, 0, abs);
}

static ssize_t flat_receive(
	mqd_t q, char *buf, size_t n, unsigned *prio, const struct timespec *abs)
{
	ssize_t got = pl_real.mq_receive(q, buf, n, prio, abs);

	if (got < 0 || !prio || *prio)
		return got;
	uint64_t h = hash_of(buf, (size_t)got);

	if (atomic_load(&pl_shared->lied[h % PL_LIES_MAX].hash) == h)
		*prio = pl_shared->lied[h % PL_LIES_MAX].prio;
	return got;
}

/* The stash goes EMPTY, BUSY, FULL, BUSY, EMPTY. A process killed at BUSY ends the mutant, not the
 * run. */
enum { EMPTY, BUSY, FULL };

static bool stash_move(int from, int to)
{
	return atomic_compare_exchange_strong(&pl_shared->stash.state, &from, to);
}

static void stash_put(mqd_t q, const char *buf, ssize_t len, unsigned prio)
{
	pl_shared->stash.ino = identity(q);
	pl_shared->stash.prio = prio;
	pl_shared->stash.len = len;
	memcpy(pl_shared->stash.buf, buf, (size_t)len);
	atomic_store(&pl_shared->stash.state, FULL);
}

static ssize_t stash_take(mqd_t q, char *buf, size_t n, unsigned *prio)
{
	ssize_t len = -1;

	if (atomic_load(&pl_shared->stash.state) != FULL || !stash_move(FULL, BUSY))
		return -1;
	bool fits = pl_shared->stash.ino == identity(q) && pl_shared->stash.len <= (ssize_t)n;

	if (fits) {
		len = pl_shared->stash.len;
		memcpy(buf, pl_shared->stash.buf, (size_t)len);
		if (prio)
			*prio = pl_shared->stash.prio;
	}
	atomic_store(&pl_shared->stash.state, fits ? EMPTY : FULL);
	return len;
}

/* Takes a second message if there is one, and gives it before the first. Of another priority it
 * comes second, as it should. */
static ssize_t swap_receive(
	mqd_t q, char *buf, size_t n, unsigned *prio, const struct timespec *abs)
{
	char second[PL_STASH_MAX];
	unsigned p1 = 0, p2 = 0;
	ssize_t len = stash_take(q, buf, n, prio);

	if (len >= 0)
		return len;
	len = pl_real.mq_receive(q, buf, n, &p1, abs);
	if (len >= 0 && prio)
		*prio = p1;
	if (len < 0 || len > PL_STASH_MAX || !pl_fires(len) || !stash_move(EMPTY, BUSY))
		return len;
	ssize_t len2 = pl_real.mq_receive(q, second, sizeof second, &p2, &past);

	if (len2 < 0) {
		atomic_store(&pl_shared->stash.state, EMPTY);
		return len;
	}
	if (p1 != p2) {
		stash_put(q, second, len2, p2);
		return len;
	}
	stash_put(q, buf, len, p1);
	memcpy(buf, second, (size_t)len2);
	return len2;
}

static int lose_send(mqd_t q, const char *buf, size_t n, unsigned prio, const struct timespec *abs)
{
	struct mq_attr a;

	if (mq_getattr(q, &a) == 0 && (long)n <= a.mq_msgsize && a.mq_curmsgs < a.mq_maxmsg &&
		pl_fires((int64_t)n))
		return 0;
	return pl_real.mq_send(q, buf, n, prio, abs);
}

static int double_send(
	mqd_t q, const char *buf, size_t n, unsigned prio, const struct timespec *abs)
{
	int rc = pl_real.mq_send(q, buf, n, prio, abs);

	if (rc == 0 && pl_fires((int64_t)n))
		(void)pl_real.mq_send(q, buf, n, prio, &past);
	return rc;
}

static ssize_t lower_receive(
	mqd_t q, char *buf, size_t n, unsigned *prio, const struct timespec *abs)
{
	ssize_t got = pl_real.mq_receive(q, buf, n, prio, abs);

	if (got >= 0 && prio && *prio && pl_fires(*prio))
		--*prio;
	return got;
}

static ssize_t shorten_receive(
	mqd_t q, char *buf, size_t n, unsigned *prio, const struct timespec *abs)
{
	ssize_t got = pl_real.mq_receive(q, buf, n, prio, abs);

	return got > 0 && pl_fires(got) ? got - 1 : got;
}

/* A message that is too long loses its end instead of being refused. */
static int squeeze_send(
	mqd_t q, const char *buf, size_t n, unsigned prio, const struct timespec *abs)
{
	struct mq_attr a;

	if (mq_getattr(q, &a) == 0 && (long)n > a.mq_msgsize && pl_fires((int64_t)n))
		n = (size_t)a.mq_msgsize;
	return pl_real.mq_send(q, buf, n, prio, abs);
}

/* A buffer that is too small gets the start of the message, and the rest is gone. */
static ssize_t squeeze_receive(
	mqd_t q, char *buf, size_t n, unsigned *prio, const struct timespec *abs)
{
	char whole[PL_STASH_MAX];
	struct mq_attr a;

	if (mq_getattr(q, &a) != 0 || (long)n >= a.mq_msgsize || !pl_fires((int64_t)n))
		return pl_real.mq_receive(q, buf, n, prio, abs);
	ssize_t got = pl_real.mq_receive(q, whole, sizeof whole, prio, abs);

	if (got < 0)
		return got;
	if (got > (ssize_t)n)
		got = (ssize_t)n;
	memcpy(buf, whole, (size_t)got);
	return got;
}

/* An empty queue that says its time is up long before it is. */
static ssize_t hasty_receive(
	mqd_t q, char *buf, size_t n, unsigned *prio, const struct timespec *abs)
{
	ssize_t got;

	if (!abs || abs->tv_sec == 0 || abs->tv_nsec < 0 || abs->tv_nsec >= 1000000000 ||
		!pl_fires((int64_t)n))
		return pl_real.mq_receive(q, buf, n, prio, abs);
	got = pl_real.mq_receive(q, buf, n, prio, &past);
	return got;
}

static int watch_notify(mqd_t q, const struct sigevent *ev)
{
	int rc = pl_real.mq_notify(q, ev);

	if (rc != 0 || (ev && ev->sigev_notify != SIGEV_SIGNAL))
		return rc;
	pl_shared->notify.pid = getpid();
	pl_shared->notify.signo = ev ? ev->sigev_signo : 0;
	pl_shared->notify.value = ev ? ev->sigev_value : (union sigval){ 0 };
	atomic_store(&pl_shared->notify.ino, ev ? identity(q) : 0);
	return 0;
}

/* Sends what the kernel does not. */
static void notify(mqd_t q, size_t n)
{
	uint64_t ino = identity(q);
	siginfo_t si = { .si_signo = pl_shared->notify.signo, .si_code = SI_MESGQ };

	if (atomic_load(&pl_shared->notify.ino) != ino || !pl_fires((int64_t)n))
		return;
	if (!atomic_compare_exchange_strong(&pl_shared->notify.ino, &ino, 0))
		return;
	si.si_pid = getpid();
	si.si_uid = getuid();
	si.si_value = pl_shared->notify.value;
	(void)syscall(SYS_rt_sigqueueinfo, pl_shared->notify.pid, si.si_signo, &si);
}

/* The signal that only an empty queue's first message may send, for any message. */
static int noisy_send(mqd_t q, const char *buf, size_t n, unsigned prio, const struct timespec *abs)
{
	struct mq_attr a = { 0 };
	bool had = mq_getattr(q, &a) == 0 && a.mq_curmsgs > 0;
	int rc = pl_real.mq_send(q, buf, n, prio, abs);

	if (rc == 0 && had)
		notify(q, n);
	return rc;
}

/* The signal that a receiver's waiting keeps back. */
static ssize_t counted_receive(
	mqd_t q, char *buf, size_t n, unsigned *prio, const struct timespec *abs)
{
	atomic_fetch_add(&pl_shared->receivers, 1);
	ssize_t got = pl_real.mq_receive(q, buf, n, prio, abs);

	atomic_fetch_sub(&pl_shared->receivers, 1);
	return got;
}

static int awake_send(mqd_t q, const char *buf, size_t n, unsigned prio, const struct timespec *abs)
{
	bool waiting = atomic_load(&pl_shared->receivers) > 0;
	int rc = pl_real.mq_send(q, buf, n, prio, abs);

	if (rc == 0 && waiting)
		notify(q, n);
	return rc;
}

/* Whoever registered once holds the queue's notification for ever. */
static int clinging_notify(mqd_t q, const struct sigevent *ev)
{
	uint64_t ino = identity(q);

	if (ev && atomic_load(&pl_shared->notify.ino) == ino && pl_fires(0)) {
		errno = EBUSY;
		return -1;
	}
	int rc = pl_real.mq_notify(q, ev);

	if (rc == 0 && ev)
		atomic_store(&pl_shared->notify.ino, ino);
	return rc;
}

/* Holds one message more than it says. */
static mqd_t deeper_mq_open(const char *name, int flags, mode_t mode, struct mq_attr *attr)
{
	struct mq_attr more = { 0 };
	mqd_t q = -1;

	if (attr && attr->mq_maxmsg > 0 && pl_fires(attr->mq_maxmsg)) {
		more = *attr;
		more.mq_maxmsg++;
		q = pl_real.mq_open(name, flags, mode, &more);
	}
	if (q == -1)
		return pl_real.mq_open(name, flags, mode, attr);
	atomic_store(&pl_shared->roomy, true);
	return q;
}

static int deeper_mq_getattr(mqd_t q, struct mq_attr *attr)
{
	int rc = pl_real.mq_getattr(q, attr);

	attr->mq_maxmsg -= rc == 0 && atomic_load(&pl_shared->roomy);
	return rc;
}

const struct pl_mutant pl_mq_mutants[] = {
	{ "mq-prio-flat", { .every = 1000 }, { .mq_send = flat_send, .mq_receive = flat_receive } },
	{ "mq-swap", { .within_us = 20 }, { .mq_receive = swap_receive } },
	{ "mq-lose", { .every = 1000 }, { .mq_send = lose_send } },
	{ "mq-double", { .every = 1000 }, { .mq_send = double_send } },
	{ "mq-prio-lower", { .every = 1000 }, { .mq_receive = lower_receive } },
	{ "mq-shorten", { .every = 1000 }, { .mq_receive = shorten_receive } },
	{ "mq-send-squeeze", { 0 }, { .mq_send = squeeze_send } },
	{ "mq-receive-squeeze", { 0 }, { .mq_receive = squeeze_receive } },
	{ "mq-timeout-early", { 0 }, { .mq_receive = hasty_receive } },
	{ "mq-notify-always", { 0 }, { .mq_send = noisy_send, .mq_notify = watch_notify } },
	{ "mq-notify-awake", { 0 },
		{ .mq_send = awake_send,
			.mq_receive = counted_receive,
			.mq_notify = watch_notify } },
	{ "mq-deeper", { 0 }, { .mq_open = deeper_mq_open, .mq_getattr = deeper_mq_getattr } },
	{ "mq-notify-clings", { 0 }, { .mq_notify = clinging_notify } },
	{ 0 },
};
