/* SPDX-License-Identifier: MIT
 *
 * Streams: a payload goes with all its bytes, if it is known where they all are.
 *
 * Its bytes are all named when the pieces of it that were read lie end to end from its first to its last: each
 * begins where another one ends. Where writes are interrupted by others' a piece may have got a byte that is
 * another's; then only what is in one write, or bytes that have all a name, are certain.
 */
#include "leave.h"

#include "../hist/rng.h"

#include <stdlib.h>
#include <string.h>

struct flow {
	uint64_t accepted,
		ends; /* bytes; a sum over the ends of pieces, 0 if they lie end to end */
	bool read, sound, atomic;
};

struct streams {
	struct pl_leave *l;
	struct flow *f; /* by unit */
	bool partial, nameless;
	int writer; /* the only one so far; -1 none, -2 several */
};

static uint32_t write_of(struct streams *t, int log, const struct pl_rec *r)
{
	const struct pl_leave *l = t->l;
	struct flow *f;
	uint32_t u;

	if (r->len == 0 && r->state != PL_FAIL) /* what it looks like is an end of file */
		return PL_STAYS;
	if (r->state == PL_FAIL || (r->state == PL_OK && r->ret <= 0))
		return PL_GOES;
	if (r->token == 0 || (r->aux == 0 && r->len < PL_MARK))
		return PL_STAYS;
	t->writer = t->writer == -1 || t->writer == log ? log : -2;
	u = pl_leave_value(t->l, r->token);
	f = &t->f[u];
	f->sound = (f->accepted == 0 || f->sound) && r->state == PL_OK && r->aux == f->accepted;
	f->atomic = r->aux == 0 && r->ret == (int64_t)r->len && r->len <= PL_PIPE_BUF &&
		    !(l->head->caps & PL_PIECEMEAL);
	f->accepted += r->state == PL_OK ? (uint64_t)r->ret : 0;
	t->partial |= !f->atomic;
	return u;
}

static uint32_t piece(struct streams *t, uint64_t token, uint64_t from, uint64_t len)
{
	uint32_t u = pl_leave_value(t->l, token);

	t->f[u].read = true;
	t->f[u].ends += pl_mix(from + len + 1) - pl_mix(from + 1);
	return u;
}

static uint32_t read_of(struct streams *t, const struct pl_rec *r)
{
	if (r->state == PL_INVOKED)
		return PL_STAYS;
	if (r->state == PL_FAIL)
		return pl_found_nothing(r) ? pl_leave_unit(t->l) : PL_GOES;
	if (r->ret <= 0)
		return pl_leave_unit(t->l);
	return r->token ? piece(t, r->token, 0, (uint64_t)r->ret) : PL_READ;
}

static uint32_t more_of(struct streams *t, const struct pl_more *m)
{
	if (m->kind == PL_EXTENT)
		return piece(t, m->token, m->offset, m->len);
	t->nameless = true;
	return PL_STAYS;
}

static void classify(struct streams *t, int log, bool puts)
{
	struct pl_leave *l = t->l;

	for (uint64_t k = 0; k < l->logs[log].n; k++) {
		const struct pl_rec *r = &l->logs[log].rec[k];
		enum pl_role role = pl_role_of(l->logs[log].head, r);
		uint32_t *unit = &l->unit[l->first[log] + k];

		if (r->state == PL_MORE && !puts)
			*unit = more_of(t, (const struct pl_more *)r);
		else if (role == PL_PUT && puts)
			*unit = write_of(t, log, r);
		else if (role == PL_TAKE && !puts)
			*unit = read_of(t, r);
	}
}

static bool may_go(const struct streams *t, const struct flow *f)
{
	bool chance = t->partial && t->writer == -2;

	if (!f->read)
		return f->sound && !t->nameless && !chance;
	return f->sound && f->ends == pl_mix(f->accepted + 1) - pl_mix(1) &&
	       (!chance || f->atomic || !t->nameless);
}

void pl_leave_stream(struct pl_leave *l)
{
	struct streams t = { .l = l, .writer = -1 };
	uint32_t looks;

	/* Whether it was full, all bytes have a say in. */
	if (strcmp(l->v->rule, "BADFULL") != 0)
		t.f = calloc(2 * ((size_t)l->nrecs + 1), sizeof *t.f);
	for (int puts = 1; puts >= 0; puts--)
		for (int i = 0; t.f && i < l->n; i++)
			if (&l->logs[i] != l->control)
				classify(&t, i, puts);
	for (uint32_t i = 0; !t.f && i < l->nrecs; i++)
		l->unit[i] = PL_STAYS;
	looks = l->nunits;
	for (uint32_t i = 0; t.f && i <= l->mask; i++)
		if (l->of[i] < looks)
			l->stays[l->of[i]] = !may_go(&t, &t.f[l->of[i]]);
	free(t.f);
}
