/* SPDX-License-Identifier: MIT
 *
 * Claim: in a right history of 10,000 operations one wrong operation is found, and a part of at most six operations
 * (of counters: twenty) is enough to show it: judged alone it is violated by the same rule, and it can be drawn.
 */
#include "check_large.h"
#include "witness/story.h"

#include <criterion/criterion.h>

/* The n-th operation of this kind from the middle of the history on, in order of its begin. */
static struct pl_rec *middle(struct large *w, int op, int state, int n)
{
	struct pl_rec *found = NULL;
	int64_t after = w->t / 2;

	for (; n >= 0; n--) {
		found = NULL;
		for (int i = 0; i < ACTORS; i++)
			for (uint32_t k = 0; k < w->n[i]; k++) {
				struct pl_rec *r = &w->rec[i][k];

				if (r->op == op && r->state == state && r->t_invoke > after &&
					(!found || r->t_invoke < found->t_invoke))
					found = r;
			}
		cr_assert_not_null(found);
		after = found->t_invoke;
	}
	return found;
}

static void results_swapped(struct large *w)
{
	struct pl_rec *x = middle(w, B_TAKE, PL_OK, 0), *y = middle(w, B_TAKE, PL_OK, 9);
	uint64_t token = x->token, tag = x->aux;

	x->token = y->token, x->aux = y->aux;
	y->token = token, y->aux = tag;
}

static void value_repeated(struct large *w)
{
	*(&middle(w, B_TAKE, PL_OK, 5)->token) = middle(w, B_TAKE, PL_OK, 0)->token;
}

/* The put of what this take got, and another's that came later, change places. */
static void taken_before_put(struct large *w)
{
	const struct pl_rec *t = middle(w, B_TAKE, PL_OK, 0);
	struct pl_rec *late = NULL, *early = NULL;
	uint64_t token = t->token;

	for (int n = 0; !late || late->t_invoke <= t->t_return; n++)
		late = middle(w, B_PUT, PL_OK, n);
	for (int i = 0; i < ACTORS; i++)
		for (uint32_t k = 0; k < w->n[i]; k++)
			if (w->rec[i][k].op == B_PUT && w->rec[i][k].token == token)
				early = &w->rec[i][k];
	early->token = late->token;
	late->token = token;
}

static void value_lost(struct large *w)
{
	struct pl_rec *r = middle(w, B_TAKE, PL_OK, 0);

	b_fail(r, EINTR), r->token = 0;
}

static void value_invented(struct large *w)
{
	middle(w, B_TAKE, PL_OK, 0)->token = pl_token(0, 0, 999999);
}

static void payload_harmed(struct large *w)
{
	middle(w, B_TAKE, PL_OK, 0)->ret = 63;
}

static void failed_put_taken(struct large *w)
{
	b_fail(middle(w, B_PUT, PL_OK, 0), EINTR);
}

static void tag_changed(struct large *w)
{
	middle(w, B_TAKE, PL_OK, 0)->aux += 9;
}

/* A look by somebody who did nothing else, while some value was certainly inside. */
static void looks_blindly(struct large *w)
{
	for (int n = 0;; n++) {
		struct pl_rec *t = middle(w, B_TAKE, PL_OK, n);

		for (int i = 0; i < ACTORS; i++)
			for (uint32_t k = 0; k < w->n[i]; k++) {
				struct pl_rec *r = &w->rec[i][k];

				if (r->op != B_PUT || r->token != t->token ||
					t->t_invoke - r->t_return < 20)
					continue;
				r = large_add(w, IDLER, B_TAKE, r->t_return + 5, t->t_invoke - 5);
				b_fail(r, EAGAIN)->len = 128;
				return;
			}
	}
}

static struct pl_rec *next_acquire(struct large *w, int64_t after)
{
	struct pl_rec *found = NULL;

	for (int i = 0; i < ACTORS; i++)
		for (uint32_t k = 0; k < w->n[i]; k++)
			if (w->rec[i][k].op == B_ACQUIRE && w->rec[i][k].t_return > after &&
				(!found || w->rec[i][k].t_return < found->t_return))
				found = &w->rec[i][k];
	return found;
}

/* An acquire that had begun before the release did returns a nanosecond before that. */
static void sections_overlap(struct large *w)
{
	for (int n = 0;; n++) {
		struct pl_rec *r = middle(w, B_RELEASE, PL_OK, n);
		struct pl_rec *other = next_acquire(w, r->t_invoke);

		if (!other || other->t_invoke >= r->t_invoke)
			continue;
		other->t_return = r->t_invoke - 1;
		return;
	}
}

static void update_lost_in_lock(struct large *w)
{
	middle(w, B_ACQUIRE, PL_OK, 6)->aux = middle(w, B_ACQUIRE, PL_OK, 5)->aux;
}

