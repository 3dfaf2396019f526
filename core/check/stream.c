/* SPDX-License-Identifier: MIT
 *
 * A byte stream: pipes, FIFOs, stream sockets (checking.md A.6).
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
 *   EXTRA     bytes that no write has accepted
 *   EARLY     bytes were read before their write began
 *   ORDER     a payload came out before another that had been written before it was begun
 *   LOST      bytes accepted, the pipe drained, never read
 *   STALE     end of file while bytes were inside or a writer was still there
 *   VWIT      nothing to read while bytes were inside (room.c)
 */
#include "values.h"

#include "../hist/payload.h"

#include <stdlib.h>
#include <string.h>

enum { RUN = 256, MARK = PL_MARK, READERS = 256 };

/* Where a large write is cut inside a mark, the next bytes are another's, and one in 256 happens to
 * go on like the mark: it is counted for the wrong payload until the right one turns up. So many
 * bytes of that are allowed. */
enum { CHANCE = 8 };

/* How far a payload has got. Beside its pl_value, under the same index. */
struct flow {
	uint32_t total, acc; /* its length; bytes accepted by writes begun so far */
	uint32_t maybe;	     /* more that a write without an end may have put */
	uint32_t next;	     /* bytes seen; with overlapping reads only their number */
	uint32_t out;	     /* rank at which the read of its last byte began */
	uint32_t epoch : 31; /* holes before it was last seen; overlapping reads: reader + 1 */
	uint32_t atomic : 1; /* one write of at most PIPE_BUF */
};

struct stream {
	struct pl_values q;
	struct pl_case *c;
	struct flow *f;
	struct pl_empty *eof;
	uint32_t neof;
	int *last_of; /* by writer: index of the payload last seen of it; -1 none */
	int *last_by; /* overlapping reads: the same, by reader and writer */
	bool overlapping, restart;
	bool anon;     /* payloads too short to be told apart are about */
	bool partial;  /* so are payloads that others may interrupt */
	bool loosened; /* some bytes were not told apart, or may have been swallowed */
	int64_t loose; /* how many of those no payload has been given yet */
	uint32_t nwriters, epoch, holes_open;
	uint32_t hole_end, read_end; /* ranks */
	uint32_t tail; /* overlapping reads: where in `cur` the last extent of this read ended */
	int reader;
	bool after_hole;
	int cur;    /* payload seen last; -1: none, or not known */
	int newest; /* of the payloads begun in the stream, the one with the latest e_inv */
	unsigned char run[RUN]; /* bytes not told apart yet */
	uint32_t nrun;
	uint32_t put_end; /* rank of the last successful write's end */
	/* the read at hand */
	uint32_t ref, since, rank;
	int who;
};

static bool interruptible(const struct stream *s, const struct flow *f)
{
	return !f->atomic && s->nwriters > 1;
}

static int64_t by_chance(const struct stream *s)
{
	return s->partial && s->nwriters > 1 ? CHANCE : 0;
}

static uint32_t must(const struct flow *f)
{
	return f->atomic ? f->acc + f->maybe : f->acc;
}

static const char *name_of(const struct stream *s, int i)
{
	return pl_say_token(s->q.v[i].token);
}

static void blame(struct stream *s, bool is, int a, int b)
{
	if (!is)
		return;
	if (a >= 0)
		pl_witness(s->c, s->q.v[a].put);
	if (b >= 0)
		pl_witness(s->c, s->q.v[b].put);
	pl_witness(s->c, s->ref);
}

/* ---- writes ---- */

static void write_more(struct stream *s, const struct pl_rec *r, struct flow *f)
{
	if (r->state == PL_FAIL || (r->state == PL_OK && r->ret == 0))
		return;
	if (r->aux != f->acc || f->maybe > 0) {
		s->c->broken = "a write does not go on where the one before it ended";
		return;
	}
	if (r->state == PL_OK)
		f->acc += (uint32_t)r->ret;
	else
		f->maybe = r->len;
}

