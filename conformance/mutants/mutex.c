/* SPDX-License-Identifier: MIT
 *
 * Mutexes that break their promises. Some look into glibc's pthread_mutex_t, which other C
 * libraries lay out otherwise: __lock is 0 free, 1 held, 2 held with sleepers; for robust and PI
 * mutexes the owner's thread id and a bit for sleepers. The trigger's argument is 0.
 */
#include "shim.h"

#include <errno.h>
#include <linux/futex.h>
#include <unistd.h>

enum { ROBUST_BIT = 16, PI_BIT = 32 }; /* in glibc's __kind */

/* What this thread believes wrongly: that it holds a mutex; that a mutex's owner died. */
static _Thread_local pthread_mutex_t *phantom, *phantom_death;

static bool mine(const pthread_mutex_t *m)
{
	return m->__data.__owner == gettid();
}

/* Does not wait for the owner: it says that it has the lock, and later that it gave it back. */
static int greedy_acquire(pthread_mutex_t *m, const struct pl_attempt *a)
{
	static const struct pl_attempt try = { .how = PL_TRYLOCK };

	if (a->how == PL_TRYLOCK || mine(m))
		return pl_real.acquire(m, a);
	int rc = pl_real.acquire(m, &try);

	if (rc != EBUSY || !pl_fires(0))
		return rc == EBUSY ? pl_real.acquire(m, a) : rc;
	phantom = m;
	return 0;
}

static int greedy_unlock(pthread_mutex_t *m)
{
	if (phantom != m)
		return pl_real.unlock(m);
	phantom = NULL;
	return 0;
}

/* Mends the mutex itself and tells nobody of the death. */
static int silent_acquire(pthread_mutex_t *m, const struct pl_attempt *a)
{
	int rc = pl_real.acquire(m, a);

	if (rc == EOWNERDEAD && pl_fires(0))
		rc = pl_real.consistent(m);
	return rc;
}

/* Forgets, at an owner's death, that more than one was asleep. */
static int forgetful_acquire(pthread_mutex_t *m, const struct pl_attempt *a)
{
	int rc = pl_real.acquire(m, a);

	if (rc == EOWNERDEAD && !(m->__data.__kind & PI_BIT) && pl_fires(0))
		__atomic_fetch_and(&m->__data.__lock, (int)~FUTEX_WAITERS, __ATOMIC_RELAXED);
	return rc;
}

/* Tells the next owner, too. */
static int echo_acquire(pthread_mutex_t *m, const struct pl_attempt *a)
{
	uintptr_t key = (uintptr_t)m;
	int rc = pl_real.acquire(m, a);

	if (rc == EOWNERDEAD && pl_fires(0))
		atomic_store(&pl_shared->dead_again, key);
	else if (rc == 0 && atomic_compare_exchange_strong(&pl_shared->dead_again, &key, 0)) {
		phantom_death = m;
		rc = EOWNERDEAD;
	}
	return rc;
}

static int echo_consistent(pthread_mutex_t *m)
{
	if (phantom_death != m)
		return pl_real.consistent(m);
	phantom_death = NULL;
	return 0;
}

/* A new mutex at the same place has had no death. */
static int echo_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
	uintptr_t key = (uintptr_t)m;

	(void)atomic_compare_exchange_strong(&pl_shared->dead_again, &key, 0);
	phantom_death = NULL;
	return pl_real.init(m, attr);
}

static int busy_acquire(pthread_mutex_t *m, const struct pl_attempt *a)
{
	bool free = (m->__data.__lock & FUTEX_TID_MASK) == 0;

	return a->how == PL_TRYLOCK && free && pl_fires(0) ? EBUSY : pl_real.acquire(m, a);
}

static int polite_unlock(pthread_mutex_t *m)
{
	int rc = pl_real.unlock(m);

	return rc == EPERM && pl_fires(0) ? 0 : rc;
}

/* As if the owner had called pthread_mutex_consistent(): where it did, this changes nothing. */
static int mending_unlock(pthread_mutex_t *m)
{
	if (m->__data.__kind & ROBUST_BIT && pl_fires(0))
		(void)pl_real.consistent(m);
	return pl_real.unlock(m);
}

/* libc wakes a sleeper if the lock word says that there is one: it is told that there is none. */
static int mute_unlock(pthread_mutex_t *m)
{
	int kind = m->__data.__kind, contended = 2;

	if (kind & PI_BIT || !mine(m))
		return pl_real.unlock(m);
	if (kind & ROBUST_BIT) {
		if ((unsigned)m->__data.__lock & FUTEX_WAITERS && pl_fires(0))
			__atomic_fetch_and(
				&m->__data.__lock, (int)~FUTEX_WAITERS, __ATOMIC_RELAXED);
	} else if (m->__data.__lock == contended && pl_fires(0)) {
		__atomic_compare_exchange_n(&m->__data.__lock, &contended, 1, false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
	return pl_real.unlock(m);
}

/* A time-out that comes at once although the lock's time is not up. */
static int hasty_acquire(pthread_mutex_t *m, const struct pl_attempt *a)
{
	static const struct timespec past;
	struct pl_attempt now = *a;

	if ((a->how == PL_TIMEDLOCK || a->how == PL_CLOCKLOCK) && a->abs->tv_sec && pl_fires(0))
		now.abs = &past;
	return pl_real.acquire(m, &now);
}

const struct pl_mutant pl_mutex_mutants[] = {
	{ "lock-greedy", { .every = 10 }, { .acquire = greedy_acquire, .unlock = greedy_unlock } },
	{ "lock-death-silent", { 0 }, { .acquire = silent_acquire } },
	{ "lock-death-mute", { 0 }, { .acquire = forgetful_acquire } },
	{ "lock-death-twice", { 0 },
		{ .acquire = echo_acquire, .consistent = echo_consistent, .init = echo_init } },
	{ "trylock-busy", { .every = 2000 }, { .acquire = busy_acquire } },
	{ "unlock-foreign", { 0 }, { .unlock = polite_unlock } },
	{ "unlock-mends", { 0 }, { .unlock = mending_unlock } },
	{ "unlock-mute", { .every = 10 }, { .unlock = mute_unlock } },
	{ "lock-timeout-early", { 0 }, { .acquire = hasty_acquire } },
	{ 0 },
};
