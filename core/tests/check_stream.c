/* SPDX-License-Identifier: MIT
 *
 * Claim: on random traffic through a byte pipe the stream checker never alarms when the pipe is
 * right, whatever is torn by large writes, short reads, several readers and deaths; and where it is
 * exact (one reader, no deaths, no write that others may interrupt) it notices every fault that is
 * put in.
 */
#include "check_build.h"
#include "check_parts.h"

#include "hist/rng.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/random.h>

enum { ROUNDS = 3000, PIPE = 1 << 15, BUF = 1 << 14 };

enum fault { NONE, FLIP, DROP, DOUBLE, LOSE, TEAR, LIE, BLIND, END, FULL, ROOM, FAULTS };

static const char *const fault_name[] = { "none", "a bit flipped", "a byte dropped",
	"bytes doubled", "a payload lost", "a write torn", "a failed write had effect",
	"EAGAIN with bytes inside", "end of file with bytes inside", "EAGAIN of an empty pipe",
	"EAGAIN with room left" };

struct pipe {
	struct round *b;
	uint64_t key, n;
	unsigned char byte[PIPE];
	int len, cap, begun; /* cap: bytes it holds; begun: writes */
	int64_t t;
	enum fault fault;
	bool done; /* the fault is in */
	bool big, deaths;
	int writers, tokens, left;
	struct pen {
		int phase; /* 0 idle, 1 begun, 2 effect done, 3 dead */
		struct pl_rec *rec;
		unsigned char buf[BUF];
		int total, off; /* writers: the payload; readers: bytes got */
		uint64_t token; /* readers: whether bytes were inside when it began */
		int alone;	/* writers: `begun`, if nobody else was at the pipe then */
		bool full, empty;
	} pen[B_ACTORS];
};

static int draw(struct pipe *p, int lo, int hi)
{
	return (int)pl_rand_range(p->key, p->n++, lo, hi);
}

static bool maybe(struct pipe *p, int percent)
{
	return draw(p, 1, 100) <= percent;
}

static bool spoil(struct pipe *p, enum fault f)
{
	if (p->fault != f || p->done || !maybe(p, 30))
		return false;
	p->done = true;
	return true;
}

static void push(struct pipe *p, const unsigned char *bytes, int n)
{
	memcpy(p->byte + p->len, bytes, (size_t)n);
	p->len += n;
}

/* No write is under way, and what was read has been told. */
static bool quiet(const struct pipe *p)
{
	bool is = true;

	for (int i = 0; i < p->b->nactors; i++)
		is &= p->pen[i].phase == 0 || p->pen[i].phase == 3 ||
		      (p->pen[i].phase == 1 && i >= p->writers);
	return is;
}

static void begin_write(struct pipe *p, int who)
{
	struct pen *w = &p->pen[who];

	w->full = false;
	w->alone = quiet(p) ? p->begun + 1 : 0;
	w->empty = p->len == 0;
	p->begun++;
	w->total = p->big && maybe(p, 20) ? draw(p, 4097, 9000) : draw(p, 24, 160);
	w->off = 0;
	w->token = pl_token((unsigned)who, 0, (uint64_t)++p->tokens);
	pl_payload_fill(w->buf, 7, w->token, 0, (size_t)w->total, (size_t)w->total);
	w->rec = b_add(p->b, who, B_PUT, PL_INVOKED, p->t, 0);
	w->rec->token = w->token;
	w->rec->len = (uint32_t)w->total;
	w->phase = 1;
	p->left--;
}

static void begin_read(struct pipe *p, int who)
{
	struct pen *r = &p->pen[who];

	r->rec = b_add(p->b, who, B_TAKE, PL_INVOKED, p->t, 0);
	r->rec->len = (uint32_t)(maybe(p, 30) ? draw(p, 1, 30) : draw(p, 100, p->big ? BUF : 1000));
	r->phase = 1;
	r->off = -1;
	r->token = p->len > 0; /* bytes are inside for certain: no write is under way */
	for (int i = 0; i < p->writers; i++)
		r->token &= p->pen[i].phase == 0;
}

static void tear(struct pipe *p, struct pen *w)
{
	int at = draw(p, 1, w->total - 1);
	const unsigned char other = 0x5a;

	push(p, w->buf, at);
	push(p, &other, 1);
	push(p, w->buf + at, w->total - at);
}

/* With room left: of each writer a payload that was read in part may seem to have all its bytes inside still. */
static bool falsely_full(struct pipe *p, const struct pen *w, int n)
{
	if (w->empty)
		return spoil(p, FULL);
	return p->len + 160 * p->writers + n <= p->cap && spoil(p, ROOM);
}

/* Perhaps less than would fit: room is not counted in bytes alone. */
static bool finds_no_room(struct pipe *p, struct pen *w, int n)
{
	bool tight = p->len > 0 && p->len + n > p->cap;

	if (w->off == 0 && (tight ? maybe(p, 30) : w->alone == p->begun && falsely_full(p, w, n))) {
		w->full = true;
		w->phase = 2;
	}
	return w->full || tight;
}

