/* SPDX-License-Identifier: MIT
 *
 * The clock that stamps come from, looked at before it is trusted.
 *
 * An audit hands a word to and fro between two CPUs, each time with a stamp: who receives one that is
 * later than its own reading has seen the clock step back. What it finds, and the clock's resolution,
 * is the error that judges allow for: a violation that rests on less is none (check/check.h).
 */
#ifndef PLUMBLINE_CLOCK_H
#define PLUMBLINE_CLOCK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PL_CLOCK_BUDGET_NS                                                                         \
	INT64_C(250000000) /* what an audit takes at most, beside starting threads */

struct pl_clock {
	/* where it is read; "" and 0: cannot be told */
	char source[32];   /* of the kernel */
	char boot[40];	   /* which start of which kernel */
	uint64_t timens;   /* inode of the time namespace */
	int64_t offset_ns; /* of that namespace */
	int64_t res_ns;
	/* what was seen */
	unsigned cpus;	   /* that we may use */
	unsigned unpinned; /* of these: nobody could be bound to them */
	unsigned pairs, all_pairs;
	uint64_t handoffs, backwards;
	int64_t step_ns;  /* the worst step back */
	int64_t error_ns; /* by how much two stamps of different CPUs may be wrong */
};

/* Both read /proc and /sys below `root` ("" as a rule). The audit looks at every pair of up to 16 CPUs;
 * of more, at the first with each other, and allows for twice what it sees. */
void pl_clock_place(const char *root, struct pl_clock *ret);
void pl_clock_audit(const char *root, int64_t budget_ns, struct pl_clock *ret);

/* Do two readings come from different clocks, as far as can be told? Then `why` says so. */
bool pl_clock_differs(const struct pl_clock *a, const struct pl_clock *b, char *why, size_t size);

/* Is what was stamped between two audits in doubt: another clock, or a step beyond what was allowed for? */
bool pl_clock_doubt(
	const struct pl_clock *before, const struct pl_clock *after, char *why, size_t size);

json_t *pl_clock_json(const struct pl_clock *c);

#endif