static void guarded_torn(struct large *w)
{
	middle(w, B_ACQUIRE, PL_OK, 0)->sum = 1;
}

static void told_of_no_death(struct large *w)
{
	for (int i = 0; i <= ACTORS; i++)
		w->head[i].caps |= PL_ROBUST;
	b_fail(middle(w, B_ACQUIRE, PL_OK, 0), EOWNERDEAD);
}

static void old_value_back(struct large *w)
{
	middle(w, B_OBSERVE, PL_OK, 30)->token = middle(w, B_OBSERVE, PL_OK, 0)->token;
}

static void value_torn(struct large *w)
{
	middle(w, B_OBSERVE, PL_OK, 0)->token = 0xdead;
	middle(w, B_OBSERVE, PL_OK, 3)->token = 0xbeef;
}

static void exchange_doubled(struct large *w)
{
	middle(w, B_UPDATE, PL_OK, 3)->aux = middle(w, B_UPDATE, PL_OK, 0)->aux;
}

static void post_invented(struct large *w)
{
	struct pl_rec *r = middle(w, B_TAKE, PL_FAIL, 0);

	r->state = PL_OK, r->err = 0, r->ret = 0;
}

static void falsely_empty(struct large *w)
{
	b_fail(middle(w, B_TAKE, PL_OK, 0), EAGAIN);
}

static void part_of_sum(struct large *w)
{
	for (int n = 0;; n++) {
		struct pl_rec *r = middle(w, B_TAKE, PL_OK, n);

		if (r->aux < 3)
			continue;
		r->aux = 1;
		return;
	}
}

/* A look that found nothing found a signal, one that no send under way explains. */
static void signal_invented(struct large *w)
{
	for (int n = 0; w->v.outcome == PL_HELD; n++) {
		struct pl_rec *r = middle(w, B_TAKE, PL_FAIL, n);
		const struct pl_rec was = *r;

		r->state = PL_OK, r->err = 0, r->ret = 0;
		large_judge(w);
		if (w->v.outcome == PL_HELD)
			*r = was;
	}
}

static void signal_of_another(struct large *w)
{
	middle(w, B_TAKE, PL_OK, 0)->token = 77;
}

/* The last takes of who drains found nothing. */
static void last_lost(struct large *w)
{
	for (uint32_t k = w->n[0]; w->v.outcome == PL_HELD && k-- > 0;)
		if (w->rec[0][k].op == B_TAKE && w->rec[0][k].state == PL_OK) {
			b_fail(&w->rec[0][k], EAGAIN);
			large_judge(w);
		}
}

static void source_false(struct large *w)
{
	middle(w, B_TAKE, PL_OK, 0)->aux = 7777;
}

struct edit {
	const char *what;
	enum pl_model model;
	void (*make)(struct large *w);
	const char *rules; /* one of them is found */
};

static const struct edit edits[] = {
	{ "two results swapped", PL_MODEL_FIFO, results_swapped, "VORD VFRESH" },
	{ "a value repeated", PL_MODEL_FIFO, value_repeated, "VREPET" },
	{ "a receive before its send", PL_MODEL_FIFO, taken_before_put, "VFRESH VORD" },
	{ "a value lost", PL_MODEL_FIFO, value_lost, "VLOST VORD" },
	{ "a value invented", PL_MODEL_FIFO, value_invented, "VFRESH" },
	{ "a payload cut", PL_MODEL_FIFO, payload_harmed, "VCORRUPT" },
	{ "a failed send had effect", PL_MODEL_FIFO, failed_put_taken, "VFAILED" },
	{ "a blind look", PL_MODEL_FIFO, looks_blindly, "VWIT" },
	{ "a blind look", PL_MODEL_PRIORITY, looks_blindly, "VWIT" },
	{ "a blind read", PL_MODEL_STREAM, looks_blindly, "VWIT" },
	{ "two results swapped", PL_MODEL_PRIORITY, results_swapped, "VORD VPRIO VFRESH" },
	{ "a value repeated", PL_MODEL_PRIORITY, value_repeated, "VREPET VTAG" },
	{ "a priority changed", PL_MODEL_PRIORITY, tag_changed, "VTAG" },
	{ "a value lost", PL_MODEL_PRIORITY, value_lost, "VLOST VPRIO" },
	{ "a datagram invented", PL_MODEL_DATAGRAM, value_invented, "VFRESH" },
	{ "a datagram cut", PL_MODEL_DATAGRAM, payload_harmed, "VCORRUPT" },
	{ "a failed send had effect", PL_MODEL_DATAGRAM, failed_put_taken, "VFAILED" },
	{ "another's address", PL_MODEL_DATAGRAM, source_false, "VSOURCE" },
	{ "two reads swapped", PL_MODEL_STREAM, results_swapped, "SHUF ORDER EARLY" },
	{ "bytes doubled", PL_MODEL_STREAM, value_repeated, "SHUF" },
	{ "read before written", PL_MODEL_STREAM, taken_before_put, "EARLY SHUF" },
	{ "bytes invented", PL_MODEL_STREAM, value_invented, "EXTRA" },
	{ "a payload cut", PL_MODEL_STREAM, payload_harmed, "TORN" },
	{ "an overlap of a nanosecond", PL_MODEL_LOCK, sections_overlap, "OVERLAP COUNTER" },
	{ "an update lost", PL_MODEL_LOCK, update_lost_in_lock, "COUNTER" },
	{ "half written", PL_MODEL_LOCK, guarded_torn, "INSIDE" },
	{ "told of no death", PL_MODEL_LOCK, told_of_no_death, "DEADFALSE" },
	{ "an old value came back", PL_MODEL_REGISTER, old_value_back, "STALE" },
	{ "values torn", PL_MODEL_REGISTER, value_torn, "FRESH" },
	{ "an exchange lost", PL_MODEL_REGISTER, exchange_doubled, "LOSTUPDATE" },
	{ "a post lost", PL_MODEL_COUNTER, last_lost, "TOKENSLOST BADEMPTY OVERTAKEN" },
	{ "a post invented", PL_MODEL_COUNTER, post_invented, "OVERTAKEN NOORDER" },
	{ "falsely empty", PL_MODEL_COUNTER, falsely_empty, "BADEMPTY NOORDER TOKENSLOST" },
	{ "a part taken", PL_MODEL_SUM, part_of_sum, "BADSUM BADEMPTY NOORDER" },
	{ "a signal invented", PL_MODEL_SIGNAL, signal_invented, "SOVER SAGAIN SFALSE" },
	{ "another's signal", PL_MODEL_SIGNAL, signal_of_another, "SFALSE" },
	{ "a signal lost", PL_MODEL_SIGNAL, last_lost, "SLOST SEMPTY" },
};

