/* SPDX-License-Identifier: MIT
 *
 * A right history of 10,000 operations, of any model.
 */
#ifndef PLUMBLINE_CHECK_LARGE_H
#define PLUMBLINE_CHECK_LARGE_H

#include "check_dice.h"

enum { ACTORS = 6, IDLER = 5, OPS = 10000, RECS = 8192, LEVEL = 3 };

/* A world in which operations take effect one after another, each somewhere inside of its time. */
struct large {
	struct dice d;
	struct pl_hist_head head[ACTORS + 1];
	struct pl_rec rec[ACTORS + 1][RECS];
	struct pl_log log[ACTORS + 1];
	uint32_t n[ACTORS + 1];
	int64_t t, last[ACTORS + 1];
	uint64_t queue[64], tag[64], level, tokens, value, holder;
	int in;
	struct pl_verdict v;
};

/* Free it when done. IDLER has done nothing. */
struct large *large_right(enum pl_model model, uint64_t key);
struct pl_rec *large_add(struct large *w, int who, int op, int64_t from, int64_t to);

/* By the rules alone, into w->v. */
void large_judge(struct large *w);

#endif
