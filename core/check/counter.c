/* SPDX-License-Identifier: MIT
 *
 * One number that operations raise and lower: tokens of a semaphore, or a sum that is taken whole.
 *
 *   OVERTAKEN   more was taken than can have been there
 *   OVERFULL    more was certainly there than the object holds
 *   BADEMPTY    somebody found too little although there was certainly enough at each moment of the
 *               call
 *   TOKENSLOST  the drain found nothing more to take although something must have been left
 *   BADVALUE    somebody saw a number that it cannot have been at any moment of the call
 *   BADNOROOM   a put found no room although there certainly was at each moment of the call
 *   BADSUM      a take took less than all (only where a take takes all)
 *   TAKENOTHING a take succeeded and took nothing (only where a take takes all)
 *   NOORDER     no order of the operations gives their results
 *
 * First a guess: one order is made that may explain everything (counter_guess.c). Only if it does not,
 * bounds are asked (counter_bounds.c), and at last all orders are tried (counter_search.c): exact as
 * long as no more than 24 operations are under way at once and the search does not grow too large,
 * sound beyond. The number at the start is control's first record; without it only bounds are asked.
 */
#include "counter.h"

#include <stdlib.h>

static const int64_t TOO_MUCH = (int64_t)1 << 61; /* of all amounts together */

static void classify_put(
	const struct pl_count_round *t, const struct pl_rec *r, struct pl_count_op *o)
{
	o->kind = PL_ADD;
	if (r->state == PL_INVOKED) {
		o->maybe = 1;
		o->k = o->k ? o->k : 1;
	} else if (r->state == PL_FAIL) {
		bool full = r->err == EAGAIN || r->err == EOVERFLOW || r->err == ERANGE;

		o->kind = PL_FULL;
		o->k = t->cap == INT64_MAX || !full ? 0 : o->k ? o->k : 1;
	}
}

static void classify_take(
	const struct pl_count_round *t, const struct pl_rec *r, struct pl_count_op *o)
{
	o->kind = t->taken_all ? PL_ALL : PL_SUB;
	if (r->state == PL_INVOKED) {
		o->maybe = 1;
		o->k = o->k && !t->taken_all ? o->k : 1;
	} else if (r->state == PL_FAIL) {
		bool less = r->err == EAGAIN || r->err == ETIMEDOUT || r->err == ENOMSG;

		o->kind = PL_LESS;
		o->k = !less ? 0 : o->k && !t->taken_all ? o->k : 1;
	}
}

/* What this record says of the number; false: nothing. An operation whose table names no number of tokens
 * moves one. */
static bool classify(struct pl_count_round *t, const struct pl_event *e, struct pl_count_op *o)
{
	const struct pl_rec *r = e->rec;

	*o = (struct pl_count_op){ .k = (int64_t)r->aux, .inv = e->rank, .ret = PL_NEVER };
	o->ref = pl_ref(t->c, e->who, r);
	if (e->role == PL_PUT)
		classify_put(t, r, o);
	else if (e->role == PL_TAKE)
		classify_take(t, r, o);
	else if (e->role == PL_OBSERVE && r->state == PL_OK)
		o->kind = PL_IS;
	else
		return false;
	if (o->kind == PL_ALL && o->k == 0 &&
		pl_find(t->c, "TAKENOTHING", -1,
			"actor %d's %s succeeded, but there was nothing in what it took",
			pl_say_actor(t->c, o->ref), pl_say_op(t->c, o->ref)))
		pl_witness(t->c, o->ref);
	return o->k != 0 || o->kind == PL_IS;
}

static bool allocate(struct pl_count_round *t, struct pl_case *c)
{
	size_t ranks = 2 * ((size_t)c->nrecs + (size_t)c->nactors) + 3;
	const struct pl_log *control = c->control;

	*t = (struct pl_count_round){ .c = c, .cap = INT64_MAX, .drain = INT64_MAX };
	t->taken_all = c->head->model == PL_MODEL_SUM;
	if (c->head->capacity > 0 && c->head->capacity < (uint64_t)TOO_MUCH)
		t->cap = (int64_t)c->head->capacity;
	if (control->n > 0 && control->rec[0].op == PL_OP_LEVEL && control->rec[0].ret >= 0) {
		t->known = true;
		t->level = control->rec[0].ret;
	}
	for (uint64_t i = 0; i < control->n && t->drain == INT64_MAX; i++)
		if (control->rec[i].op == PL_OP_DRAIN)
			t->drain = control->rec[i].t_invoke;
	t->op = malloc(((size_t)c->nrecs + 1) * sizeof *t->op);
	t->out = malloc(((size_t)c->nrecs + 1) * sizeof *t->out);
	t->ev = malloc(ranks * sizeof *t->ev);
	return t->op && t->out && t->ev;
}

