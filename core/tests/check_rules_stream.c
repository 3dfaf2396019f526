/* SPDX-License-Identifier: MIT
 *
 * Claim: each rule of the stream checker accuses the smallest history that breaks it, and lets the same
 * history pass once the fault is taken out of it.
 */
#include "check_rules.h"

/* ---- streams: 100-byte payloads, each written by one call ---- */

static void write_at(struct round *b, int who, int n, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_put(b, who, n, inv, ret);

	r->len = 100;
	r->ret = 100;
}

static void piece(struct round *b, int who, int n, uint32_t from, uint32_t to)
{
	struct pl_more *m = (struct pl_more *)&b->rec[who][b->n[who]];
	bool mark = from % PL_MARK == 0 && (to - from >= PL_MARK || to == 100);

	*m = (struct pl_more){
		.seq = b->n[who]++, .state = PL_MORE, .len = to - from, .total = 100
	};
	m->kind = mark ? PL_EXTENT : PL_FRAGMENT;
	m->token = mark ? b_token(n) : 0;
	m->offset = mark ? from : 0;
	if (!mark)
		pl_payload_fill(m->raw, 7, b_token(n), from, to - from, 100);
}

static void read_at(struct round *b, int who, int64_t inv, int64_t ret, int64_t len)
{
	struct pl_rec *r = b_take(b, who, 0, inv, ret);

	r->token = 0;
	r->ret = len;
	r->len = 4096;
}

static struct round *pipe_of(int readers)
{
	struct round *b = b_new(PL_MODEL_STREAM, 2 + readers);

	write_at(b, 0, 1, 0, 10);
	write_at(b, 1, 2, 20, 30);
	return b;
}

RULE(a_stream_in_pieces)
{
	struct round *b = pipe_of(1);

	read_at(b, 2, 40, 50, 30);
	piece(b, 2, 1, 0, 24);
	piece(b, 2, 1, 24, 30);
	read_at(b, 2, 50, 60, 170);
	piece(b, 2, 1, 30, 48);
	piece(b, 2, 1, 48, 100);
	piece(b, 2, 2, 0, 100);
	green(b, "nothing");
}

/* A payload read whole, told in the read's own record. */
static void whole(struct round *b, int who, int n, int64_t inv, int64_t ret)
{
	read_at(b, who, inv, ret, 100);
	b->rec[who][b->n[who] - 1].token = b_token(n);
}

RULE(a_payload_read_whole)
{
	struct round *b = pipe_of(2);

	whole(b, 2, 1, 40, 50);
	whole(b, 3, 2, 45, 60);
	green(b, "nothing");
	b = pipe_of(1);
	whole(b, 2, 1, 40, 50);
	whole(b, 2, 1, 50, 60);
	whole(b, 2, 2, 60, 70);
	red(b, "SHUF");
	b = pipe_of(1);
	whole(b, 2, 1, 40, 50);
	whole(b, 2, 3, 50, 60);
	whole(b, 2, 2, 60, 70);
	red(b, "EXTRA");
	b = pipe_of(1);
	whole(b, 2, 1, 40, 50);
	red(b, "LOST");
	b = pipe_of(1);
	whole(b, 2, 1, 40, 50);
	piece(b, 2, 1, 0, 100); /* told in both ways */
	cr_expect_eq(b_check(b, 0)->outcome, PL_UNKNOWN);
	free(b);
}

RULE(CORRUPT)
{
	struct round *b = pipe_of(1);
	struct pl_more *m;

	read_at(b, 2, 40, 50, 200);
	piece(b, 2, 1, 0, 96);
	m = (struct pl_more *)&b->rec[2][b->n[2]];
	piece(b, 2, 1, 97, 100); /* bytes that are elsewhere in it */
	m->len = 4;
	piece(b, 2, 2, 0, 100);
	red(b, "CORRUPT");
}

RULE(TORN)
{
	struct round *b = pipe_of(1);

	read_at(b, 2, 40, 50, 200);
	piece(b, 2, 1, 0, 48);
	piece(b, 2, 2, 0, 100);
	piece(b, 2, 1, 48, 100);
	red(b, "TORN");
	b = pipe_of(2); /* also when reads overlap, inside one of them */
	read_at(b, 2, 40, 50, 148);
	piece(b, 2, 1, 0, 48);
	piece(b, 2, 2, 0, 100);
	read_at(b, 3, 40, 50, 52);
	piece(b, 3, 1, 48, 100);
	red(b, "TORN");
}

