/* SPDX-License-Identifier: MIT
 *
 * Histories that are nearly right: a made-up world whose dice are the input's bytes, then edits. Some edits leave it
 * right, and then no finding is allowed: an operation may always have begun earlier or ended later than it did, and a
 * death may have come before its last operation returned.
 */
#include "fuzz_history.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

enum { OPS = 48, NOTES = 24 };

struct feed {
	const uint8_t *at, *end;
};

static uint64_t byte(void *arg)
{
	struct feed *f = arg;

	return f->at < f->end ? *f->at++ : 0;
}

static struct pl_rec *pick(struct world *w, struct feed *f)
{
	uint64_t who = byte(f) % (uint64_t)w->actors;

	return w->n[who] ? &w->rec[who][byte(f) % w->n[who]] : &w->rec[w->actors][0];
}

static struct pl_rec *note(struct world *w, enum pl_control_op op, uint64_t token, int64_t t)
{
	struct pl_rec *r = &w->rec[w->actors][w->n[w->actors]];

	if (w->n[w->actors] == NOTES)
		return r;
	*r = (struct pl_rec){ .seq = (uint32_t)w->n[w->actors]++,
		.actor = PL_CONTROL,
		.op = (uint8_t)op,
		.state = PL_INFO,
		.t_invoke = t,
		.t_return = t,
		.token = token };
	return r;
}

/* ---- edits that leave a history right ---- */

static void widen(struct world *w, struct feed *f)
{
	uint64_t who = byte(f) % (uint64_t)w->actors;
	struct pl_rec *last = w->n[who] ? &w->rec[who][w->n[who] - 1] : NULL;

	if (last && last->state == PL_OK)
		last->t_return += (int64_t)byte(f) * 8;
	if (last)
		w->rec[who][0].t_invoke -= (int64_t)byte(f) % (w->rec[who][0].t_invoke + 1);
}

static void die(struct world *w, struct feed *f)
{
	uint64_t who = byte(f) % (uint64_t)w->actors;
	struct pl_rec *last = w->n[who] ? &w->rec[who][w->n[who] - 1] : NULL;

	if (!last || last->state != PL_OK)
		return;
	last->state = PL_INVOKED;
	last->t_return = last->ret = 0;
	note(w, PL_OP_KILL, who, w->now + 1000);
	note(w, PL_OP_REAP, who, w->now + 1000 + (int64_t)byte(f));
}

/* ---- edits that may not ---- */

static void swap_tokens(struct world *w, struct feed *f)
{
	struct pl_rec *a = pick(w, f), *b = pick(w, f);
	uint64_t token = a->token, aux = a->aux;

	a->token = b->token, a->aux = b->aux;
	b->token = token, b->aux = aux;
}

static void copy_token(struct world *w, struct feed *f)
{
	pick(w, f)->token = pick(w, f)->token;
}

static void number(struct world *w, struct feed *f)
{
	struct pl_rec *r = pick(w, f);

	switch (byte(f) % 6) {
	case 0:
		r->aux += byte(f) - 2;
		break;
	case 1:
		r->len += (uint32_t)byte(f) - 2;
		break;
	case 2:
		r->ret += (int64_t)byte(f) - 2;
		break;
	case 3:
		r->sum = (uint32_t)byte(f);
		break;
	case 4:
		r->op = (uint8_t)byte(f) % 8;
		break;
	default:
		r->token ^= (uint64_t)byte(f) << 8 * (byte(f) % 8);
	}
}

static void failure(struct world *w, struct feed *f)
{
	static const int errs[] = { EAGAIN, ETIMEDOUT, EOWNERDEAD, EBUSY, EPERM, ENOTRECOVERABLE,
		EDEADLK, ENOMSG, EPIPE, EINTR, EACCES, EOVERFLOW, EIO };
	struct pl_rec *r = pick(w, f);

	if (r->state != PL_OK && r->state != PL_FAIL)
		return;
	r->state = PL_FAIL, r->ret = -1;
	r->err = errs[byte(f) % (sizeof errs / sizeof *errs)];
}

