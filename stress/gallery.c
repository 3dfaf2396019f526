/* SPDX-License-Identifier: MIT
 *
 * `--job deadlock-gallery`: every scene is played, named and rescued; all at once, as nearly all of
 * their actors sleep.
 */
#include "gallery.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAY_NS (20 * SEC)
#define RESCUE_NS (10 * SEC)

enum { CALL_DEADLINE_MS = 600000 };

static const char JOB[] = "deadlock-gallery";

static int no_job(const char *fmt, const char *what)
{
	(void)fputs("plumb-stress: ", stderr);
	(void)fprintf(stderr, fmt, what);
	(void)fputc('\n', stderr);
	return -1;
}

/* "deadlock-gallery", or one scene of it: "deadlock-gallery:mutex-self". */
int gallery_mix(struct config *c)
{
	size_t n = sizeof JOB - 1;
	const char *only = strncmp(c->job, JOB, n) == 0 && c->job[n] == ':' ? c->job + n + 1 : NULL;

	if (!only && strcmp(c->job, JOB) != 0)
		return no_job("no job '%s'; there is deadlock-gallery", c->job);
	for (unsigned i = 0; i < nscene_rows; i++) {
		const struct scene_row *r = &scene_rows[i];
		struct mix *m = &c->mix[c->nmix];
		size_t slash = strcspn(r->kind, "/");

		if ((only && strcmp(only, r->name) != 0) || c->nmix == MIX_MAX)
			continue;
		(void)snprintf(m->mech, sizeof m->mech, "%.*s", (int)slash, r->kind);
		(void)snprintf(m->variant, sizeof m->variant, "%s", r->kind + slash + 1);
		m->n = r->split ? r->actors : 1;
		m->label = r->name;
		m->objects = r->objects;
		c->nmix++;
	}
	c->actors = SCENE_ACTORS;
	c->for_ns = PLAY_NS + RESCUE_NS + 10 * SEC; /* an end that no scene reaches */
	return c->nmix ? 0 : no_job("the gallery has no scene '%s'", only);
}

static const struct scene_row *row_of(const struct mix *m)
{
	for (unsigned i = 0; i < nscene_rows; i++)
		if (strcmp(scene_rows[i].name, m->label) == 0)
			return &scene_rows[i];
	return NULL;
}

int gallery_init(struct engine *e)
{
	struct gallery *g = calloc(1, sizeof *g);
	unsigned inst = 0;

	if (!g || !(g->scene = calloc(e->cfg.nmix, sizeof *g->scene)))
		return -ENOMEM;
	e->gallery = g;
	g->n = e->cfg.nmix;
	for (unsigned i = 0; i < g->n; i++) {
		struct scene *s = &g->scene[i];

		*s = (struct scene){ .e = e, .mix = &e->cfg.mix[i], .from = inst };
		s->row = row_of(s->mix);
		s->n = s->mix->n;
		s->names = json_object();
		inst += s->n;
		if (scene_parse(s->row, s->step, &s->nsteps) < 0)
			return -EINVAL;
		for (unsigned k = 0; k < s->n; k++) {
			e->drv[s->from + k].scene = s;
			e->drv[s->from + k].seat = k;
		}
		for (unsigned a = 0; a < s->row->actors; a++)
			s->cast[a] = (struct cast){ .d = &e->drv[s->from + (s->row->split ? a : 0)],
				.id = s->row->split ? 0 : (int)a };
	}
	return 0;
}

/* ---- before the play ---- */

static void say_opens(struct driver *d)
{
	struct scene *s = d->scene;

	for (unsigned i = 0; i < s->row->objects; i++) {
		char on[2] = { (char)('a' + i), 0 }, attach[160] = "\"mode\":\"create\"";
		const char *name = json_string_value(json_object_get(s->names, on));

		if (d->seat && name)
			(void)snprintf(
				attach, sizeof attach, "\"mode\":\"attach\",\"name\":\"%s\"", name);
		(void)wire_say(d, OP_OPEN, (short)i,
			"\"open\",\"as\":\"%s\",%s,\"variant\":\"%s\"%s%s", on, attach,
			d->mix->variant, s->row->open ? "," : "", s->row->open ? s->row->open : "");
	}
	(void)wire_say(d, OP_ACTOR, 0, "\"actor\",\"n\":%u", s->row->split ? 1 : s->row->actors);
}