static void read_event(struct pl_count_round *t, const struct pl_event *e)
{
	uint32_t begun = PL_NEVER;

	t->ev[e->rank] = PL_NEVER;
	if (e->kind == PL_EV_BEGIN) {
		if (classify(t, e, &t->op[t->n]))
			t->ev[e->rank] = 2 * t->n++;
		return;
	}
	if (e->kind != PL_EV_KILLED && e->rec && e->since < e->rank)
		begun = t->ev[e->since];
	if (begun == PL_NEVER || begun & 1 || t->op[begun / 2].ret != PL_NEVER ||
		t->op[begun / 2].ref != pl_ref(t->c, e->who, e->rec))
		return;
	t->op[begun / 2].ret = e->rank;
	t->ev[e->rank] = begun + 1;
}

static bool load(struct pl_count_round *t)
{
	struct pl_merge *m = pl_merge_new(t->c, true);
	struct pl_event e;
	uint64_t sum = (uint64_t)t->level;

	if (!m) {
		t->c->nomem = true;
		return false;
	}
	while (pl_merge_next(m, &e))
		read_event(t, &e);
	pl_merge_free(m);
	t->nev = t->c->nranks;
	if (t->c->drained) { /* whatever the drain called: there was nothing any more */
		t->op[t->n] = (struct pl_count_op){
			.k = 1, .inv = t->nev, .ret = t->nev + 1, .ref = PL_NEVER, .kind = PL_LESS
		};
		t->ev[t->nev++] = 2 * t->n;
		t->ev[t->nev++] = 2 * t->n++ + 1;
	}
	for (uint32_t i = 0; i < t->n && sum <= (uint64_t)TOO_MUCH; i++)
		sum = (uint64_t)t->op[i].k > (uint64_t)TOO_MUCH ? UINT64_MAX
								: sum + (uint64_t)t->op[i].k;
	if (sum > (uint64_t)TOO_MUCH) {
		pl_unknown(t->c, "AMOUNTS", "the numbers are too large to be added up");
		return false;
	}
	return !t->c->broken && !pl_settled(t->c);
}

/* Whether something is wrong, by the events in the order in which they are now. */
static bool judge(struct pl_count_round *t)
{
	t->f.rule = NULL;
	if (t->known && pl_count_guess(t))
		return false;
	return pl_count_bounds(t) || (t->known && pl_count_search(t));
}

/* ---- how sure it is ---- */

struct stamp {
	int64_t t;
	uint32_t ev;
};

static int by_time(const void *a, const void *b)
{
	const struct stamp *x = a, *y = b;

	if (x->t != y->t)
		return (x->t > y->t) - (x->t < y->t);
	return x->ev % 2 != y->ev % 2 ? (int)(x->ev % 2) - (int)(y->ev % 2)
				      : (x->ev > y->ev) - (x->ev < y->ev);
}

/* When it was over at the latest: a death is told after the call began, whatever control's stamps say. */
static int64_t end_of(const struct pl_actor *a, const struct pl_rec *r)
{
	int64_t t = a->t_kill > r->t_invoke ? a->t_kill : r->t_invoke;

	if (r->state != PL_INVOKED)
		return r->t_return;
	return a->t_reap > t ? a->t_reap : t;
}

static struct stamp *stamps_of(const struct pl_count_round *t, uint32_t *ret_n)
{
	struct stamp *s = malloc((2 * (size_t)t->n + 1) * sizeof *s);

	*ret_n = 0;
	for (uint32_t i = 0; s && i < t->n; i++) {
		int who = 0;
		const struct pl_rec *r = pl_rec_of(t->c, t->op[i].ref, &who);

		if (!r) {
			s[(*ret_n)++] = (struct stamp){ INT64_MAX - 1, 2 * i };
			s[(*ret_n)++] = (struct stamp){ INT64_MAX, 2 * i + 1 };
			continue;
		}
		s[(*ret_n)++] = (struct stamp){ r->t_invoke, 2 * i };
		if (t->op[i].ret != PL_NEVER)
			s[(*ret_n)++] = (struct stamp){ end_of(&t->c->actor[who], r), 2 * i + 1 };
	}
	return s;
}

/* The events as they would be if every operation had ended so much later. What the drain began after
 * had ended by more than the clock's word. */
