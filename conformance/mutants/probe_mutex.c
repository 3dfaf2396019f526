/* SPDX-License-Identifier: MIT
 *
 * Mutexes, and the clock: does a mutant break what it says?
 */
#include "probe.h"

#include <pthread.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t *make_mutex(int type, int robust)
{
	pthread_mutex_t *m =
		mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;

	MUST(m != MAP_FAILED && pthread_mutexattr_init(&a) == 0);
	MUST(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0);
	MUST(pthread_mutexattr_settype(&a, type) == 0);
	MUST(pthread_mutexattr_setrobust(&a, robust) == 0);
	MUST(pthread_mutex_init(m, &a) == 0);
	return m;
}

static int in_child(int (*f)(pthread_mutex_t *), pthread_mutex_t *m)
{
	int status;
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0)
		_exit(f(m));
	MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int lock_for_a_while(pthread_mutex_t *m)
{
	struct timespec ts = pl_in_a_while();
	int rc = pthread_mutex_timedlock(m, &ts);

	if (rc == 0)
		MUST(pthread_mutex_unlock(m) == 0);
	return rc;
}

static bool two_owners(void)
{
	pthread_mutex_t *m = make_mutex(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED);

	MUST(pthread_mutex_lock(m) == 0);
	return in_child(lock_for_a_while, m) != ETIMEDOUT;
}

static int lock_and_die(pthread_mutex_t *m)
{
	return pthread_mutex_lock(m);
}

static pthread_mutex_t *orphan(void)
{
	pthread_mutex_t *m = make_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);

	MUST(in_child(lock_and_die, m) == 0);
	return m;
}

static bool silent(void)
{
	return pthread_mutex_lock(orphan()) != EOWNERDEAD;
}

static bool echoed(void)
{
	pthread_mutex_t *m = orphan();

	MUST(pthread_mutex_lock(m) == EOWNERDEAD && pthread_mutex_consistent(m) == 0);
	MUST(pthread_mutex_unlock(m) == 0);
	bool lied = pthread_mutex_lock(m) != 0;

	if (lied)
		MUST(pthread_mutex_consistent(m) == 0);
	MUST(pthread_mutex_unlock(m) == 0 && pthread_mutex_lock(m) == 0);
	return lied;
}

static bool mended(void)
{
	pthread_mutex_t *m = orphan();

	MUST(pthread_mutex_lock(m) == EOWNERDEAD && pthread_mutex_unlock(m) == 0);
	return pthread_mutex_lock(m) != ENOTRECOVERABLE;
}

static bool busy(void)
{
	return pthread_mutex_trylock(make_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED)) != 0;
}

static bool foreign(void)
{
	pthread_mutex_t *m = make_mutex(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED);

	MUST(pthread_mutex_lock(m) == 0);
	return in_child(pthread_mutex_unlock, m) != EPERM;
}

/* The kernel makes a sleeper runnable before the waking call returns: one look is enough. */
static bool mute(int robust)
{
	pthread_mutex_t *m = make_mutex(PTHREAD_MUTEX_NORMAL, robust);
	int status;

	MUST(pthread_mutex_lock(m) == 0);
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0)
		_exit(pthread_mutex_lock(m));
	while (!((unsigned)__atomic_load_n(&m->__data.__lock, __ATOMIC_RELAXED) & 0x80000002) ||
		pl_state_of(pid) != 'S')
		;
	MUST(pthread_mutex_unlock(m) == 0);
	bool lied = pl_state_of(pid) == 'S';

	MUST(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
	return lied;
}

static bool mute_plain(void)
{
	return mute(PTHREAD_MUTEX_STALLED);
}

static bool mute_robust(void)
{
	return mute(PTHREAD_MUTEX_ROBUST);
}

static int lock_and_repair(pthread_mutex_t *m)
{
	if (pthread_mutex_lock(m) == EOWNERDEAD)
		MUST(pthread_mutex_consistent(m) == 0);
	return pthread_mutex_unlock(m);
}

/* Two sleep when the owner dies. One is told, and ends; by then the other one is awake. */
static bool death_wakes_one(void)
{
	pthread_mutex_t *m = make_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
	pid_t pid[3], first;
	int i, p[2];
	char c;

	MUST(pipe(p) == 0);
	for (i = 0; i < 3; i++) {
		MUST((pid[i] = fork()) >= 0);
		if (pid[i] == 0 && i == 0)
			_exit(pthread_mutex_lock(m) || write(p[1], "", 1) != 1 || pause());
		if (pid[i] == 0)
			_exit(lock_and_repair(m));
		if (i == 0)
			MUST(read(p[0], &c, 1) == 1);
		pl_until_asleep(pid[i]);
	}
	MUST(kill(pid[0], SIGKILL) == 0 && waitpid(pid[0], NULL, 0) == pid[0]);
	MUST((first = waitpid(-1, NULL, 0)) > 0);
	pid_t other = first == pid[1] ? pid[2] : pid[1];
	bool lied = pl_state_of(other) == 'S';

	MUST(kill(other, SIGKILL) == 0 && waitpid(other, NULL, 0) == other);
	return lied;
}

static int lock_too_early(pthread_mutex_t *m)
{
	struct timespec ts = pl_in_a_while();

	MUST(pthread_mutex_timedlock(m, &ts) == ETIMEDOUT);
	return pl_still_before(&ts);
}

static bool hasty_mutex(void)
{
	pthread_mutex_t *m = make_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED);

	MUST(pthread_mutex_lock(m) == 0);
	return in_child(lock_too_early, m) != 0;
}

static bool slow_lock(void)
{
	pthread_mutex_t *m = make_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED);

	MUST(pthread_mutex_lock(m) == 0 && pthread_mutex_unlock(m) == 0);
	return pl_naps == 2;
}

static bool unfair(void)
{
	pthread_mutex_t *m = make_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED);

	MUST(pthread_mutex_lock(m) == 0 && pthread_mutex_unlock(m) == 0);
	int stranger = pl_yields;

	MUST(pthread_mutex_lock(m) == 0 && pthread_mutex_unlock(m) == 0);
	return stranger > 0 && pl_yields == stranger; /* the last owner does not stand aside */
}

static bool coarse(void)
{
	struct timespec ts;

	for (int i = 0; i < 100; i++) {
		MUST(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
		if (ts.tv_nsec % 1000 != 0)
			return false;
	}
	return true;
}

const struct pl_probe pl_mutex_probes[] = {
	{ "lock-greedy,every=1", two_owners },
	{ "lock-death-silent", silent },
	{ "lock-death-mute", death_wakes_one },
	{ "lock-death-twice", echoed },
	{ "trylock-busy,every=1", busy },
	{ "unlock-foreign", foreign },
	{ "unlock-mends", mended },
	{ "unlock-mute,every=1", mute_plain },
	{ "unlock-mute,every=1", mute_robust },
	{ "lock-timeout-early", hasty_mutex },
	{ "odd-stall,p=1", slow_lock },
	{ "odd-slow-lock,p=1", slow_lock },
	{ "odd-unfair", unfair },
	{ "odd-coarse-clock", coarse },
	{ 0 },
};
