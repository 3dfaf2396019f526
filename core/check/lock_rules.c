/* SPDX-License-Identifier: MIT
 *
 * The lock's rules, each over the sections in their order. lock.c lists them.
 */
#include "lock.h"

#include <stdlib.h>

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* By how much the clock must be wrong for section b, after a, to have been before it. */
static int64_t order_slack(
	struct pl_lock_round *l, const struct pl_lock_section *a, const struct pl_lock_section *b)
{
	return pl_gap(l->c, a->l_ret, b->u_inv);
}

static void witness_pair(
	struct pl_lock_round *l, const struct pl_lock_section *a, const struct pl_lock_section *b)
{
	pl_witness(l->c, a->acquire);
	if (a->release != PL_NEVER)
		pl_witness(l->c, a->release);
	pl_witness(l->c, b->acquire);
	if (b->release != PL_NEVER)
		pl_witness(l->c, b->release);
}

static void overlap_found(
	struct pl_lock_round *l, const struct pl_lock_section *a, const struct pl_lock_section *b)
{
	struct pl_case *c = l->c;
	uint32_t end = a->u_inv < b->u_inv ? a->u_inv : b->u_inv;

	if (pl_find(c, "OVERLAP", least(order_slack(l, a, b), pl_gap(c, b->l_ret, a->u_inv)),
		    "actors %d and %d held the lock at once%s%s%s", pl_say_actor(c, a->acquire),
		    pl_say_actor(c, b->acquire),
		    a->shared	? ", though the second did not share it"
		    : b->shared ? ", though the first did not share it"
				: "",
		    end < c->nranks ? ", for " : "",
		    end < c->nranks ? pl_say_ns(pl_span(c, b->l_ret, end)) : ""))
		witness_pair(l, a, b);
}

/* Of those before, of each kind, the one that held last. */
static void check_overlap(struct pl_lock_round *l)
{
	const struct pl_lock_section *last[2] = { NULL, NULL };

	for (uint32_t i = 0; i < l->n && !pl_settled(l->c); i++) {
		const struct pl_lock_section *b = &l->s[i];

		for (int shared = 0; shared < 2 - b->shared; shared++)
			if (last[shared] && last[shared]->u_inv > b->l_ret)
				overlap_found(l, last[shared], b);
		if (!last[b->shared] || b->u_inv > last[b->shared]->u_inv)
			last[b->shared] = b;
	}
}

static const struct pl_lock_section *saw_same(const struct pl_lock_round *l, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (l->s[k].complete && l->s[k].seen == l->s[i].seen)
			return &l->s[k];
	return NULL;
}

static void check_counter(struct pl_lock_round *l)
{
	struct pl_case *c = l->c;
	const struct pl_lock_section *top = NULL;

	for (uint32_t i = 0, hits = 0; i < l->n && hits < 64 && !pl_settled(c) && !l->muddled;
		i++) {
		const struct pl_lock_section *b = &l->s[i], *a = NULL;

		if (top && b->seen <= top->seen) {
			a = b->seen == top->seen ? top : saw_same(l, i);
			hits++;
			if (a && b->complete &&
				pl_find(c, "COUNTER", -1,
					"actors %d and %d both found %llu in the guarded counter "
					"and added "
					"one: an update was lost",
					pl_say_actor(c, a->acquire), pl_say_actor(c, b->acquire),
					(unsigned long long)b->seen))
				witness_pair(l, a, b);
			else if (!(a && b->complete) &&
				 pl_find(c, "COUNTER", order_slack(l, top, b),
					 "actor %d found %llu in the guarded counter after actor "
					 "%d had "
					 "raised it from %llu",
					 pl_say_actor(c, b->acquire), (unsigned long long)b->seen,
					 pl_say_actor(c, top->acquire),
					 (unsigned long long)top->seen))
				witness_pair(l, top, b);
		}
		if (b->complete && (!top || b->seen > top->seen))
			top = b;
	}
}

/* The driver keeps two counters that differ only while somebody is between the two stores. Of a lock that outlives
 * its owners the first section may see what a death in an earlier round left behind. */
static void check_inside(struct pl_lock_round *l)
{
	struct pl_case *c = l->c;

	for (uint32_t i = l->freed; i < l->n && l->ndead == 0 && !l->muddled && !pl_settled(c);
		i++) {
		const struct pl_rec *r = pl_rec_of(c, l->s[i].acquire, NULL);

		if (r->sum & PL_SUM_TORN &&
			pl_find(c, "INSIDE", -1,
				"actor %d acquired the lock and saw the guarded pair half written: "
				"somebody else was inside",
				pl_say_actor(c, l->s[i].acquire)))
			pl_witness(c, l->s[i].acquire);
	}
}

