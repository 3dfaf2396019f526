/* SPDX-License-Identifier: MIT
 *
 * The events of a search in time order, also as they would be if operations had ended later.
 */
#include "jit.h"

#include <stdlib.h>
#include <string.h>

static int by_time(const void *a, const void *b)
{
	const struct pl_jit_event *x = a, *y = b;

	if (x->part != y->part)
		return x->part < y->part ? -1 : 1;
	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	if (x->end != y->end)
		return x->end - y->end;
	return x->nth < y->nth ? -1 : x->nth > y->nth;
}

static int by_part(const void *a, const void *b)
{
	const struct pl_jit_event *x = a, *y = b;

	if (x->part != y->part)
		return x->part < y->part ? -1 : 1;
	return x->nth < y->nth ? -1 : x->nth > y->nth;
}

/* Which operations have another of their own actor beside them. */
static bool find_alone(struct pl_jit_round *j)
{
	size_t actors = (size_t)j->c->nactors + 1;
	uint32_t *open = calloc(actors, sizeof *open), *last = calloc(actors, sizeof *last);

	for (uint32_t i = 0; i < j->nev && open && last; i++) {
		const struct pl_jit_event *e = &j->ev[i];
		struct pl_jit_op *o = &j->op[e->op];

		if (e->end) {
			o->end = i;
			open[o->who]--;
			continue;
		}
		o->under_way = false;
		o->begin = i;
		o->end = PL_NEVER;
		o->alone = open[o->who] == 0;
		if (open[o->who]++ > 0)
			j->op[last[o->who]].alone = false;
		last[o->who] = e->op;
	}
	j->c->nomem |= !open || !last;
	free(open);
	free(last);
	return !j->c->nomem;
}

/* When the drain began all had ended, whatever the clocks say. */
bool pl_jit_order(struct pl_jit_round *j, int64_t later)
{
	memcpy(j->ev, j->given, j->nev * sizeof *j->ev);
	for (uint32_t i = 0; i < j->nev && later > 0; i++) {
		struct pl_jit_event *e = &j->ev[i];

		if (!e->end || e->t == INT64_MAX)
			continue;
		e->t = e->t < j->drain && j->drain - e->t <= later ? j->drain - 1 : e->t + later;
	}
	if (later > 0)
		qsort(j->ev, j->nev, sizeof *j->ev, by_time);
	else if (j->parts)
		qsort(j->ev, j->nev, sizeof *j->ev, by_part);
	if (!find_alone(j))
		return false;
	pl_jit_look_ahead(j);
	return true;
}
