/* SPDX-License-Identifier: MIT
 *
 * A byte stream: pipes, FIFOs, stream sockets.
 *
 * Every byte names its origin, so reads that follow one another are put together again and each
 * byte is held against what was written: exact. Reads that overlap leave the order of their bytes
 * open: then only what holds for each read, each reader and each payload's first byte is asked for:
 * sound. An actor killed in a read may have swallowed as many bytes as it asked for; one killed in
 * a write may have written a part, or all or nothing up to PIPE_BUF.
 *
 *   CORRUPT   bytes that no payload contains at that place
 *   TORN      a write of at most PIPE_BUF bytes is not in one piece
 *   SHUF      bytes of one writer doubled, left out or out of order
 *   EXTRA     bytes that no write has accepted; or more bytes in all than were accepted
 *   EARLY     bytes were read before their write began
 *   ORDER     a payload came out before another that had been written before it was begun
 *   LOST      bytes accepted, the object drained, never read
 *   STALE     end of file while bytes were inside or a writer was still there
 *   VWIT      nothing to read while bytes were inside (room.c)
 *   OVERCAP BADFULL   stream_room.c
 */
#include "stream.h"

#include <stdlib.h>

enum { LONGEST = 1 << 29 }; /* bytes of a write, and of the payload before it */

/* ---- writes ---- */

static void write_more(struct pl_stream *s, const struct pl_rec *r, struct pl_flow *f)
{
	if (r->state == PL_FAIL || (r->state == PL_OK && r->ret == 0))
		return;
	if (r->aux != f->acc || f->maybe > 0 || f->acc > LONGEST) {
		s->c->broken = "a write does not go on where the one before it ended";
		return;
	}
	if (r->state == PL_OK)
		f->acc += (uint32_t)r->ret;
	else
		f->maybe = r->len;
}

static void write_begin(struct pl_stream *s, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	struct pl_values *q = &s->q;
	uint32_t *slot;
	struct pl_flow *f;

	if (r->len > LONGEST || (r->state == PL_OK && (r->ret < 0 || r->ret > (int64_t)r->len))) {
		s->c->broken = "a write took more than it was given";
		return;
	}
	s->all_put += r->state == PL_OK ? (uint64_t)r->ret : 0;
	s->all_maybe += r->state == PL_INVOKED ? r->len : 0;
	q->unsure |= r->state == PL_INVOKED;
	if (r->token == 0 || (r->aux == 0 && r->len < PL_MARK)) {
		s->anon |= r->state != PL_FAIL;
		return;
	}
	slot = pl_tokens_place(&q->tokens, r->token);
	if (!slot) {
		s->c->nomem = true;
		return;
	}
	if (*slot != 0) {
		write_more(s, r, &s->f[*slot - 1]);
		return;
	}
	if (r->state == PL_FAIL || (r->state == PL_OK && r->ret == 0))
		return;
	if (r->aux != 0) {
		s->c->broken = "a payload's first write is missing";
		return;
	}
	q->v[q->n] = (struct pl_value){ .token = r->token,
		.e_inv = e->rank,
		.e_ret = PL_NEVER,
		.d_inv = PL_NEVER,
		.d_ret = PL_NEVER,
		.put = pl_ref(s->c, e->who, r),
		.take = PL_NEVER,
		.prio = e->who,
		.pending = r->state == PL_INVOKED };
	if (s->lot)
		s->lot[q->n] = (struct pl_stream_lot){ 0 };
	f = &s->f[q->n];
	*f = (struct pl_flow){ .total = r->len, .epoch = s->epoch };
	f->head = r->state == PL_OK ? (uint32_t)r->ret : r->len;
	f->atomic = !(s->c->head->caps & PL_PIECEMEAL) && r->len <= PL_PIPE_BUF &&
		    (r->state == PL_INVOKED || r->ret == (int64_t)r->len);
	*(r->state == PL_OK ? &f->acc : &f->maybe) = r->state == PL_OK ? (uint32_t)r->ret : r->len;
	s->partial |= !f->atomic;
	if (s->last_of[e->who] == -2) {
		s->last_of[e->who] = -1;
		s->nwriters++;
	}
	*slot = ++q->n;
}

