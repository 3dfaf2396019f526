/* SPDX-License-Identifier: MIT
 *
 * Handles: opening, giving to actors, releasing, closing; the journal of names; shared memory for
 * objects that live in it.
 */
#include "kit.h"
#include "raw.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static struct pl_ctl *const c = &pl_ctl;

int pl_handle_find(const char *name, int *ret_end)
{
	const char *dot = strchr(name, '.');
	size_t len = dot ? (size_t)(dot - name) : strlen(name);
	int i, end = -1;

	if (dot) {
		for (end = 0; end < PL_FDS_MAX; end++)
			if (c->drv->ends[end] && !strcmp(c->drv->ends[end], dot + 1))
				break;
		if (end == PL_FDS_MAX)
			return -ENOENT;
	}
	for (i = 1; i <= PL_HANDLES_MAX; i++)
		if (c->handle[i].used && strlen(c->handle[i].name) == len &&
			!memcmp(c->handle[i].name, name, len)) {
			if (ret_end)
				*ret_end = end;
			return i;
		}
	return -ENOENT;
}

bool pl_handle_name_ok(const char *s)
{
	return s && *s && strlen(s) < PL_HANDLE_NAME && !strpbrk(s, "./");
}

int pl_args_parse(const struct pl_arg *t, json_t *req, int64_t *v, char *why, size_t n)
{
	int i;

	for (i = 0; i < PL_ARGS_MAX && t[i].name; i++) {
		json_t *j = json_object_get(req, t[i].name);

		v[i] = t[i].def;
		if (!j)
			continue;
		v[i] = json_is_boolean(j) ? json_is_true(j) : json_integer_value(j);
		if ((!json_is_integer(j) && !json_is_boolean(j)) || v[i] < t[i].min ||
			v[i] > t[i].max) {
			(void)snprintf(why, n, "'%s' must be an integer in [%lld, %lld]", t[i].name,
				(long long)t[i].min, (long long)t[i].max);
			return -EINVAL;
		}
	}
	return 0;
}

/* The name is on disk before the object exists, so that no SIGKILL can hide it. */
static void journal(const char *name)
{
	char path[sizeof c->dir + 16], line[PL_SYSNAME + 64];
	int n = snprintf(line, sizeof line, "%s %s\n", c->drv->name, name);
	long fd;

	if (!c->dir[0])
		return;
	(void)snprintf(path, sizeof path, "%s/objects", c->dir);
	fd = raw_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	(void)raw_write((int)fd, line, (size_t)n);
	(void)raw_close((int)fd);
}

static int map_memory(struct pl_handle *h)
{
	long fd = syscall(SYS_memfd_create, "plumb-object", 1U /* MFD_CLOEXEC */);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_ftruncate, fd, (long)c->drv->mem) < 0)
		return -errno;
	h->memfd = (int)fd;
	h->obj.mem = mmap(NULL, c->drv->mem, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
	return h->obj.mem == MAP_FAILED ? (h->obj.mem = NULL, -errno) : 0;
}

static void close_fds(struct pl_handle *h)
{
	int i;

	for (i = 0; i < PL_FDS_MAX; i++) {
		if (h->obj.fd[i] >= 0 && !c->drv->ids)
			(void)raw_close(h->obj.fd[i]);
		h->obj.fd[i] = -1;
	}
}

static void forget(struct pl_handle *h)
{
	if (!h->local) {
		pl_local_close(c->drv, &h->obj);
		close_fds(h);
		if (h->obj.mem)
			(void)munmap(h->obj.mem, c->drv->mem);
		if (h->memfd >= 0)
			(void)raw_close(h->memfd);
	}
	*h = (struct pl_handle){ .memfd = -1 };
}

int pl_object_reset(struct pl_handle *h)
{
	if (!h->obj.mem)
		return 0;
	memset(h->obj.mem, 0, c->drv->mem);
	h->obj.create = 1;
	return c->drv->open(&h->obj, &h->args) < 0 ? -errno : 0;
}

static int give(struct pl_actor *a, int number)
{
	struct pl_handle *h = &c->handle[number];
	struct pl_cmd m = { .kind = CMD_OPEN, .handle = (uint32_t)number, .obj = h->obj };
	int fds[PL_FDS_MAX + 1], n = 0, i;

	(void)snprintf(m.name, sizeof m.name, "%s", h->sysname);
	for (i = 0; i < PL_ARGS_MAX; i++)
		m.v[i] = h->args.v[i];
	if (h->memfd >= 0) {
		fds[n++] = h->memfd;
		m.mem_len = c->drv->mem;
	}
	a->told++;
	if (c->drv->ids || pl_reopens(c->drv, &h->obj) || a->kind == KIND_EXEC || a->execed)
		return pl_chan_send(a->chan, &m, sizeof m, fds, n);
	for (i = 0; i < PL_FDS_MAX; i++)
		if (h->obj.fd[i] >= 0)
			fds[n++] = h->obj.fd[i];
	return pl_chan_send(a->chan, &m, sizeof m, fds, n);
}

