/* SPDX-License-Identifier: MIT
 *
 * From logs to a verdict: load, hand to the model's checker, ask for lost wake-ups and for crashes.
 */
#include "internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

typedef void checker(struct pl_case *c);

static checker *const checkers[] = {
	[PL_MODEL_NONE] = pl_check_none,
	[PL_MODEL_FIFO] = pl_check_fifo,
	[PL_MODEL_PRIORITY] = pl_check_priority,
	[PL_MODEL_LOCK] = pl_check_lock,
	[PL_MODEL_STREAM] = pl_check_stream,
	[PL_MODEL_COUNTER] = pl_check_counter,
	[PL_MODEL_SUM] = pl_check_counter,
	[PL_MODEL_REGISTER] = pl_check_register,
	[PL_MODEL_DATAGRAM] = pl_check_datagram,
	[PL_MODEL_SIGNAL] = pl_check_signal,
	[PL_MODEL_SELECT] = pl_check_select,
	[PL_MODEL_RANGES] = pl_check_ranges,
	[PL_MODEL_VECTOR] = pl_check_vector,
};

/* Counts, and settles that the records make a history at all. */
void pl_check_none(struct pl_case *c)
{
	struct pl_merge *m = pl_merge_new(c, true);
	struct pl_event e;

	if (!m) {
		c->nomem = true;
		return;
	}
	while (pl_merge_next(m, &e))
		;
	pl_merge_free(m);
}

/* What a process brings upon itself; SIGKILL may be the machine's own need. */
static const char *own_signal(int status)
{
	switch (status & 0x7f) {
	case SIGABRT:
		return "SIGABRT";
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGILL:
		return "SIGILL";
	case SIGFPE:
		return "SIGFPE";
	default:
		return NULL;
	}
}

/* It ended by exit(2), unasked, in the middle of a call: strange, but perhaps a tool's doing (a sanitizer's). */
static bool left_unasked(const struct pl_actor *a, int status)
{
	return WIFEXITED(status) && a->t_kill == INT64_MIN && a->n > 0 &&
	       a->rec[a->n - 1].state == PL_INVOKED && a->rec[a->n - 1].t_return == 0;
}

/* CRASH: an actor died of itself, in a call. SIGBUS is no proof: a file system that is full, as /dev/shm may be,
 * has nothing to put behind a page that is touched for the first time. An inheriting lock that is not robust may end
 * actors once one has died (lock.c); one that died elsewhere has met a fault of the harness, or of what an earlier
 * call did to it. */
static void check_crashes(struct pl_case *c)
{
	bool void_by_death = (c->head->caps & (PL_INHERIT | PL_ROBUST)) == PL_INHERIT;

	for (uint64_t i = 0; i < c->control->n; i++) {
		const struct pl_rec *reap = &c->control->rec[i];
		int who = reap->op == PL_OP_REAP ? pl_actor_by_id(c, reap->token) : -1, dead = 0;
		const char *name = who >= 0 ? own_signal((int)reap->ret) : NULL;
		const struct pl_actor *a = name ? &c->actor[who] : NULL;
		const struct pl_rec *last = a && a->n > 0 ? &a->rec[a->n - 1] : NULL;

		if (who >= 0 && left_unasked(&c->actor[who], (int)reap->ret))
			pl_unknown(c, "CRASH", "an actor's process exited in the middle of a call");
		for (int k = 0; k < c->nactors; k++)
			dead += c->actor[k].dead;
		if (!a || (void_by_death && dead > 1))
			continue;
		if (WTERMSIG((int)reap->ret) == SIGBUS) {
			pl_unknown(c, "CRASH",
				"an actor died of SIGBUS: there was nothing behind its memory; is "
				"the file system full?");
			continue;
		}
		if (!last || last->state != PL_INVOKED || last->t_return != 0) {
			pl_unknown(c, "CRASH", "an actor died of itself outside of its calls");
			continue;
		}
		if (!pl_find(c, "CRASH", -1, "actor %d died of %s in its %s", a->id, name,
			    pl_say_op(c, pl_ref(c, who, last))))
			continue;
		pl_witness(c, pl_ref(c, who, last));
		pl_witness_control(c, reap);
	}
}

