/* SPDX-License-Identifier: MIT
 *
 * A world of actors around one object that does what its reference model says, and how what they saw is spoilt.
 */
#include "check_world.h"

#include "model/model.h"

enum phase { IDLE, BEGUN, DONE, DEAD, BURIED };

struct world {
	struct round *b;
	struct dice *d;
	const struct pl_reference *model;
	union {
		struct pl_model_state s;
		char room[sizeof(struct pl_model_state) +
			  WORLD_OPS * sizeof(struct pl_model_value)];
	};
	enum phase phase[B_ACTORS];
	struct pl_model_op op[B_ACTORS];
	struct pl_rec *rec[B_ACTORS];
	int held[B_ACTORS];
	bool repair[B_ACTORS];
	int64_t t, last[B_ACTORS];
	int tokens, left, kills;
	bool blocking[B_ACTORS];
	bool shares; /* some acquires share the lock */
};

static bool takes(int op)
{
	return op == B_TAKE || op == B_EXCEPT;
}

static bool ranged(const struct round *b)
{
	return b->head[0].model == PL_MODEL_RANGES;
}

static void draw_range(struct dice *d, struct pl_rec *r)
{
	r->token = (uint64_t)roll(d, 0, 5);
	r->len = (uint32_t)roll(d, 0, 4);
}

static int next_op(struct world *w, int who)
{
	if (ranged(w->b))
		return chance(w->d, w->held[who] > 0 ? 60 : 15) ? B_RELEASE : B_ACQUIRE;
	if (w->b->head[0].model == PL_MODEL_SELECT && chance(w->d, 15))
		return B_EXCEPT;
	if (w->b->head[0].model != PL_MODEL_LOCK)
		return chance(w->d, 50) ? B_PUT : B_TAKE;
	if (w->repair[who]) {
		w->repair[who] = false;
		if (chance(w->d, 70))
			return B_REPAIR;
	}
	return w->held[who] > 0 && (w->shares || chance(w->d, 85)) ? B_RELEASE : B_ACQUIRE;
}

/* Types begin with 1. */
static bool selective(const struct round *b)
{
	return b->head[0].model == PL_MODEL_SELECT;
}

static void begin(struct world *w, int who)
{
	static const enum pl_role role[] = { PL_PUT, PL_TAKE, PL_ACQUIRE, PL_RELEASE, PL_REPAIR,
		PL_OBSERVE, PL_UPDATE, PL_TAKE };
	int op = next_op(w, who);
	int64_t at = chance(w->d, 60) && w->last[who] ? w->last[who] : w->t;
	struct pl_rec *r = b_add(w->b, who, op, PL_INVOKED, at, 0);

	r->len = op == B_PUT ? (uint32_t)roll(w->d, 1, 4) * 32 : 128;
	if (op == B_PUT) {
		r->token = b_token(++w->tokens);
		r->aux = (uint64_t)roll(w->d, 0, 2) + selective(w->b);
	}
	if (ranged(w->b))
		draw_range(w->d, r);
	if (selective(w->b) && takes(op))
		r->sum = (uint32_t)roll(w->d, op == B_TAKE ? -3 : 1, 3);
	if (w->shares && op == B_ACQUIRE && chance(w->d, 60))
		r->sum = PL_SUM_SHARED;
	w->op[who] = (struct pl_model_op){ .role = role[op],
		.actor = who,
		.value = ranged(w->b) ? b_cells(r) : r->token,
		.tag = r->aux,
		.len = r->len,
		.form = w->shares ? r->sum > 0 : (int32_t)r->sum,
		.except = op == B_EXCEPT };
	w->rec[who] = r;
	w->phase[who] = BEGUN;
	w->blocking[who] = chance(w->d, 50);
	w->left--;
}

static bool try_result(
	struct world *w, int who, enum pl_result_kind kind, int err, uint64_t value, uint64_t tag)
{
	struct pl_model_op *o = &w->op[who];

	o->result = kind, o->err = err, o->value = value, o->tag = tag;
	return w->model->step(&w->s, o);
}

static bool range_effect(struct world *w, int who)
{
	uint64_t cells = w->op[who].value;

	return try_result(w, who, PL_RESULT_OK, 0, cells, 0) ||
	       (!w->blocking[who] && try_result(w, who, PL_RESULT_FAIL, EAGAIN, cells, 0));
}