/* Every actor has what it takes: signals reach whoever lives. */
static bool needs_nothing(const struct pl_handle *h)
{
	return pl_caps_of(c->drv, &h->obj) & PL_EACH && h->obj.fd[0] < 0;
}

/* What travels to an actor of kind exec: a name or memory, never a descriptor. */
static bool reaches(const struct pl_actor *a, const struct pl_handle *h)
{
	return (a->kind != KIND_EXEC && !a->execed) || h->sysname[0] || h->memfd >= 0 ||
	       needs_nothing(h);
}

int pl_objects_give(struct pl_actor *a)
{
	int i, r;

	for (i = 1; i <= PL_HANDLES_MAX; i++) {
		if (!c->handle[i].used || c->handle[i].local)
			continue;
		if (!reaches(a, &c->handle[i])) {
			if (a->execed)
				continue; /* as exec would: gone */
			return -EOPNOTSUPP;
		}
		r = give(a, i);
		if (r < 0)
			return r;
	}
	return 0;
}

static int find_variant(const char *name)
{
	int i;

	for (i = 0; c->drv->variants[i].name; i++)
		if (!name || !strcmp(c->drv->variants[i].name, name))
			return i;
	return -ENOENT;
}

static json_t *open_ok(const struct pl_handle *h)
{
	json_t *o = json_object();
	int i;

	if (h->sysname[0])
		(void)json_object_set_new(o, "name", json_string(h->sysname));
	for (i = 0; i < PL_OUT_MAX && c->drv->open_out[i]; i++)
		(void)json_object_set_new(o, c->drv->open_out[i], json_integer(h->obj.out[i]));
	return o;
}

static void open_failed(int64_t id, int err)
{
	const char *limit = pl_limit_of(c->drv, err);
	json_t *more = json_pack("{ssss}", "name", pl_errno_name(err), "call", "open");

	if (limit)
		(void)json_object_set_new(more, "limit", json_string(limit));
	pl_reply_err(id, "os", true, more, "open failed: %s", strerror(err));
}

/* Fills a free handle from the request; NULL after an error reply. */
static struct pl_handle *prepare(int64_t id, json_t *req, int *ret_number)
{
	const char *as = json_string_value(json_object_get(req, "as"));
	const char *name = json_string_value(json_object_get(req, "name"));
	const char *mode = json_string_value(json_object_get(req, "mode"));
	int v = find_variant(json_string_value(json_object_get(req, "variant"))), i;
	struct pl_handle *h = NULL;
	char why[128];
	bool named;

	for (i = 1; i <= PL_HANDLES_MAX && !h; i++)
		if (!c->handle[i].used)
			h = &c->handle[ *ret_number = i];
	if (!pl_handle_name_ok(as))
		return pl_reply_err(id, "usage", true, NULL,
			       "open needs 'as': a handle of 1 to 23 characters without '.' and "
			       "'/'"),
		       NULL;
	if (pl_handle_find(as, NULL) > 0)
		return pl_reply_err(id, "usage", true, NULL, "handle '%s' is in use", as), NULL;
	if (!h)
		return pl_reply_err(id, "usage", true, NULL, "at most %d handles", PL_HANDLES_MAX),
		       NULL;
	if (v < 0)
		return pl_reply_err(id, "usage", true, NULL, "no such variant: see hello"), NULL;
	*h = (struct pl_handle){ .memfd = -1, .obj = { .variant = v, .fd = { -1, -1 } } };
	if (pl_args_parse(c->drv->open_args, req, h->args.v, why, sizeof why) < 0)
		return pl_reply_err(id, "usage", true, NULL, "%s", why), NULL;
	named = c->drv->variants[v].caps & PL_NAMES;
	if (mode && strcmp(mode, "create") != 0 && strcmp(mode, "attach") != 0)
		return pl_reply_err(id, "usage", true, NULL, "mode is create or attach"), NULL;
	if (!named && (name || (mode && *mode == 'a')))
		return pl_reply_err(id, "usage", true, NULL, "this variant has no names"), NULL;
	if (name && (!*name || strlen(name) >= sizeof h->sysname))
		return pl_reply_err(
			       id, "usage", true, NULL, "name has 1 to %d bytes", PL_SYSNAME - 1),
		       NULL;
	h->obj.create = !mode || *mode == 'c';
	(void)snprintf(h->name, sizeof h->name, "%s", as);
	if (name)
		(void)snprintf(h->sysname, sizeof h->sysname, "%s", name);
	else if (named)
		(void)snprintf(
			h->sysname, sizeof h->sysname, "/plumb.%s.%u.%s", c->run, c->inst, as);
	h->obj.name = h->sysname[0] ? h->sysname : NULL;
	h->created = h->obj.create;
	return h;
}

