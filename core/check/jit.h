/* SPDX-License-Identifier: MIT
 *
 * Judging by search: is there an order of all operations, consistent with time and with each actor's own
 * order, in which the reference model gives every result?
 *
 * It goes through the begins and ends of operations in time order and keeps all configurations that may
 * be: a state of the object, and which of the operations under way have taken effect (Lowe, Testing for
 * Linearizability, 2017: just in time, an effect is supposed only when an operation ends without having
 * had its own). States are interned, so that equal ones cost nothing. Linear in the length of the
 * history, exponential in how many operations are under way at once.
 *
 * Limits: 64 operations under way at once, 2^18 configurations, 64 MiB of states, and a bound on the
 * work of a search. Beyond them the answer is that it is not known: never held, never violated.
 */
#ifndef PLUMBLINE_CHECK_JIT_H
#define PLUMBLINE_CHECK_JIT_H

#include "../model/model.h"
#include "internal.h"

enum {
	PL_JIT_SLOTS = 64,
	PL_JIT_CONFIGS = 1 << 18,
	PL_JIT_BYTES = 64 << 20,
	PL_JIT_WORK = 1 << 25, /* steps of the model, those of long queues counted dearer */
	PL_JIT_SAID = 4,       /* states described in a finding */
};

struct pl_jit_op {
	struct pl_model_op op;
	uint32_t ref; /* PL_NEVER: control's look after everything, at the emptied object or, */
	const struct pl_rec *read; /* VECTOR, at whatever it read */
	uint16_t who;
	uint8_t slot;	     /* while it is under way */
	uint32_t begin, end; /* where in `ev`; PL_NEVER: nowhere */
	bool maybe;	     /* its actor died in it, it may have had no effect */
	bool any;	     /* which of the values inside it took is not known */
	bool eager;	     /* nothing is gained if it waits */
	bool under_way;
	bool alone; /* no other operation of its actor is under way beside it */
};

/* Begin or end of an operation. Parts have nothing to do with one another and follow one another. */
struct pl_jit_event {
	uint64_t part;
	int64_t t;
	uint32_t op, nth;
	bool end;
};

/* Of a queue: what is put and taken. In operations and states its index stands for it. */
struct pl_jit_value {
	uint64_t token;
	uint32_t put, take;   /* operations; PL_NEVER: none */
	uint32_t from, until; /* where in `ev` its take begins and ends */
	bool plain;	      /* it was put once, and taken at most once */
};

struct pl_jit_round {
	struct pl_case *c;
	const struct pl_reference *model;
	struct pl_model_config config;
	struct pl_jit_op *op;
	uint32_t n;
	struct pl_jit_event *ev,
		*given; /* in the order searched; in that of the stamps as they are */
	uint32_t nev;
	struct pl_jit_value *value; /* by token; NULL: it is no queue */
	uint32_t nvalues;
	bool parts;   /* each value is a matter of its own */
	bool cut_off; /* there are takes of unknown result */
	bool blind;   /* do not look ahead: dearer, but what cannot be is found where it shows */
	int64_t drain;
	const char *cannot; /* why it cannot be judged at all; NULL: it can */
	const char *why;    /* why the last search gave up */
};

/* What could not be explained: the end of this operation, before which the object could be in these
 * states. */
struct pl_jit_finding {
	uint32_t op;
	uint32_t nstates; /* how many in all */
	char state[PL_JIT_SAID][80];
};

/* jit_load.c: the round as operations of its reference model. stats: also counts for the verdict. False: out of
 * memory, or the records make no history. */
bool pl_jit_load(struct pl_jit_round *j, struct pl_case *c, bool stats);
void pl_jit_free(struct pl_jit_round *j);

/* exact.c: files what the search found. */
void pl_jit_file(struct pl_jit_round *j, struct pl_jit_finding *f);

/* jit_start.c: a register's value of before the round. False: out of memory. */
bool pl_jit_before(const struct pl_case *c, uint64_t *ret_value);

/* And of a vector what the actor holds after all its operations. False: it gave back what it had not taken, or took more
 * than a place holds. Of its last operation, if that has no result, an ACQUIRE does not count, and a RELEASE does. */
bool pl_jit_held(const struct pl_actor *a, uint64_t *ret_held);

/* jit_order.c: puts the events as they would be if every operation had ended so much later. False: out of memory. */
bool pl_jit_order(struct pl_jit_round *j, int64_t later);

/* jit_ahead.c: gives the values of a queue their numbers. False: out of memory. */
bool pl_jit_name_values(struct pl_jit_round *j);

/* When each is taken, by the events as they are ordered now. */
void pl_jit_look_ahead(struct pl_jit_round *j);

/* Whether nothing that comes can be explained from this state on. */
bool pl_jit_is_hopeless(const struct pl_jit_round *j, const struct pl_model_state *s);

/* Whether of two puts under way this one may as well go first. */
bool pl_jit_goes_first(
	const struct pl_jit_round *j, const struct pl_jit_op *a, const struct pl_jit_op *b);

/* Whether the value that b has just put stands behind one that may as well come after it. */
bool pl_jit_is_displaced(
	const struct pl_jit_round *j, const struct pl_model_state *s, const struct pl_jit_op *b);

/* Describes the state, and spoils it. */
void pl_jit_say_state(
	const struct pl_jit_round *j, struct pl_model_state *s, char *buf, size_t size);

/* jit.c: with every operation ending so much later. PL_UNKNOWN sets why; PL_VIOLATED fills *ret_f. */
enum pl_outcome pl_jit_search(
	struct pl_jit_round *j, int64_t later, uint64_t work, struct pl_jit_finding *ret_f);

/* jit_states.c: interned states. */
struct pl_states {
	char *bytes;
	size_t used, size;
	size_t *at; /* by index: where in `bytes` */
	uint32_t n, room;
	uint32_t *slot, mask; /* index + 1, or 0 */
};

/* The index of this state; PL_NEVER: there is no room. */
uint32_t pl_states_add(struct pl_states *s, const struct pl_model_state *state);
void pl_states_clear(struct pl_states *s);
void pl_states_free(struct pl_states *s);

/* Drops the states whose mark is 0, and puts into the other marks what their index is now. */
void pl_states_sweep(struct pl_states *s, uint32_t *mark);

static inline const struct pl_model_state *pl_states_get(const struct pl_states *s, uint32_t i)
{
	return (const struct pl_model_state *)(s->bytes + s->at[i]);
}

#endif