static void write_begin(struct stream *s, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	struct pl_values *q = &s->q;
	uint32_t *slot;
	struct flow *f;

	if (r->state == PL_OK && (r->ret < 0 || r->ret > (int64_t)r->len || r->len > 1u << 30)) {
		s->c->broken = "a write took more than it was given";
		return;
	}
	if (r->token == 0 || (r->aux == 0 && r->len < MARK)) {
		s->anon |= r->state != PL_FAIL;
		return;
	}
	slot = pl_values_slot(q, r->token);
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
	f = &s->f[q->n];
	*f = (struct flow){ .total = r->len, .epoch = s->epoch };
	f->atomic = r->len <= PL_PIPE_BUF && (r->state == PL_INVOKED || r->ret == (int64_t)r->len);
	*(r->state == PL_OK ? &f->acc : &f->maybe) = r->state == PL_OK ? (uint32_t)r->ret : r->len;
	s->partial |= !f->atomic;
	if (s->last_of[e->who] == -2) {
		s->last_of[e->who] = -1;
		s->nwriters++;
	}
	*slot = ++q->n;
}

static void write_end(struct stream *s, const struct pl_event *e)
{
	uint32_t at;

	if (e->rec->state == PL_FAIL || (e->rec->state == PL_OK && e->rec->ret <= 0))
		return;
	if (e->kind == PL_EV_END)
		s->put_end = e->rank;
	at = e->rec->token ? *pl_values_slot(&s->q, e->rec->token) : 0;
	if (at)
		pl_values_settle(&s->q, &s->q.v[at - 1], e->rank);
}

/* ---- bytes ---- */

/* Bytes of a payload that nobody had begun to write, or beyond what had been accepted. */
static void unwritten(struct stream *s, uint64_t token, uint64_t upto)
{
	struct pl_case *c = s->c;
	const struct pl_rec *read = pl_rec_of(c, s->ref, NULL), *first = NULL;
	uint64_t accepted = 0;
	int who = 0;
	bool is;

	for (int i = 0; i < c->nactors; i++)
		for (uint64_t k = 0; k < c->actor[i].n; k++) {
			const struct pl_rec *r = &c->actor[i].rec[k];

			if (r->token != token || pl_role_of(c->actor[i].head, r) != PL_PUT)
				continue;
			accepted += r->state == PL_OK && r->ret > 0 ? (uint64_t)r->ret : 0;
			accepted += r->state == PL_INVOKED ? r->len : 0;
			if (r->t_invoke >= read->t_return && r->state != PL_FAIL && !first)
				first = r, who = i;
		}
	if (first && accepted >= upto)
		is = pl_find(c, "EARLY",
			c->actor[who].id == pl_say_actor(c, s->ref)
				? -1
				: first->t_invoke - read->t_return,
			"actor %d had read bytes of %s %s before actor %d began to write them",
			pl_say_actor(c, s->ref), pl_say_token(token),
			pl_say_ns(first->t_invoke - read->t_return), c->actor[who].id);
	else
		is = pl_find(c, "EXTRA", -1,
			"actor %d read %llu bytes of %s, but only %llu were accepted by successful "
			"writes",
			pl_say_actor(c, s->ref), (unsigned long long)upto, pl_say_token(token),
			(unsigned long long)accepted);
	blame(s, is, -1, -1);
}

