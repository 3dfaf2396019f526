/* SPDX-License-Identifier: MIT
 *
 * Claim: the halves of a round, kept on two machines whose clocks have nothing to do with each other, are judged by
 * what needs no common clock: each rule accuses the smallest pair of halves that breaks it and lets its twin pass.
 */
#include "check/file.h"
#include "check_rules.h"

enum { FAR = 1000000 };

/* Actors 0 and 1 put, 2 and 3 take; the takers' clock is far behind that of the putters. */
static struct round *halves(enum pl_model model)
{
	struct round *b = b_new(model, 4);

	for (int i = 0; i <= 4; i++) {
		b->head[i].caps = PL_LATE | PL_PIECEMEAL;
		b->head[i].inst = i == 2 || i == 3;
		b->head[i].flags |= PL_HIST_HALF;
	}
	return b;
}

static struct pl_rec *put(struct round *b, int who, int n, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_put(b, who, n, FAR + inv, FAR + ret);

	if (b->head[who].model == PL_MODEL_STREAM)
		r->ret = r->len;
	return r;
}

static void take(struct round *b, int who, int n, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_take(b, who, n, inv, ret);
	struct pl_more *m;

	if (b->head[who].model != PL_MODEL_STREAM)
		return;
	r->token = 0, r->ret = n ? 64 : 0;
	if (!n)
		return;
	m = (struct pl_more *)&b->rec[who][b->n[who]];
	*m = (struct pl_more){ .seq = b->n[who]++,
		.state = PL_MORE,
		.kind = PL_EXTENT,
		.len = 64,
		.total = 64,
		.token = b_token(n) };
}

/* The verdict on both halves together; control of each says that its half ended. */
static const struct pl_verdict *joined(struct round *b)
{
	struct pl_log in[6], out[6];
	struct pl_hist_head second = b->head[4];
	const char *why = NULL;
	int n;

	second.inst = !b->head[4].inst;
	for (int i = 0; i <= 4; i++)
		in[i] = (struct pl_log){ &b->head[i], b->rec[i], b->n[i] };
	in[5] = (struct pl_log){ &second, NULL, 0 };
	n = pl_join(in, 6, out, &why);
	cr_assert_gt(n, 0, "%s", why);
	pl_check(out, n, 0, &b->v);
	for (int i = 0; i < n; i++) {
		free((void *)out[i].head);
		free((void *)out[i].rec);
	}
	return &b->v;
}

static void judged(struct round *b, const char *rule)
{
	const struct pl_verdict *v = joined(b);

	cr_expect_eq(v->outcome, rule ? PL_VIOLATED : PL_HELD, "%s %s: %s",
		pl_outcome_name(v->outcome), v->rule, v->text);
	cr_expect_str_eq(v->rule, rule ? rule : "", "%s expected, got %s: %s", rule ? rule : "none",
		v->rule, v->text);
	free(b);
}

Test(check_join, a_half_alone_is_not_judged)
{
	struct round *b = halves(PL_MODEL_STREAM);

	take(b, 2, 9, 0, 10);
	cr_expect_eq(b_check(b, 0)->outcome, PL_HELD);
	judged(b, "EXTRA");
}

Test(check_join, what_one_machine_did_in_turn_arrives_in_turn)
{
	for (int swapped = 0; swapped < 2; swapped++) {
		struct round *b = halves(PL_MODEL_STREAM);

		put(b, 0, 1, 0, 10);
		put(b, 1, 2, 20, 30);
		take(b, 2, swapped ? 2 : 1, 0, 10);
		take(b, 3, swapped ? 1 : 2, 20, 30);
		judged(b, swapped ? "ORDER" : NULL);
	}
}

Test(check_join, nothing_is_lost_where_the_end_was_read)
{
	for (int eof = 0; eof < 2; eof++) {
		struct round *b = halves(PL_MODEL_STREAM);

		put(b, 0, 1, 0, 10);
		put(b, 0, 2, 10, 20);
		take(b, 2, 1, 0, 10);
		if (eof)
			take(b, 2, 0, 10, 20);
		judged(b, eof ? "LOST" : NULL);
	}
}

Test(check_join, nothing_comes_twice)
{
	struct round *b = halves(PL_MODEL_STREAM);

	put(b, 0, 1, 0, 10);
	take(b, 2, 1, 0, 10);
	take(b, 2, 1, 10, 20);
	judged(b, "SHUF");
}

Test(check_join, what_a_dead_reader_had_is_not_missed)
{
	struct round *b = halves(PL_MODEL_STREAM);

	put(b, 0, 1, 0, 10);
	put(b, 0, 2, 10, 20);
	b_pend(b_take(b, 3, 1, 0, 10))->len = 4096;
	take(b, 2, 2, 30, 40);
	take(b, 2, 0, 50, 60);
	b->head[4].inst = 1; /* this control is the takers': its deaths are of their numbers */
	b_kill(b, 3, 15, 20);
	judged(b, NULL);
}

Test(check_join, datagrams)
{
	for (int what = 0; what < 3; what++) {
		struct round *b = halves(PL_MODEL_DATAGRAM);

		put(b, 0, 1, 0, 10);
		put(b, 1, 2, 0, 10);
		take(b, 2, 2, 0, 10);
		take(b, 3, 2, 20, 30);
		if (what == 1)
			take(b, 2, 7, 30, 40);
		if (what == 2)
			b->rec[3][0].ret = 40;
		judged(b, what == 1 ? "VFRESH" : what == 2 ? "VCORRUPT" : NULL);
	}
}

Test(check_join, what_it_refuses)
{
	struct round *b = halves(PL_MODEL_STREAM);
	struct pl_log in[5], out[5];
	const char *why = NULL;

	put(b, 0, 1, 0, 10);
	take(b, 1, 1, 20, 30);
	for (int i = 0; i <= 4; i++)
		in[i] = (struct pl_log){ &b->head[i], b->rec[i], b->n[i] };
	cr_expect_lt(pl_join(in, 5, out, &why), 0);
	cr_expect(why && strstr(why, "both puts and takes"), "%s", why);
	b->head[0].caps = 0;
	cr_expect_lt(pl_join(in, 5, out, &why), 0);
	cr_expect(why && strstr(why, "common clock"), "%s", why);
	free(b);
}
