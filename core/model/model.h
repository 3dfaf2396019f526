/* SPDX-License-Identifier: MIT
 *
 * Reference models: what each kind of object does, one operation after another.
 *
 * A model is three functions. The brute-force oracle of the checkers' tests tries all orders of a
 * small history against them; a scheduler asks them what is enabled. They are written to be read,
 * not to be fast.
 */
#ifndef PLUMBLINE_MODEL_H
#define PLUMBLINE_MODEL_H

#include "../driver.h"

#include <stdbool.h>

enum { PL_MODEL_VALUES = 24 }; /* values a queue of a model can hold */

enum pl_result_kind {
	PL_RESULT_OK,
	PL_RESULT_FAIL,	   /* err says why */
	PL_RESULT_UNKNOWN, /* its actor died in it: it did what it could, or nothing at all */
};

/* One operation and its result. A death is an operation of role PL_NONE. */
struct pl_model_op {
	enum pl_role role;
	enum pl_result_kind result;
	int actor, err;
	uint64_t value; /* the payload's token; ACQUIRE: the guarded counter as found; SIGNAL: the
			   sender's process */
	uint64_t tag; /* the priority; COUNTER, SUM: how many; UPDATE: the value found; SIGNAL: the
			   number */
};

struct pl_model_config {
	uint64_t capacity; /* 0: no bound is known */
	bool robust;
	uint64_t before; /* REGISTER, COUNTER, SUM: the value of before the first operation */
};

struct pl_model_state {
	struct pl_model_config config;
	/* queues */
	int n;
	struct {
		uint64_t value, tag;
	} v[PL_MODEL_VALUES];
	/* locks */
	int owner, depth;  /* owner -1: free */
	bool inconsistent; /* the owner died; until it is repaired */
	bool lost;	   /* released inconsistent: nobody will ever own it */
	uint64_t count;	   /* the guarded counter is at least this; a counter's value */
};

struct pl_reference {
	const char *name;
	void (*init)(struct pl_model_state *s, const struct pl_model_config *c);
	/* Whether the operation can have this result in this state; if so the state becomes what it
	 * leaves. */
	bool (*step)(struct pl_model_state *s, const struct pl_model_op *op);
	/* The state in words; as snprintf. */
	int (*describe)(const struct pl_model_state *s, char *buf, size_t size);
};

extern const struct pl_reference pl_reference_fifo, pl_reference_priority, pl_reference_lock,
	pl_reference_register, pl_reference_counter, pl_reference_sum, pl_reference_datagram,
	pl_reference_signal;

#endif