static void first_byte(struct stream *s, int t)
{
	struct pl_value *v = &s->q.v[t];
	bool is;

	v->d_inv = s->since > v->e_inv ? s->since : v->e_inv;
	v->d_ret = s->rank;
	v->take = s->ref;
	if (!s->overlapping && s->newest >= 0 && v->e_ret != PL_NEVER &&
		s->q.v[s->newest].e_inv > v->e_ret) {
		is = pl_find(s->c, "ORDER", pl_gap(s->c, v->e_ret, s->q.v[s->newest].e_inv),
			"%s came out after %s, although its write returned %s before that of %s "
			"began",
			name_of(s, t), name_of(s, s->newest),
			pl_say_ns(pl_span(s->c, v->e_ret, s->q.v[s->newest].e_inv)),
			name_of(s, s->newest));
		blame(s, is, t, s->newest);
	}
	if (s->newest < 0 || s->q.v[s->newest].e_inv < v->e_inv)
		s->newest = t;
	pl_values_settle(&s->q, v, s->rank);
}

/* The payload read last is not whole, and another one goes on. */
static void interrupted(struct stream *s, int t)
{
	struct flow *f = &s->f[s->cur];
	uint32_t missing = must(f) > f->next ? must(f) - f->next : 0;

	if (missing == 0 || interruptible(s, f) || f->epoch != s->epoch)
		return;
	if (missing > s->loose + by_chance(s))
		blame(s,
			pl_find(s->c, "TORN", -1,
				"%s, one write of %u bytes, is not in one piece: after byte %u "
				"comes %s",
				name_of(s, s->cur), f->total, f->next, name_of(s, t)),
			s->cur, t);
	else
		s->loose -= missing;
	f->next = must(f);
}

/* Bytes [o, o + len) of payload t come next in the stream. */
static void append(struct stream *s, int t, uint32_t o, uint32_t len)
{
	struct flow *f = &s->f[t];
	int *last = &s->last_of[s->q.v[t].prio];

	if (s->cur >= 0 && s->cur != t)
		interrupted(s, t);
	if (o < f->next)
		blame(s,
			pl_find(s->c, "SHUF", -1, "byte %u of %s was read again, after byte %u", o,
				name_of(s, t), f->next - 1),
			t, -1);
	else if (t < *last)
		blame(s,
			pl_find(s->c, "SHUF", -1,
				"bytes of %s came out after those of %s, which its writer wrote "
				"later",
				name_of(s, t), name_of(s, *last)),
			t, *last);
	else if (o - f->next > s->loose + by_chance(s))
		blame(s,
			pl_find(s->c, "SHUF", -1,
				"bytes %u to %u of %s are missing from the stream", f->next, o - 1,
				name_of(s, t)),
			t, -1);
	else
		s->loose -= o - f->next;
	if (f->next == 0 && o == 0)
		first_byte(s, t);
	*last = t > *last ? t : *last;
	f->next = o + len > f->next ? o + len : f->next;
	f->out = s->since;
	f->epoch = s->epoch;
	s->cur = t;
	s->after_hole = false;
}

static uint32_t match(const struct stream *s, int t, uint32_t from, uint32_t n)
{
	unsigned char want[RUN];
	uint32_t m = 0;

	pl_payload_fill(want, s->c->head->seed, s->q.v[t].token, from, n, s->f[t].total);
	while (m < n && want[m] == s->run[m])
		m++;
	return m;
}

static void drop(struct stream *s, uint32_t n)
{
	s->nrun -= n;
	memmove(s->run, s->run + n, s->nrun);
}

static void corrupt(struct stream *s, uint32_t n, int t, uint32_t at)
{
	bool is;

	if (t >= 0)
		is = pl_find(s->c, "CORRUPT", -1,
			"actor %d read %u bytes after byte %u of %s that are not its own",
			pl_say_actor(s->c, s->ref), n, at, name_of(s, t));
	else
		is = pl_find(s->c, "CORRUPT", -1,
			"actor %d read %u bytes that no payload contains at that place",
			pl_say_actor(s->c, s->ref), n);
	blame(s, is, t, -1);
}

static void loosen(struct stream *s, uint64_t n)
{
	s->loose += (int64_t)n;
	s->loosened = true;
}

/* Whole marks in the run, and the rest of the payload that nothing may interrupt. True: more bytes
 * may help. */
