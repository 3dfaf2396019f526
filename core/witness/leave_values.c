/* SPDX-License-Identifier: MIT
 *
 * Queues and datagrams: a value goes with all puts and takes of it.
 */
#include "leave.h"

#include <stdlib.h>
#include <string.h>

/* A take without a token has got something that has none, or was cut off by a small buffer: then what may be that
 * stays. */
struct unnamed {
	bool any;
	uint32_t shortest; /* of the buffers */
};

static bool beside_anchor(const struct pl_leave *l, const struct pl_rec *r)
{
	return l->anchor && r->t_invoke <= pl_over(l->anchor) && pl_over(r) >= l->anchor->t_invoke;
}

/* A put that failed may have had room set aside for it as long as it lasted. */
static uint32_t put_of(struct pl_leave *l, const struct pl_hist_head *h, const struct pl_rec *r)
{
	bool failed = !strcmp(l->v->rule, "VFAILED"), full = !strcmp(l->v->rule, "BADFULL");

	if (r->state == PL_FAIL)
		return failed && r->token	     ? pl_leave_value(l, r->token)
		       : full && beside_anchor(l, r) ? PL_STAYS
						     : PL_GOES;
	if (r->token == 0 || (r->len < PL_MARK && !pl_moves_number(h, r)))
		return PL_STAYS;
	return pl_leave_value(l, r->token);
}

static uint32_t take_of(
	struct pl_leave *l, const struct pl_hist_head *h, const struct pl_rec *r, struct unnamed *u)
{
	if (r->state == PL_INVOKED)
		return PL_STAYS;
	if (r->state == PL_FAIL)
		return pl_found_nothing(r) ? pl_leave_unit(l) : PL_GOES;
	if (r->token != 0 || pl_moves_number(h, r))
		return pl_leave_value(l, r->token);
	u->any = true;
	u->shortest = r->len < u->shortest ? r->len : u->shortest;
	return PL_STAYS;
}

/* From the first put to the last take of each value: the anchor found no room, and what may have been inside
 * meanwhile is why. */
static void keep_inside(struct pl_leave *l)
{
	int64_t *from = malloc(((size_t)l->nunits + 1) * sizeof *from);
	int64_t *until = malloc(((size_t)l->nunits + 1) * sizeof *until);

	for (uint32_t u = 0; from && until && u < l->nunits; u++)
		from[u] = INT64_MAX, until[u] = INT64_MIN;
	for (int i = 0; from && until && i < l->n; i++)
		for (uint64_t k = 0; k < l->logs[i].n; k++) {
			const struct pl_rec *r = &l->logs[i].rec[k];
			uint32_t u = l->unit[l->first[i] + k];

			if (u >= l->nunits)
				continue;
			if (pl_role_of(l->logs[i].head, r) == PL_TAKE)
				until[u] = pl_over(r) > until[u] ? pl_over(r) : until[u];
			else
				from[u] = r->t_invoke < from[u] ? r->t_invoke : from[u];
		}
	for (uint32_t u = 0; u < l->nunits; u++)
		if (!from || !until || (until[u] == INT64_MIN && from[u] <= pl_over(l->anchor)) ||
			(from[u] <= pl_over(l->anchor) && until[u] >= l->anchor->t_invoke))
			l->stays[u] = 1;
	free(from);
	free(until);
}

static void keep_long(struct pl_leave *l, uint32_t shortest)
{
	for (int i = 0; i < l->n; i++)
		for (uint64_t k = 0; k < l->logs[i].n; k++) {
			uint32_t u = l->unit[l->first[i] + k], len = l->logs[i].rec[k].len;

			if (u < l->nunits && (len > shortest || len > PL_PIPE_BUF) &&
				pl_role_of(l->logs[i].head, &l->logs[i].rec[k]) == PL_PUT)
				l->stays[u] = 1;
		}
}

void pl_leave_values(struct pl_leave *l)
{
	struct unnamed unnamed = { .shortest = UINT32_MAX };

	for (int i = 0; i < l->n; i++)
		for (uint64_t k = 0; k < l->logs[i].n; k++) {
			const struct pl_rec *r = &l->logs[i].rec[k];
			const struct pl_hist_head *h = l->logs[i].head;
			enum pl_role role = pl_role_of(h, r);

			if (role == PL_PUT)
				l->unit[l->first[i] + k] = put_of(l, h, r);
			else if (role == PL_TAKE)
				l->unit[l->first[i] + k] = take_of(l, h, r, &unnamed);
		}
	if (unnamed.any)
		keep_long(l, unnamed.shortest);
	l->anchored = !strcmp(l->v->rule, "BADFULL");
	if (l->anchored && l->anchor)
		keep_inside(l);
}
