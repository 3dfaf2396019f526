/* SPDX-License-Identifier: MIT
 *
 * What the parts of the lock checker share: the sections of a round, and what else its actors met.
 */
#ifndef PLUMBLINE_CHECK_LOCK_H
#define PLUMBLINE_CHECK_LOCK_H

#include "internal.h"

struct pl_lock_section {
	uint64_t seen;		   /* the guarded counter, as found */
	uint32_t l_inv, l_ret;	   /* ranks of the acquire, */
	uint32_t u_inv, u_ret;	   /* and of the release or the death; PL_NEVER: still held */
	uint32_t acquire, release; /* references */
	uint8_t ownerdead, repaired, doubt; /* doubt: the repair failed, or its end is not known */
	uint8_t complete;		    /* released, with the increment that goes with it */
	uint8_t died, releasing;	    /* its actor died in it; while it released */
	uint8_t tied;			    /* acquired at the same instant as the one before */
	uint8_t shared;			    /* others may share it, and what is guarded stays */
};

/* A failed acquire by an actor that did not hold. */
struct pl_lock_refusal {
	uint32_t inv, ret, ref;
	bool shared;
};

/* An acquire without an end: it may have held from `inv` to `until`. */
struct pl_lock_maybe {
	uint32_t inv, killed, until, ref;
	bool used;
};

struct pl_lock_holder {
	uint32_t depth, section;
	const struct pl_rec *pending;
	uint32_t pending_inv, killed, reaped;
};

struct pl_lock_round {
	struct pl_case *c;
	struct pl_lock_section *s;
	struct pl_lock_refusal *busy, *lost; /* EBUSY and ETIMEDOUT; ENOTRECOVERABLE */
	struct pl_lock_maybe *m;
	struct pl_lock_holder *h;
	uint32_t n, nbusy, nlost, nm, ndead;
	int64_t last; /* when the last section's acquire ended */
	int64_t cut;  /* what ends from here on is not judged */
	bool robust, ties;
	bool shares;  /* some acquires share */
	bool freed;   /* a death releases the lock, and nobody is told */
	bool muddled; /* somebody released what he did not hold: counters and frees prove nothing */
};

/* lock_rules.c: holds the sections against the rules. */
void pl_lock_judge(struct pl_lock_round *l);

#endif