/* What the section after one that ended badly must have been told. */
static void check_heir(
	struct pl_lock_round *l, const struct pl_lock_section *a, const struct pl_lock_section *b)
{
	struct pl_case *c = l->c;
	int64_t slack = order_slack(l, a, b);
	int from = pl_say_actor(c, a->acquire), to = pl_say_actor(c, b->acquire);
	bool is = false;

	if (l->freed || a->shared || b->shared)
		return;
	if (a->died && !a->releasing && !l->robust)
		is = !l->muddled && pl_find(c, "DEADHOLDER", slack,
					    "actor %d died holding the lock, which is not robust; "
					    "yet actor %d acquired it",
					    from, to);
	else if (a->died && !a->releasing && !b->ownerdead)
		is = pl_find(c, "DEADNONE", slack,
			"actor %d died holding the lock; actor %d was the next owner and got no "
			"EOWNERDEAD",
			from, to);
	else if (a->ownerdead && a->complete && !a->repaired && !a->doubt)
		is = pl_find(c, "NOTRECOV", slack,
			"actor %d got EOWNERDEAD and released without repair; yet actor %d "
			"acquired the lock",
			from, to);
	if (is)
		witness_pair(l, a, b);
}

/* An owner killed in its acquire may be the one that b was told of; each explains one. Of those
 * that fit, the one that ends first is used. */
static bool excused(struct pl_lock_round *l, const struct pl_lock_section *a,
	const struct pl_lock_section *b, int64_t *ret_slack)
{
	struct pl_lock_maybe *best = NULL;

	for (uint32_t i = 0; i < l->nm; i++) {
		struct pl_lock_maybe *m = &l->m[i];
		uint32_t after = a ? a->u_inv : 0;

		if (m->killed == PL_NEVER)
			continue;
		if (m->killed > b->l_ret)
			*ret_slack = least(*ret_slack, pl_gap(l->c, b->l_ret, m->killed));
		else if (m->until <= after)
			*ret_slack = least(*ret_slack, pl_gap(l->c, m->until, after));
		else if (!m->used && (!best || m->until < best->until))
			best = m;
	}
	if (best)
		best->used = true;
	return best != NULL;
}

static void check_told(struct pl_lock_round *l)
{
	struct pl_case *c = l->c;
	uint32_t deaths = l->nm, told = 0;

	for (uint32_t i = 0; i < l->n; i++)
		deaths += l->s[i].died;
	for (uint32_t i = 0; i < l->n && !pl_settled(c); i++) {
		const struct pl_lock_section *b = &l->s[i], *a = i > 0 ? b - 1 : NULL;
		int64_t slack = INT64_MAX;

		if (a)
			check_heir(l, a, b);
		if (!b->ownerdead)
			continue;
		told++;
		if ((a && a->died) || excused(l, a, b, &slack))
			continue;
		if (told > deaths)
			slack = INT64_MAX;
		else if (a)
			slack = least(slack, order_slack(l, a, b));
		if (pl_find(c, told > 1 ? "DEADTWICE" : "DEADFALSE", slack,
			    "actor %d got EOWNERDEAD, the %u. such result, but %s",
			    pl_say_actor(c, b->acquire), told,
			    deaths == 0 ? "nobody who could hold the lock has died"
					: "no possible holder's death fits it")) {
			pl_witness(c, b->acquire);
			if (a)
				pl_witness(c, a->acquire);
		}
	}
}

static bool maybe_held(struct pl_lock_round *l, const struct pl_lock_refusal *f, int64_t *ret_slack)
{
	for (uint32_t i = 0; i < l->nm; i++) {
		const struct pl_lock_maybe *m = &l->m[i];

		if (m->inv < f->ret && m->until > f->inv)
			return true;
		*ret_slack = least(*ret_slack, pl_gap(l->c, m->inv < f->ret ? m->until : f->ret,
						       m->inv < f->ret ? f->inv : m->inv));
	}
	return false;
}

/* Where some share: who may have held, by when their acquire began, with the latest end of those up to each. */
struct holders {
	struct holder {
		uint32_t inv, until;
	} * h;
	uint32_t n;
};

static int by_inv(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	return (x->inv > y->inv) - (x->inv < y->inv);
}

static bool list_holders(const struct pl_lock_round *l, struct holders *t, bool all)
{
	*t = (struct holders){ .h = malloc(((size_t)l->n + 1) * sizeof *t->h) };
	for (uint32_t i = 0; t->h && i < l->n; i++)
		if (all || !l->s[i].shared)
			t->h[t->n++] = (struct holder){ l->s[i].l_inv, l->s[i].u_ret };
	if (t->h)
		qsort(t->h, t->n, sizeof *t->h, by_inv);
	for (uint32_t i = 1; t->h && i < t->n; i++)
		if (t->h[i].until < t->h[i - 1].until)
			t->h[i].until = t->h[i - 1].until;
	return t->h != NULL;
}

