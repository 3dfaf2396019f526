/* SPDX-License-Identifier: MIT
 *
 * Looking ahead in a queue: the history says when each value is taken, so most orders of values that are put
 * at once need not be tried.
 *
 * Whatever is ahead in the queue is taken first. So a state in which one value is ahead of another that is
 * taken for good before the take of the first begins leads nowhere. And of two puts under way the one whose
 * put ends first, and whose take begins and ends first, may go first: were it the other way round, exchanging
 * both the puts and the takes would break nothing. Of two that are put one right after the other, with both
 * puts under way, the one that must be taken first goes first: if its take begins later, the other one's take
 * can wait for it, and if it begins earlier, the takes can be exchanged. Only who looks for room would notice.
 * A known value is taken as soon as it can be: it can only be
 * in the way of others.
 */
#include "jit.h"

#include <stdlib.h>

static bool is_queue(const struct pl_jit_round *j)
{
	return j->c->head->model == PL_MODEL_FIFO || j->c->head->model == PL_MODEL_PRIORITY;
}

static bool names_value(const struct pl_model_op *op)
{
	return (op->role == PL_PUT && op->result != PL_RESULT_FAIL) ||
	       (op->role == PL_TAKE && op->result == PL_RESULT_OK);
}

static int by_token(const void *a, const void *b)
{
	uint64_t x = ((const struct pl_jit_value *)a)->token,
		 y = ((const struct pl_jit_value *)b)->token;

	return (x > y) - (x < y);
}

static void note(struct pl_jit_round *j, uint32_t op)
{
	struct pl_model_op *o = &j->op[op].op;
	struct pl_jit_value key = { .token = o->value };
	struct pl_jit_value *v = bsearch(&key, j->value, j->nvalues, sizeof *v, by_token);
	uint32_t *at = o->role == PL_PUT ? &v->put : &v->take;

	v->plain = v->plain && *at == PL_NEVER;
	*at = op;
	o->value = (uint64_t)(v - j->value);
}

bool pl_jit_name_values(struct pl_jit_round *j)
{
	uint32_t n = 0;
	bool full = false; /* somebody found no room: then it matters when values are taken */

	if (!is_queue(j))
		return true;
	j->value = malloc(((size_t)j->n + 1) * sizeof *j->value);
	if (!j->value)
		return false;
	for (uint32_t i = 0; i < j->n; i++)
		if (names_value(&j->op[i].op))
			j->value[n++] = (struct pl_jit_value){ .token = j->op[i].op.value,
				.put = PL_NEVER,
				.take = PL_NEVER,
				.plain = true };
		else if (j->op[i].op.role == PL_PUT)
			full = true;
		else
			j->cut_off |= j->op[i].maybe;
	qsort(j->value, n, sizeof *j->value, by_token);
	for (uint32_t i = 0; i < n; i++)
		if (i == 0 || j->value[i].token != j->value[j->nvalues - 1].token)
			j->value[j->nvalues++] = j->value[i];
	for (uint32_t i = 0; i < j->n; i++)
		if (names_value(&j->op[i].op))
			note(j, i);
	for (uint32_t i = 0; i < j->nvalues && !full; i++)
		if (j->value[i].plain && j->value[i].take != PL_NEVER)
			j->op[j->value[i].take].eager = true;
	return true;
}

/* A value whose take is not known may be taken whenever, if there are takes of unknown result; else never. */
void pl_jit_look_ahead(struct pl_jit_round *j)
{
	for (uint32_t i = 0; i < j->nvalues; i++) {
		struct pl_jit_value *v = &j->value[i];
		bool known = v->plain && (v->take != PL_NEVER || !j->cut_off);

		v->from = !known ? 0 : v->take == PL_NEVER ? PL_NEVER : j->op[v->take].begin;
		v->until = !known || v->take == PL_NEVER ? PL_NEVER : j->op[v->take].end;
	}
}

bool pl_jit_is_hopeless(const struct pl_jit_round *j, const struct pl_model_state *s)
{
	uint32_t latest = 0;

	for (uint64_t i = 0; j->value && !j->blind && i < s->n; i++) {
		const struct pl_jit_value *v = &j->value[s->v[i].value];

		if (v->until < latest)
			return true;
		latest = v->from > latest ? v->from : latest;
	}
	return false;
}

static const struct pl_jit_value *put_alone(const struct pl_jit_round *j, const struct pl_jit_op *o)
{
	const struct pl_jit_value *v;

	if (!j->value || j->blind || o->op.role != PL_PUT || o->op.result != PL_RESULT_OK ||
		!o->alone)
		return NULL;
	v = &j->value[o->op.value];
	return v->plain && (v->take == PL_NEVER || j->op[v->take].alone) ? v : NULL;
}

bool pl_jit_goes_first(
	const struct pl_jit_round *j, const struct pl_jit_op *a, const struct pl_jit_op *b)
{
	const struct pl_jit_value *x = put_alone(j, a), *y = put_alone(j, b);

	if (!x || !y || (a->op.tag != b->op.tag && j->c->head->model == PL_MODEL_PRIORITY))
		return false;
	if (j->config.grain && a->op.len != b->op.len) /* they do not fill as much */
		return false;
	return a->end < b->end && x->from <= y->from && x->until <= y->until;
}

bool pl_jit_is_displaced(
	const struct pl_jit_round *j, const struct pl_model_state *s, const struct pl_jit_op *b)
{
	const struct pl_jit_value *x, *y = put_alone(j, b);
	const struct pl_jit_op *a;
	uint64_t at = s->n;

	if (!y || j->config.capacity || y->take == PL_NEVER)
		return false;
	while (at > 0 && s->v[at - 1].value != b->op.value)
		at--;
	if (at < 2)
		return false;
	x = &j->value[s->v[at - 2].value];
	a = &j->op[x->put];
	return a->under_way && put_alone(j, a) && x->take != PL_NEVER && y->until < x->until;
}

void pl_jit_say_state(
	const struct pl_jit_round *j, struct pl_model_state *s, char *buf, size_t size)
{
	for (uint64_t i = 0; j->value && i < s->n; i++)
		s->v[i].value = j->value[s->v[i].value].token;
	(void)j->model->describe(s, buf, size);
}
