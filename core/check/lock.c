/* SPDX-License-Identifier: MIT
 *
 * One lock: who held it when, and what was told of the dead.
 *
 * A section goes from an acquire to the release that undoes it. It certainly holds from the
 * acquire's end to the release's begin, possibly from the acquire's begin to the release's end; as
 * two never hold at once, the order of the sections is that of their acquires' ends. Those that share
 * may hold together, but not beside one that does not. An actor
 * killed in an acquire may have held; one killed in a release may have released. Exact without
 * deaths and sharing, sound with them.
 *
 *   OVERLAP      two actors certainly held the lock at once
 *   COUNTER      two sections saw the same guarded value, or a later one an older value: an update
 *                was lost
 *   INSIDE       an acquirer saw the guarded pair torn although nobody had died
 *   BADBUSY      EBUSY, EAGAIN, EACCES or ETIMEDOUT although nobody could hold the lock at any moment of the call
 *   BADDEADLK    EDEADLK to an actor that did not hold the lock
 *   BADEPERM     an unlock failed with EPERM in the hands of the holder
 *   FREEUNHELD   an unlock succeeded in the hands of an actor that did not hold (robust locks only)
 *   DEADNONE     the holder died, and the next owner was not told
 *   DEADFALSE    EOWNERDEAD although nobody who could hold the lock had died
 *   DEADTWICE    more owners were told of a death than possible holders died
 *   DEADHOLDER   the holder of a lock that is not robust died, and another acquired the lock (not
 *                of one that a death releases)
 *   NOTRECOV     acquired after it had been released without repair
 *   BADNOTRECOV  ENOTRECOVERABLE although no owner had released it without repair
 */
#include "lock.h"

#include <stdlib.h>

static void acquired(struct pl_lock_round *l, const struct pl_event *e)
{
	struct pl_lock_holder *h = &l->h[e->who];
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
	l->s[l->n++] = (struct pl_lock_section){ .seen = r->aux,
		.l_inv = e->since,
		.l_ret = e->rank,
		.u_inv = PL_NEVER,
		.u_ret = PL_NEVER,
		.acquire = pl_ref(l->c, e->who, r),
		.release = PL_NEVER,
		.ownerdead = r->state == PL_FAIL,
		.shared = (r->sum & PL_SUM_SHARED) != 0,
		.tied = l->n > 1 && r->t_return == l->last };
	l->ties |= l->s[l->n - 1].tied;
	l->shares |= l->s[l->n - 1].shared;
	l->last = r->t_return;
}

static void refused(struct pl_lock_round *l, const struct pl_event *e)
{
	struct pl_lock_refusal f = { e->since, e->rank, pl_ref(l->c, e->who, e->rec),
		e->rec->sum & PL_SUM_SHARED };

	switch (e->rec->err) {
	case EBUSY:
	case EAGAIN: /* fcntl, flock */
	case EACCES:
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

static void release_end(struct pl_lock_round *l, const struct pl_event *e)
{
	struct pl_lock_holder *h = &l->h[e->who];
	struct pl_lock_section *s = &l->s[h->section];
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
	s->complete = !s->shared;
}

static void repair_end(struct pl_lock_round *l, const struct pl_event *e)
{
	struct pl_lock_holder *h = &l->h[e->who];

	if (h->depth == 0)
		return;
	if (e->rec->state == PL_OK)
		l->s[h->section].repaired = 1;
	else
		l->s[h->section].doubt = 1;
}

/* At a shared instant begins come before ends even of one actor: only ends, and deaths at the very
 * end, are in its own order. */
static void read_event(struct pl_lock_round *l, const struct pl_event *e)
{
	struct pl_lock_holder *h = &l->h[e->who];

	if (e->t >= l->cut)
		return;
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
static void bury(struct pl_lock_round *l, int who)
{
	struct pl_lock_holder *h = &l->h[who];
	enum pl_role in = h->pending ? pl_role_of(l->c->actor[who].head, h->pending) : PL_NONE;
	uint32_t until = (l->robust || l->freed) && l->c->actor[who].dead ? h->reaped : PL_NEVER;
	struct pl_lock_section *s;

	if (h->depth == 0) {
		if (in == PL_ACQUIRE)
			l->m[l->nm++] = (struct pl_lock_maybe){ h->pending_inv, h->killed, until,
				pl_ref(l->c, who, h->pending), false };
		return;
	}
	s = &l->s[h->section];
	s->u_inv = l->cut == INT64_MAX ? h->killed : s->l_ret; /* cut: it may have ended at once */
	s->u_ret = until;
	s->died = l->c->actor[who].dead && l->cut == INT64_MAX;
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
	const struct pl_lock_section *x = a, *y = b;

	if (x->seen != y->seen)
		return x->seen < y->seen ? -1 : 1;
	if (x->shared != y->shared) /* before it was raised */
		return x->shared ? -1 : 1;
	return (x->u_inv > y->u_inv) - (x->u_inv < y->u_inv);
}

/* Acquires that end at one instant, as a coarse clock makes them, have no order of their own: the
 * guarded counter says which it was. The ranks of their ends stay where they are. */
static void order_ties(struct pl_lock_round *l)
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

/* A lock with priority inheritance that is not robust promises nothing once an actor has died that may have held
 * it: Linux hands it over, glibc ends its waiters by an assertion or puts them to sleep for ever. */
static bool lock_new(struct pl_lock_round *l, struct pl_case *c)
{
	bool void_by_death = (c->head->caps & (PL_INHERIT | PL_ROBUST)) == PL_INHERIT;
	size_t n = (size_t)c->nrecs + 1;

	*l = (struct pl_lock_round){ .c = c,
		.robust = c->head->caps & PL_ROBUST,
		.freed = c->head->caps & PL_FREED,
		.cut = INT64_MAX };
	l->s = malloc(n * sizeof *l->s);
	l->busy = malloc(n * sizeof *l->busy);
	l->lost = malloc(n * sizeof *l->lost);
	l->m = malloc(((size_t)c->nactors + 1) * sizeof *l->m);
	l->h = calloc((size_t)c->nactors + 1, sizeof *l->h);
	for (int i = 0; i < c->nactors; i++) {
		if (l->h)
			l->h[i].killed = l->h[i].reaped = PL_NEVER;
		l->ndead += c->actor[i].dead;
		if (void_by_death && c->actor[i].dead && c->actor[i].t_kill < l->cut)
			l->cut = c->actor[i].t_kill;
	}
	return l->s && l->busy && l->lost && l->m && l->h;
}

static void lock_free(struct pl_lock_round *l)
{
	free(l->s);
	free(l->busy);
	free(l->lost);
	free(l->m);
	free(l->h);
}

void pl_check_lock(struct pl_case *c)
{
	struct pl_lock_round l;
	struct pl_merge *m = lock_new(&l, c) ? pl_merge_new(c, true) : NULL;
	struct pl_event e;

	if (m) {
		while (pl_merge_next(m, &e))
			read_event(&l, &e);
		for (int i = 0; i < c->nactors; i++)
			bury(&l, i);
		order_ties(&l);
		if (!c->broken)
			pl_lock_judge(&l);
	} else {
		c->nomem = true;
	}
	pl_merge_free(m);
	lock_free(&l);
}
