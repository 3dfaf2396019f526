/* SPDX-License-Identifier: MIT
 *
 * Reads that follow one another: their bytes are put together and each is held against what was written.
 */
#include "stream.h"

#include "../hist/payload.h"

#include <string.h>

/* The payload read last is not whole, and another one goes on. */
static void interrupted(struct pl_stream *s, int t)
{
	struct pl_flow *f = &s->f[s->cur];
	uint32_t missing = pl_stream_must(f) > f->next ? pl_stream_must(f) - f->next : 0;

	if (missing == 0 || pl_stream_interruptible(s, f) || f->epoch != s->epoch)
		return;
	if (missing > s->loose + pl_stream_by_chance(s))
		pl_stream_blame(s,
			pl_find(s->c, "TORN", -1,
				"%s, one write of %u bytes, is not in one piece: after byte %u "
				"comes %s",
				pl_stream_name_of(s, s->cur), f->total, f->next,
				pl_stream_name_of(s, t)),
			s->cur, t);
	else
		s->loose -= missing;
	f->next = pl_stream_must(f);
}

/* Bytes [o, o + len) of payload t come next in the stream. */
static void append(struct pl_stream *s, int t, uint32_t o, uint32_t len)
{
	struct pl_flow *f = &s->f[t];
	int *last = &s->last_of[s->q.v[t].prio];

	if (s->cur >= 0 && s->cur != t)
		interrupted(s, t);
	if (o < f->next && pl_stream_interruptible(s, f) && f->next - o <= pl_stream_by_chance(s)) {
		pl_stream_loosen(s, f->next - o);
		f->next = o;
	}
	if (o < f->next)
		pl_stream_blame(s,
			pl_find(s->c, "SHUF", -1, "byte %u of %s was read again, after byte %u", o,
				pl_stream_name_of(s, t), f->next - 1),
			t, -1);
	else if (t < *last)
		pl_stream_blame(s,
			pl_find(s->c, "SHUF", -1,
				"bytes of %s came out after those of %s, which its writer wrote "
				"later",
				pl_stream_name_of(s, t), pl_stream_name_of(s, *last)),
			t, *last);
	else if (o - f->next > s->loose + pl_stream_by_chance(s))
		pl_stream_blame(s,
			pl_find(s->c, "SHUF", -1,
				"bytes %u to %u of %s are missing from the stream", f->next, o - 1,
				pl_stream_name_of(s, t)),
			t, -1);
	else
		s->loose -= o - f->next;
	if (f->next == 0 && o == 0)
		pl_stream_first_byte(s, t);
	*last = t > *last ? t : *last;
	f->next = o + len > f->next ? o + len : f->next;
	f->out = s->since;
	f->epoch = s->epoch;
	s->cur = t;
	s->after_hole = false;
}

static uint32_t match(const struct pl_stream *s, int t, uint32_t from, uint32_t n)
{
	unsigned char want[PL_STREAM_RUN];
	uint32_t m = 0;

	pl_payload_fill(want, s->c->head->seed, s->q.v[t].token, from, n, s->f[t].total);
	while (m < n && want[m] == s->run[m])
		m++;
	return m;
}

/* When the read began that got the n-th byte of the run, at the earliest. */
static uint32_t since_of(const struct pl_stream *s, uint32_t n)
{
	return n > s->old ? s->since : s->run_since;
}

/* The same of bytes that were not told apart as they came: by an earlier read, perhaps. */
static void append_run(struct pl_stream *s, int t, uint32_t o, uint32_t len)
{
	uint32_t since = s->since, last = since_of(s, len);

	s->since = since_of(s, 1);
	append(s, t, o, len);
	s->since = since;
	s->f[t].out = last;
}

static void drop(struct pl_stream *s, uint32_t n)
{
	s->old = s->old > n ? s->old - n : 0;
	s->nrun -= n;
	memmove(s->run, s->run + n, s->nrun);
}

/* Whole marks in the run, and the rest of the payload that nothing may interrupt. True: more bytes
 * may help. */
