/* SPDX-License-Identifier: MIT
 *
 * All orders of a counter's operations, as far as they differ: exact, and dear.
 *
 * A configuration is the number, and which of the operations under way have taken effect. An effect
 * is supposed only when some operation ends without having had its own. Operations that do the same
 * are interchangeable: if two are under way, the one that ends first may be first (were it the other
 * way round, exchanging them would break nothing). Those of unknown result have no need to happen, so
 * they are told apart from those that did.
 */
#include "counter.h"

#include <stdlib.h>
#include <string.h>

enum {
	SLOTS = 24,		  /* operations under way at once, */
	WIDTH = 1 << 13,	  /* configurations, */
	BUDGET = 4 * 1000 * 1000, /* and steps of a round: beyond them it is not known */
	NARROW = 64,		  /* configurations of a search that need not find everything */
};

struct config {
	int64_t v;
	uint32_t done; /* a bit a slot */
};

struct search {
	struct pl_count_round *t;
	uint32_t busy;		/* slots in use */
	uint32_t op[SLOTS];	/* which operation */
	uint32_t before[SLOTS]; /* slots of those that do the same and end earlier */
	uint32_t watch;		/* slots that only see */
	struct config *set, *next;
	uint32_t n, width;
	uint32_t
		*table; /* hash of what is in `next`: index + 1 + base, so that clearing is cheap */
	uint32_t base;
	uint32_t budget;
	bool exact; /* nothing may be dropped */
	bool over;
};

/* False: there is no room for it, and that matters. */
static bool insert(struct search *s, uint32_t *n, int64_t v, uint32_t done)
{
	uint64_t h = ((uint64_t)v * 0x9e3779b97f4a7c15U) ^ ((uint64_t)done * 0xd6e8feb86659fd93U);
	uint32_t size = 4 * s->width, i = (uint32_t)(h >> 40) % size;

	for (; s->table[i] > s->base; i = (i + 1) % size) {
		const struct config *c = &s->next[s->table[i] - s->base - 1];

		if (c->v == v && c->done == done)
			return true;
	}
	if (*n == s->width || s->budget == 0)
		return !s->exact;
	s->budget -= s->exact;
	s->next[*n] = (struct config){ v, done };
	s->table[i] = s->base + ++*n;
	return true;
}

static void fresh_table(struct search *s)
{
	s->base += s->width;
	if (s->base > UINT32_MAX - 2 * s->width) {
		memset(s->table, 0, 4 * (size_t)s->width * sizeof *s->table);
		s->base = 0;
	}
}

/* Who only sees has seen the value, if it is this one. */
static uint32_t seen(const struct search *s, int64_t v, uint32_t done)
{
	for (uint32_t w = s->watch & ~done; w; w &= w - 1) {
		int slot = __builtin_ctz(w);

		if (pl_count_fits(s->t, &s->t->op[s->op[slot]], v))
			done |= 1U << slot;
	}
	return done;
}

/* The configurations in which `must` has taken effect, its bit cleared; with `must` of unknown result
 * those, too, in which it has not. */
static bool close_over(struct search *s, int must, bool optional)
{
	uint32_t n = 0, kept = 0, bit = 1U << must;
	struct config *swap;

	fresh_table(s);
	for (uint32_t i = 0; i < s->n; i++)
		if (!insert(s, &n, s->set[i].v, s->set[i].done))
			return false;
	for (uint32_t i = 0; i < n; i++) {
		struct config c = s->next[i];
		uint32_t can = c.done & bit ? 0 : s->busy & ~c.done & ~s->watch;

		for (; can; can &= can - 1) {
			int slot = __builtin_ctz(can);
			const struct pl_count_op *o = &s->t->op[s->op[slot]];
			int64_t v = pl_count_after(o, c.v);

			if (s->before[slot] & ~c.done || !pl_count_fits(s->t, o, c.v))
				continue;
			if (!insert(s, &n, v, seen(s, v, c.done | 1U << slot)))
				return false;
		}
	}
	swap = s->set, s->set = s->next, s->next = swap;
	fresh_table(s);
	for (uint32_t i = 0; i < n; i++)
		if ((optional || s->set[i].done & bit) &&
			!insert(s, &kept, s->set[i].v, s->set[i].done & ~bit))
			return false;
	swap = s->set, s->set = s->next, s->next = swap;
	s->n = kept;
	return true;
}

static bool same(const struct pl_count_op *a, const struct pl_count_op *b)
{
	return a->kind == b->kind && a->maybe == b->maybe &&
	       (a->k == b->k || (a->kind == PL_ALL && a->maybe));
}

