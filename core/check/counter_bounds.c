/* SPDX-License-Identifier: MIT
 *
 * How much could be there at most and at least, from moment to moment. At most: all that anybody
 * had begun to put, less what had been taken. At least: what had been put, less all that anybody had
 * begun to take. Sound, and nearly complete: counter_search.c
 * finds the rest.
 */
#include "counter.h"

struct bounds {
	struct pl_count_round *t;
	int64_t lo, hi;
	uint32_t n; /* who waits for a value, in t->out */
	uint32_t
		ghosts; /* takers of all, under way, of unknown result: nothing is certain to be there */
};

static int64_t least(const struct bounds *b)
{
	return b->ghosts > 0 || b->lo < 0 ? 0 : b->lo;
}

static bool possible(const struct bounds *b, const struct pl_count_op *o)
{
	switch (o->kind) {
	case PL_ALL: /* what it took itself is no more in lo, still in hi */
		return (b->ghosts > 0 || b->lo <= 0) && b->hi >= o->k;
	case PL_LESS:
		return least(b) < o->k && b->hi >= 0;
	case PL_IS:
		return least(b) <= o->k && o->k <= b->hi;
	default:
		return b->hi > b->t->cap - o->k;
	}
}

/* Between two events: whom does what is possible now satisfy? */
static void settle(struct bounds *b)
{
	struct pl_count_round *t = b->t;

	for (uint32_t k = 0; k < b->n;) {
		struct pl_count_op *o = &t->op[t->out[k]];

		if (o->kind == PL_ALL &&
			o->maybe) { /* it took no more than there ever was meanwhile */
			o->k = b->hi > o->k ? b->hi : o->k;
			k++;
		} else if (possible(b, o)) {
			o->done = 1;
			t->out[k] = t->out[--b->n];
			t->op[t->out[k]].at = k;
		} else {
			k++;
		}
	}
}

static void forget(struct bounds *b, const struct pl_count_op *o)
{
	uint32_t last = b->t->out[--b->n];

	b->t->out[o->at] = last;
	b->t->op[last].at = o->at;
}

static void begin(struct bounds *b, uint32_t i)
{
	struct pl_count_op *o = &b->t->op[i];

	o->done = 0;
	if (o->kind == PL_ADD)
		b->hi += o->k;
	else if (o->kind == PL_SUB || (o->kind == PL_ALL && !o->maybe))
		b->lo -= o->k;
	if (o->kind < PL_ALL)
		return;
	if (o->kind == PL_ALL && o->maybe)
		b->ghosts++, o->k = 0;
	o->at = b->n;
	b->t->out[b->n++] = i;
}

static const char *end(struct bounds *b, uint32_t i)
{
	struct pl_count_op *o = &b->t->op[i];
	const char *rule = NULL;

	if (o->kind == PL_ADD && !o->maybe) {
		b->lo += o->k;
		return least(b) > b->t->cap ? "OVERFULL" : NULL;
	}
	if (o->kind == PL_ALL && o->maybe) {
		forget(b, o);
		b->ghosts--;
		b->lo -= o->k;
		return NULL;
	}
	if (o->maybe)
		return NULL;
	if (o->kind >= PL_ALL && !o->done) {
		forget(b, o);
		rule = o->kind == PL_ALL    ? (b->hi < o->k ? "OVERTAKEN" : "BADSUM")
		       : o->kind == PL_LESS ? "BADEMPTY"
		       : o->kind == PL_IS   ? "BADVALUE"
					    : "BADNOROOM";
		return rule;
	}
	if (o->kind == PL_SUB || o->kind == PL_ALL)
		b->hi -= o->k;
	return b->hi < 0 ? "OVERTAKEN" : NULL;
}

bool pl_count_bounds(struct pl_count_round *t)
{
	struct bounds b = { .t = t, .lo = t->level, .hi = t->level };

	if (!t->known)
		b.lo = 0, b.hi = t->cap < INT64_MAX / 4 ? t->cap : INT64_MAX / 4;
	for (uint32_t r = 0; r < t->nev; r++) {
		uint32_t e = t->ev[r];
		const char *rule = NULL;

		if (e == PL_NEVER)
			continue;
		if (!(e & 1))
			begin(&b, e >> 1);
		else
			rule = end(&b, e >> 1);
		if (rule) {
			t->f = (struct pl_count_finding){ rule, e >> 1, least(&b), b.hi };
			return true;
		}
		if (b.n > 0)
			settle(&b);
	}
	return false;
}
