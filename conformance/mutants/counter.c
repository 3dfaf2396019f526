/* SPDX-License-Identifier: MIT
 *
 * Semaphores and event counters that break their promises. One looks into glibc's sem_t, which other
 * C libraries lay out otherwise: the value in the first 32 bits, the number of waiters in the next.
 * The trigger's argument is how much is added.
 */
#include "shim.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- POSIX semaphores ---- */

/* Raises the value and wakes nobody. */
static int mute_post(sem_t *s)
{
	uint32_t *word = (uint32_t *)s;

	if (__atomic_load_n(word + 1, __ATOMIC_RELAXED) == 0 || !pl_fires(1))
		return pl_real.sem_post(s);
	__atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
	return 0;
}

static int lose_post(sem_t *s)
{
	return pl_fires(1) ? 0 : pl_real.sem_post(s);
}

static int double_post(sem_t *s)
{
	return pl_fires(1) && pl_real.sem_post(s) < 0 ? -1 : pl_real.sem_post(s);
}

/* Says that it took a token where there was none. */
static int greedy_take(sem_t *s, const struct pl_attempt *a)
{
	int rc = pl_real.sem_take(s, a);

	return rc < 0 && errno == EAGAIN && a->how == PL_TRYLOCK && pl_fires(1) ? 0 : rc;
}

/* A time-out that comes at once although its time is not up. */
static int hasty_take(sem_t *s, const struct pl_attempt *a)
{
	static const struct timespec past;
	struct pl_attempt now = *a;

	if (a->abs && a->abs->tv_sec && pl_fires(1))
		now.abs = &past;
	return pl_real.sem_take(s, &now);
}

/* Interrupted, it waits for its whole time once more. */
static int again_take(sem_t *s, const struct pl_attempt *a)
{
	clockid_t clock = a->how == PL_CLOCKLOCK ? a->clock : CLOCK_REALTIME;
	struct timespec begun, now, until = a->abs ? *a->abs : (struct timespec){ 0 };
	struct pl_attempt next = *a;
	int rc = pl_real.clock_gettime(clock, &begun);

	while ((rc = pl_real.sem_take(s, &next)) < 0 && errno == EINTR && a->abs && pl_fires(1)) {
		(void)pl_real.clock_gettime(clock, &now);
		until.tv_sec = a->abs->tv_sec + now.tv_sec - begun.tv_sec;
		next.abs = &until;
	}
	return rc;
}

/* Shared is meant, and private is made: who waits in another process is not woken. */
static int private_init(sem_t *s, int pshared, unsigned value)
{
	return pl_real.sem_init(s, pshared && !pl_fires(1) ? pshared : 0, value);
}

static int high_getvalue(sem_t *s, int *value)
{
	int rc = pl_real.sem_getvalue(s, value);

	*value += rc == 0 && pl_fires(1);
	return rc;
}

/* ---- System V semaphores ---- */

/* One step after the other, each by itself. */
static int split_semop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	size_t i = 0;

	if (n < 2 || !pl_fires(abs(ops[0].sem_op)))
		return pl_real.semop(id, ops, n, timeout);
	while (i < n && pl_real.semop(id, ops + i, 1, timeout) == 0)
		i++;
	return i == n ? 0 : -1;
}

/* The last of several steps is not done. */
static int short_semop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	bool lies = n > 1 && pl_fires(abs(ops[0].sem_op));

	return pl_real.semop(id, ops, lies ? n - 1 : n, timeout);
}

/* Refuses where it need not wait. */
static int timid_semop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	if (n < 2 || !(ops[0].sem_flg & IPC_NOWAIT) || !pl_fires(abs(ops[0].sem_op)))
		return pl_real.semop(id, ops, n, timeout);
	errno = EAGAIN;
	return -1;
}

/* Of several steps the last is not undone. */
static int half_kept_semop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	struct sembuf mine[16];

	if (n < 2 || n > 16 || !(ops[n - 1].sem_flg & SEM_UNDO) || !pl_fires(abs(ops[0].sem_op)))
		return pl_real.semop(id, ops, n, timeout);
	memcpy(mine, ops, n * sizeof *ops);
	mine[n - 1].sem_flg &= ~SEM_UNDO;
	return pl_real.semop(id, mine, n, timeout);
}

static int lose_semop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	return n == 1 && ops[0].sem_op > 0 && pl_fires(abs(ops[0].sem_op))
		       ? 0
		       : pl_real.semop(id, ops, n, timeout);
}

/* Forgets that it is to be undone. */
static int keep_semop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	struct sembuf plain = ops[0];

	if (n != 1 || !(plain.sem_flg & SEM_UNDO) || !pl_fires(abs(plain.sem_op)))
		return pl_real.semop(id, ops, n, timeout);
	plain.sem_flg &= ~SEM_UNDO;
	return pl_real.semop(id, &plain, 1, timeout);
}