static void write_end(struct pl_stream *s, const struct pl_event *e)
{
	uint32_t at;

	if (e->rec->state == PL_FAIL || (e->rec->state == PL_OK && e->rec->ret <= 0))
		return;
	if (e->kind == PL_EV_END)
		s->put_end = e->rank;
	at = e->rec->token ? pl_tokens_at(&s->q.tokens, e->rec->token) : 0;
	if (at)
		pl_values_settle(&s->q, &s->q.v[at - 1], e->rank);
}

/* ---- reads ---- */

/* Whether one came after the other for certain, however wrong the clock is. */
static bool after(struct pl_stream *s, uint32_t earlier, uint32_t later)
{
	return later >= earlier &&
	       (s->c->clock_error == 0 || pl_gap(s->c, earlier, later) > s->c->clock_error);
}

/* Whether this read certainly follows all before it. */
static bool follows(struct pl_stream *s)
{
	if (s->holes_open > 0 || (s->swallowed && !after(s, s->hole_end, s->since)))
		return false;
	return s->reader < 0 || s->reader == s->who || after(s, s->read_end, s->since);
}

/* A read that got one payload and nothing else says so in its own record. */
static struct pl_more whole_payload(const struct pl_rec *r)
{
	return (struct pl_more){ .kind = PL_EXTENT,
		.state = PL_MORE,
		.token = r->token,
		.len = (uint32_t)r->ret,
		.total = (uint32_t)r->ret };
}

static void read_end(struct pl_stream *s, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	const struct pl_actor *a = &s->c->actor[e->who];
	const struct pl_more *m = (const struct pl_more *)(r + 1), *end = m;
	const struct pl_more *stop = (const struct pl_more *)(a->rec + a->n);
	struct pl_more whole;
	uint64_t sum = 0;
	uint32_t ref = pl_ref(s->c, e->who, r);

	if (r->state == PL_FAIL) {
		if (pl_says_empty(s->c, r))
			s->q.empty[s->q.nempty++] = (struct pl_empty){ e->since, e->rank, ref };
		return;
	}
	if (r->ret == 0 && r->len > 0)
		s->eof[s->neof++] = (struct pl_empty){ e->since, e->rank, ref };
	for (; end < stop && end->state == PL_MORE; end++)
		sum += end->len;
	if (r->token != 0) {
		whole = whole_payload(r);
		sum = end == m && r->ret > 0 && r->ret <= LONGEST ? whole.len : UINT64_MAX;
		m = &whole, end = m + 1;
	}
	if (r->ret < 0 || sum != (uint64_t)r->ret) {
		s->c->broken = "a read's pieces do not add up";
		return;
	}
	if (r->ret == 0)
		return;
	s->all_read += (uint64_t)r->ret;
	s->ref = ref, s->since = e->since, s->rank = e->rank, s->who = e->who;
	if (s->overlapping) {
		pl_stream_lone_read(s, m, end);
		return;
	}
	if (!follows(s)) {
		s->restart = true;
		return;
	}
	pl_stream_joined_read(s, m, end);
	s->read_end = e->rank;
	s->reader = e->who;
}

/* A killed reader: what it may have swallowed is a hole in the stream. */
static void hole(struct pl_stream *s, const struct pl_event *e)
{
	if (e->kind == PL_EV_BEGIN) {
		s->holes_open++;
		s->swallowed = true;
		pl_stream_loosen(s, e->rec->len);
		if (s->overlapping)
			return;
		if (s->reader >= 0 && !after(s, s->read_end, e->rank)) {
			s->restart = true;
			return;
		}
		pl_stream_joined_end(s);
		s->epoch++;
		s->cur = -1;
		s->after_hole = true;
	} else if (e->kind == PL_EV_REAPED) {
		s->holes_open--;
		s->hole_end = e->rank;
	}
}

