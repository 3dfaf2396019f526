/* SPDX-License-Identifier: MIT
 *
 * The brute-force judge: depth-first over all orders, remembering the dead ends.
 */
#include "check_oracle.h"

struct task {
	struct pl_model_op op;
	int64_t inv, ret;
	bool optional;	  /* it may not have happened */
	uint32_t before;  /* tasks that must come before it if they come at all */
	uint32_t instead; /* tasks of which only one comes */
};

enum {
	SEEN = 1 << 14,
	STATE = sizeof(struct pl_model_state) + ORACLE_OPS * sizeof(struct pl_model_value)
};

union state {
	struct pl_model_state s;
	char bytes[STATE];
};

struct search {
	struct task t[ORACLE_OPS];
	int n;
	bool drained, counts;
	const struct pl_reference *model;
	struct dead_end {
		uint32_t done;
		union state s;
	} seen[SEEN];
	int nseen;
};

static bool known(struct search *x, uint32_t done, const union state *s)
{
	for (int i = 0; i < x->nseen; i++)
		if (x->seen[i].done == done && !memcmp(&x->seen[i].s, s, sizeof *s))
			return true;
	if (x->nseen < SEEN)
		x->seen[x->nseen++] = (struct dead_end){ done, *s };
	return false;
}

static bool finished(const struct search *x, uint32_t done, const struct pl_model_state *s)
{
	for (int i = 0; i < x->n; i++)
		if (!x->t[i].optional && !(done >> i & 1))
			return false;
	return !x->drained || (s->n == 0 && (!x->counts || s->count == 0));
}

/* i may be next: all it needs before it is done or was optional, and nothing done had to come after
 * it. */
static bool may_follow(const struct search *x, uint32_t done, int i)
{
	if (done >> i & 1 || done & x->t[i].instead)
		return false;
	for (int k = 0; k < x->n; k++) {
		if (x->t[i].before >> k & 1 && !(done >> k & 1) && !x->t[k].optional)
			return false;
		if (x->t[k].before >> i & 1 && done >> k & 1)
			return false;
	}
	return true;
}

static bool search(struct search *x, uint32_t done, const union state *s)
{
	if (finished(x, done, &s->s))
		return true;
	if (known(x, done, s))
		return false;
	for (int i = 0; i < x->n; i++) {
		union state next = *s;

		if (!may_follow(x, done, i) || !x->model->step(&next.s, &x->t[i].op))
			continue;
		/* equal states must be equal bytes */
		memset(next.bytes + pl_model_size(next.s.n), 0, STATE - pl_model_size(next.s.n));
		if (search(x, done | 1u << i, &next))
			return true;
	}
	return false;
}

static void add_death(struct search *x, const struct round *b, int who, int64_t last)
{
	int64_t kill = INT64_MAX, reap = INT64_MAX;

	for (uint32_t i = 0; i < b->n[b->nactors]; i++) {
		const struct pl_rec *r = &b->rec[b->nactors][i];

		if (r->token != (uint64_t)who)
			continue;
		if (r->op == PL_OP_KILL)
			kill = r->t_invoke;
		if (r->op == PL_OP_REAP)
			reap = r->t_return;
	}
	if (kill == INT64_MAX)
		return;
	kill = kill > last ? kill : last;
	reap = reap > kill ? reap : kill;
	for (int i = x->n; i-- > 0 && x->t[i].op.actor == who && x->t[i].optional;)
		x->t[i].ret = reap;
	x->t[x->n++] =
		(struct task){ .op = { .role = PL_NONE, .actor = who }, .inv = kill, .ret = reap };
}

/* A take of signals that was cut off may have taken any of these numbers, or none. */
static void add_choices(struct search *x, int first)
{
	uint32_t all = 0;

	for (uint64_t tag = 0; tag < ORACLE_SIGNALS; tag++) {
		struct task *t = &x->t[first + (int)tag];

		*t = x->t[first];
		t->op.tag = tag;
		all |= 1u << (first + (int)tag);
	}
	x->n = first + ORACLE_SIGNALS;
	for (int i = first; i < x->n; i++)
		x->t[i].instead = all & ~(1u << i);
}

