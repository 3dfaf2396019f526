/* SPDX-License-Identifier: MIT
 *
 * What came of the gallery: a line a scene, an event, a row of run.json, and the verdict.
 */
#include "gallery.h"

#include <stdio.h>
#include <string.h>

static void what_of(enum hang kind, unsigned cycle, char buf[48])
{
	if (kind == HANG_DEADLOCK && cycle)
		(void)snprintf(buf, 48, "deadlock, ring of %u", cycle);
	else if (kind == HANG_DEADLOCK)
		(void)snprintf(buf, 48, "deadlock, no ring");
	else
		(void)snprintf(buf, 48, "%s", kind == HANG_NONE ? "nobody hangs" : hang_name(kind));
}

void scene_wrong(struct scene *s)
{
	const char *text = json_string_value(json_object_get(s->hang, "text"));
	char wanted[48], found[48];

	what_of(s->row->expect, s->row->cycle, wanted);
	what_of(s->found, s->cycle, found);
	if (s->state == SCENE_RESCUE)
		scene_end(s, "violated", "%s, once %s was over: %s", found, wanted, text);
	else
		scene_end(s, "violated", "%s, where %s must be: %s", found, wanted, text);
}

static json_t *expected(const struct scene *s)
{
	return json_pack(
		"{s:s,s:i}", "kind", hang_name(s->row->expect), "cycle", (int)s->row->cycle);
}

/* A wait was named: s->hang says how. */
void hang_told(struct scene *s, int64_t quiet_ns)
{
	struct driver *d = &s->e->drv[s->from];
	json_t *o = events_who(d);

	(void)json_object_update(o, s->hang);
	(void)json_object_set_new(o, "scene", json_string(s->row->name));
	(void)json_object_set_new(o, "named_ms", json_real((double)quiet_ns / 1e6));
	(void)json_object_set_new(o, "expected", expected(s));
	s->named_ms = (double)quiet_ns / 1e6;
	if (s->found == HANG_LOST_WAKE) {
		json_t *v = json_pack("{s:s,s:O,s:[]}", "rule", "LOSTWAKE", "text",
			json_object_get(s->hang, "text"), "witness");

		report_violation(d, v);
		json_decref(v);
	}
	report_hang(d, o, s->found == HANG_LOST_WAKE);
}

void gallery_tell(const struct scene *s)
{
	struct engine *e = s->e;
	char found[48];
	json_t *o = events_who(&e->drv[s->from]);

	what_of(s->found, s->cycle, found);
	(void)json_object_update_new(
		o, json_pack("{s:s,s:s,s:s,s:s,s:i,s:o}", "scene", s->row->name, "verdict",
			   s->verdict, "why", s->why, "kind", hang_name(s->found), "cycle",
			   (int)s->cycle, "expected", expected(s)));
	if (s->named_ns) {
		(void)json_object_set_new(o, "named_ms", json_real(s->named_ms));
		(void)json_object_set_new(o, "rescued", json_boolean(s->rescued_ns > 0));
	}
	events_put(e, "scene", o);
	human_note(e, "%-9s %-22s %s", s->verdict, s->row->name,
		strcmp(s->verdict, "held") == 0 ? found : s->why);
	if (strcmp(s->verdict, "held") == 0 && s->named_ns)
		human_note(e, "          %s; named in %.2f s, ended by: %s", s->why,
			s->named_ms / 1e3, s->row->rescue);
}

json_t *gallery_json(const struct engine *e)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < e->gallery->n; i++) {
		const struct scene *s = &e->gallery->scene[i];

		(void)json_array_append_new(all,
			json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:f,s:b,s:o}", "scene", s->row->name,
				"on", s->row->kind, "verdict", s->verdict ? s->verdict : "unknown",
				"why", s->why, "kind", hang_name(s->found), "cycle", (int)s->cycle,
				"named_ms", s->named_ms, "rescued", s->rescued_ns > 0, "expected",
				expected(s)));
	}
	return all;
}

/* By scenes; `held` when every one that could be played was named right and rescued. */
void gallery_verdict(const struct engine *e, struct gallery_counts *c, char why[256])
{
	double slowest = 0;

	*c = (struct gallery_counts){ 0 };
	for (unsigned i = 0; i < e->gallery->n; i++) {
		const struct scene *s = &e->gallery->scene[i];
		const char *v = s->verdict ? s->verdict : "unknown";

		c->held += strcmp(v, "held") == 0;
		c->violated += strcmp(v, "violated") == 0;
		c->skipped += strcmp(v, "skipped") == 0;
		c->broken += strcmp(v, "broken") == 0;
		c->unknown += strcmp(v, "unknown") == 0;
		slowest = s->named_ms > slowest ? s->named_ms : slowest;
	}
	if (c->violated)
		(void)snprintf(why, 256, "%u of %u scenes did not go as they must", c->violated,
			e->gallery->n);
	else if (c->broken)
		(void)snprintf(why, 256, "%u of %u scenes broke", c->broken, e->gallery->n);
	else if (c->unknown)
		(void)snprintf(why, 256, "%u of %u scenes were not played to their end", c->unknown,
			e->gallery->n);
	else if (c->held == 0)
		(void)snprintf(why, 256, "nothing was played; %u scenes were skipped", c->skipped);
	else
		(void)snprintf(why, 256,
			"%u scenes played: every wait named right and ended, at the latest %.2f s "
			"after the last move; %u skipped",
			c->held, slowest / 1e3, c->skipped);
}
