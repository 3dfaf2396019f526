/* SPDX-License-Identifier: MIT
 *
 * The search for a smallest part: what the verdict points at is tried first, and is enough for most rules. Else the
 * whole is taken, and whatever can go, goes: large pieces first (Zeller's ddmin, without its restarts).
 */
#include "leave.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUDGET = 6 << 20
}; /* records that are judged, and their copying, before what there is must do */

struct search {
	struct pl_leave l;
	struct pl_choice best; /* what was found last */
	struct pl_part_of part;
	int64_t clock_error, left;
	bool found;
};

/* Whether this choice leaves a part that is violated as the whole is. */
static bool enough(struct search *s, const struct pl_choice *c)
{
	uint64_t n = 0;

	if (s->left <= 0 || !pl_leave_part(&s->l, c, &s->part))
		return false;
	for (int i = 0; i < s->part.n; i++)
		n += s->part.logs[i].n + 8;
	s->left -= (int64_t)(n + s->l.nrecs / 16);
	pl_check_rules(s->part.logs, s->part.n, s->clock_error, &s->part.v);
	return pl_leave_same(&s->l, &s->part.v);
}

static bool try(struct search *s, struct pl_choice *c)
{
	if (!enough(s, c))
		return false;
	memcpy(s->best.keep, c->keep, s->l.nunits);
	s->best.cut = c->cut, s->best.root = c->root;
	s->found = true;
	return true;
}

/* The later a cut, the less is left: backwards in steps that double, then forwards to the last that will do. */
static void try_cuts(struct search *s, struct pl_choice *c)
{
	uint32_t at = s->l.ncuts, step = 1, good = 0;

	while (at > 1 && good == 0) {
		at = at > step ? at - step : 1;
		while (at > 1 && s->l.cut[at].level < 0)
			at--;
		c->cut = at;
		good = try(s, c) ? at : 0;
		step += step / 2 + (step < 32);
	}
	for (uint32_t k = 1; good && k < step && good + k < s->l.ncuts && k < 64; k++) {
		c->cut = good + step - k;
		if (c->cut < s->l.ncuts && try(s, c))
			break;
	}
	c->cut = s->best.cut;
}

enum { CORE = 2 }; /* in a choice: what the verdict points at, not only what that hangs on */

/* An operation, and of a read of a stream its pieces. */
static void mark(struct search *s, struct pl_choice *c, const struct pl_witness *w)
{
	const struct pl_leave *l = &s->l;

	for (int i = 0; i < l->n; i++) {
		bool inside = false;

		for (uint64_t k = 0; l->logs[i].head->actor == w->actor && k < l->logs[i].n; k++) {
			uint32_t u = l->unit[l->first[i] + k];

			if (l->logs[i].rec[k].state != PL_MORE)
				inside = l->logs[i].rec[k].seq == w->seq;
			if (inside && u < l->nunits)
				c->keep[u] = CORE;
		}
	}
}

/* What the verdict points at, and what that hangs on. */
static void choose_core(struct search *s, struct pl_choice *c)
{
	const struct pl_verdict *v = s->l.v;

	memset(c->keep, 0, s->l.nunits);
	for (int i = 0; i < v->nwit && i < PL_WITNESS_MAX; i++)
		mark(s, c, &v->wit[i]);
	for (uint32_t u = 0; s->l.chains && u < s->l.nunits; u++)
		for (uint32_t up = c->keep[u] == CORE ? s->l.parent[u] : PL_NEVER;
			up != PL_NEVER && !c->keep[up]; up = s->l.parent[up])
			c->keep[up] = 1;
}

/* The unit farthest down that all of the core hangs on, or is; PL_NEVER: there is none. */
static uint32_t common_root(const struct pl_leave *l, const struct pl_choice *c)
{
	uint32_t *down = calloc((size_t)l->nunits + 1, sizeof *down), top = PL_NEVER, tops = 0;
	uint8_t *below = calloc((size_t)l->nunits + 1, 1);

	for (uint32_t u = 0; down && below && u < l->nunits; u++) {
		uint32_t up = l->parent[u];

		if (!c->keep[u])
			continue;
		if (up == PL_NEVER)
			top = u, tops++;
		else
			down[up] = u, below[up] += below[up] < 2;
	}
	while (tops == 1 && c->keep[top] != CORE && below[top] == 1)
		top = down[top];
	free(down);
	free(below);
	return tops == 1 ? top : PL_NEVER;
}

