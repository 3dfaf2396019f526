/* SPDX-License-Identifier: MIT
 *
 * A probe is a scenario with one right outcome; it says whether the call lied.
 */
#ifndef PLUMBLINE_MUTANTS_PROBE_H
#define PLUMBLINE_MUTANTS_PROBE_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct pl_probe {
	const char *mutant; /* PLUMB_MUTANT; NULL ends a table */
	bool (*lies)(void);
};

extern const struct pl_probe pl_pipe_probes[], pl_mq_probes[], pl_mutex_probes[],
	pl_memory_probes[], pl_counter_probes[], pl_queues_probes[], pl_socket_probes[];

enum { PL_BROKEN = 3 };

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #x,                 \
				strerror(errno));                                                  \
			_exit(PL_BROKEN);                                                          \
		}                                                                                  \
	} while (0)

/* How often the shim yielded and slept: the executable's own calls come first in the search for
 * symbols. */
extern int pl_yields, pl_naps;

char pl_state_of(pid_t pid); /* as /proc tells it: S is asleep */
void pl_until_asleep(pid_t pid);
void pl_alarms(void (*handler)(int)); /* SIGALRM each 10 ms from now on, and no SA_RESTART */
struct timespec pl_in_a_while(void);  /* on CLOCK_REALTIME */
bool pl_still_before(const struct timespec *ts);

#endif