/* A socket may mix what is written at the same time, at any byte; what is lost of it is still lost. */
RULE(a_stream_that_may_be_mixed)
{
	for (int piecemeal = 0; piecemeal < 2; piecemeal++) {
		struct round *b = b_new(PL_MODEL_STREAM, 3);

		for (int i = 0; i < 3; i++)
			b->head[i].caps = piecemeal ? PL_PIECEMEAL : 0;
		write_at(b, 0, 1, 0, 30);
		write_at(b, 1, 2, 0, 30);
		read_at(b, 2, 40, 50, 200);
		piece(b, 2, 1, 0, 48);
		piece(b, 2, 2, 0, 100);
		piece(b, 2, 1, 48, 100);
		if (piecemeal)
			green(b, "TORN");
		else
			red(b, "TORN");
	}
	for (int extra = 0; extra < 2; extra++) { /* a byte that nobody can name */
		struct round *b = b_new(PL_MODEL_STREAM, 4);

		for (int i = 0; i < 3; i++)
			b->head[i].caps = PL_PIECEMEAL;
		write_at(b, 0, 1, 0, 30);
		write_at(b, 1, 2, 0, 30);
		read_at(b, 2, 40, 50, 148);
		piece(b, 2, 1, 0, 48);
		piece(b, 2, 2, 0, 100);
		read_at(b, 3, 45, 55, 52 + extra);
		piece(b, 3, 1, 48, 100);
		if (extra)
			piece(b, 3, 1, 97, 98);
		if (extra)
			red(b, "EXTRA");
		else
			green(b, "EXTRA");
	}
	for (int lost = 0; lost < 2; lost++) {
		struct round *b = b_new(PL_MODEL_STREAM, 3);

		for (int i = 0; i < 3; i++)
			b->head[i].caps = PL_PIECEMEAL;
		write_at(b, 0, 1, 0, 30);
		write_at(b, 1, 2, 0, 30);
		read_at(b, 2, 40, 50, lost ? 148 : 200);
		piece(b, 2, 1, 0, 48);
		piece(b, 2, 2, 0, 100);
		if (!lost)
			piece(b, 2, 1, 48, 100);
		if (lost)
			red(b, "LOST");
		else
			green(b, "LOST");
	}
}

RULE(SHUF)
{
	struct round *b = pipe_of(1);

	read_at(b, 2, 40, 50, 300);
	piece(b, 2, 1, 0, 100);
	piece(b, 2, 1, 0, 100);
	piece(b, 2, 2, 0, 100);
	red(b, "SHUF");
	b = pipe_of(1);
	read_at(b, 2, 40, 50, 152);
	piece(b, 2, 1, 48, 100);
	piece(b, 2, 2, 0, 100);
	red(b, "SHUF");
}

RULE(EXTRA)
{
	for (int failed = 0; failed < 2; failed++) {
		struct round *b = b_new(PL_MODEL_STREAM, 2);

		write_at(b, 0, 1, 0, 10);
		if (failed)
			b_fail(&b->rec[0][0], EINTR);
		read_at(b, 1, 20, 30, 100);
		piece(b, 1, 1, 0, 100);
		(failed ? red : green)(b, "EXTRA");
	}
}

RULE(EARLY)
{
	for (int64_t at = 0; at <= 40; at += 40) {
		struct round *b = b_new(PL_MODEL_STREAM, 2);

		write_at(b, 0, 1, at, 50);
		read_at(b, 1, 0, 30, 100);
		piece(b, 1, 1, 0, 100);
		(at ? red : green)(b, "EARLY");
	}
}

RULE(ORDER)
{
	for (int64_t second = 10; second <= 20; second += 10) {
		struct round *b = b_new(PL_MODEL_STREAM, 3);

		write_at(b, 0, 1, 0, 10);
		write_at(b, 1, 2, second, 30);
		read_at(b, 2, 40, 50, 200);
		piece(b, 2, 2, 0, 100);
		piece(b, 2, 1, 0, 100);
		(second == 20 ? red : green)(b, "ORDER");
	}
}

/* The first write of 1 took one byte, and its place was before 2. What comes before the rest of 1 looks the same, and is
 * the first byte of 3. Of a first write of 50 bytes the same reading is a contradiction. */
RULE(a_first_byte_of_somebody_else)
{
	for (int64_t first = 1; first <= 50; first += 49) {
		struct round *b = b_new(PL_MODEL_STREAM, 4);
		struct pl_rec *rest;

		write_at(b, 0, 1, 0, 10);
		b->rec[0][0].ret = first;
		write_at(b, 1, 2, 20, 30);
		write_at(b, 2, 3, 32, 35);
		b->rec[2][0].ret = 1;
		write_at(b, 0, 1, 36, 39);
		rest = &b->rec[0][1];
		rest->aux = (uint64_t)first, rest->ret = 100 - first,
		rest->len = (uint32_t)rest->ret;
		read_at(b, 3, 40, 50, 201);
		piece(b, 3, 1, 0, 1);
		piece(b, 3, 2, 0, 100);
		piece(b, 3, 1, 0, 100);
		(first == 1 ? green : red)(b, "ORDER");
	}
}

