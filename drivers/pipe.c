/* SPDX-License-Identifier: MIT
 *
 * pipe(7): a byte stream with two ends. What is written to one comes out of the other in the same
 * order; a write of at most PIPE_BUF bytes is never mixed with another. It has no name: both ends
 * come from a common ancestor.
 */
#include "driver.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

enum { STREAM, PACKET };
enum { CAPACITY, NONBLOCK }; /* arguments of open */

static long pipe_open(struct pl_obj *o, const struct pl_args *a)
{
	int flags = O_CLOEXEC | (a->v[NONBLOCK] ? O_NONBLOCK : 0) |
		    (o->variant == PACKET ? O_DIRECT : 0);

	if (pipe2(o->fd, flags) < 0)
		return -1;
	if (a->v[CAPACITY] && fcntl(o->fd[1], F_SETPIPE_SZ, (int)a->v[CAPACITY]) < 0)
		return -1;
	o->out[0] = fcntl(o->fd[1], F_GETPIPE_SZ);
	return 0;
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

static long op_lseek(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return lseek(a->fd, 0, SEEK_CUR);
}

/* A further pipe, for what it does to the descriptor table: both of its ends are closed again. */
static long op_pipe(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int fd[2];

	if (pipe2(fd, (int)a->v[0]) < 0)
		return -1;
	(void)close(fd[0]);
	(void)close(fd[1]);
	return 0;
}

/* From now on this process may have no descriptor numbered `n` or above. */
static long op_nofile(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return -1;
	l.rlim_cur = (rlim_t)a->v[0];
	return setrlimit(RLIMIT_NOFILE, &l);
}

#define CAPS                                                                                       \
	(PL_ANONYMOUS | PL_BLOCKING | PL_NONBLOCK | PL_POLL | PL_MULTI_READER | PL_MULTI_WRITER)

static const struct pl_variant variants[] = {
	[STREAM] = { "stream", PL_MODEL_STREAM, CAPS | PL_STREAM },
	[PACKET] = { "packet", PL_MODEL_FIFO, CAPS | PL_DATAGRAM },
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
	{ "lseek", op_lseek, PL_OBSERVE, 0 },
	{ "pipe", op_pipe, PL_NONE, 0, { { "flags", 0, INT32_MAX, .def = O_CLOEXEC } } },
	{ "nofile", op_nofile, PL_NONE, 0, { { "n", 3, 1 << 20 } } },
	{ 0 },
};

PL_DRIVER(pipe, "pipe", variants, ops, .open = pipe_open, .ends = { "r", "w" },
	.open_args = { { "capacity", 0, INT32_MAX }, { "nonblock", 0, 1 } },
	.open_out = { "capacity" }, .needs = { { "pipe_pages", 16 } })
