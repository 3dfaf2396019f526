/* SPDX-License-Identifier: MIT
 *
 * plumb/1 as the parent speaks it: requests printed by hand, lines taken apart, answers matched.
 */
#include "engine.h"
#include "../core/hist/rng.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t ask(struct driver *d, enum op op, short detail)
{
	for (int i = 0; i < ASKED_MAX; i++) {
		if (d->asked[i].id)
			continue;
		d->asked[i] = (struct asked){ .id = ++d->next_id, .op = op, .detail = detail };
		return d->next_id;
	}
	assert(!"wire_fault leaves room for all else, of which each kind is asked once at a time");
	return 0;
}

bool wire_waits(const struct driver *d, enum op op)
{
	for (int i = 0; i < ASKED_MAX; i++)
		if (d->asked[i].id && d->asked[i].op == op)
			return true;
	return false;
}

/* The text as a JSON string, quotes included. */
static void quote(const char *s, char *buf, size_t size)
{
	json_t *o = json_string(s);
	size_t n = o ? json_dumpb(o, buf, size - 1, JSON_ENCODE_ANY) : 0;

	if (!o || n >= size)
		n = (size_t)snprintf(buf, size, "\"\"");
	buf[n] = 0;
	json_decref(o);
}

/* Lanes limit how many judge at once; drivers that run freely share a file for that. */
static void say_checkers(const struct engine *e, char *buf, size_t size)
{
	char path[PATH_MAX + 16], quoted[2 * PATH_MAX];

	*buf = 0;
	if (e->cfg.lanes)
		return;
	(void)snprintf(path, sizeof path, "%s/checkers", e->dir);
	quote(path, quoted, sizeof quoted);
	(void)snprintf(
		buf, size, ",\"checkers\":{\"most\":%d,\"file\":%s}", e->cfg.checkers, quoted);
}

int64_t wire_say(struct driver *d, enum op op, short detail, const char *fmt, ...)
{
	char buf[1024];
	int64_t id = ask(d, op, detail);
	int n = snprintf(buf, sizeof buf, "{\"id\":%lld,\"op\":", (long long)id);
	va_list ap;

	va_start(ap, fmt);
	n += vsnprintf(buf + n, sizeof buf - (size_t)n, fmt, ap);
	va_end(ap);
	assert(n < (int)sizeof buf - 3);
	n += snprintf(buf + n, sizeof buf - (size_t)n, "}\n");
	child_write(d, buf, (size_t)n);
	return id;
}

static int init_line(struct driver *d, char *buf, size_t size)
{
	const struct engine *e = d->e;
	char dir[PATH_MAX] = "", qdir[2 * PATH_MAX], checkers[3 * PATH_MAX];
	uint64_t seed = pl_rand(e->cfg.seed, d->inst);

	folder_make_inst(d, dir, sizeof dir);
	quote(dir, qdir, sizeof qdir);
	say_checkers(e, checkers, sizeof checkers);
	return snprintf(buf, size,
		"{\"id\":%lld,\"op\":\"init\",\"proto\":1,\"run\":\"%s\",\"inst\":%u,\"seed\":\"0x%"
		"llx\","
		"\"t0\":%lld,\"dir\":%s,\"tick_ms\":%d,\"clock_error_ns\":%lld%s}\n",
		(long long)ask(d, OP_INIT, 0), e->run, d->inst, (unsigned long long)seed,
		(long long)e->t0, qdir, e->cfg.tick_ms, (long long)e->clock.error_ns, checkers);
}

void wire_init(struct driver *d)
{
	char buf[6 * PATH_MAX];

	child_write(d, buf, (size_t)init_line(d, buf, sizeof buf));
}

/* The whole handshake in one write: a thousand drivers need not wait for the engine between its
 * steps. */
void wire_start(struct driver *d)
{
	const struct engine *e = d->e;
	char variant[NAME_MAX_ + 16] = "", buf[6 * PATH_MAX];
	int n = init_line(d, buf, sizeof buf);

	if (*d->mix->variant)
		(void)snprintf(variant, sizeof variant, ",\"variant\":\"%s\"", d->mix->variant);
	n += snprintf(buf + n, sizeof buf - (size_t)n,
		"{\"id\":%lld,\"op\":\"open\",\"as\":\"q\",\"mode\":\"create\"%s}\n"
		"{\"id\":%lld,\"op\":\"actor\",\"n\":%d,\"place\":\"%s\"}\n",
		(long long)ask(d, OP_OPEN, 0), variant, (long long)ask(d, OP_ACTOR, 0),
		e->cfg.actors, e->cfg.place);
	child_write(d, buf, (size_t)n);
}

