/* SPDX-License-Identifier: MIT
 *
 * plumb-check: what its parts share. A part is a file; what it gives to the others stands here under its name.
 */
#ifndef PLUMBLINE_TOOL_H
#define PLUMBLINE_TOOL_H

#include "../check/file.h"

#include <stdbool.h>
#include <stdio.h>

/* Exit codes. */
enum { HELD = 0, VIOLATED = 1, USAGE = 2, BROKEN = 3, INCONCLUSIVE = 5 };

struct options {
	int model; /* -1: what the files say */
	bool export, stats, join;
	int64_t clock_error;
};

/* The logs of one round: of all actors of one object, and control's. */
struct round {
	struct pl_log *logs;
	int n;
};

/* rounds.c: from files to rounds. */
struct rounds {
	struct pl_log *logs; /* by run, instance, round and actor */
	struct pl_hist_head *heads;
	int n, next;
	bool joined;
};

/* HELD, or the exit code after a line to standard error for each file that cannot be read. What can
 * be read is there all the same. */
int rounds_open(struct rounds *r, char **files, int nfiles, const struct options *o);
bool rounds_next(struct rounds *r, struct round *ret);
void rounds_close(struct rounds *r);

/* words.c: what histories call things, made printable: names come from files. In static buffers, eight in turn. */
const char *words_clean(const char *s, size_t n);
const char *words_op(const struct pl_hist_head *h, const struct pl_rec *r);
const char *words_model(uint32_t model);

#define CLEAN(field) words_clean(field, sizeof(field))

/* print.c: a verdict for people. */
void print_verdict(const struct round *r, const struct pl_verdict *v, const struct options *o);

/* stats.c: what stands behind a verdict. */
void stats_print(const struct pl_verdict *v);

/* export.c: the operations of a round for other checkers. An exit code. */
int export_round(const struct round *r);

#endif
