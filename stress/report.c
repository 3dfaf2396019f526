/* SPDX-License-Identifier: MIT
 *
 * The verdict, and run.json.
 */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct counts {
	unsigned held, violated, skipped, broken, unknown, unreached;
};

static struct counts count(const struct engine *e)
{
	struct counts c = { 0 };

	for (unsigned i = 0; i < e->n; i++) {
		const struct driver *d = &e->drv[i];

		if (e->cfg.only >= 0 && i != (unsigned)e->cfg.only)
			continue;
		c.unreached += d->fate == FATE_OK && !d->slices && !d->judged;
		if (d->violations || d->hang)
			c.violated++;
		else if (d->fate == FATE_SKIPPED)
			c.skipped++;
		else if (d->fate == FATE_BROKEN)
			c.broken++;
		else if (d->judged)
			c.held++;
		else
			c.unknown++;
	}
	return c;
}

static void shell_word(char *buf, size_t size, const char *s)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
	const char *gap = *buf ? " " : "";
	size_t n = strlen(buf);

	if (*s && s[strspn(s, plain)] == 0) {
		(void)snprintf(buf + n, size - n, "%s%s", gap, s);
		return;
	}
	n += (size_t)snprintf(buf + n, size - n, "%s'", gap);
	for (; *s && n + 8 < size; s++)
		n += (size_t)snprintf(buf + n, size - n, *s == '\'' ? "'\\''" : "%c", *s);
	(void)snprintf(buf + n, size - n, "'");
}

/* The command again, with the seed that was drawn, without the folder that exists by now. */
char *report_command(const struct engine *e, int only)
{
	char *buf = calloc(1, 16384), tail[64];

	if (!buf)
		return NULL;
	shell_word(buf, 4096, e->argv[0]);
	for (int i = 1; i < e->argc; i++) {
		static const char *const drop[] = { "--seed", "--out", "--only" };
		bool dropped = false;

		for (size_t k = 0; k < 3; k++) {
			size_t n = strlen(drop[k]);

			if (strncmp(e->argv[i], drop[k], n) != 0 ||
				(e->argv[i][n] && e->argv[i][n] != '='))
				continue;
			dropped = true;
			i += !e->argv[i][n];
			break;
		}
		if (!dropped && strlen(buf) < 12000)
			shell_word(buf, 16000, e->argv[i]);
	}
	(void)snprintf(tail, sizeof tail, " --seed 0x%llx", (unsigned long long)e->cfg.seed);
	(void)strncat(buf, tail, 16000 - strlen(buf));
	if (only >= 0) {
		(void)snprintf(tail, sizeof tail, " --only %d", only);
		(void)strncat(buf, tail, 16000 - strlen(buf));
	}
	return buf;
}

void report_hang(struct driver *d, json_t *o, bool violated)
{
	(void)json_object_set_new(o, "violated", json_boolean(violated));
	if (json_array_size(d->e->hangs) < VIOLATIONS_KEPT)
		(void)json_array_append(d->e->hangs, o);
	events_put(d->e, "hang", o);
	d->e->nhangs += violated;
	d->hang |= violated;
}

/* Of a driver's first violation: what was promised, and the operations that show that it was not kept. */
static void show_operations(struct engine *e, const json_t *event)
{
	const char *promise = json_string_value(json_object_get(event, "promise"));
	const json_t *lines = json_object_get(event, "timeline");
	size_t i;
	json_t *line;

	if (promise && *promise)
		human_note(e, "  promised: %s", promise);
	json_array_foreach(lines, i, line)
	{
		if (i < TIMELINE_LINES && json_is_string(line))
			human_note(e, "  %s", json_string_value(line));
	}
}

