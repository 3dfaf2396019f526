/* SPDX-License-Identifier: MIT
 *
 * Who is in a run. All drivers stay alive, but only `lanes` of them run at once, by slices:
 * hundreds that run freely on a few CPUs hardly ever overlap, and what does not overlap cannot
 * race.
 */
#include "engine.h"

#include <stdlib.h>

enum { SLICE_MIN_MS = 5, SLICE_MAX_MS = 50, OPS_MIN = 100, ROUNDS_MANY = 8 };

struct place {
	double key;
	unsigned inst;
};

static int by_key(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key ? 1 : x->inst < y->inst ? -1 : 1;
}

/* Instance k of n comes at (k + 1/2) / n of the turn: kinds interleave by their shares. */
int lanes_init(struct engine *e)
{
	struct lanes *l = &e->lanes;
	struct place *p = malloc(e->n * sizeof *p);
	unsigned inst = 0;
	int64_t fit;

	l->order = malloc(e->n * sizeof *l->order);
	if (!p || !l->order) {
		free(p);
		return -1;
	}
	for (unsigned i = 0; i < e->cfg.nmix; i++)
		for (unsigned k = 0; k < e->cfg.mix[i].n; k++, inst++)
			p[inst] = (struct place){ (k + 0.5) / e->cfg.mix[i].n, inst };
	qsort(p, e->n, sizeof *p, by_key);
	for (unsigned i = 0; i < e->n; i++)
		l->order[i] = p[i].inst;
	free(p);
	l->n = e->n;
	/* two turns for each within the time given, so that none is judged on a single start */
	fit = e->cfg.for_ns * (e->cfg.lanes ? e->cfg.lanes : 1) / e->n / 2;
	l->slice_ns = e->cfg.slice_ns		? e->cfg.slice_ns
		      : fit > SLICE_MAX_MS * MS ? SLICE_MAX_MS * MS
		      : fit < SLICE_MIN_MS * MS ? SLICE_MIN_MS * MS
						: fit;
	return 0;
}

static struct driver *next_ready(struct engine *e)
{
	struct lanes *l = &e->lanes;

	for (unsigned i = 0; i < l->n; i++) {
		struct driver *d = &e->drv[l->order[l->next++ % l->n]];

		if (d->state == ST_READY)
			return d;
	}
	return NULL;
}

static void give(struct driver *d, int64_t now, int64_t ms, int64_t start)
{
	d->state = ST_RUNNING;
	d->in_lane = true;
	d->run_from_ns = start ? start : now;
	d->run_ms = ms;
	d->grew_ns = d->run_from_ns;
	d->e->lanes.running++;
	wire_run(d, ms, start);
}

void lanes_fill(struct engine *e)
{
	while (e->phase == PH_RUN && e->cfg.lanes && !e->lanes.closed &&
		e->lanes.running < e->cfg.lanes) {
		int64_t now = now_ns(), left = e->run_until_ns - now;
		struct driver *d = left >= MS ? next_ready(e) : NULL;

		if (!d)
			return;
		give(d, now, (left < e->lanes.slice_ns ? left : e->lanes.slice_ns) / MS, 0);
	}
}

/* A driver's run is over, or given up. */
void lanes_done(struct driver *d)
{
	if (d->in_lane)
		d->e->lanes.running--;
	d->in_lane = false;
	if (d->state == ST_RUNNING) {
		d->state = ST_READY;
		d->slices++;
	}
	d->examined_ns = 0;
	d->seen = NULL;
	json_decref(d->who);
	d->who = NULL;
	lanes_fill(d->e);
}

/* A turn ends with a round. Where one round outlasts the turn, the others wait and some never come
 * to be judged: such a kind gets smaller rounds, and larger ones again when many fit. */
void lanes_fit(struct driver *d, const json_t *summary)
{
	int64_t took = now_ns() - d->run_from_ns, slice = d->run_ms * MS;
	json_int_t rounds = json_integer_value(json_object_get(summary, "rounds"));
	json_int_t done = json_integer_value(json_object_get(summary, "done"));
	double ops = d->mix->ops;

	if (d->state != ST_RUNNING || !d->e->cfg.lanes || rounds < 1 || done < 1 || slice < MS)
		return;
	if (rounds == 1 && took > slice + slice / 4) {
		double units = (double)done /
			       d->nactors; /* one or two operations each: right at the next turn */

		ops = (ops > 0 && ops < units ? ops : units) * (double)slice / (double)took;
		d->mix->ops = ops < OPS_MIN ? OPS_MIN : (unsigned)ops;
	} else if (rounds >= ROUNDS_MANY && ops > 0)
		d->mix->ops = (unsigned)(ops * 1.25);
}

/* All at once, at one instant far enough ahead that each has its request by then. */
void lanes_free_run(struct engine *e)
{
	int64_t now = now_ns(), start = now + 50 * MS + e->n * (MS / 10);

	e->run_until_ns = start + e->cfg.for_ns;
	for (unsigned i = 0; i < e->n; i++)
		if (e->drv[i].state == ST_READY)
			give(&e->drv[i], now, e->cfg.for_ns / MS, start);
	e->lanes.closed = true;
}
