/* SPDX-License-Identifier: MIT
 *
 * A queue of which each take says what it wants: the oldest of all, of one tag, of any other tag, or of the
 * lowest tag up to a bound, all of them mixed in one round. System V message queues.
 *
 * Each take is held against single values, and against what was certainly inside during all of it. That is sound.
 * It is exact as long as all takes select alike and none wants the lowest; of mixed ones it misses some.
 *
 *   VSELECT  a take received a value that it did not select
 *   VORD     a was put before b was, b was taken before a was, and the take of b would have had a
 *   VPRIO    a take of the lowest tag received b although lower ones were certainly inside all the time
 *   VWIT     a take found nothing although some of what it selected was certainly inside all the time
 *   VTAG VFRESH VREPET VFAILED VCORRUPT   values.c
 *   VLOST                                 order.c
 *   OVERCAP BADFULL                       capacity.c
 */
#include "segments.h"
#include "values.h"

#include "../model/model.h"

#include <stdio.h>
#include <stdlib.h>

static const uint64_t WORK = 20 * 1000 * 1000; /* values covered, over all questions */

struct wish {
	int32_t form;
	bool except;
};

/* Was something else certainly inside all the time? Asked of a take of the lowest, and of one that found nothing. */
struct question {
	uint32_t inv, ret, ref;
	uint32_t value; /* what was taken; PL_NEVER: nothing */
	struct wish wish;
	enum { BELOW, ONLY, BUT } kind; /* the tags that are asked for, */
	uint64_t tag;			/* below, equal to, or other than this */
};

struct latest {
	const struct pl_value *v; /* of those put so far: the one whose take began last */
};

struct select {
	struct pl_values *q;
	struct question *ask;
	uint32_t nask;
	uint32_t *tags, ntags; /* all that there are, ascending */
	struct latest *of;     /* by tag */
	struct latest best[2]; /* of all tags; of all but the first one's */
	bool all;	       /* what was not taken is still inside */
	uint64_t work;
};

static struct wish wish_of(const struct pl_case *c, uint32_t ref)
{
	int who = 0;
	const struct pl_rec *r = pl_rec_of(c, ref, &who);

	return (struct wish){ (int32_t)r->sum, c->actor[who].head->op[r->op].how & PL_EXCEPT };
}

static bool selects(struct wish w, uint64_t tag)
{
	return pl_model_selects(w.form, w.except, tag);
}

static const char *say_wish(struct wish w, char buf[48])
{
	long long n = w.form < 0 ? -(long long)w.form : w.form;

	(void)snprintf(buf, 48,
		w.form == 0  ? "anything"
		: w.form < 0 ? "the lowest type up to %lld"
		: w.except   ? "any type but %lld"
			     : "type %lld",
		n);
	return buf;
}

/* ---- single values ---- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void list_tags(struct select *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->q->n; i++)
		s->tags[i] = s->q->v[i].prio;
	qsort(s->tags, s->q->n, sizeof *s->tags, by_number);
	for (uint32_t i = 0; i < s->q->n; i++)
		if (n == 0 || s->tags[n - 1] != s->tags[i])
			s->tags[n++] = s->tags[i];
	s->ntags = n;
}

static struct latest *of_tag(const struct select *s, uint32_t tag)
{
	const uint32_t *at = bsearch(&tag, s->tags, s->ntags, sizeof tag, by_number);

	return &s->of[at - s->tags];
}

static bool later(const struct pl_value *a, const struct latest *than)
{
	return !than->v || a->d_inv > than->v->d_inv;
}

static void note_put(struct select *s, const struct pl_value *a)
{
	struct latest *of = of_tag(s, a->prio);

	if (!s->all && !pl_value_taken(a))
		return;
	if (later(a, of))
		of->v = a;
	if (later(a, &s->best[0])) {
		if (s->best[0].v && s->best[0].v->prio != a->prio)
			s->best[1] = s->best[0];
		s->best[0].v = a;
	} else if (s->best[0].v->prio != a->prio && later(a, &s->best[1])) {
		s->best[1].v = a;
	}
}

/* Of what was put before b, and what its take would have had as well: the one whose own take began last. */
static const struct pl_value *rival(const struct select *s, const struct pl_value *b, struct wish w)
{
	if (w.form != 0 && !w.except)
		return of_tag(s, b->prio)->v;
	if (w.except && s->best[0].v && (int64_t)s->best[0].v->prio == w.form)
		return s->best[1].v;
	return s->best[0].v;
}

static void wrong_kind(struct select *s, const struct pl_value *b, struct wish w)
{
	struct pl_case *c = s->q->c;
	char buf[48];

	if (!pl_find(c, "VSELECT", -1, "actor %d's %s wanted %s and received %s of type %u",
		    pl_say_actor(c, b->take), pl_say_op(c, b->take), say_wish(w, buf),
		    pl_say_token(b->token), b->prio))
		return;
	pl_witness(c, b->put);
	pl_witness(c, b->take);
}

static void check_values(struct select *s)
{
	struct pl_values *q = s->q;
	uint32_t j = 0;

	for (uint32_t i = 0; i < q->n && !pl_settled(q->c); i++) {
		const struct pl_value *b = &q->v[i], *a;
		struct wish w;

		for (; j < q->nput && q->v[q->by_ret[j]].e_ret < b->e_inv; j++)
			note_put(s, &q->v[q->by_ret[j]]);
		if (!pl_value_live(b) || !pl_value_taken(b))
			continue;
		w = wish_of(q->c, b->take);
		if (!selects(w, b->prio))
			wrong_kind(s, b, w);
		a = rival(s, b, w);
		if (a && a->d_inv > b->d_ret)
			pl_order_found(q, a, b);
	}
}

