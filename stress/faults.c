/* SPDX-License-Identifier: MIT
 *
 * Faults at a rate: actors of drivers that are in a run are killed, or stopped for up to 20 ms.
 */
#include "engine.h"
#include "../core/hist/rng.h"

#define FAULT_KEY UINT64_C(0x6661756c74) /* keeps these draws apart from the instances' seeds */
#define STOPPED_MAX_NS (20 * MS)

static int64_t draw(struct engine *e, int64_t lo, int64_t hi)
{
	return pl_rand_range(e->cfg.seed ^ FAULT_KEY, e->picks++, lo, hi);
}

static struct driver *pick(struct engine *e)
{
	int64_t k;

	if (e->lanes.running <= 0)
		return NULL;
	k = draw(e, 0, e->lanes.running - 1);
	for (unsigned i = 0; i < e->n; i++)
		if (e->drv[i].state == ST_RUNNING && e->drv[i].in_lane && k-- == 0)
			return &e->drv[i];
	return NULL;
}

static void inject(struct engine *e, struct driver *d, int i, int64_t now)
{
	struct fault *f = &e->cfg.fault[i];
	int actor = (int)draw(e, 0, d->nactors - 1);

	f->asked++;
	if (f->what == FAULT_KILL) {
		wire_fault(d, "kill", actor, (short)i);
		return;
	}
	if (d->cont_ns) { /* one at a time: a driver all of whose actors are stopped shows nothing
			   */
		f->refused++;
		return;
	}
	wire_fault(d, "stop", actor, (short)i);
	d->cont_actor = actor;
	d->cont_ns = now + draw(e, MS, STOPPED_MAX_NS);
}

static void let_go_on(struct engine *e, int64_t now)
{
	for (unsigned i = 0; i < e->n; i++) {
		struct driver *d = &e->drv[i];

		if (!d->cont_ns || now < d->cont_ns)
			continue;
		if (d->state < ST_LEAVING && wire_fault(d, "cont", d->cont_actor, -1) < 0)
			continue; /* at the next beat */
		d->cont_ns = 0;
	}
}

void faults_beat(struct engine *e, int64_t now)
{
	if (!e->cfg.nfault)
		return;
	let_go_on(e, now);
	for (int i = 0; e->phase == PH_RUN && i < e->cfg.nfault; i++) {
		struct fault *f = &e->cfg.fault[i];
		int64_t gap = (int64_t)((double)SEC / f->per_s);

		if (!f->next_ns || now - f->next_ns > SEC + gap)
			f->next_ns = now + gap;
		while (f->next_ns <= now) {
			struct driver *d = pick(e);

			if (!d) /* between two slices: the next beat makes up for it */
				break;
			inject(e, d, i, now);
			f->next_ns += gap;
		}
	}
}
