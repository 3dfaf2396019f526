/* SPDX-License-Identifier: MIT
 *
 * Clause    MTX-34: when a robust mutex becomes unrecoverable, all who wait for it return ENOTRECOVERABLE.
 * Source    POSIX.1-2017 pthread_mutex_consistent, pthread_mutex_lock ERRORS.
 * Expected  Of three waiters all return ENOTRECOVERABLE after the unlock without pthread_mutex_consistent.
 * Observed  glibc 2.36: one returns; the others sleep for ever on a mutex that is free. lll_unlock()
 *           compares the lock word as a signed number, and its top bit is FUTEX_WAITERS.
 *
 * Exit 0: held, 1: violated, 77: no robust mutexes here.  cc -pthread -o mtx-34 mtx-34.c && ./mtx-34
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAITERS = 3, PATIENCE_MS = 3000 };

static char state_of(pid_t pid)
{
	char path[64], line[512] = "", name[64], state = '?';
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (f && fgets(line, sizeof line, f))
		(void)sscanf(line, "%*d %63s %c", name, &state);
	if (f)
		(void)fclose(f);
	return state;
}

static pid_t child(pthread_mutex_t *m, int told)
{
	pid_t pid = fork();
	unsigned char rc;

	if (pid != 0)
		return pid;
	rc = (unsigned char)pthread_mutex_lock(m);
	if (told >= 0)
		(void)!write(told, &rc, 1);
	_exit(0); /* the first one dies as the owner */
}

int main(void)
{
	pthread_mutex_t *m =
		mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t waiter[WAITERS];
	pthread_mutexattr_t a;
	int told[2], back = 0, i;

	(void)pthread_mutexattr_init(&a);
	(void)pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	if (m == MAP_FAILED || pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) != 0 ||
		pthread_mutex_init(m, &a) != 0 || pipe2(told, O_CLOEXEC) < 0)
		return 77;
	(void)waitpid(child(m, -1), NULL, 0);
	if (pthread_mutex_lock(m) != EOWNERDEAD)
		return 77;
	for (i = 0; i < WAITERS; i++)
		waiter[i] = child(m, told[1]);
	for (i = 0; i < WAITERS; i++)
		while (state_of(waiter[i]) != 'S')
			;
	(void)pthread_mutex_unlock(m); /* not made consistent */
	for (i = 0; i < WAITERS; i++) {
		struct pollfd p = { .fd = told[0], .events = POLLIN };
		unsigned char rc = 0;

		if (poll(&p, 1, PATIENCE_MS) <= 0 || read(told[0], &rc, 1) != 1)
			break;
		back += rc == ENOTRECOVERABLE;
	}
	for (i = 0; i < WAITERS; i++)
		(void)kill(waiter[i], SIGKILL);
	printf("%d of %d waiters returned ENOTRECOVERABLE\n", back, WAITERS);
	return back != WAITERS;
}
