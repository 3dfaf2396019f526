/* SPDX-License-Identifier: MIT
 *
 * unix(7): sockets of one machine. A stream of bytes, datagrams, or records in a connection; made
 * as a pair, or met at an address: a path, or an abstract name that no file system knows. They
 * carry descriptors, and the truth about who sent.
 *
 * In rounds one direction is tried: what is put at end b is taken at end a. A connection made
 * through an address keeps nothing at it: the address is then free for bind by a call. Addresses
 * are the object's name with a number behind it, 0 where none is said.
 */
#include "rights.h"
#include "socket.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { ADDRESSES = 10 };
enum { STREAM, DGRAM, SEQPACKET, STREAM_PATH, SEQPACKET_PATH, DGRAM_PATH, DGRAM_ABSTRACT };
enum { NONBLOCK, SNDBUF }; /* arguments of open */

static const int type_of[] = {
	[STREAM] = SOCK_STREAM,
	[DGRAM] = SOCK_DGRAM,
	[SEQPACKET] = SOCK_SEQPACKET,
	[STREAM_PATH] = SOCK_STREAM,
	[SEQPACKET_PATH] = SOCK_SEQPACKET,
	[DGRAM_PATH] = SOCK_DGRAM,
	[DGRAM_ABSTRACT] = SOCK_DGRAM,
};

/* ---- addresses ---- */

static void path_of(const char *name, int64_t n, char path[PL_PATH_MAX])
{
	char numbered[PL_PATH_MAX];

	(void)snprintf(numbered, sizeof numbered, n ? "%s.%d" : "%s", name, (int)n);
	(void)pl_path(numbered, path);
}

/* Length of the address number n of the object; 0 with errno when it has none. */
static socklen_t address(const struct pl_obj *o, int64_t n, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!o->name) {
		errno = EDESTADDRREQ;
		return 0;
	}
	if (o->variant != DGRAM_ABSTRACT) {
		path_of(o->name, n, ret->sun_path);
		return sizeof *ret;
	}
	(void)snprintf(ret->sun_path + 1, sizeof ret->sun_path - 1, n ? "%s.%d" : "%s", o->name + 1,
		(int)n);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(ret->sun_path + 1));
}

static int unlink_address(const char *name, int64_t n)
{
	char path[PL_PATH_MAX];

	path_of(name, n, path);
	return unlink(path);
}

/* ---- open ---- */

static long bound(const struct pl_obj *o)
{
	struct sockaddr_un at;
	socklen_t len = address(o, 0, &at);
	int fd = len ? socket(AF_UNIX, type_of[o->variant] | SOCK_CLOEXEC, 0) : -1;

	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, len) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static long connected(const struct pl_obj *o)
{
	struct sockaddr_un at;
	socklen_t len = address(o, 0, &at);
	int fd = len ? socket(AF_UNIX, type_of[o->variant] | SOCK_CLOEXEC, 0) : -1;

	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, len) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* A connection through an address that is given back. */
static long open_connection(struct pl_obj *o)
{
	long at = bound(o);

	if (at >= 0 && listen((int)at, 1) == 0)
		o->fd[1] = (int)connected(o);
	if (o->fd[1] >= 0)
		o->fd[0] = accept4((int)at, NULL, NULL, SOCK_CLOEXEC);
	if (at >= 0) {
		int err = errno;

		(void)close((int)at);
		(void)unlink_address(o->name, 0);
		errno = err;
	}
	return o->fd[0];
}

static long open_ends(struct pl_obj *o)
{
	switch (o->variant) {
	case STREAM_PATH:
	case SEQPACKET_PATH:
		return o->create ? open_connection(o) : 0; /* others connect by a call */
	case DGRAM_PATH:
	case DGRAM_ABSTRACT:
		if (o->create && (o->fd[0] = (int)bound(o)) < 0)
			return -1;
		return o->fd[1] = (int)connected(o);
	default:
		return socketpair(AF_UNIX, type_of[o->variant] | SOCK_CLOEXEC, 0, o->fd);
	}
}

