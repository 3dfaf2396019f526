/* SPDX-License-Identifier: MIT
 *
 * Rounds, from control's side: a state machine that never waits.
 *
 *   GATHER  every actor that died is reaped and replaced, every part is dealt out
 *   WORK    actors run; balanced plans park them all, and the last one rings the bell
 *   KICK    nothing moves: liveness was read, sleepers are being woken by signals (or killed, if
 * none wakes them) DRAIN   one actor empties the object CHECK   a forked child judges
 */
#include "kit.h"
#include "raw.h"

#include "../sched/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum stage_of_round { GATHER, WORK, KICK, DRAIN, CHECK };

static const int64_t LOOK_NS = 20000000; /* no count moved for this long: look at /proc */
static const int64_t KICK_NS = 1000000;
static const int64_t SLOW_NS = 30000000000; /* a round that lasts longer is given up */
static const int64_t DRAIN_NS = 2000000000;
static const int64_t CHECK_NS = 20000000000;

struct pl_run {
	int64_t id;
	int handle;
	uint32_t ops;
	uint64_t rounds_wanted;
	int64_t for_ns, begun, start_at;
	enum stage_of_round stage;
	bool cancel, spoilt, dirty, cleaning;
	int64_t round_begun, stage_begun, work_ended, due;
	uint64_t last_count;
	/* what the reply tells */
	uint64_t rounds, judged, unknown, violated, done, okay, fail, bytes, killed, pending,
		ordered, shorts, overlapped;
	uint64_t done0, okay0, fail0, bytes0;
	int64_t overhead_ns, check_ns;
	char why[280];
};

static struct pl_ctl *const c = &pl_ctl;

static bool takes_part(unsigned i)
{
	return c->shared->part[i].in && !c->actor[i].retired;
}

bool pl_round_busy(void)
{
	return c->job != NULL;
}

const char *pl_round_state(void)
{
	static const char *const names[] = { "armed", "running", "running", "draining",
		"checking" };

	return c->job ? names[c->job->stage] : "idle";
}

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

static void wake(unsigned i)
{
	atomic_fetch_add(&c->shared->slot[i].go, 1);
	(void)raw_futex_wake(&c->shared->slot[i].go);
}

static void begin_stage(enum stage_of_round s)
{
	c->job->stage = s;
	c->job->stage_begun = pl_now();
	c->job->due = c->job->stage_begun + LOOK_NS;
}

static void totals(uint64_t *done, uint64_t *okay, uint64_t *fail, uint64_t *bytes)
{
	unsigned i;

	*done = *okay = *fail = *bytes = 0;
	for (i = 0; i < c->nactors; i++) {
		*done += atomic_load(&c->shared->slot[i].done);
		*okay += atomic_load(&c->shared->slot[i].okay);
		*fail += atomic_load(&c->shared->slot[i].fail);
		*bytes += atomic_load(&c->shared->slot[i].bytes);
	}
}

static json_t *summary(struct pl_run *j)
{
	const char *verdict = j->violated		 ? "violated"
			      : j->unknown || !j->judged ? "unknown"
							 : "held";
	json_t *o;

	totals(&j->done, &j->okay, &j->fail, &j->bytes);
	o = json_pack("{sIsIsIsIsIsIsIsIsI}", "rounds", (json_int_t)j->rounds, "judged",
		(json_int_t)j->judged, "unknown", (json_int_t)j->unknown, "violated",
		(json_int_t)j->violated, "done", (json_int_t)(j->done - j->done0), "okay",
		(json_int_t)(j->okay - j->okay0), "fail", (json_int_t)(j->fail - j->fail0), "bytes",
		(json_int_t)(j->bytes - j->bytes0), "pending", (json_int_t)j->pending);
	(void)json_object_update_new(o,
		json_pack("{sIsIsIsIsIsIsIss}", "killed", (json_int_t)j->killed, "ordered",
			(json_int_t)j->ordered, "short", (json_int_t)j->shorts, "overlapped",
			(json_int_t)j->overlapped, "elapsed_ns", (json_int_t)(pl_now() - j->begun),
			"round_ns", (json_int_t)j->overhead_ns, "check_ns", (json_int_t)j->check_ns,
			"verdict", verdict));
	if (j->why[0])
		(void)json_object_set_new(o, "why", json_string(j->why));
	if (j->cancel)
		(void)json_object_set_new(o, "canceled", json_true());
	return o;
}

