/* SPDX-License-Identifier: MIT
 *
 * What may happen before an operation of a round: nothing, a delay, a token. A scheduler is asked
 * by the actor itself, just before the invoke stamp of each operation would be taken over from the
 * return of the last one.
 */
#ifndef PLUMBLINE_SCHED_H
#define PLUMBLINE_SCHED_H

#include <stdint.h>

enum pl_sched { PL_SCHED_FREE, PL_SCHED_NOISE };

/* Returns 0, or, when it has let time pass, a fresh stamp to use as the invoke stamp. `key` belongs
 * to the actor and the round, `index` counts its operations: the same pair gives the same decision
 * in every replay. */
typedef int64_t pl_sched_fn(uint64_t key, uint64_t index);

pl_sched_fn *pl_sched_before(enum pl_sched s); /* NULL for FREE: no call at all */
int pl_sched_parse(const char *name);	       /* -EINVAL: no such scheduler */

#endif
