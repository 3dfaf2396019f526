/* SPDX-License-Identifier: MIT
 *
 * Standard signals: one pending bit a number, so that a send merges with one still pending. Counting
 * says little; what must hold is that nothing is delivered that was not sent, and that something is
 * delivered after each send.
 *
 *   SOVER    more deliveries of a number had ended than sends of it had begun
 *   SFALSE   a delivery names as its sender a process that had begun no send of that number
 *   SLOST    a send succeeded, the pending set was emptied, and no delivery of its number ended
 *            after the send had begun
 *   SEMPTY   a look at the pending set found nothing, although a send had ended before it and no
 *            delivery of that number had begun until after it
 *
 * Sound whatever the concurrency; exact for one number with one sender and one receiver.
 */
#include "internal.h"

#include <stdlib.h>

struct event_of {
	uint64_t tag;
	uint32_t inv, ret, ref; /* ranks; ret PL_NEVER: did not return */
	int32_t pid;		/* of the sender: its own, or as the receiver was told (0: not) */
};

struct signals {
	struct pl_case *c;
	struct event_of *put, *take; /* by number, then by rank of begin */
	struct event_of *empty;
	uint32_t nput, ntake, nempty;
};

static int by_begin(const void *a, const void *b)
{
	const struct event_of *x = a, *y = b;

	if (x->tag != y->tag)
		return (x->tag > y->tag) - (x->tag < y->tag);
	return (x->inv > y->inv) - (x->inv < y->inv);
}

static int by_end(const void *a, const void *b)
{
	const struct event_of *x = a, *y = b;

	if (x->tag != y->tag)
		return (x->tag > y->tag) - (x->tag < y->tag);
	return (x->ret > y->ret) - (x->ret < y->ret);
}

/* A send counts from its begin, whether or not it returned: it may have had its effect. */
static void read_put(struct signals *s, const struct pl_event *e)
{
	uint32_t ref = pl_ref(s->c, e->who, e->rec);

	if (e->kind == PL_EV_BEGIN && e->rec->state != PL_FAIL)
		s->put[s->nput++] = (struct event_of){ e->rec->aux, e->rank, PL_NEVER, ref,
			s->c->actor[e->who].head->pid };
	for (uint32_t i = s->nput; e->kind == PL_EV_END && e->rec->state == PL_OK && i-- > 0;)
		if (s->put[i].ref == ref) {
			s->put[i].ret = e->rank;
			break;
		}
}

static void read_take(struct signals *s, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	struct event_of it = { r->aux, e->since, e->rank, pl_ref(s->c, e->who, r),
		(int32_t)r->token };

	it.tag = r->state == PL_FAIL ? 0 : it.tag;
	if (e->kind == PL_EV_BEGIN && r->state == PL_INVOKED)
		it = (struct event_of){ UINT64_MAX, e->rank, PL_NEVER, it.ref, 0 };
	else if (e->kind != PL_EV_END)
		return;
	else if (r->state == PL_FAIL) {
		if (pl_found_nothing(r))
			s->empty[s->nempty++] = it;
		return;
	}
	s->take[s->ntake++] = it;
}

static bool same_pid(const struct event_of *put, const struct event_of *take)
{
	return take->pid == 0 || put->pid == take->pid;
}

/* The sends of one number before a delivery's end: is the sender among them? */
static void check_sender(
	struct signals *s, const struct event_of *take, uint32_t from, uint32_t before)
{
	struct pl_case *c = s->c;

	for (uint32_t i = before; i-- > from;)
		if (same_pid(&s->put[i], take))
			return;
	for (uint32_t i = before; i < s->nput && s->put[i].tag == take->tag; i++)
		if (same_pid(&s->put[i], take)) {
			if (pl_find(c, "SFALSE", pl_gap(c, take->ret, s->put[i].inv),
				    "actor %d was told of signal %llu from process %d, which began "
				    "to send it only afterwards",
				    pl_say_actor(c, take->ref), (unsigned long long)take->tag,
				    take->pid)) {
				pl_witness(c, take->ref);
				pl_witness(c, s->put[i].ref);
			}
			return;
		}
	if (pl_find(c, "SFALSE", -1,
		    "actor %d was told of signal %llu from process %d, which never sent it",
		    pl_say_actor(c, take->ref), (unsigned long long)take->tag, take->pid))
		pl_witness(c, take->ref);
}

static void over_found(struct signals *s, const struct event_of *take, uint32_t next, uint32_t n)
{
	struct pl_case *c = s->c;
	bool later = next < s->nput && s->put[next].tag == take->tag;

	if (!pl_find(c, "SOVER", later ? pl_gap(c, take->ret, s->put[next].inv) : -1,
		    "actor %d took delivery %u of signal %llu when only %u sends of it had begun",
		    pl_say_actor(c, take->ref), n + 1, (unsigned long long)take->tag, n))
		return;
	pl_witness(c, take->ref);
	if (later)
		pl_witness(c, s->put[next].ref);
}

/* The k-th delivery to end needs k sends begun before its end. */
static void check_over(struct signals *s)
{
	uint32_t p = 0, from = 0, n = 0;

	qsort(s->take, s->ntake, sizeof *s->take, by_end);
	for (uint32_t i = 0; i < s->ntake && !pl_settled(s->c); i++) {
		const struct event_of *t = &s->take[i];

		if (t->ret == PL_NEVER)
			continue;
		if (i == 0 || t->tag != t[-1].tag) {
			while (p < s->nput && s->put[p].tag < t->tag)
				p++;
			from = p, n = 0;
		}
		while (p < s->nput && s->put[p].tag == t->tag && s->put[p].inv < t->ret)
			p++;
		if (n++ >= p - from)
			over_found(s, t, p, n - 1);
		else if (t->pid)
			check_sender(s, t, from, p);
	}
}

