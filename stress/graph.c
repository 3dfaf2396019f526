/* SPDX-License-Identifier: MIT
 *
 * The wait-for graph of actors. An edge leads from who sleeps to each who could end its sleep: for a
 * lock its holders; for a take whoever would still put there, for a put whoever would still take.
 * Deadlocked is what is left when all who may move, and all whom these could help, are taken away
 * (a greatest fixed point): more suppliers than there are can hide a deadlock, never invent one.
 */
#include "graph_inside.h"

#include <stdlib.h>
#include <string.h>

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int64_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void copy(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = 0;
}

const char *hang_name(enum hang h)
{
	static const char *const names[] = { "none", "slow", "orphaned", "deadlock",
		"lost wake-up" };

	return names[h];
}

enum role role_of(const char *name)
{
	static const char *const names[] = { "", "put", "take", "acquire", "release" };

	for (int i = 1; i < 5; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum role)i;
	return ROLE_OTHER;
}

struct graph *graph_new(void)
{
	return calloc(1, sizeof(struct graph));
}

void graph_free(struct graph *g)
{
	free(g);
}

static int find_node(const struct graph *g, unsigned inst, int id)
{
	for (unsigned i = 0; i < g->nnodes; i++)
		if (g->node[i].inst == inst && g->node[i].id == id)
			return (int)i;
	return -1;
}

static int find_object(const struct graph *g, unsigned inst, const char *on)
{
	for (unsigned i = 0; *on && i < g->nobjects; i++)
		if (g->object[i].inst == inst && strcmp(g->object[i].on, on) == 0)
			return (int)i;
	return -1;
}

/* One that was attached in several drivers stands in the graph once for each: the first one speaks
 * for all. */
static int first_of(const struct graph *g, int object)
{
	const struct object *o = &g->object[object];

	for (int i = 0; *o->name && i < object; i++)
		if (strcmp(g->object[i].name, o->name) == 0 &&
			strcmp(g->object[i].mech, o->mech) == 0)
			return i;
	return object;
}

static void add_object(struct graph *g, unsigned inst, const char *mech, const json_t *o)
{
	struct object *to = &g->object[g->nobjects], *speaker;
	json_t *h;
	size_t i;

	if (g->nobjects == OBJECTS_MAX) {
		g->overflow = true;
		return;
	}
	*to = (struct object){ .inst = inst,
		.ends = (int)number(o, "ends"),
		.lock = strcmp(text(o, "model"), "lock") == 0,
		.blind = json_is_true(json_object_get(o, "local")) ||
			 json_is_true(json_object_get(o, "owned")),
		.late = json_is_true(json_object_get(o, "late")) };
	copy(to->mech, sizeof to->mech, mech);
	copy(to->on, sizeof to->on, text(o, "on"));
	copy(to->name, sizeof to->name, text(o, "name"));
	speaker = &g->object[first_of(g, (int)g->nobjects++)];
	speaker->unsure |= json_is_true(json_object_get(o, "unsure"));
	json_array_foreach(json_object_get(o, "holders"), i, h)
	{
		if (speaker->nholders == HOLDERS_MAX) {
			g->overflow = true;
			return;
		}
		speaker->holder[speaker->nholders++] = (struct holder){ .node = -1,
			.inst = inst,
			.id = json_is_integer(json_object_get(h, "actor")) ? (int)number(h, "actor")
									   : -1,
			.pid = number(h, "pid"),
			.dead = json_is_true(json_object_get(h, "dead")) };
	}
}

static enum is is_of(const char *s)
{
	static const char *const names[] = { "dead", "idle", "asleep", "blocked", "stopped" };

	for (int i = 0; i < 5; i++)
		if (strcmp(s, names[i]) == 0)
			return (enum is)i;
	return IS_RUNNING;
}

static void add_node(struct graph *g, unsigned inst, const json_t *a)
{
	struct node *n = &g->node[g->nnodes];

	if (g->nnodes == NODES_MAX) {
		g->overflow = true;
		return;
	}
	*n = (struct node){ .inst = inst,
		.id = (int)number(a, "id"),
		.pid = number(a, "pid"),
		.is = is_of(text(a, "is")),
		.ends = json_is_true(json_object_get(a, "ends")),
		.picky = json_is_true(json_object_get(a, "picky")),
		.level = json_is_integer(json_object_get(a, "amount")),
		.role = role_of(text(a, "role")),
		.object = find_object(g, inst, text(a, "on")),
		.end = (int)number(a, "end"),
		.need = number(a, "need"),
		.amount = number(a, "amount"),
		.room = number(a, "room"),
		.op = number(a, "op") };
	copy(n->f, sizeof n->f, text(a, "f"));
	g->nnodes++;
}

