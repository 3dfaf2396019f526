/* SPDX-License-Identifier: MIT
 *
 * One lock: who held it when, and what was told of the dead (checking.md A.9).
 *
 * A section goes from an acquire to the release that undoes it. It certainly holds from the
 * acquire's end to the release's begin, possibly from the acquire's begin to the release's end; as
 * two never hold at once, the order of the sections is that of their acquires' ends. An actor
 * killed in an acquire may have held; one killed in a release may have released. Exact without
 * deaths, sound with them.
 *
 *   OVERLAP      two actors certainly held the lock at once
 *   COUNTER      two sections saw the same guarded value, or a later one an older value: an update
 * was lost INSIDE       an acquirer saw the guarded pair torn although nobody had died BADBUSY
 * EBUSY or ETIMEDOUT although nobody could hold the lock at any moment of the call BADDEADLK
 * EDEADLK to an actor that did not hold the lock BADEPERM     an unlock failed with EPERM in the
 * hands of the holder FREEUNHELD   an unlock succeeded in the hands of an actor that did not hold
 * (robust locks only) DEADNONE     the holder died, and the next owner was not told DEADFALSE
 * EOWNERDEAD although nobody who could hold the lock had died DEADTWICE    more owners were told of
 * a death than possible holders died DEADHOLDER   the holder of a lock that is not robust died, and
 * another acquired the lock NOTRECOV     acquired after it had been released without repair
 *   BADNOTRECOV  ENOTRECOVERABLE although no owner had released it without repair
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct section {
	uint64_t seen;		   /* the guarded counter, as found */
	uint32_t l_inv, l_ret;	   /* ranks of the acquire, */
	uint32_t u_inv, u_ret;	   /* and of the release or the death; PL_NEVER: still held */
	uint32_t acquire, release; /* references */
	uint8_t ownerdead, repaired, doubt; /* doubt: the repair failed, or its end is not known */
	uint8_t complete;		    /* released, with the increment that goes with it */
	uint8_t died, releasing;	    /* its actor died in it; while it released */
	uint8_t tied;			    /* acquired at the same instant as the one before */
};

/* A failed acquire by an actor that did not hold. */
struct refusal {
	uint32_t inv, ret, ref;
};

/* An acquire without an end: it may have held from `inv` to `until`. */
struct maybe {
	uint32_t inv, killed, until, ref;
	bool used;
};

struct holder {
	uint32_t depth, section;
	const struct pl_rec *pending;
	uint32_t pending_inv, killed, reaped;
};

struct lock {
	struct pl_case *c;
	struct section *s;
	struct refusal *busy, *lost; /* EBUSY and ETIMEDOUT; ENOTRECOVERABLE */
	struct maybe *m;
	struct holder *h;
	uint32_t n, nbusy, nlost, nm, ndead;
	int64_t last; /* when the last section's acquire ended */
	bool robust, ties;
	bool muddled; /* somebody released what he did not hold: counters and frees prove nothing */
};

static void acquired(struct lock *l, const struct pl_event *e)
{
	struct holder *h = &l->h[e->who];
	const struct pl_rec *r = e->rec;

	if (h->depth++ > 0) {
		if (r->state == PL_FAIL &&
			pl_find(l->c, "DEADFALSE", -1,
				"actor %d's %s gave EOWNERDEAD, but it held the lock itself",
				pl_say_actor(l->c, pl_ref(l->c, e->who, r)),
				pl_say_op(l->c, pl_ref(l->c, e->who, r))))
			pl_witness(l->c, pl_ref(l->c, e->who, r));
		return;
	}
	h->section = l->n;
	l->s[l->n++] = (struct section){ .seen = r->aux,
		.l_inv = e->since,
		.l_ret = e->rank,
		.u_inv = PL_NEVER,
		.u_ret = PL_NEVER,
		.acquire = pl_ref(l->c, e->who, r),
		.release = PL_NEVER,
		.ownerdead = r->state == PL_FAIL,
		.tied = l->n > 1 && r->t_return == l->last };
	l->ties |= l->s[l->n - 1].tied;
	l->last = r->t_return;
}