static void write_effect(struct pipe *p, struct pen *w)
{
	int n = w->total - w->off;

	if (p->len + n > PIPE - 100)
		return;
	if (n > 4096) /* large writes go in piece by piece; others may come between */
		n = draw(p, 1, n);
	if (finds_no_room(p, w, n))
		return;
	if (n <= 4096 && w->off == 0 && n == w->total && spoil(p, TEAR)) {
		tear(p, w);
	} else if (w->off == 0 && n == w->total && spoil(p, LOSE)) {
		/* nothing comes out of it */
	} else {
		push(p, w->buf + w->off, n);
		if (spoil(p, DROP))
			p->len--;
		else if (spoil(p, FLIP))
			p->byte[p->len - 1 - draw(p, 0, n - 1)] ^=
				(unsigned char)(1 << draw(p, 0, 7));
		else if (n >= 24 && spoil(p, DOUBLE))
			push(p, w->buf + w->off, n);
	}
	w->off += n;
	if (w->off == w->total)
		w->phase = 2;
}

static void read_effect(struct pipe *p, struct pen *r)
{
	int n = (int)r->rec->len < p->len ? (int)r->rec->len : p->len;

	if (n > 0 && r->token && (spoil(p, BLIND) || spoil(p, END)))
		n = p->fault == BLIND ? 0 : -1;
	if (n == 0 && !(p->done && p->fault == BLIND) && maybe(p, 70))
		return; /* waits on */
	r->off = n;
	if (n > 0) {
		memcpy(r->buf, p->byte, (size_t)n);
		memmove(p->byte, p->byte + n, (size_t)(p->len - n));
		p->len -= n;
	}
	r->phase = 2;
}

static void log_pieces(struct pipe *p, int who, const unsigned char *buf, size_t len)
{
	struct pl_piece piece;
	size_t at = 0;

	for (; pl_payload_piece(buf, len, at, 7, &piece); at = piece.at + piece.len) {
		size_t left = piece.len, from = piece.at;

		while (left > 0) {
			struct pl_more *m = (struct pl_more *)&p->b->rec[who][p->b->n[who]];
			size_t n = piece.kind == PL_FRAGMENT && left > sizeof m->raw ? sizeof m->raw
										     : left;

			*m = (struct pl_more){ .seq = p->b->n[who]++, .state = PL_MORE };
			m->kind = (uint8_t)piece.kind;
			m->len = (uint32_t)n;
			m->token = piece.token;
			m->offset = (uint32_t)piece.offset;
			m->total = (uint32_t)piece.total;
			if (piece.kind != PL_EXTENT)
				memcpy(m->raw, buf + from, n < sizeof m->raw ? n : sizeof m->raw);
			left -= n;
			from += n;
		}
	}
}

static void end(struct pipe *p, int who)
{
	struct pen *x = &p->pen[who];
	struct pl_rec *r = x->rec;

	r->t_return = B_BASE + p->t;
	r->state = PL_OK;
	x->phase = 0;
	if (r->op == B_PUT) {
		r->ret = x->off;
		if (x->full)
			b_fail(r, EAGAIN);
		else if (x->off == 0 || (x->total <= 4096 && spoil(p, LIE)))
			b_fail(r, EINTR);
	} else if (x->off == 0) {
		b_fail(r, EAGAIN);
	} else if (x->off > 0) {
		r->ret = x->off;
		if (x->off <= PL_ATOMIC && maybe(p, 50))
			r->token = pl_payload_token(x->buf, (size_t)x->off, 7);
		if (!r->token) /* one whole payload may be told either way */
			log_pieces(p, who, x->buf, (size_t)x->off);
	}
}

static void die(struct pipe *p, int who)
{
	b_control(p->b, PL_OP_KILL, (uint64_t)who, p->t, p->t);
	p->t += draw(p, 0, 3);
	b_control(p->b, PL_OP_REAP, (uint64_t)who, p->t, p->t);
	p->pen[who].phase = 3;
}

static void tick(struct pipe *p)
{
	int who = draw(p, 0, p->b->nactors - 1);
	struct pen *x = &p->pen[who];

	p->t += draw(p, p->fault != NONE, 3); /* equal stamps would excuse some faults */
	if (p->b->n[who] > B_RECS - 500)
		return;
	if (p->deaths && x->phase > 0 && x->phase < 3 && who > 0 && maybe(p, 4))
		die(p, who);
	else if (x->phase == 0 && who < p->writers && p->left > 0)
		begin_write(p, who);
	else if (x->phase == 0 && who >= p->writers && p->left > 0)
		begin_read(p, who);
	else if (x->phase == 1 && x->rec->op == B_PUT) {
		write_effect(p, x);
		if (x->full && x->alone == p->begun) /* before anybody can be in the way */
			end(p, who);
	} else if (x->phase == 1)
		read_effect(p, x);
	else if (x->phase == 2)
		end(p, who);
}