/* The operation takes effect now, if it can. */
static void effect(struct world *w, int who)
{
	struct pl_rec *r = w->rec[who];
	bool did = false;
	uint64_t at = selective(w->b) ? pl_model_selected(&w->s, &w->op[who]) : 0;

	if (takes(r->op))
		w->op[who].len = at < w->s.n ? w->s.v[at].len : 0;
	if (ranged(w->b))
		did = range_effect(w, who);
	else if (r->op == B_PUT && !pl_model_full(&w->s, r->len))
		did = try_result(w, who, PL_RESULT_OK, 0, r->token, r->aux);
	else if (r->op == B_PUT && !w->blocking[who])
		did = try_result(w, who, PL_RESULT_FAIL, chance(w->d, 50) ? EAGAIN : ETIMEDOUT,
			r->token, r->aux);
	else if (takes(r->op) && at < w->s.n)
		did = try_result(w, who, PL_RESULT_OK, 0, w->s.v[at].value, w->s.v[at].tag);
	else if (takes(r->op) && !w->blocking[who])
		did = try_result(
			w, who, PL_RESULT_FAIL, chance(w->d, 50) ? EAGAIN : ETIMEDOUT, 0, 0);
	else if (r->op == B_ACQUIRE && w->s.lost)
		did = try_result(w, who, PL_RESULT_FAIL, ENOTRECOVERABLE, 0, 0);
	else if (r->op == B_ACQUIRE && w->op[who].form && w->s.owner < 0)
		did = try_result(w, who, PL_RESULT_OK, 0, w->s.count, 0);
	else if (r->op == B_ACQUIRE && w->s.owner != who && (w->s.owner >= 0 || w->s.sharers) &&
		 !w->blocking[who])
		did = try_result(w, who, PL_RESULT_FAIL, EBUSY, 0, 0);
	else if (r->op == B_ACQUIRE && w->s.owner < 0 && w->s.inconsistent)
		did = try_result(w, who, PL_RESULT_FAIL, EOWNERDEAD, w->s.count, 0);
	else if (r->op == B_ACQUIRE && (w->s.owner < 0 || w->s.owner == who))
		did = try_result(w, who, PL_RESULT_OK, 0, w->s.count, 0);
	else if (r->op == B_RELEASE || r->op == B_REPAIR)
		did = try_result(w, who, PL_RESULT_OK, 0, 0, 0);
	if (r->op == B_REPAIR && !did)
		did = try_result(w, who, PL_RESULT_FAIL, EINVAL, 0, 0) || true;
	if (did)
		w->phase[who] = DONE;
}

static void end(struct world *w, int who)
{
	const struct pl_model_op *o = &w->op[who];
	struct pl_rec *r = w->rec[who];

	r->t_return = B_BASE + w->t;
	r->state = o->result == PL_RESULT_OK ? PL_OK : PL_FAIL;
	r->err = o->result == PL_RESULT_OK ? 0 : o->err;
	r->ret = r->state == PL_FAIL ? -1 : takes(r->op) ? (int64_t)o->len : 0;
	if (takes(r->op))
		r->token = o->value, r->aux = o->tag;
	if (r->op == B_ACQUIRE) {
		r->aux = ranged(w->b) ? 0 : o->value;
		w->held[who] += r->state == PL_OK || r->err == EOWNERDEAD;
		w->repair[who] = r->err == EOWNERDEAD;
	}
	w->held[who] -= r->op == B_RELEASE;
	w->phase[who] = IDLE;
	w->last[who] = w->t;
}

static void die(struct world *w, int who)
{
	b_control(w->b, PL_OP_KILL, (uint64_t)who, w->t, w->t);
	w->phase[who] = DEAD;
	w->kills--;
}

static void bury(struct world *w, int who)
{
	struct pl_model_op death = { .role = PL_NONE, .actor = who };

	(void)w->model->step(&w->s, &death);
	b_control(w->b, PL_OP_REAP, (uint64_t)who, w->t, w->t);
	w->phase[who] = BURIED;
}

