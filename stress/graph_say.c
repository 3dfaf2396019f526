/* SPDX-License-Identifier: MIT
 *
 * A graph in words, and as what a report draws.
 */
#include "graph_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWN_MAX = 24 }; /* nodes of a drawing */

struct say {
	char buf[2000];
	size_t n;
};

static void say(struct say *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct say *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->buf + s->n, sizeof s->buf - s->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		s->n += (size_t)n < sizeof s->buf - s->n ? (size_t)n : sizeof s->buf - s->n - 1;
}

static void say_actor(struct say *s, const struct graph *g, unsigned inst, int id, int64_t pid)
{
	say(s, "actor %d", id);
	if (g->several)
		say(s, " of instance %u", inst);
	if (pid > 0)
		say(s, " (pid %lld)", (long long)pid);
}

static void say_node(struct say *s, const struct graph *g, int n, bool pid)
{
	say_actor(s, g, g->node[n].inst, g->node[n].id, pid ? g->node[n].pid : 0);
}

/* "mutex b", as the sleeper's own driver calls it. */
static void say_object(struct say *s, const struct graph *g, int n)
{
	const struct object *o = &g->object[g->node[n].object];

	say(s, "%s %s", o->mech, o->on);
}

static void say_wait(struct say *s, const struct graph *g, int n)
{
	const struct node *me = &g->node[n];

	if (me->object < 0) {
		say(s, "is in %s", *me->f ? me->f : "no operation");
		return;
	}
	say(s, "waits for ");
	if (me->role == ROLE_PUT)
		say(s, "room in ");
	say_object(s, g, n);
	if (me->role == ROLE_TAKE)
		say(s, " to be filled");
}

/* What the next one in the chain has to do with the object of this one. */
static const char *link_of(const struct graph *g, int n)
{
	enum role r = g->node[n].role;

	return r == ROLE_ACQUIRE ? "held by" : r == ROLE_PUT ? "to be made by" : "by";
}

static void say_state(struct say *s, const struct graph *g, int n)
{
	const struct node *m = &g->node[n];
	static const char *const is[] = { "is dead", "is not in an operation", "sleeps",
		"sleeps where it cannot be told what for", "is stopped", "runs" };

	if (m->is == IS_IDLE && !m->more)
		say(s, "has nothing more to do");
	else if (m->is == IS_ASLEEP && m->ends)
		say(s, "waits for a limited time");
	else
		say(s, "%s", is[m->is]);
}

/* The first that n waits for: one who may move rather than one who does not. */
static int next_of(const struct graph *g, int n, bool live)
{
	int by[NODES_MAX];
	unsigned count = g->node[n].object < 0 ? 0 : graph_suppliers(g, n, by);

	for (unsigned i = 0; i < count; i++)
		if (g->node[by[i]].live == live)
			return by[i];
	return count ? by[0] : -1;
}

static void say_cycle(struct say *s, const struct graph *g)
{
	for (unsigned i = 0; i < g->nwitness; i++) {
		int n = g->witness[i], next = g->witness[(i + 1) % g->nwitness];

		if (i == 0)
			say_node(s, g, n, true);
		say(s, "%s ", i ? ", which" : "");
		say_wait(s, g, n);
		say(s, "%s %s ", g->node[n].role == ROLE_TAKE ? "" : ",", link_of(g, n));
		say_node(s, g, next, i + 1 < g->nwitness);
	}
}

static void say_lost(struct say *s, const struct graph *g, int n)
{
	const struct node *me = &g->node[n];

	say_node(s, g, n, true);
	say(s, " sleeps in %s on ", me->f);
	say_object(s, g, n);
	if (me->role == ROLE_ACQUIRE)
		say(s, " although nobody has it");
	else if (me->role == ROLE_TAKE)
		say(s, " although %lld can be taken", (long long)me->amount);
	else
		say(s, " although there is room for %lld", (long long)me->room);
}

static void say_orphan(struct say *s, const struct graph *g, int n)
{
	const struct holder *h = graph_dead_holder(g, n);

	say_node(s, g, n, true);
	say(s, " waits for ");
	say_object(s, g, n);
	say(s, ", %s by ", g->node[n].role == ROLE_ACQUIRE ? "held" : "taken");
	say_actor(s, g, h->inst, h->id, h->pid);
	say(s, ", which is dead");
}

static void say_single(struct say *s, const struct graph *g, int n)
{
	int next = next_of(g, n, g->kind == HANG_SLOW);

	say_node(s, g, n, true);
	say(s, " ");
	say_wait(s, g, n);
	if (g->node[n].ends) {
		say(s, ", for a limited time");
	} else if (next >= 0) {
		say(s, "%s %s ", g->node[n].role == ROLE_TAKE ? "" : ",", link_of(g, n));
		say_node(s, g, next, true);
		say(s, ", which ");
		say_state(s, g, next);
	} else if (g->kind != HANG_SLOW) {
		say(s, ", and nobody is left to %s",
			g->node[n].role == ROLE_TAKE  ? "put anything there"
			: g->node[n].role == ROLE_PUT ? "take anything"
						      : "give it back");
	} else {
		say(s, "; more cannot be seen");
	}
}

