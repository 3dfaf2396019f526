/* SPDX-License-Identifier: MIT
 *
 * Reads that overlap: what the bytes of each one say by themselves.
 */
#include "stream.h"

#include "../hist/payload.h"

#include <string.h>

/* One read whose place in the stream is not known: what its own bytes say. `before`: bytes of this
 * read that were not told apart since the payload `s->cur`. */
static void lone_extent(struct pl_stream *s, const struct pl_more *m, uint32_t before)
{
	uint32_t at = pl_tokens_at(&s->q.tokens, m->token);
	int64_t n = pl_stream_own_bytes(s, m, at ? &s->f[at - 1] : NULL), lent;
	int t = (int)at - 1, *last;
	struct pl_flow *f, *g;

	if (n < 0)
		return;
	f = &s->f[t];
	g = s->cur >= 0 && s->cur != t ? &s->f[s->cur] : NULL;
	last = s->last_by ? &s->last_by[s->who * PL_STREAM_READERS + s->q.v[t].prio] : NULL;
	if (g && s->tail < pl_stream_must(g) && pl_stream_must(g) - s->tail > before &&
		!pl_stream_interruptible(s, g))
		pl_stream_blame(s,
			pl_find(s->c, "TORN", -1,
				"%s, one write of %u bytes, is not in one piece: after byte %u "
				"comes %s",
				pl_stream_name_of(s, s->cur), g->total, s->tail,
				pl_stream_name_of(s, t)),
			s->cur, t);
	if (g && m->offset > before && !pl_stream_interruptible(s, f) &&
		!pl_stream_interruptible(s, g))
		pl_stream_blame(s,
			pl_find(s->c, "TORN", -1,
				"%s, one write of %u bytes, is not in one piece: before byte %u "
				"comes %s",
				pl_stream_name_of(s, t), f->total, m->offset,
				pl_stream_name_of(s, s->cur)),
			t, s->cur);
	lent = pl_stream_interruptible(s, f) ? pl_stream_by_chance(s) : 0;
	if ((s->cur == t && m->offset + lent < s->tail) || (last && t < *last) ||
		(int64_t)f->next + n > (int64_t)f->acc + f->maybe + lent)
		pl_stream_blame(s,
			pl_find(s->c, "SHUF", -1,
				"bytes of %s were read twice, or after what its writer wrote later",
				pl_stream_name_of(s, t)),
			t, last && *last >= 0 ? *last : -1);
	if (last && t > *last)
		*last = t;
	f->next += (uint32_t)n;
	if (m->offset + n == f->total)
		f->out = s->since;
	if (m->offset == 0 && !pl_value_taken(&s->q.v[t]))
		pl_stream_first_byte(s, t);
	s->cur = t;
	s->tail = m->offset + (uint32_t)n;
}

/* Bytes too few to name their origin: those after an extent of an uninterrupted write are its own.
 */
static void lone_bytes(struct pl_stream *s, const struct pl_more *m)
{
	uint32_t n = m->len < sizeof m->raw ? m->len : (uint32_t)sizeof m->raw, need;
	const struct pl_flow *f = s->cur >= 0 ? &s->f[s->cur] : NULL;
	unsigned char want[sizeof m->raw];

	if (m->kind == PL_CORRUPT && !s->partial && !s->anon)
		pl_stream_corrupt(s, m->len, -1, 0);
	if (!f || s->tail >= pl_stream_must(f) || pl_stream_interruptible(s, f))
		return;
	need = pl_stream_must(f) - s->tail;
	n = n < need ? n : need;
	pl_payload_fill(want, s->c->head->seed, s->q.v[s->cur].token, s->tail, n, f->total);
	if (memcmp(want, m->raw, n) != 0)
		pl_stream_corrupt(s, n, s->cur, s->tail);
	s->tail += n;
}

void pl_stream_lone_read(struct pl_stream *s, const struct pl_more *m, const struct pl_more *end)
{
	uint32_t before = 0;

	s->cur = -1;
	for (; m < end && !s->doubt; m++) {
		if (m->kind == PL_EXTENT) {
			lone_extent(s, m, before);
			before = 0;
			continue;
		}
		lone_bytes(s, m);
		before += m->len;
		pl_stream_loosen(s, m->len);
	}
}
