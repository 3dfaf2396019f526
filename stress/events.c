/* SPDX-License-Identifier: MIT
 *
 * The event stream: JSON Lines to events.jsonl, and to stdout with --json. The file is bounded: a
 * run of days keeps every finding, and of the ticks the last.
 */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_all(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t w = write(fd, s, n);

		if (w < 0 && errno != EINTR)
			return -errno;
		s += w > 0 ? w : 0;
		n -= w > 0 ? (size_t)w : 0;
	}
	return 0;
}

static bool passing(const char *line)
{
	static const char *const of[] = { "{\"ev\":\"tick\"", "{\"ev\":\"fault\"",
		"{\"ev\":\"slow\"" };

	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		if (strncmp(line, of[i], strlen(of[i])) == 0)
			return true;
	return false;
}

/* Everything that is not passing, and the last quarter of what is allowed. */
static int64_t copy_shorter(FILE *from, FILE *to, int64_t whole, int64_t most)
{
	char *line = NULL;
	size_t room = 0;
	int64_t seen = 0, kept = 0;
	ssize_t n;

	while ((n = getline(&line, &room, from)) > 0) {
		seen += n;
		if (seen < whole - most / 4 && passing(line))
			continue;
		kept += n;
		(void)fputs(line, to);
	}
	free(line);
	return fflush(to) == 0 && !ferror(to) && !ferror(from) ? kept : -1;
}

/* Into a new file, which then takes the name: a reader never sees half. What fails leaves the old. */
static void shorten(struct engine *e)
{
	int in = openat(e->dir_fd, "events.jsonl", O_RDONLY | O_CLOEXEC);
	int out = openat(e->dir_fd, "events.jsonl.new",
		O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	FILE *from = in >= 0 ? fdopen(in, "r") : NULL, *to = out >= 0 ? fdopen(out, "w") : NULL;
	int64_t kept = from && to ? copy_shorter(from, to, e->events_size, e->cfg.events_max) : -1;
	int fd = kept >= 0 ? fcntl(out, F_DUPFD_CLOEXEC, 0) : -1;

	if (fd >= 0 && renameat(e->dir_fd, "events.jsonl.new", e->dir_fd, "events.jsonl") == 0) {
		(void)close(e->events_fd);
		e->events_fd = fd;
		e->events_size = kept;
	} else {
		(void)unlinkat(e->dir_fd, "events.jsonl.new", 0);
		if (fd >= 0)
			(void)close(fd);
	}
	/* findings alone may fill it: then not again at each event */
	e->events_bound = e->events_size + e->cfg.events_max / 2;
	if (e->events_bound < e->cfg.events_max)
		e->events_bound = e->cfg.events_max;
	if (from)
		(void)fclose(from);
	if (to)
		(void)fclose(to);
}

/* A full disk costs the record of the events, never the run: its verdict also goes to stdout. */
static void to_file(struct engine *e, const char *s, size_t n)
{
	int r;

	if (e->events_fd < 0 || e->events_lost)
		return;
	e->events_size += (int64_t)n;
	if (e->events_size > (e->events_bound ? e->events_bound : e->cfg.events_max))
		shorten(e);
	r = write_all(e->events_fd, s, n);
	if (r < 0) {
		e->events_lost = true;
		human_note(e, "warning: events.jsonl: %s; going on without it", strerror(-r));
	}
}

void events_put(struct engine *e, const char *ev, json_t *o)
{
	json_t *line = json_pack("{s:s,s:I}", "ev", ev, "t", (json_int_t)(now_ns() - e->t0));
	char *s;
	size_t n;

	(void)json_object_update_missing(line, o);
	s = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(line);
	json_decref(o);
	if (!s)
		return;
	n = strlen(s);
	s[n] = '\n';
	to_file(e, s, n + 1);
	if (e->cfg.json)
		(void)write_all(STDOUT_FILENO, s, n + 1);
	free(s);
}

json_t *events_who(const struct driver *d)
{
	return json_pack("{s:i,s:s,s:s}", "instance", (int)d->inst, "mechanism", d->mix->mech,
		"variant", d->mix->variant);
}
