/* SPDX-License-Identifier: MIT
 *
 * Lines out: one write(2) a line while the reader keeps up, a queue while it does not. Replies are
 * never dropped; what may be dropped (a tick) is, when anything is queued already.
 */
#include "kit.h"
#include "raw.h"

#include <stdlib.h>
#include <stdarg.h>
#include <string.h>

static struct {
	char *buf;
	size_t len, cap, sent;
	bool broken; /* nobody reads any more */
} out;

static void push(const char *p, size_t n)
{
	if (out.sent > out.len / 2) { /* a reader that is slow, but reads: its past is not kept */
		memmove(out.buf, out.buf + out.sent, out.len - out.sent);
		out.len -= out.sent, out.sent = 0;
	}
	if (out.len + n > out.cap) {
		size_t cap = (out.len + n) * 2;
		char *b = realloc(out.buf, cap);

		if (!b)
			raw_exit(1);
		out.buf = b, out.cap = cap;
	}
	memcpy(out.buf + out.len, p, n);
	out.len += n;
}

void pl_out_flush(void)
{
	while (out.sent < out.len && !out.broken) {
		long n = raw_write(pl_ctl.out, out.buf + out.sent, out.len - out.sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			out.broken = true;
		if (n <= 0)
			break;
		out.sent += (size_t)n;
	}
	if (out.sent == out.len || out.broken) {
		if (out.cap > PL_LINE_MAX) { /* a burst is over: give its memory back */
			free(out.buf);
			out.buf = NULL, out.cap = 0;
		}
		out.len = out.sent = 0;
	}
}

size_t pl_out_queued(void)
{
	return out.len - out.sent;
}

void pl_out_drain(int64_t deadline)
{
	struct pollfd p = { .fd = pl_ctl.out, .events = POLLOUT };

	pl_out_flush();
	while (pl_out_queued() > 0 && pl_now() < deadline) {
		(void)raw_poll(&p, 1, deadline - pl_now(), NULL);
		pl_out_flush();
	}
}

/* A line that cannot be written as it is must not cost a reply: the request hears why. */
static size_t instead_of(const json_t *o, char *line, size_t size)
{
	json_t *e = json_pack("{sOsIs{sssbss}}", "re", json_object_get(o, "re"), "t",
		pl_time(pl_now()), "err", "kind", "internal", "definite", 0, "msg",
		"the reply does not fit into a line");
	size_t n = e ? json_dumpb(e, line, size, JSON_COMPACT) : 0;

	json_decref(e);
	return n;
}

void pl_out_line(json_t *o, bool droppable)
{
	static char line[PL_LINE_MAX];
	size_t n = json_dumpb(o, line, sizeof line - 1, JSON_COMPACT | JSON_ENSURE_ASCII);

	if (n == 0 || n > sizeof line - 1)
		n = json_object_get(o, "re") ? instead_of(o, line, sizeof line - 1) : 0;
	json_decref(o);
	if (n == 0 || out.broken || (droppable && pl_out_queued() > 0))
		return;
	line[n++] = '\n';
	if (pl_out_queued() == 0) {
		long done = raw_write(pl_ctl.out, line, n);

		if (done == (long)n)
			return;
		if (done < 0 && errno != EAGAIN && errno != EINTR) {
			out.broken = true;
			return;
		}
		push(line + (done > 0 ? done : 0), n - (size_t)(done > 0 ? done : 0));
		return;
	}
	push(line, n);
}

int64_t pl_time(int64_t t)
{
	return t - pl_ctl.t0;
}

void pl_reply(int64_t id, json_t *ok)
{
	pl_out_line(json_pack("{sIsIso}", "re", id, "t", pl_time(pl_now()), "ok", ok), false);
}

/* Text that was cut to fit may end in half a character. */
static void plain(char *s)
{
	json_t *j = json_string(s);

	json_decref(j);
	for (; !j && *s; s++)
		if (*s & 0x80)
			*s = '?';
}

void pl_reply_err(int64_t id, const char *kind, bool definite, json_t *more, const char *fmt, ...)
{
	char msg[400];
	va_list ap;
	json_t *e = more ? more : json_object();

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	plain(msg);
	(void)json_object_set_new(e, "kind", json_string(kind));
	(void)json_object_set_new(e, "definite", json_boolean(definite));
	(void)json_object_set_new(e, "msg", json_string(msg));
	pl_out_line(json_pack("{sosIso}", "re", id < 0 ? json_null() : json_integer(id), "t",
			    pl_time(pl_now()), "err", e),
		false);
}

void pl_event(const char *ev, json_t *fields)
{
	json_t *o = json_pack("{sssI}", "ev", ev, "t", pl_time(pl_now()));

	if (fields)
		(void)json_object_update_new(o, fields);
	pl_out_line(o, !strcmp(ev, "tick"));
}
