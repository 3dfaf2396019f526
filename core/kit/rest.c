/* SPDX-License-Identifier: MIT
 *
 * Quiescence: nothing moves and nothing will. Two looks, the second begun after the first was
 * complete, must agree. Liveness is then judged by reading alone: a rescue by sending or posting
 * would heal the very bug being hunted.
 */
#include "raw.h"
#include "round.h"

#include <string.h>

static struct pl_ctl *const c = &pl_ctl;

enum { REST_TOLD = 4 }; /* events of one run */

struct look {
	uint32_t in_op[PL_ACTORS_MAX];
};

bool pl_in_its_call(const struct pl_slot *s, const struct pl_sight *v)
{
	if (pl_rung() != RUNG_SYSCALL || (s->fd < 0 && !s->mem))
		return true;
	if (v->nr < 0)
		return false;
	if (s->mem && v->arg0 >= s->mem && v->arg0 < s->mem + s->mem_len)
		return true;
	return s->fd >= 0 && v->arg0 == (uint64_t)s->fd;
}

/* Is every participant parked, dead, or asleep in its call on its object (or, if told so, on anything) with nothing
 * to end the wait? */
static bool look(struct look *l, bool anywhere)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		struct pl_slot *s = &c->shared->slot[i];
		struct pl_sight v;

		l->in_op[i] = 0;
		if (!pl_run_has(i) || !c->actor[i].alive || atomic_load(&s->parked))
			continue;
		l->in_op[i] = atomic_load(&s->in_op);
		if (!(l->in_op[i] & 1) || s->timed || c->actor[i].dying || c->actor[i].stopped)
			return false;
		if (pl_observe(c->actor[i].pid, s->tid, &v) < 0 || v.state != 'S' ||
			!(anywhere || pl_in_its_call(s, &v)))
			return false;
		if (atomic_load(&s->in_op) != l->in_op[i])
			return false;
	}
	return true;
}

/* Writes down what can be taken and put now: by reading alone. */
void pl_rest_level(void)
{
	struct pl_handle *h = &c->handle[c->job->handle];
	const struct pl_op *op;
	int64_t t = pl_now();

	for (op = c->ops; op->name; op++) {
		struct pl_args a = { .fd = h->obj.fd[0] };
		struct pl_result r = { 0 };

		if (!(op->how & PL_LEVEL) || !pl_fits(op, &h->obj) || h->released ||
			(a.fd < 0 && pl_is_fd(c->drv)))
			continue;
		if (op->call(&h->obj, &a, &r) >= 0)
			pl_control_note(PL_OP_LEVEL, 0, t, pl_now(), (int64_t)r.amount, r.room);
		return;
	}
}

/* A round that was not cut short, in which nobody died, and which nobody can end: its plan's own
 * deadlock, or a wake-up that was lost. (Where not every put leads to a take, plans do not balance.)
 * Who waits for whom is told while they still wait. */
static void tell_rest(const struct look *l)
{
	unsigned i;

	for (i = 0; i < c->nactors && !l->in_op[i]; i++)
		;
	if (i == c->nactors || c->job->mourned || c->shared->caps & PL_LOSSY || c->job->cleaning ||
		atomic_load(&c->shared->stop) || c->job->told_rest == REST_TOLD)
		return;
	c->job->told_rest++;
	pl_event("rest", pl_who());
}

/* Nothing moves and nothing will: read what there is to read, write down who sleeps, then end the
 * waits. */
static void at_rest(const struct look *l)
{
	int64_t now = pl_now();
	unsigned i;

	if (pl_rung() == RUNG_SYSCALL)
		pl_hist(c->shared, PL_ACTORS_MAX)->flags |= PL_HIST_EXACT;
	pl_rest_level();
	tell_rest(l);
	for (i = 0; i < c->nactors; i++)
		if (l->in_op[i])
			pl_control_note(PL_OP_ASLEEP, i, now, now, 0, c->shared->slot[i].rec);
	atomic_store(&c->shared->kick, 1);
	pl_stage_begin(KICK);
	c->job->due = 0;
}