static void drain(struct pipe *p)
{
	bool kicked[B_ACTORS] = { 0 };

	for (int who = 0; who < p->b->nactors; who++)
		for (int i = 0; i < 99 && p->pen[who].phase > 0 && p->pen[who].phase < 3; i++) {
			p->t += 1;
			if (p->pen[who].phase == 2) {
				end(p, who);
				if (kicked[who] && p->pen[who].rec->state == PL_FAIL)
					p->pen[who].rec->err = EINTR; /* it saw nothing */
			} else if (p->pen[who].rec->op == B_PUT && p->len < PIPE - 9100 && i < 50) {
				write_effect(p, &p->pen[who]);
			} else {
				kicked[who] = true;
				if (p->pen[who].rec->op == B_TAKE)
					p->pen[who].off = 0;
				p->pen[who].phase = 2;
			}
		}
	p->t += 5;
	b_control(p->b, PL_OP_DRAIN, 0, p->t, p->t);
	while (p->len > 0) { /* actor 0 never dies */
		begin_read(p, 0);
		p->pen[0].rec->len = 100 + (uint32_t)draw(p, 0, 4000);
		p->t += 2;
		do
			read_effect(p, &p->pen[0]);
		while (p->pen[0].phase == 1);
		end(p, 0);
	}
}

static bool wedged(const struct pipe *p)
{
	for (int who = 0; who < p->b->nactors; who++)
		if ((p->pen[who].phase > 0 && p->pen[who].phase < 3) || p->b->n[who] > B_RECS - 500)
			return true;
	return false;
}

static struct pipe *make(uint64_t key, enum fault fault, int readers, bool deaths, bool big)
{
	struct pipe *p = calloc(1, sizeof *p);

	*p = (struct pipe){ .key = key, .fault = fault, .t = 1, .deaths = deaths, .big = big };
	p->writers = draw(p, 1, 3);
	p->left = draw(p, 10, 40);
	p->cap = maybe(p, 50) ? draw(p, 200, 2000) : PIPE;
	p->b = b_new(PL_MODEL_STREAM, p->writers + readers);
	for (int i = 0; i < p->b->nactors && !big; i++)
		p->b->head[i].capacity = (uint64_t)p->cap, p->b->head[i].grain = 1;
	for (int i = 0; i < 3000 && p->left > 0; i++)
		tick(p);
	drain(p);
	return p;
}

static uint64_t fresh(void)
{
	uint64_t seed = 1;

	(void)!getrandom(&seed, sizeof seed, 0);
	return seed;
}

static void no_alarm(uint64_t seed, int readers, bool deaths, bool big)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct pipe *p = make(pl_rand(seed, (uint64_t)i), NONE, readers, deaths, big);

		if (!wedged(p)) {
			b_check(p->b, 0);
			cr_assert_eq(p->b->v.outcome, PL_HELD, "key 0x%llx readers %d: %s %s",
				(unsigned long long)pl_rand(seed, (uint64_t)i), readers,
				p->b->v.rule, p->b->v.text);
			b_assert_parts(p->b, p->key);
			b_shrink(p->b, p->key, 20);
			cr_assert_neq(b_check(p->b, 20)->outcome, PL_VIOLATED,
				"key 0x%llx readers %d, by a late clock: %s %s",
				(unsigned long long)p->key, readers, p->b->v.rule, p->b->v.text);
		}
		free(p->b);
		free(p);
	}
}

Test(check_stream, a_right_pipe_is_never_accused)
{
	for (int turn = 0; turn < 2; turn++) {
		uint64_t seed = turn ? fresh() : 0x5eed04;

		no_alarm(seed, 1, false, false);
		no_alarm(seed, 1, true, true);
		no_alarm(seed, 2, true, false);
		no_alarm(seed, 3, true, true);
	}
}

static void faults(enum fault f, int readers, bool deaths, bool big, int *ret_in, int *ret_caught,
	uint64_t *ret_missed)
{
	*ret_in = *ret_caught = 0;
	for (int i = 0; i < ROUNDS / 8; i++) {
		uint64_t key = pl_rand(0x5eed05 + (uint64_t)f, (uint64_t)i);
		struct pipe *p = make(key, f, readers, deaths, big);

		if (p->done && !wedged(p)) {
			(*ret_in)++;
			if (b_check(p->b, 0)->outcome == PL_VIOLATED)
				(*ret_caught)++;
			else
				*ret_missed = key;
		}
		free(p->b);
		free(p);
	}
}

Test(check_stream, each_fault_is_noticed)
{
	for (int f = FLIP; f < FAULTS; f++) {
		int in, caught;
		uint64_t missed = 0;

		faults((enum fault)f, 1, false, false, &in, &caught, &missed);
		cr_expect_gt(in, ROUNDS / 40, "%s: put in only %d times", fault_name[f], in);
		/* where others may interrupt a write, bytes do not tell whose places are free */
		cr_expect(caught * 4 >= in * (f == ROOM ? 3 : 4),
			"%s: caught %d of %d, missed key 0x%llx", fault_name[f], caught, in,
			(unsigned long long)missed);
		faults((enum fault)f, 2, true, true, &in, &caught, &missed);
		fprintf(stderr, "%s: with two readers, deaths and large writes caught %d of %d\n",
			fault_name[f], caught, in);
	}
}