/* ---- what was inside all the time ---- */

static bool is_asked(const struct pl_value *v, const void *arg)
{
	const struct question *k = arg;

	return k->kind == BELOW ? v->prio < k->tag : (v->prio == k->tag) == (k->kind == ONLY);
}

static void add_question(struct select *s, struct question k)
{
	const struct pl_value *b = k.value != PL_NEVER ? &s->q->v[k.value] : NULL;
	int64_t form = k.wish.form;

	k.kind = form > 0 ? (k.wish.except ? BUT : ONLY) : BELOW;
	k.tag = b	    ? b->prio
		: form == 0 ? UINT64_MAX
		: form > 0  ? (uint64_t)form
			    : 1 - (uint64_t)form;
	s->ask[s->nask++] = k;
}

static void collect(struct select *s)
{
	struct pl_values *q = s->q;

	for (uint32_t i = 0; i < q->n; i++) {
		const struct pl_value *b = &q->v[i];
		struct question k = { b->d_inv, b->d_ret, b->take, i, { 0 }, BELOW, 0 };

		if (!pl_value_live(b) || !pl_value_taken(b))
			continue;
		k.wish = wish_of(q->c, b->take);
		if (k.wish.form < 0)
			add_question(s, k);
	}
	for (uint32_t i = 0; i < q->nempty; i++)
		add_question(
			s, (struct question){ q->empty[i].inv, q->empty[i].ret, q->empty[i].ref,
				   PL_NEVER, wish_of(q->c, q->empty[i].ref), BELOW, 0 });
}

static int by_kind(const void *a, const void *b)
{
	const struct question *x = a, *y = b;

	return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind)
				  : (x->tag > y->tag) - (x->tag < y->tag);
}

static void answer(struct select *s, const struct question *k)
{
	struct pl_case *c = s->q->c;
	const struct pl_value *b = k->value != PL_NEVER ? &s->q->v[k->value] : NULL, *a;
	uint32_t chain[PL_WITNESS_MAX];
	char buf[48];
	int n;
	int64_t slack =
		pl_cover_slack(s->q, k->inv, k->ret, is_asked, k, chain, PL_WITNESS_MAX - 2, &n);

	a = n > 0 ? &s->q->v[chain[0]] : NULL;
	if (!pl_find(c, b ? "VPRIO" : "VWIT", slack,
		    "actor %d's %s wanted %s and %s%s although %s of type %u%s certainly inside "
		    "all the time",
		    pl_say_actor(c, k->ref), pl_say_op(c, k->ref), say_wish(k->wish, buf),
		    b ? "received " : "found nothing", b ? pl_say_token(b->token) : "",
		    a ? pl_say_token(a->token) : "a value", a ? a->prio : 0,
		    n > 1 ? ", and others before it in turn, were" : " was"))
		return;
	pl_witness(c, k->ref);
	for (int i = 0; i < n; i++)
		pl_witness(c, s->q->v[chain[i]].put);
}

/* Covers the segments in which a value that is asked for was inside. */
static void cover(struct select *s, struct pl_segments *left, const struct question *k)
{
	for (uint32_t i = 0; i < s->q->n; i++) {
		const struct pl_value *v = &s->q->v[i];

		if (pl_value_live(v) && v->e_ret < v->d_inv && (s->all || pl_value_taken(v)) &&
			is_asked(v, k))
			pl_segments_cover(left, v->e_ret, v->d_inv);
	}
	s->work += s->q->n;
}

/* Questions that ask for the same tags have one answer; what is below a higher tag is more. */
static void check_cover(struct select *s)
{
	struct pl_segments left = { 0 };
	const struct question *last = NULL;

	qsort(s->ask, s->nask, sizeof *s->ask, by_kind);
	for (uint32_t i = 0; i < s->nask && s->work < WORK && !pl_settled(s->q->c); i++) {
		const struct question *k = &s->ask[i];
		uint32_t free_at;

		if (!last || last->kind != k->kind || last->tag != k->tag) {
			if (!last || k->kind != BELOW) {
				pl_segments_free(&left);
				if (!pl_segments_new(&left, s->q->c->nranks)) {
					s->q->c->nomem = true;
					return;
				}
			}
			cover(s, &left, k);
		}
		last = k;
		free_at = pl_segments_next(&left, k->inv);
		if (free_at == PL_SEG_NONE || free_at >= k->ret)
			answer(s, k);
	}
	pl_segments_free(&left);
}

void pl_check_select(struct pl_case *c)
{
	struct pl_values q;
	struct select s = { .q = &q };

	if (pl_values_read(&q, c) == 0 && !pl_settled(c)) {
		s.all = q.nmaybe == 0;
		s.tags = malloc(((size_t)q.n + 1) * sizeof *s.tags);
		s.of = calloc((size_t)q.n + 1, sizeof *s.of);
		s.ask = malloc(((size_t)q.n + q.nempty + 1) * sizeof *s.ask);
		if (s.tags && s.of && s.ask) {
			pl_lost_check(&q);
			pl_capacity_check(&q, false);
			list_tags(&s);
			check_values(&s);
			collect(&s);
			check_cover(&s);
		} else {
			c->nomem = true;
		}
		free(s.tags);
		free(s.of);
		free(s.ask);
	}
	pl_values_free(&q);
}
