/* SPDX-License-Identifier: MIT
 *
 * Random parts of a right round: whatever rule they are made for, it does not accuse them. Else what is left of a
 * violated round would prove nothing.
 */
#ifndef PLUMBLINE_CHECK_PARTS_H
#define PLUMBLINE_CHECK_PARTS_H

#include "check_dice.h"
#include "witness/leave.h"

/* Rules by model, those that need no sleepers and no crash. The first `whole` of them leave out nothing that another
 * rule rests on: their parts are right by every rule. */
struct part_rules {
	int whole;
	const char *rule[16];
};

static const struct part_rules part_rules[PL_MODELS] = {
	[PL_MODEL_FIFO] = { 6, { "VORD", "VLOST", "VWIT", "VREPET", "VCORRUPT", "OVERCAP" } },
	[PL_MODEL_PRIORITY] = { 5, { "VPRIO", "VORD", "VLOST", "VWIT", "VTAG", "BADFULL" } },
	[PL_MODEL_SELECT] = { 5, { "VPRIO", "VORD", "VLOST", "VWIT", "VSELECT", "BADFULL" } },
	[PL_MODEL_DATAGRAM] = { 4, { "VFRESH", "VFAILED", "VCORRUPT", "VSOURCE" } },
	[PL_MODEL_STREAM] = { 9,
		{ "CORRUPT", "TORN", "SHUF", "EXTRA", "EARLY", "ORDER", "LOST", "STALE", "VWIT" } },
	[PL_MODEL_LOCK] = { 6, { "DEADNONE", "DEADTWICE", "DEADFALSE", "NOTRECOV", "DEADHOLDER",
				       "FREEUNHELD", "BADNOTRECOV", "BADBUSY", "OVERLAP", "COUNTER",
				       "INSIDE", "BADDEADLK", "BADEPERM" } },
	[PL_MODEL_RANGES] = { 1, { "BADBUSY", "OVERLAP", "BADDEADLK" } },
	[PL_MODEL_REGISTER] = { 5, { "FRESH", "FAILED", "LOSTUPDATE", "LOOP", "STALE" } },
	[PL_MODEL_COUNTER] = { 0, { "OVERTAKEN", "OVERFULL", "BADEMPTY", "TOKENSLOST", "BADVALUE",
					  "BADNOROOM", "NOORDER" } },
	[PL_MODEL_SUM] = { 0, { "OVERTAKEN", "OVERFULL", "BADEMPTY", "TOKENSLOST", "BADVALUE",
				      "BADNOROOM", "BADSUM", "NOORDER" } },
	[PL_MODEL_VECTOR] = { 0, { "OVERTAKEN", "BADEMPTY", "TOKENSLOST", "BADVALUE", "NOORDER" } },
	[PL_MODEL_SIGNAL] = { 0, { "SOVER", "SAGAIN", "SFALSE", "SLOST", "SEMPTY" } },
};

/* A finding as it might have been: any rule, about operations that it might be about. */
static inline int b_any_finding(struct round *b, struct dice *d, struct pl_verdict *v)
{
	const struct part_rules *p = &part_rules[b->head[0].model];
	int n = 0, which;

	while (n < 16 && p->rule[n])
		n++;
	which = roll(d, 0, n - 1);
	*v = (struct pl_verdict){ .outcome = PL_VIOLATED };
	(void)snprintf(v->rule, sizeof v->rule, "%s", p->rule[which]);
	for (int i = roll(d, 1, 3); i > 0; i--) {
		const struct pl_rec *r = b_pick(b, d);

		if (r && r->state != PL_MORE)
			v->wit[v->nwit++] = (struct pl_witness){ r->actor, r->seq };
	}
	return which;
}

static inline void b_any_choice(const struct pl_leave *l, struct dice *d, struct pl_choice *c)
{
	int percent = roll(d, 0, 4) * 25;

	for (uint32_t u = 0; u < l->nunits; u++)
		c->keep[u] = chance(d, percent);
	c->cut = chance(d, 50) ? 0 : (uint32_t)roll(d, 0, (int)l->ncuts - 1);
	c->root = l->chains && l->nunits && chance(d, 30) ? (uint32_t)roll(d, 0, (int)l->nunits - 1)
							  : PL_NEVER;
}

/* Of a round that is right: parts for a random rule. The key tells how to see a failure again. */
static inline void b_assert_parts(struct round *b, uint64_t key)
{
	struct dice d = { .key = key ^ 0x9a27 };
	struct pl_verdict v, of;
	struct pl_choice c;
	struct pl_part_of part;
	struct pl_leave l;
	int rule = b_any_finding(b, &d, &v);
	bool whole = rule < part_rules[b->head[0].model].whole;

	b_logs(b);
	cr_assert_eq(pl_leave_new(&l, b->log, b->nactors + 1, &v), 0);
	cr_assert_eq(pl_leave_room(&l, &part), 0);
	c.keep = malloc(l.nunits + 1);
	for (int i = 0; i < 3; i++) {
		b_any_choice(&l, &d, &c);
		if (!pl_leave_part(&l, &c, &part))
			continue;
		pl_check(part.logs, part.n, 0, &of);
		if (pl_leave_same(&l, &of) || (whole && of.outcome == PL_VIOLATED))
			b_dump(b);
		cr_assert(!pl_leave_same(&l, &of) && !(whole && of.outcome == PL_VIOLATED),
			"a part for %s, key 0x%llx, is accused: %s %s", v.rule,
			(unsigned long long)key, of.rule, of.text);
	}
	free(c.keep);
	pl_part_free(&part);
	pl_leave_free(&l);
}

#endif
