/* SPDX-License-Identifier: MIT
 *
 * Deaths of actors, as control learns of them.
 *
 * A number is free for a stranger once its process is reaped. Whoever signals an actor has announced
 * its number before (pl_actor_aim), and control does not reap who is aimed at.
 */
#include "kit.h"
#include "raw.h"

enum { AGAIN_NS = 1000000 };

static struct pl_ctl *const c = &pl_ctl;
static bool waiting_for_aim; /* a death that is not reaped yet */

/* It may have answered before it died. */
static void last_words(unsigned id)
{
	struct pollfd p = { .fd = c->actor[id].chan, .events = POLLIN };

	if (c->actor[id].call.live && p.fd >= 0 && raw_poll(&p, 1, 0, NULL) > 0)
		pl_call_answer(id);
}

static void buried(unsigned id, int status, int64_t when)
{
	struct pl_actor *a = &c->actor[id];
	json_t *e = json_pack("{sisi}", "actor", (int)id, "pid", (int)a->pid);

	last_words(id);
	pl_who_died(id);
	a->status = status;
	a->alive = a->dying = a->execed = false;
	atomic_store(&c->shared->slot[id].aim, 0);
	if (a->chan >= 0)
		(void)raw_close(a->chan);
	a->chan = -1;
	atomic_store(&c->shared->slot[id].phase, PHASE_NONE);
	pl_control_note(PL_OP_REAP, id, when, when, status, 0);
	(void)json_object_set_new(
		e, "is", json_string(WIFSIGNALED(status) ? "signalled" : "exited"));
	if (WIFSIGNALED(status))
		(void)json_object_set_new(
			e, "signal", json_string(pl_signal_name(WTERMSIG(status))));
	else
		(void)json_object_set_new(e, "status", json_integer(WEXITSTATUS(status)));
	(void)json_object_set_new(e, "asked", json_boolean(a->asked));
	pl_event("actor", e);
	pl_round_died(id, when);
	pl_call_died(id);
}

void pl_actor_left(unsigned id)
{
	struct pl_actor *a = &c->actor[id];
	unsigned i;

	if (a->kind != KIND_THREAD || !a->alive)
		return;
	for (i = 0; i < c->nactors; i++)
		if (i != id && c->actor[i].alive && c->actor[i].pid == a->pid)
			break;
	if (i < c->nactors)
		buried(id, 0, pl_now());
	else
		a->dying = true; /* the last one takes the process along */
}

/* Is somebody about to signal it, who could do so when its number is a stranger's? The dead cannot. */
static bool aimed_at(pid_t pid)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (c->actor[i].alive && atomic_load(&c->shared->slot[i].aim) == pid &&
			!raw_is_dead(c->actor[i].pid))
			return true;
	return false;
}

int64_t pl_reap_timer(int64_t now)
{
	return waiting_for_aim ? now + AGAIN_NS : INT64_MAX;
}

void pl_reap(void)
{
	int status;
	pid_t pid;
	unsigned i;

	waiting_for_aim = false;
	while ((pid = (pid_t)raw_wait_peek()) > 0) {
		for (i = 0; i < c->nactors;
			i++) /* nobody signals a number that is not its any more */
			if (c->actor[i].alive && c->actor[i].pid == pid) {
				atomic_store(&c->shared->slot[i].tid, 0);
				atomic_store(&c->shared->slot[i].pid, 0);
			}
		waiting_for_aim = aimed_at(pid);
		if (waiting_for_aim || raw_wait(pid, &status) != pid)
			return;
		int64_t when = pl_now();

		if (pid == c->checker) {
			c->checker = 0;
			pl_seat_leave();
			pl_round_checked(status);
			continue;
		}
		for (i = 0; i < c->nactors;
			i++) /* threads die together: nobody deals with the rest yet */
			if (c->actor[i].alive && c->actor[i].pid == pid)
				c->actor[i].dying = true;
		for (i = 0; i < c->nactors; i++)
			if (c->actor[i].alive && c->actor[i].pid == pid)
				buried(i, status, when);
	}
}
