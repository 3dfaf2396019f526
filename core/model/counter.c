/* SPDX-License-Identifier: MIT
 *
 * A number of tokens: puts add, takes remove as many as they ask for or find too few. Of a sum a take
 * removes all there is, and there must be something.
 */
#include "model.h"

#include <stdio.h>

static void init(struct pl_model_state *s, const struct pl_model_config *c)
{
	pl_model_init(s, c);
	s->count = c->before;
}

static bool put(struct pl_model_state *s, const struct pl_model_op *op)
{
	bool full = s->config.capacity && s->count + op->tag > s->config.capacity;

	if (op->result == PL_RESULT_FAIL)
		return full || s->config.capacity == 0 ||
		       (op->err != EAGAIN && op->err != EOVERFLOW && op->err != ERANGE);
	if (full)
		return false;
	s->count += op->tag;
	return true;
}

static bool observe(const struct pl_model_state *s, const struct pl_model_op *op)
{
	return op->result != PL_RESULT_OK || s->count == op->tag;
}

static bool take(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->result == PL_RESULT_FAIL)
		return !pl_model_nothing(op->err) || s->count < op->tag;
	if (s->count < op->tag)
		return false;
	s->count -= op->tag;
	return true;
}

static bool take_all(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->result == PL_RESULT_FAIL)
		return !pl_model_nothing(op->err) || s->count == 0;
	if (s->count == 0 || (op->result == PL_RESULT_OK && s->count != op->tag))
		return false;
	s->count = 0;
	return true;
}

static bool step_counter(struct pl_model_state *s, const struct pl_model_op *op)
{
	return op->role == PL_PUT    ? put(s, op)
	       : op->role == PL_TAKE ? take(s, op)
				     : op->role != PL_OBSERVE || observe(s, op);
}

static bool step_sum(struct pl_model_state *s, const struct pl_model_op *op)
{
	return op->role == PL_TAKE ? take_all(s, op) : step_counter(s, op);
}

static int describe(const struct pl_model_state *s, char *buf, size_t size)
{
	return snprintf(buf, size, "%llu", (unsigned long long)s->count);
}

const struct pl_reference pl_reference_counter = { "counter", init, step_counter, describe };
const struct pl_reference pl_reference_sum = { "sum", init, step_sum, describe };
