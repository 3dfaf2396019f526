/* SPDX-License-Identifier: MIT
 *
 * What of a violated round is enough: a smallest part of its history that is violated by the same rule.
 *
 * Operations are left out, never changed: stamps, results and values stay. Of each model only that is left out
 * without which a right history stays right, so that what is wrong with the part is wrong with the whole (H is the
 * whole, in the order that explains it if it is right; the same order explains the part):
 *
 *   queues     a value with all puts and takes of it. What is left comes out in the order in which it did. Fewer
 *   (fifo,     values explain "no room" less: such results go first, or, if one of them is what is wrong
 *   priority,  (BADFULL), all stays that may have been inside meanwhile, or in its way. A take that a kill cut off
 *   datagram)  stays: it may have had any value
 *   stream     a payload with all its bytes, cut out of the reads that hold them, if every byte of it is named
 *              there. What cannot be named stays with all that it may belong to
 *   lock       a critical section, from its acquire to its release. Where deaths matter, one that its owner died in
 *              goes only with the next one, which was told of it; where "taken" is what is wrong (BADBUSY), all
 *              stays that may have been held meanwhile
 *   register   a look; a value with all that put or found it, and with all that was put in its place, for nothing
 *              may be found that nobody stored. If one chain of values is all that is left, also its beginning: the
 *              value before it is then older than the round
 *   counter    looks. What began after the wrong result had been given, for it rests on what had begun before. What
 *              had ended before some moment: the number then is known and is what the part begins with, as long as
 *              all that was under way then can be moved behind that moment. Takes where too much was taken, or
 *              "no room" is wrong; puts where "empty" is wrong, or too much was put
 *   signal     other numbers. Deliveries, where one was too many; what was consumed by deliveries that are gone; all
 *              but the send and what may have consumed it, where one is lost
 *
 * Control's records stay, but for sightings of sleepers where no lost wake-up is meant. Pure functions; memory is
 * linear in the history, time bounded; any bytes give an answer, never a crash.
 */
#ifndef PLUMBLINE_WITNESS_REDUCE_H
#define PLUMBLINE_WITNESS_REDUCE_H

#include "../check/check.h"

/* A part of a round: one log for each of the round's, with their numbers. Records keep their `seq`. */
struct pl_part_of {
	struct pl_log *logs;
	int n;
	uint64_t ops;	     /* operations left, of all actors */
	struct pl_verdict v; /* what is said of the part alone: violated, by the same rule */
	/* what the logs point to */
	struct pl_hist_head *head;
	struct pl_rec *rec;
};

/* `v` is what pl_check says of these logs. 0; -ENOMEM; -ENOENT: v is no violation, or no part was found. */
int pl_reduce(const struct pl_log *logs, int nlogs, int64_t clock_error, const struct pl_verdict *v,
	struct pl_part_of *ret_part);
void pl_part_free(struct pl_part_of *p);

#endif
