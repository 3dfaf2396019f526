/* SPDX-License-Identifier: MIT
 *
 * Raw floors: the same system calls as a driver's, in a plain loop, with nothing recorded. Prints
 * one line a floor: name and operations a second. The reach of recorded rounds is told as a ratio
 * to these, taken in the same run.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* One process, 64 bytes in and out again: two operations a turn. */
static long pipe_turns(long turns)
{
	char buf[64] = { 1 };
	long done = 0;
	int fd[2];

	if (pipe(fd) < 0)
		return -1;
	while (done < turns && write(fd[1], buf, sizeof buf) == sizeof buf &&
		read(fd[0], buf, sizeof buf) == sizeof buf)
		done++;
	(void)close(fd[0]);
	(void)close(fd[1]);
	return done * 2;
}

static long mutex_turns(long turns)
{
	pthread_mutexattr_t a;
	pthread_mutex_t m;
	long i;

	(void)pthread_mutexattr_init(&a);
	(void)pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	(void)pthread_mutex_init(&m, &a);
	for (i = 0; i < turns; i++) {
		(void)pthread_mutex_lock(&m);
		(void)pthread_mutex_unlock(&m);
	}
	return turns * 2;
}

static const struct {
	const char *name;
	long (*run)(long turns);
	long turns;
} floors[] = { { "pipe", pipe_turns, 500000 }, { "mutex", mutex_turns, 5000000 } };

int main(int argc, char **argv)
{
	unsigned i;

	for (i = 0; i < sizeof floors / sizeof *floors; i++) {
		double t;
		long n;

		if (argc > 1 && strcmp(argv[1], floors[i].name) != 0)
			continue;
		t = now_s();
		n = floors[i].run(floors[i].turns);
		t = now_s() - t;
		if (n < 0)
			return 1;
		(void)printf("%s %.0f\n", floors[i].name, (double)n / t);
	}
	return 0;
}