void report_violation(struct driver *d, const json_t *event)
{
	struct engine *e = d->e;
	bool first = d->violations == 0;
	json_t *o = events_who(d), *ev = json_deep_copy(event);
	char name[2 * NAME_MAX_], *replay = report_command(e, d->scene ? -1 : (int)d->inst);
	const char *rule = json_string_value(json_object_get(event, "rule"));
	const char *text = json_string_value(json_object_get(event, "text"));

	(void)json_object_del(ev, "ev");
	(void)json_object_del(ev, "t");
	(void)json_object_update_missing(o, ev);
	json_decref(ev);
	if (!*d->mix->variant)
		(void)json_object_set(o, "variant", json_object_get(event, "variant"));
	(void)json_object_set_new(o, "replay", json_string(replay));
	free(replay);
	if (clock_decides(event) && *d->mix->doubt) {
		if (json_array_size(e->doubtful) < VIOLATIONS_KEPT)
			(void)json_array_append(e->doubtful, o);
		json_decref(o);
		return;
	}
	d->sure += !clock_decides(event);
	d->mix->sure += !clock_decides(event);
	e->nviolations++;
	d->violations += first;
	if (json_array_size(e->violations) < VIOLATIONS_KEPT)
		(void)json_array_append(e->violations, o);
	if (e->nviolations <= 10)
		human_note(e, "VIOLATED: %s instance %u, %s: %s", mix_name(d->mix, name), d->inst,
			rule ? rule : "no rule", text ? text : "");
	if (e->nviolations <= 10 && first)
		show_operations(e, event);
	if (e->nviolations <= VIOLATIONS_TOLD)
		events_put(e, "violation", o);
	else
		json_decref(o);
	if (e->nviolations == VIOLATIONS_TOLD)
		human_note(e, "%d violations told; from here on they are counted only",
			VIOLATIONS_TOLD);
}

struct verdict {
	const char *name;
	int exit;
};

/* The worst that is certain comes first. Nothing is merged: run.json has each count apart. */
static struct verdict judge(const struct engine *e, const struct counts *c, char why[256])
{
	const struct tally *t = &e->total;

	if (c->violated || t->violated || e->nhangs) {
		int n = snprintf(why, 256, "%u of %u drivers: %llu rounds contradict their model",
			c->violated, e->n, (unsigned long long)t->violated);

		if (e->nhangs)
			(void)snprintf(why + n, 256 - (size_t)n, ", %llu hangs",
				(unsigned long long)e->nhangs);
		return (struct verdict){ "violated", EXIT_VIOLATED };
	}
	if (c->broken || json_array_size(e->residue)) {
		int n = c->broken ? snprintf(why, 256, "%u of %u drivers broke", c->broken, e->n)
				  : 0;

		if (json_array_size(e->residue))
			(void)snprintf(why + n, 256 - (size_t)n, "%s%zu things were left behind",
				n ? ", " : "", json_array_size(e->residue));
		return (struct verdict){ "broken", EXIT_BROKEN };
	}
	if (!t->rounds) {
		(void)snprintf(
			why, 256, "nothing ran; %u of %u drivers were skipped", c->skipped, e->n);
		return (struct verdict){ "skipped", EXIT_NOTHING };
	}
	if (clock_why(e)) {
		(void)snprintf(why, 256, "CLOCK: %s: %llu of %llu rounds could not be judged",
			clock_why(e), (unsigned long long)t->unknown,
			(unsigned long long)t->rounds);
		return (struct verdict){ "unknown", EXIT_UNSURE };
	}
	if (!t->judged || t->unknown * 100 > t->rounds) {
		(void)snprintf(why, 256, "%llu of %llu rounds could not be judged",
			(unsigned long long)t->unknown, (unsigned long long)t->rounds);
		return (struct verdict){ "unknown", EXIT_UNSURE };
	}
	if (c->unreached)
		(void)snprintf(why, 256,
			"every round agreed with its model; %u of %u drivers had no turn",
			c->unreached, e->n);
	else
		(void)snprintf(why, 256, "every round agreed with its model");
	return (struct verdict){ "held", EXIT_HELD };
}

static struct verdict judge_gallery(const struct engine *e, struct counts *c, char why[256])
{
	struct gallery_counts g;

