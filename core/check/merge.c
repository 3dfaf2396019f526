/* SPDX-License-Identifier: MIT
 *
 * All events of a round in time order: a tournament tree over the actors' logs, each of which is in
 * order already. One pass, nothing stored. An actor's return and its next begin share a stamp, as a
 * rule: no event lies between them, and the tree is asked once for both.
 *
 * Stamps of equal value mean "concurrent" between actors, but one actor's return and its next begin
 * usually share a stamp and are in order. Both can be had as long as an instant is not shared by
 * returns of two actors; when it is, all that begins in it is put before all that ends in it, for
 * every actor.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* Where an actor's log is being read. The event at hand is `kind` at time `t`. */
struct cursor {
	const struct pl_rec *rec, *next, *end;
	int64_t t;
	uint8_t kind, role;
	uint8_t class; /* among events of one stamp: 0 begin, 1 end, 2 and 3 what follows an end */
	bool done;
};

struct stream {
	struct cursor at;
	uint32_t since; /* rank of the begin of the operation at hand */
	uint32_t batch; /* in a shared instant: rank of the first begin of it, */
	uint32_t nth;	/* and how many of those have ended */
	uint32_t open;	/* operations begun and not ended */
	uint64_t after; /* the end of another actor's that its last operation began after */
};

/* Of the tournament: who lost at this place, and with which key. */
struct loser {
	uint64_t key;
	uint32_t who;
};

struct pl_merge {
	struct pl_case *c;
	struct stream *s;
	uint64_t *key; /* of each stream's event at hand: time and class */
	struct loser *loser;
	uint32_t size; /* of the tree: a power of two */
	uint32_t win, rank, in_flight;
	bool stats;
	/* the shared instant being worked off: begins of all streams (pass 1), then ends (pass 2)
	 */
	int pass;
	int who;
	int64_t instant;
	struct cursor look;
	struct cursor held; /* a begin that comes next, whoever else waits; */
	int held_who;	    /* -1: there is none */
	uint64_t ends;	    /* counted */
	uint64_t latest[2]; /* the last end of all, and the last one of another actor than that; */
	int of[2];	    /* whose they are */
};

enum {
	AHEAD = 3
}; /* records fetched early: a processor follows fewer streams than there are actors */

static const uint64_t KEY_DONE = UINT64_MAX;
static const int64_t STAMP_MAX = INT64_MAX / 8;

static void fail(struct pl_merge *m, struct cursor *u, const char *why)
{
	if (!m->c->broken)
		m->c->broken = why;
	u->done = true;
}

/* The next record that is an operation, as a begin event. */
static bool begin_next(struct pl_merge *m, const struct pl_actor *a, struct cursor *u)
{
	while (u->next < u->end && (u->next->state < PL_INVOKED || u->next->state > PL_FAIL))
		u->next++;
	if (u->next >= u->end) {
		u->rec = u->kind == PL_EV_BEGIN ? u->rec : NULL;
		if (!a->dead || u->kind == PL_EV_KILLED || u->kind == PL_EV_REAPED) {
			u->done = true;
			return false;
		}
		u->kind = PL_EV_KILLED;
		u->t = a->t_kill > u->t ? a->t_kill : u->t;
		return true;
	}
	u->rec = u->next++;
	__builtin_prefetch(u->next + AHEAD);
	u->kind = PL_EV_BEGIN;
	u->role = (uint8_t)pl_role_of(a->head, u->rec);
	if (u->rec->t_invoke < u->t) {
		fail(m, u, "an actor's operation began before its last one returned");
		return false;
	}
	u->t = u->rec->t_invoke;
	return true;
}

static inline void step(struct pl_merge *m, const struct pl_actor *a, struct cursor *u)
{
	int64_t before = u->t;
	uint8_t class = u->class;

	if (u->kind == PL_EV_BEGIN && u->rec && u->rec->state != PL_INVOKED) {
		if (u->rec->t_return < u->t) {
			fail(m, u, "an operation returned before it began");
			return;
		}
		u->kind = PL_EV_END;
		u->t = u->rec->t_return;
	} else if (u->kind == PL_EV_KILLED) {
		if (a->t_reap == INT64_MAX) {
			u->done = true;
			return;
		}
		u->kind = PL_EV_REAPED;
		u->t = a->t_reap > u->t ? a->t_reap : u->t;
	} else {
		if (u->kind == PL_EV_BEGIN && u->rec && u->next < u->end) {
			while (u->next < u->end &&
				(u->next->state < PL_INVOKED || u->next->state > PL_FAIL))
				u->next++;
			if (u->next < u->end) {
				fail(m, u, "an operation follows one that never returned");
				return;
			}
		}
		if (!begin_next(m, a, u))
			return;
	}
	if (u->t >= STAMP_MAX) {
		fail(m, u, "a stamp is out of range");
		return;
	}
	if (u->kind == PL_EV_END || u->kind == PL_EV_REAPED)
		u->class = u->t == before && class >= 2 ? 3 : 1;
	else
		u->class = u->t != before || class == 0 ? 0 : class == 1 ? 2 : 3;
}

