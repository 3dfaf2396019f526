/* SPDX-License-Identifier: MIT
 *
 * What stands behind a verdict: how much was tried, and how much of it at once. Too little of either proves nothing.
 */
#include "tool.h"

#include "../check/internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* What is open now, by actor, and which operation began last. At an instant that several actors share one actor's
 * operations may seem to overlap: it counts as one. */
struct flight {
	uint32_t *open;
	int in_flight;
	int last;
};

static void begin(struct stats *s, struct flight *f, int who)
{
	f->in_flight += f->open[who]++ == 0;
	s->begun[f->in_flight < STATS_DEPTH ? f->in_flight : STATS_DEPTH]++;
	if (f->last >= 0 && f->last != who) {
		s->adjacent++;
		s->apart += f->open[f->last] == 0;
	}
	f->last = who;
}

static void count(struct pl_case *c, struct pl_merge *m, struct flight *f, struct stats *s)
{
	struct pl_event e;

	while (pl_merge_next(m, &e))
		if (e.kind == PL_EV_BEGIN)
			begin(s, f, e.who);
		else if ((e.kind == PL_EV_END || e.kind == PL_EV_REAPED) && e.rec &&
			 f->open[e.who] > 0)
			f->in_flight -= --f->open[e.who] == 0;
	for (int i = 0; i < c->nactors; i++)
		s->busy += c->actor[i].n > 0;
}

int stats_of(const struct round *r, struct stats *ret)
{
	struct pl_verdict v = { 0 };
	struct pl_case c = { .v = &v };
	struct flight f = { .last = -1 };
	struct pl_merge *m = NULL;
	int err = 0;

	*ret = (struct stats){ 0 };
	if (pl_load(&c, r->logs, r->n) == 0) {
		m = pl_merge_new(&c, false);
		f.open = calloc((size_t)c.nactors + 1, sizeof *f.open);
		err = m && f.open ? 0 : -ENOMEM;
		if (!err)
			count(&c, m, &f, ret);
	}
	pl_merge_free(m);
	free(f.open);
	free(c.actor);
	return err;
}

int64_t stats_percentile(const struct pl_verdict *v, int per_mille)
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

const char *stats_doubt(const struct pl_verdict *v, const struct stats *s)
{
	uint64_t all = 0;

	for (int i = 1; i <= STATS_DEPTH; i++)
		all += s->begun[i];
	if (all == 0)
		return "nothing was tried";
	if (s->busy < 2)
		return "one actor was alone: nothing was tried that takes two";
	if (v->ordered == 0)
		return "everything overlapped: whatever the order, it would have held, and proves "
		       "nothing";
	if (s->begun[1] == all)
		return "nothing overlapped: no race was tried";
	return NULL;
}

static void print_profile(const struct stats *s)
{
	uint64_t all = 0;

	for (int i = 1; i <= STATS_DEPTH; i++)
		all += s->begun[i];
	printf("  in flight as one begins, itself included:");
	for (int i = 1; i <= STATS_DEPTH; i++)
		if (s->begun[i])
			printf(" %d%s: %.1f%%", i, i == STATS_DEPTH ? " or more" : "",
				100.0 * (double)s->begun[i] / (double)all);
	printf("%s\n", all ? "" : " none");
}

void stats_print(const struct pl_verdict *v, const struct stats *s)
{
	const char *doubt = stats_doubt(v, s);

	printf("  operations %" PRIu64 " (failed %" PRIu64 ", without result %" PRIu64
	       ") of %d actors, bytes taken %" PRIu64
	       "\n  begun after another actor's had ended %" PRIu64 ", under 20 us %" PRIu64
	       ", of those overlapping %" PRIu64 "\n",
		v->ops, v->failed, v->pending, s->busy, v->bytes, v->ordered, v->short_ops,
		v->overlapped);
	print_profile(s);
	printf("  neighbours of different actors %" PRIu64
	       ", of those one after the other %.1f%%\n",
		s->adjacent, s->adjacent ? 100.0 * (double)s->apart / (double)s->adjacent : 0);
	printf("  latency ns p50 %" PRId64 " p99 %" PRId64 " p99.9 %" PRId64 "\n",
		stats_percentile(v, 500), stats_percentile(v, 990), stats_percentile(v, 999));
	if (doubt)
		printf("  beware: %s\n", doubt);
}
