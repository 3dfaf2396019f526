/* SPDX-License-Identifier: MIT
 *
 * Eight bytes in memory that is shared: how drivers of shared memory store, load and exchange them.
 *
 * o->local is this process's view, o->local_len its length; `at` is an offset into it, whole words.
 * Plain access is volatile, atomic access C11's, sequentially consistent.
 */
#ifndef PLUMBLINE_WORD_H
#define PLUMBLINE_WORD_H

#include "driver.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORD_AT                                                                                    \
	{                                                                                          \
		"at", 0, INT32_MAX                                                                 \
	}

/* NULL, with errno, when the view does not reach there; what lies behind it may be no memory. */
static inline void *word_at(struct pl_obj *o, int64_t at)
{
	errno = o->local && at % 8 == 0 && (uint64_t)at + 8 <= o->local_len ? 0 : EFAULT;
	return errno ? NULL : (char *)o->local + at;
}

static inline long word_store(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	volatile uint64_t *w = word_at(o, a->v[0]);

	if (!w)
		return -1;
	*w = a->token;
	return 0;
}

static inline long word_store_atomic(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	_Atomic uint64_t *w = word_at(o, a->v[0]);

	if (!w)
		return -1;
	atomic_store(w, a->token);
	return 0;
}

static inline long word_load(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	volatile uint64_t *w = word_at(o, a->v[0]);

	if (!w)
		return -1;
	r->token = *w;
	r->out[0] = (int64_t)r->token;
	return 0;
}

static inline long word_load_atomic(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	_Atomic uint64_t *w = word_at(o, a->v[0]);

	if (!w)
		return -1;
	r->token = atomic_load(w);
	r->out[0] = (int64_t)r->token;
	return 0;
}

static inline long word_exchange(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	_Atomic uint64_t *w = word_at(o, a->v[0]);

	if (!w)
		return -1;
	r->token = atomic_exchange(w, a->token);
	r->out[0] = (int64_t)r->token;
	return 0;
}

/* 1: it was `expected` and is `desired` now. 0: it was not. */
static inline long word_compare(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	_Atomic uint64_t *w = word_at(o, a->v[0]);
	uint64_t found = (uint64_t)a->v[1];
	long did;

	if (!w)
		return -1;
	did = atomic_compare_exchange_strong(w, &found, (uint64_t)a->v[2]);
	r->out[0] = (int64_t)found;
	return did;
}

static inline long word_add(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	_Atomic uint64_t *w = word_at(o, a->v[0]);

	if (!w)
		return -1;
	r->out[0] = (int64_t)atomic_fetch_add(w, (uint64_t)a->v[1]);
	return 0;
}

/* How many of the view's bytes from `at` on are not zero. */
static inline long word_scan(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	volatile unsigned char *p = o->local;

	if (!p || (uint64_t)(a->v[0] + a->v[1]) > o->local_len) {
		errno = EFAULT;
		return -1;
	}
	for (int64_t i = a->v[0]; i < a->v[0] + a->v[1]; i++)
		r->out[0] += p[i] != 0;
	return 0;
}

/* Changes the access to part of the view, or ends it. */
static inline long word_mprotect(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return mprotect((char *)o->local + a->v[0], (size_t)a->v[1], (int)a->v[2]);
}

static inline long word_munmap(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return munmap((char *)o->local + a->v[0], (size_t)a->v[1]);
}

/* A child that inherits the view, stores `value` in it and ends. */
static inline long word_fork(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	volatile uint64_t *w = word_at(o, a->v[0]);
	pid_t pid = w ? fork() : -1;
	int status;

	if (pid == 0) {
		*w = (uint64_t)a->v[1];
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? 0 : pl_ret(EFAULT);
}

/* The table's lines. Bits of `plain` and `atomic` say which variants access in which way. */
#define WORD_OPS(plain, atomic_)                                                                   \
	{ "store", word_store, PL_PUT, PL_USER, { WORD_AT }, .weight = 3, .only = plain },         \
		{ "load", word_load, PL_OBSERVE, PL_USER, { WORD_AT }, { "value" }, .weight = 4,   \
			.only = plain },                                                           \
		{ "atomic_store", word_store_atomic, PL_PUT, PL_USER, { WORD_AT }, .weight = 2,    \
			.only = atomic_ },                                                         \
		{ "atomic_load", word_load_atomic, PL_OBSERVE, PL_USER, { WORD_AT }, { "value" },  \
			.weight = 4, .only = atomic_ },                                            \
		{ "atomic_exchange", word_exchange, PL_UPDATE, PL_USER, { WORD_AT }, { "value" },  \
			.weight = 2, .only = atomic_ },                                            \
		{ "atomic_compare_exchange", word_compare, PL_NONE, PL_USER,                       \
			{ WORD_AT, { "expected", INT64_MIN, INT64_MAX },                           \
				{ "desired", INT64_MIN, INT64_MAX } },                             \
			{ "value" } },                                                             \
		{ "atomic_fetch_add", word_add, PL_NONE, PL_USER,                                  \
			{ WORD_AT, { "n", INT64_MIN, INT64_MAX, .def = 1 } }, { "value" } },       \
		{ "scan", word_scan, PL_NONE, PL_USER | PL_NEUTRAL,                                \
			{ { "at", 0, INT32_MAX }, { "len", 0, INT32_MAX } }, { "nonzero" } },      \
		{ "mprotect", word_mprotect, PL_NONE, 0,                                           \
			{ { "at", 0, INT32_MAX }, { "len", 0, INT32_MAX }, { "prot", 0, 7 } } },   \
		{ "munmap", word_munmap, PL_NONE, 0,                                               \
			{ { "at", 0, INT32_MAX }, { "len", 0, INT32_MAX } } },                     \
	{                                                                                          \
		"fork", word_fork, PL_NONE, PL_USER,                                               \
		{                                                                                  \
			WORD_AT,                                                                   \
			{                                                                          \
				"value", INT64_MIN, INT64_MAX                                      \
			}                                                                          \
		}                                                                                  \
	}

#endif
