/* SPDX-License-Identifier: MIT
 *
 * Clause    MTX-09: the owner's process dies by SIGKILL: the next lock returns EOWNERDEAD.
 * Source    POSIX.1-2017 pthread_mutex_lock, pthread_mutexattr_setrobust.
 * Expected  trylock of a robust mutex whose owner was killed: EOWNERDEAD.
 * Observed  Held on Linux. Programs under qemu-user 7.2: set_robust_list fails with ENOSYS, the mutex stays
 *           locked (EBUSY), and a lock sleeps for ever. What else MTX-10 to 35 say of such deaths is
 *           violated for the same cause; with PRIO_INHERIT glibc aborts in the lock.
 *
 * Exit 0: held, 1: violated, 77: no robust mutexes here.  cc -pthread -o mtx-09 mtx-09.c && ./mtx-09
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	pthread_mutex_t *m =
		mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;
	pid_t owner;
	int r;

	if (m == MAP_FAILED || pthread_mutexattr_init(&attr) ||
		pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) ||
		pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) ||
		pthread_mutex_init(m, &attr))
		return 77;
	owner = fork();
	if (owner < 0)
		return 77;
	if (owner == 0) {
		(void)pthread_mutex_lock(m);
		(void)raise(SIGKILL);
	}
	(void)waitpid(owner, NULL, 0);
	r = pthread_mutex_trylock(m);
	printf("after the owner's death trylock gave %d (%s)\n", r, strerror(r));
	return r != EOWNERDEAD;
}
