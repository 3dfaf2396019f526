/* SPDX-License-Identifier: MIT
 *
 * What a person reads: on a terminal one live line, elsewhere a line every 10 s. With --json
 * nothing.
 */
#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *paint(const struct engine *e, const char *code)
{
	return e->tty && !getenv("NO_COLOR") ? code : "";
}

/* Thousands apart: 1 234 567 is read, 1234567 is counted. */
static const char *grouped(uint64_t v, char buf[32])
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)v), k = 0;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			buf[k++] = ' ';
		buf[k++] = digits[i];
	}
	buf[k] = 0;
	return buf;
}

static void clear_live(const struct engine *e)
{
	if (e->tty)
		(void)fputs("\r\033[K", stdout);
}

void human_start(struct engine *e)
{
	char name[2 * NAME_MAX_];

	if (e->cfg.json)
		return;
	(void)printf("run %s seed 0x%llx\n", e->run, (unsigned long long)e->cfg.seed);
	for (unsigned i = 0; i < e->cfg.nmix && !e->cfg.job; i++)
		if (!e->cfg.mix[i].supported)
			(void)printf("skipped: %s: %s\n", mix_name(&e->cfg.mix[i], name),
				e->cfg.mix[i].why);
	(void)fflush(stdout);
}

void human_armed(struct engine *e, double ms)
{
	if (e->cfg.json || e->gallery)
		return;
	clear_live(e);
	(void)printf(
		"%u drivers with %d actors each ready in %.0f ms; ", e->nready, e->cfg.actors, ms);
	if (e->cfg.lanes)
		(void)printf("%d at once, %lld ms a turn\n", e->cfg.lanes,
			(long long)(e->lanes.slice_ns / MS));
	else
		(void)puts("all at once");
	(void)fflush(stdout);
}

void human_tick(struct engine *e, int64_t now)
{
	struct tally t = { 0 };
	char ops[32], rounds[32];
	double s = e->run_from_ns ? (double)(now - e->run_from_ns) / 1e9 : 0;

	if (e->cfg.json || e->gallery || e->phase < PH_RUN || (!e->tty && now < e->next_line_ns))
		return;
	if (!e->next_line_ns && !e->tty) {
		e->next_line_ns = now + 10 * SEC;
		return;
	}
	e->next_line_ns = now + 10 * SEC;
	for (unsigned i = 0; i < e->cfg.nmix; i++)
		tally_add(&t, &e->cfg.mix[i].tally);
	clear_live(e);
	(void)printf(
		"%5.0f s  %u alive  %s operations  %s rounds judged  overlap %.2f  %llu violated%s",
		s, e->n - e->ngone, grouped(t.tick_done, ops), grouped(t.judged, rounds),
		t.short_ops ? (double)t.overlapped / (double)t.short_ops : 0.0,
		(unsigned long long)t.violated, e->tty ? "" : "\n");
	(void)fflush(stdout);
}

/* What drivers say passes here on its way to a terminal: one line, no control characters. */
void human_note(struct engine *e, const char *fmt, ...)
{
	FILE *to = e->cfg.json ? stderr : stdout;
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	clear_live(e);
	(void)fprintf(to, "%s\n", line);
	(void)fflush(to);
}

static void show_skips(struct engine *e)
{
	char name[2 * NAME_MAX_];

	for (unsigned i = 0; i < e->cfg.nmix; i++) {
		const struct driver *first = NULL;
		unsigned n = 0;

		for (unsigned k = 0; k < e->n; k++) {
			if (e->drv[k].mix != &e->cfg.mix[i] || e->drv[k].fate != FATE_SKIPPED)
				continue;
			first = first ? first : &e->drv[k];
			n++;
		}
		if (first && e->cfg.mix[i].supported)
			(void)printf("skipped: %u of %s: %s\n", n, mix_name(first->mix, name),
				first->why);
	}
}

static void show_lines(
	const json_t *summary, const char *key, const char *what, const char *fields[3])
{
	const json_t *all = json_object_get(summary, key);
	size_t i;
	json_t *o;

	json_array_foreach(all, i, o)
	{
		if (i == 5) {
			(void)printf("  ... and %zu more in run.json\n", json_array_size(all) - i);
			break;
		}
		(void)printf("%s:", what);
		for (int f = 0; f < 3 && fields[f]; f++) {
			const json_t *v = json_object_get(o, fields[f]);

			if (json_is_string(v) && *json_string_value(v))
				(void)printf(" %s", json_string_value(v));
			else if (json_is_integer(v))
				(void)printf(" %lld", (long long)json_integer_value(v));
		}
		(void)putchar('\n');
	}
}

void human_end(struct engine *e, const json_t *s)
{
	static const char *residue[3] = { "kind", "name", "pid" };
	const char *verdict = json_string_value(json_object_get(s, "verdict"));
	const char *colour = strcmp(verdict, "held") == 0	? "\033[32m"
			     : strcmp(verdict, "violated") == 0 ? "\033[31m"
								: "\033[33m";
	char ops[32], rounds[32], pairs[32];

	if (e->cfg.json)
		return;
	clear_live(e);
	if (!e->gallery)
		show_skips(e);
	show_lines(s, "residue", "left behind", residue);
	if (e->gallery)
		(void)printf("%s%s%s: %s\n", paint(e, colour), verdict, paint(e, "\033[0m"),
			json_string_value(json_object_get(s, "why")));
	else
		(void)printf("%s%s%s: %s. %s rounds judged, %s operations, %s ordered pairs, "
			     "overlap %.2f\n",
			paint(e, colour), verdict, paint(e, "\033[0m"),
			json_string_value(json_object_get(s, "why")),
			grouped(e->total.judged, rounds), grouped(e->total.done, ops),
			grouped(e->total.ordered, pairs),
			e->total.short_ops
				? (double)e->total.overlapped / (double)e->total.short_ops
				: 0.0);
	(void)printf("report %s/run.json\n", e->dir);
	(void)printf("replay %s\n", json_string_value(json_object_get(s, "replay")));
	(void)fflush(stdout);
}
