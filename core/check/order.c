/* SPDX-License-Identifier: MIT
 *
 * Order inside a queue, and values that never came out.
 *
 *   VORD    a was put before b was, and b was taken before a was. Pairs suffice: the union of two
 *           interval orders has a cycle only if it has one of two (Henzinger, Sezgin, Vafeiadis
 *           2013)
 *   VLOST   a value was acknowledged, the object drained to empty, and it never came out
 *
 * An actor killed in a take may have swallowed one value: each value that had to be gone at some
 * point needs one such take that began before it.
 */
#include "values.h"

#include <stdlib.h>
#include <string.h>

enum {
	HITS = 64, /* findings looked at for one that no clock error explains */
	AHEAD = 8, /* values fetched early: those of one priority lie apart */
};

void pl_order_found(struct pl_values *q, const struct pl_value *a, const struct pl_value *b)
{
	struct pl_case *c = q->c;
	int64_t put = pl_gap(c, a->e_ret, b->e_inv), take = pl_gap(c, b->d_ret, a->d_inv);
	bool is;

	if (pl_value_taken(a))
		is = pl_find(c, q->order, put < take ? put : take,
			"actor %d received %s after actor %d had received %s, although the %s of "
			"%s "
			"returned %s that of %s began",
			pl_say_actor(c, a->take), pl_say_token(a->token), pl_say_actor(c, b->take),
			pl_say_token(b->token), pl_say_op(c, a->put), pl_say_token(a->token),
			pl_say_before(c, a->e_ret, b->e_inv), pl_say_token(b->token));
	else
		is = pl_find(c, q->order, put,
			"%s was never received, although its %s returned %s that of %s "
			"began, "
			"which actor %d received",
			pl_say_token(a->token), pl_say_op(c, a->put),
			pl_say_before(c, a->e_ret, b->e_inv), pl_say_token(b->token),
			pl_say_actor(c, b->take));
	if (!is)
		return;
	pl_witness(c, a->put);
	pl_witness(c, b->put);
	pl_witness(c, b->take);
	pl_witness(c, a->take);
}

void pl_order_check(struct pl_values *q, const uint32_t *by_inv, uint32_t n, const uint32_t *by_ret,
	uint32_t nret, bool all)
{
	const struct pl_value *last = NULL;
	uint32_t j = 0, latest = 0, hits = 0;

	if (pl_settled(q->c))
		return;
	for (uint32_t i = 0; i < n; i++) {
		const struct pl_value *b = &q->v[by_inv ? by_inv[i] : i];

		if (by_inv && i + AHEAD < n)
			__builtin_prefetch(&q->v[by_inv[i + AHEAD]]);
		if (!pl_value_live(b))
			continue;
		for (; j < nret && q->v[by_ret[j]].e_ret < b->e_inv; j++) {
			const struct pl_value *a = &q->v[by_ret[j]];

			if (a->d_inv > latest && (all || pl_value_taken(a)))
				latest = a->d_inv, last = a;
		}
		if (last && latest > b->d_ret) {
			pl_order_found(q, last, b);
			if (++hits == HITS || pl_settled(q->c))
				return;
		}
	}
}

/* A value not known to be taken, and what shows that it had to be gone before `by`. */
struct gone {
	uint32_t by;
	uint32_t since;		      /* rank of what began after a was put; PL_NEVER: the drain */
	const struct pl_value *a, *b; /* b NULL: the drain, or an "empty" result */
};

static struct gone gone_by(const struct pl_values *q, const struct pl_value *a)
{
	struct gone g = {
		.by = q->c->drained ? PL_NEVER - 1 : PL_NEVER, .since = PL_NEVER, .a = a
	};

	for (uint32_t i = 0; i < q->n; i++) {
		const struct pl_value *b = &q->v[i];
		uint32_t since = !q->tags || b->prio == a->prio ? b->e_inv : b->d_inv;

		if (pl_value_taken(b) && since > a->e_ret && b->d_ret < g.by &&
			(!q->tags || b->prio <= a->prio))
			g.by = b->d_ret, g.since = since, g.b = b;
	}
	for (uint32_t i = 0; i < q->nempty; i++)
		if (q->empty[i].inv > a->e_ret && q->empty[i].ret < g.by)
			g.by = q->empty[i].ret, g.since = q->empty[i].inv, g.b = NULL;
	return g;
}

