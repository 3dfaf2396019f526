/* SPDX-License-Identifier: MIT
 *
 * Lost wake-ups, judged at the instant at which nothing in the round moved any more.
 *
 *   LOSTWAKE  an actor slept in a take although something could be taken, in a put although there
 *             was certainly room for it, in an acquire although nobody could hold the lock, or
 *             although all that it asks for was there
 *   NOEOF     it slept in a take although nobody had the putting end any more
 *   NOPIPE    it slept in a put although nobody had the taking end any more
 *
 * Control has read the object's level and seen the sleepers, before it signalled anybody. If it saw
 * sleep only by the state letter of a process, that is no proof: unknown. Of what may arrive by
 * itself (PL_LATE) nothing is claimed: it may have come between the look and the reading.
 */
#include "cells.h"

#include "../model/model.h"

#include <stdio.h>
#include <string.h>

/* The sleeper's record, if it really slept until control signalled it; by how much that is sure. */
static const struct pl_rec *sleeping(
	const struct pl_case *c, const struct pl_rec *asleep, int *ret_who, int64_t *ret_slack)
{
	int who = pl_actor_by_id(c, asleep->token);
	const struct pl_rec *r = NULL;

	if (who < 0)
		return NULL;
	if (asleep->aux < c->actor[who].n && c->actor[who].rec[asleep->aux].seq == asleep->aux)
		r = &c->actor[who].rec[asleep->aux];
	for (uint64_t i = 0; !r && i < c->actor[who].n; i++)
		if (c->actor[who].rec[i].seq == asleep->aux &&
			c->actor[who].rec[i].state <= PL_FAIL)
			r = &c->actor[who].rec[i];
	if (!r || r->state < PL_INVOKED || r->state > PL_FAIL || r->t_invoke > asleep->t_invoke)
		return NULL;
	*ret_who = who;
	*ret_slack = INT64_MAX;
	if (r->state == PL_INVOKED)
		return r;
	/* What returned before anybody signalled it had been woken after all. */
	for (uint64_t i = 0; i < c->control->n; i++) {
		const struct pl_rec *k = &c->control->rec[i];

		if ((k->op == PL_OP_KICK || k->op == PL_OP_KILL) && k->token == asleep->token &&
			k->t_invoke >= asleep->t_invoke && k->t_invoke <= r->t_return)
			return *ret_slack = r->t_return - k->t_invoke, r;
	}
	return NULL;
}

/* The reading of the level that belongs to the sighting in record i: the nearest with no kick or
 * drain between. */
static const struct pl_rec *level_of(const struct pl_case *c, uint64_t i)
{
	for (uint64_t k = i; k-- > 0;) {
		const struct pl_rec *r = &c->control->rec[k];

		if (r->op == PL_OP_KICK || r->op == PL_OP_DRAIN)
			break;
		if (r->op == PL_OP_LEVEL)
			return r;
	}
	for (uint64_t k = i + 1; k < c->control->n; k++) {
		const struct pl_rec *r = &c->control->rec[k];

		if (r->op == PL_OP_KICK || r->op == PL_OP_DRAIN)
			break;
		if (r->op == PL_OP_LEVEL)
			return r;
	}
	return NULL;
}

/* Whether this actor may have held the lock at time `at`, when it was not the one asleep. `passes`:
 * its death gives the lock to others. */
static bool may_hold(const struct pl_case *c, int who, int64_t at, bool passes)
{
	const struct pl_actor *a = &c->actor[who];
	bool gone = a->dead && a->t_reap <= at;
	int depth = 0;

	for (uint64_t i = 0; i < a->n; i++) {
		const struct pl_rec *r = &a->rec[i];
		enum pl_role role = pl_role_of(a->head, r);

		if (r->t_invoke > at)
			break;
		if (role != PL_ACQUIRE && role != PL_RELEASE)
			continue;
		if (r->state == PL_INVOKED || r->t_return > at)
			return !(gone && passes);
		if (role == PL_RELEASE)
			depth -= r->state == PL_OK && depth > 0;
		else
			depth += r->state == PL_OK || r->err == EOWNERDEAD;
	}
	return depth > 0 && !(gone && passes);
}