static bool resolve_known(struct stream *s, bool last)
{
	struct pl_piece p;

	while (s->nrun > 0) {
		struct flow *f = s->cur >= 0 ? &s->f[s->cur] : NULL;
		uint32_t need = f && must(f) > f->next ? must(f) - f->next : 0, n, m = 0;

		if (need > 0 && !interruptible(s, f) && f->epoch == s->epoch) {
			n = need < s->nrun ? need : s->nrun;
			m = match(s, s->cur, f->next, n);
			f->next += m;
			f->out = s->since;
			drop(s, m);
			if (m == n)
				continue;
		}
		if (s->nrun >= MARK && pl_payload_piece(s->run, s->nrun, 0, s->c->head->seed, &p) &&
			p.kind == PL_EXTENT) {
			uint32_t at = *pl_values_slot(&s->q, p.token);

			if (at == 0 ||
				p.offset + p.len > (uint64_t)s->f[at - 1].acc + s->f[at - 1].maybe)
				unwritten(s, p.token, p.offset + p.len);
			else
				append(s, (int)at - 1, (uint32_t)p.offset, (uint32_t)p.len);
			drop(s, (uint32_t)p.len);
			continue;
		}
		if (s->nrun < MARK && !last)
			return true;
		if (need > m && !interruptible(s, f) && f->epoch == s->epoch) {
			corrupt(s, s->nrun, s->cur, f->next);
			loosen(s, s->nrun);
			s->nrun = 0;
		}
		return false;
	}
	return false;
}

/* What is left of the run lies directly before byte o of payload t (-1: before nothing known). */
static void resolve_rest(struct stream *s, int t, uint32_t o)
{
	struct flow *f = t >= 0 ? &s->f[t] : NULL;
	uint32_t n = s->nrun;

	if (n == 0)
		return;
	if (f && o > f->next && o - f->next == n) {
		bool own = s->cur == t || (f->next == 0 && f->atomic && !s->after_hole);

		if (match(s, t, f->next, n) == n) {
			uint32_t from = f->next;

			s->nrun = 0;
			append(s, t, from, n);
			return;
		}
		if (own)
			corrupt(s, n, t, f->next);
	} else if (!s->partial && !s->anon && !s->after_hole && (f || n >= MARK)) {
		corrupt(s, n, -1, 0);
	}
	loosen(s, n);
	s->nrun = 0;
}

/* More bytes than the record could hold. */
static void add_unseen(struct stream *s, const struct pl_more *m, uint32_t n)
{
	(void)resolve_known(s, true);
	resolve_rest(s, -1, 0);
	if (s->partial || s->anon || s->after_hole)
		loosen(s, n);
	else
		corrupt(s, n, s->cur, s->cur >= 0 ? s->f[s->cur].next : 0);
}

static void add_bytes(struct stream *s, const struct pl_more *m)
{
	uint32_t n = m->len;

	if (n > sizeof m->raw) {
		add_unseen(s, m, n);
		return;
	}
	if (s->nrun + n > RUN) {
		(void)resolve_known(s, true);
		resolve_rest(s, -1, 0);
	}
	memcpy(s->run + s->nrun, m->raw, n);
	s->nrun += n;
	(void)resolve_known(s, false);
}

/* How many bytes of an extent are certainly its payload's; -1: it cannot be its at all. */
static int64_t own_bytes(struct stream *s, const struct pl_more *m, const struct flow *f)
{
	int64_t most = f ? (int64_t)f->acc + f->maybe : 0,
		over = (int64_t)m->offset + m->len - most;

	if (over <= 0)
		return m->len;
	if (!f || !interruptible(s, f) || over > by_chance(s) || over >= m->len) {
		unwritten(s, m->token, (uint64_t)m->offset + m->len);
		return -1;
	}
	loosen(s, (uint64_t)over);
	return m->len - over;
}

