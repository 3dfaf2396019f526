/* SPDX-License-Identifier: MIT
 *
 * The search: all configurations that may be, from event to event.
 *
 * Three things keep them few. An effect is supposed only at the end of an operation that has not had its
 * own, and then only what leads up to it. What gains nothing by waiting has its effect as soon as it can:
 * who only looks, and who takes a known value from a queue. And of two operations that do the same the one
 * that ends first is first: were it the other way round, exchanging them would break nothing, unless another
 * operation of either actor is under way beside it. jit_ahead.c has more of that kind.
 */
#include "jit.h"

#include "../hist/rng.h"

#include <stdlib.h>
#include <string.h>

struct config {
	uint64_t done; /* a bit a slot: it has had its effect, or never will */
	uint32_t state;
};

struct configs {
	struct config *v;
	uint32_t n, room;
};

struct search {
	struct pl_jit_round *j;
	uint64_t busy, eager, maybe;   /* slots in use; what need not wait; what need not happen */
	uint32_t in[PL_JIT_SLOTS];     /* which operation */
	uint64_t before[PL_JIT_SLOTS]; /* slots of its actor's operations that come first */
	uint64_t rivals[PL_JIT_SLOTS]; /* of those that do the same and end earlier */
	struct configs set, next;
	uint32_t *table,
		size; /* which are in `next`: index + 1 + base, so that clearing is cheap */
	uint32_t base, filled; /* filled: how many are in it beyond base */
	struct pl_states states;
	struct pl_model_state *scratch; /* with room for one value more than it has */
	size_t scratch_size;
	uint64_t work, limit;
};

static bool give_up(struct search *s, const char *why)
{
	s->j->why = why;
	return false;
}

/* ---- sets of configurations ---- */

static bool grow(struct configs *set)
{
	uint32_t room = set->room ? 2 * set->room : 256;
	struct config *v = realloc(set->v, room * sizeof *v);

	if (!v)
		return false;
	set->v = v;
	set->room = room;
	return true;
}

static uint32_t place_of(const struct search *s, const struct config *c)
{
	uint32_t i =
		(uint32_t)pl_mix(c->done ^ (uint64_t)c->state << 40 ^ c->state) & (s->size - 1);

	for (; s->table[i] > s->base; i = (i + 1) & (s->size - 1)) {
		const struct config *other = &s->next.v[s->table[i] - s->base - 1];

		if (other->done == c->done && other->state == c->state)
			break;
	}
	return i;
}

static bool grow_table(struct search *s)
{
	uint32_t size = s->size ? 2 * s->size : 1024;
	uint32_t *table = calloc(size, sizeof *table);

	if (!table)
		return false;
	free(s->table);
	s->table = table;
	s->size = size;
	s->base = 0;
	for (uint32_t i = 0; i < s->next.n; i++)
		s->table[place_of(s, &s->next.v[i])] = i + 1;
	return true;
}

static void start_next(struct search *s)
{
	s->base += s->filled;
	s->next.n = s->filled = 0;
	if (s->base <= UINT32_MAX - 2 * PL_JIT_CONFIGS || !s->table)
		return;
	memset(s->table, 0, s->size * sizeof *s->table);
	s->base = 0;
}

static bool insert(struct search *s, struct config c)
{
	uint32_t i;

	if (s->next.n >= s->size / 4 && !grow_table(s))
		return give_up(s, "out of memory");
	i = place_of(s, &c);
	if (s->table[i] > s->base)
		return true;
	if (s->next.n == PL_JIT_CONFIGS)
		return give_up(s, "there are too many configurations to look at");
	if (s->next.n == s->next.room && !grow(&s->next))
		return give_up(s, "out of memory");
	s->next.v[s->next.n++] = c;
	s->table[i] = s->base + s->next.n;
	s->filled = s->next.n;
	return true;
}

static void swap_sets(struct search *s)
{
	struct configs set = s->set;

	s->set = s->next;
	s->next = set;
}

/* ---- steps ---- */

static bool load(struct search *s, uint32_t state)
{
	const struct pl_model_state *from = pl_states_get(&s->states, state);
	size_t size = pl_model_size(from->n + 1);

	if (size > s->scratch_size) {
		struct pl_model_state *new = realloc(s->scratch, 2 * size);

		if (!new)
			return give_up(s, "out of memory");
		s->scratch = new;
		s->scratch_size = 2 * size;
	}
	memcpy(s->scratch, from, pl_model_size(from->n));
	return true;
}

/* Nothing that must come before it is left. */
static bool is_due(const struct search *s, int slot, uint64_t done)
{
	return !((s->before[slot] & ~s->maybe) & ~done) && !(s->rivals[slot] & ~done);
}

/* What else is settled once this has had its effect: what might have come before it never will. */
static uint64_t settles(const struct search *s, int slot)
{
	return 1ULL << slot | (s->before[slot] & s->maybe);
}