static void tick(struct world *w)
{
	int who = roll(w->d, 0, w->b->nactors - 1);

	w->t += chance(w->d, 25) ? 0 : roll(w->d, 1, 3);
	if (w->kills > 0 && w->phase[who] < DEAD && chance(w->d, 8)) {
		die(w, who);
		return;
	}
	switch (w->phase[who]) {
	case IDLE:
		if (w->left > 0)
			begin(w, who);
		break;
	case BEGUN:
		effect(w, who);
		break;
	case DONE:
		end(w, who);
		break;
	case DEAD:
		if (chance(w->d, 50))
			bury(w, who);
		break;
	case BURIED:
		break;
	}
}

/* Who waits for ever is killed; the queue is emptied by somebody alive. */
static bool finish(struct world *w)
{
	int drainer = -1;

	for (int i = 0; i < w->b->nactors; i++) {
		w->t += 2;
		if (w->phase[i] == BEGUN)
			effect(w, i);
		if (w->phase[i] == DONE)
			end(w, i);
		if (w->phase[i] == BEGUN)
			die(w, i);
		if (w->phase[i] == DEAD)
			bury(w, i);
		if (w->phase[i] == IDLE)
			drainer = i;
	}
	if (drainer < 0 || w->b->head[0].model == PL_MODEL_LOCK || ranged(w->b) || chance(w->d, 40))
		return false;
	w->t += 5;
	b_control(w->b, PL_OP_DRAIN, (uint64_t)drainer, w->t, w->t);
	for (bool more = true; more; more = w->rec[drainer]->state == PL_OK) {
		w->rec[drainer] = b_add(w->b, drainer, B_TAKE, PL_INVOKED, w->t, 0);
		w->rec[drainer]->len = 128;
		w->op[drainer] = (struct pl_model_op){ .role = PL_TAKE, .actor = drainer };
		w->blocking[drainer] = false;
		effect(w, drainer);
		w->t += 2;
		end(w, drainer);
	}
	return true;
}

struct round *world_make(
	struct dice *d, enum pl_model model, int ops, bool deaths, bool *ret_drained)
{
	struct world w = { .d = d, .t = 1 };
	bool lock = model == PL_MODEL_LOCK;
	struct pl_model_config config = { .robust = lock && chance(d, 60),
		.lowest = model == PL_MODEL_PRIORITY && chance(d, 30) };

	config.freed = model == PL_MODEL_RANGES || (lock && !config.robust && chance(d, 50));
	w.shares = config.freed && chance(d, 70);
	w.model = pl_reference_of(model);
	w.b = b_new(model, roll(d, 2, 4));
	if (!lock && model != PL_MODEL_RANGES && chance(d, 40)) {
		config.grain = chance(d, 50) ? 64 : 0;
		config.capacity = (uint64_t)roll(d, 1, config.grain ? 5 : 3);
	}
	for (int i = 0; i <= w.b->nactors; i++) {
		w.b->head[i].caps = (config.robust ? PL_ROBUST : 0) |
				    (config.freed ? PL_FREED : 0) | (config.lowest ? PL_LOWEST : 0);
		w.b->head[i].capacity = config.capacity;
		w.b->head[i].grain = (uint32_t)config.grain;
	}
	w.model->init(&w.s, &config);
	w.left = ops;
	w.kills = deaths ? roll(d, 0, 2) : 0;
	for (int i = 0; i < 12 * ops + 20 && (w.left > 0 || i < 30); i++)
		tick(&w);
	*ret_drained = finish(&w);
	if (!*ret_drained)
		w.b->head[w.b->nactors].flags &= ~(uint32_t)PL_HIST_DRAINED;
	return w.b;
}

/* ---- and how it is spoilt ---- */

static struct pl_rec *pick(struct round *b, struct dice *d, int op, int state)
{
	struct pl_rec *found = NULL;
	int n = 0;

	for (int i = 0; i < b->nactors; i++)
		for (uint32_t k = 0; k < b->n[i]; k++)
			if (b->rec[i][k].op == op && (state == 0 || b->rec[i][k].state == state) &&
				roll(d, 0, n++) == 0)
				found = &b->rec[i][k];
	return found;
}

