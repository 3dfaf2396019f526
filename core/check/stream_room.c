/* SPDX-License-Identifier: MIT
 *
 * How many bytes a stream held, at most and at least, whoever they were of.
 *
 *   OVERCAP   more bytes were certainly inside than the object holds
 *   BADFULL   a write found no room although nothing at all can have been inside, or although the places that
 *             can have been taken leave what it needs: a socket's room is not told, but an empty one has some
 *
 * A write that fails may have had room set aside for it meanwhile, so it counts as long as it lasts.
 */
#include "stream.h"

static int64_t worth(const struct pl_rec *r)
{
	return r->state == PL_OK ? r->ret : (int64_t)r->len + 1;
}

/* What another begins after a claim could have been in its way. */
static void came_after(struct pl_stream_room *m, const struct pl_event *e)
{
	for (int i = m->open; i < m->nfull; i++)
		if (m->full[i].after == PL_NEVER && m->full[i].who != e->who)
			m->full[i].after = e->rank;
	while (m->open < m->nfull && m->full[m->open].after != PL_NEVER)
		m->open++;
}

static void put_begin(struct pl_stream_room *m, const struct pl_event *e)
{
	if (m->most == 0)
		m->was_empty = e->rank;
	m->most += worth(e->rec);
	m->begun = e->rank;
	if (m->open < m->nfull)
		came_after(m, e);
}

static void went(struct pl_stream_room *m, const struct pl_event *e, int64_t bytes)
{
	m->most -= bytes;
	if (m->less_by != e->who)
		m->less_other = m->less, m->less_by = e->who;
	m->less = e->rank;
}

static void put_end(struct pl_stream_room *m, struct pl_case *c, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	struct pl_stream_claim claim = { .ref = pl_ref(c, e->who, r),
		.before = m->less_by != e->who ? m->less : m->less_other,
		.since = e->since,
		.until = e->rank,
		.after = PL_NEVER,
		.who = e->who,
		.empty = m->was_empty == e->since };

	if (r->state == PL_OK)
		m->least += r->ret;
	if (m->least > m->limit && m->over.ref == PL_NEVER) {
		m->over = claim;
		m->over.bytes = m->least;
	}
	if (r->state != PL_FAIL)
		return;
	if (pl_found_nothing(r) && r->len > 0 && m->begun == e->since &&
		(claim.empty || m->had_place == e->since) && m->nfull < PL_STREAM_CLAIMS)
		m->full[m->nfull++] = claim;
	went(m, e, worth(r));
}

void pl_stream_room_event(struct pl_stream_room *m, struct pl_case *c, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;

	if (e->role == PL_PUT && e->kind == PL_EV_BEGIN)
		put_begin(m, e);
	else if (e->role == PL_PUT && e->kind == PL_EV_END)
		put_end(m, c, e);
	else if (e->role != PL_TAKE || r->state == PL_FAIL)
		return;
	else if (e->kind == PL_EV_END)
		went(m, e, r->ret);
	else if (e->kind == PL_EV_BEGIN) {
		m->least -= r->state == PL_OK ? r->ret : (int64_t)r->len;
		if (m->over.ref != PL_NEVER && m->over.after == PL_NEVER && m->least <= m->limit)
			m->over.after = e->rank;
	}
}

static void full_found(struct pl_case *c, const struct pl_stream_claim *f)
{
	int64_t slack = pl_gap(c, f->before, f->since), after = pl_gap(c, f->until, f->after);

	if (pl_find(c, "BADFULL", after < slack ? after : slack,
		    "actor %d's %s found no room although %s", pl_say_actor(c, f->ref),
		    pl_say_op(c, f->ref),
		    f->empty ? "nothing can have been inside"
			     : "what can have been inside leaves enough"))
		pl_witness(c, f->ref);
}

/* Where bytes may have been taken for another payload's for a while, places may seem to be free too early. */
static bool counts(const struct pl_stream *s, const struct pl_stream_claim *f)
{
	return f->empty || pl_stream_by_chance(s) == 0;
}

void pl_stream_room_judge(const struct pl_stream *s)
{
	const struct pl_stream_room *m = &s->room;
	const struct pl_stream_claim *o = &m->over;
	struct pl_case *c = s->c;

	if (c->head->flags & PL_HIST_ALTERED)
		return;
	if (o->ref != PL_NEVER &&
		pl_find(c, "OVERCAP", pl_span(c, o->until, o->after),
			"at least %lld bytes were inside when actor %d's %s ended, but the object "
			"holds %lld",
			(long long)o->bytes, pl_say_actor(c, o->ref), pl_say_op(c, o->ref),
			(long long)m->limit))
		pl_witness(c, o->ref);
	for (int i = 0; i < m->nfull && !(c->head->caps & PL_LATE) && !pl_settled(c); i++)
		if (counts(s, &m->full[i]))
			full_found(c, &m->full[i]);
}

void pl_stream_room_new(struct pl_stream_room *m, const struct pl_case *c)
{
	uint64_t cap = c->head->capacity, grain = c->head->grain;

	*m = (struct pl_stream_room){ .limit = INT64_MAX, .over = { .ref = PL_NEVER } };
	m->had_place = m->begun = m->was_empty = m->less = m->less_by = m->less_other = PL_NEVER;
	if (cap > 0 && cap <= UINT32_MAX && grain > 0)
		m->limit = (int64_t)(cap * grain), m->of = (int64_t)cap, m->grain = (int64_t)grain;
}