static void finish(void)
{
	struct pl_run *j = c->job;
	unsigned i;

	c->shared->stage = STAGE_OVER;
	for (i = 0; i < c->nactors; i++)
		if (takes_part(i)) {
			c->actor[i].enlisted = false;
			wake(i);
		}
	pl_shared_forget(c->shared, c->sharedfd);
	pl_reply(j->id, summary(j));
	c->job = NULL;
	free(j);
}

static void fail_run(const char *why)
{
	c->job->unknown++;
	(void)snprintf(c->job->why, sizeof c->job->why, "%s", why);
	finish();
}

/* ---- GATHER ---- */

static int enlist(unsigned i)
{
	struct pl_cmd m = { .kind = CMD_RUN, .go = atomic_load(&c->shared->slot[i].go) };

	return pl_chan_send(c->actor[i].chan, &m, sizeof m, NULL, 0);
}

/* 1 all are there, 0 a death is not reaped yet, < 0 -errno */
static int gather(void)
{
	unsigned i;
	int r;

	for (i = 0; i < c->nactors; i++)
		if (takes_part(i) && c->actor[i].dying)
			return 0;
	for (i = 0; i < c->nactors; i++) {
		if (!takes_part(i) || c->actor[i].alive)
			continue;
		r = pl_spawn(i);
		if (r < 0)
			return r;
	}
	for (i = 0; i < c->nactors; i++)
		if (takes_part(i) && !c->actor[i].enlisted) {
			r = enlist(i);
			if (r < 0)
				return r;
			c->actor[i].enlisted = true;
		}
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
		if (!takes_part(i))
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
	s->stage = STAGE_WORK;
	s->drained = 0;
	s->start_at = pl_now() + 20000 + 8000 * (int64_t)n;
	if (c->job->start_at > s->start_at)
		s->start_at = c->job->start_at;
	c->job->start_at = 0;
	c->job->overhead_ns += s->start_at - c->job->round_begun;
	c->job->last_count = UINT64_MAX;
	begin_stage(WORK);
	for (i = 0; i < c->nactors; i++)
		if (takes_part(i))
			wake(i);
}

static void try_round(void)
{
	struct pl_run *j = c->job;
	int r = gather();

	if (r < 0) {
		char why[120];

		(void)snprintf(
			why, sizeof why, "an actor that died cannot be replaced: %s", strerror(-r));
		return fail_run(why);
	}
	if (r == 0)
		return;
	if (j->spoilt && pl_object_reset(&c->handle[j->handle]) < 0)
		return fail_run("the object cannot be made afresh");
	j->spoilt = false;
	deal();
}

static void next_round(void)
{
	struct pl_run *j = c->job;
	int64_t now = pl_now();
	bool over = j->cancel || (j->rounds_wanted && j->rounds >= j->rounds_wanted) ||
		    (j->for_ns && now - j->begun >= j->for_ns);

	if (over && !j->dirty && !j->spoilt)
		return finish();
	if (j->cleaning && j->dirty)
		return fail_run("the object could not be emptied between rounds");
	if (over && !j->dirty) { /* leave the object as the next run expects it */
		j->spoilt = pl_object_reset(&c->handle[j->handle]) < 0;
		return finish();
	}
	j->cleaning = j->dirty;
	j->round_begun = now;
	begin_stage(GATHER);
	try_round();
}

/* ---- CHECK ---- */

