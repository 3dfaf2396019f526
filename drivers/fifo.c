/* SPDX-License-Identifier: MIT
 *
 * fifo(7): a pipe that processes find by name. It exists as a file; what is in it lives only as
 * long as somebody has it open. Opening one end waits for the other.
 *
 * An object has both ends: the read end is opened first, without waiting, and made to wait
 * afterwards.
 */
#include "pipe.h"

#include <sys/stat.h>

enum { CAPACITY, NONBLOCK }; /* arguments of open */

static long open_ends(struct pl_obj *o, const struct pl_args *a)
{
	int mode = O_CLOEXEC | O_NONBLOCK, i;
	char path[PL_PATH_MAX];

	o->fd[0] = open(pl_path(o->name, path), O_RDONLY | mode);
	o->fd[1] = o->fd[0] < 0 ? -1 : open(path, O_WRONLY | mode);
	if (o->fd[1] < 0)
		return -1;
	if (o->create && a->v[CAPACITY] && fcntl(o->fd[1], F_SETPIPE_SZ, (int)a->v[CAPACITY]) < 0)
		return -1;
	for (i = 0; i < 2 && !a->v[NONBLOCK]; i++)
		if (fcntl(o->fd[i], F_SETFL, 0) < 0)
			return -1;
	pipe_tell_capacity(o);
	return 0;
}

static int fifo_unlink(const char *name)
{
	char path[PL_PATH_MAX];

	return unlink(pl_path(name, path));
}

static long fifo_open(struct pl_obj *o, const struct pl_args *a)
{
	char path[PL_PATH_MAX];
	int err;

	if (o->create && mkfifo(pl_path(o->name, path), 0600) < 0)
		return -1;
	if (open_ends(o, a) == 0)
		return 0;
	err = errno;
	if (o->create)
		(void)fifo_unlink(o->name);
	errno = err;
	return -1;
}

static long op_open(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	char path[PL_PATH_MAX];

	return open(pl_path(o->name, path), (int)a->v[0] | O_CLOEXEC);
}

/* The same name again, under a file mode creation mask of its own. */
static long op_mkfifo(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	mode_t old = umask((mode_t)a->v[1]);
	char path[PL_PATH_MAX];
	long rc = mkfifo(pl_path(o->name, path), (mode_t)a->v[0]);

	(void)umask(old);
	return rc;
}

static long op_unlink(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return fifo_unlink(o->name);
}

static long op_stat(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	char path[PL_PATH_MAX];
	struct stat st = { 0 };
	long rc = stat(pl_path(o->name, path), &st);

	r->out[0] = S_ISFIFO(st.st_mode);
	r->out[1] = st.st_mode & 07777;
	r->out[2] = st.st_uid == geteuid();
	return rc;
}

static const struct pl_variant variants[] = {
	{ "fifo", PL_MODEL_STREAM,
		PL_STREAM | PL_NAMES | PL_BLOCKING | PL_NONBLOCK | PL_POLL | PL_MULTI_READER |
			PL_MULTI_WRITER },
	{ 0 },
};

static const struct pl_op ops[] = {
	PIPE_OPS,
	{ "open", op_open, PL_NONE, PL_BLOCKS | PL_NEWFD,
		{ { "flags", 0, INT32_MAX, .def = O_RDONLY } } },
	{ "mkfifo", op_mkfifo, PL_NONE, 0,
		{ { "mode", 0, 07777, .def = 0600 }, { "umask", 0, 0777, .def = 022 } } },
	{ "unlink", op_unlink, PL_NONE, 0 },
	{ "stat", op_stat, PL_OBSERVE, 0, .out = { "fifo", "mode", "own" } },
	{ 0 },
};

PL_DRIVER(fifo, "named pipe", variants, ops, .open = fifo_open, .unlink = fifo_unlink,
	.ends = { "r", "w" }, .open_args = { { "capacity", 0, INT32_MAX }, { "nonblock", 0, 1 } },
	.open_out = { "capacity" }, .needs = { { "pipe_pages", 16 } })