bool graph_add(struct graph *g, unsigned inst, const char *mech, const json_t *who)
{
	const json_t *actors = json_object_get(who, "actors");
	size_t i;
	json_t *o;

	if (!json_is_array(actors) || strcmp(text(who, "rung"), "syscall") != 0)
		return false;
	g->several |= g->nnodes && g->node[0].inst != inst;
	json_array_foreach(json_object_get(who, "objects"), i, o) add_object(g, inst, mech, o);
	json_array_foreach(actors, i, o) add_node(g, inst, o);
	return true;
}

void graph_more(struct graph *g, unsigned inst, int actor)
{
	int n = find_node(g, inst, actor);

	if (n >= 0)
		g->node[n].more = true;
}

void graph_will(struct graph *g, unsigned inst, int actor, const char *on, int end, enum role role)
{
	int n = find_node(g, inst, actor), o = find_object(g, inst, on);

	graph_more(g, inst, actor);
	if (n < 0 || o < 0)
		return;
	if (g->nwills == WILLS_MAX) {
		g->overflow = true;
		return;
	}
	g->will[g->nwills++] = (struct will){ n, first_of(g, o), end, role };
}

/* Once all looks are in: holders become nodes, by number or, of another driver, by pid. */
static void join(struct graph *g)
{
	for (unsigned i = 0; i < g->nnodes; i++)
		if (g->node[i].object >= 0)
			g->node[i].object = first_of(g, g->node[i].object);
	for (unsigned i = 0; i < g->nobjects; i++)
		for (unsigned k = 0; k < g->object[i].nholders; k++) {
			struct holder *h = &g->object[i].holder[k];

			h->node = find_node(g, h->inst, h->id);
			if (h->node >= 0 && h->pid > 0 && g->node[h->node].pid != h->pid)
				h->node = -1; /* somebody else has its number by now */
			for (unsigned n = 0; h->node < 0 && n < g->nnodes; n++)
				if (h->pid > 0 && g->node[n].pid == h->pid)
					h->node = (int)n;
		}
}

/* One and the same pipe end neither fills nor empties itself for its own user: what goes in at one
 * of two ends comes out at the other. */
static bool supplies(const struct graph *g, const struct will *w, const struct node *n)
{
	enum role wanted = n->role == ROLE_TAKE ? ROLE_PUT : ROLE_TAKE;

	return w->object == n->object && w->role == wanted &&
	       (g->object[n->object].ends < 2 || w->end != n->end);
}

static unsigned add_once(int *all, unsigned count, int n)
{
	for (unsigned i = 0; i < count; i++)
		if (all[i] == n)
			return count;
	all[count] = n;
	return count + 1;
}

unsigned graph_suppliers(const struct graph *g, int n, int ret[NODES_MAX])
{
	const struct node *me = &g->node[n];
	const struct object *o = &g->object[me->object];
	unsigned count = 0;
	bool self = false;

	for (unsigned i = 0; me->role != ROLE_ACQUIRE && i < g->nwills; i++) {
		self |= g->will[i].node == n && supplies(g, &g->will[i], me);
		if (g->will[i].node != n && supplies(g, &g->will[i], me))
			count = add_once(ret, count, g->will[i].node);
	}
	for (unsigned i = 0; me->role == ROLE_ACQUIRE && i < o->nholders; i++) {
		self |= o->holder[i].node == n;
		if (o->holder[i].node >= 0 && !o->holder[i].dead && o->holder[i].node != n)
			count = add_once(ret, count, o->holder[i].node);
	}
	if (count == 0 && self) /* alone, it waits for itself */
		count = add_once(ret, count, n);
	return count;
}

const struct holder *graph_dead_holder(const struct graph *g, int n)
{
	const struct object *o = &g->object[g->node[n].object];

	for (unsigned i = 0; i < o->nholders; i++)
		if (o->holder[i].dead)
			return &o->holder[i];
	return NULL;
}

/* Somebody inside of an operation on the same object, and not asleep, may be about to wake it. */
static bool object_at_rest(const struct graph *g, int object)
{
	for (unsigned i = 0; i < g->nnodes; i++)
		if (g->node[i].object == object && g->node[i].is != IS_ASLEEP &&
			g->node[i].is != IS_DEAD)
			return false;
	return true;
}

static enum enabled lock_enabled(const struct graph *g, const struct node *n)
{
	const struct object *o = &g->object[n->object];

	if (o->nholders)
		return n->level && n->amount >= n->need ? PERHAPS : NOT;
	if (n->level)
		return n->amount >= n->need ? CERTAINLY : PERHAPS; /* held by a stranger */
	return o->lock ? CERTAINLY : PERHAPS;
}

static enum enabled enabled(const struct graph *g, const struct node *n)
{
	enum enabled e = PERHAPS;