/* The latest end of what began before f ended, 0 if nothing did; and when the next one began. */
static uint32_t held_until(
	const struct holders *t, const struct pl_lock_refusal *f, uint32_t *ret_next)
{
	uint32_t lo = 0, hi = t->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->h[mid].inv < f->ret)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_next = lo < t->n ? t->h[lo].inv : PL_NEVER;
	return lo > 0 ? t->h[lo - 1].until : 0;
}

/* Who shares is refused because of one that does not, who does not because of anybody. */
static void check_busy_shared(struct pl_lock_round *l)
{
	struct pl_case *c = l->c;
	struct holders t[2] = { { 0 } };

	if (!list_holders(l, &t[0], true) || !list_holders(l, &t[1], false))
		c->nomem = true;
	for (uint32_t k = 0; k < l->nbusy && !pl_settled(c); k++) {
		const struct pl_lock_refusal *f = &l->busy[k];
		uint32_t next, until = held_until(&t[f->shared], f, &next);
		int64_t slack = INT64_MAX;

		if (until > f->inv || l->muddled || maybe_held(l, f, &slack))
			continue;
		if (until > 0)
			slack = least(slack, pl_gap(c, until, f->inv));
		slack = least(slack, pl_gap(c, f->ret, next));
		if (pl_find(c, "BADBUSY", slack,
			    "actor %d's %s found the lock taken, but nobody could hold it against "
			    "that at any moment of the call",
			    pl_say_actor(c, f->ref), pl_say_op(c, f->ref)))
			pl_witness(c, f->ref);
	}
	free(t[0].h);
	free(t[1].h);
}

/* Sections' possible holds, tightened by their neighbours' certain ones, against each refusal in
 * turn. */
static void check_busy(struct pl_lock_round *l)
{
	struct pl_case *c = l->c;
	uint32_t i = 0, from = 0, until = 0;

	for (uint32_t k = 0; k < l->nbusy && !pl_settled(c); k++) {
		const struct pl_lock_refusal *f = &l->busy[k];
		int64_t slack = INT64_MAX;

		for (; i < l->n; i++) {
			const struct pl_lock_section *s = &l->s[i];
			uint32_t next = i + 1 < l->n ? s[1].l_ret : PL_NEVER;

			from = s->l_inv > from ? s->l_inv : from;
			if (i > 0 && s[-1].u_inv != PL_NEVER && s[-1].u_inv > from)
				from = s[-1].u_inv;
			if (from >= f->ret)
				break;
			next = s->u_ret < next ? s->u_ret : next;
			until = next > until ? next : until;
		}
		if (until > f->inv || l->muddled || maybe_held(l, f, &slack))
			continue;
		if (i > 0)
			slack = least(slack, pl_gap(c, until, f->inv));
		if (i < l->n)
			slack = least(slack, pl_gap(c, f->ret, from));
		if (pl_find(c, "BADBUSY", slack,
			    "actor %d's %s found the lock taken, but nobody could hold it at any "
			    "moment of the call",
			    pl_say_actor(c, f->ref), pl_say_op(c, f->ref))) {
			pl_witness(c, f->ref);
			if (i > 0 && l->s[i - 1].release != PL_NEVER)
				pl_witness(c, l->s[i - 1].release);
			if (i < l->n)
				pl_witness(c, l->s[i].acquire);
		}
	}
}

static void check_lost(struct pl_lock_round *l)
{
	struct pl_case *c = l->c;
	uint32_t since = PL_NEVER;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct pl_lock_section *s = &l->s[i];

		if (s->ownerdead && (!s->repaired || s->doubt) && s->release != PL_NEVER &&
			s->u_inv < since)
			since = s->u_inv;
	}
	for (uint32_t k = 0; k < l->nlost && !pl_settled(c); k++) {
		const struct pl_lock_refusal *f = &l->lost[k];

		if (since < f->ret)
			continue;
		if (pl_find(c, "BADNOTRECOV", pl_gap(c, f->ret, since),
			    "actor %d's %s gave ENOTRECOVERABLE, but no owner had released the "
			    "lock without repair",
			    pl_say_actor(c, f->ref), pl_say_op(c, f->ref)))
			pl_witness(c, f->ref);
	}
}

void pl_lock_judge(struct pl_lock_round *l)
{
	if (l->muddled && !l->robust) {
		pl_unknown(l->c, "MUDDLED", "an actor released a lock that it did not hold");
		return;
	}
	check_counter(l);
	check_inside(l);
	check_overlap(l);
	if (l->cut != INT64_MAX)
		return; /* who held or was refused is known only to the cut */
	check_told(l);
	(l->shares ? check_busy_shared : check_busy)(l);
	check_lost(l);
}
