/* SPDX-License-Identifier: MIT
 *
 * Standard signals: one pending bit a number, so that a send merges with one still pending. Counting
 * says little; what must hold is that nothing is delivered that was not sent, and that something is
 * delivered after each send.
 *
 *   SOVER    more deliveries of a number had ended than sends of it had begun
 *   SAGAIN   a number was delivered again with no send of it since: none that began before the
 *            second delivery ended and ended after the first one had begun
 *   SFALSE   a delivery names as its sender a process that had begun no send of that number, or
 *            none since the delivery before it
 *   SLOST    a send succeeded, the pending set was emptied, and no delivery of its number ended
 *            after the send had begun
 *   SEMPTY   a look at the pending set found nothing, although a send had ended before it and no
 *            delivery of that number had begun until after it
 *
 * Sound whatever the concurrency, for one pending set: signals to a thread have another one than
 * those to its process.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

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

enum { FEW = 16 };

/* The numbers that there are, ascending; how many, or -1: more than a few. */
static int numbers(const struct event_of *v, uint32_t n, uint64_t tag[FEW])
{
	int k = 0;

	for (uint32_t i = 0; i < n; i++) {
		int at = 0;

		while (at < k && tag[at] < v[i].tag)
			at++;
		if (at < k && tag[at] == v[i].tag)
			continue;
		if (k == FEW)
			return -1;
		memmove(tag + at + 1, tag + at, (size_t)(k++ - at) * sizeof *tag);
		tag[at] = v[i].tag;
	}
	return k;
}

/* By number. What is read comes in the order wanted but for that, and numbers are few: mostly there is nothing to
 * compare. */
static void group(struct event_of *v, uint32_t n, int (*order)(const void *, const void *))
{
	uint32_t at = 0;
	uint64_t tag[FEW];
	int k = numbers(v, n, tag), x;
	struct event_of *old = k > 0 ? malloc(n * sizeof *old) : NULL;

	if (!old) {
		qsort(v, n, sizeof *v, order);
		return;
	}
	memcpy(old, v, n * sizeof *v);
	for (x = 0; x < k; x++)
		for (uint32_t i = 0; i < n; i++)
			if (old[i].tag == tag[x])
				v[at++] = old[i];
	free(old);
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
		if (pl_says_empty(s->c, r))
			s->empty[s->nempty++] = it;
		return;
	}
	s->take[s->ntake++] = it;
}

static bool same_pid(const struct event_of *put, const struct event_of *take)
{
	return take->pid == 0 || put->pid == take->pid;
}

/* Where a delivery stands among the sends of its number: [from, next) began before it ended. It
 * takes what one of those left pending that ended after the delivery before it had begun: that one
 * took all there was. Deliveries to two actors at once have no order: then it may be the other one
 * that needs such a send, and nothing is known of the sender. */
struct place {
	const struct event_of *take, *before; /* before: NULL, it is the first */
	uint32_t from, next, n;		      /* n: deliveries of the number before it */
	uint32_t since, own; /* either delivery's begin; the one before's, if surely before */
	uint32_t latest;     /* the last end of [from, next); PL_NEVER: one has none */
};

