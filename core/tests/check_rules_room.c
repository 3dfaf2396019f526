/* SPDX-License-Identifier: MIT
 *
 * Claim: what holds too much, what is full with room, and an end that is missed although somebody has it are
 * accused; the same histories pass once that is taken out of them.
 */
#include "check_rules.h"

static struct round *full(enum pl_model model, int puts, bool fails)
{
	struct round *b = b_new(model, 2);

	b->head[0].capacity = b->head[1].capacity = 2;
	for (int i = 0; i < puts; i++)
		b_put(b, 0, 1 + i, 10 * i, 10 * i + 10);
	if (fails)
		b_fail(b_put(b, 0, 9, 50, 60), EAGAIN);
	for (int i = 0; i < puts; i++)
		b_take(b, 1, 1 + i, 100 + 10 * i, 110 + 10 * i);
	return b;
}

RULE(OVERCAP)
{
	red(full(PL_MODEL_FIFO, 3, false), "OVERCAP");
	green(full(PL_MODEL_FIFO, 2, false), "OVERCAP");
}

RULE(BADFULL)
{
	red(full(PL_MODEL_PRIORITY, 1, true), "BADFULL");
	green(full(PL_MODEL_PRIORITY, 2, true), "BADFULL");
	red(full(PL_MODEL_FIFO, 1, true), "BADFULL");
	green(full(PL_MODEL_FIFO, 2, true), "BADFULL");
}

/* Of a capacity that is not known only this is: what is empty has room. */
RULE(BADFULL_of_the_empty)
{
	for (int caps = 0; caps <= PL_LATE; caps += PL_LATE)
		for (int puts = 0; puts < 2; puts++) {
			struct round *b = full(PL_MODEL_FIFO, puts, true);
			struct round *other = full(PL_MODEL_FIFO, 0, true);

			for (int i = 0; i <= b->nactors; i++) {
				b->head[i].capacity = other->head[i].capacity = 0;
				b->head[i].caps = other->head[i].caps = (uint32_t)caps;
			}
			(caps == 0 && puts == 0 ? red : green)(b, "BADFULL");
			/* another that fails in the end may have had the room meanwhile */
			b_fail(b_put(other, 1, 8, 55, 70), EINTR);
			green(other, "BADFULL");
		}
}

/* Places of eight bytes: 64 bytes fill eight of them. */
RULE(capacity_in_bytes)
{
	for (uint32_t capacity = 15; capacity <= 24; capacity++)
		for (int fails = 0; fails < 2; fails++) {
			struct round *b = full(PL_MODEL_FIFO, 2, fails);

			for (int i = 0; i <= b->nactors; i++)
				b->head[i].capacity = capacity, b->head[i].grain = 8;
			if (capacity < 16)
				red(b, "OVERCAP");
			else if (fails && capacity == 24)
				red(b, "BADFULL");
			else
				green(b, "capacity in bytes");
		}
}

/* Something that no model knows of was done to the object: a pipe that was resized, say. */
RULE(capacity_of_an_altered_object)
{
	struct round *b = full(PL_MODEL_FIFO, 3, false), *c = full(PL_MODEL_PRIORITY, 1, true);

	for (int i = 0; i < 3; i++)
		b->head[i].flags |= PL_HIST_ALTERED, c->head[i].flags |= PL_HIST_ALTERED;
	green(b, "OVERCAP");
	green(c, "BADFULL");
}

/* Control has both ends until `released`: whoever dies, somebody is there. */
static struct round *ends(bool eof, bool open, int64_t released)
{
	struct round *b = b_new(PL_MODEL_FIFO, 2);

	for (int end = 0; end < 2 && open; end++)
		b_control(b, PL_OP_OPEN, PL_CONTROL, 0, 0)->aux = (uint64_t)end;
	if (released)
		b_control(b, PL_OP_RELEASE, PL_CONTROL, released, released)->aux = eof;
	b_put(b, 0, 1, 0, 10);
	b_take(b, 1, 1, 10, 20);
	if (eof)
		b_take(b, 1, 2, 20, 30)->ret = 0;
	else
		b_fail(b_put(b, 0, 2, 20, 30), EPIPE);
	b->rec[1][eof].token = eof ? 0 : b->rec[1][eof].token;
	return b;
}

