/* SPDX-License-Identifier: MIT
 *
 * A guess at the order of a counter's operations. If it explains every result the round is right,
 * and nothing else need be asked; if it does not, that proves nothing.
 *
 * What changes the number takes effect as late as it can: at its end, or when somebody's result
 * needs it; of several that would do, the one that ends first. What only sees the number is
 * satisfied as early as it can be. Where that leads nowhere, the last stretch is gone again with several orders at once
 * (counter_search.c).
 */
#include "counter.h"

enum { STRETCH = 64, BEYOND = 16, UNDER_WAY = 24, TRIES = 200 };

struct guess {
	struct pl_count_round *t;
	int64_t v;
	uint32_t n, watch; /* operations under way, and those among them that wait for a value */
};

static void leave(struct guess *g, uint32_t i)
{
	struct pl_count_op *o = &g->t->op[i];
	uint32_t last = g->t->out[--g->n];

	g->t->out[o->at] = last;
	g->t->op[last].at = o->at;
	g->watch -= o->kind >= PL_ALL;
	o->done = 1;
	o->at = PL_NEVER;
}

/* Whoever has waited for this value has had it now. */
static void settle(struct guess *g)
{
	for (uint32_t k = 0; g->watch > 0 && k < g->n;) {
		uint32_t i = g->t->out[k];
		struct pl_count_op *o = &g->t->op[i];

		if (o->kind < PL_ALL || o->maybe || !pl_count_fits(g->t, o, g->v)) {
			k++;
			continue;
		}
		k = o->kind == PL_ALL ? 0 : k;
		g->v = pl_count_after(o, g->v);
		leave(g, i);
	}
}

/* Lets an operation of this kind, of at most `most`, take effect. */
static bool pull(struct guess *g, int kind, int64_t most)
{
	const struct pl_count_op *best = NULL;

	for (uint32_t k = 0; k < g->n; k++) {
		const struct pl_count_op *o = &g->t->op[g->t->out[k]];

		if (o->kind != kind || o->k > most || !pl_count_fits(g->t, o, g->v))
			continue;
		if (!best || o->maybe < best->maybe ||
			(o->maybe == best->maybe && o->ret < best->ret))
			best = o;
	}
	if (!best)
		return false;
	g->v = pl_count_after(best, g->v);
	leave(g, (uint32_t)(best - g->t->op));
	settle(g);
	return true;
}

/* A choice among x[at..n), the first that end before the others, that adds up to `need`. */
static bool adds_up(const struct guess *g, const uint32_t *x, int n, int at, int64_t need,
	uint32_t *choice, int *tries)
{
	for (; at < n && --*tries > 0; at++) {
		int64_t left = need - g->t->op[x[at]].k;

		if (left < 0)
			continue;
		*choice |= 1U << at;
		if (left == 0 || adds_up(g, x, n, at + 1, left, choice, tries))
			return true;
		*choice &= ~(1U << at);
	}
	return false;
}

/* Puts under way, o aside, that bring the number to k take effect, if there are such. */
static bool gather(struct guess *g, int64_t k, const struct pl_count_op *o)
{
	uint32_t x[UNDER_WAY], choice = 0;
	int n = 0, tries = TRIES;

	for (uint32_t i = 0; i < g->n && n < UNDER_WAY; i++) {
		const struct pl_count_op *p = &g->t->op[g->t->out[i]];
		int at = n;

		if (p->kind != PL_ADD || p == o)
			continue;
		for (; at > 0 && g->t->op[x[at - 1]].ret > p->ret; at--)
			x[at] = x[at - 1];
		x[at] = g->t->out[i];
		n++;
	}
	if (k <= g->v || k > g->t->cap || !adds_up(g, x, n, 0, k - g->v, &choice, &tries))
		return false;
	for (; choice; choice &= choice - 1)
		leave(g, x[__builtin_ctz(choice)]);
	g->v = k;
	settle(g);
	return true;
}

/* One that brings the number nearer to what o needs. */
static bool approach(struct guess *g, const struct pl_count_op *o)
{
	switch (o->kind) {
	case PL_ADD:
		return pull(g, PL_SUB, INT64_MAX);
	case PL_SUB:
	case PL_FULL:
		return pull(g, PL_ADD, INT64_MAX);
	case PL_ALL:
		return gather(g, o->k, NULL);
	case PL_LESS:
		return pull(g, PL_SUB, INT64_MAX) || pull(g, PL_ALL, INT64_MAX);
	default:
		return g->v < o->k ? gather(g, o->k, NULL)
				   : pull(g, PL_SUB, g->v - o->k) ||
					     (o->k == 0 && pull(g, PL_ALL, INT64_MAX));
	}
}

/* How much the operations of this kind that are under way, o aside, can move the number. */
static int64_t reach(const struct guess *g, int kind, const struct pl_count_op *o)
{
	int64_t sum = 0;

	for (uint32_t k = 0; k < g->n; k++) {
		const struct pl_count_op *x = &g->t->op[g->t->out[k]];

		sum += x->kind == kind && x != o ? x->k : 0;
	}
	return sum;
}

