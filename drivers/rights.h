/* SPDX-License-Identifier: MIT
 *
 * What Unix-domain sockets carry beside bytes: descriptors and credentials, sent and received, and
 * what a receiver can find out about them.
 */
#ifndef PLUMBLINE_DRIVERS_RIGHTS_H
#define PLUMBLINE_DRIVERS_RIGHTS_H

#include "driver.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_MAX = 254, CONTROL_MAX = 8192, RING_MAX = 64 };

enum { S_FD = 2, S_N, S_PID, S_UID }; /* arguments of sendmsg beside size and flags */

/* What goes beside the bytes: n times the descriptor fd; the credentials told. */
static inline size_t control_of(const struct pl_args *a, char *room, size_t size)
{
	struct msghdr h = { .msg_control = room, .msg_controllen = size };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	size_t n = (size_t)a->v[S_N], i, used = 0;

	memset(room, 0, size);
	if (a->v[S_FD] >= 0) {
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS };
		for (i = 0; i < n; i++)
			((int *)(void *)CMSG_DATA(c))[i] = (int)a->v[S_FD];
		used = CMSG_SPACE(n * sizeof(int));
		c = (struct cmsghdr *)(void *)(room + used);
	}
	if (a->v[S_PID] >= 0) {
		struct ucred who = { .pid = a->v[S_PID] ? (pid_t)a->v[S_PID] : getpid(),
			.uid = a->v[S_UID] < 0 ? geteuid() : (uid_t)a->v[S_UID],
			.gid = getegid() };

		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof who),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_CREDENTIALS };
		memcpy(CMSG_DATA(c), &who, sizeof who);
		used += CMSG_SPACE(sizeof who);
	}
	return used;
}

/* One payload in two pieces, with what the arguments say beside it. */
static inline long op_sendmsg(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	_Alignas(struct cmsghdr) char control[CONTROL_MAX];
	size_t half = a->len / 2;
	struct iovec io[2] = { { a->buf, half }, { (char *)a->buf + half, a->len - half } };
	struct msghdr h = { .msg_iov = io, .msg_iovlen = 2 };

	if (a->v[S_FD] >= 0 || a->v[S_PID] >= 0) {
		h.msg_control = control;
		h.msg_controllen = control_of(a, control, sizeof control);
	}
	return sendmsg(a->fd, &h, (int)a->v[1]);
}

enum { R_FLAGS, R_NFDS, R_FD, R_PID, R_UID, R_GID }; /* results of recvmsg */

/* The first descriptor received is kept, all others are closed again. */
static inline void tell_rights(struct cmsghdr *c, int64_t *out)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), i;
	int fd;

	for (i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
		if (out[R_NFDS]++ == 0)
			out[R_FD] = fd;
		else
			(void)close(fd);
	}
}

/* `nowhere`: the bytes are to go where there is no memory. `room`: how many descriptors the control
 * buffer holds, beside credentials; -1: no such buffer. */
static inline long op_recvmsg(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	_Alignas(struct cmsghdr) char control[CONTROL_MAX];
	struct iovec io = { a->v[4] ? (void *)sizeof(long) : a->buf, a->len };
	struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1 };
	struct cmsghdr *c;
	struct ucred who;
	long n;

	if (a->v[2] >= 0) {
		h.msg_control = control;
		h.msg_controllen = CMSG_SPACE((size_t)a->v[2] * sizeof(int));
		h.msg_controllen += a->v[3] ? CMSG_SPACE(sizeof who) : 0;
	}
	n = recvmsg(a->fd, &h, (int)a->v[1]);
	r->out[R_FLAGS] = n < 0 ? 0 : h.msg_flags;
	r->out[R_FD] = -1;
	for (c = n < 0 || a->v[2] < 0 ? NULL : CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS)
			tell_rights(c, r->out);
		if (c->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&who, CMSG_DATA(c), sizeof who);
			r->out[R_PID] = who.pid, r->out[R_UID] = who.uid, r->out[R_GID] = who.gid;
		}
	}
	return n;
}

static inline long op_peercred(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct ucred who = { 0 };
	socklen_t len = sizeof who;
	long rc = getsockopt(a->fd, SOL_SOCKET, SO_PEERCRED, &who, &len);

	r->out[0] = who.pid, r->out[1] = who.uid, r->out[2] = who.gid;
	return rc;
}

/* A descriptor with an offset and contents: what is passed. */
static inline long op_memfd(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int fd = memfd_create("plumb-passed", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)a->v[0]) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* The descriptor numbered fd, as recvmsg has told it, gets a handle by `as`. */
static inline long op_adopt(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	if (fcntl((int)a->v[0], F_GETFD) < 0)
		return -1;
	r->out[0] = fcntl((int)a->v[0], F_GETFD) & FD_CLOEXEC;
	return a->v[0];
}

static inline long op_lseek(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return lseek(a->fd, (off_t)a->v[0], (int)a->v[1]);
}

static inline long op_countfds(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	errno = 0;
	return n;
}

/* ---- sockets that only hold each other ---- */

/* Leaves `end`, and `fd` if there is one, in messages that are sent through `to`. */
static inline int send_along(int to, int end, int fd)
{
	struct pl_args a = { .v = { 1, 0, end, 1, -1, -1 } };
	_Alignas(struct cmsghdr) char control[CONTROL_MAX];
	struct iovec io = { "x", 1 };
	struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control };

	h.msg_controllen = control_of(&a, control, sizeof control);
	if (sendmsg(to, &h, MSG_DONTWAIT) < 0)
		return -1;
	a.v[S_FD] = fd;
	h.msg_controllen = control_of(&a, control, sizeof control);
	return fd < 0 ? 0 : (int)sendmsg(to, &h, MSG_DONTWAIT);
}

/* `n` sockets, each of which nobody has but a message that waits to be read from the next one, and
 * `fd` with each: as many rings as `times` says, one after the other. */
static inline long op_ring(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int n = (int)a->v[0], pair[RING_MAX][2], rc = 0, made, i;

	for (int64_t t = 0; t < a->v[2] && rc >= 0; t++) {
		for (made = 0; made < n; made++)
			if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair[made]) < 0)
				break;
		rc = made == n ? 0 : -1;
		for (i = 0; i < n && rc >= 0; i++)
			rc = send_along(pair[(i + 1) % n][0], pair[i][1], (int)a->v[1]);
		for (i = 0; i < made; i++)
			(void)close(pair[i][0]), (void)close(pair[i][1]);
	}
	return rc < 0 ? -1 : 0;
}

#endif