/* A child that ends undoes what its parent did. */
static struct {
	pid_t by;
	int id;
	struct sembuf op;
} undoable;

static int noting_semop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	int rc = pl_real.semop(id, ops, n, timeout);

	if (rc == 0 && n == 1 && ops[0].sem_flg & SEM_UNDO) {
		undoable.by = getpid();
		undoable.id = id;
		undoable.op = ops[0];
	}
	return rc;
}

static void undoing_exit(int status)
{
	struct sembuf back = { undoable.op.sem_num, (short)-undoable.op.sem_op, IPC_NOWAIT };

	if (undoable.by && undoable.by != getpid() && pl_fires(1))
		(void)pl_real.semop(undoable.id, &back, 1, NULL);
	pl_real.exit_now(status);
}

static int hasty_semop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	static const struct timespec now;

	return pl_real.semop(id, ops, n, timeout && pl_fires(abs(ops[0].sem_op)) ? &now : timeout);
}

/* Goes on after a signal. */
static int deaf_semop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	int rc;

	do
		rc = pl_real.semop(id, ops, n, timeout);
	while (rc < 0 && errno == EINTR && pl_fires(abs(ops[0].sem_op)));
	return rc;
}

/* Counts one waiter too many, if there is one at all. */
static int high_semctl(int id, int num, int cmd, void *arg)
{
	int rc = pl_real.semctl(id, num, cmd, arg);

	return cmd == GETNCNT && rc > 0 && pl_fires(rc) ? rc + 1 : rc;
}

/* ---- event counters ---- */

/* An eventfd has no type of file. */
static bool is_eventfd(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

static ssize_t short_read(int fd, void *buf, size_t n)
{
	ssize_t rc = pl_real.read(fd, buf, n);
	uint64_t *number = buf;

	if (n == 8 && rc == 8 && *number > 1 && is_eventfd(fd) && pl_fires((int64_t)*number))
		--*number;
	return rc;
}

static ssize_t lose_write(int fd, const void *buf, size_t n)
{
	return n == 8 && is_eventfd(fd) && pl_fires(*(const int64_t *)buf)
		       ? 8
		       : pl_real.write(fd, buf, n);
}

static ssize_t double_write(int fd, const void *buf, size_t n)
{
	if (n == 8 && is_eventfd(fd) && pl_fires(*(const int64_t *)buf))
		(void)!pl_real.write(fd, buf, n);
	return pl_real.write(fd, buf, n);
}

/* Makes room for itself where it should wait, or say that there is none. */
static ssize_t pushing_write(int fd, const void *buf, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t old;

	if (n == 8 && is_eventfd(fd) && poll(&p, 1, 0) == 0 && pl_fires(*(const int64_t *)buf))
		(void)!pl_real.read(fd, &old, sizeof old);
	return pl_real.write(fd, buf, n);
}

const struct pl_mutant pl_counter_mutants[] = {
	{ "sem-post-mute", { .every = 10 }, { .sem_post = mute_post } },
	{ "sem-post-lost", { .every = 1000 }, { .sem_post = lose_post } },
	{ "sem-post-double", { .every = 1000 }, { .sem_post = double_post } },
	{ "sem-trywait-greedy", { 0 }, { .sem_take = greedy_take } },
	{ "sem-timeout-early", { 0 }, { .sem_take = hasty_take } },
	{ "sem-timeout-again", { 0 }, { .sem_take = again_take } },
	{ "sem-private", { 0 }, { .sem_init = private_init } },
	{ "sem-value-high", { 0 }, { .sem_getvalue = high_getvalue } },
	{ "semop-split", { 0 }, { .semop = split_semop } },
	{ "semop-short", { .every = 1000 }, { .semop = short_semop } },
	{ "semop-timid", { .every = 1000 }, { .semop = timid_semop } },
	{ "semop-half-kept", { 0 }, { .semop = half_kept_semop } },
	{ "semop-lost", { .every = 1000 }, { .semop = lose_semop } },
	{ "semop-kept", { 0 }, { .semop = keep_semop } },
	{ "semop-undo-inherited", { 0 }, { .semop = noting_semop, .exit_now = undoing_exit } },
	{ "semop-timeout-early", { 0 }, { .semop = hasty_semop } },
	{ "semop-deaf", { 0 }, { .semop = deaf_semop } },
	{ "semctl-ncnt-high", { 0 }, { .semctl = high_semctl } },
	{ "eventfd-read-short", { 0 }, { .read = short_read } },
	{ "eventfd-write-lost", { .every = 1000 }, { .write = lose_write } },
	{ "eventfd-write-double", { .every = 1000 }, { .write = double_write } },
	{ "eventfd-write-pushes", { 0 }, { .write = pushing_write } },
	{ 0 },
};