void pl_rest_kick(int64_t now)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		struct pl_slot *s = &c->shared->slot[i];

		if (!pl_run_has(i) || !c->actor[i].alive || c->actor[i].dying ||
			atomic_load(&s->parked))
			continue;
		if (c->ops[s->op].how & PL_NOCANCEL) {
			pl_kill_actor(i, true);
			continue;
		}
		pl_control_note(PL_OP_KICK, i, now, now, 0, 0);
		(void)pl_signal_actor(&c->actor[i], PL_KICK);
	}
	c->job->due = now + PL_KICK_NS;
}

/* A round that does not end: those who have not parked are killed, and nothing is claimed. */
void pl_rest_give_up(void)
{
	json_t *ids = json_array();
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (pl_run_has(i) && c->actor[i].alive && !c->actor[i].dying &&
			!atomic_load(&c->shared->slot[i].parked)) {
			(void)json_array_append_new(ids, json_integer(i));
			pl_kill_actor(i, true);
		}
	if (json_array_size(ids) == 0)
		return json_decref(ids); /* killed before, not reaped yet */
	pl_hist(c->shared, PL_ACTORS_MAX)->flags |= PL_HIST_FULL;
	pl_event("slow", json_pack("{siso}", "round", (int)c->shared->round, "actors", ids));
}

/* Two looks that agree, the second begun after the first was complete, and nothing done in between. */
static bool twice(struct look *first, bool anywhere, uint64_t done_before)
{
	struct look second = { 0 };
	uint64_t done, okay, fail, bytes;

	if (!look(first, anywhere) || !look(&second, anywhere) ||
		memcmp(first, &second, sizeof second))
		return false;
	pl_run_totals(&done, &okay, &fail, &bytes);
	return done == done_before;
}

void pl_rest_watch(int64_t now)
{
	struct pl_run *j = c->job;
	struct look first = { 0 };
	uint64_t done, okay, fail, bytes;
	int64_t most = j->for_ns * 4 > 1000000000 ? j->for_ns * 4 : 1000000000;

	j->due = now + PL_LOOK_NS;
	if (pl_all_parked())
		return pl_round_bell();
	if (c->shared->half && !j->cancel)
		return; /* who waits, waits for another machine: the run ends when it is told to */
	if (j->for_ns && now - j->begun > most)
		atomic_store(&c->shared->stop, 1);
	if (now - j->stage_begun > PL_SLOW_NS && now - c->shared->start_at > PL_SLOW_NS)
		return pl_rest_give_up();
	pl_run_totals(&done, &okay, &fail, &bytes);
	if (okay != j->last_okay)
		j->last_okay = okay, j->fruit = now, j->barren = fail;
	else if (now - j->fruit > PL_FRUIT_NS && now - c->shared->start_at > PL_FRUIT_NS &&
		 fail - j->barren > 2 * (uint64_t)c->nactors) /* else it waits for a CPU */
		atomic_store(&c->shared->stop, 1); /* who only fails, and tries again, is done */
	if (done != j->last_count) {
		j->last_count = done, j->moved = now;
		return;
	}
	if (pl_rung() == RUNG_NONE && now - j->moved > PL_BLIND_NS && now > c->shared->start_at)
		return at_rest(&first); /* nobody is said to sleep: no claim of liveness */
	if (twice(&first, false, done))
		return at_rest(&first);
	/* glibc puts the waiters of a PI mutex that is not robust to sleep for ever on a word of
	 * their own stack once its owner is dead. All that can be said of such a wait is that it
	 * has no end. */
	if (j->mourned && now - j->moved > PL_BLIND_NS && twice(&first, true, done))
		at_rest(&(struct look){ 0 }); /* after a death: no claim either */
}
