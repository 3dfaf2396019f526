/* SPDX-License-Identifier: MIT
 *
 * Takes the logs of a round as they are given and settles what may be believed of them.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

int pl_actor_by_id(const struct pl_case *c, uint64_t id)
{
	for (int i = 0; i < c->nactors; i++)
		if (c->actor[i].id == id)
			return i;
	return -1;
}

const struct pl_rec *pl_rec_of(const struct pl_case *c, uint32_t ref, int *ret_who)
{
	for (int i = 0; i < c->nactors; i++) {
		const struct pl_actor *a = &c->actor[i];

		if (ref - a->first < a->n) {
			if (ret_who)
				*ret_who = i;
			return a->rec + (ref - a->first);
		}
	}
	return NULL;
}

/* Control's log says who died when. A kill that was never reaped leaves the end open. */
static void load_deaths(struct pl_case *c)
{
	for (uint64_t i = 0; i < c->control->n; i++) {
		const struct pl_rec *r = &c->control->rec[i];
		int who;

		if (r->op != PL_OP_KILL && r->op != PL_OP_REAP)
			continue;
		who = pl_actor_by_id(c, r->token);
		if (who < 0)
			continue;
		c->actor[who].dead = true;
		if (r->op == PL_OP_KILL)
			c->actor[who].t_kill = r->t_invoke;
		else if (r->state != PL_INVOKED)
			c->actor[who].t_reap = r->t_return;
	}
}

static const char *load_actor(struct pl_case *c, const struct pl_log *log)
{
	const struct pl_hist_head *h = log->head;
	struct pl_actor *a = &c->actor[c->nactors];

	if (pl_actor_by_id(c, h->actor) >= 0)
		return "two histories claim to be the same actor's";
	if (log->n > PL_RECORDS_MAX - (uint64_t)c->nrecs)
		return "too many records";
	if (c->head && (h->model != c->head->model || h->seed != c->head->seed))
		return "histories of different objects";
	*a = (struct pl_actor){ .head = h, .rec = log->rec, .n = log->n, .id = h->actor };
	a->first = c->nrecs;
	a->t_kill = INT64_MIN, a->t_reap = INT64_MAX;
	c->nrecs += (uint32_t)log->n;
	c->head = c->head ? c->head : h;
	c->nactors++;
	return NULL;
}

/* Returns -1 when there is nothing to judge; the verdict then says why. */
static bool has_put(const struct pl_actor *a)
{
	for (uint64_t k = 0; k < a->n; k++)
		if (pl_role_of(a->head, &a->rec[k]) == PL_PUT)
			return true;
	return false;
}

/* What was on its way to an owner that died is gone, and not lost. The owner may have died before
 * it did anything: whoever put nothing may have been it. */
static bool owner_died(const struct pl_case *c)
{
	for (int i = 0; c->head->caps & PL_OWNED && i < c->nactors; i++)
		if (c->actor[i].dead && !has_put(&c->actor[i]))
			return true;
	return false;
}

int pl_load(struct pl_case *c, const struct pl_log *logs, int nlogs)
{
	const char *why = nlogs > PL_ACTORS_MAX ? "too many histories" : NULL;

	c->actor = nlogs > 0 && !why ? calloc((size_t)nlogs, sizeof *c->actor) : NULL;
	if (!c->actor) {
		pl_unknown(c, "LOGS", why ? why : nlogs > 0 ? "out of memory" : "no history");
		return -1;
	}
	for (int i = 0; i < nlogs && !why; i++) {
		if (!logs[i].head || (logs[i].n > 0 && !logs[i].rec))
			why = "a history without a head";
		else if (logs[i].head->flags & PL_HIST_FULL)
			why = "a history was full: records are missing";
		else if (logs[i].head->actor != PL_CONTROL)
			why = load_actor(c, &logs[i]);
		else if (c->control)
			why = "two histories of control";
		else
			c->control = &logs[i];
	}
	if (!why && (!c->control || !(c->control->head->flags & PL_HIST_ENDED)))
		why = c->control ? "the round did not end: actors were still in operations"
				 : "control's history is missing";
	if (!why && c->control->head->actors && (int)c->control->head->actors != c->nactors)
		why = (int)c->control->head->actors > c->nactors
			      ? "an actor's history is missing"
			      : "there are more histories than control counted";
	if (why) {
		pl_unknown(c, "LOGS", why);
		return -1;
	}
	c->head = c->head ? c->head : c->control->head;
	load_deaths(c);
	c->drained = c->control->head->flags & PL_HIST_DRAINED && !owner_died(c);
	return 0;
}
