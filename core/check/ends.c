/* SPDX-License-Identifier: MIT
 *
 * Who has the ends of an object, against what is told of their absence.
 *
 *   BADEOF    a take gave end of file although somebody certainly had the putting end during all of it
 *   BADPIPE   a put failed with EPIPE although somebody certainly had the taking end during all of it
 *   NOEOF     a take that began when certainly nobody had the putting end any more found nothing; or one sleeps then
 *             (liveness.c)
 *   NOPIPE    a put that began when certainly nobody had the taking end any more succeeded, or found no room; or one
 *             sleeps then
 *
 * Somebody is control: it has both ends from before the round until it releases them, whoever dies. The
 * actors' own ends prove nothing beside it. A payload of no bytes looks like end of file: where one was put, no end
 * of file is judged. Nobody is left when control has released the end and all are reaped who had it, where all who
 * had it are known (PL_HIST_HELD).
 */
#include "internal.h"

/* Until when control certainly has this end; INT64_MIN: not known. */
static int64_t held_until(const struct pl_case *c, uint64_t end)
{
	int64_t until = INT64_MIN;

	for (uint64_t i = 0; i < c->control->n; i++) {
		const struct pl_rec *r = &c->control->rec[i];

		if (r->aux != end || r->token != PL_CONTROL)
			continue;
		if (r->op == PL_OP_OPEN)
			until = INT64_MAX;
		else if (r->op == PL_OP_RELEASE && r->t_invoke < until)
			until = r->t_invoke;
	}
	return until;
}

static bool puts_nothing(const struct pl_case *c)
{
	for (int i = 0; i < c->nactors; i++)
		for (uint64_t k = 0; k < c->actor[i].n; k++) {
			const struct pl_rec *r = &c->actor[i].rec[k];

			if (r->len == 0 && r->state != PL_FAIL &&
				pl_role_of(c->actor[i].head, r) == PL_PUT)
				return true;
		}
	return false;
}

static void judge(struct pl_case *c, int who, const struct pl_rec *r, bool eof, int64_t until)
{
	uint32_t ref = pl_ref(c, who, r);

	if (r->t_return >= until)
		return;
	if (eof ? pl_find(c, "BADEOF", until == INT64_MAX ? -1 : until - r->t_return,
			  "actor %d's %s gave end of file although the other end was open all the "
			  "time",
			  pl_say_actor(c, ref), pl_say_op(c, ref))
		: pl_find(c, "BADPIPE", until == INT64_MAX ? -1 : until - r->t_return,
			  "actor %d's %s failed with EPIPE although the other end was open all the "
			  "time",
			  pl_say_actor(c, ref), pl_say_op(c, ref)))
		pl_witness(c, ref);
}

static int64_t released(const struct pl_case *c, uint64_t end)
{
	for (uint64_t i = 0; i < c->control->n; i++) {
		const struct pl_rec *r = &c->control->rec[i];

		if (r->op == PL_OP_RELEASE && r->token == PL_CONTROL && r->aux == end)
			return r->t_return;
	}
	return INT64_MAX;
}

int64_t pl_gone_since(const struct pl_case *c, enum pl_role role)
{
	uint64_t end = role == PL_TAKE;
	int64_t since = INT64_MIN;

	if (!(c->control->head->flags & PL_HIST_HELD) || (role != PL_TAKE && role != PL_PUT))
		return INT64_MAX;
	for (uint64_t i = 0; i < c->control->n && since < INT64_MAX; i++) {
		const struct pl_rec *r = &c->control->rec[i];
		int who = r->token == PL_CONTROL ? -1 : pl_actor_by_id(c, r->token);
		int64_t until;

		if (r->op != PL_OP_OPEN || r->aux != end)
			continue;
		if (r->token == PL_CONTROL)
			until = released(c, end);
		else
			until = who >= 0 && c->actor[who].dead ? c->actor[who].t_reap : INT64_MAX;
		since = until > since ? until : since;
	}
	return since;
}

/* Who begins when nobody is at the other end is told so, whatever is inside. */
static void judge_late(struct pl_case *c, int who, const struct pl_rec *r, bool takes, int64_t gone)
{
	uint32_t ref = pl_ref(c, who, r);
	bool nothing = r->state == PL_FAIL && pl_found_nothing(r);

	if (gone == INT64_MAX || r->t_invoke <= gone || r->len == 0 ||
		!(nothing || (!takes && r->state == PL_OK)))
		return;
	if (pl_find(c, takes ? "NOEOF" : "NOPIPE", gone == INT64_MIN ? -1 : r->t_invoke - gone,
		    "actor %d's %s %s although nobody had the other end any more",
		    pl_say_actor(c, ref), pl_say_op(c, ref),
		    !nothing ? "succeeded"
		    : takes  ? "found nothing, and no end of file,"
			     : "found no room"))
		pl_witness(c, ref);
}

void pl_check_ends(struct pl_case *c)
{
	const int64_t gone[2] = { pl_gone_since(c, PL_PUT), pl_gone_since(c, PL_TAKE) };
	int64_t takers = held_until(c, 0), putters = held_until(c, 1);

	if (takers == INT64_MIN && putters == INT64_MIN && gone[0] == INT64_MAX &&
		gone[1] == INT64_MAX)
		return;
	if (putters != INT64_MIN && puts_nothing(c))
		putters = INT64_MIN;
	for (int i = 0; i < c->nactors; i++)
		for (uint64_t k = 0; k < c->actor[i].n; k++) {
			const struct pl_rec *r = &c->actor[i].rec[k];
			enum pl_role role = pl_role_of(c->actor[i].head, r);

			if (role == PL_TAKE && r->state == PL_OK && r->ret == 0 && r->len > 0)
				judge(c, i, r, true, putters);
			else if (role == PL_PUT && r->state == PL_FAIL && r->err == EPIPE)
				judge(c, i, r, false, takers);
			else if (role == PL_TAKE || role == PL_PUT)
				judge_late(c, i, r, role == PL_TAKE, gone[role == PL_TAKE]);
		}
}
