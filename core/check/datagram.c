/* SPDX-License-Identifier: MIT
 *
 * Datagrams that nobody vouches for: UDP. One may be lost, may pass another, and may come twice:
 * none of that is counted against it. What is received must have been sent.
 *
 *   VFRESH    a datagram was received that nobody sent, or before its send began
 *   VFAILED   a datagram was received although its send returned an error
 *   VCORRUPT  what was received is no datagram of this round, or has not the length that was sent. One from
 *             an address that nothing else came from may be a stranger's
 *   VSOURCE   two datagrams of one actor were told to come from different addresses
 *
 * With PL_LATE one may come after its round: numbers rise, so one below all that its actor has put
 * in this round is of an earlier one. Exact, where the stamps of a take's end and a send's begin
 * differ.
 */
#include "values.h"

#include "../hist/payload.h"

#include <stdlib.h>

enum { OWN = 64 }; /* addresses of the actors that are known */

struct pl_mail {
	struct pl_values q;
	struct pl_case *c;
	uint64_t *
		source; /* by actor: the address its datagrams are told to come from; 0 not known */
	uint64_t own[OWN];
	int nown;
	bool looked;
};

static void put_begin(struct pl_mail *m, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	struct pl_values *q = &m->q;
	uint32_t *slot;

	if (r->token == 0 || r->len < PL_MARK) {
		q->nanon += r->state != PL_FAIL;
		return;
	}
	slot = pl_tokens_place(&q->tokens, r->token);
	if (!slot) {
		m->c->nomem = true;
		return;
	}
	if (*slot != 0 && !q->v[*slot - 1].failed) {
		m->c->broken = "two sends carry the same payload";
		return;
	}
	q->v[q->n] = (struct pl_value){ .token = r->token,
		.e_inv = e->rank,
		.put = pl_ref(m->c, e->who, r),
		.take = PL_NEVER,
		.prio = e->who };
	q->v[q->n].len = r->len;
	q->v[q->n].failed = r->state == PL_FAIL;
	*slot = ++q->n;
}

/* The first token that an actor puts in this round; 0: none. */
static uint64_t first_of(const struct pl_actor *a)
{
	for (uint64_t k = 0; k < a->n; k++)
		if (pl_role_of(a->head, &a->rec[k]) == PL_PUT && a->rec[k].token != 0)
			return a->rec[k].token;
	return 0;
}

bool pl_is_late(const struct pl_case *c, uint64_t token)
{
	int who;
	uint64_t first;

	if (!(c->head->caps & PL_LATE))
		return false;
	who = pl_actor_by_id(c, pl_token_actor(token));
	first = who < 0 ? 0 : first_of(&c->actor[who]);
	return first == 0 || token < first || token >> 40 != first >> 40;
}

static void take_unsent(struct pl_mail *m, const struct pl_event *e)
{
	uint32_t ref = pl_ref(m->c, e->who, e->rec);

	if (pl_is_late(m->c, e->rec->token))
		return;
	for (int i = 0; i < m->c->nactors; i++)
		for (uint64_t k = 0; k < m->c->actor[i].n; k++) {
			const struct pl_rec *put = &m->c->actor[i].rec[k];
			int64_t gap = put->t_invoke - e->rec->t_return;

			if (put->token != e->rec->token ||
				pl_role_of(m->c->actor[i].head, put) != PL_PUT)
				continue;
			if (pl_find(m->c, "VFRESH", i == e->who ? -1 : gap,
				    "actor %d had received %s %s before actor %d began to send it",
				    pl_say_actor(m->c, ref), pl_say_token(put->token),
				    pl_say_ns(gap), m->c->actor[i].id)) {
				pl_witness(m->c, ref);
				pl_witness(m->c, pl_ref(m->c, i, put));
			}
			return;
		}
	if (pl_find(m->c, "VFRESH", -1, "actor %d received %s, which nobody sent",
		    pl_say_actor(m->c, ref), pl_say_token(e->rec->token)))
		pl_witness(m->c, ref);
}

/* Whether anything of this run was told to come from that address: it is one of the actors' own, and no
 * stranger's, who may send to any port. Looked up once; of more than a few nothing is said. */
