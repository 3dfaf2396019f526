/* SPDX-License-Identifier: MIT
 *
 * Rounds made by hand: a few lines a history. Times are small integers, in nanoseconds.
 */
#ifndef PLUMBLINE_CHECK_BUILD_H
#define PLUMBLINE_CHECK_BUILD_H

#include "check/check.h"
#include "hist/payload.h"
#include "hist/rng.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { B_ACTORS = 8, B_RECS = 1024, B_BASE = 1000 };
enum { B_PUT, B_TAKE, B_ACQUIRE, B_RELEASE, B_REPAIR, B_OBSERVE, B_UPDATE, B_EXCEPT };

struct round {
	struct pl_hist_head head[B_ACTORS + 1]; /* the last one is control's */
	struct pl_rec rec[B_ACTORS + 1][B_RECS];
	struct pl_log log[B_ACTORS + 1];
	uint32_t n[B_ACTORS + 1];
	int nactors;
	struct pl_verdict v;
};

static inline struct round *b_new(enum pl_model model, int nactors)
{
	static const struct pl_hist_op op[] = {
		{ "send", PL_PUT, 0, 0 },
		{ "receive", PL_TAKE, 0, 0 },
		{ "lock", PL_ACQUIRE, 0, 0 },
		{ "unlock", PL_RELEASE, 0, 0 },
		{ "consistent", PL_REPAIR, 0, 0 },
		{ "poll", PL_OBSERVE, 0, 0 },
		{ "exchange", PL_UPDATE, 0, 0 },
		{ "except", PL_TAKE, 0, PL_EXCEPT },
	};
	struct round *b = calloc(1, sizeof *b);

	b->nactors = nactors;
	for (int i = 0; i <= nactors; i++) {
		struct pl_hist_head *h = &b->head[i];

		memcpy(h->magic, PL_HIST_MAGIC, 8);
		h->version = PL_HIST_VERSION;
		h->endian = PL_HIST_ENDIAN;
		h->head_size = PL_HIST_HEAD;
		h->rec_size = PL_REC;
		h->seed = 7;
		h->model = model;
		h->nops = sizeof op / sizeof *op;
		memcpy(h->op, op, sizeof op);
		h->actor = i < nactors ? (uint16_t)i : PL_CONTROL;
		h->flags = i < nactors ? 0 : PL_HIST_ENDED | PL_HIST_DRAINED | PL_HIST_EXACT;
	}
	return b;
}

static inline struct pl_rec *b_add(
	struct round *b, int who, int op, int state, int64_t inv, int64_t ret)
{
	struct pl_rec *r = &b->rec[who][b->n[who]];

	r->seq = b->n[who]++;
	r->actor = b->head[who].actor;
	r->op = (uint8_t)op;
	r->state = (uint8_t)state;
	r->t_invoke = B_BASE + inv;
	r->t_return = state == PL_INVOKED ? 0 : B_BASE + ret;
	return r;
}

/* Payload n: its token does not say who sends it, so that histories stay short to write. */
static inline uint64_t b_token(int n)
{
	return pl_token(0, 0, (uint64_t)n);
}

/* Of a range of the first 64 bytes: each is a cell. */
static inline uint64_t b_cells(const struct pl_rec *r)
{
	return (r->len == 0 || r->len >= 64 ? ~0ULL : (1ULL << r->len) - 1) << r->token;
}

static inline struct pl_rec *b_put(struct round *b, int who, int n, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, who, B_PUT, PL_OK, inv, ret);

	r->token = b_token(n);
	r->len = 64;
	return r;
}

static inline struct pl_rec *b_take(struct round *b, int who, int n, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, who, B_TAKE, PL_OK, inv, ret);

	r->token = b_token(n);
	r->ret = 64;
	r->len = 128;
	return r;
}

/* Turns a record into a failure, or into one that never returned. */
static inline struct pl_rec *b_fail(struct pl_rec *r, int err)
{
	r->state = PL_FAIL;
	r->ret = -1;
	r->err = err;
	return r;
}

static inline struct pl_rec *b_pend(struct pl_rec *r)
{
	r->state = PL_INVOKED;
	r->ret = 0;
	r->t_return = 0;
	if (r->op == B_TAKE)
		r->token = 0;
	return r;
}

static inline struct pl_rec *b_control(
	struct round *b, int op, uint64_t token, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, b->nactors, op, PL_INFO, inv, ret);

	r->token = token;
	return r;
}

static inline void b_kill(struct round *b, int who, int64_t kill, int64_t reap)
{
	b_control(b, PL_OP_KILL, (uint64_t)who, kill, kill);
	b_control(b, PL_OP_REAP, (uint64_t)who, reap, reap);
}

static inline void b_logs(struct round *b)
{
	for (int i = 0; i <= b->nactors; i++)
		b->log[i] = (struct pl_log){ &b->head[i], b->rec[i], b->n[i] };
}

/* Stamps may be wrong by so much: ends too early, or begins too late. */
static inline void b_shrink(struct round *b, uint64_t key, int64_t most)
{
	bool ends = pl_rand(key, ~0U) & 1;

	for (int i = 0; i < b->nactors; i++)
		for (uint32_t k = 0; k < b->n[i]; k++) {
			struct pl_rec *r = &b->rec[i][k];
			int64_t room = r->state < PL_OK || r->state > PL_FAIL
					       ? 0
					       : r->t_return - r->t_invoke;
			int64_t by = room > 0 ? pl_rand_range(key, (uint64_t)i << 32 | k, 0,
							room < most ? room : most)
					      : 0;

			r->t_return -= ends ? by : 0;
			r->t_invoke += ends ? 0 : by;
		}
}

static inline const struct pl_verdict *b_check(struct round *b, int64_t clock_error)
{
	b_logs(b);
	pl_check(b->log, b->nactors + 1, clock_error, &b->v);
	return &b->v;
}

static inline const struct pl_verdict *b_check_exact(struct round *b, int64_t clock_error)
{
	b_logs(b);
	pl_check_exact(b->log, b->nactors + 1, clock_error, &b->v);
	return &b->v;
}

/* What is wrong with what the search says of a round that b_check has judged, by its own and as a second
 * opinion; `allowed`: some order explains everything. NULL: nothing. */
static inline const char *b_search(struct round *b, bool allowed)
{
	struct pl_verdict fast = b->v;

	b_check_exact(b, 0);
	if (b->v.outcome == PL_UNKNOWN)
		return "the search gave up";
	if (allowed != (b->v.outcome == PL_HELD))
		return allowed ? "the search accuses what can be explained"
			       : "the search explains what cannot be";
	b->v = fast;
	if (fast.outcome == PL_VIOLATED && !fast.confirmed)
		return "a finding is not confirmed";
	return strcmp(fast.rule, "DISAGREE") ? NULL : "the two judges disagree";
}

#endif
