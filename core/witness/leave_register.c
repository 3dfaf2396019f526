/* SPDX-License-Identifier: MIT
 *
 * Registers: a look goes by itself; a value with its store, its looks, and the values put in its place.
 */
#include "leave.h"

static uint32_t unit_of(struct pl_leave *l, enum pl_role role, const struct pl_rec *r)
{
	uint32_t u;

	switch (role) {
	case PL_PUT:
		return pl_leave_value(l, r->token);
	case PL_UPDATE:
		u = pl_leave_value(l, r->token);
		if (r->state == PL_OK && r->aux != r->token)
			l->parent[u] = pl_leave_value(l, r->aux);
		return u;
	case PL_OBSERVE:
		if (r->state != PL_OK)
			return PL_GOES;
		u = pl_leave_unit(l);
		l->parent[u] = pl_leave_value(l, r->token);
		return u;
	default:
		return PL_GOES;
	}
}

void pl_leave_register(struct pl_leave *l)
{
	for (int i = 0; i < l->n; i++)
		for (uint64_t k = 0; k < l->logs[i].n && &l->logs[i] != l->control; k++)
			l->unit[l->first[i] + k] =
				unit_of(l, pl_role_of(l->logs[i].head, &l->logs[i].rec[k]),
					&l->logs[i].rec[k]);
	l->chains = true;
}
