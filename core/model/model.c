/* SPDX-License-Identifier: MIT
 *
 * Which reference model a model has, and how its values are named.
 */
#include "model.h"

#include "../hist/payload.h"

#include <stdio.h>

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
	};

	return (size_t)model < sizeof all / sizeof *all ? all[model] : NULL;
}

int pl_model_say(char *buf, size_t size, uint64_t value)
{
	if (value >> 48 == 0)
		return snprintf(buf, size, "0x%llx", (unsigned long long)value);
	return snprintf(buf, size, "%u#%llu", pl_token_actor(value),
		(unsigned long long)(value & 0xffffffffff));
}
