/* SPDX-License-Identifier: MIT
 *
 * How many places of a stream may be taken, where its room is in places: a pipe's are pages. A write takes at most as
 * many as its length begins, and has them until all bytes of its payload that were accepted are certainly read, or some
 * of what its writer wrote later. What nobody can be seen to have read stays for ever: so it is never too few.
 */
#include "stream.h"

static int64_t places_of(const struct pl_stream_room *m, const struct pl_rec *r)
{
	int64_t bytes = r->state == PL_OK ? r->ret : (int64_t)r->len;

	return bytes / m->grain + (bytes % m->grain > 0);
}

/* A long write takes what there is. */
static int64_t needed(const struct pl_stream_room *m, const struct pl_rec *r)
{
	return r->len > PL_PIPE_BUF ? 1 : (r->len + m->grain - 1) / m->grain;
}

/* Its number, or -1. */
static int64_t flow_of(const struct pl_stream *s, uint64_t token)
{
	return token ? (int64_t)pl_tokens_at(&s->q.tokens, token) - 1 : -1;
}

static void put_begin(struct pl_stream *s, const struct pl_event *e)
{
	struct pl_stream_room *m = &s->room;
	const struct pl_rec *r = e->rec;
	int64_t i = r->state == PL_OK ? flow_of(s, r->token) : -1;

	if (m->places + needed(m, r) <= m->of)
		m->had_place = e->rank;
	m->places += places_of(m, r);
	if (i < 0)
		return;
	s->lot[i].places += places_of(m, r);
	s->lot[i].upto = s->places[e->who].taken += places_of(m, r);
}

/* Bytes of this payload were read: all that its writer wrote before it is gone, and it is, too, if those are the last. */
static void gone(struct pl_stream *s, uint64_t token, uint64_t bytes)
{
	int64_t i = flow_of(s, token), left;
	struct pl_stream_places *w;
	struct pl_stream_lot *l;

	if (i < 0)
		return;
	l = &s->lot[i];
	w = &s->places[s->q.v[i].prio];
	l->gone += bytes;
	left = l->gone < s->f[i].acc ? l->upto - l->places : l->upto;
	if (left <= w->left)
		return;
	s->room.places -= left - w->left;
	w->left = left;
}

static void take_end(struct pl_stream *s, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec, *end = s->c->actor[e->who].rec + s->c->actor[e->who].n;

	if (r->token)
		gone(s, r->token, (uint64_t)r->ret);
	for (r++; r < end && r->state == PL_MORE; r++) {
		const struct pl_more *m = (const struct pl_more *)r;

		if (m->kind == PL_EXTENT)
			gone(s, m->token, m->len);
	}
}

void pl_stream_places_event(struct pl_stream *s, const struct pl_event *e)
{
	if (s->room.of == 0)
		return;
	if (e->role == PL_PUT && e->kind == PL_EV_BEGIN)
		put_begin(s, e);
	else if (e->role == PL_PUT && e->kind == PL_EV_END && e->rec->state == PL_FAIL)
		s->room.places -= places_of(&s->room, e->rec);
	else if (e->role == PL_TAKE && e->kind == PL_EV_END && e->rec->state == PL_OK)
		take_end(s, e);
}
