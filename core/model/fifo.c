/* SPDX-License-Identifier: MIT
 *
 * First in, first out.
 */
#include "model.h"

#include <stdio.h>
#include <string.h>

static bool take(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->result == PL_RESULT_FAIL)
		return !pl_model_nothing(op->err) || s->n == 0;
	if (s->n == 0 || (op->result == PL_RESULT_OK && s->v[0].value != op->value))
		return false;
	memmove(s->v, s->v + 1, --s->n * sizeof *s->v);
	return true;
}

static bool step(struct pl_model_state *s, const struct pl_model_op *op)
{
	return op->role == PL_PUT    ? pl_model_put(s, op, s->n)
	       : op->role == PL_TAKE ? take(s, op)
				     : true;
}

static int describe(const struct pl_model_state *s, char *buf, size_t size)
{
	int at = snprintf(buf, size, "[");

	for (uint64_t i = 0; i < s->n && at >= 0 && (size_t)at < size; i++) {
		at += snprintf(buf + at, size - (size_t)at, "%s", i ? " " : "");
		if ((size_t)at < size)
			at += pl_model_say(buf + at, size - (size_t)at, s->v[i].value);
	}
	if (at >= 0 && (size_t)at < size)
		at += snprintf(buf + at, size - (size_t)at, "]");
	return at;
}

const struct pl_reference pl_reference_fifo = { "fifo", pl_model_init, step, describe };
