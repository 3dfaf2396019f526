/* SPDX-License-Identifier: MIT
 *
 * Who has the ends of the object in a round. Control keeps those that it has until it releases them. Once it has
 * released one, end of file and EPIPE depend on the actors: each says as its round begins what it has.
 *
 * That is all who have it only if nobody else can: the object has no name, nothing was done to it that might have made
 * a descriptor more, and descriptors of it cannot travel.
 */
#include "raw.h"
#include "round.h"

static struct pl_ctl *const c = &pl_ctl;

static bool has_ends(const struct pl_handle *h)
{
	return c->drv->ends[0] && !h->strayed && !c->shared->half;
}

/* Threads share what they have: the end of one closes nothing. */
static bool all_are_told(const struct pl_handle *h)
{
	unsigned i;

	if (h->sysname[0] || pl_caps_of(c->drv, &h->obj) & (PL_FDPASS | PL_LATE))
		return false;
	for (i = 0; i < c->nactors; i++)
		if (c->actor[i].alive && (!pl_run_has(i) || c->actor[i].kind == KIND_THREAD))
			return false;
	return true;
}

static void note(const struct pl_handle *h, unsigned who, uint32_t ends)
{
	int64_t now = pl_now();
	unsigned i;

	for (i = 0; i < PL_FDS_MAX && c->drv->ends[i]; i++)
		if (ends >> i & 1)
			pl_control_note(PL_OP_OPEN, who, now, now, (int)(h - c->handle), i);
}

static uint32_t of_control(const struct pl_handle *h)
{
	uint32_t ends = 0;
	unsigned i;

	for (i = 0; i < PL_FDS_MAX; i++)
		ends |= h->obj.fd[i] >= 0 ? 1U << i : 0;
	return ends;
}

void pl_ends_begin(const struct pl_handle *h)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		atomic_store(&c->shared->slot[i].ends, 0);
	if (!has_ends(h))
		return;
	note(h, PL_CONTROL, of_control(h));
	if (all_are_told(h))
		pl_hist(c->shared, PL_ACTORS_MAX)->flags |= PL_HIST_HELD;
}

void pl_ends_over(const struct pl_handle *h)
{
	struct pl_hist_head *head = pl_hist(c->shared, PL_ACTORS_MAX);
	unsigned i;

	if (!(head->flags & PL_HIST_HELD))
		return;
	if (of_control(h) == (1U << PL_FDS_MAX) - 1) { /* nothing depends on the actors */
		head->flags &= ~(uint32_t)PL_HIST_HELD;
		return;
	}
	for (i = 0; i < c->nactors; i++) {
		uint32_t ends = atomic_load(&c->shared->slot[i].ends);

		if (pl_run_has(i)) /* who died before it could tell may have had them all */
			note(h, i, ends & PL_TOLD ? ends : ~0U);
	}
}

bool pl_ends_can_take(unsigned actor)
{
	uint32_t ends = atomic_load(&c->shared->slot[actor].ends);

	return !c->drv->ends[0] || !(ends & PL_TOLD) || ends & 1;
}
