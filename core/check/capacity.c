/* SPDX-License-Identifier: MIT
 *
 * What the capacity and "full" say about what was certainly, or possibly, inside.
 *
 *   OVERCAP   more was certainly inside than the object holds
 *   BADFULL   a send found the object full although there was certainly room at each moment of it: of an
 *             object whose capacity is not known, when nothing at all can have been inside
 *
 * Capacity is counted in places (pl_obj.grain): a value takes at most as many as its length begins, and the values
 * inside have at least as many as their bytes fill.
 */
#include "values.h"

#include <stdlib.h>

static bool full_is_known(const struct pl_values *q)
{
	return q->c->head->capacity > 0 && q->c->head->capacity <= UINT32_MAX;
}

/* Places that it fills at most. */
static int64_t places(const struct pl_values *q, uint32_t len)
{
	uint32_t grain = q->c->head->grain;

	return grain ? ((int64_t)len + grain - 1) / grain : 1;
}

/* How much was inside after each rank: at least, in bytes, or at most, in places. Where the capacity is not known sends
 * that failed count, too: what they were to put may have been charged meanwhile. */
static int64_t *profile(const struct pl_values *q, bool least)
{
	int64_t *d = calloc((size_t)q->c->nranks + 1, sizeof *d);
	bool tried = !full_is_known(q);

	for (uint32_t i = 0; d && i < q->n; i++) {
		const struct pl_value *v = &q->v[i];
		int64_t w = least ? v->len : places(q, v->len);
		uint32_t from = least ? v->e_ret : v->e_inv, to = least ? v->d_inv : v->d_ret;

		if (least ? !pl_value_live(v) || from >= to : v->failed && !tried)
			continue;
		d[from] += w;
		if (to != PL_NEVER)
			d[to] -= w;
	}
	for (uint32_t i = 0; d && least && i < q->nmaybe; i++)
		d[q->maybe[i]] -= q->maxlen;
	for (uint32_t r = 1; d && r < q->c->nranks; r++)
		d[r] += d[r - 1];
	if (!d)
		q->c->nomem = true;
	return d;
}

/* Where more than `cap` is inside at least, from rank `at` to rank `end`, and how much at first. */
struct over {
	uint32_t at, end;
	int64_t in;
};

static bool over_by_bytes(const struct pl_values *q, int64_t cap, struct over *o)
{
	int64_t *in = profile(q, true);

	*o = (struct over){ 0 };
	while (in && o->at < q->c->nranks && in[o->at] <= cap)
		o->at++;
	for (o->end = o->at; in && o->end < q->c->nranks && in[o->end] > cap;)
		o->end++;
	o->in = in && o->at < q->c->nranks ? in[o->at] : 0;
	free(in);
	return o->end > o->at;
}

/* Where each value counts one: at which ranks one more is inside, or one less, as a bit each. */
struct steps {
	uint64_t *up, *down;
	uint32_t n;
	int64_t in; /* after what was passed */
};

static bool mark(uint64_t *bits, uint32_t i)
{
	uint64_t bit = (uint64_t)1 << i % 64, was = bits[i / 64] & bit;

	bits[i / 64] |= bit;
	return !was;
}

/* No two have a rank in common; if they had, less would be counted. */
static bool mark_values(const struct pl_values *q, struct steps *s)
{
	for (uint32_t i = 0; i < q->nmaybe; i++)
		if (!mark(s->down, q->maybe[i]))
			return false;
	for (uint32_t i = 0; i < q->n; i++) {
		const struct pl_value *v = &q->v[i];

		if (pl_value_live(v) && v->e_ret < v->d_inv &&
			(v->d_inv == PL_NEVER || mark(s->down, v->d_inv)))
			(void)mark(s->up, v->e_ret);
	}
	return true;
}

/* The first rank from r on after which it is over, or is not. */
static uint32_t pass_while(struct steps *s, uint32_t r, int64_t cap, bool over)
{
	for (; r < s->n; r++) {
		uint64_t up = s->up[r / 64], down = s->down[r / 64];

		if (over && r % 64 == 0 && s->in + __builtin_popcountll(up) <= cap) {
			s->in += __builtin_popcountll(up) - __builtin_popcountll(down);
			r += 63;
			continue;
		}
		s->in += (int64_t)(up >> r % 64 & 1) - (int64_t)(down >> r % 64 & 1);
		if ((s->in > cap) == over)
			break;
	}
	return r < s->n ? r : s->n;
}