/* The deliveries of a number by their begins, so that the first that may have consumed a send is
 * found by its end: the least begin among those that end after the send began. */
struct horizon {
	uint32_t *least; /* of the deliveries from here to the last of this number, by end */
};

static bool make_horizon(const struct signals *s, struct horizon *h)
{
	h->least = malloc(((size_t)s->ntake + 1) * sizeof *h->least);
	for (uint32_t i = s->ntake; h->least && i-- > 0;) {
		bool more = i + 1 < s->ntake && s->take[i + 1].tag == s->take[i].tag;

		h->least[i] = s->take[i].inv;
		if (more && h->least[i + 1] < h->least[i])
			h->least[i] = h->least[i + 1];
	}
	return h->least != NULL;
}

/* A delivery that a kill cut off may have been of any number: from its begin on nothing is certain. */
static uint32_t cut_off(const struct signals *s)
{
	uint32_t first = PL_NEVER;

	for (uint32_t i = 0; i < s->ntake; i++)
		if (s->take[i].ret == PL_NEVER && s->take[i].inv < first)
			first = s->take[i].inv;
	return first;
}

static void lost_found(struct signals *s, const struct event_of *put, const struct event_of *last)
{
	struct pl_case *c = s->c;

	if (!pl_find(c, "SLOST", last ? pl_gap(c, last->ret, put->inv) : -1,
		    "actor %d's %s of signal %llu succeeded and the pending set was emptied, but "
		    "no "
		    "delivery of it ended after that",
		    pl_say_actor(c, put->ref), pl_say_op(c, put->ref),
		    (unsigned long long)put->tag))
		return;
	pl_witness(c, put->ref);
	if (last)
		pl_witness(c, last->ref);
}

/* From when to when a send's number was certainly pending. */
struct pending {
	uint32_t from, until, ref;
};

/* Each send that returned: lost, or pending until a delivery may have begun to consume it. */
static uint32_t check_lost(struct signals *s, const struct horizon *h, struct pending *certain)
{
	uint32_t t = 0, n = 0, cut = cut_off(s);

	for (uint32_t i = 0; i < s->nput && !pl_settled(s->c); i++) {
		const struct event_of *p = &s->put[i];
		uint32_t until;

		while (t < s->ntake &&
			(s->take[t].tag < p->tag ||
				(s->take[t].tag == p->tag && s->take[t].ret < p->inv)))
			t++;
		until = t < s->ntake && s->take[t].tag == p->tag ? h->least[t] : PL_NEVER;
		if (p->ret == PL_NEVER)
			continue;
		if (until == PL_NEVER && s->c->drained && cut == PL_NEVER)
			lost_found(s, p,
				t > 0 && s->take[t - 1].tag == p->tag ? &s->take[t - 1] : NULL);
		until = until < cut ? until : cut;
		if (p->ret < until)
			certain[n++] = (struct pending){ p->ret, until, p->ref };
	}
	return n;
}

static int by_from(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

static void empty_found(struct signals *s, const struct event_of *e, const struct pending *p)
{
	struct pl_case *c = s->c;
	int64_t before = pl_gap(c, p->from, e->inv), after = pl_gap(c, e->ret, p->until);

	if (!pl_find(c, "SEMPTY", before < after ? before : after,
		    "actor %d's %s found nothing, although a signal that actor %d had sent was "
		    "pending all the time",
		    pl_say_actor(c, e->ref), pl_say_op(c, e->ref), pl_say_actor(c, p->ref)))
		return;
	pl_witness(c, p->ref);
	pl_witness(c, e->ref);
}

/* One send that covers the whole look is enough; several that do so in turn are not looked for. */
static void check_empty(struct signals *s, struct pending *certain, uint32_t n)
{
	const struct pending *longest = NULL;
	uint32_t k = 0;

	qsort(certain, n, sizeof *certain, by_from);
	qsort(s->empty, s->nempty, sizeof *s->empty, by_begin); /* all of number 0 */
	for (uint32_t i = 0; i < s->nempty && !pl_settled(s->c); i++) {
		const struct event_of *e = &s->empty[i];

		for (; k < n && certain[k].from < e->inv; k++)
			if (!longest || certain[k].until > longest->until)
				longest = &certain[k];
		if (longest && longest->until > e->ret)
			empty_found(s, e, longest);
	}
}

static void judge(struct signals *s)
{
	struct pending *certain = malloc(((size_t)s->nput + 1) * sizeof *certain);
	struct horizon h = { 0 };

	qsort(s->put, s->nput, sizeof *s->put, by_begin);
	check_over(s);
	if (make_horizon(s, &h) && certain)
		check_empty(s, certain, check_lost(s, &h, certain));
	else
		s->c->nomem = true;
	free(certain);
	free(h.least);
}

void pl_check_signal(struct pl_case *c)
{
	size_t n = (size_t)c->nrecs + 1;
	struct signals s = { .c = c,
		.put = malloc(n * sizeof *s.put),
		.take = malloc(n * sizeof *s.take),
		.empty = malloc(n * sizeof *s.empty) };
	struct pl_merge *m = s.put && s.take && s.empty ? pl_merge_new(c, true) : NULL;
	struct pl_event e;

	while (m && pl_merge_next(m, &e)) {
		if (e.rec && e.role == PL_PUT)
			read_put(&s, &e);
		else if (e.rec && e.role == PL_TAKE)
			read_take(&s, &e);
	}
	if (!m)
		c->nomem = true;
	else if (!c->broken && !c->nomem)
		judge(&s);
	pl_merge_free(m);
	free(s.put);
	free(s.take);
	free(s.empty);
}
