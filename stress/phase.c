/* SPDX-License-Identifier: MIT
 *
 * The course of a run: start, run, drain, stop, over. One beat drives every deadline.
 */
#include "engine.h"

#include <stdlib.h>

#define LATE_NS (SEC / 2)

static unsigned blocked(const struct engine *e, const struct mix *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < e->n; i++)
		n += e->drv[i].mix == m && e->drv[i].state != ST_GONE ? e->drv[i].nblocked : 0;
	return n;
}

static json_t *mechs(struct engine *e)
{
	json_t *all = json_object();
	double s = (double)(now_ns() - e->run_from_ns) / 1e9;

	for (unsigned i = 0; i < e->cfg.nmix; i++) {
		struct mix *m = &e->cfg.mix[i];
		const struct tally *t = &m->tally;
		char name[2 * NAME_MAX_];
		json_t *o = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f}", "n",
			(json_int_t)m->n, "done", (json_int_t)t->tick_done, "okay",
			(json_int_t)t->tick_okay, "fail", (json_int_t)t->tick_fail, "bytes",
			(json_int_t)t->tick_bytes, "rounds", (json_int_t)t->rounds, "violated",
			(json_int_t)t->violated, "unknown", (json_int_t)t->unknown, "ops_per_s",
			s > 0 && e->run_from_ns ? (double)t->tick_done / s : 0.0);

		(void)json_object_set_new(o, "judged", json_integer((json_int_t)t->judged));
		(void)json_object_set_new(o, "blocked", json_integer(blocked(e, m)));
		detail_json(&m->detail, o);
		(void)json_object_set_new(all, mix_name(m, name), o);
	}
	return all;
}

static void tick(struct engine *e, int64_t now)
{
	if (now < e->next_tick_ns)
		return;
	e->next_tick_ns = now + SEC;
	for (unsigned i = 0; i < e->n; i++)
		e->drv[i].flood_bytes = e->drv[i].flood_lines = 0;
	events_put(e, "tick",
		json_pack("{s:i,s:i,s:o}", "alive", (int)(e->n - e->ngone), "running",
			e->lanes.running, "mechs", mechs(e)));
	if (e->cfg.nfault) {
		json_t *all = json_object();

		for (int i = 0; i < e->cfg.nfault; i++)
			(void)json_object_set_new(all,
				e->cfg.fault[i].what == FAULT_KILL ? "kill" : "stop",
				json_integer((json_int_t)e->cfg.fault[i].done));
		events_put(e, "fault", all);
	}
	human_tick(e, now);
}

void phase_arm(struct engine *e)
{
	unsigned left = 0;

	if (e->phase != PH_START)
		return;
	for (unsigned i = 0; i < e->n && !left; i++)
		left += e->drv[i].state == ST_STARTING || e->drv[i].state == ST_NEW;
	if (left)
		return;
	e->armed_ns = now_ns();
	events_put(e, "armed",
		json_pack("{s:i,s:f}", "n", (int)e->nready, "ms",
			(double)(e->armed_ns - e->t0) / 1e6));
	human_armed(e, (double)(e->armed_ns - e->t0) / 1e6);
	e->phase = PH_RUN;
	e->run_from_ns = now_ns();
	e->run_until_ns = e->run_from_ns + e->cfg.for_ns;
	if (e->gallery)
		gallery_play(e);
	else if (e->cfg.lanes)
		lanes_fill(e);
	else
		lanes_free_run(e);
}

void phase_stop(struct engine *e)
{
	if (e->phase >= PH_STOP)
		return;
	e->phase = PH_STOP;
	e->lanes.closed = true;
	e->end_ns = now_ns();
	for (unsigned i = 0; i < e->n; i++)
		pool_leave(&e->drv[i]);
}

void phase_interrupt(struct engine *e)
{
	e->interrupts++;
	if (e->interrupts == 1) {
		human_note(e, "interrupted: stopping (once more kills)");
		phase_stop(e);
	} else if (e->interrupts == 2) {
		phase_stop(e);
		pool_kill_all(e);
	}
}

static void advance(struct engine *e, int64_t now)
{
	unsigned leaving = 0;

	for (unsigned i = 0; i < e->n; i++)
		leaving += e->drv[i].state == ST_LEAVING;
	if (e->phase == PH_RUN && (now >= e->run_until_ns || e->ngone + leaving == e->n)) {
		e->lanes.closed = true;
		e->phase = PH_DRAIN;
		e->drain_ns = now;
	}
	/* overdue runs are watch.c's, which ends each of them; this bound is for what it forgot */
	if (e->phase == PH_DRAIN &&
		(e->lanes.running == 0 || now - e->drain_ns > 15 * e->cfg.patience_ns))
		phase_stop(e);
	if (e->phase == PH_STOP && e->ngone == e->n) {
		e->phase = PH_OVER;
		uv_stop(&e->loop);
	}
}

void phase_beat(struct engine *e)
{
	int64_t now = now_ns();
	bool late = now - e->beat_ns > LATE_NS;

	e->beat_ns = now;
	phase_arm(e);
	for (unsigned i = 0; i < e->n; i++) {
		struct driver *d = &e->drv[i];

		if (d->state == ST_GONE)
			continue;
		/* after a stop of its own the engine must first read what came meanwhile */
		if (!late)
			watch_driver(d, now);
		pool_beat(d, now);
	}
	faults_beat(e, now);
	gallery_beat(e, now);
	advance(e, now);
	tick(e, now);
}
