/* SPDX-License-Identifier: MIT
 *
 * What stands behind a verdict.
 */
#include "tool.h"

#include <inttypes.h>

static int64_t percentile(const struct pl_verdict *v, int per_mille)
{
	uint64_t sum = 0, want;

	for (int i = 0; i < 80; i++)
		sum += v->lat[i];
	want = sum * (uint64_t)per_mille / 1000;
	sum = 0;
	for (int i = 0; i < 80; i++) {
		sum += v->lat[i];
		if (sum > want)
			return pl_lat_edge(i);
	}
	return 0;
}

void stats_print(const struct pl_verdict *v)
{
	printf("  operations %" PRIu64 " (failed %" PRIu64 ", without result %" PRIu64
	       "), bytes taken %" PRIu64 "\n  begun after another actor's had ended %" PRIu64
	       ", under 20 us %" PRIu64 ", of those overlapping %" PRIu64
	       "\n  latency ns p50 %" PRId64 " p99 %" PRId64 " p99.9 %" PRId64 "\n",
		v->ops, v->failed, v->pending, v->bytes, v->ordered, v->short_ops, v->overlapped,
		percentile(v, 500), percentile(v, 990), percentile(v, 999));
}
