/* SPDX-License-Identifier: MIT
 *
 * Which operations are shown: all that are enough, if there is room; else what the verdict points at, and what
 * came before.
 */
#include "story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An operation and how much it is wanted. */
struct pick {
	const struct pl_log *log;
	const struct pl_rec *rec;
	bool named;
};

static bool is_named(const struct pl_verdict *v, uint16_t actor, const struct pl_rec *r)
{
	for (int i = 0; i < v->nwit && i < PL_WITNESS_MAX; i++)
		if (v->wit[i].actor == actor && v->wit[i].seq == r->seq)
			return true;
	return false;
}

/* Of control's records: what the verdict points at, what a vector begins with, and the deaths of those that are seen. */
static bool is_shown(const struct pl_log *logs, int n, const struct pl_log *l,
	const struct pl_rec *r, bool named)
{
	if (r->state == PL_MORE || l->head->actor != PL_CONTROL || named)
		return r->state >= PL_INVOKED && (r->state <= PL_FAIL || named);
	if (r == l->rec && r->op == PL_OP_LEVEL && l->head->model == PL_MODEL_VECTOR)
		return true;
	for (int i = 0; r->op == PL_OP_KILL && i < n; i++)
		if (logs[i].head->actor == r->token)
			return logs[i].n > 0;
	return false;
}

static int by_wish(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;

	if (x->named != y->named)
		return y->named - x->named;
	return (x->rec->t_invoke < y->rec->t_invoke) - (x->rec->t_invoke > y->rec->t_invoke);
}

static int by_begin(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;

	if (x->rec->t_invoke != y->rec->t_invoke)
		return (x->rec->t_invoke > y->rec->t_invoke) -
		       (x->rec->t_invoke < y->rec->t_invoke);
	if (x->log != y->log)
		return (x->log > y->log) - (x->log < y->log);
	return (x->rec > y->rec) - (x->rec < y->rec);
}

/* Keeps the PL_STORY_OPS best of those seen so far, so that memory stays small. */
static void offer(struct pick *p, int *n, struct pick one)
{
	if (*n == 2 * PL_STORY_OPS) {
		qsort(p, (size_t)*n, sizeof *p, by_wish);
		*n = PL_STORY_OPS;
	}
	p[(*n)++] = one;
}

static void name(const struct pick *p, char *f, size_t size)
{
	const char *of = p->log->head->actor == PL_CONTROL ? "control"
			 : p->rec->op < PL_HIST_OPS	   ? p->log->head->op[p->rec->op].name
							   : "?";

	(void)snprintf(f, size, "%.*s", (int)sizeof p->log->head->op[0].name, of);
	for (; *f; f++)
		if (*f < ' ' || *f > '~')
			*f = '?';
}

static void choose(struct pl_story *s, const struct pl_log *logs, int nlogs,
	const struct pl_verdict *v, bool only_named)
{
	struct pick p[2 * PL_STORY_OPS];
	int n = 0;

	for (int i = 0; i < nlogs; i++)
		for (uint64_t k = 0; k < logs[i].n; k++) {
			const struct pl_rec *r = &logs[i].rec[k];
			bool named = is_named(v, logs[i].head->actor, r);

			if (is_shown(logs, nlogs, &logs[i], r, named) && (named || !only_named))
				offer(p, &n, (struct pick){ &logs[i], r, named });
		}
	qsort(p, (size_t)n, sizeof *p, by_wish);
	s->enough = !only_named && n <= PL_STORY_OPS;
	s->n = n < PL_STORY_OPS ? n : PL_STORY_OPS;
	qsort(p, (size_t)s->n, sizeof *p, by_begin);
	for (int i = 0; i < s->n; i++) {
		s->op[i] = *p[i].rec;
		s->op[i].actor = p[i].log->head->actor;
		name(&p[i], s->f[i], sizeof s->f[i]);
		pl_story_label(p[i].log, p[i].rec, s->label[i], sizeof s->label[i]);
	}
}

static int64_t level_of(const struct pl_log *logs, int n)
{
	for (int i = 0; i < n; i++)
		if (logs[i].head->actor == PL_CONTROL && logs[i].n > 0 &&
			(logs[i].head->model == PL_MODEL_COUNTER ||
				logs[i].head->model == PL_MODEL_SUM) &&
			logs[i].rec[0].op == PL_OP_LEVEL)
			return logs[i].rec[0].ret;
	return -1;
}

void pl_story_tell(const struct pl_log *logs, int nlogs, int64_t clock_error,
	const struct pl_verdict *v, struct pl_story *s, struct pl_part_of *ret_part)
{
	struct pl_part_of part;
	bool reduced;

	*s = (struct pl_story){ .level = -1, .of = v->ops + v->pending };
	if (v->outcome != PL_VIOLATED)
		return;
	reduced = pl_reduce(logs, nlogs, clock_error, v, &part) == 0;
	if (reduced) {
		s->ops = part.ops;
		s->confirmed = part.v.confirmed;
		s->level = level_of(part.logs, part.n);
		choose(s, part.logs, part.n, v, false);
	} else {
		choose(s, logs, nlogs, v, true);
	}
	pl_story_draw(s);
	if (reduced && ret_part)
		*ret_part = part;
	else if (reduced)
		pl_part_free(&part);
}