static void add_actor(struct search *x, const struct round *b, int who)
{
	static const enum pl_role role[] = { PL_PUT, PL_TAKE, PL_ACQUIRE, PL_RELEASE, PL_REPAIR,
		PL_OBSERVE, PL_UPDATE, PL_TAKE };
	int64_t last = 0;

	for (uint32_t i = 0; i < b->n[who]; i++) {
		const struct pl_rec *r = &b->rec[who][i];
		struct task *t = &x->t[x->n++];

		*t = (struct task){ .inv = r->t_invoke, .ret = r->t_return };
		t->op = (struct pl_model_op){ .role = role[r->op], .actor = who, .err = r->err };
		t->op.result = r->state == PL_OK     ? PL_RESULT_OK
			       : r->state == PL_FAIL ? PL_RESULT_FAIL
						     : PL_RESULT_UNKNOWN;
		t->op.value = r->op == B_ACQUIRE ? r->aux : r->token;
		t->op.tag = r->aux;
		t->op.len = r->len;
		t->op.form = b->head[0].model == PL_MODEL_VECTOR ? (int32_t)(r->sum >> 1)
			     : r->op == B_ACQUIRE		 ? (r->sum & PL_SUM_SHARED) != 0
								 : (int32_t)r->sum;
		t->op.except = r->op == B_EXCEPT;
		t->optional = r->state == PL_INVOKED;
		if (t->optional)
			t->ret = INT64_MAX;
		last = t->optional ? t->inv : t->ret;
		if (b->head[0].model == PL_MODEL_RANGES)
			t->op.value = b_cells(r);
		if (b->head[0].model == PL_MODEL_SIGNAL && r->op == B_PUT)
			t->op.value = (uint64_t)b->head[who].pid;
		if (b->head[0].model == PL_MODEL_SIGNAL && r->op == B_TAKE && t->optional)
			add_choices(x, x->n - 1);
	}
	add_death(x, b, who, last);
}

/* Of a vector, what control read after the start is what any other would have seen. */
static void add_readings(struct search *x, const struct round *b)
{
	for (uint32_t i = 1; i < b->n[b->nactors] && b->head[0].model == PL_MODEL_VECTOR; i++) {
		const struct pl_rec *r = &b->rec[b->nactors][i];

		if (r->op == PL_OP_LEVEL)
			x->t[x->n++] = (struct task){ .op = { .role = PL_OBSERVE,
							      .actor = b->nactors,
							      .tag = (uint64_t)r->ret },
				.inv = r->t_invoke,
				.ret = r->t_return };
	}
}

static bool stored(const struct round *b, uint64_t token)
{
	for (int i = 0; i < b->nactors; i++)
		for (uint32_t k = 0; k < b->n[i]; k++)
			if (b->rec[i][k].token == token && b->rec[i][k].op != B_OBSERVE)
				return true;
	return false;
}

/* A counter's value of before the round, as control read it; a register's: one that was found and never stored. */
static uint64_t before(const struct round *b)
{
	if (b->n[b->nactors] > 0 && b->rec[b->nactors][0].op == PL_OP_LEVEL)
		return (uint64_t)b->rec[b->nactors][0].ret;
	for (int i = 0; i < b->nactors; i++)
		for (uint32_t k = 0; k < b->n[i]; k++) {
			const struct pl_rec *r = &b->rec[i][k];
			uint64_t found = r->op == B_UPDATE ? r->aux : r->token;

			if (r->state == PL_OK && (r->op == B_UPDATE || r->op == B_OBSERVE) &&
				!stored(b, found))
				return found;
		}
	return 0;
}

bool oracle_allows(const struct round *b, bool drained)
{
	static struct search x;
	const struct pl_model_config config = { .capacity = b->head[0].capacity,
		.grain = b->head[0].grain,
		.robust = b->head[0].caps & PL_ROBUST,
		.freed = b->head[0].caps & PL_FREED,
		.lowest = b->head[0].caps & PL_LOWEST,
		.before = before(b) };
	union state s = { 0 };

	x.n = x.nseen = 0;
	x.drained = drained;
	x.model = pl_reference_of(b->head[0].model);
	x.counts = b->head[0].model == PL_MODEL_COUNTER || b->head[0].model == PL_MODEL_SUM;
	for (int i = 0; i < b->nactors; i++)
		add_actor(&x, b, i);
	add_readings(&x, b);
	for (int i = 0; i < x.n; i++)
		for (int k = 0; k < x.n; k++) {
			const struct task *a = &x.t[k], *t = &x.t[i];

			if (a->ret < t->inv || (k < i && a->op.actor == t->op.actor))
				x.t[i].before |= 1u << k;
		}
	x.model->init(&s.s, &config);
	return search(&x, 0, &s);
}

static bool ends_at(const struct round *b, int who, int64_t t)
{
	for (uint32_t i = 0; i < b->n[who]; i++)
		if (b->rec[who][i].state != PL_INVOKED && b->rec[who][i].t_return == t)
			return true;
	for (uint32_t i = 0; i < b->n[b->nactors]; i++)
		if (b->rec[b->nactors][i].token == (uint64_t)who &&
			b->rec[b->nactors][i].t_return == t)
			return true;
	return false;
}

bool oracle_tied(const struct round *b)
{
	for (int i = 0; i < b->nactors; i++)
		for (uint32_t k = 0; k < b->n[i]; k++)
			for (int other = 0; other < b->nactors; other++)
				if (other != i && b->rec[i][k].state != PL_INVOKED &&
					ends_at(b, other, b->rec[i][k].t_return))
					return true;
	return false;
}