static void refused(struct lock *l, const struct pl_event *e)
{
	struct refusal f = { e->since, e->rank, pl_ref(l->c, e->who, e->rec) };

	switch (e->rec->err) {
	case EBUSY:
	case ETIMEDOUT:
		if (l->h[e->who].depth == 0)
			l->busy[l->nbusy++] = f;
		break;
	case ENOTRECOVERABLE:
		l->lost[l->nlost++] = f;
		break;
	case EDEADLK:
		if (l->h[e->who].depth == 0 && l->ndead == 0 &&
			pl_find(l->c, "BADDEADLK", -1,
				"actor %d's %s gave EDEADLK, but it did not hold the lock",
				pl_say_actor(l->c, f.ref), pl_say_op(l->c, f.ref)))
			pl_witness(l->c, f.ref);
		break;
	default:
		break;
	}
}

static void release_end(struct lock *l, const struct pl_event *e)
{
	struct holder *h = &l->h[e->who];
	struct section *s = &l->s[h->section];
	uint32_t ref = pl_ref(l->c, e->who, e->rec);

	if (h->depth == 0) {
		l->muddled = true;
		if (e->rec->state == PL_OK && l->robust &&
			pl_find(l->c, "FREEUNHELD", -1,
				"actor %d's %s succeeded, but it did not hold the lock",
				pl_say_actor(l->c, ref), pl_say_op(l->c, ref)))
			pl_witness(l->c, ref);
		return;
	}
	if (e->rec->state == PL_FAIL) {
		if (e->rec->err == EPERM &&
			pl_find(l->c, "BADEPERM", -1,
				"actor %d's %s gave EPERM, but it held the lock since its %s",
				pl_say_actor(l->c, ref), pl_say_op(l->c, ref),
				pl_say_op(l->c, s->acquire))) {
			pl_witness(l->c, s->acquire);
			pl_witness(l->c, ref);
		}
		return;
	}
	if (--h->depth > 0)
		return;
	s->u_inv = e->since;
	s->u_ret = e->rank;
	s->release = ref;
	s->complete = 1;
}

static void repair_end(struct lock *l, const struct pl_event *e)
{
	struct holder *h = &l->h[e->who];

	if (h->depth == 0)
		return;
	if (e->rec->state == PL_OK)
		l->s[h->section].repaired = 1;
	else
		l->s[h->section].doubt = 1;
}

/* At a shared instant begins come before ends even of one actor: only ends, and deaths at the very
 * end, are in its own order. */
static void read_event(struct lock *l, const struct pl_event *e)
{
	struct holder *h = &l->h[e->who];

	if (e->kind == PL_EV_KILLED)
		h->killed = e->rank;
	else if (e->kind == PL_EV_REAPED)
		h->reaped = e->rank;
	else if (e->kind == PL_EV_BEGIN && e->rec->state == PL_INVOKED)
		h->pending = e->rec, h->pending_inv = e->rank;
	if (e->kind != PL_EV_END)
		return;
	if (e->role == PL_ACQUIRE && (e->rec->state == PL_OK || e->rec->err == EOWNERDEAD))
		acquired(l, e);
	else if (e->role == PL_ACQUIRE)
		refused(l, e);
	else if (e->role == PL_RELEASE)
		release_end(l, e);
	else if (e->role == PL_REPAIR)
		repair_end(l, e);
}

/* What an actor left behind: a lock held, perhaps released, perhaps acquired. */
static void bury(struct lock *l, int who)
{
	struct holder *h = &l->h[who];
	enum pl_role in = h->pending ? pl_role_of(l->c->actor[who].head, h->pending) : PL_NONE;
	uint32_t until = l->robust && l->c->actor[who].dead ? h->reaped : PL_NEVER;
	struct section *s;

	if (h->depth == 0) {
		if (in == PL_ACQUIRE)
			l->m[l->nm++] = (struct maybe){ h->pending_inv, h->killed, until,
				pl_ref(l->c, who, h->pending), false };
		return;
	}
	s = &l->s[h->section];
	s->u_inv = h->killed;
	s->u_ret = until;
	s->died = l->c->actor[who].dead;
	if (in == PL_REPAIR)
		s->doubt = 1;
	if (in == PL_RELEASE && h->depth == 1) {
		s->releasing = 1;
		s->u_inv = h->pending_inv < s->u_inv ? h->pending_inv : s->u_inv;
		s->release = pl_ref(l->c, who, h->pending);
	}
}