RULE(LOST)
{
	for (int killed = 0; killed < 2; killed++) {
		struct round *b = pipe_of(2);

		read_at(b, 2, 40, 50, 100);
		piece(b, 2, 1, 0, 100);
		if (killed) {
			b_pend(b_take(b, 3, 0, 60, 0));
			b_kill(b, 3, 70, 80);
		}
		(killed ? green : red)(b, "LOST");
	}
}

RULE(STALE)
{
	for (int good = 0; good < 2; good++) {
		struct round *b = pipe_of(1);

		if (!good)
			read_at(b, 2, 32, 36, 0); /* both payloads are inside */
		read_at(b, 2, 40, 50, 200);
		piece(b, 2, 1, 0, 100);
		piece(b, 2, 2, 0, 100);
		if (good)
			read_at(b, 2, 60, 70, 0);
		(good ? green : red)(b, "STALE");
	}
}

/* Nothing is inside from the end of the read on. */
static struct round *narrow(int64_t from, int64_t other)
{
	struct round *b = b_new(PL_MODEL_STREAM, 4);

	write_at(b, 0, 1, 0, 10);
	whole(b, 3, 1, 10, 20);
	b_fail(b_put(b, 1, 2, from, 40), EAGAIN);
	if (other)
		write_at(b, 2, 3, other, 70), whole(b, 3, 3, 70, 80);
	return b;
}

RULE(BADFULL_of_an_empty_stream)
{
	struct round *b = narrow(25, 43);

	red(narrow(25, 0), "BADFULL");
	green(narrow(20, 0), "BADFULL"); /* equal stamps: it may have been before the read */
	green(narrow(25, 30), "BADFULL");
	cr_expect_eq(b_check(b, 2)->outcome, PL_VIOLATED);
	cr_expect_eq(b->v.slack_ns, 3, "%lld", (long long)b->v.slack_ns);
	b->head[0].flags |= PL_HIST_ALTERED;
	green(b, "BADFULL");
	green(late(narrow(25, 0)), "BADFULL");
}

RULE(OVERCAP_of_a_stream)
{
	for (uint32_t pages = 1; pages <= 2; pages++) {
		struct round *b = pipe_of(1);

		b->head[0].capacity = pages, b->head[0].grain = 128;
		whole(b, 2, 1, 40, 50);
		whole(b, 2, 2, 50, 60);
		(pages == 1 ? red : green)(b, "OVERCAP");
	}
}

/* A write took no more than the first 22 bytes, too few to name their payload. They are known when the rest is read,
 * but were gone when the pipe was found empty in between; or they were not, if only then they are read. */
RULE(bytes_that_are_named_late_were_read_when_they_were)
{
	for (int at_once = 0; at_once < 2; at_once++) {
		struct round *b = b_new(PL_MODEL_STREAM, 2);

		write_at(b, 0, 1, 0, 10);
		b->rec[0][0].ret = 22;
		if (!at_once) {
			read_at(b, 1, 20, 30, 22);
			piece(b, 1, 1, 0, 22);
		}
		b_fail(b_take(b, 1, 0, 40, 50), EAGAIN)->token = 0;
		write_at(b, 0, 1, 60, 70);
		b->rec[0][1].aux = 22, b->rec[0][1].len = b->rec[0][1].ret = 78;
		read_at(b, 1, 80, 90, at_once ? 100 : 78);
		if (!at_once)
			piece(b, 1, 1, 22, 24);
		piece(b, 1, 1, at_once ? 0 : 24, 100);
		(at_once ? red : green)(b, "VWIT");
	}
}

/* Four bytes that nobody wrote; or the first of a large write, which was cut there and is stamped too late. */
RULE(bytes_of_a_large_write_that_is_stamped_late)
{
	for (int late = 15; late <= 25; late += 5) {
		struct round *b = b_new(PL_MODEL_STREAM, 3);

		write_at(b, 0, 1, 0, 10);
		read_at(b, 2, 20, 30, 104);
		piece(b, 2, 2, 0, 4);
		piece(b, 2, 1, 0, 100);
		write_at(b, 1, 2, 30 + late, 70);
		b->rec[1][0].len = b->rec[1][0].ret = 5000;
		cr_expect_eq(b_check(b, 20)->outcome, late > 20 ? PL_VIOLATED : PL_UNKNOWN,
			"%d late: %s", late, b->v.text);
		red(b, "CORRUPT");
	}
}
