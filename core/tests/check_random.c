/* SPDX-License-Identifier: MIT
 *
 * Claim: on small random histories, right ones and spoilt ones, the checkers say what brute force
 * says: never an alarm where some order of the operations explains everything, no miss where they
 * are exact, few elsewhere. Histories have deaths in mid-operation, equal stamps, empty results,
 * several priorities, nested locks, queues that are full.
 */
#include "check_dice.h"
#include "check_oracle.h"

#include "check/segments.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { ROUNDS = 10000, MOST = 24 }; /* values in a queue */

/* ---- a world that does it right ---- */

enum phase { IDLE, BEGUN, DONE, DEAD, BURIED };

struct world {
	struct round *b;
	struct dice *d;
	const struct pl_reference *model;
	union {
		struct pl_model_state s;
		char room[sizeof(struct pl_model_state) + MOST * sizeof(struct pl_model_value)];
	};
	enum phase phase[B_ACTORS];
	struct pl_model_op op[B_ACTORS];
	struct pl_rec *rec[B_ACTORS];
	int held[B_ACTORS];
	bool repair[B_ACTORS];
	int64_t t, last[B_ACTORS];
	int tokens, left, kills;
	bool blocking[B_ACTORS];
};

static int next_op(struct world *w, int who)
{
	if (w->b->head[0].model != PL_MODEL_LOCK)
		return chance(w->d, 50) ? B_PUT : B_TAKE;
	if (w->repair[who]) {
		w->repair[who] = false;
		if (chance(w->d, 70))
			return B_REPAIR;
	}
	return w->held[who] > 0 && chance(w->d, 85) ? B_RELEASE : B_ACQUIRE;
}

