/* SPDX-License-Identifier: MIT
 *
 * Made-up histories that are right, of any length: actors take turns at one object, and each operation overlaps some of
 * the others'. Stamps are shared from one operation to the next, as the kit makes them. What the dice say decides all.
 */
#ifndef PLUMBLINE_TESTS_WORLD_H
#define PLUMBLINE_TESTS_WORLD_H

#include "check/check.h"

#include <stdbool.h>

enum { WORLD_ACTORS = 64, WORLD_DEPTH = 10, WORLD_NUMBERS = 4 };

struct world_value {
	uint64_t token, tag;
};

struct world {
	enum pl_model model;
	int actors;
	uint64_t ops; /* room for so many; a turn makes two at most */
	uint64_t (*roll)(void *arg);
	void *arg;

	/* made: control's log is the last */
	uint64_t made, number[WORLD_ACTORS], n[WORLD_ACTORS + 1];
	struct pl_hist_head *head[WORLD_ACTORS + 1];
	struct pl_rec *rec[WORLD_ACTORS + 1];

	/* where things stand */
	int64_t now, free_at[WORLD_ACTORS];
	struct world_value q[WORLD_DEPTH];
	int depth;
	uint64_t count;		     /* lock */
	uint64_t value;		     /* register, counter */
	uint32_t held[WORLD_ACTORS]; /* vector: a form; `value` is what is in the places */
	int sender[WORLD_NUMBERS];   /* signals, by number: whose is pending, from 1 on; 0: none */
};

/* Model, actors, ops and roll are the caller's. False: out of memory; free it all the same. */
bool world_new(struct world *w);
void world_turn(struct world *w);
int world_logs(const struct world *w, struct pl_log *ret); /* room for WORLD_ACTORS + 1 */
void world_free(struct world *w);

#endif
