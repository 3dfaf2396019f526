/* SPDX-License-Identifier: MIT
 *
 * One first-in-first-out queue: pipe records, message queues of one priority, datagrams of one
 * receiver.
 *
 * Exact for histories in which every take has a result; with takes cut off by a kill sound, and
 * exact but for "empty" results. Rules:
 *
 *   VFRESH VREPET VFAILED VCORRUPT   values.c
 *   VORD VLOST                       order.c
 *   VWIT                             room.c
 *   OVERCAP BADFULL                  capacity.c
 */
#include "values.h"

void pl_check_fifo(struct pl_case *c)
{
	struct pl_values q;

	if (pl_values_read(&q, c) == 0 && !pl_settled(c)) {
		pl_lost_check(&q);
		pl_order_check(&q, NULL, q.n, q.by_ret, q.nput, q.nmaybe == 0);
		pl_empty_check(&q, "VWIT");
		pl_capacity_check(&q, !(c->head->caps & PL_LATE));
	}
	pl_values_free(&q);
}
