/* SPDX-License-Identifier: MIT
 *
 * What the parts of the checker of vectors share.
 */
#ifndef PLUMBLINE_CHECK_VECTOR_H
#define PLUMBLINE_CHECK_VECTOR_H

#include "jit.h"

/* A sum of what is in some places, less what is in some others. */
struct pl_vector_sum {
	int8_t sign[PL_PLACES];
};

enum { PL_VECTOR_SUMS = 40 }; /* all that there are, up to their sign */

struct pl_vector_finding {
	const char *rule;	  /* NULL: none */
	uint32_t op;		  /* of pl_jit_round.op */
	struct pl_vector_sum sum; /* which sum was out of its bounds at the end of it, */
	int64_t least, most;	  /* and these */
};

/* vector_bounds.c: whether something cannot have been, by the events in the order in which they are now. `open` has
 * room for all operations. */
bool pl_vector_bounds(
	const struct pl_jit_round *j, uint32_t *open, struct pl_vector_finding *ret_f);

#endif