static bool over_by_values(const struct pl_values *q, int64_t cap, struct over *o)
{
	size_t words = (size_t)q->c->nranks / 64 + 1;
	struct steps s = { .up = calloc(2 * words, sizeof *s.up), .n = q->c->nranks };
	bool is = false;

	s.down = s.up ? s.up + words : NULL;
	if (!s.up) {
		q->c->nomem = true;
	} else if (mark_values(q, &s)) {
		o->at = pass_while(&s, 0, cap, true);
		o->in = s.in;
		o->end = o->at < s.n ? pass_while(&s, o->at + 1, cap, false) : s.n;
		is = o->at < s.n;
	}
	free(s.up);
	return is;
}

static void overfull(struct pl_values *q)
{
	uint32_t grain = q->c->head->grain;
	int64_t cap = (int64_t)q->c->head->capacity * (grain ? grain : 1);
	struct over o;

	if (grain ? !over_by_bytes(q, cap, &o)
		  : (int64_t)q->n <= cap || !over_by_values(q, cap, &o))
		return;
	if (pl_find(q->c, "OVERCAP", o.end < q->c->nranks ? pl_span(q->c, o.at, o.end) : -1,
		    "at least %lld %s were inside at once, but the object holds %lld",
		    (long long)o.in, grain ? "bytes" : "values", (long long)cap))
		for (uint32_t i = 0; i < q->n; i++)
			if (pl_value_live(&q->v[i]) && q->v[i].e_ret <= o.at &&
				q->v[i].d_inv > o.at)
				pl_witness(q->c, q->v[i].put);
}

/* By how much stamps must be wrong for more than `most` to have been inside at some moment of f: when that was last,
 * and when it is next, but for what its own actor did before and after. */
static int64_t full_slack(
	const struct pl_values *q, const struct pl_empty *f, const int64_t *in, int64_t most)
{
	struct pl_case *c = q->c;
	int64_t slack = pl_gap(c, f->inv, f->ret), level = in[f->inv]; /* now c->whose is there */
	uint32_t r = f->inv;

	for (; r > 0 && level <= most && c->whose; r--)
		level -= c->whose[r] != c->whose[f->inv] ? in[r] - in[r - 1] : 0;
	if (level > most)
		slack = pl_gap(c, r + 1, f->inv);
	level = in[f->ret - 1];
	for (r = f->ret; r < c->nranks && level <= most && c->whose; r++)
		level += c->whose[r] != c->whose[f->inv] ? in[r] - in[r - 1] : 0;
	if (level > most && pl_gap(c, f->ret, r - 1) < slack)
		slack = pl_gap(c, f->ret, r - 1);
	return slack;
}

/* `most`: with more than that inside at some moment, it may have been full. */
static void badfull_found(
	struct pl_values *q, const struct pl_empty *f, const int64_t *in, int64_t most)
{
	int64_t slack = full_slack(q, f, in, most);

	if (full_is_known(q) ? pl_find(q->c, "BADFULL", slack,
				       "actor %d's %s found no room although at most %lld of %lld "
				       "places were ever taken meanwhile",
				       pl_say_actor(q->c, f->ref), pl_say_op(q->c, f->ref),
				       (long long)most, (long long)q->c->head->capacity)
			     : pl_find(q->c, "BADFULL", slack,
				       "actor %d's %s found no room although nothing can have been "
				       "inside",
				       pl_say_actor(q->c, f->ref), pl_say_op(q->c, f->ref)))
		pl_witness(q->c, f->ref);
}

static void falsely_full(struct pl_values *q)
{
	int64_t *in = profile(q, false);

	for (uint32_t i = 0; in && i < q->nfull && !pl_settled(q->c); i++) {
		const struct pl_empty *f = &q->full[i];
		int64_t own = places(q, pl_rec_of(q->c, f->ref, NULL)->len);
		int64_t most = full_is_known(q) ? (int64_t)q->c->head->capacity - own : own;
		uint32_t r = f->inv;

		while (r < f->ret && in[r] <= most)
			r++;
		if (r == f->ret)
			badfull_found(q, f, in, most);
	}
	free(in);
}

void pl_capacity_check(struct pl_values *q, bool empty_has_room)
{
	if (q->nanon > 0 || pl_settled(q->c) || q->c->head->flags & PL_HIST_ALTERED)
		return;
	if (full_is_known(q))
		overfull(q);
	if (q->nfull > 0 && (full_is_known(q) || empty_has_room))
		falsely_full(q);
}
