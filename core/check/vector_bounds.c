/* SPDX-License-Identifier: MIT
 *
 * How much there could be at most and at least, from moment to moment, of each sum of places: in one, in two together,
 * in one less in another. An operation may have had its effect from its begin on, and has had it at its end. Whoever
 * moves equally much of two places moves nothing of their difference: of that it is known exactly what it is, however
 * many are under way, so that who has moved a part of it is seen at once. Sound, and nearly complete: the search finds
 * the rest.
 *
 * Where a death gives back what was held, all that the dead had in its hands is back when it was reaped, also what an
 * acquire took of which nobody knows; and its last release has happened by then, one way or the other.
 */
#include "vector.h"

struct bounds {
	const struct pl_jit_round *j;
	int64_t lo[PL_VECTOR_SUMS], hi[PL_VECTOR_SUMS];
	struct pl_vector_sum sum[PL_VECTOR_SUMS];
	int alone[PL_PLACES]; /* which of them is the place by itself */
	uint32_t *open, n;    /* looks that nothing has explained yet */
};

/* Those whose first place is added: the others are the same with all signs turned. */
static void make_sums(struct bounds *b)
{
	int n = 0;

	for (int code = 1; code < 81; code++) {
		struct pl_vector_sum s = { 0 };
		int first = 0, left = code, signs = 0, place = 0;

		for (int i = 0; i < PL_PLACES; i++, left /= 3) {
			s.sign[i] = (int8_t)(left % 3 == 2 ? -1 : left % 3);
			first = first ? first : s.sign[i];
			place = s.sign[i] ? i : place;
			signs += s.sign[i] != 0;
		}
		if (signs == 1 && first > 0)
			b->alone[place] = n;
		if (first > 0)
			b->sum[n++] = s;
	}
}

static int64_t add_up(const struct pl_vector_sum *s, uint64_t places)
{
	int64_t sum = 0;

	for (int i = 0; i < PL_PLACES; i++)
		sum += s->sign[i] * (int64_t)(places >> (16 * i) & 0xffff);
	return sum;
}

/* What the operation puts into the places (1) or takes out of them (-1), if it does anything. */
static int moves(const struct bounds *b, const struct pl_jit_op *o, uint64_t *ret_places)
{
	*ret_places = o->op.role == PL_NONE ? o->op.tag : pl_model_moved(o->op.form);
	switch (o->op.role) {
	case PL_ACQUIRE:
		return o->op.result == PL_RESULT_FAIL ? 0 : -1;
	case PL_RELEASE:
		return 1;
	case PL_NONE:
		return b->j->config.freed;
	default:
		return 0;
	}
}

/* It may have happened from here on. */
static void may(struct bounds *b, int sign, uint64_t places)
{
	for (int k = 0; k < PL_VECTOR_SUMS; k++) {
		int64_t by = sign * add_up(&b->sum[k], places);

		*(by > 0 ? &b->hi[k] : &b->lo[k]) += by;
	}
}

/* It has happened. */
static void has(struct bounds *b, int sign, uint64_t places)
{
	for (int k = 0; k < PL_VECTOR_SUMS; k++) {
		int64_t by = sign * add_up(&b->sum[k], places);

		*(by > 0 ? &b->lo[k] : &b->hi[k]) += by;
	}
}

/* It has not, or no trace of it is left. */
static void has_not(struct bounds *b, int sign, uint64_t places)
{
	for (int k = 0; k < PL_VECTOR_SUMS; k++) {
		int64_t by = sign * add_up(&b->sum[k], places);

		*(by > 0 ? &b->hi[k] : &b->lo[k]) -= by;
	}
}

/* The sum that cannot be what it is in `places`; -1: none. */
static int excludes(const struct bounds *b, uint64_t places)
{
	for (int k = 0; k < PL_VECTOR_SUMS; k++) {
		int64_t is = add_up(&b->sum[k], places);

		if (is < b->lo[k] || is > b->hi[k])
			return k;
	}
	return -1;
}

/* Whether there was certainly enough in each place. */
static bool suffices(const struct bounds *b, int64_t form)
{
	for (int i = 0; i < PL_PLACES; i++)
		if (b->lo[b->alone[i]] < (int64_t)pl_of_place(form, i))
			return false;
	return true;
}

static bool explained(const struct bounds *b, const struct pl_jit_op *o)
{
	return o->op.role == PL_OBSERVE ? excludes(b, o->op.tag) < 0 : !suffices(b, o->op.form);
}

static void settle(struct bounds *b)
{
	for (uint32_t i = 0; i < b->n;)
		if (explained(b, &b->j->op[b->open[i]]))
			b->open[i] = b->open[--b->n];
		else
			i++;
}

/* Whether it stands in the list still; it is taken out. */
static bool is_open(struct bounds *b, uint32_t op)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (b->open[i] == op) {
			b->open[i] = b->open[--b->n];
			return true;
		}
	return false;
}

static void begin(struct bounds *b, uint32_t op)
{
	const struct pl_jit_op *o = &b->j->op[op];
	uint64_t places;
	int sign = moves(b, o, &places);

	if (sign)
		may(b, sign, places);
	if (o->eager)
		b->open[b->n++] = op;
}

static bool find(
	struct bounds *b, const char *rule, uint32_t op, int k, struct pl_vector_finding *f)
{
	*f = (struct pl_vector_finding){ .rule = rule, .op = op };
	if (k >= 0)
		f->sum = b->sum[k], f->least = b->lo[k], f->most = b->hi[k];
	return true;
}

/* More was taken than can have been there: of some places together there would be less than nothing. */
static int below_zero(const struct bounds *b)
{
	for (int k = 0; k < PL_VECTOR_SUMS; k++) {
		bool adds = true;

		for (int i = 0; i < PL_PLACES; i++)
			adds &= b->sum[k].sign[i] >= 0;
		if (adds && b->hi[k] < 0)
			return k;
	}
	return -1;
}

static bool end(struct bounds *b, uint32_t op, struct pl_vector_finding *f)
{
	const struct pl_jit_op *o = &b->j->op[op];
	bool freed = b->j->config.freed;
	uint64_t places;
	int sign = moves(b, o, &places), k;

	if (o->eager && is_open(b, op)) {
		bool saw = o->op.role == PL_OBSERVE;

		return find(
			b, saw ? "BADVALUE" : "BADEMPTY", op, saw ? excludes(b, o->op.tag) : -1, f);
	}
	if (sign < 0 && o->maybe && freed)
		has_not(b, sign, places);
	else if (sign && (!o->maybe || freed))
		has(b, sign, places);
	k = sign < 0 ? below_zero(b) : -1;
	return k >= 0 && find(b, "OVERTAKEN", op, k, f);
}

bool pl_vector_bounds(const struct pl_jit_round *j, uint32_t *open, struct pl_vector_finding *ret_f)
{
	struct bounds b = { .j = j, .open = open };

	make_sums(&b);
	for (int k = 0; k < PL_VECTOR_SUMS; k++)
		b.lo[k] = b.hi[k] = add_up(&b.sum[k], j->config.before);
	for (uint32_t i = 0; i < j->nev; i++) {
		const struct pl_jit_event *e = &j->ev[i];

		if (!e->end)
			begin(&b, e->op);
		else if (end(&b, e->op, ret_f))
			return true;
		if (b.n > 0)
			settle(&b);
	}
	return false;
}