static bool is_asleep(const struct pl_case *c, int who)
{
	int64_t slack;
	int at;

	for (uint64_t i = 0; i < c->control->n; i++)
		if (c->control->rec[i].op == PL_OP_ASLEEP &&
			c->control->rec[i].token == c->actor[who].id &&
			sleeping(c, &c->control->rec[i], &at, &slack))
			return true;
	return false;
}

/* An actor that is asleep waits, so it is no holder, unless it sleeps while it holds: in a nested
 * acquire. */
static bool lock_is_free(const struct pl_case *c, int64_t at)
{
	bool passes = c->head->caps & (PL_ROBUST | PL_FREED);

	for (int i = 0; i < c->nactors; i++) {
		const struct pl_actor *a = &c->actor[i];
		int depth = 0;

		if (!is_asleep(c, i)) {
			if (may_hold(c, i, at, passes))
				return false;
			continue;
		}
		for (uint64_t k = 0;
			k < a->n && a->rec[k].t_return <= at && a->rec[k].state != PL_INVOKED;
			k++) {
			enum pl_role role = pl_role_of(a->head, &a->rec[k]);

			if (role == PL_ACQUIRE)
				depth += a->rec[k].state == PL_OK || a->rec[k].err == EOWNERDEAD;
			else if (role == PL_RELEASE)
				depth -= a->rec[k].state == PL_OK && depth > 0;
		}
		if (depth > 0)
			return false;
	}
	return true;
}

static bool is_free(const struct pl_case *c, int who, const struct pl_rec *r, int64_t at)
{
	if (c->head->model == PL_MODEL_RANGES)
		return pl_cells_free(c, who, r, at, is_asleep);
	return c->head->model == PL_MODEL_LOCK && lock_is_free(c, at);
}

static int64_t apart(int64_t a, int64_t b)
{
	return a < b ? b - a : a - b;
}

/* Who held the lock at `at` is told by what began and ended before: how far away the nearest of that is. */
static int64_t lock_slack(const struct pl_case *c, int64_t at)
{
	int64_t least = INT64_MAX, t;

	for (int i = 0; i < c->nactors; i++)
		for (uint64_t k = 0; k < c->actor[i].n; k++) {
			const struct pl_rec *r = &c->actor[i].rec[k];
			enum pl_role role = pl_role_of(c->actor[i].head, r);

			if (role != PL_ACQUIRE && role != PL_RELEASE)
				continue;
			t = apart(r->t_invoke, at);
			least = t < least ? t : least;
			t = r->state == PL_INVOKED ? INT64_MAX : apart(r->t_return, at);
			least = t < least ? t : least;
		}
	return least;
}

/* A waiter that has been woken may be killed before it takes the lock, or its token, and if that is taken past it in
 * the meantime nobody is woken again: seen with glibc 2.36 on Linux 6.18, robust mutexes included. Who is killed in a
 * sem_post may have raised the number and woken nobody. No standard says what becomes of the wake-up of the killed, so
 * that is no violation here. The kernel's own have none to lose. */
static bool died_waiting(const struct pl_case *c, int64_t at)
{
	for (int i = 0; i < c->nactors && !(c->head->caps & PL_FREED); i++) {
		const struct pl_actor *a = &c->actor[i];
		uint64_t last = a->n;
		enum pl_role role;

		while (last > 0 && a->rec[last - 1].state == PL_MORE)
			last--;
		if (!a->dead || a->t_kill > at || last == 0 || a->rec[last - 1].state != PL_INVOKED)
			continue;
		role = pl_role_of(a->head, &a->rec[last - 1]);
		if (role == PL_ACQUIRE || ((role == PL_PUT || role == PL_TAKE) &&
						  a->head->op[a->rec[last - 1].op].how & PL_USER))
			return true;
	}
	return false;
}

/* How much of it the sleeper waits for; 0: for nothing that its level tells of. */
static uint64_t needed(const struct pl_case *c, int who, const struct pl_rec *r, enum pl_role role)
{
	switch (c->head->model) {
	case PL_MODEL_COUNTER:
		return r->aux ? r->aux : 1;
	case PL_MODEL_SUM:
		return role == PL_PUT && r->aux ? r->aux : 1;
	case PL_MODEL_STREAM:
		return role == PL_PUT ? r->len : r->len > 0;
	case PL_MODEL_SELECT: /* what is there may not be what it wants */
		return role == PL_PUT || r->sum == 0;
	case PL_MODEL_LOCK:
	case PL_MODEL_RANGES:
	case PL_MODEL_VECTOR:
	case PL_MODEL_NONE:
	case PL_MODEL_REGISTER:
		return 0;
	default:
		return role == PL_PUT || r->len > 0 || pl_moves_number(c->actor[who].head, r);
	}
}

