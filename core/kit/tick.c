/* SPDX-License-Identifier: MIT
 *
 * tick: a sign of life, and what was done since the last one. Latencies come from judged rounds, so
 * that counting them costs the actors nothing.
 */
#include "kit.h"
#include "raw.h"

static struct pl_ctl *const c = &pl_ctl;

static struct {
	uint64_t done, okay, fail, bytes, rounds;
} told;
static uint32_t lat[sizeof((struct pl_verdict *)0)->lat / sizeof(uint32_t)];
static uint32_t op[PL_OPS_MAX][2];
static uint64_t rounds;

enum { BUCKETS = sizeof lat / sizeof *lat };

void pl_tick_verdict(const struct pl_verdict *v)
{
	int i;

	rounds++;
	for (i = 0; i < BUCKETS; i++)
		lat[i] += v->lat[i];
	for (i = 0; i < PL_OPS_MAX; i++)
		op[i][0] += v->op[i][0], op[i][1] += v->op[i][1];
}

/* {"send": [returned, failed of them]}, of the rounds judged since the last tick; NULL when there were none. */
static json_t *operations(void)
{
	json_t *o = NULL;
	int i;

	for (i = 0; i < PL_OPS_MAX && c->ops[i].name; i++) {
		if (!op[i][0])
			continue;
		o = o ? o : json_object();
		(void)json_object_set_new(o, c->ops[i].name,
			json_pack("[II]", (json_int_t)op[i][0], (json_int_t)op[i][1]));
		op[i][0] = op[i][1] = 0;
	}
	return o;
}

/* {"1448": n}: how many took less than so many ns and not less than the edge before. */
static json_t *histogram(void)
{
	json_t *o = NULL;
	char edge[24];
	int i;

	for (i = 0; i < BUCKETS; i++) {
		if (!lat[i])
			continue;
		o = o ? o : json_object();
		(void)snprintf(edge, sizeof edge, "%lld", (long long)pl_lat_edge(i + 1));
		(void)json_object_set_new(o, edge, json_integer(lat[i]));
	}
	return o;
}

static json_t *latencies(void)
{
	uint64_t all = 0, seen = 0;
	int64_t p50 = 0, p99 = 0, max = 0;
	json_t *hist = histogram();
	int i;

	for (i = 0; i < BUCKETS; i++)
		all += lat[i];
	for (i = 0; i < BUCKETS; i++) {
		if (!lat[i])
			continue;
		max = pl_lat_edge(i + 1);
		if (seen < (all + 1) / 2)
			p50 = max;
		if (seen < all - all / 100)
			p99 = max;
		seen += lat[i];
		lat[i] = 0;
	}
	return json_pack("{sIsIsIso*}", "p50", (json_int_t)p50, "p99", (json_int_t)p99, "max",
		(json_int_t)max, "hist", hist);
}

static json_t *blocked(void)
{
	json_t *a = json_array();
	int64_t now = pl_now();
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		struct pl_slot *s = &c->shared->slot[i];

		if (c->actor[i].alive && atomic_load(&s->in_op) & 1 && now - s->since > c->tick_ns)
			(void)json_array_append_new(a, json_integer(i));
	}
	return a;
}

void pl_tick(int64_t now)
{
	uint64_t done = 0, okay = 0, fail = 0, bytes = 0;
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		struct pl_slot *s = &c->shared->slot[i];

		done += atomic_load(&s->done), okay += atomic_load(&s->okay);
		fail += atomic_load(&s->fail), bytes += atomic_load(&s->bytes);
	}
	pl_event("tick",
		json_pack("{sIsIsIsIsIsososo*}", "done", (json_int_t)(done - told.done), "okay",
			(json_int_t)(okay - told.okay), "fail", (json_int_t)(fail - told.fail),
			"bytes", (json_int_t)(bytes - told.bytes), "rounds",
			(json_int_t)(rounds - told.rounds), "blocked", blocked(), "lat_ns",
			latencies(), "op", operations()));
	told.done = done, told.okay = okay, told.fail = fail, told.bytes = bytes,
	told.rounds = rounds;
	c->next_tick += c->tick_ns;
	if (c->next_tick <= now)
		c->next_tick = now + c->tick_ns;
}
