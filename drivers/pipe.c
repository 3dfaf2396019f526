/* SPDX-License-Identifier: MIT
 *
 * pipe(7): a byte stream with two ends. What is written to one comes out of the other in the same
 * order; a write of at most PIPE_BUF bytes is never mixed with another. It has no name: both ends
 * come from a common ancestor.
 */
#include "pipe.h"

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
	pipe_tell_capacity(o);
	return 0;
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

#define CAPS                                                                                       \
	(PL_ANONYMOUS | PL_BLOCKING | PL_NONBLOCK | PL_POLL | PL_MULTI_READER | PL_MULTI_WRITER)

static const struct pl_variant variants[] = {
	[STREAM] = { "stream", PL_MODEL_STREAM, CAPS | PL_STREAM },
	[PACKET] = { "packet", PL_MODEL_FIFO, CAPS | PL_DATAGRAM },
	{ 0 },
};

static const struct pl_op ops[] = {
	PIPE_OPS,
	{ "pipe", op_pipe, PL_NONE, PL_NEUTRAL, { { "flags", 0, INT32_MAX, .def = O_CLOEXEC } } },
	{ 0 },
};

PL_DRIVER(pipe, "pipe", variants, ops, .open = pipe_open, .ends = { "r", "w" },
	.open_args = { { "capacity", 0, INT32_MAX }, { "nonblock", 0, 1 } },
	.open_out = { "capacity" }, .needs = { { "pipe_pages", 16 } })
