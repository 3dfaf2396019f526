/* SPDX-License-Identifier: MIT
 *
 * Rounds, from control's side: a state machine that never waits.
 */
#include "raw.h"
#include "round.h"

#include <stdio.h>
#include <string.h>

static struct pl_ctl *const c = &pl_ctl;

void pl_control_note(
	int op, unsigned actor, int64_t t_inv, int64_t t_ret, int64_t ret, uint64_t aux)
{
	struct pl_hist_head *h;
	uint64_t n;

	if (!c->job || c->job->stage == GATHER || c->job->stage == CHECK)
		return;
	h = pl_hist(c->shared, PL_ACTORS_MAX);
	n = h->head;
	if (n >= PL_RECS_MAX) {
		h->flags |= PL_HIST_FULL;
		return;
	}
	pl_recs(h)[n] = (struct pl_rec){ .seq = (uint32_t)n,
		.actor = PL_CONTROL,
		.op = (uint8_t)op,
		.state = PL_INFO,
		.t_invoke = t_inv,
		.t_return = t_ret,
		.ret = ret,
		.token = actor,
		.aux = aux,
		.handle = (uint32_t)c->job->handle };
	h->head = n + 1;
}

void pl_round_wake(unsigned i, enum pl_stage stage)
{
	_Atomic uint32_t *go = &c->shared->slot[i].go;

	atomic_store(go, (atomic_load(go) | STAGE_MASK) + 1 + stage);
	(void)raw_futex_wake(go);
}

void pl_stage_begin(enum stage_of_round s)
{
	c->job->stage = s;
	c->job->stage_begun = pl_now();
	c->job->due = c->job->stage_begun + PL_LOOK_NS;
}

/* ---- GATHER ---- */

static int enlist(unsigned i)
{
	struct pl_cmd m = { .kind = CMD_RUN, .go = atomic_load(&c->shared->slot[i].go) };

	return pl_chan_send(c->actor[i].chan, &m, sizeof m, NULL, 0);
}

/* Not yet ready for what others do to it: what they sent to a replaced owner would be sent to nobody. */
static bool on_its_way(unsigned i)
{
	return pl_run_has(i) && atomic_load(&c->shared->slot[i].phase) == PHASE_NONE &&
	       pl_now() - c->job->round_begun < PL_THERE_NS;
}

/* 1 all are there, 0 a death is not reaped yet or a birth not over, < 0 -errno. One that died unasked
 * may still look alive: its channel tells. */
static int gather(void)
{
	unsigned i;
	int r;

	for (i = 0; i < c->nactors; i++)
		if (pl_run_has(i) && c->actor[i].dying)
			return 0;
	for (i = 0; i < c->nactors; i++) {
		if (!pl_run_has(i) || c->actor[i].alive)
			continue;
		r = pl_spawn(i);
		if (r < 0)
			return r;
	}
	for (i = 0; i < c->nactors; i++)
		if (pl_run_has(i) && !c->actor[i].enlisted) {
			r = enlist(i);
			if (r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN) {
				c->actor[i].dying = true;
				return 0;
			}
			if (r < 0)
				return r;
			c->actor[i].enlisted = true;
		}
	for (i = 0; i < c->nactors; i++)
		if (on_its_way(i))
			return 0;
	return 1;
}

static void deal(void)
{
	struct pl_handle *h = &c->handle[c->job->handle];
	struct pl_shared *s = c->shared;
	unsigned i, n = 0;

	s->round++;
	pl_hist_begin(PL_ACTORS_MAX, h, 0, getpid());
	for (i = 0; i < c->nactors; i++) {
		if (!pl_run_has(i))
			continue;
		pl_hist_begin(i, h, c->actor[i].incarnation, c->actor[i].pid);
		atomic_store(&s->slot[i].parked, 0);
		n++;
	}
	pl_plan_balance();
	for (i = 0; c->job->cleaning && i < c->nactors; i++)
		s->part[i].quota = 0;
	atomic_store(&s->kick, 0);
	atomic_store(&s->stop, 0);
	atomic_store(&s->running, n);
	s->drained = 0;
	c->job->mourned = false;
	s->start_at = pl_now() + 20000 + 8000 * (int64_t)n;
	if (c->job->start_at > s->start_at)
		s->start_at = c->job->start_at;
	c->job->start_at = 0;
	c->job->overhead_ns += s->start_at - c->job->round_begun;
	c->job->last_count = UINT64_MAX;
	pl_stage_begin(WORK);
	if (s->model == PL_MODEL_COUNTER || s->model == PL_MODEL_SUM || s->model == PL_MODEL_VECTOR)
		pl_rest_level(); /* what it starts from */
	pl_ends_begin(h);
	for (i = 0; i < c->nactors; i++)
		if (pl_run_has(i))
			pl_round_wake(i, STAGE_WORK);
}

