/* SPDX-License-Identifier: MIT
 *
 * sem_overview(7): a POSIX semaphore is a number of tokens. A post adds one, a wait takes one and
 * sleeps while there is none. Named ones are opened by unrelated processes, unnamed ones lie in
 * memory that their users share.
 */
#include "driver.h"

#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

enum { NAMED, UNNAMED };

static sem_t *of(struct pl_obj *o)
{
	return o->variant == NAMED ? o->local : o->mem;
}

static long sem_open_object(struct pl_obj *o, const struct pl_args *a)
{
	sem_t *s;

	o->capacity = SEM_VALUE_MAX;
	if (o->variant == UNNAMED)
		return sem_init(o->mem, 1, (unsigned)a->v[0]);
	s = o->create ? sem_open(o->name, O_CREAT | O_EXCL, 0600, (unsigned)a->v[0])
		      : sem_open(o->name, 0);
	if (s == SEM_FAILED)
		return -1;
	o->local = s;
	o->local_len = sizeof *s;
	return 0;
}

static void sem_close_object(struct pl_obj *o)
{
	(void)sem_close(o->local);
}

static long op_post(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	r->tag = 1;
	return sem_post(of(o));
}

static long op_wait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	r->tag = 1;
	return sem_wait(of(o));
}

static long op_trywait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	r->tag = 1;
	return sem_trywait(of(o));
}

static long op_timedwait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	r->tag = 1;
	return sem_timedwait(of(o), &a->deadline);
}

#ifdef __GLIBC__ /* POSIX.1-2024; musl 1.2 has none */
static long op_clockwait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	r->tag = 1;
	return sem_clockwait(of(o), CLOCK_MONOTONIC, &a->deadline);
}
#endif

static long op_getvalue(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int value = 0, rc = sem_getvalue(of(o), &value);

	r->out[0] = value;
	r->tag = r->amount = value > 0 ? (uint64_t)value : 0;
	r->room = (uint64_t)SEM_VALUE_MAX - r->amount;
	return rc;
}

/* The name once more, or one with something wrong about it. Whether it is the same semaphore, at
 * the same address, and its value. */
static long op_open(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	static const char *const odd[] = { NULL, "/plumb.a/b", "/", "", "/plumb.nothing" };
	const char *name = o->name ? o->name : odd[4];
	char text[NAME_MAX + 3] = "/";
	int value = -1;
	sem_t *s;

	memset(text + 1, 'n', sizeof text - 2);
	if (a->v[1])
		name = a->v[1] < (int64_t)(sizeof odd / sizeof *odd) ? odd[a->v[1]] : text;
	s = sem_open(name, (int)a->v[0], (mode_t)a->v[2], (unsigned)a->v[3]);
	if (s == SEM_FAILED)
		return -1;
	(void)sem_getvalue(s, &value);
	r->out[0] = s == of(o), r->out[1] = value;
	(void)sem_close(s);
	return 0;
}

/* A semaphore of this process's own, which lives no longer than the call. */
static long op_init(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	sem_t s;
	int value = -1, rc = sem_init(&s, (int)a->v[1], (unsigned)a->v[0]);

	if (rc < 0)
		return rc;
	(void)sem_getvalue(&s, &value);
	r->out[0] = value;
	return sem_destroy(&s);
}

static long op_unlink(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return o->name ? sem_unlink(o->name) : pl_ret(ENOENT);
}

static const char *sem_probe(int variant)
{
	if (variant != NAMED || sem_open("/plumb.probe", 0) != SEM_FAILED || errno == ENOENT ||
		errno == EACCES)
		return NULL;
	return errno == ENOSYS ? "sem_open fails with ENOSYS: there is no tmpfs on /dev/shm"
			       : "sem_open fails: is there a tmpfs on /dev/shm?";
}

static const char *sem_limit(int err)
{
	return err == ENOSPC ? "size of /dev/shm" : NULL;
}

#define CAPS                                                                                       \
	(PL_BLOCKING | PL_NONBLOCK | PL_TIMEOUT | PL_COUNTER | PL_THREADS | PL_MULTI_READER |      \
		PL_MULTI_WRITER)

static const struct pl_variant variants[] = {
	[NAMED] = { "named", PL_MODEL_COUNTER, CAPS | PL_NAMES | PL_EACH | PL_PERSIST },
	[UNNAMED] = { "unnamed", PL_MODEL_COUNTER, CAPS | PL_ANONYMOUS },
	{ 0 },
};

static const struct pl_op ops[] = {
	{ "post", op_post, PL_PUT, PL_USER, .weight = 1 },
	{ "wait", op_wait, PL_TAKE, PL_BLOCKS | PL_USER, .weight = 8 },
	{ "trywait", op_trywait, PL_TAKE, PL_DRAIN | PL_USER, .weight = 2 },
	{ "timedwait", op_timedwait, PL_TAKE, PL_TIMED | PL_USER, .weight = 1 },
#ifdef __GLIBC__
	{ "clockwait", op_clockwait, PL_TAKE, PL_TIMED | PL_MONO | PL_USER, .weight = 1 },
#endif
	{ "getvalue", op_getvalue, PL_OBSERVE, PL_LEVEL | PL_USER, .out = { "value" } },
	{ "open", op_open, PL_NONE, 0,
		{ { "flags", 0, INT32_MAX }, { "odd", 0, 5 }, { "mode", 0, 07777, .def = 0600 },
			{ "value", 0, UINT32_MAX } },
		{ "same", "value" } },
	{ "init", op_init, PL_NONE, 0, { { "value", 0, UINT32_MAX }, { "shared", 0, 1 } },
		{ "value" } },
	{ "unlink", op_unlink, PL_NONE, 0 },
	{ 0 },
};

PL_DRIVER(sem, "POSIX semaphore", variants, ops, .open = sem_open_object, .close = sem_close_object,
	.unlink = sem_unlink, .mem = sizeof(sem_t), .probe = sem_probe, .limit = sem_limit,
	.open_args = { { "value", 0, UINT32_MAX } }, .needs = { { "shm_bytes", 4096 } })