/* What need not wait has its effect on the state in scratch. */
static uint64_t hurry(struct search *s, uint64_t done)
{
	uint64_t old;

	do {
		old = done;
		for (uint64_t w = s->eager & ~done; w; w &= w - 1) {
			int slot = __builtin_ctzll(w);

			s->work++;
			if (is_due(s, slot, done) &&
				s->j->model->step(s->scratch, &s->j->op[s->in[slot]].op))
				done |= settles(s, slot);
		}
	} while (done != old); /* what comes after it may be due now */
	return done;
}

/* What scratch has become by the operation in this slot. */
static bool reached(struct search *s, uint64_t done, int slot)
{
	const struct pl_jit_op *o = &s->j->op[s->in[slot]];
	uint32_t state;

	if (o->op.role == PL_PUT &&
		(pl_jit_is_hopeless(s->j, s->scratch) || pl_jit_is_displaced(s->j, s->scratch, o)))
		return true;
	done = hurry(s, done | settles(s, slot));
	state = pl_states_add(&s->states, s->scratch);
	if (state == PL_NEVER)
		return give_up(s, "the states take too much memory");
	return insert(s, (struct config){ done, state });
}

static bool apply(struct search *s, struct config c, int slot)
{
	struct pl_model_op op = s->j->op[s->in[slot]].op;
	uint64_t choices = 1, n;

	if (!load(s, c.state))
		return false;
	n = s->scratch->n;
	if (s->j->op[s->in[slot]].any)
		choices = n;
	s->work += choices * (1 + n / 32);
	for (uint64_t i = 0; i < choices; i++) {
		if (i > 0 && !load(s, c.state))
			return false;
		if (s->j->op[s->in[slot]].any)
			op.tag = s->scratch->v[i].tag;
		if (s->j->model->step(s->scratch, &op) && !reached(s, c.done, slot))
			return false;
	}
	return true;
}

static bool expand(struct search *s, struct config c)
{
	for (uint64_t can = s->busy & ~c.done & ~s->eager; can; can &= can - 1) {
		int slot = __builtin_ctzll(can);

		if (is_due(s, slot, c.done) && !apply(s, c, slot))
			return false;
	}
	return true;
}

/* Drops states that no configuration is in any more, when they have become many. */
static bool sweep(struct search *s)
{
	uint32_t *mark;

	if (s->states.n < 1024 || s->states.n < 4 * s->set.n)
		return true;
	mark = calloc(s->states.n, sizeof *mark);
	if (!mark)
		return give_up(s, "out of memory");
	for (uint32_t i = 0; i < s->set.n; i++)
		mark[s->set.v[i].state] = 1;
	pl_states_sweep(&s->states, mark);
	for (uint32_t i = 0; i < s->set.n; i++)
		s->set.v[i].state = mark[s->set.v[i].state];
	free(mark);
	return true;
}

/* ---- events ---- */

/* Leaves in `next` the configurations in which `must` has had its effect, its bit cleared; those, too, in
 * which it never will, if that may be. Those of before are the first *ret_given of `set`. */
static bool close_over(struct search *s, int must, uint32_t *ret_given)
{
	uint64_t bit = 1ULL << must;

	*ret_given = s->set.n;
	start_next(s);
	for (uint32_t i = 0; i < s->set.n; i++)
		if (!insert(s, s->set.v[i]))
			return false;
	for (uint32_t i = 0; i < s->next.n; i++) {
		if (s->work > s->limit)
			return give_up(s, "there is too much to look at");
		if (!(s->next.v[i].done & bit) && !expand(s, s->next.v[i]))
			return false;
	}
	swap_sets(s);
	start_next(s);
	for (uint32_t i = 0; i < s->set.n; i++) {
		struct config c = s->set.v[i];
		bool never = s->maybe & bit && i < *ret_given;

		if ((c.done & bit || never) &&
			!insert(s, (struct config){ c.done & ~bit, c.state }))
			return false;
	}
	return true;
}

/* Whether of two operations under way this one may go first, as the head of this file says. */
static bool goes_first(
	const struct pl_jit_round *j, const struct pl_jit_op *a, const struct pl_jit_op *b)
{
	if (pl_jit_goes_first(j, a, b))
		return true;
	return a->end < b->end && a->alone && b->alone && a->maybe == b->maybe &&
	       a->any == b->any && !memcmp(&a->op, &b->op, sizeof a->op);
}

/* Something that need not wait has begun. */
static bool hurry_all(struct search *s)
{
	start_next(s);
	for (uint32_t i = 0; i < s->set.n; i++) {
		struct config c = s->set.v[i];

		if (!load(s, c.state))
			return false;
		c.done = hurry(s, c.done);
		c.state = pl_states_add(&s->states, s->scratch);
		if (c.state == PL_NEVER)
			return give_up(s, "the states take too much memory");
		if (!insert(s, c))
			return false;
	}
	swap_sets(s);
	return true;
}

