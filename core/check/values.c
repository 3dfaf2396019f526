/* SPDX-License-Identifier: MIT
 *
 * Reading a round into values: one pass over the events, one hash table.
 *
 * Rules filed here, none of which needs a clock but "before it was sent":
 *   VFRESH    a payload was received that nobody sent, or before its send began
 *   VREPET    a payload was received twice
 *   VFAILED   a payload was received although its send returned an error
 *   VTAG      a payload was received with another priority than it was sent with
 *   VCORRUPT  what was received is no payload, or has not the length that was sent
 */
#include "values.h"

#include <stdlib.h>
#include <string.h>

int pl_values_alloc(struct pl_values *q, struct pl_case *c)
{
	size_t n = (size_t)c->nrecs + 1;

	*q = (struct pl_values){ .c = c, .order = "VORD" };
	q->selects = c->head->model == PL_MODEL_SELECT;
	q->tags = q->selects || c->head->model == PL_MODEL_PRIORITY;
	q->lowest = c->head->caps & PL_LOWEST;
	q->v = malloc(n * sizeof *q->v);
	q->by_ret = malloc(n * sizeof *q->by_ret);
	q->empty = malloc(n * sizeof *q->empty);
	q->full = malloc(n * sizeof *q->full);
	q->maybe = malloc(n * sizeof *q->maybe);
	q->last = calloc((size_t)c->nactors + 1, sizeof *q->last);
	if (pl_tokens_new(&q->tokens) && q->last && q->v && q->by_ret && q->empty && q->full &&
		q->maybe)
		return 0;
	q->c->nomem = true;
	return -1;
}

void pl_values_free(struct pl_values *q)
{
	free(q->last);
	pl_tokens_free(&q->tokens);
	free(q->v);
	free(q->by_ret);
	free(q->empty);
	free(q->full);
	free(q->maybe);
	memset(q, 0, sizeof *q);
}

static bool moves_number(const struct pl_values *q, const struct pl_event *e)
{
	return pl_moves_number(q->c->actor[e->who].head, e->rec);
}

static void put_begin(struct pl_values *q, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	struct pl_value *v = &q->v[q->n];
	uint32_t *slot;

	if (r->token == 0 || (r->len < PL_MARK && !moves_number(q, e))) {
		q->nanon += r->state != PL_FAIL;
		return;
	}
	slot = pl_tokens_place(&q->tokens, r->token);
	if (!slot) {
		q->c->nomem = true;
		return;
	}
	if (*slot != 0 && !q->v[*slot - 1].failed) {
		q->c->broken = "two sends carry the same payload";
		return;
	}
	if (q->tags && r->aux >= (q->selects ? INT32_MAX : UINT32_MAX) && r->state != PL_FAIL) {
		q->c->broken = "a priority or type has more than 32 bits";
		return;
	}
	*v = (struct pl_value){ .token = r->token,
		.e_inv = e->rank,
		.e_ret = PL_NEVER,
		.d_inv = PL_NEVER,
		.d_ret = PL_NEVER,
		.put = pl_ref(q->c, e->who, r),
		.take = PL_NEVER };
	v->prio = pl_prio(q, r->aux);
	v->len = r->len;
	v->failed = r->state == PL_FAIL;
	v->pending = r->state == PL_INVOKED;
	q->unsure |= v->pending;
	q->maxlen = r->len > q->maxlen ? r->len : q->maxlen;
	q->last[e->who] = q->n;
	*slot = ++q->n;
}

void pl_values_settle(struct pl_values *q, struct pl_value *v, uint32_t rank)
{
	if (v->e_ret != PL_NEVER)
		return;
	v->e_ret = rank;
	q->by_ret[q->nput++] = (uint32_t)(v - q->v);
}

static void put_end(struct pl_values *q, const struct pl_event *e)
{
	uint32_t at;

	if (e->rec->state == PL_FAIL && pl_found_nothing(e->rec))
		q->full[q->nfull++] =
			(struct pl_empty){ e->since, e->rank, pl_ref(q->c, e->who, e->rec) };
	at = q->last[e->who];
	if (at >= q->n || q->v[at].put != pl_ref(q->c, e->who, e->rec)) { /* at a shared instant */
		at = pl_tokens_at(&q->tokens, e->rec->token) - 1;
		if (at == PL_NEVER || q->v[at].put != pl_ref(q->c, e->who, e->rec))
			return;
	}
	if (e->rec->state == PL_FAIL)
		q->v[at].d_ret = e->rank; /* whatever it held meanwhile is gone */
	else
		pl_values_settle(q, &q->v[at], e->rank);
}

static void maybe_taken(struct pl_values *q, uint32_t since)
{
	uint32_t i = q->nmaybe++;

	for (; i > 0 && q->maybe[i - 1] > since; i--)
		q->maybe[i] = q->maybe[i - 1];
	q->maybe[i] = since;
}

/* What was received has no token. Short payloads cannot be told apart, and one cut off by a small
 * buffer cannot be named: neither is proof of anything. */
static void take_unnamed(struct pl_values *q, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	uint32_t ref = pl_ref(q->c, e->who, r);

	if (r->ret == 0 && q->c->head->model != PL_MODEL_PRIORITY)
		return;
	if (r->ret < PL_MARK && q->nanon > 0)
		return;
	if ((r->ret == (int64_t)r->len && q->maxlen > r->len) ||
		(!q->tags && q->maxlen > PL_PIPE_BUF)) {
		maybe_taken(q, e->since);
		return;
	}
	if (pl_find(q->c, "VCORRUPT", -1,
		    "actor %d's %s returned %lld bytes that are no payload of this round",
		    pl_say_actor(q->c, ref), pl_say_op(q->c, ref), (long long)r->ret))
		pl_witness(q->c, ref);
}