static void check(void)
{
	struct pl_run *j = c->job;
	struct pl_hist_head *h = pl_hist(c->shared, PL_ACTORS_MAX);

	h->flags |= PL_HIST_ENDED | (c->shared->drained ? PL_HIST_DRAINED : 0);
	j->overhead_ns += pl_now() - j->work_ended;
	begin_stage(CHECK);
	c->checker = pl_judge_start();
	if (c->checker < 0) {
		c->checker = 0;
		fail_run("no process for the checker");
	}
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
	j->dirty = !c->shared->drained && c->shared->model != PL_MODEL_LOCK;
	if (c->stopping)
		return;
	next_round();
}

/* ---- DRAIN ---- */

static bool has_drain(void)
{
	unsigned i;

	for (i = 0; i < c->nops; i++)
		if (c->ops[i].how & PL_DRAIN)
			return true;
	return false;
}

static void drain(void)
{
	struct pl_shared *s = c->shared;
	unsigned i;
	int64_t now = pl_now();

	for (i = 0; i < c->nactors; i++)
		if (takes_part(i) && c->actor[i].alive && !c->actor[i].dying &&
			!c->actor[i].stopped)
			break;
	if (i == c->nactors || !has_drain())
		return check();
	s->stage = STAGE_DRAIN;
	s->drainer = i;
	atomic_store(&s->slot[i].parked, 0);
	atomic_store(&s->running, 1);
	begin_stage(DRAIN);
	pl_control_note(PL_OP_DRAIN, i, now, now, 0, 0);
	wake(i);
}

/* ---- WORK and KICK ---- */

/* The flags decide. The count of those still running only finds who rings: an actor killed between
 * its flag and its part of the count leaves the count wrong, and nobody rings. */
static bool all_parked(void)
{
	unsigned i;

	if (c->job->stage == DRAIN)
		return atomic_load(&c->shared->slot[c->shared->drainer].parked);
	for (i = 0; i < c->nactors; i++)
		if (takes_part(i) && c->actor[i].alive && !atomic_load(&c->shared->slot[i].parked))
			return false;
	return true;
}

void pl_round_bell(void)
{
	struct pl_run *j = c->job;
	unsigned i;

	if (!j || !all_parked())
		return;
	if (j->stage == DRAIN)
		return check();
	if (j->stage != WORK && j->stage != KICK)
		return;
	for (i = 0; i < c->nactors; i++)
		if (takes_part(i) && c->actor[i].dying)
			return; /* its death belongs to this round */
	j->work_ended = pl_now();
	drain();
}

void pl_round_died(unsigned id, int64_t when)
{
	struct pl_run *j = c->job;

	c->actor[id].enlisted = false;
	if (!j || !c->shared->part[id].in)
		return;
	if (j->stage == GATHER)
		return try_round();
	j->killed++;
	j->spoilt = c->shared->model == PL_MODEL_LOCK;
	if (j->stage == CHECK)
		return;
	if (!atomic_exchange(&c->shared->slot[id].parked, 1))
		atomic_fetch_sub(&c->shared->running, 1);
	if (j->stage == DRAIN && c->shared->drainer == id)
		return drain(); /* somebody else goes on with it */
	pl_round_bell();
}

struct look {
	uint32_t in_op[PL_ACTORS_MAX];
};

static bool in_its_call(const struct pl_slot *s, const struct pl_sight *v)
{
	if (pl_rung() != RUNG_SYSCALL)
		return true;
	if (v->nr < 0)
		return false;
	return s->mem ? v->arg0 >= s->mem && v->arg0 < s->mem + s->mem_len
		      : v->arg0 == (uint64_t)s->fd;
}

/* Is every participant parked, dead, or asleep in its call on its object with nothing to end the
 * wait? */
