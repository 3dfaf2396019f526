/* SPDX-License-Identifier: MIT
 *
 * Clause    PSEM-21: the wake-up is not consumed by the dead.
 * Source    POSIX.1-2017 sem_post: if the value that results is positive, no thread was blocked waiting
 *           for the semaphore; else one of those blocked returns from its sem_wait.
 * Expected  Two processes sleep in sem_wait. A token is posted, and one of the two is killed before it has
 *           run again. The token is still there, so the other one gets it.
 * Observed  glibc 2.36: sem_post wakes one process and leaves the token in the value. If that process dies,
 *           nobody else is woken: the other one sleeps on, with a value of 1, until somebody posts again.
 *
 * All run on one CPU, so that the kill as a rule comes before the woken process has run; where it does not,
 * that process has taken the token, and the turn proves nothing.
 *
 * Exit 0: held, 1: violated, 77: never met.  cc -pthread -o psem-21 psem-21.c && ./psem-21
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TURNS = 200, PATIENCE_S = 3 };

/* A process that waits for a token, then says so; returns when it sleeps. */
static pid_t waiter(sem_t *s, sem_t *got)
{
	pid_t pid = fork();
	char path[64], text[256] = "";

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (sem_wait(s) < 0)
			;
		(void)sem_post(got);
		_exit(0);
	}
	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	while (pid > 0 && !strstr(text, ") S ")) {
		FILE *f = fopen(path, "r");

		(void)sched_yield();
		if (!f || !fgets(text, sizeof text, f))
			pid = -1;
		if (f)
			(void)fclose(f);
	}
	return pid;
}

static int value_of(sem_t *s)
{
	int value = 0;

	(void)sem_getvalue(s, &value);
	return value;
}

int main(void)
{
	sem_t *s = mmap(
		NULL, 2 * sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cpu_set_t cpu;
	int met = 0, stuck = 0;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	if (s == MAP_FAILED || sched_setaffinity(0, sizeof cpu, &cpu) < 0)
		return 77;
	for (int turn = 0; turn < TURNS && met < 3; turn++) {
		struct timespec ts;
		pid_t first, second;

		if (sem_init(s, 1, 0) < 0 || sem_init(s + 1, 1, 0) < 0)
			return 77;
		first = waiter(s, s + 1);
		second = waiter(s, s + 1);
		if (first < 0 || second < 0)
			return 77;
		(void)sem_post(s);
		(void)kill(first, SIGKILL);
		(void)waitpid(first, NULL, 0);
		if (value_of(s) > 0 || sem_trywait(s + 1) == 0) { /* else the first had it */
			met++;
			(void)clock_gettime(CLOCK_REALTIME, &ts);
			ts.tv_sec += PATIENCE_S;
			while (value_of(s) > 0 && !stuck)
				stuck = sem_timedwait(s + 1, &ts) < 0 && value_of(s) > 0;
		}
		(void)kill(second, SIGKILL);
		(void)waitpid(second, NULL, 0);
		if (stuck)
			break;
	}
	printf("in %d turns the killed waiter had not taken the token; %s\n", met,
		stuck ? "the other one slept on with a value of 1" : "then the other one got it");
	return met == 0 ? 77 : stuck;
}