static bool begin(struct search *s, uint32_t i)
{
	struct pl_count_op *o = &s->t->op[i];
	int slot = __builtin_ctz(~s->busy);

	if (slot >= SLOTS)
		return false;
	o->at = (uint32_t)slot;
	s->op[slot] = i;
	s->before[slot] = 0;
	for (uint32_t b = s->busy; b; b &= b - 1) {
		int k = __builtin_ctz(b);
		const struct pl_count_op *other = &s->t->op[s->op[k]];

		if (!same(o, other))
			continue;
		if (other->ret < o->ret)
			s->before[slot] |= 1U << k;
		else
			s->before[k] |= 1U << slot;
	}
	s->busy |= 1U << slot;
	if (o->kind < PL_LESS)
		return true;
	s->watch |= 1U << slot;
	for (uint32_t k = 0; k < s->n; k++)
		s->set[k].done = seen(s, s->set[k].v, s->set[k].done);
	return true;
}

/* What could be there when nothing explained the end of i any more. */
static void tell(struct search *s, uint32_t i)
{
	struct pl_count_finding *f = &s->t->f;

	*f = (struct pl_count_finding){ "NOORDER", i, INT64_MAX, 0 };
	for (uint32_t k = 0; k < s->n; k++) {
		f->least = s->set[k].v < f->least ? s->set[k].v : f->least;
		f->most = s->set[k].v > f->most ? s->set[k].v : f->most;
	}
}

/* False: nothing explains it, or (s->over) that could not be found out. */
static bool end(struct search *s, uint32_t i)
{
	const struct pl_count_op *o = &s->t->op[i];
	int slot = (int)o->at;

	if (o->at == PL_NEVER)
		return true;
	if (s->exact)
		tell(s, i);
	s->over = !close_over(s, slot, o->maybe);
	if (s->over || s->n == 0)
		return false;
	s->busy &= ~(1U << slot);
	s->watch &= ~(1U << slot);
	for (int k = 0; k < SLOTS; k++)
		s->before[k] &= ~(1U << slot);
	return true;
}

/* As end(). */
static bool run(struct search *s, uint32_t from, uint32_t to)
{
	for (uint32_t r = from; r < to; r++) {
		uint32_t e = s->t->ev[r];

		if (e == PL_NEVER)
			continue;
		if (!(e & 1))
			s->over = !begin(s, e >> 1);
		else if (!end(s, e >> 1))
			return false;
		if (s->over)
			return false;
	}
	return true;
}

static bool search_new(struct search *s, struct pl_count_round *t, uint32_t width, bool exact)
{
	*s = (struct search){ .t = t, .n = 1, .width = width, .budget = BUDGET, .exact = exact };
	s->set = malloc(width * sizeof *s->set);
	s->next = malloc(width * sizeof *s->next);
	s->table = calloc(4 * (size_t)width, sizeof *s->table);
	return s->set && s->next && s->table;
}

static void search_free(struct search *s)
{
	free(s->set);
	free(s->next);
	free(s->table);
}

bool pl_count_search(struct pl_count_round *t)
{
	struct search s;
	bool none = false;

	if (search_new(&s, t, WIDTH, true)) {
		s.set[0] = (struct config){ t->level, 0 };
		none = !run(&s, 0, t->nev) && !s.over;
	}
	if (!none)
		t->f.rule = NULL;
	search_free(&s);
	return none;
}

/* ---- narrow ---- */

struct pl_count_narrow {
	struct search s;
};

struct pl_count_narrow *pl_count_narrow_new(struct pl_count_round *t)
{
	struct pl_count_narrow *w = malloc(sizeof *w);

	if (w && search_new(&w->s, t, NARROW, false))
		return w;
	pl_count_narrow_free(w);
	return NULL;
}

void pl_count_narrow_free(struct pl_count_narrow *w)
{
	if (w)
		search_free(&w->s);
	free(w);
}

/* Of all that may be, what has supposed the least. */
static void choose(struct search *s, int64_t *v, uint32_t *n)
{
	const struct config *best = &s->set[0];

	for (uint32_t k = 1; k < s->n; k++)
		if (__builtin_popcount(s->set[k].done) < __builtin_popcount(best->done))
			best = &s->set[k];
	*v = best->v;
	*n = 0;
	for (uint32_t b = s->busy; b; b &= b - 1) {
		int slot = __builtin_ctz(b);
		struct pl_count_op *o = &s->t->op[s->op[slot]];

		o->done = best->done >> slot & 1;
		o->at = o->done ? PL_NEVER : *n;
		if (!o->done)
			s->t->out[(*n)++] = s->op[slot];
	}
}

bool pl_count_narrow(struct pl_count_narrow *w, uint32_t from, uint32_t to, int64_t *v, uint32_t *n)
{
	struct search *s = &w->s;

	s->busy = s->watch = 0;
	s->over = false;
	memset(s->before, 0, sizeof s->before);
	s->n = 1;
	s->set[0] = (struct config){ *v, 0 };
	for (uint32_t k = 0; k < *n; k++)
		if (!begin(s, s->t->out[k]))
			return false;
	if (!run(s, from, to))
		return false;
	choose(s, v, n);
	return true;
}