void pl_round_try(void)
{
	struct pl_run *j = c->job;
	int r = gather();

	if (r < 0) {
		char why[120];

		(void)snprintf(
			why, sizeof why, "an actor that died cannot be replaced: %s", strerror(-r));
		return pl_run_fail(why);
	}
	if (r == 0) {
		j->due = pl_now() + PL_NAP_NS;
		return;
	}
	if (j->spoilt && pl_object_reset(&c->handle[j->handle]) < 0)
		return pl_run_fail("the object cannot be made afresh");
	j->spoilt = false;
	deal();
}

void pl_round_next(void)
{
	struct pl_run *j = c->job;
	int64_t now = pl_now();
	bool over = j->cancel || (j->rounds_wanted && j->rounds >= j->rounds_wanted) ||
		    (j->for_ns && now - j->begun >= j->for_ns);

	if (over && !j->dirty && !j->spoilt)
		return pl_run_finish();
	if (!j->cleaning || !j->dirty)
		j->clean_from = now;
	if (now - j->clean_from > PL_CLEAN_NS)
		return pl_run_fail("the object could not be emptied between rounds");
	if (over && !j->dirty) { /* leave the object as the next run expects it */
		j->spoilt = pl_object_reset(&c->handle[j->handle]) < 0;
		return pl_run_finish();
	}
	j->cleaning = j->dirty;
	j->round_begun = now;
	pl_stage_begin(GATHER);
	pl_round_try();
}

/* ---- CHECK ---- */

static bool has_drain(void)
{
	unsigned i;

	for (i = 0; i < c->nops; i++)
		if (c->ops[i].how & PL_DRAIN && pl_fits(&c->ops[i], &c->handle[c->job->handle].obj))
			return true;
	return false;
}

/* Without a seat it is looked for again; control goes on answering. */
static void start_checker(int64_t now)
{
	struct pl_run *j = c->job;

	if (now - j->stage_begun < PL_CHECK_NS && !pl_seat_take(c->inst)) {
		j->due = now + j->nap;
		j->nap = j->nap * 2 < PL_LOOK_NS ? j->nap * 2 : PL_LOOK_NS;
		return;
	}
	j->overhead_ns += now - j->stage_begun;
	pl_stage_begin(CHECK);
	c->checker = pl_judge_start();
	if (c->checker < 0) {
		c->checker = 0;
		pl_seat_leave();
		pl_run_fail("no process for the checker");
	}
}

static void check(void)
{
	struct pl_run *j = c->job;
	struct pl_hist_head *h = pl_hist(c->shared, PL_ACTORS_MAX);

	h->flags |= PL_HIST_ENDED | (c->shared->drained ? PL_HIST_DRAINED : 0);
	pl_ends_over(&c->handle[j->handle]);
	j->overhead_ns += pl_now() - j->work_ended;
	pl_stage_begin(CHECK);
	j->nap = PL_NAP_NS;
	start_checker(j->stage_begun);
}

/* Who can empty the object: alive, with the end that is taken from, and its owner if it has one. */
static unsigned drainer(void)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (pl_run_has(i) && c->actor[i].alive && !c->actor[i].dying &&
			!c->actor[i].stopped && pl_ends_can_take(i) &&
			(!(c->shared->caps & PL_OWNED) || i == c->shared->owner))
			break;
	return i;
}

/* If control has nothing to take from either, nobody ever will. */
static bool can_be_drained(void)
{
	const struct pl_handle *h = &c->handle[c->job->handle];

	return has_drain() && (!c->drv->ends[0] || h->obj.fd[0] >= 0 || drainer() < c->nactors);
}

static void take_verdict(const struct pl_verdict *v)
{
	struct pl_run *j = c->job;

	j->judged += v->outcome != PL_UNKNOWN;
	j->unknown += v->outcome == PL_UNKNOWN;
	j->violated += v->outcome == PL_VIOLATED;
	j->pending += v->pending, j->ordered += v->ordered;
	j->shorts += v->short_ops, j->overlapped += v->overlapped;
	pl_tick_verdict(v);
	if (v->outcome == PL_VIOLATED)
		pl_judge_violation(v);
	else if (v->outcome == PL_UNKNOWN)
		(void)snprintf(j->why, sizeof j->why, "%s: %s", v->rule, v->text);
}