	if (n->object < 0 || g->object[n->object].blind)
		return PERHAPS;
	if (n->role == ROLE_ACQUIRE)
		e = lock_enabled(g, n);
	else if (n->role == ROLE_TAKE && n->level)
		e = n->amount >= n->need && !n->picky			? CERTAINLY
		    : n->amount >= n->need || g->object[n->object].late ? PERHAPS /* under way */
									: NOT;
	else if (n->role == ROLE_PUT && n->level && !n->picky)
		e = n->room < n->need ? NOT : CERTAINLY;
	if (e == CERTAINLY && (!object_at_rest(g, n->object) || g->object[n->object].unsure))
		e = PERHAPS;
	return e;
}

/* Who may move, as far as can be seen of him alone. */
static void seed(struct graph *g)
{
	for (unsigned i = 0; i < g->nnodes; i++) {
		struct node *n = &g->node[i];

		n->enabled = n->is == IS_ASLEEP ? enabled(g, n) : NOT;
		n->live = n->is == IS_RUNNING || n->is == IS_BLOCKED || n->is == IS_STOPPED ||
			  (n->is == IS_IDLE && n->more) ||
			  (n->is == IS_ASLEEP && (n->ends || n->enabled != NOT));
	}
}

static void reduce(struct graph *g)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (unsigned i = 0; i < g->nnodes; i++) {
			int by[NODES_MAX];
			unsigned count;

			if (g->node[i].live || g->node[i].is != IS_ASLEEP)
				continue;
			count = graph_suppliers(g, (int)i, by);
			for (unsigned k = 0; k < count && !g->node[i].live; k++)
				g->node[i].live = g->node[by[k]].live;
			changed |= g->node[i].live;
		}
	}
}

static bool stuck(const struct node *n)
{
	return n->is == IS_ASLEEP && !n->live;
}

/* The shortest way from node `from` back to itself among those that are stuck; 0: there is none. */
static unsigned cycle_through(const struct graph *g, int from, int ret[NODES_MAX])
{
	int before[NODES_MAX], queue[NODES_MAX];
	unsigned head = 0, tail = 0, n = 0;

	memset(before, -1, sizeof before);
	queue[tail++] = from;
	while (head < tail) {
		int at = queue[head++], by[NODES_MAX];
		unsigned count = graph_suppliers(g, at, by);

		for (unsigned k = 0; k < count; k++) {
			if (by[k] == from) {
				for (int i = at; i != from; i = before[i])
					ret[n++] = i;
				ret[n++] = from;
				for (unsigned a = 0; a < n / 2; a++) {
					int t = ret[a];

					ret[a] = ret[n - 1 - a];
					ret[n - 1 - a] = t;
				}
				return n;
			}
			if (before[by[k]] < 0 && stuck(&g->node[by[k]])) {
				before[by[k]] = at;
				queue[tail++] = by[k];
			}
		}
	}
	return 0;
}

static void smallest_cycle(struct graph *g)
{
	int way[NODES_MAX];

	for (unsigned i = 0; i < g->nnodes; i++) {
		unsigned n = stuck(&g->node[i]) ? cycle_through(g, (int)i, way) : 0;

		if (n == 0 || (g->cyclic && n >= g->nwitness))
			continue;
		memcpy(g->witness, way, n * sizeof *way);
		g->nwitness = n;
		g->cyclic = true;
	}
}

static enum hang one(struct graph *g, int n, enum hang kind)
{
	g->witness[0] = n;
	g->nwitness = 1;
	return kind;
}

static enum hang kind_of(struct graph *g)
{
	enum hang kind = HANG_NONE;

	for (unsigned i = 0; i < g->nnodes; i++)
		if (g->node[i].enabled == CERTAINLY)
			return one(g, (int)i, HANG_LOST_WAKE);
	smallest_cycle(g);
	if (g->cyclic)
		return HANG_DEADLOCK;
	for (unsigned i = 0; i < g->nnodes; i++) {
		const struct node *n = &g->node[i];
		enum hang k = n->is != IS_ASLEEP	     ? HANG_NONE
			      : n->live			     ? HANG_SLOW
			      : graph_dead_holder(g, (int)i) ? HANG_ORPHANED
							     : HANG_DEADLOCK;

		/* who waits for an orphan's sleeper is told by that sleeper */
		if (k == HANG_DEADLOCK && kind == HANG_ORPHANED)
			continue;
		if (k > kind || (k == HANG_ORPHANED && kind == HANG_DEADLOCK))
			kind = one(g, (int)i, k);
	}
	return kind;
}

enum hang graph_judge(struct graph *g)
{
	join(g);
	seed(g);
	reduce(g);
	g->kind = g->overflow ? HANG_SLOW : kind_of(g);
	return g->kind;
}

unsigned graph_cycle(const struct graph *g)
{
	return g->cyclic ? g->nwitness : 0;
}