static void check_drawing(const struct pl_story *s)
{
	const char *line = s->drawing;

	cr_assert_gt(s->n, 0);
	for (; *line; line += strcspn(line, "\n"), line += *line == '\n')
		cr_assert_leq(strcspn(line, "\n"), PL_STORY_WIDE, "too wide: %s", s->drawing);
	for (int i = 0; i < s->n; i++)
		cr_assert_not_null(
			strstr(s->drawing, s->label[i]), "no %s in\n%s", s->label[i], s->drawing);
}

static void try_edit(const struct edit *e, uint64_t key)
{
	uint64_t most = e->model == PL_MODEL_SUM || e->model == PL_MODEL_COUNTER ? PL_STORY_OPS : 6;
	struct large *w = large_right(e->model, key);
	static struct pl_story s;
	struct pl_part_of part = { 0 };

	large_judge(w);
	cr_assert_eq(w->v.outcome, PL_HELD, "%s: not right before: %s %s", e->what, w->v.rule,
		w->v.text);
	e->make(w);
	large_judge(w);
	cr_expect(w->v.outcome == PL_VIOLATED && strstr(e->rules, w->v.rule),
		"%s, model %d, key 0x%llx: %s %s", e->what, e->model, (unsigned long long)key,
		w->v.rule, w->v.text);
	pl_story_tell(w->log, ACTORS + 1, 0, &w->v, &s, &part);
	cr_expect(part.logs && part.ops <= most && s.enough,
		"%s, model %d, key 0x%llx: %llu of %llu", e->what, e->model,
		(unsigned long long)key, (unsigned long long)part.ops,
		(unsigned long long)w->v.ops);
	if (part.logs) {
		struct pl_verdict alone;

		pl_check(part.logs, part.n, 0, &alone);
		cr_expect_str_eq(alone.rule, w->v.rule);
	}
	check_drawing(&s);
	pl_part_free(&part);
	free(w);
}

static void try_model(enum pl_model model)
{
	uint64_t key = seed_of_today();

	for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
		if (edits[i].model == model) {
			try_edit(&edits[i], 0x5eed09);
			try_edit(&edits[i], key);
		}
}

Test(check_witness, fifo)
{
	try_model(PL_MODEL_FIFO);
}

Test(check_witness, priority)
{
	try_model(PL_MODEL_PRIORITY);
}

Test(check_witness, datagram)
{
	try_model(PL_MODEL_DATAGRAM);
}

Test(check_witness, stream)
{
	try_model(PL_MODEL_STREAM);
}

Test(check_witness, lock)
{
	try_model(PL_MODEL_LOCK);
}

Test(check_witness, registers)
{
	try_model(PL_MODEL_REGISTER);
}

Test(check_witness, counter)
{
	try_model(PL_MODEL_COUNTER);
}

Test(check_witness, sum)
{
	try_model(PL_MODEL_SUM);
}

Test(check_witness, signals)
{
	try_model(PL_MODEL_SIGNAL);
}