static void swap_taken(struct round *b, struct dice *d)
{
	struct pl_rec *x = pick(b, d, B_TAKE, PL_OK), *y = pick(b, d, B_TAKE, PL_OK), t;

	if (!x || !y)
		return;
	t = *x;
	x->token = y->token, x->aux = y->aux, x->ret = y->ret;
	y->token = t.token, y->aux = t.aux, y->ret = t.ret;
}

/* One stamp moves towards the other: intervals that shrink create alarms. */
static void squeeze(struct round *b, struct dice *d)
{
	int who = roll(d, 0, b->nactors - 1);
	struct pl_rec *r;
	int64_t room;

	if (b->n[who] == 0)
		return;
	r = &b->rec[who][roll(d, 0, (int)b->n[who] - 1)];
	room = r->t_return - r->t_invoke;
	if (r->state == PL_INVOKED || room <= 0)
		return;
	if (chance(d, 50))
		r->t_return -= roll(d, 1, (int)room);
	else
		r->t_invoke += roll(d, 1, (int)room);
}

static void spoil_result(struct round *b, struct dice *d)
{
	struct pl_rec *r = pick(b, d, B_TAKE, PL_OK);

	if (ranged(b)) {
		r = pick(b, d, B_ACQUIRE, 0);
		if (r && r->state == PL_OK)
			b_fail(r, EAGAIN);
		else if (r && r->state == PL_FAIL)
			r->state = PL_OK, r->err = 0, r->ret = 0;
		return;
	}
	if (b->head[0].model == PL_MODEL_LOCK) {
		r = pick(b, d, B_ACQUIRE, 0);
		if (r && r->state == PL_OK && chance(d, 50))
			r->aux += (uint64_t)roll(d, r->aux > 0 ? -1 : 0, 1);
		else if (r && r->state == PL_OK)
			b_fail(r, EOWNERDEAD);
		else if (r && r->state == PL_FAIL && r->err == EOWNERDEAD)
			r->state = PL_OK, r->err = 0, r->ret = 0;
		else if (r && r->state == PL_FAIL)
			r->err = chance(d, 50) ? ENOTRECOVERABLE : EBUSY;
		return;
	}
	if (!r)
		return;
	if (chance(d, 50)) {
		b_fail(r, EAGAIN);
		r->token = 0;
	} else {
		struct pl_rec *put = pick(b, d, B_PUT, PL_OK);

		r->token = put ? put->token : r->token + 100;
		r->aux = put ? put->aux : r->aux;
		r->ret = put ? put->len : r->ret;
	}
}

/* What fitted is too much, or what found no room had some. */
static void spoil_capacity(struct round *b, struct dice *d)
{
	int by = chance(d, 50) && b->head[0].capacity > 1 ? -1 : 1;

	for (int i = 0; i <= b->nactors && b->head[0].capacity > 0; i++)
		b->head[i].capacity += (uint64_t)by;
}

/* It wanted something else, which the result then contradicts, or not. */
static void spoil_form(struct round *b, struct dice *d)
{
	struct pl_rec *r = selective(b) ? pick(b, d, chance(d, 30) ? B_EXCEPT : B_TAKE, 0) : NULL;
	struct pl_rec *lock = pick(b, d, B_ACQUIRE, 0);

	if (ranged(b) && chance(d, 60))
		lock = pick(b, d, chance(d, 50) ? B_ACQUIRE : B_RELEASE, 0);
	if (ranged(b) && lock && (lock->op == B_RELEASE || chance(d, 50)))
		draw_range(d, lock);
	else if (lock && b->head[0].caps & PL_FREED)
		lock->sum ^= PL_SUM_SHARED;

	if (r)
		r->sum = (uint32_t)roll(d, r->op == B_TAKE ? -3 : 1, 3);
}

void world_spoil(struct round *b, struct dice *d)
{
	for (int n = roll(d, 1, 2); n > 0; n--) {
		int how = roll(d, 0, 9);

		if ((selective(b) || b->head[0].model == PL_MODEL_LOCK || ranged(b)) &&
			chance(d, ranged(b) ? 50 : 20)) {
			spoil_form(b, d);
			continue;
		}

		if (b->head[0].capacity > 0 && chance(d, 30))
			spoil_capacity(b, d);
		else if (how < 4)
			swap_taken(b, d);
		else if (how < 8)
			squeeze(b, d);
		else
			spoil_result(b, d);
	}
}
