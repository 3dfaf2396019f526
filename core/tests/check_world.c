/* SPDX-License-Identifier: MIT
 *
 * A world of actors around one object that does what its reference model says, and how what they saw is spoilt.
 */
#include "check_world.h"
#include "check_play.h"

#include "model/model.h"

struct world {
	struct play p;
	const struct pl_reference *model;
	union {
		struct pl_model_state s;
		char room[sizeof(struct pl_model_state) +
			  WORLD_OPS * sizeof(struct pl_model_value)];
	};
	struct pl_model_op op[B_ACTORS];
	int held[B_ACTORS];
	bool repair[B_ACTORS];
	int tokens;
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
	if (ranged(w->p.b))
		return chance(w->p.d, w->held[who] > 0 ? 60 : 15) ? B_RELEASE : B_ACQUIRE;
	if (w->p.b->head[0].model == PL_MODEL_SELECT && chance(w->p.d, 15))
		return B_EXCEPT;
	if (w->p.b->head[0].model != PL_MODEL_LOCK)
		return chance(w->p.d, 50) ? B_PUT : B_TAKE;
	if (w->repair[who]) {
		w->repair[who] = false;
		if (chance(w->p.d, 70))
			return B_REPAIR;
	}
	return w->held[who] > 0 && (w->shares || chance(w->p.d, 85)) ? B_RELEASE : B_ACQUIRE;
}

/* Types begin with 1. */
static bool selective(const struct round *b)
{
	return b->head[0].model == PL_MODEL_SELECT;
}

