/* SPDX-License-Identifier: MIT
 *
 * The symbols of semaphores that stand before libc's.
 */
#include "shim.h"

#include <errno.h>
#include <stdarg.h>

static struct {
	int (*sem_wait)(sem_t *);
	int (*sem_trywait)(sem_t *);
	int (*sem_timedwait)(sem_t *, const struct timespec *);
	int (*sem_clockwait)(sem_t *, clockid_t, const struct timespec *);
	int (*semctl)(int, int, int, ...);
} libc;

static int real_sem_take(sem_t *s, const struct pl_attempt *a)
{
	switch (a->how) {
	case PL_LOCK:
		return libc.sem_wait(s);
	case PL_TRYLOCK:
		return libc.sem_trywait(s);
	case PL_TIMEDLOCK:
		return libc.sem_timedwait(s, a->abs);
	case PL_CLOCKLOCK:
		return libc.sem_clockwait(s, a->clock, a->abs);
	}
	return EINVAL;
}

static int real_semctl(int id, int num, int cmd, void *arg)
{
	return libc.semctl(id, num, cmd, arg);
}

void pl_find_semaphores(void)
{
	static const struct pl_symbol all[] = {
		{ "sem_wait", &libc.sem_wait },
		{ "sem_trywait", &libc.sem_trywait },
		{ "sem_timedwait", &libc.sem_timedwait },
		{ "sem_clockwait", &libc.sem_clockwait },
		{ "semctl", &libc.semctl },
		{ "sem_post", &pl_real.sem_post },
		{ "sem_getvalue", &pl_real.sem_getvalue },
		{ "sem_init", &pl_real.sem_init },
		{ "semtimedop", &pl_real.semop },
		{ NULL, NULL },
	};

	pl_find(all);
	pl_real.sem_take = real_sem_take;
	pl_real.semctl = real_semctl;
}

EXPORT int sem_post(sem_t *s)
{
	return pl_calls_now()->sem_post(s);
}

EXPORT int sem_wait(sem_t *s)
{
	return pl_calls_now()->sem_take(s, &(struct pl_attempt){ .how = PL_LOCK });
}

EXPORT int sem_trywait(sem_t *s)
{
	return pl_calls_now()->sem_take(s, &(struct pl_attempt){ .how = PL_TRYLOCK });
}

EXPORT int sem_timedwait(sem_t *restrict s, const struct timespec *restrict abs)
{
	return pl_calls_now()->sem_take(s, &(struct pl_attempt){ .how = PL_TIMEDLOCK, .abs = abs });
}

EXPORT int sem_clockwait(sem_t *restrict s, clockid_t clock, const struct timespec *restrict abs)
{
	return pl_calls_now()->sem_take(
		s, &(struct pl_attempt){ .how = PL_CLOCKLOCK, .clock = clock, .abs = abs });
}

EXPORT int sem_getvalue(sem_t *restrict s, int *restrict value)
{
	return pl_calls_now()->sem_getvalue(s, value);
}

EXPORT int sem_init(sem_t *s, int pshared, unsigned value)
{
	return pl_calls_now()->sem_init(s, pshared, value);
}

EXPORT int semop(int id, struct sembuf *ops, size_t n)
{
	return pl_calls_now()->semop(id, ops, n, NULL);
}

EXPORT int semtimedop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	return pl_calls_now()->semop(id, ops, n, timeout);
}

EXPORT int semctl(int id, int num, int cmd, ...)
{
	va_list ap;

	va_start(ap, cmd);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	return pl_calls_now()->semctl(id, num, cmd, arg);
}
