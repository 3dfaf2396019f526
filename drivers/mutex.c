/* SPDX-License-Identifier: MIT
 *
 * pthread_mutex_lock(3p), process-shared: one owner at a time. Robust ones tell the next owner that
 * the last one died; errorcheck and recursive ones know their owner; pi ones lend it their waiters'
 * priority.
 *
 * Beside the mutex lies a plain counter that owners alone touch: acquiring reads it, releasing adds
 * one. Two owners at once lose an update.
 */
#include "driver.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NORMAL, ERRORCHECK, RECURSIVE, ROBUST, PI, ROBUST_PI };

struct guarded {
	pthread_mutex_t mutex;
	volatile uint64_t count, twin; /* equal whenever nobody is inside */
};

static struct guarded *of(struct pl_obj *o)
{
	return o->mem;
}

static long mutex_open(struct pl_obj *o, const struct pl_args *a)
{
	static const int types[] = { [ERRORCHECK] = PTHREAD_MUTEX_ERRORCHECK,
		[RECURSIVE] = PTHREAD_MUTEX_RECURSIVE,
		[ROBUST_PI] = 0 };
	int robust = o->variant == ROBUST || o->variant == ROBUST_PI;
	int pi = o->variant == PI || o->variant == ROBUST_PI, rc;
	pthread_mutexattr_t at;

	rc = pthread_mutexattr_init(&at);
	rc = rc ? rc : pthread_mutexattr_setpshared(&at, PTHREAD_PROCESS_SHARED);
	rc = rc ? rc : pthread_mutexattr_settype(&at, types[o->variant]);
	if (rc == 0 && robust)
		rc = pthread_mutexattr_setrobust(&at, PTHREAD_MUTEX_ROBUST);
	if (rc == 0 && pi)
		rc = pthread_mutexattr_setprotocol(&at, PTHREAD_PRIO_INHERIT);
	rc = rc ? rc : pthread_mutex_init(&of(o)->mutex, &at);
	(void)pthread_mutexattr_destroy(&at);
	return pl_ret(rc);
}

static long entered(struct pl_obj *o, struct pl_result *r, int rc)
{
	if (rc == 0 || rc == EOWNERDEAD) {
		r->tag = of(o)->count;
		r->out[0] = of(o)->count != of(o)->twin; /* torn: somebody else is inside */
	}
	return pl_ret(rc);
}

static long op_lock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return entered(o, r, pthread_mutex_lock(&of(o)->mutex));
}

static long op_trylock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return entered(o, r, pthread_mutex_trylock(&of(o)->mutex));
}

static long op_timedlock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return entered(o, r, pthread_mutex_timedlock(&of(o)->mutex, &a->deadline));
}

#ifdef __GLIBC__ /* POSIX.1-2024; musl 1.2 has none */
static long op_clocklock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return entered(o, r, pthread_mutex_clocklock(&of(o)->mutex, CLOCK_MONOTONIC, &a->deadline));
}
#endif

static long op_unlock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct guarded *g = of(o);

	if (a->v[0]) {
		uint64_t n = g->count + 1;

		g->count = n;
		g->twin = n;
	}
	return pl_ret(pthread_mutex_unlock(&g->mutex));
}

static long op_consistent(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct guarded *g = of(o);

	g->twin = g->count; /* the dead may have left them apart */
	return pl_ret(pthread_mutex_consistent(&g->mutex));
}

/* A child that tries to unlock: what it was told. */
static long op_fork(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(pthread_mutex_unlock(&of(o)->mutex));
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return pl_ret(WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
}

#define CAPS (PL_LOCK | PL_ANONYMOUS | PL_BLOCKING | PL_NONBLOCK | PL_TIMEOUT | PL_THREADS)

static const struct pl_variant variants[] = {
	[NORMAL] = { "normal", PL_MODEL_LOCK, CAPS },
	[ERRORCHECK] = { "errorcheck", PL_MODEL_LOCK, CAPS },
	[RECURSIVE] = { "recursive", PL_MODEL_LOCK, CAPS },
	[ROBUST] = { "robust", PL_MODEL_LOCK, CAPS | PL_ROBUST },
	[PI] = { "pi", PL_MODEL_LOCK, CAPS | PL_INHERIT },
	[ROBUST_PI] = { "robust-pi", PL_MODEL_LOCK, CAPS | PL_ROBUST | PL_INHERIT },
	{ 0 },
};

#define USER (PL_USER | PL_NOCANCEL)

static const struct pl_op ops[] = {
	{ "lock", op_lock, PL_ACQUIRE, PL_BLOCKS | USER, .out = { "torn" }, .weight = 8 },
	{ "trylock", op_trylock, PL_ACQUIRE, USER, .out = { "torn" }, .weight = 2 },
	{ "timedlock", op_timedlock, PL_ACQUIRE, PL_TIMED | USER, .out = { "torn" }, .weight = 1 },
#ifdef __GLIBC__
	{ "clocklock", op_clocklock, PL_ACQUIRE, PL_TIMED | PL_MONO | USER, .out = { "torn" } },
#endif
	{ "unlock", op_unlock, PL_RELEASE, USER,
		{ { "count", 0, 1, .lo = 1, .hi = 1, .def = 1 } } },
	{ "consistent", op_consistent, PL_REPAIR, USER },
	{ "fork", op_fork, PL_NONE, USER },
	{ 0 },
};

PL_DRIVER(mutex, "process-shared mutex", variants, ops, .open = mutex_open,
	.mem = sizeof(struct guarded))