	gallery_verdict(e, &g, why);
	*c = (struct counts){ g.held, g.violated, g.skipped, g.broken, g.unknown, 0 };
	if (g.violated)
		return (struct verdict){ "violated", EXIT_VIOLATED };
	if (json_array_size(e->residue))
		(void)snprintf(
			why, 256, "%zu things were left behind", json_array_size(e->residue));
	if (g.broken || json_array_size(e->residue))
		return (struct verdict){ "broken", EXIT_BROKEN };
	if (g.unknown)
		return (struct verdict){ "unknown", EXIT_UNSURE };
	return g.held ? (struct verdict){ "held", EXIT_HELD }
		      : (struct verdict){ "skipped", EXIT_NOTHING };
}

static json_t *argv_json(const struct engine *e)
{
	json_t *a = json_array();

	for (int i = 0; i < e->argc; i++)
		(void)json_array_append_new(a, json_string(e->argv[i]));
	return a;
}

static json_t *per_mech(struct engine *e, double seconds)
{
	json_t *all = json_object();

	for (unsigned i = 0; i < e->cfg.nmix && !e->gallery; i++) {
		struct mix *m = &e->cfg.mix[i];
		char name[2 * NAME_MAX_];
		json_t *o = tally_json(&m->tally, seconds);

		detail_json(&m->detail, o);
		(void)json_object_set_new(o, "drivers", json_integer(m->n - m->over));
		if (!m->supported || m->over == m->n)
			(void)json_object_set_new(o, "skipped", json_string(m->why));
		(void)json_object_set_new(all, mix_name(m, name), o);
	}
	return all;
}

static json_t *skips(const struct engine *e)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < e->n && json_array_size(all) < VIOLATIONS_KEPT; i++) {
		json_t *o;

		if (e->drv[i].fate != FATE_SKIPPED)
			continue;
		o = events_who(&e->drv[i]);
		(void)json_object_set_new(o, "why", json_string(e->drv[i].why));
		(void)json_array_append_new(all, o);
	}
	return all;
}

static json_t *faults(const struct engine *e)
{
	json_t *all = json_array();

	for (int i = 0; i < e->cfg.nfault; i++)
		(void)json_array_append_new(all,
			json_pack("{s:s,s:f,s:I,s:I,s:I}", "what",
				e->cfg.fault[i].what == FAULT_KILL ? "kill" : "stop", "per_s",
				e->cfg.fault[i].per_s, "asked", (json_int_t)e->cfg.fault[i].asked,
				"done", (json_int_t)e->cfg.fault[i].done, "refused",
				(json_int_t)e->cfg.fault[i].refused));
	return all;
}

/* The engine's own share of one CPU while drivers ran. */
static double cpu_share(const struct engine *e)
{
	struct rusage u;
	int64_t used;

	if (e->end_ns <= e->run_from_ns || getrusage(RUSAGE_SELF, &u) < 0)
		return 0;
	used = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * SEC +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
	return (double)used / (double)(e->end_ns - e->run_from_ns);
}

static void set_all(json_t *to, json_t *from)
{
	(void)json_object_update(to, from);
	json_decref(from);
}