static void begin(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	static const enum pl_role role[] = { PL_PUT, PL_TAKE, PL_ACQUIRE, PL_RELEASE, PL_REPAIR,
		PL_OBSERVE, PL_UPDATE, PL_TAKE };
	int op = next_op(w, who);
	struct pl_rec *r = play_add(p, who, op);

	r->len = op == B_PUT ? (uint32_t)roll(w->p.d, 1, 4) * 32 : 128;
	if (op == B_PUT) {
		r->token = b_token(++w->tokens);
		r->aux = (uint64_t)roll(w->p.d, 0, 2) + selective(w->p.b);
	}
	if (ranged(w->p.b))
		draw_range(w->p.d, r);
	if (selective(w->p.b) && takes(op))
		r->sum = (uint32_t)roll(w->p.d, op == B_TAKE ? -3 : 1, 3);
	if (w->shares && op == B_ACQUIRE && chance(w->p.d, 60))
		r->sum = PL_SUM_SHARED;
	w->op[who] = (struct pl_model_op){ .role = role[op],
		.actor = who,
		.value = ranged(w->p.b) ? b_cells(r) : r->token,
		.tag = r->aux,
		.len = r->len,
		.form = w->shares ? r->sum > 0 : (int32_t)r->sum,
		.except = op == B_EXCEPT };
	w->blocking[who] = chance(w->p.d, 50);
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
static bool effect(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	struct pl_rec *r = w->p.rec[who];
	bool did = false;
	uint64_t at = selective(w->p.b) ? pl_model_selected(&w->s, &w->op[who]) : 0;

	if (takes(r->op))
		w->op[who].len = at < w->s.n ? w->s.v[at].len : 0;
	if (ranged(w->p.b))
		did = range_effect(w, who);
	else if (r->op == B_PUT && !pl_model_full(&w->s, r->len))
		did = try_result(w, who, PL_RESULT_OK, 0, r->token, r->aux);
	else if (r->op == B_PUT && !w->blocking[who])
		did = try_result(w, who, PL_RESULT_FAIL, chance(w->p.d, 50) ? EAGAIN : ETIMEDOUT,
			r->token, r->aux);
	else if (takes(r->op) && at < w->s.n)
		did = try_result(w, who, PL_RESULT_OK, 0, w->s.v[at].value, w->s.v[at].tag);
	else if (takes(r->op) && !w->blocking[who])
		did = try_result(
			w, who, PL_RESULT_FAIL, chance(w->p.d, 50) ? EAGAIN : ETIMEDOUT, 0, 0);
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
	return did;
}

static void end(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	const struct pl_model_op *o = &w->op[who];
	struct pl_rec *r = w->p.rec[who];

	r->state = o->result == PL_RESULT_OK ? PL_OK : PL_FAIL;
	r->err = o->result == PL_RESULT_OK ? 0 : o->err;
	r->ret = r->state == PL_FAIL ? -1 : takes(r->op) ? (int64_t)o->len : 0;
	if (takes(r->op))
		r->token = o->value, r->aux = o->tag;
	if (r->op == B_ACQUIRE) {
		r->aux = ranged(w->p.b) ? 0 : o->value;
		w->held[who] += r->state == PL_OK || r->err == EOWNERDEAD;
		w->repair[who] = r->err == EOWNERDEAD;
	}
	w->held[who] -= r->op == B_RELEASE;
}

static void bury(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	struct pl_model_op death = { .role = PL_NONE, .actor = who };

	(void)w->model->step(&w->s, &death);
}

static void take(struct play *p, int who)
{
	struct world *w = (struct world *)p;

	p->rec[who] = b_add(p->b, who, B_TAKE, PL_INVOKED, p->t, 0);
	p->rec[who]->len = 128;
	w->op[who] = (struct pl_model_op){ .role = PL_TAKE, .actor = who };
	w->blocking[who] = false;
}

/* The queue is emptied by somebody alive. */
static bool empty(struct world *w)
{
	int drainer = -1;

	for (int i = 0; i < w->p.b->nactors; i++)
		drainer = w->p.phase[i] == IDLE ? i : drainer;
	if (drainer < 0 || w->p.b->head[0].model == PL_MODEL_LOCK || ranged(w->p.b) ||
		chance(w->p.d, 40))
		return false;
	play_drain(&w->p, drainer, take);
	return true;
}

struct round *world_make(
	struct dice *d, enum pl_model model, int ops, bool deaths, bool *ret_drained)
{
	static const struct acts acts = { begin, effect, end, bury };
	struct world w = { .p = { .acts = &acts, .d = d, .t = 1 } };
	bool lock = model == PL_MODEL_LOCK;
	struct pl_model_config config = { .robust = lock && chance(d, 60),
		.lowest = model == PL_MODEL_PRIORITY && chance(d, 30) };

	config.freed = model == PL_MODEL_RANGES || (lock && !config.robust && chance(d, 50));
	w.shares = config.freed && chance(d, 70);
	w.model = pl_reference_of(model);
	w.p.b = b_new(model, roll(d, 2, 4));
	if (!lock && model != PL_MODEL_RANGES && chance(d, 40)) {
		config.grain = chance(d, 50) ? 64 : 0;
		config.capacity = (uint64_t)roll(d, 1, config.grain ? 5 : 3);
	}
	for (int i = 0; i <= w.p.b->nactors; i++) {
		w.p.b->head[i].caps = (config.robust ? PL_ROBUST : 0) |
				      (config.freed ? PL_FREED : 0) |
				      (config.lowest ? PL_LOWEST : 0);
		w.p.b->head[i].capacity = config.capacity;
		w.p.b->head[i].grain = (uint32_t)config.grain;
	}
	w.model->init(&w.s, &config);
	w.p.left = ops;
	w.p.kills = deaths ? roll(d, 0, 2) : 0;
	play_run(&w.p, 30, 12 * ops + 20);
	play_finish(&w.p);
	*ret_drained = empty(&w);
	if (!*ret_drained)
		w.p.b->head[w.p.b->nactors].flags &= ~(uint32_t)PL_HIST_DRAINED;
	return w.p.b;
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
			(void)b_squeeze(b_pick(b, d), d);
		else
			spoil_result(b, d);
	}
}
