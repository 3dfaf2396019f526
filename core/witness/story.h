/* SPDX-License-Identifier: MIT
 *
 * A violation told: the fewest operations that show it, in words and as a drawing in text.
 */
#ifndef PLUMBLINE_WITNESS_STORY_H
#define PLUMBLINE_WITNESS_STORY_H

#include "reduce.h"

#include <jansson.h>

enum {
	PL_STORY_OPS = 20,   /* operations shown */
	PL_STORY_WIDE = 100, /* columns of the drawing */
	PL_STORY_LABEL = 48,
	PL_STORY_DRAWING = 6144,
};

/* Of one size, without pointers: it may lie in shared memory. */
struct pl_story {
	bool enough; /* the operations shown are violated by the same rule when nothing else is there */
	bool confirmed;	  /* of the part too a search found no order of all operations */
	uint64_t ops, of; /* how many are enough, of how many; ops 0: no smaller part was found */
	int64_t level;	  /* what a counter begins with; -1: no counter, or not known */
	int n;		  /* shown, in order of their begins; control's among them */
	struct pl_rec op[PL_STORY_OPS];
	char f[PL_STORY_OPS][24];
	char label[PL_STORY_OPS][PL_STORY_LABEL]; /* "send 0#17" */
	char drawing[PL_STORY_DRAWING];		  /* lines of at most PL_STORY_WIDE columns */
};

/* Reduces the round that v is about (reduce.h) and tells of what is left. A round that is not violated has no story:
 * n is 0. If `part` is given and there is one, it is left there and must be freed. */
void pl_story_tell(const struct pl_log *logs, int nlogs, int64_t clock_error,
	const struct pl_verdict *v, struct pl_story *ret_story, struct pl_part_of *ret_part);

/* The operations shown, and the lines of the drawing; times since t0. NULL: no memory. */
json_t *pl_story_ops(const struct pl_story *s, int64_t t0);
json_t *pl_story_lines(const struct pl_story *s);

/* What was promised, in a sentence; "" for a rule that is not known. */
const char *pl_promise(uint32_t model, const char *rule);

/* For the parts of it: what an operation did ("post 1", "receive EAGAIN"); the drawing of story->op. */
void pl_story_label(const struct pl_log *log, const struct pl_rec *r, char *buf, size_t size);
void pl_story_draw(struct pl_story *s);

#endif
