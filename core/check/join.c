/* SPDX-License-Identifier: MIT
 *
 * One round from the halves of it that several drivers have kept, on machines whose clocks say
 * nothing about each other's.
 *
 * Each side's own times are true among themselves. Sides that put are laid before sides that take,
 * so that no rule can claim that something was taken too early; what is left of time is the order
 * of what one machine did. A stream counts as drained only where a taker has read end of file: what
 * has not come may still be on its way.
 */
#include "file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SIDES = 16, SIDE = 256 }; /* machines of a round; actors of each */

struct side {
	uint32_t inst;
	bool puts, takes, ended;
	int64_t from, to, shift;
};

struct join {
	struct side side[SIDES];
	int nsides;
	bool eof;
};

static struct side *side_of(struct join *j, uint32_t inst)
{
	for (int i = 0; i < j->nsides; i++)
		if (j->side[i].inst == inst)
			return &j->side[i];
	if (j->nsides == SIDES)
		return NULL;
	j->side[j->nsides] = (struct side){ .inst = inst, .from = INT64_MAX, .to = INT64_MIN };
	return &j->side[j->nsides++];
}

static enum pl_role role_in(const struct pl_log *l, const struct pl_rec *r)
{
	return l->head->actor != PL_CONTROL && r->op < l->head->nops && r->op < PL_HIST_OPS &&
			       r->state >= PL_INVOKED && r->state <= PL_FAIL
		       ? (enum pl_role)l->head->op[r->op].role
		       : PL_NONE;
}

static void look_at(struct join *j, struct side *s, const struct pl_log *l)
{
	s->ended |= l->head->actor == PL_CONTROL && l->head->flags & PL_HIST_ENDED;
	for (uint64_t i = 0; i < l->n; i++) {
		const struct pl_rec *r = &l->rec[i];
		enum pl_role role = role_in(l, r);

		if (r->state == PL_MORE)
			continue;
		s->puts |= role == PL_PUT && r->state != PL_FAIL;
		s->takes |= role == PL_TAKE && r->state != PL_FAIL;
		j->eof |= role == PL_TAKE && r->state == PL_OK && r->ret == 0 && r->len > 0;
		s->from = r->t_invoke < s->from ? r->t_invoke : s->from;
		s->to = r->t_invoke > s->to ? r->t_invoke : s->to;
		if (r->state != PL_INVOKED)
			s->to = r->t_return > s->to ? r->t_return : s->to;
	}
}

/* Where each side's times go. False: a side does both, and no order of the sides is safe. */
static bool lay_out(struct join *j)
{
	int64_t at = 1000;

	for (int takes = 0; takes < 2; takes++)
		for (int i = 0; i < j->nsides; i++) {
			struct side *s = &j->side[i];
			int64_t span;

			if (s->takes != takes)
				continue;
			if ((s->takes && s->puts) ||
				(s->from <= s->to && __builtin_sub_overflow(s->to, s->from, &span)))
				return false;
			span = s->from <= s->to ? s->to - s->from : 0;
			if (__builtin_sub_overflow(at, s->from, &s->shift) ||
				__builtin_add_overflow(at, span, &at) || at > INT64_MAX - 1000)
				return false;
			at += 1000;
		}
	return true;
}

/* A copy with this side's times and numbers of actors. Of control's records only deaths are kept. */
static bool copy(struct join *j, const struct pl_log *from, struct pl_log *to)
{
	struct side *s = side_of(j, from->head->inst);
	uint16_t base = (uint16_t)((s - j->side) * SIDE);
	bool control = from->head->actor == PL_CONTROL;
	struct pl_hist_head *h = malloc(sizeof *h);
	struct pl_rec *rec = malloc((from->n + 1) * sizeof *rec);
	uint64_t n = 0;

	*to = (struct pl_log){ .head = h, .rec = rec };
	if (!h || !rec)
		return false;
	*h = *from->head;
	if (!control)
		h->actor = (uint16_t)(h->actor % SIDE + base);
	h->flags &= PL_HIST_FULL | PL_HIST_BEYOND | PL_HIST_PRIMED;
	h->actors = 0;
	h->flags |= PL_HIST_ALTERED; /* what was inside when is nobody's to say */
	h->capacity = 0;
	for (uint64_t i = 0; i < from->n; i++) {
		struct pl_rec *r = &rec[n];

		*r = from->rec[i];
		if (control && r->op != PL_OP_KILL && r->op != PL_OP_REAP)
			continue;
		n++;
		if (r->state == PL_MORE)
			continue;
		r->actor = h->actor;
		r->token = control ? r->token % SIDE + base : r->token;
		r->t_invoke += s->shift;
		r->t_return += r->state == PL_INVOKED ? 0 : s->shift;
	}
	to->n = n;
	return true;
}

/* Control's logs become one: the first. */
static int merge_controls(struct pl_log *logs, int n)
{
	struct pl_log *first = NULL;
	int kept = 0;

	for (int i = 0; i < n; i++) {
		struct pl_rec *all;

		if (logs[i].head->actor != PL_CONTROL || !first) {
			first = logs[i].head->actor == PL_CONTROL ? &logs[kept] : first;
			logs[kept++] = logs[i];
			continue;
		}
		all = malloc((first->n + logs[i].n + 1) * sizeof *all);
		if (!all)
			return -ENOMEM;
		memcpy(all, first->rec, first->n * sizeof *all);
		memcpy(all + first->n, logs[i].rec, logs[i].n * sizeof *all);
		free((void *)first->rec);
		first->rec = all;
		first->n += logs[i].n;
		free((void *)logs[i].rec);
		free((void *)logs[i].head);
	}
	return kept;
}

static void finish(const struct join *j, struct pl_log *logs, int n)
{
	bool ended = true;

	for (int i = 0; i < j->nsides; i++)
		ended &= j->side[i].ended;
	for (int i = 0; i < n; i++) {
		struct pl_hist_head *h = (struct pl_hist_head *)logs[i].head;
		struct pl_rec *rec = (struct pl_rec *)logs[i].rec;

		if (h->actor != PL_CONTROL)
			continue;
		h->flags |= (ended ? PL_HIST_ENDED : 0) |
			    (j->eof && h->model == PL_MODEL_STREAM ? PL_HIST_DRAINED : 0);
		for (uint64_t k = 0; k < logs[i].n; k++)
			rec[k].seq = (uint32_t)k;
	}
}

static bool is_late(const struct pl_log *logs, int n)
{
	for (int i = 0; i < n; i++)
		if (!(logs[i].head->caps & PL_LATE))
			return false;
	return true;
}

int pl_join(const struct pl_log *logs, int n, struct pl_log *ret, const char **why)
{
	struct join *j = calloc(1, sizeof *j);
	int made = 0;

	*why = !j ? "out of memory"
	       : !is_late(logs, n)
		       ? "halves are joined only of what may arrive late: elsewhere an empty "
			 "result would need a common clock"
		       : NULL;
	for (int i = 0; i < n && !*why; i++) {
		struct side *s = side_of(j, logs[i].head->inst);

		if (s)
			look_at(j, s, &logs[i]);
		else
			*why = "too many sides";
	}
	if (!*why && !lay_out(j))
		*why = "one side both puts and takes: without a common clock that is not judged";
	for (int i = 0; i < n && !*why; i++, made++)
		if (!copy(j, &logs[i], &ret[i]))
			*why = "out of memory";
	if (!*why) {
		n = made = merge_controls(ret, n);
		*why = n < 0 ? "out of memory" : NULL;
		if (n > 0)
			finish(j, ret, n);
	}
	free(j);
	return *why ? -EINVAL : n;
}
