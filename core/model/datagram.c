/* SPDX-License-Identifier: MIT
 *
 * Datagrams: what was sent may be received, now or later, again, or never.
 */
#include "model.h"

#include <stdio.h>

static bool step(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->role == PL_PUT && op->result != PL_RESULT_FAIL) {
		s->v[s->n++] = (struct pl_model_value){ .value = op->value };
		return true;
	}
	if (op->role != PL_TAKE || op->result != PL_RESULT_OK)
		return true;
	for (uint64_t i = 0; i < s->n; i++)
		if (s->v[i].value == op->value)
			return true;
	return false;
}

static int describe(const struct pl_model_state *s, char *buf, size_t size)
{
	int at = snprintf(buf, size, "sent");

	for (uint64_t i = 0; i < s->n && at >= 0 && (size_t)at < size; i++) {
		at += snprintf(buf + at, size - (size_t)at, " ");
		if ((size_t)at < size)
			at += pl_model_say(buf + at, size - (size_t)at, s->v[i].value);
	}
	return at;
}

const struct pl_reference pl_reference_datagram = { "datagram", pl_model_init, step, describe };