static void begin(struct world *w, int who)
{
	static const enum pl_role role[] = { PL_PUT, PL_TAKE, PL_ACQUIRE, PL_RELEASE, PL_REPAIR,
		PL_OBSERVE };
	int op = next_op(w, who);
	int64_t at = chance(w->d, 60) && w->last[who] ? w->last[who] : w->t;
	struct pl_rec *r = b_add(w->b, who, op, PL_INVOKED, at, 0);

	r->len = op == B_PUT ? (uint32_t)roll(w->d, 1, 4) * 32 : 128;
	if (op == B_PUT) {
		r->token = b_token(++w->tokens);
		r->aux = (uint64_t)roll(w->d, 0, 2);
	}
	w->op[who] = (struct pl_model_op){
		.role = role[op], .actor = who, .value = r->token, .tag = r->aux, .len = r->len
	};
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

/* The operation takes effect now, if it can. */
static void effect(struct world *w, int who)
{
	struct pl_rec *r = w->rec[who];
	bool did = false;

	if (r->op == B_TAKE)
		w->op[who].len = w->s.n > 0 ? w->s.v[0].len : 0;
	if (r->op == B_PUT && !pl_model_full(&w->s, r->len))
		did = try_result(w, who, PL_RESULT_OK, 0, r->token, r->aux);
	else if (r->op == B_PUT && !w->blocking[who])
		did = try_result(w, who, PL_RESULT_FAIL, chance(w->d, 50) ? EAGAIN : ETIMEDOUT,
			r->token, r->aux);
	else if (r->op == B_TAKE && w->s.n > 0)
		did = try_result(w, who, PL_RESULT_OK, 0, w->s.v[0].value, w->s.v[0].tag);
	else if (r->op == B_TAKE && !w->blocking[who])
		did = try_result(
			w, who, PL_RESULT_FAIL, chance(w->d, 50) ? EAGAIN : ETIMEDOUT, 0, 0);
	else if (r->op == B_ACQUIRE && w->s.lost)
		did = try_result(w, who, PL_RESULT_FAIL, ENOTRECOVERABLE, 0, 0);
	else if (r->op == B_ACQUIRE && w->s.owner >= 0 && w->s.owner != who && !w->blocking[who])
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
	r->ret = r->state == PL_FAIL ? -1 : r->op == B_TAKE ? (int64_t)o->len : 0;
	if (r->op == B_TAKE)
		r->token = o->value, r->aux = o->tag;
	if (r->op == B_ACQUIRE) {
		r->aux = o->value;
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
	if (drainer < 0 || w->b->head[0].model == PL_MODEL_LOCK || chance(w->d, 40))
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

static struct round *make(struct dice *d, enum pl_model model, bool deaths, bool *ret_drained)
{
	struct world w = { .d = d, .t = 1 };
	struct pl_model_config config = { .robust = chance(d, 75) };

	w.model = pl_reference_of(model);
	w.b = b_new(model, roll(d, 2, 4));
	if (model != PL_MODEL_LOCK && chance(d, 40)) {
		config.grain = chance(d, 50) ? 64 : 0;
		config.capacity = (uint64_t)roll(d, 1, config.grain ? 5 : 3);
	}
	for (int i = 0; i <= w.b->nactors; i++) {
		w.b->head[i].caps = config.robust ? PL_ROBUST : 0;
		w.b->head[i].capacity = config.capacity;
		w.b->head[i].grain = (uint32_t)config.grain;
	}
	w.model->init(&w.s, &config);
	w.left = roll(d, 3, 9);
	w.kills = deaths ? roll(d, 0, 2) : 0;
	for (int i = 0; i < 120 && (w.left > 0 || i < 30); i++)
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

static void spoil(struct round *b, struct dice *d)
{
	for (int n = roll(d, 1, 2); n > 0; n--) {
		int how = roll(d, 0, 9);

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

/* ---- the comparison ---- */

struct score {
	int good, bad, caught, missed, unsure;
	int exact_bad, exact_missed;
};

static void dump(const struct round *b, uint64_t key, const char *what)
{
	fprintf(stderr, "%s: key 0x%llx\n", what, (unsigned long long)key);
	b_dump(b);
}

static bool has_pending(const struct round *b, int op)
{
	for (int i = 0; i < b->nactors; i++)
		for (uint32_t k = 0; k < b->n[i]; k++)
			if (b->rec[i][k].state == PL_INVOKED && b->rec[i][k].op == op)
				return true;
	return false;
}

static bool has_deaths(const struct round *b)
{
	return b->n[b->nactors] > 1 ||
	       (b->n[b->nactors] == 1 && b->rec[b->nactors][0].op != PL_OP_DRAIN);
}

/* Where the checkers promise to find everything (their headers say so). */
static bool exact(const struct round *b)
{
	if (oracle_tied(b) || b->head[0].capacity > 0)
		return false;
	return b->head[0].model == PL_MODEL_LOCK ? !has_deaths(b) : !has_pending(b, B_TAKE);
}

static void compare(struct score *s, struct round *b, bool drained, bool spoilt, uint64_t key)
{
	bool allowed = oracle_allows(b, drained);
	enum pl_outcome o = b_check(b, 0)->outcome;

	if (allowed && o == PL_VIOLATED) {
		dump(b, key, "false alarm");
		cr_assert_fail("false alarm: %s: %s (key 0x%llx)", b->v.rule, b->v.text,
			(unsigned long long)key);
	}
	if (!spoilt && (o != PL_HELD || !allowed)) {
		dump(b, key, "a right history is not held");
		cr_assert_fail("not held, key 0x%llx, oracle %d", (unsigned long long)key, allowed);
	}
	b_assert_search(b, allowed, key);
	s->good += allowed;
	s->bad += !allowed;
	s->unsure += o == PL_UNKNOWN;
	s->caught += !allowed && o == PL_VIOLATED;
	if (allowed || o == PL_UNKNOWN)
		return;
	s->missed += o == PL_HELD;
	s->exact_bad += exact(b);
	if (exact(b) && o == PL_HELD) {
		if (s->exact_missed++ == 0)
			dump(b, key, "missed");
	}
}

static struct score run(enum pl_model model, uint64_t seed)
{
	struct score s = { 0 };

	for (int i = 0; i < ROUNDS; i++) {
		struct dice d = { .key = pl_rand(seed, (uint64_t)i) };
		bool drained, spoilt = i % 3 != 0;
		struct round *b = make(&d, model, i % 2, &drained);

		if (spoilt)
			spoil(b, &d);
		compare(&s, b, drained, spoilt, d.key);
		free(b);
	}
	return s;
}

static void judge(enum pl_model model, uint64_t seed)
{
	struct score s = run(model, seed);

	fprintf(stderr,
		"model %d seed 0x%llx: %d right, %d wrong: %d caught, %d missed, %d unsure; exact: "
		"%d missed of %d\n",
		model, (unsigned long long)seed, s.good, s.bad, s.caught, s.missed, s.unsure,
		s.exact_missed, s.exact_bad);
	cr_assert_eq(s.exact_missed, 0, "seed 0x%llx: %d of %d missed where the checker is exact",
		(unsigned long long)seed, s.exact_missed, s.exact_bad);
	cr_assert_gt(s.bad, ROUNDS / 20, "too few wrong histories to show anything: %d", s.bad);
	cr_assert_leq(s.missed * 100, s.bad * 9, "seed 0x%llx: %d of %d missed",
		(unsigned long long)seed, s.missed, s.bad);
}

Test(check_random, fifo)
{
	judge(PL_MODEL_FIFO, 0x5eed01);
	judge(PL_MODEL_FIFO, seed_of_today());
}

Test(check_random, priority)
{
	judge(PL_MODEL_PRIORITY, 0x5eed02);
	judge(PL_MODEL_PRIORITY, seed_of_today());
}

Test(check_random, lock)
{
	judge(PL_MODEL_LOCK, 0x5eed03);
	judge(PL_MODEL_LOCK, seed_of_today());
}

/* Histories above are short; what keeps long ones fast must be right by itself. */
Test(check_random, segments)
{
	enum { N = 10000 };
	static bool covered[N];
	struct dice d = { .key = seed_of_today() };
	struct pl_segments s;

	cr_assert(pl_segments_new(&s, N));
	for (int i = 0; i < 4000; i++) {
		uint32_t from = (uint32_t)roll(&d, 0, N - 1),
			 to = from + (uint32_t)roll(&d, 0, i % 7 ? 9 : 150);
		uint32_t at = (uint32_t)roll(&d, 0, N - 1), up = at, down = at;

		pl_segments_cover(&s, from, to);
		for (uint32_t k = from; k < to && k < N; k++)
			covered[k] = true;
		while (up < N && covered[up])
			up++;
		while (down < N && covered[down])
			down--;
		cr_assert_eq(pl_segments_next(&s, at), up < N ? up : PL_SEG_NONE, "key 0x%llx",
			(unsigned long long)d.key);
		cr_assert_eq(pl_segments_prev(&s, at), down < N ? down : PL_SEG_NONE, "key 0x%llx",
			(unsigned long long)d.key);
	}
	pl_segments_free(&s);
}