static bool begin(struct search *s, uint32_t op)
{
	struct pl_jit_op *o = &s->j->op[op];
	int slot = s->busy == UINT64_MAX ? -1 : __builtin_ctzll(~s->busy);
	uint64_t bit = 1ULL << (slot & 63);

	if (slot < 0)
		return give_up(s, "too many operations are under way at once");
	o->slot = (uint8_t)slot;
	o->under_way = true;
	s->in[slot] = op;
	s->before[slot] = s->rivals[slot] = 0;
	for (uint64_t b = s->busy; b; b &= b - 1) {
		int k = __builtin_ctzll(b);
		const struct pl_jit_op *other = &s->j->op[s->in[k]];

		if (other->who == o->who)
			s->before[slot] |= 1ULL << k;
		else if (!o->eager && goes_first(s->j, other, o))
			s->rivals[slot] |= 1ULL << k;
		else if (!o->eager && goes_first(s->j, o, other))
			s->rivals[k] |= bit;
	}
	s->busy |= bit;
	s->maybe |= o->maybe ? bit : 0;
	s->eager |= o->eager ? bit : 0;
	return !o->eager || hurry_all(s);
}

static void retire(struct search *s, int slot)
{
	uint64_t bit = 1ULL << slot;

	s->j->op[s->in[slot]].under_way = false;
	s->busy &= ~bit;
	s->maybe &= ~bit;
	s->eager &= ~bit;
	for (uint64_t b = s->busy; b; b &= b - 1) {
		int k = __builtin_ctzll(b);

		s->before[k] &= ~bit;
		s->rivals[k] &= ~bit;
	}
}

/* The states that could be before nothing explained what came. */
static void tell(struct search *s, uint32_t op, uint32_t given, struct pl_jit_finding *f)
{
	char *told = calloc((size_t)s->states.n + 1, 1);

	*f = (struct pl_jit_finding){ .op = op };
	for (uint32_t i = 0; told && i < given; i++) {
		uint32_t state = s->set.v[i].state;

		if (!told[state] && f->nstates < PL_JIT_SAID && load(s, state))
			pl_jit_say_state(
				s->j, s->scratch, f->state[f->nstates], sizeof f->state[0]);
		f->nstates += !told[state];
		told[state] = 1;
	}
	free(told);
}

static enum pl_outcome end(struct search *s, uint32_t op, struct pl_jit_finding *f)
{
	int slot = s->j->op[op].slot;
	uint64_t bit = 1ULL << slot, all = bit;
	uint32_t given;

	for (uint32_t i = 0; i < s->set.n; i++)
		all &= s->set.v[i].done;
	for (uint32_t i = 0; all && i < s->set.n; i++)
		s->set.v[i].done &= ~bit;
	if (!all && !close_over(s, slot, &given))
		return PL_UNKNOWN;
	if (!all && s->next.n == 0) {
		tell(s, op, given, f);
		return PL_VIOLATED;
	}
	if (!all)
		swap_sets(s);
	retire(s, slot);
	return sweep(s) ? PL_HELD : PL_UNKNOWN;
}

static bool start(struct search *s)
{
	uint32_t state;

	pl_states_clear(&s->states);
	s->busy = s->maybe = s->eager = 0;
	s->j->model->init(s->scratch, &s->j->config);
	state = pl_states_add(&s->states, s->scratch);
	if (state == PL_NEVER || (!s->set.v && !grow(&s->set)))
		return give_up(s, "out of memory");
	s->set.v[0] = (struct config){ 0, state };
	s->set.n = 1;
	return true;
}

static enum pl_outcome run(struct search *s, struct pl_jit_finding *f)
{
	struct pl_jit_round *j = s->j;
	enum pl_outcome now = PL_HELD;

	for (uint32_t i = 0; i < j->nev && now == PL_HELD; i++) {
		const struct pl_jit_event *e = &j->ev[i];

		if ((i == 0 || e->part != e[-1].part) && !start(s))
			return PL_UNKNOWN;
		if (e->end)
			now = end(s, e->op, f);
		else if (!begin(s, e->op))
			return PL_UNKNOWN;
	}
	return now;
}

enum pl_outcome pl_jit_search(
	struct pl_jit_round *j, int64_t later, uint64_t work, struct pl_jit_finding *f)
{
	struct search s = { .j = j, .limit = work, .scratch_size = pl_model_size(16) };
	enum pl_outcome o = PL_UNKNOWN;

	j->why = j->cannot;
	if (j->cannot)
		return PL_UNKNOWN;
	s.scratch = malloc(s.scratch_size);
	if (!s.scratch || !pl_jit_order(j, later))
		j->why = "out of memory";
	else
		o = run(&s, f);
	pl_states_free(&s.states);
	free(s.scratch);
	free(s.set.v);
	free(s.next.v);
	free(s.table);
	return o;
}