void gallery_start(struct driver *d)
{
	wire_init(d);
	if (d->seat == 0)
		say_opens(d);
}

void gallery_hello(struct driver *d, const json_t *hello)
{
	if (d->scene->ops)
		return;
	d->scene->ops = json_incref(json_object_get(hello, "ops"));
	d->scene->ends = json_incref(json_object_get(hello, "ends"));
}

/* The others of a split scene attach what the first one has made. */
void gallery_ready(struct driver *d)
{
	struct scene *s = d->scene;

	for (unsigned k = 1; k < s->n && d->seat == 0; k++)
		if (s->e->drv[s->from + k].state == ST_STARTING)
			say_opens(&s->e->drv[s->from + k]);
}

/* ---- the play ---- */

void scene_end(struct scene *s, const char *verdict, const char *fmt, ...)
{
	va_list ap;

	if (s->state == SCENE_OVER)
		return;
	s->state = SCENE_OVER;
	s->e->gallery->over++;
	s->verdict = verdict;
	va_start(ap, fmt);
	(void)vsnprintf(s->why, sizeof s->why, fmt, ap);
	va_end(ap);
	gallery_tell(s);
	for (unsigned k = 0; k < s->n; k++)
		pool_leave(&s->e->drv[s->from + k]);
}

unsigned scene_busy(const struct scene *s)
{
	unsigned n = 0;

	for (unsigned a = 0; a < s->row->actors; a++)
		n += s->cast[a].call != 0;
	return n;
}

static void drop_steps(struct scene *s, unsigned actor)
{
	s->cast[actor].dead = true;
	for (unsigned i = 0; i < s->nsteps; i++)
		s->step[i].done |= s->step[i].actor == actor;
}

static void fault(struct scene *s, struct step *t)
{
	struct cast *c = &s->cast[t->actor];
	const char *what = t->f + 1;

	t->done = true;
	if (strcmp(what, "cancel") == 0) {
		if (c->call)
			(void)wire_say(c->d, OP_CANCEL, 0, "\"cancel\",\"target\":%lld",
				(long long)c->call);
		return;
	}
	(void)wire_say(c->d, OP_FAULT, -1, "\"fault\",\"what\":\"%s\",\"actor\":%d", what, c->id);
	if (strcmp(what, "kill") == 0)
		drop_steps(s, t->actor);
}

static void play_step(struct scene *s, struct step *t)
{
	struct cast *c = &s->cast[t->actor];

	if (strcmp(t->f, ":await") == 0) /* naming.c goes on with it */
		return;
	s->moved_ns = now_ns();
	if (*t->f == ':') {
		fault(s, t);
		return;
	}
	t->done = true;
	c->call = wire_say(c->d, OP_CALL, (short)t->actor,
		"\"call\",\"actor\":%d,\"f\":\"%s\",\"on\":\"%s\",\"deadline_ms\":%d%s", c->id,
		t->f, t->on, CALL_DEADLINE_MS, t->args);
}

static struct step *next_step(struct scene *s, unsigned actor)
{
	for (unsigned i = 0; i < s->nsteps; i++) {
		struct step *t = &s->step[i];

		if (t->actor != actor || t->done)
			continue;
		if (s->state == SCENE_PLAYS && (t->rescue || t->phase != s->phase))
			return NULL;
		return t;
	}
	return NULL;
}

/* Faults of a rescue are for those that are in a call. */
static bool rescue_faults(struct scene *s)
{
	bool any = false;

	for (unsigned i = 0; i < s->nsteps && s->state == SCENE_RESCUE; i++)
		if (s->step[i].rescue && !s->step[i].done && *s->step[i].f == ':') {
			play_step(s, &s->step[i]);
			any = true;
		}
	return any;
}

static bool all_done(const struct scene *s, bool rescue)
{
	for (unsigned i = 0; i < s->nsteps; i++)
		if (!s->step[i].done && (rescue || !s->step[i].rescue))
			return false;
	return scene_busy(s) == 0;
}

static bool phase_done(const struct scene *s)
{
	for (unsigned i = 0; i < s->nsteps; i++)
		if (!s->step[i].done && !s->step[i].rescue && s->step[i].phase == s->phase)
			return false;
	return scene_busy(s) == 0;
}