static bool resolve_known(struct pl_stream *s, bool last)
{
	struct pl_piece p;

	while (s->nrun > 0 && !s->doubt) {
		struct pl_flow *f = s->cur >= 0 ? &s->f[s->cur] : NULL;
		uint32_t need = f && pl_stream_must(f) > f->next ? pl_stream_must(f) - f->next : 0,
			 n, m = 0;

		if (need > 0 && !pl_stream_interruptible(s, f) && f->epoch == s->epoch) {
			n = need < s->nrun ? need : s->nrun;
			m = match(s, s->cur, f->next, n);
			f->next += m;
			f->out = m > 0 ? since_of(s, m) : f->out;
			drop(s, m);
			if (m == n)
				continue;
		}
		if (s->nrun >= PL_MARK &&
			pl_payload_piece(s->run, s->nrun, 0, s->c->head->seed, &p) &&
			p.kind == PL_EXTENT) {
			uint32_t at = pl_tokens_at(&s->q.tokens, p.token);

			if (at == 0 ||
				p.offset + p.len > (uint64_t)s->f[at - 1].acc + s->f[at - 1].maybe)
				pl_stream_unwritten(s, p.token, p.offset + p.len);
			else
				append_run(s, (int)at - 1, (uint32_t)p.offset, (uint32_t)p.len);
			drop(s, (uint32_t)p.len);
			continue;
		}
		if (s->nrun < PL_MARK && !last)
			return true;
		if (need > m && !pl_stream_interruptible(s, f) && f->epoch == s->epoch) {
			pl_stream_corrupt(s, s->nrun, s->cur, f->next);
			pl_stream_loosen(s, s->nrun);
			s->nrun = s->old = 0;
		}
		return false;
	}
	return false;
}

/* What is left of the run lies directly before byte o of payload t (-1: before nothing known). */
static void resolve_rest(struct pl_stream *s, int t, uint32_t o)
{
	struct pl_flow *f = t >= 0 ? &s->f[t] : NULL;
	uint32_t n = s->nrun;

	if (n == 0 || s->doubt)
		return;
	if (f && o > f->next && o - f->next == n) {
		bool own = s->cur == t || (f->next == 0 && f->atomic && !s->after_hole);

		if (match(s, t, f->next, n) == n) {
			append_run(s, t, f->next, n);
			s->nrun = s->old = 0;
			return;
		}
		if (own)
			pl_stream_corrupt(s, n, t, f->next);
	} else if (!s->partial && !s->anon && !s->after_hole && (f || n >= PL_MARK)) {
		pl_stream_corrupt(s, n, -1, 0);
	}
	pl_stream_loosen(s, n);
	s->nrun = s->old = 0;
}

/* More bytes than the record could hold. */
static void add_unseen(struct pl_stream *s, const struct pl_more *m, uint32_t n)
{
	(void)resolve_known(s, true);
	resolve_rest(s, -1, 0);
	if (s->partial || s->anon || s->after_hole)
		pl_stream_loosen(s, n);
	else
		pl_stream_corrupt(s, n, s->cur, s->cur >= 0 ? s->f[s->cur].next : 0);
}

static void add_bytes(struct pl_stream *s, const struct pl_more *m)
{
	uint32_t n = m->len;

	if (n > sizeof m->raw) {
		add_unseen(s, m, n);
		return;
	}
	if (s->nrun + n > PL_STREAM_RUN) {
		(void)resolve_known(s, true);
		resolve_rest(s, -1, 0);
	}
	memcpy(s->run + s->nrun, m->raw, n);
	s->nrun += n;
	(void)resolve_known(s, false);
}

static void add_extent(struct pl_stream *s, const struct pl_more *m)
{
	uint32_t at = pl_tokens_at(&s->q.tokens, m->token);
	int64_t n = pl_stream_own_bytes(s, m, at ? &s->f[at - 1] : NULL);

	if (n < 0)
		return;
	(void)resolve_known(s, true);
	resolve_rest(s, (int)at - 1, m->offset);
	append(s, (int)at - 1, m->offset, (uint32_t)n);
}

void pl_stream_joined_read(struct pl_stream *s, const struct pl_more *m, const struct pl_more *end)
{
	for (; m < end && !s->doubt; m++)
		if (m->kind == PL_EXTENT)
			add_extent(s, m);
		else
			add_bytes(s, m);
	if (s->old == 0)
		s->run_since = s->since;
	s->old = s->nrun;
}

void pl_stream_joined_end(struct pl_stream *s)
{
	(void)resolve_known(s, true);
	resolve_rest(s, -1, 0);
}
