/* SPDX-License-Identifier: MIT
 *
 * How many operations a second each checker judges, with all that pl_check does: loading, statistics, rules; and how much
 * memory it takes beside the history; with --exact, the same of the search alone, when as many are under way as there are
 * actors. Processor time, for the machine may be busy with others.
 *
 * usage: judge [--exact] [OPERATIONS [ACTORS [MODEL]]]. One line a history: model, actors, operations, operations a
 * second, bytes an operation, verdict. Exit 1 when one is not held (with --exact: is violated, or is not held with up to
 * 4 actors).
 */
#include "tests/world.h"

#include "hist/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TURNS = 3, LONG = 5000000 }; /* so long that one turn is enough */

static const char *const models[] = { [PL_MODEL_NONE] = "(counting)",
	[PL_MODEL_FIFO] = "fifo",
	[PL_MODEL_PRIORITY] = "priority",
	[PL_MODEL_LOCK] = "lock",
	[PL_MODEL_STREAM] = "stream",
	[PL_MODEL_COUNTER] = "counter",
	[PL_MODEL_SUM] = "sum",
	[PL_MODEL_REGISTER] = "register",
	[PL_MODEL_DATAGRAM] = "datagram",
	[PL_MODEL_SIGNAL] = "signal",
	[PL_MODEL_SELECT] = "select",
	[PL_MODEL_RANGES] = "ranges",
	[PL_MODEL_VECTOR] = "vector" };

static uint64_t roll(void *arg)
{
	uint64_t *n = arg;

	return pl_rand(42, (*n)++);
}

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long peak_kib(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* In a process of its own: what it holds at most grows only by the checker. */
static int measure(enum pl_model model, uint64_t ops, int actors, bool exact)
{
	uint64_t rolls = 0;
	struct world w = {
		.model = model, .ops = ops, .actors = actors, .roll = roll, .arg = &rolls
	};
	struct pl_log logs[WORLD_ACTORS + 1];
	struct pl_verdict v = { 0 };
	int64_t best = INT64_MAX;
	long before;

	if (!world_new(&w))
		return 1;
	while (w.made < ops)
		world_turn(&w);
	before = peak_kib();
	for (int i = 0; i < (exact || ops > LONG ? 1 : TURNS); i++) {
		int64_t t = now_ns();

		(exact ? pl_check_exact : pl_check)(logs, world_logs(&w, logs), 0, &v);
		t = now_ns() - t;
		best = t < best ? t : best;
	}
	printf("%s %d %llu %.0f %.1f %s %s %s\n", models[model], actors, (unsigned long long)v.ops,
		(double)v.ops * 1e9 / (double)best,
		(double)(peak_kib() - before) * 1024 / (double)v.ops, pl_outcome_name(v.outcome),
		v.rule, v.text);
	return fflush(stdout) != 0 || v.outcome == PL_VIOLATED ||
	       (v.outcome != PL_HELD && (!exact || actors <= 4));
}

static int apart(enum pl_model model, uint64_t ops, int actors, bool exact)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(measure(model, ops, actors, exact));
	return pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
}

/* The search knows nothing of a stream, and of what no model is about. */
static bool wanted(int model, bool exact, const char *name)
{
	return (!name || !strcmp(name, models[model])) &&
	       !(exact && (model == PL_MODEL_NONE || model == PL_MODEL_STREAM));
}

int main(int argc, char **argv)
{
	static const uint64_t fast_sizes[] = { 10000, 100000, 1000000, 10000000, 0 },
			      exact_sizes[] = { 10000, 0 };
	static const int fast_actors[] = { 4, 16, 0 }, exact_actors[] = { 4, 8, 16, 0 };
	bool exact = argc > 1 && !strcmp(argv[1], "--exact");
	char **arg = argv + 1 + exact;
	int args = argc - 1 - exact, bad = 0;
	uint64_t one_size[] = { args > 0 ? strtoull(arg[0], NULL, 10) : 0, 0 };
	int one_number[] = { args > 1 ? atoi(arg[1]) : 0, 0 };
	const uint64_t *sizes = one_size[0] ? one_size : exact ? exact_sizes : fast_sizes;
	const int *actors = one_number[0] ? one_number : exact ? exact_actors : fast_actors;

	for (int m = 0; m < PL_MODELS; m++)
		for (int a = 0; wanted(m, exact, args > 2 ? arg[2] : NULL) && actors[a]; a++)
			for (int s = 0; sizes[s] && actors[a] >= 2 && actors[a] <= WORLD_ACTORS;
				s++)
				bad |= apart((enum pl_model)m, sizes[s], actors[a], exact);
	return bad;
}
