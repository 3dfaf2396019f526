/* SPDX-License-Identifier: MIT
 *
 * Naming a wait. Of a scene's, a name is given when two looks agree, the second begun when the first
 * was complete, and some time after it: nothing has moved between them, so nothing will. A lost wake-up is
 * an accusation and takes longer than the rest.
 */
#include "gallery.h"

#include <stdlib.h>
#include <string.h>

#define QUIET_NS (50 * MS) /* no answer for so long: a look is worth it */
#define LOOK_NS (100 * MS) /* between two looks */

/* What the looks that agree must span, by what they say. */
static const int64_t span_ns[] = {
	[HANG_SLOW] = 600 * MS,
	[HANG_ORPHANED] = 300 * MS,
	[HANG_DEADLOCK] = 300 * MS,
	[HANG_LOST_WAKE] = SEC,
};

void naming_look(struct scene *s, int64_t now)
{
	if (s->owed || !scene_busy(s) || now - s->moved_ns < QUIET_NS || now - s->look_ns < LOOK_NS)
		return;
	s->look_ns = now;
	for (unsigned k = 0; k < s->n; k++) {
		json_decref(s->look[k]);
		s->look[k] = NULL;
		if (wire_say(&s->e->drv[s->from + k], OP_WHO, 0, "\"who\""))
			s->owed++;
	}
}

static enum role role_in(const struct scene *s, const char *f)
{
	const char *role = json_string_value(json_object_get(json_object_get(s->ops, f), "role"));

	return role_of(role ? role : "");
}

/* "a.w" is an end by name; without one the role decides, as in the kit. */
static int end_of(const struct scene *s, const char *on, enum role role)
{
	const char *dot = strchr(on, '.');
	const json_t *name;
	size_t i;

	json_array_foreach(s->ends, i, name)
	{
		if (dot && json_is_string(name) && strcmp(json_string_value(name), dot + 1) == 0)
			return (int)i;
	}
	return json_array_size(s->ends) == 2 && role == ROLE_PUT;
}

static void add_wills(struct scene *s, struct graph *g)
{
	for (unsigned i = 0; i < s->nsteps; i++) {
		const struct step *t = &s->step[i];
		const struct cast *c = &s->cast[t->actor];
		enum role role = role_in(s, t->f);
		char on[NAME_MAX_];

		if (t->done || t->rescue)
			continue;
		memcpy(on, t->on, sizeof on);
		on[strcspn(on, ".")] = 0;
		graph_will(g, c->d->inst, c->id, on, end_of(s, t->on, role), role);
	}
}

static bool all_asleep(const struct scene *s, unsigned but)
{
	for (unsigned a = 0; a < s->row->actors; a++) {
		const struct cast *c = &s->cast[a];
		const json_t *actor;
		size_t i;
		bool asleep = false;

		json_array_foreach(json_object_get(s->look[c->d->seat], "actors"), i, actor)
		{
			const char *is = json_string_value(json_object_get(actor, "is"));

			if (json_integer_value(json_object_get(actor, "id")) == c->id && is)
				asleep = strcmp(is, "asleep") == 0;
		}
		if (a != but && c->call && !asleep)
			return false;
	}
	return true;
}

/* A step that waits for the others to sleep. */
static bool awaited(struct scene *s)
{
	for (unsigned i = 0; i < s->nsteps; i++) {
		struct step *t = &s->step[i];

		if (t->done || t->rescue || t->phase != s->phase || strcmp(t->f, ":await") != 0)
			continue;
		t->done = all_asleep(s, t->actor);
		return t->done;
	}
	return false;
}

static bool names(const struct scene *s, const struct graph *g, enum hang kind, int64_t now)
{
	char *print = graph_print(g);
	bool same = print && s->seen && strcmp(print, s->seen) == 0 && s->look_ns > s->first_ns;
	struct scene *to = (struct scene *)s;

	if (!same) {
		free(to->seen);
		to->seen = print;
		to->first_ns = now;
		return false;
	}
	free(print);
	/* after a rescue who still waits has its time, unless there is nothing left to wait for */
	if (s->state == SCENE_RESCUE && kind != HANG_LOST_WAKE)
		return false;
	/* who may still move is waited for, unless this very sight is expected */
	if (kind == HANG_NONE || (kind == HANG_SLOW && s->row->expect != HANG_SLOW))
		return false;
	return s->look_ns - s->first_ns >= span_ns[kind];
}

static void named(struct scene *s, enum hang kind, unsigned cycle, int64_t now)
{
	bool again = s->state == SCENE_RESCUE;

	s->found = kind;
	s->cycle = cycle;
	s->named_ns = now - s->begun_ns;
	hang_told(s, now - s->moved_ns);
	if (!again && kind == s->row->expect && cycle == s->row->cycle) {
		s->state = SCENE_RESCUE;
		scene_advance(s);
		return;
	}
	scene_wrong(s);
}

void naming_answer(struct scene *s, unsigned seat, const json_t *who)
{
	struct graph *g;
	enum hang kind;
	int64_t now = now_ns();
	bool sees = true;

	s->look[seat] = json_incref((json_t *)who);
	if (--s->owed > 0 || (s->state != SCENE_PLAYS && s->state != SCENE_RESCUE))
		return;
	if (s->moved_ns > s->look_ns) { /* a look at something that is over */
		free(s->seen);
		s->seen = NULL;
		return;
	}
	if (s->state == SCENE_PLAYS && awaited(s)) {
		scene_advance(s);
		return;
	}
	g = graph_new();
	if (!g)
		return;
	for (unsigned k = 0; k < s->n; k++)
		sees &= graph_add(g, s->e->drv[s->from + k].inst, s->mix->mech, s->look[k]);
	if (!sees) {
		scene_end(s, "skipped", "/proc does not show here in which call a process sleeps");
		graph_free(g);
		return;
	}
	add_wills(s, g);
	kind = graph_judge(g);
	if (s->state == SCENE_PLAYS || kind == HANG_LOST_WAKE) {
		json_decref(s->hang);
		s->hang = graph_json(g);
	}
	if (names(s, g, kind, now))
		named(s, kind, graph_cycle(g), now);
	graph_free(g);
}

json_t *naming_one(const struct driver *d, const json_t *who)
{
	struct graph *g = graph_new();
	json_t *o = NULL;

	if (g && graph_add(g, d->inst, d->mix->mech, who) && graph_judge(g) != HANG_NONE)
		o = graph_json(g);
	graph_free(g);
	return o;
}
