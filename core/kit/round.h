/* SPDX-License-Identifier: MIT
 *
 * A run and its rounds, inside the kit: run.c takes the request and tells the outcome, round.c goes
 * through the stages, rest.c finds out that nothing moves any more.
 *
 *   GATHER  every actor that died is reaped and replaced, every part is dealt out
 *   WORK    actors run; balanced plans park them all, and the last one rings the bell
 *   KICK    nothing moves: liveness was read, sleepers are being woken by signals (or killed, if
 * none wakes them) DRAIN   one actor empties the object CHECK   a forked child judges
 */
#ifndef PLUMBLINE_ROUND_H
#define PLUMBLINE_ROUND_H

#include "kit.h"

enum stage_of_round { GATHER, WORK, KICK, DRAIN, CHECK };

#define PL_LOOK_NS INT64_C(20000000)	/* no count moved for this long: look at /proc */
#define PL_FRUIT_NS INT64_C(100000000)	/* nothing succeeded for this long: no further units */
#define PL_BLIND_NS INT64_C(1000000000) /* the same without /proc: waits are ended on suspicion */
#define PL_KICK_NS INT64_C(1000000)
#define PL_SLOW_NS INT64_C(30000000000) /* a round that lasts longer is given up */
#define PL_DRAIN_NS INT64_C(2000000000)
#define PL_CHECK_NS INT64_C(20000000000)
#define PL_NAP_NS                                                                                  \
	INT64_C(500000) /* for a birth; for a seat at first, then twice as long each time, up to PL_LOOK_NS */
#define PL_THERE_NS INT64_C(1000000000) /* how long a round waits for who was just started */
#define PL_CLEAN_NS INT64_C(2000000000) /* rounds that only empty the object: drainers die too */

struct pl_run {
	int64_t id;
	int handle;
	uint32_t ops;
	uint64_t rounds_wanted;
	int64_t for_ns, begun, start_at;
	enum stage_of_round stage;
	bool cancel, spoilt, dirty, cleaning;
	bool mourned;	    /* somebody died in this round */
	unsigned told_rest; /* events `rest` of this run */
	int64_t round_begun, stage_begun, work_ended, due, clean_from;
	int64_t nap; /* between two looks for a seat of a checker */
	uint64_t last_count, last_okay;
	int64_t fruit;	 /* when an operation was last seen to have succeeded, */
	uint64_t barren; /* and how many had failed by then */
	int64_t moved;	 /* when the count was last seen to have changed */
	/* what the reply tells */
	uint64_t rounds, judged, unknown, violated, done, okay, fail, bytes, killed, pending,
		ordered, shorts, overlapped;
	uint64_t done0, okay0, fail0, bytes0;
	int64_t overhead_ns, check_ns;
	char why[280];
};

bool pl_run_has(unsigned actor); /* it takes part */
void pl_run_totals(uint64_t *done, uint64_t *okay, uint64_t *fail, uint64_t *bytes);
void pl_run_finish(void); /* answers, and the job is gone */
void pl_run_fail(const char *why);

void pl_stage_begin(enum stage_of_round s);
void pl_round_try(void); /* GATHER: begins the round, or waits for a death to be reaped */
void pl_round_next(void);
bool pl_all_parked(void);

void pl_rest_watch(int64_t now); /* WORK */
void pl_rest_level(void);	 /* notes what can be taken and put now */
void pl_rest_kick(int64_t now);	 /* KICK */
void pl_rest_give_up(void);

/* ends.c: notes who has the ends of the object, before a round and after it. */
void pl_ends_begin(const struct pl_handle *h);
void pl_ends_over(const struct pl_handle *h);
bool pl_ends_can_take(unsigned actor); /* as far as it has told */

#endif
