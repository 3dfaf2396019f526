/* SPDX-License-Identifier: MIT
 *
 * The stream checker's findings that both ways of reading file, and what they note.
 */
#include "stream.h"

/* Would a write change what is known of all: that none is cut, that all are named, how many there are to write? */
static bool tells(const struct pl_stream *s, int who, const struct pl_rec *r)
{
	bool whole = !(s->c->head->caps & PL_PIECEMEAL) && r->len <= PL_PIPE_BUF &&
		     (r->state == PL_INVOKED || r->ret == (int64_t)r->len);

	return r->state != PL_FAIL &&
	       (s->last_of[who] == -2 || !whole || r->token == 0 || r->len < PL_MARK);
}

/* Does one begin after the read at hand by less than the clock may be wrong? Its bytes may be in it. */
static bool told_late(const struct pl_stream *s)
{
	struct pl_case *c = s->c;
	const struct pl_rec *read =
		s->ref != PL_NEVER && c->clock_error > 0 ? pl_rec_of(c, s->ref, NULL) : NULL;

	for (int i = 0; read && i < c->nactors; i++)
		for (uint64_t k = 0; k < c->actor[i].n; k++) {
			const struct pl_rec *r = &c->actor[i].rec[k];

			if (i != s->who && r->state != PL_MORE &&
				pl_role_of(c->actor[i].head, r) == PL_PUT &&
				r->t_invoke >= read->t_return &&
				r->t_invoke - read->t_return <= c->clock_error && tells(s, i, r))
				return true;
		}
	return false;
}

void pl_stream_blame(struct pl_stream *s, bool is, int a, int b)
{
	if (!is)
		return;
	s->doubt |= told_late(s);
	if (a >= 0)
		pl_witness(s->c, s->q.v[a].put);
	if (b >= 0)
		pl_witness(s->c, s->q.v[b].put);
	pl_witness(s->c, s->ref);
}

void pl_stream_loosen(struct pl_stream *s, uint64_t n)
{
	s->loose += (int64_t)n;
	s->loosened = true;
}

void pl_stream_corrupt(struct pl_stream *s, uint32_t n, int t, uint32_t at)
{
	bool is;

	if (t >= 0)
		is = pl_find(s->c, "CORRUPT", -1,
			"actor %d read %u bytes after byte %u of %s that are not its own",
			pl_say_actor(s->c, s->ref), n, at, pl_stream_name_of(s, t));
	else
		is = pl_find(s->c, "CORRUPT", -1,
			"actor %d read %u bytes that no payload contains at that place",
			pl_say_actor(s->c, s->ref), n);
	pl_stream_blame(s, is, t, -1);
}

/* Bytes of a payload that nobody had begun to write, or beyond what had been accepted. */
void pl_stream_unwritten(struct pl_stream *s, uint64_t token, uint64_t upto)
{
	struct pl_case *c = s->c;
	const struct pl_rec *read = pl_rec_of(c, s->ref, NULL), *first = NULL;
	uint64_t accepted = 0;
	int64_t slack = INT64_MAX;
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
	if (first && c->actor[who].id != pl_say_actor(c, s->ref))
		slack = first->t_invoke - read->t_return;
	if (first && accepted >= upto) {
		s->doubt = slack <= c->clock_error;
		is = pl_find(c, "EARLY", slack,
			"actor %d had read bytes of %s %s before actor %d began to write them",
			pl_say_actor(c, s->ref), pl_say_token(token),
			pl_say_ns(first->t_invoke - read->t_return), c->actor[who].id);
	} else
		is = pl_find(c, "EXTRA", -1,
			"actor %d read %llu bytes of %s, but only %llu were accepted by successful "
			"writes",
			pl_say_actor(c, s->ref), (unsigned long long)upto, pl_say_token(token),
			(unsigned long long)accepted);
	pl_stream_blame(s, is, -1, -1);
}

void pl_stream_first_byte(struct pl_stream *s, int t)
{
	struct pl_value *v = &s->q.v[t];
	bool is;

	if (pl_stream_interruptible(s, &s->f[t]) && s->f[t].head <= pl_stream_by_chance(s)) {
		pl_stream_loosen(s, 0); /* these may be another's that look the same */
		return;
	}
	v->d_inv = s->since > v->e_inv ? s->since : v->e_inv;
	v->d_ret = s->rank;
	v->take = s->ref;
	if (!s->overlapping && s->newest >= 0 && v->e_ret != PL_NEVER &&
		s->q.v[s->newest].e_inv > v->e_ret) {
		is = pl_find(s->c, "ORDER", pl_gap(s->c, v->e_ret, s->q.v[s->newest].e_inv),
			"%s came out after %s, although its write returned %s that of %s "
			"began",
			pl_stream_name_of(s, t), pl_stream_name_of(s, s->newest),
			pl_say_before(s->c, v->e_ret, s->q.v[s->newest].e_inv),
			pl_stream_name_of(s, s->newest));
		pl_stream_blame(s, is, t, s->newest);
	}
	if (s->newest < 0 || s->q.v[s->newest].e_inv < v->e_inv)
		s->newest = t;
	pl_values_settle(&s->q, v, s->rank);
}

int64_t pl_stream_own_bytes(struct pl_stream *s, const struct pl_more *m, const struct pl_flow *f)
{
	int64_t most = f ? (int64_t)f->acc + f->maybe : 0,
		over = (int64_t)m->offset + m->len - most;

	if (m->len == 0)
		return -1;
	if (f && over <= 0)
		return m->len;
	if (!f || !pl_stream_interruptible(s, f) || over > pl_stream_by_chance(s) ||
		over >= m->len) {
		pl_stream_loosen(s, m->len);
		pl_stream_unwritten(s, m->token, (uint64_t)m->offset + m->len);
		return -1;
	}
	pl_stream_loosen(s, (uint64_t)over);
	return m->len - over;
}
