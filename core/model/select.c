/* SPDX-License-Identifier: MIT
 *
 * A queue of tagged values in the order in which they were put. Each take says which it wants: the oldest of
 * all, of one tag, of all tags but one, or of the lowest tag up to a bound.
 */
#include "model.h"

#include <string.h>

uint64_t pl_model_selected(const struct pl_model_state *s, const struct pl_model_op *op)
{
	uint64_t at = s->n;

	for (uint64_t i = 0; i < s->n; i++)
		if (pl_model_selects(op->form, op->except, s->v[i].tag) &&
			(at == s->n || (op->form < 0 && s->v[i].tag < s->v[at].tag)))
			at = i;
	return at;
}

static bool take(struct pl_model_state *s, const struct pl_model_op *op)
{
	uint64_t at = pl_model_selected(s, op);

	if (op->result == PL_RESULT_FAIL)
		return !pl_model_nothing(op->err) || at == s->n;
	if (at == s->n || (op->result == PL_RESULT_OK &&
				  (s->v[at].value != op->value || s->v[at].tag != op->tag)))
		return false;
	memmove(s->v + at, s->v + at + 1, (--s->n - at) * sizeof *s->v);
	return true;
}

static bool step(struct pl_model_state *s, const struct pl_model_op *op)
{
	return op->role == PL_PUT    ? pl_model_put(s, op, s->n)
	       : op->role == PL_TAKE ? take(s, op)
				     : true;
}

const struct pl_reference pl_reference_select = { "select", pl_model_init, step,
	pl_model_say_tagged };
