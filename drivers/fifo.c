/* SPDX-License-Identifier: MIT
 *
 * fifo(7): a pipe that processes find by name. It exists as a file; what is in it lives only as
 * long as somebody has it open. Opening one end waits for the other.
 *
 * An object has both ends: the read end is opened first, without waiting, and made to wait
 * afterwards.
 */
#include "driver.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

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
	o->out[0] = fcntl(o->fd[1], F_GETPIPE_SZ);
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

static long op_write(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return write(a->fd, a->buf, a->len);
}

static long op_read(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return read(a->fd, a->buf, a->len);
}

/* One payload in two pieces: still one write. */
static long op_writev(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	size_t half = a->len / 2;
	struct iovec io[2] = { { a->buf, half }, { (char *)a->buf + half, a->len - half } };

	return writev(a->fd, io, 2);
}

static long op_setsize(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return fcntl(a->fd, F_SETPIPE_SZ, (int)a->v[0]);
}

static long op_getsize(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return fcntl(a->fd, F_GETPIPE_SZ);
}

/* Room is page slots, not bytes: only an empty pipe certainly has some, one page's worth. */
static long op_fionread(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int n = 0;
	long rc = ioctl(a->fd, FIONREAD, &n);

	r->out[0] = n;
	r->amount = (uint64_t)n;
	r->room = n == 0 && rc == 0 ? 4096 : 0;
	return rc;
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

static long op_lseek(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return lseek(a->fd, 0, SEEK_CUR);
}

static const struct pl_variant variants[] = {
	{ "fifo", PL_MODEL_STREAM,
		PL_STREAM | PL_NAMES | PL_BLOCKING | PL_NONBLOCK | PL_POLL | PL_MULTI_READER |
			PL_MULTI_WRITER },
	{ 0 },
};

#define SIZE_PUT                                                                                   \
	{                                                                                          \
		"size", 0, PL_LEN_MAX, 24, 4096, 64, PL_SIZE                                       \
	}
#define SIZE_TAKE                                                                                  \
	{                                                                                          \
		"size", 0, PL_LEN_MAX, 4096, 4096, 4096, PL_SIZE                                   \
	}

static const struct pl_op ops[] = {
	{ "write", op_write, PL_PUT, PL_BLOCKS, { SIZE_PUT }, .weight = 7 },
	{ "writev", op_writev, PL_PUT, PL_BLOCKS, { SIZE_PUT }, .weight = 1 },
	{ "read", op_read, PL_TAKE, PL_BLOCKS | PL_DRAIN, { SIZE_TAKE }, .weight = 1 },
	{ "fionread", op_fionread, PL_OBSERVE, PL_LEVEL, .out = { "bytes" } },
	{ "setsize", op_setsize, PL_NONE, 0, { { "bytes", 0, INT32_MAX, .def = 4096 } } },
	{ "getsize", op_getsize, PL_OBSERVE, 0 },
	{ "open", op_open, PL_NONE, PL_BLOCKS | PL_NEWFD,
		{ { "flags", 0, INT32_MAX, .def = O_RDONLY } } },
	{ "mkfifo", op_mkfifo, PL_NONE, 0,
		{ { "mode", 0, 07777, .def = 0600 }, { "umask", 0, 0777, .def = 022 } } },
	{ "unlink", op_unlink, PL_NONE, 0 },
	{ "stat", op_stat, PL_OBSERVE, 0, .out = { "fifo", "mode", "own" } },
	{ "lseek", op_lseek, PL_OBSERVE, 0 },
	{ 0 },
};

PL_DRIVER(fifo, "named pipe", variants, ops, .open = fifo_open, .unlink = fifo_unlink,
	.ends = { "r", "w" }, .open_args = { { "capacity", 0, INT32_MAX }, { "nonblock", 0, 1 } },
	.open_out = { "capacity" }, .needs = { { "pipe_pages", 16 } })
