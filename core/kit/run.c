/* SPDX-License-Identifier: MIT
 *
 * The request `run`: what it asks for, when it is over, what its reply tells.
 */
#include "raw.h"
#include "round.h"

#include "../sched/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pl_ctl *const c = &pl_ctl;

bool pl_run_has(unsigned i)
{
	return c->shared->part[i].in && !c->actor[i].retired;
}

bool pl_round_busy(void)
{
	return c->job != NULL;
}

const char *pl_round_state(void)
{
	static const char *const names[] = { "armed", "running", "running", "draining",
		"checking" };

	return c->job ? names[c->job->stage] : "idle";
}

void pl_run_totals(uint64_t *done, uint64_t *okay, uint64_t *fail, uint64_t *bytes)
{
	unsigned i;

	*done = *okay = *fail = *bytes = 0;
	for (i = 0; i < c->nactors; i++) {
		*done += atomic_load(&c->shared->slot[i].done);
		*okay += atomic_load(&c->shared->slot[i].okay);
		*fail += atomic_load(&c->shared->slot[i].fail);
		*bytes += atomic_load(&c->shared->slot[i].bytes);
	}
}

static json_t *summary(struct pl_run *j)
{
	const char *verdict = j->violated		 ? "violated"
			      : j->unknown || !j->judged ? "unknown"
							 : "held";
	json_t *o;

	pl_run_totals(&j->done, &j->okay, &j->fail, &j->bytes);
	o = json_pack("{sIsIsIsIsIsIsIsIsI}", "rounds", (json_int_t)j->rounds, "judged",
		(json_int_t)j->judged, "unknown", (json_int_t)j->unknown, "violated",
		(json_int_t)j->violated, "done", (json_int_t)(j->done - j->done0), "okay",
		(json_int_t)(j->okay - j->okay0), "fail", (json_int_t)(j->fail - j->fail0), "bytes",
		(json_int_t)(j->bytes - j->bytes0), "pending", (json_int_t)j->pending);
	(void)json_object_update_new(o,
		json_pack("{sIsIsIsIsIsIsIss}", "killed", (json_int_t)j->killed, "ordered",
			(json_int_t)j->ordered, "short", (json_int_t)j->shorts, "overlapped",
			(json_int_t)j->overlapped, "elapsed_ns", (json_int_t)(pl_now() - j->begun),
			"round_ns", (json_int_t)j->overhead_ns, "check_ns", (json_int_t)j->check_ns,
			"verdict", verdict));
	if (j->why[0])
		(void)json_object_set_new(o, "why", json_string(j->why));
	if (j->cancel)
		(void)json_object_set_new(o, "canceled", json_true());
	return o;
}

void pl_run_finish(void)
{
	struct pl_run *j = c->job;
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (pl_run_has(i)) {
			c->actor[i].enlisted = false;
			pl_round_wake(i, STAGE_OVER);
		}
	pl_shared_forget(c->sharedfd);
	c->shared->lease++;
	pl_reply(j->id, summary(j));
	c->job = NULL;
	free(j);
	pl_event("state", json_pack("{ss}", "state", "idle"));
}

void pl_run_fail(const char *why)
{
	c->job->unknown++;
	(void)snprintf(c->job->why, sizeof c->job->why, "%s", why);
	pl_run_finish();
}

static int64_t number(json_t *req, const char *name)
{
	return json_integer_value(json_object_get(req, name));
}

/* When the first round is to start; 0: at once. */
static int64_t start_of(json_t *req, int64_t now)
{
	int64_t at = number(req, "start_at");

	if (at && __builtin_add_overflow(at, c->t0, &at))
		return INT64_MAX;
	return at ? at : now + number(req, "start_in_ms") * 1000000;
}

static int first_handle(json_t *req)
{
	const char *on = json_string_value(json_object_get(req, "on"));
	int i;

	if (on)
		return pl_handle_find(on, NULL);
	for (i = 1; i <= PL_HANDLES_MAX; i++)
		if (c->handle[i].used && !c->handle[i].local)
			return i;
	return -ENOENT;
}

static int idle_actors(void)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (c->actor[i].call.live)
			return -EBUSY;
	return 0;
}

/* Operations that end in user space are over before another actor is awake: left alone, actors take turns instead
 * of meeting (measured with mutexes: one operation in ten overlaps another, with noise eight in ten). */
static int scheduler(json_t *req)
{
	const char *how = json_string_value(json_object_get(req, "sched"));
	const struct pl_op *op;

	if (how)
		return pl_sched_parse(how);
	for (op = c->ops; op->name; op++)
		if (op->how & PL_USER && op->weight)
			return PL_SCHED_NOISE;
	return PL_SCHED_FREE;
}

void pl_req_run(int64_t id, json_t *req)
{
	int handle = first_handle(req), sched = scheduler(req);
	int64_t ops = number(req, "ops"), now = pl_now(), start = start_of(req, now);
	struct pl_run *j;
	char why[160];

	if (handle < 0 || sched < 0 || c->job || idle_actors() < 0)
		return pl_reply_err(id, "usage", true, NULL, "%s",
			handle < 0  ? "'on' must name an open handle"
			: sched < 0 ? "sched is free or noise"
				    : "a run or a call is under way");
	if (start - now > PL_START_MAX_MS * INT64_C(1000000))
		return pl_reply_err(
			id, "usage", true, NULL, "start_at is more than ten minutes ahead");
	if (!number(req, "rounds") && !number(req, "for_ms"))
		return pl_reply_err(id, "usage", true, NULL, "run needs rounds or for_ms");
	ops = ops ? ops : PL_OPS_DEFAULT;
	c->shared->model = c->drv->variants[c->handle[handle].obj.variant].model;
	c->shared->caps = pl_caps_of(c->drv, &c->handle[handle].obj);
	c->shared->sched = (uint32_t)sched;
	c->shared->half = json_is_true(json_object_get(req, "half"));
	if (pl_plan_make(json_object_get(req, "plan"), handle, (uint32_t)ops, why, sizeof why) < 0)
		return pl_reply_err(id, "usage", true, NULL, "%s", why);
	j = calloc(1, sizeof *j);
	if (!j)
		return pl_reply_err(id, "internal", true, NULL, "out of memory");
	j->id = id, j->handle = handle, j->ops = (uint32_t)ops;
	j->rounds_wanted = (uint64_t)number(req, "rounds");
	j->for_ns = number(req, "for_ms") * 1000000;
	j->begun = j->round_begun = now;
	j->start_at = start;
	pl_run_totals(&j->done0, &j->okay0, &j->fail0, &j->bytes0);
	c->job = j;
	pl_stage_begin(GATHER);
	pl_event("state", json_pack("{ss}", "state", "running"));
	pl_round_try();
}

int pl_round_cancel(int64_t id)
{
	if (!c->job || c->job->id != id)
		return -ENOENT;
	c->job->cancel = true;
	atomic_store(&c->shared->stop, 1);
	(void)raw_futex_wake(&c->shared->stop); /* who waits for a start that is far */
	return 0;
}

void pl_round_abandon(void)
{
	if (c->job)
		pl_reply_err(c->job->id, "canceled", false, NULL, "stopped in round %u",
			c->shared->round);
}
