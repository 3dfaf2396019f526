/* SPDX-License-Identifier: MIT
 *
 * Until the checkers land every round is unknown. The commit that brings them deletes this file.
 */
#include "check.h"

#include <stdio.h>

void pl_check(const struct pl_log *logs, int nlogs, int64_t clock_error_ns, struct pl_verdict *ret_verdict)
{
	*ret_verdict = (struct pl_verdict){ .outcome = PL_UNKNOWN, .rule = "NOCHECKER" };
	(void)snprintf(ret_verdict->text, sizeof ret_verdict->text, "%d histories, not judged yet", nlogs);
}

int64_t pl_lat_edge(int bucket)
{
	return bucket;
}