static void reorder(struct pl_count_round *t, const struct stamp *of, struct stamp *s, uint32_t n,
	int64_t later)
{
	for (uint32_t i = 0; i < n; i++) {
		s[i] = of[i];
		if (s[i].ev % 2 == 0 || of[i].t == INT64_MAX)
			continue;
		if (of[i].t < t->drain && t->drain - of[i].t <= later)
			s[i].t = t->drain - 1;
		else
			s[i].t += later;
	}
	qsort(s, n, sizeof *s, by_time);
	t->nev = n;
	for (uint32_t i = 0; i < n; i++) {
		struct pl_count_op *o = &t->op[s[i].ev / 2];

		t->ev[i] = s[i].ev;
		*(s[i].ev % 2 ? &o->ret : &o->inv) = i;
	}
}

/* By how much ends would have to be wrong for everything to be right: asked at a few values, so a lower
 * bound. */
static int64_t slack_of(struct pl_count_round *t)
{
	struct pl_count_finding f = t->f;
	uint32_t n;
	struct stamp *of = stamps_of(t, &n), *s = of ? malloc(((size_t)n + 1) * sizeof *s) : NULL;
	int64_t slack = 0, later = (int64_t)1 << 59;

	t->c->nomem |= !s;
	if (s) {
		reorder(t, of, s, n, later);
		slack = judge(t) ? INT64_MAX : 0;
		for (later = t->c->clock_error; slack != INT64_MAX && later < (int64_t)1 << 40;
			later = later * 8 + 7) {
			if (later > 0) /* as the stamps are it was judged before, and better: an
					  actor's own operations are in order */
				reorder(t, of, s, n, later);
			if (later > 0 && !judge(t))
				break;
			slack = later + 1;
		}
	}
	free(of);
	free(s);
	t->f = f;
	return slack;
}

/* ---- what is said ---- */

static bool say(struct pl_count_round *t, const char *rule, int64_t slack, const struct pl_rec *r)
{
	struct pl_case *c = t->c;
	const struct pl_count_finding *f = &t->f;
	const struct pl_count_op *o = &t->op[f->op];
	int who = pl_say_actor(c, o->ref);
	const char *op = pl_say_op(c, o->ref);
	long long least = f->least, most = f->most, k = o->k;

	if (*rule == 'T')
		return pl_find(c, rule, slack,
			"the object was emptied, and %lld that had been put were not there", least);
	if (!__builtin_strcmp(rule, "OVERTAKEN"))
		return pl_find(c, rule, slack,
			"actor %d's %s took %lld, %lld more than can have been there", who, op, k,
			o->kind == PL_SUB ? -most : k - most);
	if (!__builtin_strcmp(rule, "OVERFULL"))
		return pl_find(c, rule, slack,
			"actor %d's %s put %lld: at least %lld are there, but the object holds "
			"%lld",
			who, op, k, least, (long long)t->cap);
	if (!__builtin_strcmp(rule, "BADSUM"))
		return pl_find(c, rule, slack,
			"actor %d's %s took %lld and left at least %lld that were there", who, op,
			k, least);
	if (!__builtin_strcmp(rule, "BADEMPTY"))
		return pl_find(c, rule, slack,
			"actor %d's %s asked for %lld and found less, but there were certainly "
			"enough all the time",
			who, op, k);
	if (!__builtin_strcmp(rule, "BADVALUE"))
		return pl_find(c, rule, slack,
			"actor %d's %s saw %lld, which it cannot have been at any moment of the "
			"call",
			who, op, k);
	if (!__builtin_strcmp(rule, "BADNOROOM"))
		return pl_find(c, rule, slack,
			"actor %d's %s found no room for %lld, but there certainly was all the "
			"time",
			who, op, k);
	return pl_find(c, rule, slack,
		"no order of the operations explains what actor %d's %s gave (%s%lld): at its end "
		"there could be %lld to "
		"%lld",
		who, op, r->state == PL_FAIL ? "it found less than " : "", k, least, most);
}

static void file(struct pl_count_round *t)
{
	const struct pl_rec *r = pl_rec_of(t->c, t->op[t->f.op].ref, NULL);
	const char *rule = t->f.rule;
	int64_t slack = slack_of(t);

	if (t->op[t->f.op].kind == PL_LESS && (!r || r->t_invoke >= t->drain))
		rule = "TOKENSLOST";
	if (t->c->nomem || !say(t, rule, slack, r))
		return;
	pl_witness(t->c, t->op[t->f.op].ref);
	for (uint64_t i = 0; i < t->c->control->n && !r; i++)
		if (t->c->control->rec[i].op == PL_OP_DRAIN)
			pl_witness_control(t->c, &t->c->control->rec[i]);
}

void pl_check_counter(struct pl_case *c)
{
	struct pl_count_round t;

	if (!allocate(&t, c))
		c->nomem = true;
	else if (load(&t) && judge(&t))
		file(&t);
	free(t.op);
	free(t.out);
	free(t.ev);
}
