/* SPDX-License-Identifier: MIT
 *
 * Shows that each mutant breaks what it says, and that nothing changes without one.
 *
 * This program runs itself once a probe with the mutant and once without PLUMB_MUTANT, both under
 * LD_PRELOAD=argv[1], and prints TAP.
 */
#include "probe.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HONEST = 0, LIED = 1, NO_START = 2, WAIT_MS = 100 };

static const struct pl_probe *const tables[] = { pl_pipe_probes, pl_mq_probes, pl_mutex_probes,
	pl_memory_probes, pl_counter_probes, pl_queues_probes, pl_socket_probes };
int pl_yields, pl_naps;

int sched_yield(void)
{
	pl_yields++;
	return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *ts, struct timespec *rest)
{
	pl_naps++;
	return 0;
}

char pl_state_of(pid_t pid)
{
	char path[32], text[256];

	(void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof text - 1);

	MUST(fd >= 0 && n > 0 && close(fd) == 0);
	text[n] = '\0';
	return strrchr(text, ')')[2];
}

void pl_until_asleep(pid_t pid)
{
	while (pl_state_of(pid) != 'S')
		;
}

void pl_alarms(void (*handler)(int))
{
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } };
	struct sigaction sa = { .sa_handler = handler };

	MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
}

struct timespec pl_in_a_while(void)
{
	struct timespec ts;

	MUST(clock_gettime(CLOCK_REALTIME, &ts) == 0);
	ts.tv_nsec += WAIT_MS * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	return ts;
}

bool pl_still_before(const struct timespec *ts)
{
	struct timespec t;

	MUST(clock_gettime(CLOCK_REALTIME, &t) == 0);
	return t.tv_sec < ts->tv_sec || (t.tv_sec == ts->tv_sec && t.tv_nsec < ts->tv_nsec);
}

static const struct pl_probe *probe_at(int n)
{
	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
		for (const struct pl_probe *p = tables[t]; p->mutant; p++) {
			if (n-- == 0)
				return p;
		}
	}
	return NULL;
}

static int run_self(const char *shim, int probe, const char *mutant)
{
	char number[16];
	int status;
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0) {
		(void)snprintf(number, sizeof number, "%d", probe);
		(void)setenv("LD_PRELOAD", shim, 1);
		(void)(mutant ? setenv("PLUMB_MUTANT", mutant, 1) : unsetenv("PLUMB_MUTANT"));
		execl("/proc/self/exe", "probe", "--probe", number, (char *)NULL);
		_exit(PL_BROKEN);
	}
	MUST(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : PL_BROKEN;
}

static void point(const char *what, const char *mutant, int is, int want)
{
	static int n;

	printf("%s %d - %s %s (%d, want %d)\n", is == want ? "ok" : "not ok", ++n, mutant, what, is,
		want);
}

int main(int argc, char **argv)
{
	const struct pl_probe *p;
	int i;

	if (argc == 3 && strcmp(argv[1], "--probe") == 0)
		return probe_at(atoi(argv[2]))->lies() ? LIED : HONEST;
	if (argc != 2)
		return PL_BROKEN;
	for (i = 0; (p = probe_at(i)); i++) {
		point("is honest without it", p->mutant, run_self(argv[1], i, NULL), HONEST);
		point("lies", p->mutant, run_self(argv[1], i, p->mutant), LIED);
	}
	point("does not start", "no-such-mutant", run_self(argv[1], 0, "no-such-mutant"), NO_START);
	point("does not start", "write-drop,evry=1", run_self(argv[1], 0, "write-drop,evry=1"),
		NO_START);
	printf("1..%d\n", 2 * i + 2);
	return 0;
}
