/* SPDX-License-Identifier: MIT
 *
 * status: what each actor does now, as far as can be seen from outside of it.
 */
#include "kit.h"
#include "raw.h"

#include <stdio.h>
#include <string.h>

static struct pl_ctl *const c = &pl_ctl;

static void see(json_t *o, unsigned id)
{
	struct pl_slot *s = &c->shared->slot[id];
	uint32_t in_op = atomic_load(&s->in_op);
	struct pl_sight sight;
	const char *is = "running";

	if (!(in_op & 1)) {
		is = atomic_load(&s->phase) == PHASE_ROUND ? "running" : "idle";
		(void)json_object_set_new(o, "is", json_string(is));
		return;
	}
	(void)json_object_set_new(o, "f", json_string(c->ops[s->op].name));
	(void)json_object_set_new(o, "held_ns", json_integer(pl_now() - s->since));
	if (pl_observe(c->actor[id].pid, s->tid, &sight) < 0 || atomic_load(&s->in_op) != in_op) {
		(void)json_object_set_new(o, "is", json_string("running"));
		return;
	}
	if (sight.state == 'T')
		is = "stopped";
	else if (sight.state == 'S' || sight.state == 'D')
		is = "blocked";
	(void)json_object_set_new(o, "is", json_string(is));
	if (sight.nr < 0 || is[0] != 'b')
		return;
	(void)json_object_set_new(o, "in", json_string(pl_syscall_name(sight.nr)));
	if (s->mem)
		(void)json_object_set_new(
			o, "addr", json_integer((json_int_t)(sight.arg0 - s->mem)));
	else if (sight.arg0 == (uint64_t)s->fd)
		(void)json_object_set_new(o, "fd", json_integer(s->fd));
}

static json_t *actors(void)
{
	json_t *a = json_array(), *o;
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		o = json_pack("{sisi}", "id", (int)i, "pid", (int)c->actor[i].pid);
		if (!c->actor[i].alive || c->actor[i].dying)
			(void)json_object_set_new(o, "is", json_string("dead"));
		else if (c->actor[i].stopped)
			(void)json_object_set_new(o, "is", json_string("stopped"));
		else if (c->actor[i].call.live || pl_round_busy())
			see(o, i);
		else
			(void)json_object_set_new(o, "is", json_string("idle"));
		(void)json_array_append_new(a, o);
	}
	return a;
}

static long rss_kib(void)
{
	char buf[128];
	long fd = raw_open("/proc/self/statm", O_RDONLY | O_CLOEXEC, 0), n, pages = 0;

	if (fd < 0)
		return 0;
	n = raw_read((int)fd, buf, sizeof buf - 1);
	(void)raw_close((int)fd);
	buf[n > 0 ? n : 0] = 0;
	(void)sscanf(buf, "%*d %ld", &pages);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int open_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += syscall(SYS_fcntl, fd, F_GETFD, 0) >= 0;
	return n;
}

void pl_req_status(int64_t id, json_t *req)
{
	static const char *const rungs[] = { "none", "stat", "syscall" };
	json_t *handles = json_array();
	int i;

	for (i = 1; i <= PL_HANDLES_MAX; i++)
		if (c->handle[i].used)
			(void)json_array_append_new(handles, json_string(c->handle[i].name));
	pl_reply(id, json_pack("{sssisosososisisi}", "state", pl_round_state(), "round",
			     (int)c->shared->round, "actors", actors(), "handles", handles, "rung",
			     json_string(rungs[pl_rung()]), "rss_kib", (int)rss_kib(), "fds",
			     open_fds(), "queued", (int)pl_out_queued()));
}