RULE(ends)
{
	for (int eof = 0; eof < 2; eof++) {
		const char *rule = eof ? "BADEOF" : "BADPIPE";

		red(ends(eof, true, 0), rule);
		red(ends(eof, true, 31), rule);
		green(ends(eof, true, 30), rule);
		green(ends(eof, true, 5), rule);
		green(ends(eof, false, 0), rule);
	}
	for (uint32_t len = 0; len <= 64; len += 64) { /* no bytes: what was taken may be that */
		struct round *b = ends(true, true, 0);

		b_put(b, 0, 3, 15, 25)->len = len;
		if (len)
			b_take(b, 1, 3, 30, 40);
		(len ? red : green)(b, "BADEOF");
	}
}

/* Actor 0 has `end` alone, and is dead from 25 on; actor 1 does this to the other one from 20 or from 30 on. */
static struct round *bereft(int op, int end, int err, int64_t since)
{
	struct round *b = b_new(PL_MODEL_NONE, 2);
	struct pl_rec *r;

	b->head[2].flags |= PL_HIST_HELD;
	b_control(b, PL_OP_OPEN, 0, 0, 0)->aux = (uint64_t)end;
	b_control(b, PL_OP_OPEN, 1, 0, 0)->aux = (uint64_t)!end;
	b_kill(b, 0, 10, 25);
	r = b_add(b, 1, op, PL_OK, since, 40);
	r->len = 64;
	if (err)
		b_fail(r, err);
	return b;
}

RULE(NOEOF)
{
	for (int64_t since = 20; since <= 30; since += 10) {
		struct round *b = bereft(B_TAKE, 1, EAGAIN, since);

		b->head[2].flags &= ~(uint32_t)PL_HIST_HELD;
		green(b, "not all who have it are known");
		(since == 30 ? red : green)(bereft(B_TAKE, 1, EAGAIN, since), "NOEOF");
		green(bereft(B_TAKE, 1, 0, since), "end of file");
		b = bereft(B_TAKE, 1, EAGAIN, since);
		b_control(b, PL_OP_OPEN, PL_CONTROL, 0, 0)->aux = 1;
		b_control(b, PL_OP_RELEASE, PL_CONTROL, 10, 35)->aux = 1;
		green(b, "control may still have it");
	}
	for (int64_t seen = 20; seen <= 30; seen += 10) {
		struct round *b = bereft(B_TAKE, 1, 0, 15);

		b_pend(&b->rec[1][0]);
		b_control(b, PL_OP_ASLEEP, 1, seen, seen)->aux = 0;
		b_kill(b, 1, 50, 60);
		(seen == 30 ? red : green)(b, "NOEOF");
	}
}

RULE(NOPIPE)
{
	static const int err[] = { 0, EAGAIN, EPIPE };

	for (int64_t since = 20; since <= 30; since += 10)
		for (int i = 0; i < 3; i++)
			(since == 30 && i < 2 ? red : green)(
				bereft(B_PUT, 0, err[i], since), "NOPIPE");
}

/* A stream of three places of 64 bytes: two writes of so many, of which the first may have been read when one more
 * finds no room. */
RULE(BADFULL_of_places)
{
	for (uint32_t len = 64; len <= 65; len++)
		for (int64_t read = 30; read <= 60; read += 30)
			for (uint32_t more = 64; more <= 192; more += 64) {
				struct round *b = b_new(PL_MODEL_STREAM, 3);
				bool left =
					(read == 30 ? 1 : 2) * (len > 64 ? 2 : 1) + more / 64 <= 3;

				for (int i = 0; i <= b->nactors; i++)
					b->head[i].capacity = 3, b->head[i].grain = 64;
				for (int i = 1; i <= 2; i++) {
					struct pl_rec *r = b_put(b, 0, i, 10 * i - 10, 10 * i);

					r->len = len, r->ret = len;
				}
				b_take(b, 1, 1, read, read + 10)->ret = len;
				b_fail(b_put(b, 2, 3, 45, 55), EAGAIN)->len = more;
				b_take(b, 1, 2, 80, 90)->ret = len;
				(left ? red : green)(b, "BADFULL");
			}
}