static bool is_own_address(struct pl_mail *m, uint64_t from)
{
	for (int i = 0; i < m->c->nactors && !m->looked; i++)
		for (uint64_t k = 0; k < m->c->actor[i].n && m->nown < OWN; k++) {
			const struct pl_rec *r = &m->c->actor[i].rec[k];
			int at = 0;

			if (r->state != PL_OK || r->token == 0 ||
				pl_role_of(m->c->actor[i].head, r) != PL_TAKE)
				continue;
			while (at < m->nown && m->own[at] != r->aux)
				at++;
			m->own[at] = r->aux;
			m->nown += at == m->nown;
		}
	m->looked = true;
	for (int i = 0; i < m->nown; i++)
		if (m->own[i] == from)
			return true;
	return false;
}

/* No token: too short to have one, or cut off by a buffer that it fills, or damaged. */
static void take_unnamed(struct pl_mail *m, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	uint32_t ref = pl_ref(m->c, e->who, r);

	if (r->ret == 0 || (r->ret < PL_MARK && m->q.nanon > 0) || r->ret >= (int64_t)r->len)
		return;
	if (r->aux != 0 && !is_own_address(m, r->aux))
		return;
	if (pl_find(m->c, "VCORRUPT", -1,
		    "actor %d's %s returned %lld bytes that are no payload of this run",
		    pl_say_actor(m->c, ref), pl_say_op(m->c, ref), (long long)r->ret))
		pl_witness(m->c, ref);
}

static void check_source(struct pl_mail *m, const struct pl_value *v, uint64_t from, uint32_t ref)
{
	uint64_t *known = &m->source[v->prio];

	if (from == 0 || *known == from)
		return;
	if (*known != 0 &&
		pl_find(m->c, "VSOURCE", -1,
			"%s was told to come from address %llu, what else actor %d sent from %llu",
			pl_say_token(v->token), (unsigned long long)from,
			pl_say_actor(m->c, v->put), (unsigned long long)*known)) {
		pl_witness(m->c, v->put);
		pl_witness(m->c, ref);
	}
	*known = from;
}

static void take_end(struct pl_mail *m, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	uint32_t at, ref = pl_ref(m->c, e->who, r);
	struct pl_value *v;

	if (r->state == PL_FAIL)
		return;
	if (r->token == 0) {
		take_unnamed(m, e);
		return;
	}
	at = pl_tokens_at(&m->q.tokens, r->token);
	if (at == 0) {
		take_unsent(m, e);
		return;
	}
	v = &m->q.v[at - 1];
	v->take = ref;
	if (v->failed &&
		pl_find(m->c, "VFAILED", -1, "actor %d received %s although actor %d's %s failed",
			pl_say_actor(m->c, ref), pl_say_token(v->token), pl_say_actor(m->c, v->put),
			pl_say_op(m->c, v->put))) {
		pl_witness(m->c, v->put);
		pl_witness(m->c, ref);
	}
	if (!v->failed && r->ret != v->len &&
		pl_find(m->c, "VCORRUPT", -1, "%s was sent with %u bytes and received with %lld",
			pl_say_token(v->token), (unsigned)v->len, (long long)r->ret)) {
		pl_witness(m->c, v->put);
		pl_witness(m->c, ref);
	}
	check_source(m, v, r->aux, ref);
}

static void read_all(struct pl_mail *m, struct pl_merge *merge)
{
	struct pl_event e;

	while (pl_merge_next(merge, &e)) {
		if (!e.rec || m->c->broken)
			continue;
		if (e.role == PL_PUT && e.kind == PL_EV_BEGIN)
			put_begin(m, &e);
		else if (e.role == PL_TAKE && e.kind == PL_EV_END)
			take_end(m, &e);
	}
}

void pl_check_datagram(struct pl_case *c)
{
	struct pl_merge *merge = pl_merge_new(c, true);
	struct pl_mail m = { .c = c };

	m.source = calloc((size_t)c->nactors + 1, sizeof *m.source);
	if (pl_values_alloc(&m.q, c) < 0 || !merge || !m.source) {
		c->nomem = true;
	} else {
		read_all(&m, merge);
	}
	pl_merge_free(merge);
	pl_values_free(&m.q);
	free(m.source);
}