static long unix_open(struct pl_obj *o, const struct pl_args *a)
{
	int i, size = (int)a->v[SNDBUF];
	socklen_t len = sizeof size;

	if (open_ends(o) < 0)
		return -1;
	if (size && o->fd[1] >= 0 &&
		setsockopt(o->fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0)
		return -1;
	for (i = 0; i < 2 && a->v[NONBLOCK]; i++)
		if (o->fd[i] >= 0 && fcntl(o->fd[i], F_SETFL, O_NONBLOCK) < 0)
			return -1;
	if (o->fd[1] >= 0 && getsockopt(o->fd[1], SOL_SOCKET, SO_SNDBUF, &size, &len) == 0)
		o->out[0] = size;
	return 0;
}

static int unix_unlink(const char *name)
{
	int n, rc = unlink_address(name, 0), err = errno;

	for (n = 1; n < ADDRESSES; n++)
		(void)unlink_address(name, n);
	errno = err;
	return rc;
}

/* ---- messages ---- */

static long op_sendto(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sockaddr_un at;
	socklen_t len = address(o, a->v[2], &at);

	return len ? sendto(a->fd, a->buf, a->len, (int)a->v[1], (struct sockaddr *)&at, len) : -1;
}

/* ---- what it says of itself ---- */

/* Room is counted in the kernel's own memory: only where nothing at all is under way is there some
 * for certain. */
static long op_fionread(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int64_t out = 1;
	long rc = ioctl_int(a->fd, FIONREAD, &r->out[0]);

	r->amount = r->out[0] > 0 ? (uint64_t)r->out[0] : 0;
	if (rc == 0 && r->amount == 0 && o->fd[1] >= 0 && ioctl_int(o->fd[1], TIOCOUTQ, &out) == 0)
		r->room = out > 0 ? 0 : type_of[o->variant] == SOCK_STREAM ? 2048 : 1;
	return rc;
}

/* length of the address; whether it is the object's number n; whether it is one of those that the
 * kernel chooses: NUL and five hexadecimal digits, told as a number. */
static long op_getsockname(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sockaddr_un is = { 0 }, want;
	socklen_t len = sizeof is, wanted;
	unsigned digits = 0;
	long rc = getsockname(a->fd, (struct sockaddr *)&is, &len);

	wanted = o->name ? address(o, a->v[0], &want) : 0;
	r->out[0] = len;
	r->out[1] = wanted && !memcmp(&is, &want, len < sizeof is ? len : sizeof is) && len > 2;
	r->out[2] = len == 8 && !is.sun_path[0] && sscanf(is.sun_path + 1, "%5x", &digits) == 1 &&
		    strspn(is.sun_path + 1, "0123456789abcdef") == 5;
	r->out[3] = digits;
	return rc;
}

/* ---- connections ---- */

static long op_socket(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return socket(AF_UNIX, type_of[o->variant] | SOCK_CLOEXEC | (int)a->v[0], 0);
}

/* n -1: the kernel chooses an abstract name. */
static long op_bind(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t len = a->v[0] < 0 ? sizeof at.sun_family : address(o, a->v[0], &at);

	return len ? bind(a->fd, (struct sockaddr *)&at, len) : -1;
}

/* n -1: to nobody any more. */
static long op_connect(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sockaddr_un at = { .sun_family = AF_UNSPEC };
	socklen_t len = a->v[0] < 0 ? sizeof at : address(o, a->v[0], &at);

	return len ? connect(a->fd, (struct sockaddr *)&at, len) : -1;
}

static long op_unlink(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	if (o->name)
		return unlink_address(o->name, a->v[0]);
	errno = EDESTADDRREQ;
	return -1;
}

static long op_chmod(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sockaddr_un at;

	return address(o, a->v[0], &at) ? chmod(at.sun_path, (mode_t)a->v[1]) : -1;
}

/* The folder of the names is mounted once more, on itself, for a process that has a mount namespace
 * of its own: paths lead through that mount then. */
static long op_rebind(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	char path[PL_PATH_MAX];

	path_of(o->name, 0, path);
	*strrchr(path, '/') = 0;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return mount(path, path, NULL, MS_BIND | MS_REC, NULL);
}

/* One more pair, for what is refused: it is closed again. */
static long op_socketpair(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int sv[2];

	if (socketpair((int)a->v[0], (int)a->v[1], (int)a->v[2], sv) < 0)
		return -1;
	r->out[0] = fcntl(sv[0], F_GETFL) & O_NONBLOCK;
	r->out[1] = fcntl(sv[0], F_GETFD) & FD_CLOEXEC;
	(void)close(sv[0]);
	(void)close(sv[1]);
	return 0;
}

#define CAPS (PL_BLOCKING | PL_NONBLOCK | PL_POLL | PL_MULTI_READER | PL_MULTI_WRITER | PL_FDPASS)
#define NAMED (PL_NAMES | PL_PUTONLY)

static const struct pl_variant variants[] = {
	[STREAM] = { "stream", PL_MODEL_STREAM, CAPS | PL_ANONYMOUS | PL_STREAM | PL_PIECEMEAL },
	[DGRAM] = { "dgram", PL_MODEL_FIFO, CAPS | PL_ANONYMOUS | PL_DATAGRAM },
	[SEQPACKET] = { "seqpacket", PL_MODEL_FIFO, CAPS | PL_ANONYMOUS | PL_DATAGRAM },
	[STREAM_PATH] = { "stream-path", PL_MODEL_STREAM, CAPS | NAMED | PL_STREAM | PL_PIECEMEAL },
	[SEQPACKET_PATH] = { "seqpacket-path", PL_MODEL_FIFO, CAPS | NAMED | PL_DATAGRAM },
	[DGRAM_PATH] = { "dgram-path", PL_MODEL_FIFO, CAPS | NAMED | PL_DATAGRAM },
	[DGRAM_ABSTRACT] = { "dgram-abstract", PL_MODEL_FIFO, CAPS | NAMED | PL_DATAGRAM },
	{ 0 },
};

#define NUMBER                                                                                     \
	{                                                                                          \
		"n", -1, ADDRESSES - 1                                                             \
	}
#define WHO                                                                                        \
	{                                                                                          \
		"pid", "uid", "gid"                                                                \
	}

static const struct pl_op ops[] = {
	{ "send", op_send, PL_PUT, PL_BLOCKS, { SIZE_PUT, FLAGS }, .weight = 6 },
	{ "write", op_write, PL_PUT, PL_BLOCKS, { SIZE_PUT }, .weight = 1 },
	{ "sendmsg", op_sendmsg, PL_PUT, PL_BLOCKS,
		{ SIZE_PUT, FLAGS, { "fd", -1, 1 << 20, -1, -1, -1 }, { "n", 0, FDS_MAX, 1, 1, 1 },
			{ "pid", -1, INT32_MAX, -1, -1, -1 },
			{ "uid", -1, INT32_MAX, -1, -1, -1 } },
		.weight = 1 },
	{ "sendto", op_sendto, PL_PUT, PL_BLOCKS, { SIZE_PUT, FLAGS, NUMBER } },
	{ "recv", op_recv, PL_TAKE, PL_BLOCKS | PL_DRAIN, { SIZE_TAKE, FLAGS }, .weight = 6 },
	{ "read", op_read, PL_TAKE, PL_BLOCKS, { SIZE_TAKE }, .weight = 1 },
	{ "recvmsg", op_recvmsg, PL_TAKE, PL_BLOCKS,
		{ SIZE_TAKE, FLAGS, { "room", -1, FDS_MAX, -1, -1, FDS_MAX },
			{ "creds", 0, 1, 0, 0, 1 }, { "nowhere", 0, 1 } },
		{ "flags", "nfds", "fd", "pid", "uid", "gid" }, .weight = 1 },
	{ "fionread", op_fionread, PL_OBSERVE, PL_LEVEL, .out = { "bytes" } },
	{ "outq", op_outq, PL_OBSERVE, 0, .out = { "bytes" } },
	{ "getsockopt", op_getsockopt, PL_OBSERVE, 0, { LEVEL_AND_NAME }, { "value" } },
	{ "setsockopt", op_setsockopt, PL_NONE, 0,
		{ LEVEL_AND_NAME, { "value", INT32_MIN, INT32_MAX } } },
	{ "peercred", op_peercred, PL_OBSERVE, 0, .out = WHO },
	{ "getsockname", op_getsockname, PL_OBSERVE, 0, { NUMBER },
		{ "len", "same", "chosen", "digits" } },
	{ "shutdown", op_shutdown, PL_NONE, 0, { { "how", 0, INT32_MAX } } },
	{ "socket", op_socket, PL_NONE, PL_NEWFD | PL_NEUTRAL, { FLAGS } },
	{ "bind", op_bind, PL_NONE, 0, { NUMBER } },
	{ "listen", op_listen, PL_NONE, 0, { { "backlog", INT32_MIN, INT32_MAX, .def = 8 } } },
	{ "connect", op_connect, PL_NONE, PL_BLOCKS, { NUMBER } },
	{ "accept", op_accept, PL_NONE, PL_BLOCKS | PL_NEWFD, { FLAGS } },
	{ "unlink", op_unlink, PL_NONE, 0, { NUMBER } },
	{ "chmod", op_chmod, PL_NONE, 0, { NUMBER, { "mode", 0, 07777 } } },
	{ "socketpair", op_socketpair, PL_NONE, PL_NEUTRAL,
		{ { "domain", 0, 1 << 20, .def = AF_UNIX },
			{ "type", 0, INT32_MAX, .def = SOCK_STREAM }, { "protocol", 0, 1 << 20 } },
		{ "nonblock", "cloexec" } },
	{ "rebind", op_rebind, PL_NONE, 0 },
	{ "ring", op_ring, PL_NONE, 0,
		{ { "n", 1, RING_MAX, .def = 1 }, { "fd", -1, 1 << 20, .def = -1 },
			{ "times", 1, 1 << 20, .def = 1 } } },
	{ "memfd", op_memfd, PL_NONE, PL_NEWFD | PL_NEUTRAL, { { "size", 0, 1 << 20 } } },
	{ "adopt", op_adopt, PL_NONE, PL_NEWFD, { { "fd", 0, 1 << 20 } }, { "cloexec" } },
	{ "lseek", op_lseek, PL_OBSERVE, 0, { { "offset", 0, 1 << 20 }, { "whence", 0, 9 } } },
	{ "countfds", op_countfds, PL_OBSERVE, 0 },
	{ 0 },
};

PL_DRIVER(unix, "Unix-domain socket", variants, ops, .open = unix_open, .unlink = unix_unlink,
	.ends = { "a", "b" }, .open_args = { { "nonblock", 0, 1 }, { "sndbuf", 0, INT32_MAX } },
	.open_out = { "sndbuf" })