static void say_all(struct say *s, const struct graph *g)
{
	if (g->overflow)
		say(s, "more actors and objects than are looked at");
	else if (g->cyclic)
		say_cycle(s, g);
	else if (g->kind == HANG_LOST_WAKE)
		say_lost(s, g, g->witness[0]);
	else if (g->kind == HANG_ORPHANED)
		say_orphan(s, g, g->witness[0]);
	else if (g->nwitness)
		say_single(s, g, g->witness[0]);
	else
		say(s, "nobody waits");
}

char *graph_print(const struct graph *g)
{
	size_t size = 80 * (size_t)g->nnodes + 80, at = 0;
	char *buf = calloc(1, size);

	if (!buf)
		return NULL;
	at += (size_t)snprintf(buf, size, "%s", hang_name(g->kind));
	for (unsigned i = 0; i < g->nnodes && at < size; i++) {
		const struct node *n = &g->node[i];

		if (n->is != IS_ASLEEP && g->kind == HANG_SLOW)
			continue; /* it moves: its sleepers need not */
		at += (size_t)snprintf(buf + at, size - at, " %u.%d:%d,%lld,%lld,%lld", n->inst,
			n->id, (int)n->is, (long long)n->op, (long long)n->amount,
			(long long)n->room);
	}
	return buf;
}

static json_t *node_json(const struct graph *g, int n)
{
	const struct node *m = &g->node[n];
	static const char *const is[] = { "dead", "idle", "asleep", "blocked", "stopped",
		"running" };
	json_t *o = json_pack("{s:i,s:i,s:I,s:s}", "instance", (int)m->inst, "actor", m->id, "pid",
		(json_int_t)m->pid, "is", is[m->is]);

	if (m->object < 0)
		return o;
	(void)json_object_set_new(o, "f", json_string(m->f));
	(void)json_object_set_new(o, "mechanism", json_string(g->object[m->object].mech));
	(void)json_object_set_new(o, "on", json_string(g->object[m->object].on));
	if (*g->object[m->object].name)
		(void)json_object_set_new(o, "name", json_string(g->object[m->object].name));
	return o;
}

/* What is drawn: who sleeps, who that waits for, and the dead. */
struct drawing {
	int node[DRAWN_MAX];
	unsigned n;
	json_t *nodes, *edges;
};

static int draw_node(struct drawing *d, const struct graph *g, int n)
{
	for (unsigned i = 0; i < d->n; i++)
		if (d->node[i] == n)
			return (int)i;
	if (d->n == DRAWN_MAX)
		return -1;
	d->node[d->n] = n;
	(void)json_array_append_new(d->nodes, node_json(g, n));
	return (int)d->n++;
}

static bool in_cycle(const struct graph *g, int from, int to)
{
	for (unsigned i = 0; g->cyclic && i < g->nwitness; i++)
		if (g->witness[i] == from && g->witness[(i + 1) % g->nwitness] == to)
			return true;
	return false;
}

static void draw_edge(struct drawing *d, const struct graph *g, int from, int to, bool cycle)
{
	const struct node *n = &g->node[from];
	struct say what = { .n = 0 };
	json_t *o;

	if (from < 0 || to < 0)
		return;
	if (n->role == ROLE_PUT)
		say(&what, "room in ");
	say_object(&what, g, from);
	o = json_pack("{s:i,s:i,s:s}", "from", draw_node(d, g, from), "to", draw_node(d, g, to),
		"what", what.buf);
	if (cycle)
		(void)json_object_set_new(o, "cycle", json_true());
	(void)json_array_append_new(d->edges, o);
}

static void draw(struct drawing *d, const struct graph *g)
{
	for (unsigned i = 0; i < g->nwitness; i++)
		(void)draw_node(d, g, g->witness[i]);
	for (unsigned i = 0; i < g->nnodes; i++) {
		const struct holder *dead;
		int by[NODES_MAX];
		unsigned count;

		if (g->node[i].is != IS_ASLEEP || g->node[i].object < 0 ||
			draw_node(d, g, (int)i) < 0)
			continue;
		count = graph_suppliers(g, (int)i, by);
		for (unsigned k = 0; k < count; k++)
			if (draw_node(d, g, by[k]) >= 0)
				draw_edge(d, g, (int)i, by[k], in_cycle(g, (int)i, by[k]));
		dead = graph_dead_holder(g, (int)i);
		if (dead && dead->node >= 0 && draw_node(d, g, dead->node) >= 0)
			draw_edge(d, g, (int)i, dead->node, false);
	}
}

json_t *graph_json(const struct graph *g)
{
	struct drawing d = { .nodes = json_array(), .edges = json_array() };
	json_t *cycle = json_array();
	struct say s = { .n = 0 };

	say_all(&s, g);
	for (unsigned i = 0; g->cyclic && i < g->nwitness; i++)
		(void)json_array_append_new(cycle, node_json(g, g->witness[i]));
	if (!g->overflow)
		draw(&d, g);
	return json_pack("{s:s,s:s,s:o,s:o,s:o}", "kind", hang_name(g->kind), "text", s.buf,
		"cycle", cycle, "nodes", d.nodes, "edges", d.edges);
}