/* Narrower, or with an instant shared with another's: where rules about equal stamps live. */
static void stamps(struct world *w, struct feed *f)
{
	struct pl_rec *a = pick(w, f), *b = pick(w, f);
	uint64_t how = byte(f);

	if (a->state == PL_MORE || b->state == PL_MORE || a->actor == PL_CONTROL || a == b)
		return;
	if (how % 4 == 0)
		a->t_invoke += (a->t_return - a->t_invoke) * (int64_t)(how / 4) / 64;
	else if (how % 4 == 1)
		a->t_return -= (a->t_return - a->t_invoke) * (int64_t)(how / 4) / 64;
	else if (how % 4 == 2 && b->t_return > a->t_invoke && b->t_return < a->t_return)
		a->t_return = b->t_return;
	else if (b->t_invoke > a->t_invoke && b->t_invoke < a->t_return)
		a->t_invoke = b->t_invoke;
}

static void drop(struct world *w, struct feed *f)
{
	uint64_t who = byte(f) % (uint64_t)w->actors, at;

	if (w->n[who] == 0)
		return;
	at = byte(f) % w->n[who]--;
	memmove(&w->rec[who][at], &w->rec[who][at + 1], (w->n[who] - at) * sizeof **w->rec);
	for (; at < w->n[who]; at++)
		w->rec[who][at].seq = (uint32_t)at;
}

static void extent(struct world *w, struct feed *f)
{
	struct pl_more *m = (struct pl_more *)pick(w, f);

	if (m->state != PL_MORE)
		return;
	m->kind = (uint8_t)byte(f) % 4;
	m->len = (uint32_t)byte(f);
	m->offset = (uint32_t)byte(f);
	m->total = (uint32_t)byte(f) + m->len;
}

static void tell(struct world *w, struct feed *f)
{
	static const uint8_t op[] = { PL_OP_KILL, PL_OP_REAP, PL_OP_LEVEL, PL_OP_ASLEEP, PL_OP_KICK,
		PL_OP_DRAIN, PL_OP_STOP, PL_OP_CONT };
	struct pl_rec *r = note(w, op[byte(f) % sizeof op], byte(f) % 8, pick(w, f)->t_invoke);

	r->ret = (int64_t)byte(f);
	r->aux = byte(f);
	r->t_return += (int64_t)byte(f);
}

static void heads(struct world *w, struct feed *f)
{
	static const uint32_t caps[] = { PL_ROBUST, PL_LOWEST, PL_OWNED, PL_FREED, PL_LATE,
		PL_INHERIT, PL_PIECEMEAL, PL_LOSSY };
	uint64_t flags = byte(f), set = byte(f), capacity = byte(f);

	for (int i = 0; i <= w->actors; i++) {
		w->head[i]->caps = 0;
		w->head[i]->capacity = capacity % 12;
		for (int k = 0; k < 8; k++)
			w->head[i]->caps |= set >> k & 1 ? caps[k] : 0;
	}
	w->head[w->actors]->flags = (uint32_t)flags & ~(uint32_t)PL_HIST_FULL;
	w->head[flags % (uint64_t)(w->actors + 1)]->op[flags % 6].number = flags >> 7;
}

static const struct {
	void (*edit)(struct world *w, struct feed *f);
	bool harmless;
} edits[] = { { widen, true }, { die, true }, { swap_tokens, false }, { copy_token, false },
	{ number, false }, { failure, false }, { stamps, false }, { drop, false },
	{ extent, false }, { tell, false }, { heads, false } };

/* Each log just as long as it is: a sanitizer sees the byte after it. */
static void judge(struct world *w, bool right)
{
	struct pl_log logs[WORLD_ACTORS + 1];
	int n = world_logs(w, logs);

	for (int i = 0; i < n; i++) {
		size_t size = logs[i].n * sizeof *logs[i].rec;
		struct pl_rec *rec = malloc(size ? size : 1);

		memcpy(rec, logs[i].rec, size);
		logs[i].rec = rec;
	}
	fuzz_judge(logs, n, right);
	for (int i = 0; i < n; i++)
		free((void *)logs[i].rec);
}

void fuzz_world(const uint8_t *data, size_t size)
{
	struct feed f = { data, data + size };
	struct world w = { .model = (enum pl_model)(byte(&f) % PL_MODELS),
		.actors = 2 + (int)(byte(&f) % 4),
		.ops = OPS,
		.roll = byte,
		.arg = &f };
	uint64_t ops = byte(&f) % (OPS - 1), changes = byte(&f) % 8;
	bool right = true;

	if (world_new(&w)) {
		for (int i = 0; i < 4 * OPS && w.made < ops; i++)
			world_turn(&w);
		while (changes-- > 0) {
			uint64_t kind = byte(&f) % (sizeof edits / sizeof *edits);

			edits[kind].edit(&w, &f);
			right &= edits[kind].harmless;
		}
		judge(&w, right);
	}
	world_free(&w);
}
