/* SPDX-License-Identifier: MIT
 *
 * The event stream: JSON Lines to events.jsonl, and to stdout with --json.
 */
#include "engine.h"

#include <errno.h>
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

/* A full disk costs the record of the events, never the run: its verdict also goes to stdout. */
static void to_file(struct engine *e, const char *s, size_t n)
{
	int r;

	if (e->events_fd < 0 || e->events_lost)
		return;
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