static bool look(struct look *l)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		struct pl_slot *s = &c->shared->slot[i];
		struct pl_sight v;

		l->in_op[i] = 0;
		if (!takes_part(i) || !c->actor[i].alive || atomic_load(&s->parked))
			continue;
		l->in_op[i] = atomic_load(&s->in_op);
		if (!(l->in_op[i] & 1) || s->timed || c->actor[i].dying || c->actor[i].stopped)
			return false;
		if (pl_observe(c->actor[i].pid, s->tid, &v) < 0 || v.state != 'S' ||
			!in_its_call(s, &v))
			return false;
		if (atomic_load(&s->in_op) != l->in_op[i])
			return false;
	}
	return true;
}

static void read_level(void)
{
	struct pl_handle *h = &c->handle[c->job->handle];
	const struct pl_op *op;
	int64_t t = pl_now();

	for (op = c->ops; op->name; op++) {
		struct pl_args a = { .fd = h->obj.fd[0] };
		struct pl_result r = { 0 };

		if (!(op->how & PL_LEVEL) || a.fd < 0)
			continue;
		if (op->call(&h->obj, &a, &r) >= 0)
			pl_control_note(PL_OP_LEVEL, 0, t, pl_now(), (int64_t)r.amount, r.room);
		return;
	}
}

/* Nothing moves and nothing will: read what there is to read, write down who sleeps, then end the
 * waits. */
static void at_rest(const struct look *l)
{
	int64_t now = pl_now();
	unsigned i;

	if (pl_rung() == RUNG_SYSCALL)
		pl_hist(c->shared, PL_ACTORS_MAX)->flags |= PL_HIST_EXACT;
	read_level();
	for (i = 0; i < c->nactors; i++)
		if (l->in_op[i])
			pl_control_note(PL_OP_ASLEEP, i, now, now, 0, c->shared->slot[i].rec);
	atomic_store(&c->shared->kick, 1);
	begin_stage(KICK);
	c->job->due = 0;
}

static void kick(int64_t now)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		struct pl_slot *s = &c->shared->slot[i];

		if (!takes_part(i) || !c->actor[i].alive || c->actor[i].dying ||
			atomic_load(&s->parked))
			continue;
		if (c->ops[s->op].how & PL_NOCANCEL) {
			pl_kill_actor(i, true);
			continue;
		}
		pl_control_note(PL_OP_KICK, i, now, now, 0, 0);
		(void)pl_signal_actor(&c->actor[i], PL_KICK);
	}
	c->job->due = now + KICK_NS;
}

/* A round that does not end: those who have not parked are killed, and nothing is claimed. */
static void give_up(void)
{
	json_t *ids = json_array();
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (takes_part(i) && c->actor[i].alive &&
			!atomic_load(&c->shared->slot[i].parked)) {
			(void)json_array_append_new(ids, json_integer(i));
			pl_kill_actor(i, true);
		}
	pl_hist(c->shared, PL_ACTORS_MAX)->flags |= PL_HIST_FULL;
	pl_event("slow", json_pack("{siso}", "round", (int)c->shared->round, "actors", ids));
}

static void watch(int64_t now)
{
	struct pl_run *j = c->job;
	struct look first = { 0 }, second = { 0 };
	uint64_t done, okay, fail, bytes;
	int64_t most = j->for_ns * 4 > 1000000000 ? j->for_ns * 4 : 1000000000;

	j->due = now + LOOK_NS;
	if (all_parked())
		return pl_round_bell();
	if (j->for_ns && now - j->begun > most)
		atomic_store(&c->shared->stop, 1);
	if (now - j->round_begun > SLOW_NS)
		return give_up();
	totals(&done, &okay, &fail, &bytes);
	if (done != j->last_count) {
		j->last_count = done;
		return;
	}
	if (look(&first) && look(&second) && !memcmp(&first, &second, sizeof first)) {
		totals(&okay, &fail, &bytes, &bytes);
		if (okay == done)
			at_rest(&second);
	}
}