static void add_extent(struct stream *s, const struct pl_more *m)
{
	uint32_t at = *pl_values_slot(&s->q, m->token);
	int64_t n = own_bytes(s, m, at ? &s->f[at - 1] : NULL);

	if (n < 0)
		return;
	(void)resolve_known(s, true);
	resolve_rest(s, (int)at - 1, m->offset);
	append(s, (int)at - 1, m->offset, (uint32_t)n);
}

/* ---- reads ---- */

/* One read whose place in the stream is not known: what its own bytes say. `before`: bytes of this
 * read that were not told apart since the payload `s->cur`. */
static void lone_extent(struct stream *s, const struct pl_more *m, uint32_t before)
{
	uint32_t at = *pl_values_slot(&s->q, m->token);
	int64_t n = own_bytes(s, m, at ? &s->f[at - 1] : NULL);
	int t = (int)at - 1, *last;
	struct flow *f, *g;

	if (n < 0)
		return;
	f = &s->f[t];
	g = s->cur >= 0 && s->cur != t ? &s->f[s->cur] : NULL;
	last = s->last_by ? &s->last_by[s->who * READERS + s->q.v[t].prio] : NULL;
	if (g && s->tail < must(g) && must(g) - s->tail > before && !interruptible(s, g))
		blame(s,
			pl_find(s->c, "TORN", -1,
				"%s, one write of %u bytes, is not in one piece: after byte %u "
				"comes %s",
				name_of(s, s->cur), g->total, s->tail, name_of(s, t)),
			s->cur, t);
	if (g && m->offset > before && !interruptible(s, f) && !interruptible(s, g))
		blame(s,
			pl_find(s->c, "TORN", -1,
				"%s, one write of %u bytes, is not in one piece: before byte %u "
				"comes %s",
				name_of(s, t), f->total, m->offset, name_of(s, s->cur)),
			t, s->cur);
	if ((s->cur == t && m->offset < s->tail) || (last && t < *last) ||
		(int64_t)f->next + n > (int64_t)f->acc + f->maybe)
		blame(s,
			pl_find(s->c, "SHUF", -1,
				"bytes of %s were read twice, or after what its writer wrote later",
				name_of(s, t)),
			t, last && *last >= 0 ? *last : -1);
	if (last && t > *last)
		*last = t;
	f->next += (uint32_t)n;
	if (m->offset + n == f->total)
		f->out = s->since;
	if (m->offset == 0 && !pl_value_taken(&s->q.v[t]))
		first_byte(s, t);
	s->cur = t;
	s->tail = m->offset + (uint32_t)n;
}

/* Bytes too few to name their origin: those after an extent of an uninterrupted write are its own.
 */
static void lone_bytes(struct stream *s, const struct pl_more *m)
{
	uint32_t n = m->len < sizeof m->raw ? m->len : (uint32_t)sizeof m->raw, need;
	const struct flow *f = s->cur >= 0 ? &s->f[s->cur] : NULL;
	unsigned char want[sizeof m->raw];

	if (m->kind == PL_CORRUPT && !s->partial && !s->anon)
		corrupt(s, m->len, -1, 0);
	if (!f || s->tail >= must(f) || interruptible(s, f))
		return;
	need = must(f) - s->tail;
	n = n < need ? n : need;
	pl_payload_fill(want, s->c->head->seed, s->q.v[s->cur].token, s->tail, n, f->total);
	if (memcmp(want, m->raw, n) != 0)
		corrupt(s, n, s->cur, s->tail);
	s->tail += n;
}

static void lone_read(struct stream *s, const struct pl_more *m, const struct pl_more *end)
{
	uint32_t before = 0;

	s->cur = -1;
	for (; m < end; m++) {
		if (m->kind == PL_EXTENT) {
			lone_extent(s, m, before);
			before = 0;
			continue;
		}
		lone_bytes(s, m);
		before += m->len;
		loosen(s, m->len);
	}
}

