/* SPDX-License-Identifier: MIT
 *
 * Highest priority first, and the oldest of it before the others.
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
	bool full =
		s->config.capacity ? (uint64_t)s->n >= s->config.capacity : s->n == PL_MODEL_VALUES;
	int at = s->n;

	if (op->result == PL_RESULT_FAIL)
		return (op->err != EAGAIN && op->err != ETIMEDOUT) || full ||
		       s->config.capacity == 0;
	if (full)
		return false;
	for (; at > 0 && s->v[at - 1].tag < op->tag; at--)
		s->v[at] = s->v[at - 1];
	s->v[at].value = op->value;
	s->v[at].tag = op->tag;
	s->n++;
	return true;
}

static bool take(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->result == PL_RESULT_FAIL)
		return (op->err != EAGAIN && op->err != ETIMEDOUT) || s->n == 0;
	if (s->n == 0)
		return false;
	if (op->result == PL_RESULT_OK && (s->v[0].value != op->value || s->v[0].tag != op->tag))
		return false;
	memmove(s->v, s->v + 1, (size_t)--s->n * sizeof *s->v);
	return true;
}

static bool step(struct pl_model_state *s, const struct pl_model_op *op)
{
	return op->role == PL_PUT ? put(s, op) : op->role == PL_TAKE ? take(s, op) : true;
}

static int describe(const struct pl_model_state *s, char *buf, size_t size)
{
	int at = snprintf(buf, size, "[");

	for (int i = 0; i < s->n && at >= 0 && (size_t)at < size; i++)
		at += snprintf(buf + at, size - (size_t)at, "%s%llu:%llx", i ? " " : "",
			(unsigned long long)s->v[i].tag, (unsigned long long)s->v[i].value);
	if (at >= 0 && (size_t)at < size)
		at += snprintf(buf + at, size - (size_t)at, "]");
	return at;
}

const struct pl_reference pl_reference_priority = { "priority", init, step, describe };