/* Whether o leads away from what w waits for, and others lead there. */
static bool first(const struct guess *g, const struct pl_count_op *w, const struct pl_count_op *o)
{
	switch (w->kind) {
	case PL_ALL:
		return false;
	case PL_LESS:
		return o->kind == PL_ADD && reach(g, PL_SUB, o) > g->v - w->k;
	case PL_IS:
		return g->v < w->k ? o->kind == PL_SUB && reach(g, PL_ADD, o) >= w->k - g->v
				   : o->kind == PL_ADD && reach(g, PL_SUB, o) >= g->v - w->k;
	default:
		return o->kind == PL_SUB && reach(g, PL_ADD, o) > g->t->cap - w->k - g->v;
	}
}

/* Before the number moves away from what somebody waits for, it goes there if it can. */
static void humour(struct guess *g, const struct pl_count_op *o)
{
	for (uint32_t k = 0; g->watch > 0 && k < g->n && !o->done; k++) {
		const struct pl_count_op *w = &g->t->op[g->t->out[k]];

		if (w->kind == PL_ALL && !w->maybe && o->kind == PL_ADD && g->v + o->k > w->k &&
			gather(g, w->k, o)) {
			k = 0;
			continue;
		}
		if (w->kind < PL_ALL || w->maybe || !first(g, w, o))
			continue;
		while (!w->done && approach(g, w))
			k = 0;
	}
}

static bool end(struct guess *g, uint32_t i)
{
	struct pl_count_op *o = &g->t->op[i];

	if (g->watch > 0 && o->kind < PL_ALL && !o->done && !o->maybe)
		humour(g, o);
	while (!o->done && !o->maybe && !pl_count_fits(g->t, o, g->v))
		if (!approach(g, o))
			return false;
	if (o->done)
		return true;
	if (!o->maybe)
		g->v = pl_count_after(o, g->v);
	leave(g, i);
	settle(g);
	return true;
}

static void begin(struct guess *g, uint32_t i)
{
	struct pl_count_op *o = &g->t->op[i];

	o->done = 0;
	if (o->kind >= PL_ALL && !o->maybe && pl_count_fits(g->t, o, g->v)) {
		o->done = 1;
		o->at = PL_NEVER;
		g->v = pl_count_after(o, g->v);
		if (o->kind == PL_ALL)
			settle(g);
		return;
	}
	o->at = g->n;
	g->t->out[g->n++] = i;
	g->watch += o->kind >= PL_ALL;
}

/* Where it was at some event. */
struct place {
	uint32_t at, n;
	int64_t v;
	uint32_t out[UNDER_WAY];
};

static void mark(const struct guess *g, uint32_t at, struct place *p)
{
	p->at = at, p->n = g->n, p->v = g->v;
	for (uint32_t k = 0; k < g->n && g->n <= UNDER_WAY; k++)
		p->out[k] = g->t->out[k];
}

/* From such a place to the event `to` by another way. */
static bool detour(struct guess *g, const struct place *p, uint32_t to, struct pl_count_narrow *w)
{
	if (!w || p->n > UNDER_WAY)
		return false;
	g->v = p->v, g->n = p->n, g->watch = 0;
	for (uint32_t k = 0; k < g->n; k++)
		g->t->out[k] = p->out[k];
	if (!pl_count_narrow(w, p->at, to, &g->v, &g->n))
		return false;
	for (uint32_t k = 0; k < g->n; k++)
		g->watch += g->t->op[g->t->out[k]].kind >= PL_ALL;
	return true;
}

static bool forward(struct guess *g, uint32_t from, uint32_t to)
{
	for (uint32_t r = from; r < to; r++) {
		uint32_t e = g->t->ev[r];

		if (e == PL_NEVER)
			continue;
		if (!(e & 1))
			begin(g, e >> 1);
		else if (!end(g, e >> 1))
			return false;
	}
	return true;
}

bool pl_count_guess(struct pl_count_round *t)
{
	struct guess g = { .t = t, .v = t->level };
	struct pl_count_narrow *w = NULL;
	struct place here, last;
	uint32_t to;
	bool ok = true;

	mark(&g, 0, &here);
	for (last = here; here.at < t->nev && ok; mark(&g, to, &here)) {
		to = t->nev - here.at < STRETCH ? t->nev : here.at + STRETCH;
		if (forward(&g, here.at, to)) {
			last = here;
			continue;
		}
		w = w ? w : pl_count_narrow_new(t);
		to = t->nev - to < BEYOND ? t->nev : to + BEYOND;
		if (detour(&g, &here, to, w))
			last = here;
		else
			ok = detour(&g, &last, to, w);
	}
	pl_count_narrow_free(w);
	return ok;
}
