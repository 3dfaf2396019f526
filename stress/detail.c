/* SPDX-License-Identifier: MIT
 *
 * By operation and by latency: what ticks tell of judged rounds, summed by kind of driver. A driver
 * is not trusted: names and edges beyond what there is room for are left out.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct detail_op *find_op(struct detail *d, const char *name)
{
	for (unsigned i = 0; i < d->nop; i++)
		if (strcmp(d->op[i].name, name) == 0)
			return &d->op[i];
	if (d->nop == DETAIL_OPS || !*name || strlen(name) >= sizeof d->op->name)
		return NULL;
	(void)snprintf(d->op[d->nop].name, sizeof d->op->name, "%s", name);
	return &d->op[d->nop++];
}

static uint64_t positive(const json_t *v)
{
	json_int_t n = json_integer_value(v);

	return n > 0 ? (uint64_t)n : 0;
}

static void take_ops(struct detail *d, json_t *all)
{
	const char *name;
	json_t *v;

	json_object_foreach(all, name, v)
	{
		uint64_t returned = positive(json_array_get(v, 0)),
			 failed = positive(json_array_get(v, 1));
		struct detail_op *op = find_op(d, name);

		if (!op || failed > returned)
			continue;
		op->okay += returned - failed;
		op->fail += failed;
	}
}

static void take_hist(struct detail *d, json_t *all)
{
	const char *text;
	json_t *v;

	json_object_foreach(all, text, v)
	{
		int64_t edge = strtoll(text, NULL, 10);
		unsigned i = 0;

		while (i < d->nedge && d->edge[i] != edge)
			i++;
		if (edge <= 0 || i == DETAIL_EDGES)
			continue;
		if (i == d->nedge)
			d->edge[d->nedge++] = edge;
		d->count[i] += positive(v);
	}
}

void detail_tick(struct detail *d, const json_t *tick)
{
	take_ops(d, json_object_get(tick, "op"));
	take_hist(d, json_object_get(json_object_get(tick, "lat_ns"), "hist"));
}

void detail_json(const struct detail *d, json_t *to)
{
	json_t *ops = json_object(), *hist = json_object();
	char text[24];

	for (unsigned i = 0; i < d->nop; i++)
		(void)json_object_set_new(ops, d->op[i].name,
			json_pack("[I,I]", (json_int_t)d->op[i].okay, (json_int_t)d->op[i].fail));
	for (unsigned i = 0; i < d->nedge; i++) {
		(void)snprintf(text, sizeof text, "%lld", (long long)d->edge[i]);
		(void)json_object_set_new(hist, text, json_integer((json_int_t)d->count[i]));
	}
	(void)json_object_set_new(to, "op", ops);
	(void)json_object_set_new(to, "lat_hist", hist);
}
