/* SPDX-License-Identifier: MIT
 *
 * One pending bit a number: a send merges with one that is still pending, whose sender stays the one
 * that is told. A take that was cut off may have taken any number: its tag says which one is tried.
 */
#include "model.h"

#include <stdio.h>
#include <string.h>

/* Pending numbers are kept in ascending order, so that equal sets are equal states. */
static bool put(struct pl_model_state *s, const struct pl_model_op *op)
{
	uint64_t at = s->n;

	if (op->result == PL_RESULT_FAIL)
		return true;
	for (uint64_t i = 0; i < s->n; i++)
		if (s->v[i].tag == op->tag)
			return true;
	for (; at > 0 && s->v[at - 1].tag > op->tag; at--)
		s->v[at] = s->v[at - 1];
	s->v[at] = (struct pl_model_value){ .value = op->value, .tag = op->tag };
	s->n++;
	return true;
}

/* `value` is the sender that was told; 0: none was. */
static bool take(struct pl_model_state *s, const struct pl_model_op *op)
{
	uint64_t i = 0;

	if (op->result == PL_RESULT_FAIL)
		return !pl_model_nothing(op->err) || s->n == 0;
	while (i < s->n && s->v[i].tag != op->tag)
		i++;
	if (i == s->n)
		return false;
	if (op->result == PL_RESULT_OK && op->value && s->v[i].value != op->value)
		return false;
	s->n--;
	memmove(s->v + i, s->v + i + 1, (s->n - i) * sizeof *s->v);
	return true;
}

static bool step(struct pl_model_state *s, const struct pl_model_op *op)
{
	return op->role == PL_PUT ? put(s, op) : op->role == PL_TAKE ? take(s, op) : true;
}

static int describe(const struct pl_model_state *s, char *buf, size_t size)
{
	int at = snprintf(buf, size, "{");

	for (uint64_t i = 0; i < s->n && at >= 0 && (size_t)at < size; i++)
		at += snprintf(buf + at, size - (size_t)at, "%s%llu from %llu", i ? ", " : "",
			(unsigned long long)s->v[i].tag, (unsigned long long)s->v[i].value);
	if (at >= 0 && (size_t)at < size)
		at += snprintf(buf + at, size - (size_t)at, "}");
	return at;
}

const struct pl_reference pl_reference_signal = { "signal", pl_model_init, step, describe };
