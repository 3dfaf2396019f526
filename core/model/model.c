/* SPDX-License-Identifier: MIT
 *
 * Which reference model a model has, what several of them do alike, and how their values are named.
 */
#include "model.h"

#include "../hist/payload.h"

#include <stdio.h>
#include <string.h>

const struct pl_reference *pl_reference_of(enum pl_model model)
{
	static const struct pl_reference *const all[] = {
		[PL_MODEL_FIFO] = &pl_reference_fifo,
		[PL_MODEL_PRIORITY] = &pl_reference_priority,
		[PL_MODEL_LOCK] = &pl_reference_lock,
		[PL_MODEL_COUNTER] = &pl_reference_counter,
		[PL_MODEL_SUM] = &pl_reference_sum,
		[PL_MODEL_REGISTER] = &pl_reference_register,
		[PL_MODEL_DATAGRAM] = &pl_reference_datagram,
		[PL_MODEL_SIGNAL] = &pl_reference_signal,
		[PL_MODEL_SELECT] = &pl_reference_select,
		[PL_MODEL_RANGES] = &pl_reference_ranges,
		[PL_MODEL_VECTOR] = &pl_reference_vector,
	};

	return (size_t)model < sizeof all / sizeof *all ? all[model] : NULL;
}

void pl_model_init(struct pl_model_state *s, const struct pl_model_config *c)
{
	memset(s, 0, sizeof *s);
	s->config = *c;
}

bool pl_model_put(struct pl_model_state *s, const struct pl_model_op *op, uint64_t at)
{
	bool full = pl_model_full(s, op->len);

	if (op->result == PL_RESULT_FAIL)
		return !pl_model_nothing(op->err) || full || s->config.capacity == 0;
	if (full)
		return false;
	memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof *s->v);
	s->n++;
	s->v[at] = (struct pl_model_value){ op->value, op->tag, op->len };
	return true;
}

int pl_model_say(char *buf, size_t size, uint64_t value)
{
	if (value >> 48 == 0)
		return snprintf(buf, size, "0x%llx", (unsigned long long)value);
	return snprintf(buf, size, "%u#%llu", pl_token_actor(value),
		(unsigned long long)(value & 0xffffffffff));
}

int pl_model_say_tagged(const struct pl_model_state *s, char *buf, size_t size)
{
	int at = snprintf(buf, size, "[");

	for (uint64_t i = 0; i < s->n && at >= 0 && (size_t)at < size; i++) {
		at += snprintf(buf + at, size - (size_t)at, "%s%llu:", i ? " " : "",
			(unsigned long long)s->v[i].tag);
		if ((size_t)at < size)
			at += pl_model_say(buf + at, size - (size_t)at, s->v[i].value);
	}
	if (at >= 0 && (size_t)at < size)
		at += snprintf(buf + at, size - (size_t)at, "]");
	return at;
}