static void joined_read(struct stream *s, const struct pl_more *m, const struct pl_more *end)
{
	for (; m < end; m++)
		if (m->kind == PL_EXTENT)
			add_extent(s, m);
		else
			add_bytes(s, m);
}

/* Whether this read certainly follows all before it. */
static bool follows(struct stream *s)
{
	int64_t gap;

	if (s->holes_open > 0 || s->since < s->hole_end)
		return false;
	if (s->reader < 0 || s->reader == s->who)
		return true;
	if (s->since < s->read_end)
		return false;
	if (s->c->clock_error == 0)
		return true;
	gap = pl_gap(s->c, s->read_end, s->since);
	return gap > s->c->clock_error;
}

static void read_end(struct stream *s, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	const struct pl_actor *a = &s->c->actor[e->who];
	const struct pl_more *m = (const struct pl_more *)(r + 1), *end = m;
	const struct pl_more *stop = (const struct pl_more *)(a->rec + a->n);
	uint64_t sum = 0;
	uint32_t ref = pl_ref(s->c, e->who, r);

	if (r->state == PL_FAIL) {
		if (r->err == EAGAIN || r->err == ETIMEDOUT)
			s->q.empty[s->q.nempty++] = (struct pl_empty){ e->since, e->rank, ref };
		return;
	}
	if (r->ret == 0 && r->len > 0)
		s->eof[s->neof++] = (struct pl_empty){ e->since, e->rank, ref };
	for (; end < stop && end->state == PL_MORE; end++)
		sum += end->len;
	if (r->ret < 0 || sum != (uint64_t)r->ret) {
		s->c->broken = "a read's pieces do not add up";
		return;
	}
	if (r->ret == 0)
		return;
	s->ref = ref, s->since = e->since, s->rank = e->rank, s->who = e->who;
	if (s->overlapping) {
		lone_read(s, m, end);
		return;
	}
	if (!follows(s)) {
		s->restart = true;
		return;
	}
	joined_read(s, m, end);
	s->read_end = e->rank;
	s->reader = e->who;
}

/* A killed reader: what it may have swallowed is a hole in the stream. */
static void hole(struct stream *s, const struct pl_event *e)
{
	if (e->kind == PL_EV_BEGIN) {
		s->holes_open++;
		loosen(s, e->rec->len);
		if (s->overlapping)
			return;
		(void)resolve_known(s, true);
		resolve_rest(s, -1, 0);
		s->epoch++;
		s->cur = -1;
		s->after_hole = true;
	} else if (e->kind == PL_EV_REAPED) {
		s->holes_open--;
		s->hole_end = e->rank;
	}
}

static void read_event(struct stream *s, const struct pl_event *e)
{
	if (!e->rec)
		return;
	if (e->role == PL_PUT && e->kind == PL_EV_BEGIN)
		write_begin(s, e);
	else if (e->role == PL_PUT && e->kind != PL_EV_KILLED)
		write_end(s, e);
	else if (e->role == PL_TAKE && e->rec->state == PL_INVOKED)
		hole(s, e);
	else if (e->role == PL_TAKE && e->kind == PL_EV_END)
		read_end(s, e);
}

/* ---- the round ---- */

static void check_eof(struct stream *s)
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

static void check_lost(struct stream *s)
{
	int64_t missing = 0, chance = 0;
	int first = -1;

	for (uint32_t i = 0; i < s->q.n; i++) {
		const struct flow *f = &s->f[i];

		missing += f->acc > f->next ? f->acc - f->next : 0;
		if (f->acc < f->total)
			chance = by_chance(s); /* what it lent may never come */
		if (first < 0 && f->acc > f->next)
			first = (int)i;
		if (s->c->drained && !s->loosened && f->atomic && f->maybe > 0 && f->next > 0 &&
			f->next < f->maybe)
			blame(s,
				pl_find(s->c, "TORN", -1,
					"%s: its writer was killed, and %u of %u bytes came out; "
					"up to "
					"PIPE_BUF it is all or nothing",
					name_of(s, (int)i), f->next, f->total),
				(int)i, -1);
	}
	if (s->c->drained && missing > s->loose + chance)
		blame(s,
			pl_find(s->c, "LOST", -1,
				"%lld bytes were accepted and never read, though the object was "
				"drained; "
				"the first are byte %u on of %s",
				(long long)missing, s->f[first].next, name_of(s, first)),
			first, -1);
}

