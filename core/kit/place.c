/* SPDX-License-Identifier: MIT
 *
 * On which CPU an actor runs.
 */
#include "kit.h"

#include <sched.h>
#include <string.h>

void pl_place_actor(unsigned id, enum pl_place place)
{
	cpu_set_t all, one;
	int cpu, n = 0, want;

	if (place == PLACE_FREE || sched_getaffinity(0, sizeof all, &all) < 0 ||
		CPU_COUNT(&all) < 1)
		return;
	want = place == PLACE_SAME ? (int)(pl_ctl.inst % (unsigned)CPU_COUNT(&all))
				   : (int)((pl_ctl.inst + id) % (unsigned)CPU_COUNT(&all));
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && n++ == want) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			(void)sched_setaffinity(0, sizeof one, &one);
			return;
		}
}

int pl_place_parse(const char *s, enum pl_place *ret)
{
	*ret = s && !strcmp(s, "same")	   ? PLACE_SAME
	       : s && !strcmp(s, "spread") ? PLACE_SPREAD
					   : PLACE_FREE;
	return *ret != PLACE_FREE || !s || !strcmp(s, "free") ? 0 : -EINVAL;
}
