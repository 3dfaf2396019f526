/* SPDX-License-Identifier: MIT
 *
 * Reference models: what each kind of object does, one operation after another.
 *
 * A model is three functions. The search of check/jit.c tries all orders of a history against them,
 * as far as these differ; so does the brute-force oracle of the checkers' tests with small ones. They
 * are written to be read, not to be fast.
 */
#ifndef PLUMBLINE_MODEL_H
#define PLUMBLINE_MODEL_H

#include "../driver.h"

#include <stdbool.h>

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
			   sender's process; RANGES: a bit for each cell of bytes */
	uint64_t tag; /* the priority; COUNTER, SUM: how many; UPDATE: the value found; SIGNAL: the
			   number; VECTOR: what an OBSERVE saw */
	uint64_t len; /* bytes put; looked at where places have a grain */
	int64_t form; /* SELECT: what a take selects; LOCK, RANGES: 1 shared; VECTOR: what it moves */
	bool except; /* SELECT: of anything but that */
};

struct pl_model_config {
	uint64_t capacity; /* places; 0: no bound is known */
	uint64_t grain;	   /* queues: bytes of a place; 0: a value fills one, whatever its length */
	bool robust;
	bool freed;  /* LOCK, VECTOR: a death releases what was held, and nobody is told */
	bool lowest; /* PRIORITY: the lowest tag goes first */
	uint64_t
		before; /* REGISTER, COUNTER, SUM, VECTOR: the value of before the first operation */
};

struct pl_model_value {
	uint64_t value, tag, len;
};

/* Equal states are equal bytes, up to the n-th value. */
struct pl_model_state {
	struct pl_model_config config;
	/* locks */
	int owner, depth;  /* owner -1: free */
	uint64_t sharers;  /* a bit an actor: 64 actors at most may share */
	bool inconsistent; /* the owner died; until it is repaired */
	bool lost;	   /* released inconsistent: nobody will ever own it */
	uint64_t count;	   /* the guarded counter is at least this; a counter's value; what is in a
			      vector's places, as pl_places() */
	/* queues, registers, signals; who holds ranges; of vectors, who holds what */
	uint64_t n;
	struct pl_model_value v[];
};

/* How large a state of n values is. An operation adds one at most: whoever calls step or init gives
 * room for one more than there are. */
static inline size_t pl_model_size(uint64_t n)
{
	return sizeof(struct pl_model_state) + n * sizeof(struct pl_model_value);
}

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
	pl_reference_signal, pl_reference_select, pl_reference_ranges, pl_reference_vector;

/* NULL: there is none. Of a byte stream there cannot be one: a long write, and a read beside another,
 * happen piece by piece, and in no order with the rest. */
const struct pl_reference *pl_reference_of(enum pl_model model);

/* Nothing inside, nobody's. */
void pl_model_init(struct pl_model_state *s, const struct pl_model_config *c);

/* A put into a queue: as step; what fits in goes to place `at`. */
bool pl_model_put(struct pl_model_state *s, const struct pl_model_op *op, uint64_t at);

/* Which value such a take would have: its index, or n. */
uint64_t pl_model_selected(const struct pl_model_state *s, const struct pl_model_op *op);

/* "[3:1#17 1:1#18]": the values with their tags; as snprintf. */
int pl_model_say_tagged(const struct pl_model_state *s, char *buf, size_t size);

/* A payload's or a register's value: "1#17", payload 17 of actor 1, or a number; as snprintf. */
int pl_model_say(char *buf, size_t size, uint64_t value);

/* "There is nothing", of a take; "it is held", of an acquire. */
static inline bool pl_model_nothing(int err)
{
	return err == EAGAIN || err == ETIMEDOUT || err == ENOMSG;
}

/* Of a queue: there is no room for so many bytes more. Never, if no bound is known. */
static inline bool pl_model_full(const struct pl_model_state *s, uint64_t len)
{
	uint64_t grain = s->config.grain, places = grain ? (len + grain - 1) / grain : 1;

	for (uint64_t i = 0; i < s->n; i++)
		places += grain ? (s->v[i].len + grain - 1) / grain : 1;
	return s->config.capacity && places > s->config.capacity;
}

/* VECTOR: what a form moves, as pl_places(); whether there is so much in each place; "(1 0 3 0)", as snprintf. */
uint64_t pl_model_moved(int64_t form);
bool pl_model_covers(uint64_t places, uint64_t need);
int pl_model_say_places(char *buf, size_t size, uint64_t places);

/* Whether a take that selects so may have a value of this tag, whatever else is there. */
static inline bool pl_model_selects(int64_t form, bool except, uint64_t tag)
{
	if (form > 0)
		return (tag == (uint64_t)form) != except;
	return form == 0 || tag <= -(uint64_t)form;
}

static inline bool pl_model_busy(int err)
{
	return err == EBUSY || err == ETIMEDOUT || err == EAGAIN || err == EACCES;
}

#endif
