/* SPDX-License-Identifier: MIT
 *
 * Locks: a critical section goes as a whole. Of ranges it lasts until all bytes are released at once.
 */
#include "leave.h"

#include <stdlib.h>
#include <string.h>

struct section {
	int64_t began, held, over; /* begin and end of its acquire; end of its release */
	uint32_t unit;
	bool died, told; /* its owner died in it, or it was told of a death */
};

struct holder {
	int log;
	bool dead;
	uint32_t depth, section;
};

struct sections {
	struct pl_leave *l;
	struct section *s;
	uint32_t n;
	bool exclusion; /* deaths do not matter */
};

static bool has_died(const struct pl_leave *l, uint16_t actor)
{
	for (uint64_t k = 0; k < l->control->n; k++) {
		const struct pl_rec *r = &l->control->rec[k];

		if ((r->op == PL_OP_KILL || r->op == PL_OP_REAP) && r->token == actor)
			return true;
	}
	return false;
}

static uint32_t outside(struct sections *t, const struct pl_rec *r, enum pl_role role)
{
	static const char *const refused[] = { "BADBUSY", "BADNOTRECOV", "BADDEADLK", NULL };

	if ((role == PL_RELEASE && t->l->head->model == PL_MODEL_LOCK) ||
		(r == t->l->anchor && pl_leave_rule(t->l, refused)))
		return PL_STAYS;
	if (role == PL_ACQUIRE && r->state == PL_INVOKED && !t->exclusion)
		return PL_STAYS;
	return PL_GOES;
}

static void open_section(struct sections *t, struct holder *h, const struct pl_rec *r)
{
	h->section = t->n;
	t->s[t->n++] = (struct section){ .began = r->t_invoke,
		.held = r->t_return,
		.over = INT64_MAX,
		.unit = pl_leave_unit(t->l),
		.died = h->dead,
		.told = r->state == PL_FAIL };
}

/* How often it is held after this. */
static uint32_t depth_after(const struct sections *t, const struct holder *h,
	const struct pl_rec *r, enum pl_role role, bool gets)
{
	bool ends = role == PL_RELEASE && r->state == PL_OK;

	if (t->l->head->model == PL_MODEL_RANGES)
		return !(ends && r->token == 0 && r->len == 0);
	return h->depth + gets - ends;
}

/* Who has some bytes is refused others for what others have: that is no part of the section. */
static bool is_beside(const struct sections *t, const struct pl_rec *r, enum pl_role role)
{
	return t->l->head->model == PL_MODEL_RANGES && role == PL_ACQUIRE && r->state == PL_FAIL &&
	       r->err != EDEADLK;
}

static uint32_t unit_of(struct sections *t, struct holder *h, const struct pl_rec *r)
{
	enum pl_role role = pl_role_of(t->l->logs[h->log].head, r);
	bool gets = role == PL_ACQUIRE &&
		    (r->state == PL_OK || (r->state == PL_FAIL && r->err == EOWNERDEAD));

	if (h->depth == 0 ? !gets : is_beside(t, r, role))
		return outside(t, r, role);
	if (h->depth == 0)
		open_section(t, h, r);
	h->depth = depth_after(t, h, r, role, gets);
	if (h->depth == 0) {
		t->s[h->section].over = r->t_return;
		t->s[h->section].died = false;
	}
	return t->s[h->section].unit;
}

static int by_held(const void *a, const void *b)
{
	const struct section *x = a, *y = b;

	if (x->held != y->held)
		return (x->held > y->held) - (x->held < y->held);
	return (x->unit > y->unit) - (x->unit < y->unit);
}

/* Who died goes only with the next owner; which that is, an instant at which two acquired leaves open. */
static void tie_to_heirs(struct sections *t)
{
	struct pl_leave *l = t->l;
	uint32_t *as = malloc(((size_t)l->nunits + 1) * sizeof *as);
	bool carry = false;

	qsort(t->s, t->n, sizeof *t->s, by_held);
	for (uint32_t i = 0; i < t->n; i++) {
		struct section *s = &t->s[i];
		bool tie = i > 0 && s->held == s[-1].held, joins = i > 0 && (carry || tie);

		carry = s->died || (tie && carry);
		if (as)
			as[s->unit] = joins ? as[s[-1].unit] : s->unit;
	}
	for (uint32_t i = 0; i < t->n; i++)
		t->s[i].unit = as ? as[t->s[i].unit] : PL_STAYS;
	for (uint32_t i = 0; i < l->nrecs; i++)
		if (l->unit[i] < l->nunits)
			l->unit[i] = as ? as[l->unit[i]] : PL_STAYS;
	free(as);
}

static int64_t first_asleep(const struct pl_leave *l)
{
	for (uint64_t k = 0; k < l->control->n; k++)
		if (l->control->rec[k].op == PL_OP_ASLEEP)
			return l->control->rec[k].t_invoke;
	return INT64_MIN;
}

/* Nobody can hold it, is what was found: what may be held then stays, and what tells of a lock given up. */
static void keep_held(struct sections *t)
{
	const struct pl_leave *l = t->l;
	bool busy = !strcmp(l->v->rule, "BADBUSY") && l->anchor;
	bool asleep = !strcmp(l->v->rule, "LOSTWAKE"), lost = !strcmp(l->v->rule, "BADNOTRECOV");
	int64_t from = busy ? l->anchor->t_invoke : asleep ? first_asleep(l) : INT64_MAX;
	int64_t until = busy ? pl_over(l->anchor) : INT64_MAX;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct section *s = &t->s[i];

		if (s->unit >= l->nunits)
			continue;
		if (((busy || asleep) && s->began <= until && s->over >= from) || (lost && s->told))
			l->stays[s->unit] = 1;
	}
}

void pl_leave_lock(struct pl_leave *l)
{
	static const char *const exclusion[] = { "OVERLAP", "COUNTER", "INSIDE", "BADEPERM",
		"BADDEADLK", "CRASH", NULL };
	struct sections t = { .l = l, .exclusion = pl_leave_rule(l, exclusion) };

	t.s = malloc(((size_t)l->nrecs + 1) * sizeof *t.s);
	for (int i = 0; i < l->n; i++) {
		struct holder h = { .log = i, .dead = has_died(l, l->logs[i].head->actor) };

		for (uint64_t k = 0; k < l->logs[i].n && &l->logs[i] != l->control; k++)
			if (pl_is_op(&l->logs[i].rec[k]))
				l->unit[l->first[i] + k] =
					t.s ? unit_of(&t, &h, &l->logs[i].rec[k]) : PL_STAYS;
	}
	if (t.s && !t.exclusion && l->head->model == PL_MODEL_LOCK)
		tie_to_heirs(&t);
	if (t.s && !t.exclusion)
		keep_held(&t);
	free(t.s);
}
