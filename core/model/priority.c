/* SPDX-License-Identifier: MIT
 *
 * Highest priority first, or the lowest; and the oldest of it before the others.
 */
#include "model.h"

#include <string.h>

static bool goes_before(const struct pl_model_state *s, uint64_t a, uint64_t b)
{
	return s->config.lowest ? a < b : a > b;
}

static bool put(struct pl_model_state *s, const struct pl_model_op *op)
{
	uint64_t at = s->n;

	while (at > 0 && goes_before(s, op->tag, s->v[at - 1].tag))
		at--;
	return pl_model_put(s, op, at);
}

static bool take(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->result == PL_RESULT_FAIL)
		return !pl_model_nothing(op->err) || s->n == 0;
	if (s->n == 0)
		return false;
	if (op->result == PL_RESULT_OK && (s->v[0].value != op->value || s->v[0].tag != op->tag))
		return false;
	memmove(s->v, s->v + 1, --s->n * sizeof *s->v);
	return true;
}

static bool step(struct pl_model_state *s, const struct pl_model_op *op)
{
	return op->role == PL_PUT ? put(s, op) : op->role == PL_TAKE ? take(s, op) : true;
}

const struct pl_reference pl_reference_priority = { "priority", pl_model_init, step,
	pl_model_say_tagged };