static const struct event_of *next_send(const struct signals *s, const struct place *at, bool own)
{
	for (uint32_t i = at->next; i < s->nput && s->put[i].tag == at->take->tag; i++)
		if (!own || same_pid(&s->put[i], at->take))
			return &s->put[i];
	return NULL;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* By how much stamps must be wrong for the last send before, or the first one after, to count. */
static int64_t doubt(struct signals *s, const struct place *at, uint32_t latest, uint32_t since,
	const struct event_of *later)
{
	return least(latest ? pl_gap(s->c, latest, since) : INT64_MAX,
		later ? pl_gap(s->c, at->take->ret, later->inv) : INT64_MAX);
}

static void over_found(struct signals *s, const struct place *at)
{
	const struct event_of *later = next_send(s, at, false), *t = at->take;
	struct pl_case *c = s->c;

	if (!pl_find(c, "SOVER", doubt(s, at, 0, 0, later),
		    "actor %d took delivery %u of signal %llu when only %u sends of it had begun",
		    pl_say_actor(c, t->ref), at->n + 1, (unsigned long long)t->tag, at->n))
		return;
	pl_witness(c, t->ref);
	if (later)
		pl_witness(c, later->ref);
}

static void again_found(struct signals *s, const struct place *at)
{
	const struct event_of *later = next_send(s, at, false), *t = at->take;
	struct pl_case *c = s->c;

	if (!pl_find(c, "SAGAIN", doubt(s, at, at->latest, at->since, later),
		    "actor %d took signal %llu again, but nobody had sent it since the delivery "
		    "before, by actor %d",
		    pl_say_actor(c, t->ref), (unsigned long long)t->tag,
		    pl_say_actor(c, at->before->ref)))
		return;
	pl_witness(c, at->before->ref);
	pl_witness(c, t->ref);
}

/* Is the sender that was told of among those that count? A search that gets long is given up. */
static void check_sender(struct signals *s, const struct place *at)
{
	enum { LONG = 4096 };
	const struct event_of *t = at->take, *later;
	struct pl_case *c = s->c;
	uint32_t latest = 0;
	int64_t slack;

	for (uint32_t i = at->next; i-- > at->from;) {
		if (same_pid(&s->put[i], t) && s->put[i].ret > at->own)
			return;
		if (same_pid(&s->put[i], t) && s->put[i].ret > latest)
			latest = s->put[i].ret;
		if (at->next - i > LONG)
			return;
	}
	later = next_send(s, at, true);
	slack = doubt(s, at, latest, at->own, later);
	if (latest)
		slack = least(slack, pl_gap(c, at->before->ret, t->inv));
	if (!pl_find(c, "SFALSE", slack,
		    "actor %d was told of signal %llu from process %d, which %s",
		    pl_say_actor(c, t->ref), (unsigned long long)t->tag, t->pid,
		    latest  ? "had not sent it since it was delivered before"
		    : later ? "began to send it only afterwards"
			    : "never sent it"))
		return;
	pl_witness(c, t->ref);
	if (later)
		pl_witness(c, later->ref);
}

/* Moves on to the sends of this delivery's number that began before it ended. */
static void advance(const struct signals *s, struct place *at)
{
	const struct event_of *t = at->take;

	if (!at->before || t->tag != at->before->tag) {
		while (at->next < s->nput && s->put[at->next].tag < t->tag)
			at->next++;
		at->from = at->next, at->n = at->latest = 0, at->before = NULL;
	}
	for (; at->next < s->nput && s->put[at->next].tag == t->tag &&
		s->put[at->next].inv < t->ret;
		at->next++)
		if (s->put[at->next].ret > at->latest)
			at->latest = s->put[at->next].ret;
	at->own = at->before && at->before->ret < t->inv ? at->before->inv : 0;
	at->since = !at->before ? 0 : at->before->inv < t->inv ? at->before->inv : t->inv;
}

/* The k-th delivery to end needs k sends begun before its end, and one of them since the last. */
static void check_over(struct signals *s)
{
	struct place at = { 0 };

	group(s->take, s->ntake, by_end);
	for (uint32_t i = 0; i < s->ntake && !pl_settled(s->c); i++, at.n++) {
		at.before = at.take;
		at.take = &s->take[i];
		if (at.take->ret == PL_NEVER)
			break; /* the last ones: of no number */
		advance(s, &at);
		if (at.n >= at.next - at.from)
			over_found(s, &at);
		else if (at.latest < at.since)
			again_found(s, &at);
		else if (at.take->pid)
			check_sender(s, &at);
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

/* From when to when a send's number was certainly pending; when the last delivery ended that came
 * too early to take it. */
struct pending {
	uint32_t from, until, begun, early, ref;
};

/* How far the sends and deliveries have been gone through. */
struct progress {
	uint32_t put, take, cut;
};

/* Each send of the next number that returned: lost, or pending until a delivery may have begun to consume it. How many
 * are pending. */
static uint32_t check_lost(
	struct signals *s, const struct horizon *h, struct progress *at, struct pending *certain)
{
	uint32_t t = at->take, n = 0, cut = at->cut, i = at->put;

	for (; i < s->nput && s->put[i].tag == s->put[at->put].tag && !pl_settled(s->c); i++) {
		const struct event_of *p = &s->put[i], *last;
		uint32_t until;

		while (t < s->ntake &&
			(s->take[t].tag < p->tag ||
				(s->take[t].tag == p->tag && s->take[t].ret < p->inv)))
			t++;
		last = t > 0 && s->take[t - 1].tag == p->tag ? &s->take[t - 1] : NULL;
		until = t < s->ntake && s->take[t].tag == p->tag ? h->least[t] : PL_NEVER;
		if (p->ret == PL_NEVER)
			continue;
		if (until == PL_NEVER && s->c->drained && cut == PL_NEVER)
			lost_found(s, p, last);
		until = until < cut ? until : cut;
		if (p->ret < until)
			certain[n++] = (struct pending){ p->ret, until, p->inv,
				last ? last->ret : PL_NEVER, p->ref };
	}
	at->put = i, at->take = t;
	return n;
}

static int by_from(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

/* Nearly in order already: sends of one number, by their begins. */
static void sort_pending(struct pending *v, uint32_t n)
{
	uint64_t moves = 0, most = 16 * (uint64_t)n + 256;

	for (uint32_t i = 1; i < n && moves <= most; i++) {
		struct pending x = v[i];
		uint32_t at = i;

		for (; at > 0 && v[at - 1].from > x.from && moves <= most; at--, moves++)
			v[at] = v[at - 1];
		v[at] = x;
	}
	if (moves > most)
		qsort(v, n, sizeof *v, by_from);
}

static void empty_found(struct signals *s, const struct event_of *e, const struct pending *p)
{
	struct pl_case *c = s->c;
	int64_t slack = least(pl_gap(c, p->from, e->inv), pl_gap(c, e->ret, p->until));

	if (!pl_find(c, "SEMPTY", least(slack, pl_gap(c, p->early, p->begun)),
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

	sort_pending(certain, n);
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
	struct progress at = { .cut = cut_off(s) };
	struct horizon h = { 0 };

	group(s->put, s->nput, by_begin);
	check_over(s);
	qsort(s->empty, s->nempty, sizeof *s->empty, by_begin); /* all of number 0 */
	if (!make_horizon(s, &h) || !certain)
		s->c->nomem = true;
	while (!s->c->nomem && at.put < s->nput && !pl_settled(s->c))
		check_empty(s, certain, check_lost(s, &h, &at, certain));
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
