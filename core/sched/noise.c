/* SPDX-License-Identifier: MIT
 *
 * Free running, and free running with noise: most operations start at once, some after a yield,
 * some after a short spin whose length is drawn log-uniformly, so that windows of every width are
 * met.
 */
#include "sched.h"

#include "../hist/rng.h"
#include "../kit/raw.h"

#include <string.h>

enum { YIELD_PERCENT = 10, SPIN_PERCENT = 20, SPIN_OCTAVES = 10, SPIN_MIN_NS = 50 };

static int64_t noise(uint64_t key, uint64_t index)
{
	uint64_t r = pl_rand(key, index), percent = r % 100;
	int64_t until;

	if (percent >= YIELD_PERCENT + SPIN_PERCENT)
		return 0;
	if (percent < YIELD_PERCENT) {
		(void)syscall(SYS_sched_yield);
		return pl_now();
	}
	until = pl_now() + ((int64_t)SPIN_MIN_NS << (r >> 32) % SPIN_OCTAVES);
	while (pl_now() < until)
		;
	return pl_now();
}

static const struct {
	const char *name;
	pl_sched_fn *before;
} scheds[] = { [PL_SCHED_FREE] = { "free", NULL }, [PL_SCHED_NOISE] = { "noise", noise } };

pl_sched_fn *pl_sched_before(enum pl_sched s)
{
	return scheds[s].before;
}

int pl_sched_parse(const char *name)
{
	unsigned i;

	for (i = 0; i < sizeof scheds / sizeof *scheds; i++)
		if (!strcmp(scheds[i].name, name))
			return (int)i;
	return -EINVAL;
}