static void read_all(struct stream *s)
{
	struct pl_merge *m = pl_merge_new(s->c, true);
	struct pl_event e;

	if (!m) {
		s->c->nomem = true;
		return;
	}
	while (!s->restart && !s->c->broken && pl_merge_next(m, &e))
		read_event(s, &e);
	if (s->c->broken)
		while (pl_merge_next(m, &e))
			;
	pl_merge_free(m);
	if (s->overlapping || s->restart || s->c->broken)
		return;
	(void)resolve_known(s, true);
	resolve_rest(s, -1, 0);
}

static bool stream_new(struct stream *s, struct pl_case *c, bool overlapping)
{
	size_t n = (size_t)c->nrecs + 1, actors = (size_t)c->nactors + 1;

	*s = (struct stream){
		.c = c, .overlapping = overlapping, .cur = -1, .newest = -1, .reader = -1
	};
	s->put_end = PL_NEVER;
	s->f = malloc(n * sizeof *s->f);
	s->eof = malloc(n * sizeof *s->eof);
	s->last_of = malloc(actors * sizeof *s->last_of);
	for (size_t i = 0; s->last_of && i < actors; i++)
		s->last_of[i] = -2;
	if (overlapping && actors <= READERS) {
		s->last_by = malloc(actors * READERS * sizeof *s->last_by);
		for (size_t i = 0; s->last_by && i < actors * READERS; i++)
			s->last_by[i] = -1;
	}
	return pl_values_alloc(&s->q, c) == 0 && s->f && s->eof && s->last_of;
}

static void stream_free(struct stream *s)
{
	pl_values_free(&s->q);
	free(s->f);
	free(s->eof);
	free(s->last_of);
	free(s->last_by);
}

/* From here on a value's take is that of its last byte: as long as that is inside, the object is
 * not empty. */
static void use_last_bytes(struct stream *s)
{
	for (uint32_t i = 0; i < s->q.n; i++) {
		const struct flow *f = &s->f[i];
		struct pl_value *v = &s->q.v[i];

		if (!f->atomic || !pl_value_taken(v) || f->maybe > 0)
			continue;
		if (f->next >= f->total && f->out > v->d_inv)
			v->d_inv = f->out;
		else if (f->next < f->total && !s->q.known)
			v->d_inv = PL_NEVER;
	}
}

static void judge(struct stream *s)
{
	struct pl_empty *mine = s->q.empty;

	s->q.order = "ORDER";
	s->q.known = s->loosened || s->anon;
	pl_values_finish(&s->q);
	check_lost(s);
	pl_order_check(&s->q, NULL, s->q.n, s->q.by_ret, s->q.nput, !s->q.known);
	use_last_bytes(s);
	pl_empty_check(&s->q, "VWIT");
	check_eof(s);
	s->q.empty = mine;
}

void pl_check_stream(struct pl_case *c)
{
	const struct pl_verdict clean = *c->v;
	struct stream s;

	for (int overlapping = 0; overlapping < 2; overlapping++) {
		*c->v = clean;
		if (!stream_new(&s, c, overlapping)) {
			c->nomem = true;
			stream_free(&s);
			return;
		}
		read_all(&s);
		if (!s.restart) {
			if (!c->broken && !c->nomem)
				judge(&s);
			stream_free(&s);
			return;
		}
		stream_free(&s);
	}
}