static uint64_t key_of(const struct cursor *u)
{
	return u->done ? KEY_DONE : (uint64_t)u->t * 4 + u->class;
}

/* Who loses is a coin's throw, so no branch depends on it: exchange by masks. Key and number have different widths so
 * that they stay in general registers: as a vector each level would wait for moves between register files. */
static inline void replay(struct pl_merge *m, uint32_t who)
{
	uint64_t k = m->key[who];
	uint32_t w = who;

	for (uint32_t i = (who + m->size) >> 1; i >= 1; i >>= 1) {
		struct loser *l = &m->loser[i];
		uint64_t mask = 0 - (uint64_t)(l->key < k), dk = (l->key ^ k) & mask;
		uint32_t dw = (l->who ^ w) & (uint32_t)mask;

		l->key ^= dk, l->who ^= dw;
		k ^= dk, w ^= dw;
	}
	m->win = w;
}

static uint32_t build(struct pl_merge *m, uint32_t i)
{
	uint32_t l, r;

	if (i >= m->size)
		return i - m->size;
	l = build(m, 2 * i);
	r = build(m, 2 * i + 1);
	if (m->key[r] < m->key[l]) {
		m->loser[i] = (struct loser){ m->key[l], l };
		return r;
	}
	m->loser[i] = (struct loser){ m->key[r], r };
	return l;
}

struct pl_merge *pl_merge_new(struct pl_case *c, bool stats)
{
	struct pl_merge *m = calloc(1, sizeof *m);
	uint32_t size = 1;

	while (size < (uint32_t)c->nactors)
		size *= 2;
	if (!m)
		return NULL;
	*m = (struct pl_merge){
		.c = c, .size = size, .stats = stats, .of = { -1, -1 }, .held_who = -1
	};
	m->s = calloc((size_t)c->nactors + 1, sizeof *m->s);
	m->key = malloc(size * sizeof *m->key);
	m->loser = calloc(size, sizeof *m->loser);
	if (!m->s || !m->key || !m->loser) {
		pl_merge_free(m);
		return NULL;
	}
	for (uint32_t i = 0; i < size; i++) {
		m->key[i] = KEY_DONE;
		if (i >= (uint32_t)c->nactors)
			continue;
		m->s[i].at = (struct cursor){ .next = c->actor[i].rec,
			.end = c->actor[i].rec + c->actor[i].n,
			.kind = PL_EV_END };
		step(m, &c->actor[i], &m->s[i].at);
		m->key[i] = key_of(&m->s[i].at);
	}
	m->win = build(m, 1);
	return m;
}

void pl_merge_free(struct pl_merge *m)
{
	if (!m)
		return;
	free(m->s);
	free(m->key);
	free(m->loser);
	free(m);
}

static void count_begin(struct pl_merge *m, int who, const struct pl_rec *r)
{
	struct pl_verdict *v = m->c->v;
	struct stream *s = &m->s[who];

	uint64_t after = m->latest[m->of[0] == who];

	v->ordered += after > s->after;
	s->after = after > s->after ? after : s->after;
	if (r->state == PL_INVOKED)
		v->pending++;
	else if (r->t_return - r->t_invoke < 20000) {
		v->short_ops++;
		v->overlapped += m->in_flight > s->open;
	}
	s->open++;
	m->in_flight++;
}

static void count_end(struct pl_merge *m, int who, const struct pl_rec *r, int role)
{
	struct pl_verdict *v = m->c->v;

	m->s[who].open--;
	m->in_flight--;
	if (m->of[0] != who)
		m->latest[1] = m->latest[0], m->of[1] = m->of[0];
	m->latest[0] = ++m->ends, m->of[0] = who;
	v->ops++;
	v->failed += r->state == PL_FAIL;
	if (r->op < PL_OPS_MAX) {
		v->op[r->op][0]++;
		v->op[r->op][1] += r->state == PL_FAIL;
	}
	if (role == PL_TAKE && r->state == PL_OK && r->ret > 0)
		v->bytes += (uint64_t)r->ret;
	v->lat[pl_lat_bucket(r->t_return - r->t_invoke)]++;
}

static inline void emit(struct pl_merge *m, int who, const struct cursor *u, struct pl_event *ret)
{
	struct stream *s = &m->s[who];

	ret->rec = u->rec;
	ret->t = u->t;
	ret->rank = m->rank++;
	ret->who = (uint16_t)who;
	ret->kind = u->kind;
	ret->role = u->role;
	ret->since = s->since;
	if (u->kind == PL_EV_BEGIN && m->stats)
		count_begin(m, who, u->rec);
	else if (u->kind == PL_EV_END && m->stats)
		count_end(m, who, u->rec, u->role);
	else if (u->kind == PL_EV_REAPED && u->rec && m->stats)
		s->open--, m->in_flight--;
}