static int by_seen(const void *a, const void *b)
{
	const struct section *x = a, *y = b;

	return x->seen != y->seen ? (x->seen > y->seen) - (x->seen < y->seen)
				  : (x->u_inv > y->u_inv) - (x->u_inv < y->u_inv);
}

/* Acquires that end at one instant, as a coarse clock makes them, have no order of their own: the
 * guarded counter says which it was. The ranks of their ends stay where they are. */
static void order_ties(struct lock *l)
{
	uint32_t *rank = l->ties ? malloc(l->n * sizeof *rank) : NULL, end;

	l->c->nomem |= l->ties && !rank;
	for (uint32_t i = 0; rank && i < l->n; i = end) {
		rank[i] = l->s[i].l_ret;
		for (end = i + 1; end < l->n && l->s[end].tied; end++)
			rank[end] = l->s[end].l_ret;
		if (end - i > 1)
			qsort(l->s + i, end - i, sizeof *l->s, by_seen);
		for (uint32_t k = i; k < end; k++)
			l->s[k].l_ret = rank[k];
	}
	free(rank);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* By how much the clock must be wrong for section b, after a, to have been before it. */
static int64_t order_slack(struct lock *l, const struct section *a, const struct section *b)
{
	return pl_gap(l->c, a->l_ret, b->u_inv);
}

static void witness_pair(struct lock *l, const struct section *a, const struct section *b)
{
	pl_witness(l->c, a->acquire);
	if (a->release != PL_NEVER)
		pl_witness(l->c, a->release);
	pl_witness(l->c, b->acquire);
	if (b->release != PL_NEVER)
		pl_witness(l->c, b->release);
}

static void check_overlap(struct lock *l)
{
	struct pl_case *c = l->c;

	for (uint32_t i = 0; i + 1 < l->n && !pl_settled(c); i++) {
		const struct section *a = &l->s[i], *b = a + 1;
		uint32_t end = a->u_inv < b->u_inv ? a->u_inv : b->u_inv;

		if (a->u_inv <= b->l_ret)
			continue;
		if (pl_find(c, "OVERLAP",
			    least(order_slack(l, a, b), pl_gap(c, b->l_ret, a->u_inv)),
			    "actors %d and %d held the lock at once%s%s",
			    pl_say_actor(c, a->acquire), pl_say_actor(c, b->acquire),
			    end < c->nranks ? ", for " : "",
			    end < c->nranks ? pl_say_ns(pl_span(c, b->l_ret, end)) : ""))
			witness_pair(l, a, b);
	}
}

static const struct section *saw_same(const struct lock *l, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (l->s[k].complete && l->s[k].seen == l->s[i].seen)
			return &l->s[k];
	return NULL;
}

static void check_counter(struct lock *l)
{
	struct pl_case *c = l->c;
	const struct section *top = NULL;

	for (uint32_t i = 0, hits = 0; i < l->n && hits < 64 && !pl_settled(c) && !l->muddled;
		i++) {
		const struct section *b = &l->s[i], *a = NULL;

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

/* The driver keeps two counters that differ only while somebody is between the two stores. */
static void check_inside(struct lock *l)
{
	struct pl_case *c = l->c;

	for (uint32_t i = 0; i < l->n && l->ndead == 0 && !l->muddled && !pl_settled(c); i++) {
		const struct pl_rec *r = pl_rec_of(c, l->s[i].acquire, NULL);

		if (r->sum == 1 &&
			pl_find(c, "INSIDE", -1,
				"actor %d acquired the lock and saw the guarded pair half written: "
				"somebody else was inside",
				pl_say_actor(c, l->s[i].acquire)))
			pl_witness(c, l->s[i].acquire);
	}
}

/* What the section after one that ended badly must have been told. */
static void check_heir(struct lock *l, const struct section *a, const struct section *b)
{
	struct pl_case *c = l->c;
	int64_t slack = order_slack(l, a, b);
	int from = pl_say_actor(c, a->acquire), to = pl_say_actor(c, b->acquire);
	bool is = false;

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
static bool excused(
	struct lock *l, const struct section *a, const struct section *b, int64_t *ret_slack)
{
	struct maybe *best = NULL;

	for (uint32_t i = 0; i < l->nm; i++) {
		struct maybe *m = &l->m[i];
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

static void check_told(struct lock *l)
{
	struct pl_case *c = l->c;
	uint32_t deaths = l->nm, told = 0;

	for (uint32_t i = 0; i < l->n; i++)
		deaths += l->s[i].died;
	for (uint32_t i = 0; i < l->n && !pl_settled(c); i++) {
		const struct section *b = &l->s[i], *a = i > 0 ? b - 1 : NULL;
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

static bool maybe_held(struct lock *l, const struct refusal *f, int64_t *ret_slack)
{
	for (uint32_t i = 0; i < l->nm; i++) {
		const struct maybe *m = &l->m[i];

		if (m->inv < f->ret && m->until > f->inv)
			return true;
		*ret_slack = least(*ret_slack, pl_gap(l->c, m->inv < f->ret ? m->until : f->ret,
						       m->inv < f->ret ? f->inv : m->inv));
	}
	return false;
}

/* Sections' possible holds, tightened by their neighbours' certain ones, against each refusal in
 * turn. */
static void check_busy(struct lock *l)
{
	struct pl_case *c = l->c;
	uint32_t i = 0, from = 0, until = 0;

	for (uint32_t k = 0; k < l->nbusy && !pl_settled(c); k++) {
		const struct refusal *f = &l->busy[k];
		int64_t slack = INT64_MAX;

		for (; i < l->n; i++) {
			const struct section *s = &l->s[i];
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

static void check_lost(struct lock *l)
{
	struct pl_case *c = l->c;
	uint32_t since = PL_NEVER;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct section *s = &l->s[i];

		if (s->ownerdead && (!s->repaired || s->doubt) && s->release != PL_NEVER &&
			s->u_inv < since)
			since = s->u_inv;
	}
	for (uint32_t k = 0; k < l->nlost && !pl_settled(c); k++) {
		const struct refusal *f = &l->lost[k];

		if (since < f->ret)
			continue;
		if (pl_find(c, "BADNOTRECOV", pl_gap(c, f->ret, since),
			    "actor %d's %s gave ENOTRECOVERABLE, but no owner had released the "
			    "lock without repair",
			    pl_say_actor(c, f->ref), pl_say_op(c, f->ref)))
			pl_witness(c, f->ref);
	}
}

static bool lock_new(struct lock *l, struct pl_case *c)
{
	size_t n = (size_t)c->nrecs + 1;

	*l = (struct lock){ .c = c, .robust = c->head->caps & PL_ROBUST };
	l->s = malloc(n * sizeof *l->s);
	l->busy = malloc(n * sizeof *l->busy);
	l->lost = malloc(n * sizeof *l->lost);
	l->m = malloc(((size_t)c->nactors + 1) * sizeof *l->m);
	l->h = calloc((size_t)c->nactors + 1, sizeof *l->h);
	for (int i = 0; i < c->nactors; i++) {
		if (l->h)
			l->h[i].killed = l->h[i].reaped = PL_NEVER;
		l->ndead += c->actor[i].dead;
	}
	return l->s && l->busy && l->lost && l->m && l->h;
}

static void lock_free(struct lock *l)
{
	free(l->s);
	free(l->busy);
	free(l->lost);
	free(l->m);
	free(l->h);
}

static void judge(struct lock *l)
{
	order_ties(l);
	if (l->muddled && !l->robust) {
		pl_unknown(l->c, "MUDDLED", "an actor released a lock that it did not hold");
		return;
	}
	check_counter(l);
	check_inside(l);
	check_overlap(l);
	check_told(l);
	check_busy(l);
	check_lost(l);
}

void pl_check_lock(struct pl_case *c)
{
	struct lock l;
	struct pl_merge *m = lock_new(&l, c) ? pl_merge_new(c, true) : NULL;
	struct pl_event e;

	if (m) {
		while (pl_merge_next(m, &e))
			read_event(&l, &e);
		for (int i = 0; i < c->nactors; i++)
			bury(&l, i);
		if (!c->broken)
			judge(&l);
	} else {
		c->nomem = true;
	}
	pl_merge_free(m);
	lock_free(&l);
}
