/* SPDX-License-Identifier: MIT
 *
 * Clause    MTX-35: pthread_mutex_trylock of an unrecoverable mutex takes nothing.
 * Source    POSIX.1-2017 pthread_mutex_trylock ERRORS: ENOTRECOVERABLE, and the mutex is not locked.
 * Expected  After a trylock that gave ENOTRECOVERABLE the next one gives ENOTRECOVERABLE again, at once.
 * Observed  glibc 2.36: the first leaves its caller's thread id in the lock word, so that another process
 *           is told EBUSY, and a lock sleeps for ever.
 *
 * Exit 0: held, 1: violated, 77: no robust mutexes here.  cc -pthread -o mtx-35 mtx-35.c && ./mtx-35
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child process is told by `f`. */
static int in_child(int (*f)(pthread_mutex_t *), pthread_mutex_t *m)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(f(m));
	(void)waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

int main(void)
{
	pthread_mutex_t *m =
		mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;
	int mine, theirs;

	(void)pthread_mutexattr_init(&a);
	(void)pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	if (m == MAP_FAILED || pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) != 0 ||
		pthread_mutex_init(m, &a) != 0)
		return 77;
	(void)in_child(pthread_mutex_lock, m); /* dies as the owner */
	if (pthread_mutex_lock(m) != EOWNERDEAD)
		return 77;
	(void)pthread_mutex_unlock(m); /* not made consistent */
	mine = pthread_mutex_trylock(m);
	theirs = in_child(pthread_mutex_trylock, m);
	printf("trylock gives %s, then another process is told %s\n", strerror(mine),
		strerror(theirs));
	return !(mine == ENOTRECOVERABLE && theirs == ENOTRECOVERABLE);
}