/* Nobody had begun to send it. Perhaps someone did later. */
static void take_unsent(struct pl_values *q, const struct pl_event *e)
{
	uint32_t ref = pl_ref(q->c, e->who, e->rec);

	for (int i = 0; i < q->c->nactors; i++)
		for (uint64_t k = 0; k < q->c->actor[i].n; k++) {
			const struct pl_rec *put = &q->c->actor[i].rec[k];
			int64_t gap = put->t_invoke - e->rec->t_return;

			if (put->token != e->rec->token ||
				pl_role_of(q->c->actor[i].head, put) != PL_PUT)
				continue;
			q->nearly++;
			if (pl_find(q->c, "VFRESH", i == e->who ? -1 : gap,
				    "actor %d had received %s %s before actor %d began to send it",
				    pl_say_actor(q->c, ref), pl_say_token(put->token),
				    pl_say_ns(gap), q->c->actor[i].id)) {
				pl_witness(q->c, ref);
				pl_witness(q->c, pl_ref(q->c, i, put));
			}
			return;
		}
	if (pl_find(q->c, "VFRESH", -1, "actor %d received %s, which nobody sent",
		    pl_say_actor(q->c, ref), pl_say_token(e->rec->token)))
		pl_witness(q->c, ref);
}

static void take_wrong(struct pl_values *q, const struct pl_value *v, uint32_t ref)
{
	const struct pl_rec *r = pl_rec_of(q->c, ref, NULL);
	bool is;

	if (v->failed)
		is = pl_find(q->c, "VFAILED", -1,
			"actor %d received %s although actor %d's %s failed",
			pl_say_actor(q->c, ref), pl_say_token(v->token), pl_say_actor(q->c, v->put),
			pl_say_op(q->c, v->put));
	else if (v->take != PL_NEVER)
		is = pl_find(q->c, "VREPET", -1,
			"%s was received twice: by actor %d and by actor %d",
			pl_say_token(v->token), pl_say_actor(q->c, v->take),
			pl_say_actor(q->c, ref));
	else
		is = pl_find(q->c, "VCORRUPT", -1,
			"%s was sent with %u bytes and received with %lld", pl_say_token(v->token),
			(unsigned)v->len, (long long)r->ret);
	if (!is)
		return;
	pl_witness(q->c, v->put);
	if (v->take != PL_NEVER)
		pl_witness(q->c, v->take);
	pl_witness(q->c, ref);
}

static void take_end(struct pl_values *q, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	uint32_t at, ref = pl_ref(q->c, e->who, r);
	struct pl_value *v;

	if (r->state == PL_FAIL) {
		if (pl_says_empty(q->c, r))
			q->empty[q->nempty++] = (struct pl_empty){ e->since, e->rank, ref };
		return;
	}
	if (r->token == 0 && !moves_number(q, e)) {
		take_unnamed(q, e);
		return;
	}
	at = pl_tokens_at(&q->tokens, r->token);
	/* At a shared instant an actor's own later send may seem to have begun already. */
	if (at == 0 ||
		(q->v[at - 1].put > ref &&
			q->v[at - 1].put < q->c->actor[e->who].first + q->c->actor[e->who].n)) {
		take_unsent(q, e);
		return;
	}
	v = &q->v[at - 1];
	if (v->failed || v->take != PL_NEVER) {
		take_wrong(q, v, ref);
		return;
	}
	v->d_inv = e->since > v->e_inv ? e->since : v->e_inv;
	v->d_ret = e->rank;
	if (r->ret != v->len && !moves_number(q, e))
		take_wrong(q, v, ref);
	if (q->tags && pl_prio(q, r->aux) != v->prio &&
		pl_find(q->c, "VTAG", -1, "%s was sent with %s %u and received with %llu",
			pl_say_token(v->token), pl_say_prio(q), pl_tag(q, v->prio),
			(unsigned long long)r->aux)) {
		pl_witness(q->c, v->put);
		pl_witness(q->c, ref);
	}
	v->take = ref;
	q->ntaken++;
	pl_values_settle(q, v, e->rank);
}

/* What kind of event comes next is mostly known to a processor, whose it is is not. */
static void read_event(struct pl_values *q, const struct pl_event *e)
{
	if (e->kind == PL_EV_BEGIN) {
		if (e->role == PL_PUT)
			put_begin(q, e);
		else if (e->role == PL_TAKE && e->rec->state == PL_INVOKED)
			maybe_taken(q, e->rank);
	} else if (e->role == PL_PUT) {
		if (e->kind != PL_EV_KILLED)
			put_end(q, e);
	} else if (e->role == PL_TAKE && e->kind == PL_EV_END) {
		take_end(q, e);
	}
}

void pl_values_finish(struct pl_values *q)
{
	uint32_t n = 0;

	if (!q->unsure)
		return;
	for (uint32_t i = 0; i < q->nput; i++)
		if (pl_value_live(&q->v[q->by_ret[i]]))
			q->by_ret[n++] = q->by_ret[i];
	q->nput = n;
}

int pl_values_read(struct pl_values *q, struct pl_case *c)
{
	struct pl_merge *m = pl_merge_new(c, true);
	struct pl_event e;

	if (pl_values_alloc(q, c) < 0 || !m) {
		c->nomem = true;
		pl_merge_free(m);
		return -1;
	}
	while (pl_merge_next(m, &e))
		if (e.rec)
			read_event(q, &e);
	pl_merge_free(m);
	pl_values_finish(q);
	return c->broken || c->nomem ? -1 : 0;
}