static bool try_roots(struct search *s, struct pl_choice *c)
{
	uint32_t root = common_root(&s->l, c);

	for (int up = 0; up < 4 && root != PL_NEVER; up++, root = s->l.parent[root]) {
		c->root = root;
		if (try(s, c))
			return true;
	}
	c->root = PL_NEVER;
	return false;
}

/* Leaves out units [from, to) of the list. */
static bool without(
	struct search *s, struct pl_choice *c, const uint32_t *list, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		c->keep[list[i]] = 0;
	if (try(s, c))
		return true;
	memcpy(c->keep, s->best.keep, s->l.nunits);
	return false;
}

/* What could go and has not gone yet; with a cut much is out of sight. */
static uint32_t list_units(struct search *s, struct pl_choice *c, uint32_t *list)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->l.nrecs; i++) {
		uint32_t u = s->l.unit[i];

		if (u < s->l.nunits && c->keep[u] && !s->l.stays[u] && c->cut < s->l.gone[i])
			list[n++] = u, c->keep[u] = 0;
	}
	for (uint32_t i = 0; i < n; i++)
		c->keep[list[i]] = 1;
	return n;
}

static bool shrink(struct search *s, struct pl_choice *c, uint32_t *list)
{
	uint32_t n = list_units(s, c, list);
	bool any = false;

	for (uint32_t size = (n + 1) / 2; size > 0 && s->left > 0; size /= 2) {
		uint32_t kept = 0;

		for (uint32_t i = 0; i < n; i += size) {
			uint32_t end = i + size < n ? i + size : n;

			if (without(s, c, list, i, end)) {
				any = true;
				continue;
			}
			memmove(list + kept, list + i, (end - i) * sizeof *list);
			kept += end - i;
		}
		n = kept;
	}
	return any && s->left > 0;
}

static void search(struct search *s, struct pl_choice *c, uint32_t *list)
{
	choose_core(s, c);
	if (!(s->l.chains && try_roots(s, c)) && !try(s, c)) {
		memset(c->keep, 1, s->l.nunits);
		if (s->l.ncuts < 2 && !try(s, c))
			return;
	}
	if (s->l.ncuts > 1) {
		if (!s->found)
			(void)try(s, c);
		try_cuts(s, c);
	}
	while (s->found && shrink(s, c, list))
		;
}

static int search_new(struct search *s, struct pl_choice *c, uint32_t **list)
{
	size_t n = (size_t)s->l.nunits + 1;

	*c = (struct pl_choice){ .keep = malloc(n), .root = PL_NEVER };
	s->best = (struct pl_choice){ .keep = malloc(n), .root = PL_NEVER };
	*list = malloc(n * sizeof **list);
	return c->keep && s->best.keep && *list ? pl_leave_room(&s->l, &s->part) : -ENOMEM;
}

/* The part that was found, made again; it has to stand before every judge. */
static bool settle(struct search *s)
{
	(void)pl_leave_part(&s->l, &s->best, &s->part);
	pl_check(s->part.logs, s->part.n, s->clock_error, &s->part.v);
	return pl_leave_same(&s->l, &s->part.v);
}

int pl_reduce(const struct pl_log *logs, int nlogs, int64_t clock_error, const struct pl_verdict *v,
	struct pl_part_of *ret)
{
	struct search s = { .clock_error = clock_error, .left = BUDGET };
	struct pl_choice c = { 0 };
	uint32_t *list = NULL;
	int rc = pl_leave_new(&s.l, logs, nlogs, v);

	*ret = (struct pl_part_of){ 0 };
	if (rc == 0)
		rc = search_new(&s, &c, &list);
	if (rc == 0) {
		search(&s, &c, list);
		rc = s.found && settle(&s) ? 0 : -ENOENT;
	}
	if (rc == 0)
		*ret = s.part;
	else
		pl_part_free(&s.part);
	free(c.keep);
	free(s.best.keep);
	free(list);
	pl_leave_free(&s.l);
	return rc;
}