/* The next event of a shared instant; false when it is worked off. */
static bool next_shared(struct pl_merge *m, struct pl_event *ret)
{
	for (; m->pass == 1; m->pass += m->who == m->c->nactors, m->who %= m->c->nactors) {
		struct cursor *u = &m->look;

		while (!u->done && u->t == m->instant) {
			struct cursor now = *u;
			const struct stream *s = &m->s[m->who];

			step(m, &m->c->actor[m->who], u);
			if (now.kind == PL_EV_END || now.kind == PL_EV_REAPED)
				continue;
			if (s->batch == PL_NEVER)
				m->s[m->who].batch = m->rank;
			emit(m, m->who, &now, ret);
			return true;
		}
		if (++m->who < m->c->nactors)
			m->look = m->s[m->who].at;
		else
			m->look = m->s[0].at;
	}
	for (; m->who < m->c->nactors; m->who++) {
		struct stream *s = &m->s[m->who];

		while (!s->at.done && s->at.t == m->instant) {
			struct cursor now = s->at;
			uint32_t since = s->since;

			step(m, &m->c->actor[m->who], &s->at);
			if (now.kind == PL_EV_BEGIN) {
				s->since = s->batch + s->nth++;
				continue;
			}
			if (now.kind == PL_EV_KILLED) {
				s->nth++;
				continue;
			}
			s->since = since;
			emit(m, m->who, &now, ret);
			return true;
		}
	}
	return false;
}

static void start_shared(struct pl_merge *m)
{
	m->pass = 1;
	m->who = 0;
	m->look = m->s[0].at;
	for (int i = 0; i < m->c->nactors; i++)
		m->s[i].batch = PL_NEVER, m->s[i].nth = 0;
}

static void end_shared(struct pl_merge *m)
{
	m->pass = 0;
	for (int i = 0; i < m->c->nactors; i++)
		m->key[i] = key_of(&m->s[i].at);
	m->win = build(m, 1);
}

static bool next_held(struct pl_merge *m, struct pl_event *ret)
{
	int who = m->held_who;

	m->held_who = -1;
	emit(m, who, &m->held, ret);
	m->s[who].since = ret->rank;
	return true;
}

/* Past an operation's end, to the end of the next one, whose begin is left in *ret_begin. False: that begin has not
 * the same stamp, or is not to be had so simply. */
static inline bool pass_begin(const struct pl_actor *a, struct cursor *u, struct cursor *ret_begin)
{
	const struct pl_rec *r = u->next;

	if (u->kind != PL_EV_END || r >= u->end || r->t_invoke != u->t ||
		(r->state != PL_OK && r->state != PL_FAIL) || r->t_return < u->t ||
		r->t_return >= STAMP_MAX)
		return false;
	__builtin_prefetch(r + 1 + AHEAD);
	u->rec = r;
	u->role = (uint8_t)pl_role_of(a->head, r);
	ret_begin->rec = r, ret_begin->t = u->t;
	ret_begin->kind = PL_EV_BEGIN, ret_begin->role = u->role;
	u->class = r->t_return == u->t ? 3 : 1;
	u->t = r->t_return;
	u->next = r + 1;
	return true;
}

/* Of the stream that wins. False: the instant is shared, and nothing is given. */
static inline bool next_alone(struct pl_merge *m, struct pl_event *ret)
{
	uint32_t who = m->win;
	const struct pl_actor *a = &m->c->actor[who];
	struct stream *s = &m->s[who];
	struct cursor next = s->at;
	uint64_t key = m->key[who];
	bool twice = pass_begin(a, &next, &m->held);

	if (!twice)
		step(m, a, &next);
	m->key[who] = key_of(&next);
	replay(m, who);
	if ((key & 3) == 1 && m->key[m->win] == key)
		return false;
	m->held_who = twice ? (int)who : -1;
	emit(m, (int)who, &s->at, ret);
	if (s->at.kind == PL_EV_BEGIN)
		s->since = ret->rank;
	s->at = next;
	return true;
}

bool pl_merge_next(struct pl_merge *m, struct pl_event *ret)
{
	if (m->held_who >= 0)
		return next_held(m, ret);
	if (m->pass > 0) {
		if (next_shared(m, ret))
			return true;
		end_shared(m);
	}
	if (m->c->nactors == 0 || m->key[m->win] == KEY_DONE) {
		m->c->nranks = m->rank;
		return false;
	}
	if (next_alone(m, ret))
		return true;
	m->instant = m->s[m->win].at.t;
	start_shared(m);
	return pl_merge_next(m, ret);
}
