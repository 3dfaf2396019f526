/* SPDX-License-Identifier: MIT
 *
 * What a pipe and a FIFO have in common: bytes in one end, out of the other.
 */
#ifndef PLUMBLINE_PIPE_H
#define PLUMBLINE_PIPE_H

#include "driver.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* Its places are slots of a page each: a write begins one unless what it has fits into the last. */
static inline void pipe_tell_capacity(struct pl_obj *o)
{
	long bytes = fcntl(o->fd[1], F_GETPIPE_SZ), page = sysconf(_SC_PAGESIZE);

	o->out[0] = bytes;
	if (bytes > 0 && page > 0)
		o->capacity = (uint64_t)(bytes / page), o->grain = (uint32_t)page;
}

static inline long pipe_write(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return write(a->fd, a->buf, a->len);
}

static inline long pipe_read(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return read(a->fd, a->buf, a->len);
}

/* One payload in two pieces: still one write. */
static inline long pipe_writev(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	size_t half = a->len / 2;
	struct iovec io[2] = { { a->buf, half }, { (char *)a->buf + half, a->len - half } };

	return writev(a->fd, io, 2);
}

static inline long pipe_setsize(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return fcntl(a->fd, F_SETPIPE_SZ, (int)a->v[0]);
}

static inline long pipe_getsize(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return fcntl(a->fd, F_GETPIPE_SZ);
}

/* Room is page slots, not bytes: only an empty pipe certainly has some, one page's worth. */
static inline long pipe_fionread(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int n = 0;
	long rc = ioctl(a->fd, FIONREAD, &n);

	r->out[0] = n;
	r->amount = (uint64_t)n;
	r->room = n == 0 && rc == 0 ? 4096 : 0;
	return rc;
}

static inline long pipe_lseek(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return lseek(a->fd, 0, SEEK_CUR);
}

#define SIZE_PUT                                                                                   \
	{                                                                                          \
		"size", 0, PL_LEN_MAX, 24, 4096, 64, PL_SIZE                                       \
	}
#define SIZE_TAKE                                                                                  \
	{                                                                                          \
		"size", 0, PL_LEN_MAX, 4096, 4096, 4096, PL_SIZE                                   \
	}

#define PIPE_OPS                                                                                   \
	{ "write", pipe_write, PL_PUT, PL_BLOCKS, { SIZE_PUT }, .weight = 7 },                     \
		{ "writev", pipe_writev, PL_PUT, PL_BLOCKS, { SIZE_PUT }, .weight = 1 },           \
		{ "read", pipe_read, PL_TAKE, PL_BLOCKS | PL_DRAIN, { SIZE_TAKE }, .weight = 1 },  \
		{ "fionread", pipe_fionread, PL_OBSERVE, PL_LEVEL, .out = { "bytes" } },           \
		{ "setsize", pipe_setsize, PL_NONE, PL_NEUTRAL,                                    \
			{ { "bytes", 0, INT32_MAX, .def = 4096 } } },                              \
		{ "getsize", pipe_getsize, PL_OBSERVE, 0 },                                        \
	{                                                                                          \
		"lseek", pipe_lseek, PL_OBSERVE, 0                                                 \
	}

#endif