/* Every second turn runs with noise: free running actors hardly ever stop between two operations, so that of 130
 * owners of a mutex killed anywhere only one or two held it; with noise it is one in seven. */
void wire_run(struct driver *d, int64_t for_ms, int64_t start_ns)
{
	char start[64] = "", ops[32] = "", buf[256];
	int n;

	if (start_ns && d->same_clock)
		(void)snprintf(start, sizeof start, ",\"start_at\":%lld",
			(long long)(start_ns - d->e->t0));
	else if (start_ns)
		(void)snprintf(start, sizeof start, ",\"start_in_ms\":%lld",
			(long long)((start_ns - now_ns()) / MS));
	if (d->e->cfg.ops || d->mix->ops)
		(void)snprintf(ops, sizeof ops, ",\"ops\":%u",
			d->e->cfg.ops ? (unsigned)d->e->cfg.ops : d->mix->ops);
	n = snprintf(buf, sizeof buf, "{\"id\":%lld,\"op\":\"run\",\"for_ms\":%lld%s%s%s}\n",
		(long long)ask(d, OP_RUN, 0), (long long)for_ms, start, ops,
		d->slices % 2 ? ",\"sched\":\"noise\"" : "");
	child_write(d, buf, (size_t)n);
}

/* -EAGAIN: it owes so many answers that the rest of the table is kept for what must be asked. */
int wire_fault(struct driver *d, const char *what, int actor, short detail)
{
	char buf[128];
	int owed = 0, n;

	for (int i = 0; i < ASKED_MAX; i++)
		owed += d->asked[i].id != 0;
	if (owed > ASKED_MAX / 2)
		return -EAGAIN;
	n = snprintf(buf, sizeof buf,
		"{\"id\":%lld,\"op\":\"fault\",\"what\":\"%s\",\"actor\":%d}\n",
		(long long)ask(d, OP_FAULT, detail), what, actor);
	child_write(d, buf, (size_t)n);
	return 0;
}

void wire_ask(struct driver *d, enum op op)
{
	static const char *const name[] = {
		[OP_STATUS] = "status", [OP_PING] = "ping", [OP_STOP] = "stop", [OP_WHO] = "who"
	};
	char buf[64];
	int n;

	if (wire_waits(d, op)) /* the answer it owes will do */
		return;
	n = snprintf(buf, sizeof buf, "{\"id\":%lld,\"op\":\"%s\"}\n", (long long)ask(d, op, 0),
		name[op]);
	child_write(d, buf, (size_t)n);
}

static struct asked *find_asked(struct driver *d, int64_t id)
{
	for (int i = 0; id > 0 && i < ASKED_MAX; i++)
		if (d->asked[i].id == id)
			return &d->asked[i];
	return NULL;
}

static void take_reply(struct driver *d, const json_t *line)
{
	const json_t *re = json_object_get(line, "re");
	const json_t *ok = json_object_get(line, "ok"), *err = json_object_get(line, "err");
	struct asked *a = find_asked(d, json_integer_value(re)), was;

	if (!d->hello) {
		pool_fail(d, FATE_BROKEN, "answered before it said hello");
		return;
	}
	if (!a) {
		pool_fail(d, FATE_BROKEN, "answered what was not asked (\"re\":%lld)",
			(long long)json_integer_value(re));
		return;
	}
	was = *a;
	a->id = 0;
	if (json_is_object(ok))
		reply_ok(d, was, ok);
	else if (json_is_object(err))
		reply_err(d, was, err);
	else
		pool_fail(d, FATE_BROKEN, "sent a reply with neither ok nor err");
}

void wire_line(struct driver *d, const char *text, size_t n)
{
	json_error_t error;
	json_t *line;

	d->flood_lines++;
	if (d->rung == RUNG_KILL)
		return;
	line = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(line)) {
		pool_fail(d, FATE_BROKEN, "wrote what is not plumb/1: %.*s", n > 60 ? 60 : (int)n,
			text);
		json_decref(line);
		return;
	}
	if (json_object_get(line, "re"))
		take_reply(d, line);
	else if (json_is_string(json_object_get(line, "ev")))
		reply_event(d, line);
	else
		pool_fail(d, FATE_BROKEN, "wrote a line that is neither reply nor event");
	json_decref(line);
}
