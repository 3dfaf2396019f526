/* SPDX-License-Identifier: MIT
 *
 * What every socket has, whatever its family: operations and their arguments.
 */
#ifndef PLUMBLINE_DRIVERS_SOCKET_H
#define PLUMBLINE_DRIVERS_SOCKET_H

#include "driver.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static inline long op_send(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return send(a->fd, a->buf, a->len, (int)a->v[1]);
}

static inline long op_write(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return write(a->fd, a->buf, a->len);
}

static inline long op_recv(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return recv(a->fd, a->buf, a->len, (int)a->v[1]);
}

static inline long op_read(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return read(a->fd, a->buf, a->len);
}

static inline long ioctl_int(int fd, unsigned long what, int64_t *ret)
{
	int n = 0;
	long rc = ioctl(fd, what, &n);

	*ret = n;
	return rc;
}

static inline long op_outq(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return ioctl_int(a->fd, TIOCOUTQ, &r->out[0]);
}

static inline long op_getsockopt(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int value = 0;
	socklen_t len = sizeof value;
	long rc = getsockopt(a->fd, (int)a->v[0], (int)a->v[1], &value, &len);

	r->out[0] = value;
	return rc;
}

static inline long op_setsockopt(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int value = (int)a->v[2];

	return setsockopt(a->fd, (int)a->v[0], (int)a->v[1], &value, sizeof value);
}

static inline long op_shutdown(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return shutdown(a->fd, (int)a->v[0]);
}

static inline long op_listen(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return listen(a->fd, (int)a->v[0]);
}

static inline long op_accept(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | (int)a->v[0]);
}

#define SIZE_PUT                                                                                   \
	{                                                                                          \
		"size", 0, PL_LEN_MAX, 24, 2048, 64, PL_SIZE                                       \
	}
#define SIZE_TAKE                                                                                  \
	{                                                                                          \
		"size", 0, PL_LEN_MAX, 4096, 4096, 4096, PL_SIZE                                   \
	}
#define FLAGS                                                                                      \
	{                                                                                          \
		"flags", 0, INT32_MAX                                                              \
	}
#define LEVEL_AND_NAME                                                                             \
	{ "level", 0, INT32_MAX, .def = SOL_SOCKET },                                              \
	{                                                                                          \
		"name", 0, INT32_MAX                                                               \
	}

#endif