static void read_event(struct pl_stream *s, const struct pl_event *e)
{
	if (!e->rec)
		return;
	pl_stream_room_event(&s->room, s->c, e);
	if (e->role == PL_PUT && e->kind == PL_EV_BEGIN)
		write_begin(s, e);
	else if (e->role == PL_PUT && e->kind != PL_EV_KILLED)
		write_end(s, e);
	else if (e->role == PL_TAKE && e->rec->state == PL_INVOKED)
		hole(s, e);
	else if (e->role == PL_TAKE && e->kind == PL_EV_END)
		read_end(s, e);
	pl_stream_places_event(s, e);
}

/* ---- the round ---- */

static void check_eof(struct pl_stream *s)
{
	struct pl_case *c = s->c;

	for (uint32_t i = 0; i < s->neof && !pl_settled(c); i++) {
		const struct pl_empty *e = &s->eof[i];

		if (s->put_end != PL_NEVER && s->put_end > e->ret &&
			pl_find(c, "STALE", pl_gap(c, e->ret, s->put_end),
				"actor %d's %s returned end of file, but a write succeeded until "
				"%s later",
				pl_say_actor(c, e->ref), pl_say_op(c, e->ref),
				pl_say_ns(pl_span(c, e->ret, s->put_end))))
			pl_witness(c, e->ref);
	}
	s->q.empty = s->eof;
	s->q.nempty = s->neof;
	pl_empty_check(&s->q, "STALE");
}

static void check_lost(struct pl_stream *s)
{
	int64_t missing = 0, chance = 0;
	int first = -1;

	for (uint32_t i = 0; i < s->q.n; i++) {
		const struct pl_flow *f = &s->f[i];

		missing += f->acc > f->next ? f->acc - f->next : 0;
		if (f->acc < f->total)
			chance = pl_stream_by_chance(s); /* what it lent may never come */
		if (first < 0 && f->acc > f->next)
			first = (int)i;
		if (s->c->drained && !s->loosened && f->atomic && f->maybe > 0 && f->next > 0 &&
			f->next < f->maybe)
			pl_stream_blame(s,
				pl_find(s->c, "TORN", -1,
					"%s: its writer was killed, and %u of %u bytes came out; "
					"up to "
					"PIPE_BUF it is all or nothing",
					pl_stream_name_of(s, (int)i), f->next, f->total),
				(int)i, -1);
	}
	if (s->c->drained && missing > s->loose + chance)
		pl_stream_blame(s,
			pl_find(s->c, "LOST", -1,
				"%lld bytes were accepted and never read, though the object was "
				"drained; "
				"the first are byte %u on of %s",
				(long long)missing, s->f[first].next, pl_stream_name_of(s, first)),
			first, -1);
}

static void read_all(struct pl_stream *s)
{
	struct pl_merge *m = pl_merge_new(s->c, true);
	struct pl_event e;

	if (!m) {
		s->c->nomem = true;
		return;
	}
	while (!s->restart && !s->doubt && !s->c->broken && pl_merge_next(m, &e))
		read_event(s, &e);
	if (s->c->broken || s->doubt)
		while (pl_merge_next(m, &e))
			;
	pl_merge_free(m);
	if (s->overlapping || s->restart || s->doubt || s->c->broken)
		return;
	pl_stream_joined_end(s);
}