json_t *report_build(struct engine *e, int *ret_exit)
{
	struct counts c = e->gallery ? (struct counts){ 0 } : count(e);
	char why[256], seed[32], *replay = report_command(e, e->cfg.only);
	double s = e->run_from_ns && e->end_ns > e->run_from_ns
			   ? (double)(e->end_ns - e->run_from_ns) / 1e9
			   : 0;
	struct verdict v;
	json_t *o;

	for (unsigned i = 0; i < e->cfg.nmix; i++)
		tally_add(&e->total, &e->cfg.mix[i].tally);
	v = e->gallery ? judge_gallery(e, &c, why) : judge(e, &c, why);
	*ret_exit = e->interrupts && c.violated == 0 ? EXIT_INT
						     : v.exit; /* a violation is not forgotten */
	(void)snprintf(seed, sizeof seed, "0x%llx", (unsigned long long)e->cfg.seed);
	o = json_pack("{s:s,s:s,s:s,s:s,s:i,s:b,s:s,s:o,s:f}", "run", e->run, "seed", seed,
		"verdict", v.name, "why", why, "exit", *ret_exit, "interrupted", e->interrupts > 0,
		"replay", replay, "argv", argv_json(e), "seconds", s);
	free(replay);
	set_all(o, json_pack("{s:{s:i,s:i,s:i,s:i,s:i}}", "counts", "held", c.held, "violated",
			   c.violated, "skipped", c.skipped, "broken", c.broken, "unknown",
			   c.unknown));
	set_all(o, json_pack("{s:O,s:O,s:O,s:O,s:o,s:o}", "violations", e->violations, "hangs",
			   e->hangs, "residue", e->residue, "broken", e->brokens, "skips", skips(e),
			   "faults", faults(e)));
	set_all(o, json_pack("{s:O,s:o}", "doubtful", e->doubtful, "clock", clock_json(e)));
	set_all(o, tally_json(&e->total, s));
	set_all(o, json_pack("{s:i,s:i,s:o,s:s,s:f,s:i,s:b,s:I,s:o}", "drivers", (int)e->n,
			   "actors", e->cfg.actors, "lanes",
			   e->cfg.lanes ? json_integer(e->cfg.lanes) : json_string("free"), "place",
			   e->cfg.place, "slice_ms", (double)e->lanes.slice_ns / 1e6, "unreached",
			   c.unreached, "private_ipc", e->private_ipc, "starved",
			   (json_int_t)e->nstarved, "per_mech", per_mech(e, s)));
	if (e->gallery)
		(void)json_object_set_new(o, "gallery", gallery_json(e));
	(void)json_object_set_new(o, "engine_cpu", json_real(cpu_share(e)));
	(void)json_object_set_new(o, "armed_ms",
		e->armed_ns ? json_real((double)(e->armed_ns - e->t0) / 1e6) : json_null());
	return o;
}

static int write_file(struct engine *e, const char *name, const char *text)
{
	int fd = openat(e->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), r = 0;
	size_t n = strlen(text);

	if (fd < 0)
		return -errno;
	while (n && r == 0) {
		ssize_t w = write(fd, text, n);

		if (w < 0)
			r = -errno;
		else {
			text += w;
			n -= (size_t)w;
		}
	}
	return close(fd) < 0 && r == 0 ? -errno : r;
}

static void shorten(json_t *array, size_t keep)
{
	while (json_array_size(array) > keep)
		(void)json_array_remove(array, json_array_size(array) - 1);
}

/* On a full disk the verdict is worth more than the events, and than the tenth witness: both make
 * room. */
static int write_short(struct engine *e, const json_t *summary)
{
	static const char *const lists[] = { "violations", "doubtful", "hangs", "residue", "broken",
		"skips" };
	json_t *copy = json_deep_copy(summary);
	char *text;
	int r;

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		shorten(json_object_get(copy, lists[i]), 2);
	(void)json_object_set_new(copy, "shortened", json_true());
	text = json_dumps(copy, JSON_COMPACT | JSON_REAL_PRECISION(9));
	e->events_lost = true;
	if (e->events_fd >= 0)
		(void)!ftruncate(e->events_fd, 0);
	r = text ? write_file(e, "run.json.new", text) : -ENOMEM;
	free(text);
	json_decref(copy);
	return r;
}

int report_write(struct engine *e, const json_t *summary)
{
	char *text = json_dumps(summary, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	int r = text ? write_file(e, "run.json.new", text) : -ENOMEM;

	if (r == -ENOSPC || r == -EDQUOT)
		r = write_short(e, summary);
	if (r == 0 && renameat(e->dir_fd, "run.json.new", e->dir_fd, "run.json") < 0)
		r = -errno;
	free(text);
	if (r < 0) {
		(void)unlinkat(e->dir_fd, "run.json.new", 0);
		human_note(
			e, "warning: %s/run.json could not be written: %s", e->dir, strerror(-r));
	}
	return r;
}