static int gone_order(const void *a, const void *b)
{
	uint32_t x = ((const struct gone *)a)->by, y = ((const struct gone *)b)->by;

	return (x > y) - (x < y);
}

/* k values had to be gone by then, and fewer takes of unknown result had begun. */
static void gone_found(struct pl_values *q, const struct gone *g, uint32_t k)
{
	struct pl_case *c = q->c;
	int64_t slack = pl_gap(c, g->a->e_ret, g->since);
	int64_t late = k < q->nmaybe ? pl_gap(c, g->by, q->maybe[k]) : INT64_MAX;

	slack = late < slack ? late : slack;
	if (!pl_find(c, g->by == PL_NEVER - 1 ? "VLOST" : "VORD", slack,
		    "%s was never received; it had to be taken before%s%s, and only %u receivers "
		    "that were killed could have it (%u values are missing by then)",
		    pl_say_token(g->a->token), g->b ? " " : " an empty result",
		    g->b ? pl_say_token(g->b->token) : "", k, k + 1))
		return;
	pl_witness(c, g->a->put);
	if (g->b) {
		pl_witness(c, g->b->put);
		pl_witness(c, g->b->take);
	}
}

static void match_unknown_takes(struct pl_values *q)
{
	struct gone g[HITS];
	uint32_t n = 0;

	for (uint32_t i = 0; i < q->nput && n < HITS; i++) {
		const struct pl_value *a = &q->v[q->by_ret[i]];

		if (pl_value_taken(a))
			continue;
		g[n] = gone_by(q, a);
		n += g[n].by != PL_NEVER;
	}
	qsort(g, n, sizeof *g, gone_order);
	for (uint32_t k = 0; k < n; k++)
		if (k >= q->nmaybe || q->maybe[k] > g[k].by) {
			gone_found(q, &g[k], k);
			return;
		}
}

/* There is one. */
static const struct pl_value *first_not_taken(const struct pl_values *q)
{
	uint32_t i = 0;

	while (pl_value_taken(&q->v[q->by_ret[i]]))
		i++;
	return &q->v[q->by_ret[i]];
}

void pl_lost_check(struct pl_values *q)
{
	struct pl_case *c = q->c;
	uint32_t n = c->drained ? q->nput - q->ntaken : 0;

	if (n > q->nmaybe + q->nearly) {
		const struct pl_value *lost = first_not_taken(q);

		if (pl_find(c, "VLOST", -1,
			    "%s: actor %d's %s succeeded, the object was drained to empty, and "
			    "nobody "
			    "received it (%u values missing, %u receivers killed in a call)",
			    pl_say_token(lost->token), pl_say_actor(c, lost->put),
			    pl_say_op(c, lost->put), n, q->nmaybe))
			pl_witness(c, lost->put);
		return;
	}
	if (q->nmaybe > 0 && !q->selects)
		match_unknown_takes(q);
}

static void radix_pass(
	const struct pl_value *v, const uint32_t *from, uint32_t *to, uint32_t n, int shift)
{
	uint32_t count[2048] = { 0 }, sum = 0;

	for (uint32_t i = 0; i < n; i++)
		count[v[from[i]].e_ret >> shift & 2047]++;
	for (int i = 0; i < 2048; i++) {
		uint32_t here = count[i];

		count[i] = sum;
		sum += here;
	}
	for (uint32_t i = 0; i < n; i++)
		to[count[v[from[i]].e_ret >> shift & 2047]++] = from[i];
}

void pl_sort_by_ret(const struct pl_value *v, uint32_t *index, uint32_t n, uint32_t *tmp)
{
	uint64_t moves = 0;

	/* Nearly in order already, as a rule: values taken while they are put step back a little.
	 */
	for (uint32_t i = 1; i < n; i++) {
		uint32_t x = index[i], j = i;

		if (i + AHEAD < n)
			__builtin_prefetch(&v[index[i + AHEAD]]);
		for (; j > 0 && v[index[j - 1]].e_ret > v[x].e_ret; j--)
			index[j] = index[j - 1];
		index[j] = x;
		moves += i - j;
		if (moves > 16 * (uint64_t)n + 256)
			break;
		if (i + 1 == n)
			return;
	}
	if (n < 2)
		return;
	radix_pass(v, index, tmp, n, 0);
	radix_pass(v, tmp, index, n, 11);
	radix_pass(v, index, tmp, n, 22);
	memcpy(index, tmp, n * sizeof *index);
}