static bool stream_new(struct pl_stream *s, struct pl_case *c, bool overlapping)
{
	size_t n = (size_t)c->nrecs + 1, actors = (size_t)c->nactors + 1;

	*s = (struct pl_stream){
		.c = c, .overlapping = overlapping, .cur = -1, .newest = -1, .reader = -1
	};
	s->ref = PL_NEVER;
	s->put_end = PL_NEVER;
	pl_stream_room_new(&s->room, c);
	s->f = malloc(n * sizeof *s->f);
	s->lot = s->room.of > 0 ? malloc(n * sizeof *s->lot) : NULL;
	s->eof = malloc(n * sizeof *s->eof);
	s->last_of = malloc(actors * sizeof *s->last_of);
	s->places = calloc(actors, sizeof *s->places);
	for (size_t i = 0; s->last_of && i < actors; i++)
		s->last_of[i] = -2;
	if (overlapping && actors <= PL_STREAM_READERS) {
		s->last_by = malloc(actors * PL_STREAM_READERS * sizeof *s->last_by);
		for (size_t i = 0; s->last_by && i < actors * PL_STREAM_READERS; i++)
			s->last_by[i] = -1;
	}
	return pl_values_alloc(&s->q, c) == 0 && s->f && s->eof && s->last_of && s->places &&
	       (s->lot || s->room.of == 0);
}

static void stream_free(struct pl_stream *s)
{
	pl_values_free(&s->q);
	free(s->f);
	free(s->lot);
	free(s->eof);
	free(s->last_of);
	free(s->places);
	free(s->last_by);
}

/* From here on a value's take is that of its last byte: as long as that is inside, the object is
 * not empty. */
static void use_last_bytes(struct pl_stream *s)
{
	for (uint32_t i = 0; i < s->q.n; i++) {
		const struct pl_flow *f = &s->f[i];
		struct pl_value *v = &s->q.v[i];

		if (!f->atomic || !pl_value_taken(v) || f->maybe > 0)
			continue;
		if (f->next >= f->total && f->out > v->d_inv)
			v->d_inv = f->out;
		else if (f->next < f->total && !s->q.known)
			v->d_inv = PL_NEVER;
	}
}

/* Whoever they are of: as many bytes come out as went in. */
static void check_sum(struct pl_stream *s)
{
	bool more = s->all_read > s->all_put + s->all_maybe;
	bool fewer = s->c->drained && !s->swallowed && s->all_read < s->all_put;

	if ((more || fewer) && s->ref != PL_NEVER &&
		pl_find(s->c, more ? "EXTRA" : "LOST", -1,
			"%llu bytes were accepted in all, and %llu were read%s",
			(unsigned long long)(s->all_put + (more ? s->all_maybe : 0)),
			(unsigned long long)s->all_read,
			fewer ? ", though the object was drained" : ""))
		pl_witness(s->c, s->ref);
}

static void judge(struct pl_stream *s)
{
	struct pl_empty *mine = s->q.empty;

	s->q.order = "ORDER";
	s->q.known = s->loosened || s->anon;
	pl_values_finish(&s->q);
	check_lost(s);
	check_sum(s);
	pl_order_check(&s->q, NULL, s->q.n, s->q.by_ret, s->q.nput, !s->q.known);
	use_last_bytes(s);
	pl_empty_check(&s->q, "VWIT");
	check_eof(s);
	pl_stream_room_judge(s);
	s->q.empty = mine;
}

/* Nor does what was found before count: that the reads overlap may not have been noticed yet. */
static void in_doubt(struct pl_case *c)
{
	c->v->outcome = PL_HELD;
	c->v->nwit = 0;
	pl_unknown(c, "EARLY",
		"bytes were read before their write began, by less than the clock may be wrong");
}

void pl_check_stream(struct pl_case *c)
{
	const struct pl_verdict clean = *c->v;
	struct pl_stream s;

	for (int overlapping = 0; overlapping < 2; overlapping++) {
		*c->v = clean;
		if (!stream_new(&s, c, overlapping)) {
			c->nomem = true;
			stream_free(&s);
			return;
		}
		read_all(&s);
		if (!s.restart) {
			if (s.doubt)
				in_doubt(c);
			else if (!c->broken && !c->nomem)
				judge(&s);
			stream_free(&s);
			return;
		}
		stream_free(&s);
	}
}
