/* SPDX-License-Identifier: MIT
 *
 * Judging a round: pure functions from histories to a verdict.
 *
 * Nothing here does I/O, reads a clock or keeps state. Memory is linear in the history (25 to 50
 * bytes an operation beside it as a rule, 84 if all are sends, 240 of a vector, 20 more once a finding needs its
 * slack; for the second opinion on a finding, what jit.h says) and comes from malloc; when it is
 * refused the verdict is unknown. Input is not trusted: any bytes at all in the records give a
 * verdict, never a crash or a read outside of them.
 */
#ifndef PLUMBLINE_CHECK_H
#define PLUMBLINE_CHECK_H

#include "../driver.h"
#include "../hist/history.h"

#include <stdbool.h>
#include <stddef.h>

enum pl_outcome { PL_HELD, PL_VIOLATED, PL_UNKNOWN };

/* One actor's history. `n` is how many records may be read (head, clamped to what is mapped). */
struct pl_log {
	const struct pl_hist_head *head;
	const struct pl_rec *rec;
	uint64_t n;
};

enum { PL_WITNESS_MAX = 6 };

/* The operation that a finding points at: record `seq` of actor `actor`. */
struct pl_witness {
	uint16_t actor;
	uint32_t seq;
};

struct pl_verdict {
	enum pl_outcome outcome;
	char rule[16];	  /* VORD, VLOST, ... ; empty when held */
	char text[256];	  /* the finding in words, with actor and sequence numbers */
	int64_t slack_ns; /* by how much stamps would have to be wrong for this to be no violation;
			     -1: no clock needed */
	bool confirmed;	  /* violated: a search for any order that explains everything found none */
	int nwit;
	struct pl_witness wit[PL_WITNESS_MAX];
	/* what stands behind a verdict */
	uint64_t ops;	  /* operations with a result */
	uint64_t pending; /* operations with none: their actor died in them */
	uint64_t
		ordered; /* operations that began after a further one of another actor had ended: the
			     edges of real-time order. 0: everything overlapped, order proves nothing */
	uint64_t short_ops, overlapped; /* operations under 20 us; those begun while another actor's
					   was in flight */
	uint64_t failed;		/* operations that returned -1 */
	uint64_t bytes;			/* taken */
	uint32_t lat[80];		/* latency histogram, see pl_lat_bucket */
	uint32_t op[PL_OPS_MAX]
		   [2]; /* by operation: those that returned, those of them that failed */
};

/* Judges all logs of one object and round (control's among them, if there is one) by the model in
 * their header. clock_error_ns: a violation whose slack is not larger than this, or than what
 * control's header says, is reported as unknown. */
void pl_check(const struct pl_log *logs, int nlogs, int64_t clock_error_ns,
	struct pl_verdict *ret_verdict);

/* The same by a search for an order of all operations that gives their results (jit.h) in place of the
 * model's rules: exact, slower, and unknown where there is too much to look at. A finding's text says in
 * which states the object could be when nothing explained what came. */
void pl_check_exact(const struct pl_log *logs, int nlogs, int64_t clock_error_ns,
	struct pl_verdict *ret_verdict);

/* The same by the model's rules alone, without a second opinion on what they find: for many parts of one round. */
void pl_check_rules(const struct pl_log *logs, int nlogs, int64_t clock_error_ns,
	struct pl_verdict *ret_verdict);

/* Bucket of a latency and the lower edge of a bucket, in ns: two buckets an octave. */
int pl_lat_bucket(int64_t ns);
int64_t pl_lat_edge(int bucket);

const char *pl_outcome_name(enum pl_outcome o);

#endif