int64_t pl_round_timers(int64_t now)
{
	struct pl_run *j = c->job;

	if (!j || j->stage == GATHER || c->stopping)
		return INT64_MAX;
	if (now < j->due)
		return j->due;
	j->due = now + LOOK_NS;
	switch (j->stage) {
	case WORK:
		watch(now);
		break;
	case KICK:
		if (all_parked())
			return pl_round_bell(), c->job ? c->job->due : INT64_MAX;
		if (now - j->stage_begun > SLOW_NS)
			give_up();
		kick(now);
		break;
	case DRAIN:
		if (all_parked())
			return pl_round_bell(), c->job ? c->job->due : INT64_MAX;
		if (now - j->stage_begun > DRAIN_NS)
			pl_kill_actor(c->shared->drainer, true);
		break;
	case CHECK:
		if (now - j->stage_begun > CHECK_NS && c->checker > 0)
			(void)raw_kill(c->checker, SIGKILL);
		break;
	case GATHER:
		break;
	}
	return c->job ? c->job->due : INT64_MAX;
}

/* ---- requests ---- */

static int64_t positive(json_t *req, const char *name)
{
	json_t *j = json_object_get(req, name);

	return json_is_integer(j) && json_integer_value(j) > 0 ? json_integer_value(j) : 0;
}

static int first_handle(json_t *req)
{
	const char *on = json_string_value(json_object_get(req, "on"));
	int i;

	if (on)
		return pl_handle_find(on, NULL);
	for (i = 1; i <= PL_HANDLES_MAX; i++)
		if (c->handle[i].used && !c->handle[i].local)
			return i;
	return -ENOENT;
}

static int idle_actors(void)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (c->actor[i].call.live)
			return -EBUSY;
	return 0;
}

void pl_req_run(int64_t id, json_t *req)
{
	int handle = first_handle(req), sched;
	const char *how = json_string_value(json_object_get(req, "sched"));
	int64_t ops = positive(req, "ops"), start = positive(req, "start_at");
	struct pl_run *j;
	char why[160];

	sched = pl_sched_parse(how ? how : "free");
	if (handle < 0 || sched < 0 || c->job || idle_actors() < 0)
		return pl_reply_err(id, "usage", true, NULL, "%s",
			handle < 0  ? "'on' must name an open handle"
			: sched < 0 ? "sched is free or noise"
				    : "a run or a call is under way");
	if (!positive(req, "rounds") && !positive(req, "for_ms"))
		return pl_reply_err(id, "usage", true, NULL, "run needs rounds or for_ms");
	ops = ops ? ops : PL_OPS_DEFAULT;
	if (ops > PL_RECS_MAX / 4)
		return pl_reply_err(id, "usage", true, NULL, "ops is at most %d", PL_RECS_MAX / 4);
	c->shared->model = c->drv->variants[c->handle[handle].obj.variant].model;
	c->shared->sched = (uint32_t)sched;
	if (pl_plan_make(json_object_get(req, "plan"), handle, (uint32_t)ops, why, sizeof why) < 0)
		return pl_reply_err(id, "usage", true, NULL, "%s", why);
	j = calloc(1, sizeof *j);
	if (!j)
		return pl_reply_err(id, "internal", true, NULL, "out of memory");
	j->id = id, j->handle = handle, j->ops = (uint32_t)ops;
	j->rounds_wanted = (uint64_t)positive(req, "rounds");
	j->for_ns = positive(req, "for_ms") * 1000000;
	j->begun = j->round_begun = pl_now();
	j->start_at = start ? start + c->t0 : positive(req, "start_in_ms") * 1000000 + j->begun;
	totals(&j->done0, &j->okay0, &j->fail0, &j->bytes0);
	c->job = j;
	begin_stage(GATHER);
	try_round();
}

int pl_round_cancel(int64_t id)
{
	if (!c->job || c->job->id != id)
		return -ENOENT;
	c->job->cancel = true;
	atomic_store(&c->shared->stop, 1);
	return 0;
}

void pl_round_abandon(void)
{
	if (c->job)
		pl_reply_err(c->job->id, "canceled", false, NULL, "stopped in round %u",
			c->shared->round);
}