/* Of several places: all that is asked for. */
static bool all_there(const struct pl_rec *r, const struct pl_rec *level)
{
	return level && level->t_invoke >= r->t_invoke && level->ret >= 0 &&
	       pl_model_covers((uint64_t)level->ret, pl_model_moved(r->sum >> 1));
}

static bool enabled(const struct pl_case *c, int who, const struct pl_rec *r, enum pl_role role,
	const struct pl_rec *level, const struct pl_rec *asleep, char *why, size_t size)
{
	uint64_t need = needed(c, who, r, role);

	if (c->head->model == PL_MODEL_VECTOR) {
		snprintf(why, size, "all that it asks for was there");
		return role == PL_ACQUIRE && all_there(r, level) &&
		       !died_waiting(c, asleep->t_invoke);
	}
	if (role == PL_ACQUIRE) {
		snprintf(why, size, "nobody could hold the lock");
		return !died_waiting(c, asleep->t_invoke) && is_free(c, who, r, asleep->t_invoke);
	}
	if (!level || level->t_invoke <
			      r->t_invoke) /* what was there when the round began is no matter */
		return false;
	if (need == 0 || died_waiting(c, asleep->t_invoke))
		return false;
	if (role == PL_TAKE) {
		snprintf(why, size, "%lld could be taken", (long long)level->ret);
		return level->ret > 0 && (uint64_t)level->ret >= need;
	}
	snprintf(why, size, "there was room for %llu", (unsigned long long)level->aux);
	return role == PL_PUT && level->aux >= need;
}

/* Which rule an actor breaks by sleeping there; NULL: none. Control notes both who is gone and who sleeps: no two
 * clocks are compared. */
static const char *rule_of(const struct pl_case *c, int who, const struct pl_rec *r,
	enum pl_role role, const struct pl_rec *level, const struct pl_rec *asleep, char *why,
	size_t size)
{
	if (pl_gone_since(c, role) < asleep->t_invoke) {
		snprintf(why, size, "nobody has the other end any more");
		return role == PL_TAKE ? "NOEOF" : "NOPIPE";
	}
	return enabled(c, who, r, role, level, asleep, why, size) ? "LOSTWAKE" : NULL;
}

void pl_check_liveness(struct pl_case *c)
{
	bool exact = c->control->head->flags & PL_HIST_EXACT;

	if (c->head->caps & PL_LATE)
		return;
	for (uint64_t i = 0; i < c->control->n; i++) {
		const struct pl_rec *asleep = &c->control->rec[i], *r, *level;
		char why[64], text[200];
		const char *rule;
		int64_t slack, by;
		enum pl_role role;
		int who;

		r = asleep->op == PL_OP_ASLEEP ? sleeping(c, asleep, &who, &slack) : NULL;
		if (!r)
			continue;
		role = pl_role_of(c->actor[who].head, r);
		level = level_of(c, i);
		rule = rule_of(c, who, r, role, level, asleep, why, sizeof why);
		if (!rule)
			continue;
		snprintf(text, sizeof text,
			"actor %d sleeps in %s although %s and nothing moves any more%s",
			c->actor[who].id, pl_say_op(c, pl_ref(c, who, r)), why,
			exact ? "" : " (its sleep was seen by state letter only)");
		if (!exact) {
			pl_unknown(c, rule, text);
			continue;
		}
		by = strcmp(rule, "LOSTWAKE") ? INT64_MAX
		     : role == PL_ACQUIRE && c->head->model != PL_MODEL_VECTOR
			     ? lock_slack(c, asleep->t_invoke)
			     : level->t_invoke - r->t_invoke;
		if (!pl_find(c, rule, by < slack ? by : slack, "%s", text))
			continue;
		pl_witness(c, pl_ref(c, who, r));
		pl_witness_control(c, asleep);
		if (level)
			pl_witness_control(c, level);
	}
}