/* Who judges: the model's rules; a search has the last word on what they find, or the only one. */
enum judge { RULES, RULES_AND_SEARCH, SEARCH };

static void judge(const struct pl_log *logs, int nlogs, int64_t clock_error_ns, enum judge by,
	struct pl_verdict *ret)
{
	struct pl_case c = { .v = ret, .clock_error = clock_error_ns };

	*ret = (struct pl_verdict){ .outcome = PL_HELD, .slack_ns = -1 };
	if (pl_load(&c, logs, nlogs) == 0) {
		bool unjudged =
			c.control->head->flags & (PL_HIST_HALF | PL_HIST_BEYOND | PL_HIST_PRIMED);

		if (c.control->head->clock_error > c.clock_error)
			c.clock_error = c.control->head->clock_error;
		if (unjudged)
			pl_check_none(&c);
		else if (by == SEARCH)
			pl_check_jit(&c);
		else if (c.head->model < sizeof checkers / sizeof *checkers)
			checkers[c.head->model](&c);
		else
			pl_unknown(&c, "MODEL", "the history's model is not known here");
		if (by == RULES_AND_SEARCH && !c.broken && !c.nomem)
			pl_second_opinion(&c);
		if (c.control->head->flags & PL_HIST_BEYOND)
			pl_unknown(&c, "PLAN",
				"the plan asks for more than the model is about: an argument "
				"beyond what rounds draw, or an operation that may change the "
				"object outside of it");
		if (c.control->head->flags & PL_HIST_PRIMED)
			pl_unknown(&c, "PLAN",
				"calls before the run may have left something in the object, or "
				"hold "
				"it: runs that are judged start on an object that was opened for "
				"them");
		if (!c.broken && !c.nomem && !unjudged)
			pl_check_ends(&c);
		if (ret->outcome != PL_VIOLATED && !c.broken && !c.nomem && !unjudged)
			pl_check_liveness(&c);
		if (!c.broken && !c.nomem)
			check_crashes(&c);
		if (c.broken || c.nomem) {
			ret->outcome = PL_HELD;
			ret->nwit = 0;
			pl_unknown(&c, c.broken ? "RECORDS" : "MEMORY",
				c.broken ? c.broken : "out of memory");
		}
	}
	free(c.actor);
	free(c.time);
	free(c.whose);
}

void pl_check(const struct pl_log *logs, int nlogs, int64_t clock_error_ns, struct pl_verdict *ret)
{
	judge(logs, nlogs, clock_error_ns, RULES_AND_SEARCH, ret);
}

void pl_check_exact(
	const struct pl_log *logs, int nlogs, int64_t clock_error_ns, struct pl_verdict *ret)
{
	judge(logs, nlogs, clock_error_ns, SEARCH, ret);
}

void pl_check_rules(
	const struct pl_log *logs, int nlogs, int64_t clock_error_ns, struct pl_verdict *ret)
{
	judge(logs, nlogs, clock_error_ns, RULES, ret);
}

int pl_lat_bucket(int64_t ns)
{
	int log;

	if (ns <= 1)
		return 0;
	log = 63 - __builtin_clzll((unsigned long long)ns);
	log = 2 * log + (int)(ns >> (log - 1) & 1);
	return log < 80 ? log : 79;
}

int64_t pl_lat_edge(int bucket)
{
	int64_t low;

	if (bucket <= 0)
		return 0;
	if (bucket >= 80)
		bucket = 79;
	low = (int64_t)1 << bucket / 2;
	return bucket & 1 ? low + low / 2 : low;
}

const char *pl_outcome_name(enum pl_outcome o)
{
	static const char *const name[] = { "held", "violated", "unknown" };

	return (unsigned)o < 3 ? name[o] : "?";
}