/* Before anything is changed: can every actor be told? One in a run does not listen; one that is
 * long in a call may have its channel full. */
static bool all_listen(int64_t id)
{
	unsigned i;

	if (pl_round_busy()) {
		pl_reply_err(id, "usage", true, NULL, "a run is under way");
		return false;
	}
	for (i = 0; i < c->nactors; i++) {
		struct pollfd p = { .fd = c->actor[i].chan, .events = POLLOUT };

		if (!c->actor[i].alive || c->actor[i].dying || raw_poll(&p, 1, 0, NULL) > 0)
			continue;
		pl_reply_err(id, "usage", true, json_pack("{si}", "actor", (int)i),
			"actor %u is in a call and has not heard of many changes yet", i);
		return false;
	}
	return true;
}

void pl_req_open(int64_t id, json_t *req)
{
	int number = 0, r, i;
	struct pl_handle *h = prepare(id, req, &number);

	if (!h)
		return;
	if (!all_listen(id))
		return;
	for (i = 0; i < (int)c->nactors; i++)
		if (c->actor[i].alive && !reaches(&c->actor[i], h) && !c->drv->mem)
			return pl_reply_err(id, "usage", true, NULL,
				"an exec actor exists: a descriptor without a name cannot reach "
				"it");
	if (h->sysname[0] && h->obj.create)
		journal(h->sysname);
	r = c->drv->mem ? map_memory(h) : 0;
	if (r == 0 && (!h->obj.mem || h->obj.create || h->obj.name) &&
		c->drv->open(&h->obj, &h->args) < 0)
		r = -errno;
	if (r < 0) {
		h->created = false;
		forget(h);
		return open_failed(id, -r);
	}
	h->used = true;
	for (i = 0; i < (int)c->nactors; i++)
		if (c->actor[i].alive)
			(void)give(&c->actor[i], number);
	for (i = 0; i < (int)c->nactors && pl_caps_of(c->drv, &h->obj) & PL_EACH; i++)
		pl_actor_await((unsigned)i);
	pl_reply(id, open_ok(h));
}

static int wanted(int64_t id, json_t *req, int *ret_end)
{
	const char *on = json_string_value(json_object_get(req, "on"));
	int n = on ? pl_handle_find(on, ret_end) : -ENOENT;

	if (n < 0)
		pl_reply_err(id, "usage", true, NULL,
			"'on' must name an open handle (and an end of it)");
	return n;
}

void pl_req_release(int64_t id, json_t *req)
{
	int end = -1, number = wanted(id, req, &end), i;

	if (number < 0)
		return;
	for (i = 0; i < PL_FDS_MAX; i++) {
		int *fd = &c->handle[number].obj.fd[i];
		int64_t begun = pl_now();

		if ((end >= 0 && end != i) || *fd < 0)
			continue;
		if (!c->drv->ids)
			(void)raw_close(*fd);
		*fd = -1;
		pl_control_note(PL_OP_RELEASE, PL_CONTROL, begun, pl_now(), number, (uint64_t)i);
		c->handle[number].altered = true; /* the last to have it may now be one that dies */
	}
	if (end < 0) {
		pl_local_close(c->drv, &c->handle[number].obj);
		c->handle[number].released = true;
	}
	pl_reply(id, json_object());
}

static int unlink_name(const struct pl_handle *h)
{
	if (!h->created || !h->sysname[0] || !c->drv->unlink)
		return 0;
	return c->drv->unlink(h->sysname) < 0 && errno != ENOENT ? -errno : 0;
}

void pl_req_close(int64_t id, json_t *req)
{
	int number = wanted(id, req, NULL), i;
	struct pl_cmd m = { .kind = CMD_CLOSE, .handle = (uint32_t)number, .end = -1 };

	if (number < 0)
		return;
	if (!all_listen(id))
		return;
	for (i = 0; i < (int)c->nactors; i++)
		if (c->actor[i].alive && (!c->handle[number].local || c->handle[number].owner == i))
			c->actor[i].told +=
				pl_chan_send(c->actor[i].chan, &m, sizeof m, NULL, 0) == 0;
	(void)unlink_name(&c->handle[number]);
	pl_who_forget(number);
	forget(&c->handle[number]);
	pl_reply(id, json_object());
}

json_t *pl_objects_drop(void)
{
	json_t *leaked = json_array();
	int i;

	for (i = 1; i <= PL_HANDLES_MAX; i++) {
		if (!c->handle[i].used)
			continue;
		if (unlink_name(&c->handle[i]) < 0)
			(void)json_array_append_new(leaked, json_string(c->handle[i].sysname));
		forget(&c->handle[i]);
	}
	return leaked;
}