/* Whatever can be asked for now is. */
void scene_advance(struct scene *s)
{
	bool moved;

	do {
		moved = rescue_faults(s);
		for (unsigned a = 0; a < s->row->actors && s->state != SCENE_OVER; a++) {
			struct step *t = s->cast[a].call ? NULL : next_step(s, a);

			if (t && strcmp(t->f, ":await") != 0) {
				play_step(s, t);
				moved = true;
			}
		}
		if (s->state == SCENE_PLAYS && phase_done(s) && !all_done(s, false)) {
			s->phase++;
			moved = true;
		}
	} while (moved);
	if (s->state == SCENE_PLAYS && all_done(s, false)) {
		if (s->row->expect == HANG_NONE)
			scene_end(s, "held", "everybody went on");
		else
			scene_end(s, "violated", "nobody was left waiting, but a %s was expected",
				hang_name(s->row->expect));
	} else if (s->state == SCENE_RESCUE && all_done(s, true)) {
		s->rescued_ns = now_ns() - s->begun_ns;
		scene_end(s, "held", "%s", json_string_value(json_object_get(s->hang, "text")));
	}
}

void gallery_reply(struct driver *d, struct asked a, const json_t *ok, const json_t *err)
{
	struct scene *s = d->scene;

	if (a.op == OP_OPEN && ok && json_is_string(json_object_get(ok, "name"))) {
		char on[2] = { (char)('a' + a.detail), 0 };

		(void)json_object_set(s->names, on, json_object_get(ok, "name"));
	}
	if (s->state == SCENE_OVER || d->state == ST_LEAVING) /* what a stop ends has not ended */
		return;
	if (a.op == OP_WHO && ok)
		naming_answer(s, d->seat, ok);
	else if (a.op == OP_WHO)
		scene_end(s, "skipped", "its driver does not answer `who`");
	if (a.op != OP_CALL)
		return;
	s->cast[a.detail].call = 0;
	s->moved_ns = now_ns();
	if (err && !s->cast[a.detail].dead && s->state == SCENE_PLAYS) {
		const char *msg = json_string_value(json_object_get(err, "msg"));

		scene_end(s, "broken", "actor %d: %s", a.detail, msg ? msg : "no answer");
		return;
	}
	if (err) /* a cancel that took a kill */
		drop_steps(s, (unsigned)a.detail);
	scene_advance(s);
}

void gallery_play(struct engine *e)
{
	e->lanes.closed = true; /* nobody goes through rounds */
	for (unsigned i = 0; i < e->gallery->n; i++) {
		struct scene *s = &e->gallery->scene[i];

		if (s->state != SCENE_WAITS)
			continue;
		s->state = SCENE_PLAYS;
		s->begun_ns = s->moved_ns = now_ns();
		scene_advance(s);
	}
}

static void watch_cast(struct scene *s)
{
	for (unsigned k = 0; k < s->n; k++) {
		const struct driver *d = &s->e->drv[s->from + k];

		if (d->fate == FATE_SKIPPED)
			scene_end(s, "skipped", "%s", d->why);
		else if (d->fate == FATE_BROKEN || (d->state == ST_GONE && d->pid > 0))
			scene_end(s, "broken", "a driver of it %s", d->why);
	}
}

static void beat_scene(struct scene *s, int64_t now)
{
	watch_cast(s);
	if (s->state == SCENE_PLAYS && now - s->begun_ns > PLAY_NS) {
		const char *text = json_string_value(json_object_get(s->hang, "text"));

		scene_end(s, "violated", "not named within %d s%s%s", (int)(PLAY_NS / SEC),
			text ? "; seen last: " : "", text ? text : "");
	} else if (s->state == SCENE_RESCUE && now - s->begun_ns - s->named_ns > RESCUE_NS)
		scene_end(s, "violated", "named, but the rescue `%s` did not end it within %d s",
			s->row->rescue, (int)(RESCUE_NS / SEC));
	else
		naming_look(s, now);
}

void gallery_beat(struct engine *e, int64_t now)
{
	for (unsigned i = 0; e->gallery && e->phase < PH_STOP && i < e->gallery->n; i++)
		if (e->gallery->scene[i].state != SCENE_OVER)
			beat_scene(&e->gallery->scene[i], now);
}
