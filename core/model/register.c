/* SPDX-License-Identifier: MIT
 *
 * One register: a load finds the value stored last, an update finds it and puts its own in its place.
 */
#include "model.h"

static void init(struct pl_model_state *s, const struct pl_model_config *c)
{
	pl_model_init(s, c);
	s->n = 1;
	s->v[0] = (struct pl_model_value){ .value = c->before };
}

static bool step(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->result == PL_RESULT_FAIL)
		return true;
	switch (op->role) {
	case PL_OBSERVE:
		return op->result == PL_RESULT_UNKNOWN || s->v[0].value == op->value;
	case PL_UPDATE:
		if (op->result == PL_RESULT_OK && s->v[0].value != op->tag)
			return false;
		s->v[0].value = op->value;
		return true;
	case PL_PUT:
		s->v[0].value = op->value;
		return true;
	default:
		return true;
	}
}

static int describe(const struct pl_model_state *s, char *buf, size_t size)
{
	return pl_model_say(buf, size, s->v[0].value);
}

const struct pl_reference pl_reference_register = { "register", init, step, describe };
