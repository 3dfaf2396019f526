/* SPDX-License-Identifier: MIT
 *
 * First in, first out.
 */
#include "model.h"

#include <stdio.h>
#include <string.h>

static void init(struct pl_model_state *s, const struct pl_model_config *c)
{
	memset(s, 0, sizeof *s);
	s->config = *c;
}

static bool put(struct pl_model_state *s, const struct pl_model_op *op)
{
	bool full = pl_model_full(s, op->len);

	if (op->result == PL_RESULT_FAIL)
		return !pl_model_nothing(op->err) || full || s->config.capacity == 0;
	if (full)
		return false;
	s->v[s->n++] = (struct pl_model_value){ op->value, op->tag, op->len };
	return true;
}

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
	return op->role == PL_PUT ? put(s, op) : op->role == PL_TAKE ? take(s, op) : true;
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

const struct pl_reference pl_reference_fifo = { "fifo", init, step, describe };
