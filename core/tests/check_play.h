/* SPDX-License-Identifier: MIT
 *
 * The actors of a small random history, moved one at a time: one begins an operation, later it takes effect, at one
 * instant, later it returns. Any may be killed at any moment, and is reaped later. What operations do is the test's.
 */
#ifndef PLUMBLINE_CHECK_PLAY_H
#define PLUMBLINE_CHECK_PLAY_H

#include "check_dice.h"

enum phase { IDLE, BEGUN, DONE, DEAD, BURIED };

struct play;

struct acts {
	void (*begin)(struct play *p, int who);	 /* play_add() */
	bool (*effect)(struct play *p, int who); /* false: it waits */
	void (*end)(struct play *p, int who);	 /* rec[who] has succeeded, or fails */
	void (*bury)(struct play *p, int who);	 /* NULL: it changes nothing */
};

/* To be the first member of a test's own. */
struct play {
	const struct acts *acts;
	struct round *b;
	struct dice *d;
	struct pl_rec *rec[B_ACTORS]; /* the operation that each is in */
	enum phase phase[B_ACTORS];
	int64_t t, last[B_ACTORS]; /* now; when each was last in a call */
	int left, kills;	   /* that may still come */
};

/* The operation that begins: at once, or as soon as the one before had returned. */
struct pl_rec *play_add(struct play *p, int who, int op);

/* So many moves at least, and at most as many as it takes until no operation is left to begin. */
void play_run(struct play *p, int least, int most);

/* What can end ends; who waits for ever is killed. */
void play_finish(struct play *p);

/* One who is idle takes until there is no more. `take` adds each take; none of them may wait. */
void play_drain(struct play *p, int who, void (*take)(struct play *p, int who));

#endif
