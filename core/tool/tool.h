/* SPDX-License-Identifier: MIT
 *
 * plumb-check: what its parts share. A part is a file; what it gives to the others stands here under its name.
 */
#ifndef PLUMBLINE_TOOL_H
#define PLUMBLINE_TOOL_H

#include "../check/file.h"
#include "../witness/story.h"

#include <stdbool.h>
#include <stdio.h>

/* Exit codes. */
enum { HELD = 0, VIOLATED = 1, USAGE = 2, BROKEN = 3, INCONCLUSIVE = 5 };

enum format { FORMAT_NONE, FORMAT_JSONL, FORMAT_EDN };

struct options {
	int model; /* -1: what the files say */
	bool stats, json, join, exact, brief;
	enum format export;
	const char *out;     /* folder of what is exported; NULL: standard output */
	const char *minimal; /* folder of what is enough of violated rounds; NULL */
	int64_t clock_error;
};

/* The logs of one round: of all actors of one object, and control's, in order of their numbers. */
struct round {
	struct pl_log *logs;
	int n;
};

/* words.c: what histories call things, made printable: names come from files. In static buffers, eight in turn. */
const char *words_clean(const char *s, size_t n);
const char *words_op(const struct pl_hist_head *h, const struct pl_rec *r);
const char *words_model(uint32_t model);
enum pl_role words_role(const struct pl_log *l, const struct pl_rec *r);

#define CLEAN(field) words_clean(field, sizeof(field))

/* files.c: which history files there are, by what their heads say. */
struct file {
	char *path;
	char run[sizeof((struct pl_hist_head *)0)->run];
	uint32_t inst, round;
	uint16_t actor;
};

struct files {
	struct file *file; /* by run, instance, round and actor */
	int n;
	bool strange; /* some file was no history: whose round it is of, nobody knows */
	bool nomem;
};

/* Adds a file, or all *.hist in a folder and those below it. A line to standard error for each that
 * cannot be read. */
void files_add(struct files *f, const char *path);
void files_sort(struct files *f);
bool files_same_round(const struct file *a, const struct file *b);
bool files_of_one_round(const struct files *f); /* once sorted */
void files_free(struct files *f);

/* rounds.c: from files to rounds, one in memory at a time. */
struct rounds;
struct rounds *rounds_new(const struct files *f, const struct options *o);
/* 1, 0 at the end, or the negative of an exit code after a line to standard error. What it gave before
 * is gone then. */
int rounds_next(struct rounds *r, struct round *ret);
void rounds_free(struct rounds *r);

/* stats.c: what stands behind a verdict. */
enum { STATS_DEPTH = 16 }; /* so many in flight, or more */

struct stats {
	uint64_t begun[STATS_DEPTH +
		       1]; /* operations that began as the nth of those in flight, from 1 */
	uint64_t adjacent,
		apart; /* neighbours in order of begin, of different actors; those of them in
				     which the one had ended before the other began */
	int busy;      /* actors that did anything */
};

int stats_of(const struct round *r, struct stats *ret);
int64_t stats_percentile(const struct pl_verdict *v, int per_mille);
const char *stats_doubt(const struct pl_verdict *v, const struct stats *s); /* NULL: none */
void stats_print(const struct pl_verdict *v, const struct stats *s);

/* print.c: a verdict for people; stats and story may be NULL. And the record that a witness points at; NULL: none. */
const struct pl_log *print_find(
	const struct round *r, const struct pl_witness *w, const struct pl_rec **ret_rec);
void print_verdict(const struct round *r, const struct pl_verdict *v, const struct stats *s,
	const struct pl_story *story);

/* json.c: the same for machines, one object a line. Story may be NULL. False: out of memory. */
bool json_verdict(const struct round *r, const struct pl_verdict *v, const struct stats *s,
	const struct pl_story *story);

/* story.c: what is enough of a violated round, printed; its histories in a folder: 0, or -1 after a line to standard
 * error. */
void story_print(const struct round *r, const struct pl_verdict *v, const struct pl_story *s);
int story_write(const char *folder, const struct pl_part_of *part);

/* export.c: the operations of a round for other checkers. An exit code. */
int export_round(const struct round *r, const struct options *o);

#endif
