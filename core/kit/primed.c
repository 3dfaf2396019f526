/* SPDX-License-Identifier: MIT
 *
 * What calls leave in an object is in no round's history: a message that is taken later came from nowhere, a lock that
 * one of them holds is held by nobody. So what they put and take is added up; what cannot be added up is not forgotten.
 */
#include "kit.h"

#include <errno.h>
#include <string.h>

static struct pl_ctl *const c = &pl_ctl;

static enum pl_model model_of(const struct pl_handle *h)
{
	return c->drv->variants[h->obj.variant].model;
}

/* The object's own handle, of a descriptor that one actor has. */
static struct pl_handle *object_of(int handle)
{
	while (c->handle[handle].local)
		handle = c->handle[handle].from;
	return &c->handle[handle];
}

static bool counts(const struct pl_handle *h)
{
	return model_of(h) == PL_MODEL_COUNTER || model_of(h) == PL_MODEL_SUM;
}

/* Registers, and counters that can be read, are read where a round starts. */
static bool is_read(const struct pl_handle *h)
{
	unsigned i;

	for (i = 0; i < c->nops && counts(h); i++)
		if (c->ops[i].how & PL_LEVEL && pl_fits(&c->ops[i], &h->obj))
			return true;
	return model_of(h) == PL_MODEL_REGISTER || model_of(h) == PL_MODEL_NONE;
}

/* A peek takes nothing, urgent bytes go another way: what rounds never draw may be another operation. */
static bool strange(const struct pl_call *call)
{
	unsigned i;

	for (i = 0; i < PL_ARGS_MAX && call->op->arg[i].name; i++) {
		const struct pl_arg *a = &call->op->arg[i];

		if ((a->kind == PL_START || a->kind == PL_LENGTH) && call->v[i] != 0)
			return true;
		if ((a->kind == PL_INT || a->kind == PL_FORM) &&
			(call->v[i] < a->lo || call->v[i] > a->hi))
			return true;
	}
	return false;
}

static int64_t put_by(const struct pl_op *op, int64_t units)
{
	switch (op->role) {
	case PL_PUT:
		return units;
	case PL_TAKE:
		return -units;
	case PL_ACQUIRE:
		return 1;
	case PL_RELEASE:
		return -1;
	default:
		return 0;
	}
}

/* What was taken may be of a put that has not been answered yet. */
static bool others_under_way(const struct pl_call *call, const struct pl_handle *h)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		const struct pl_call *other = &c->actor[i].call;

		if (other != call && other->live && object_of(other->handle) == h)
			return true;
	}
	return false;
}

void pl_primed_by(const struct pl_call *call, const struct pl_rsp *r)
{
	struct pl_handle *h = object_of(call->handle);

	if (call->op->role == PL_OBSERVE || call->op->how & PL_NEUTRAL || is_read(h))
		return;
	if (!r || call->op->role == PL_NONE || counts(h) || r->err == EOWNERDEAD)
		h->primed = true;
	else if (r->ret >= 0) {
		h->primed |= strange(call);
		h->left += put_by(call->op, model_of(h) == PL_MODEL_STREAM ? r->ret : 1);
	}
	h->primed |= h->left < 0 && !others_under_way(call, h);
}

bool pl_primed(const struct pl_handle *h)
{
	int i;

	for (i = 1; i <= PL_HANDLES_MAX; i++) {
		const struct pl_handle *o = &c->handle[i];
		bool same = o == h || (h->sysname[0] && !strcmp(o->sysname, h->sysname));

		if (o->used && same && (o->primed || o->left))
			return true;
	}
	return false;
}