void pl_round_checked(int status)
{
	struct pl_run *j = c->job;
	struct pl_verdict none = { .outcome = PL_UNKNOWN, .rule = "CHECKER" };

	if (!j)
		return;
	(void)snprintf(
		none.text, sizeof none.text, "the checker ended with wait status 0x%x", status);
	j->check_ns += pl_now() - j->stage_begun;
	j->rounds++;
	if (j->cleaning)
		j->rounds--;
	else
		take_verdict(c->shared->checked ? &c->shared->verdict : &none);
	j->dirty = !c->shared->drained && !c->shared->half && can_be_drained();
	if (c->stopping)
		return;
	pl_round_next();
}

/* ---- DRAIN ---- */

static void drain(void)
{
	struct pl_shared *s = c->shared;
	unsigned i = drainer();
	int64_t now = pl_now();

	if (i == c->nactors && s->owner < c->nactors && !c->actor[s->owner].alive)
		s->drained = s->caps & PL_OWNED; /* it took everything along */
	if (i == c->nactors || !has_drain())
		return check();
	s->drainer = i;
	atomic_store(&s->slot[i].parked, 0);
	atomic_store(&s->running, 1);
	pl_stage_begin(DRAIN);
	pl_control_note(PL_OP_DRAIN, i, now, now, 0, 0);
	pl_round_wake(i, STAGE_DRAIN);
}

/* ---- WORK and KICK ---- */

/* The flags decide. The count of those still running only finds who rings: an actor killed between
 * its flag and its part of the count leaves the count wrong, and nobody rings. */
bool pl_all_parked(void)
{
	unsigned i;

	if (c->job->stage == DRAIN)
		return atomic_load(&c->shared->slot[c->shared->drainer].parked);
	for (i = 0; i < c->nactors; i++)
		if (pl_run_has(i) && c->actor[i].alive && !atomic_load(&c->shared->slot[i].parked))
			return false;
	return true;
}

void pl_round_bell(void)
{
	struct pl_run *j = c->job;
	unsigned i;

	if (!j || c->stopping || !pl_all_parked())
		return;
	if (j->stage == DRAIN)
		return check();
	if (j->stage != WORK && j->stage != KICK)
		return;
	for (i = 0; i < c->nactors; i++)
		if (pl_run_has(i) && c->actor[i].dying)
			return; /* its death belongs to this round */
	j->work_ended = pl_now();
	if (c->shared->model == PL_MODEL_VECTOR)
		pl_rest_level(); /* what it leaves */
	drain();
}

void pl_round_died(unsigned id, int64_t when)
{
	struct pl_run *j = c->job;

	c->actor[id].enlisted = false;
	if (!j || c->stopping || !c->shared->part[id].in)
		return;
	if (j->stage == GATHER)
		return pl_round_try();
	j->killed++;
	j->mourned = true;
	j->spoilt = c->shared->model == PL_MODEL_LOCK || c->shared->model == PL_MODEL_VECTOR;
	if (j->stage == CHECK)
		return;
	if (!atomic_exchange(&c->shared->slot[id].parked, 1))
		atomic_fetch_sub(&c->shared->running, 1);
	if (j->stage == DRAIN && c->shared->drainer == id)
		return drain(); /* somebody else goes on with it */
	pl_round_bell();
}

int64_t pl_round_timers(int64_t now)
{
	struct pl_run *j = c->job;

	if (!j || c->stopping)
		return INT64_MAX;
	if (now < j->due)
		return j->due;
	j->due = now + PL_LOOK_NS;
	switch (j->stage) {
	case WORK:
		pl_rest_watch(now);
		break;
	case KICK:
		if (pl_all_parked())
			return pl_round_bell(), c->job ? c->job->due : INT64_MAX;
		if (now - j->stage_begun > PL_SLOW_NS)
			pl_rest_give_up();
		pl_rest_kick(now);
		break;
	case DRAIN:
		if (pl_all_parked())
			return pl_round_bell(), c->job ? c->job->due : INT64_MAX;
		if (now - j->stage_begun > PL_DRAIN_NS)
			pl_kill_actor(c->shared->drainer, true);
		break;
	case CHECK:
		if (c->checker == 0)
			start_checker(now);
		else if (now - j->stage_begun > PL_CHECK_NS)
			(void)raw_kill(c->checker, SIGKILL);
		break;
	case GATHER:
		pl_round_try();
		break;
	}
	return c->job ? c->job->due : INT64_MAX;
}
