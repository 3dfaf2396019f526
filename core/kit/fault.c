/* SPDX-License-Identifier: MIT
 *
 * Faults on request: what can happen to a participant, done to one on purpose.
 */
#include "kit.h"
#include "raw.h"

#include <string.h>

static struct pl_ctl *const c = &pl_ctl;

static int fault_kill(unsigned id, json_t *req)
{
	pl_kill_actor(id, true);
	return 0;
}

/* Threads of one process stop and go on together. */
static void note_stopped(unsigned id, bool stopped)
{
	int64_t now = pl_now();
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (c->actor[i].alive && c->actor[i].pid == c->actor[id].pid) {
			c->actor[i].stopped = stopped;
			pl_control_note(stopped ? PL_OP_STOP : PL_OP_CONT, i, now, now, 0, 0);
		}
}

static int fault_stop(unsigned id, json_t *req)
{
	pl_actor_await(id); /* while it is not yet marked as stopped: then nobody waits for it */
	note_stopped(id, true);
	return pl_signal_actor(&c->actor[id], SIGSTOP);
}

static int fault_cont(unsigned id, json_t *req)
{
	note_stopped(id, false);
	return pl_signal_actor(&c->actor[id], SIGCONT);
}

static int fault_signal(unsigned id, json_t *req)
{
	const char *name = json_string_value(json_object_get(req, "signal"));
	int signo = name ? pl_signal_number(name) : -EINVAL;

	return signo < 0 ? signo : pl_signal_actor(&c->actor[id], signo);
}

/* Only who waits for messages can be told something. */
static int tell(unsigned id, uint32_t kind, uint32_t handle, int end)
{
	struct pl_cmd m = { .kind = kind, .handle = handle, .end = end };

	return c->actor[id].call.live || pl_round_busy()
		       ? -EBUSY
		       : pl_chan_send(c->actor[id].chan, &m, sizeof m, NULL, 0);
}

static int fault_close(unsigned id, json_t *req)
{
	const char *on = json_string_value(json_object_get(req, "on"));
	int end = -1, handle = on ? pl_handle_find(on, &end) : -EINVAL, r;

	if (handle < 0)
		return -EINVAL;
	r = tell(id, CMD_CLOSE, (uint32_t)handle, end);
	if (r < 0)
		return r;
	c->actor[id].told++;
	pl_actor_await(id);
	return 0;
}

static int fault_exit(unsigned id, json_t *req)
{
	int r = tell(id, CMD_EXIT, 0, -1);

	c->actor[id].asked |= r == 0;
	return r;
}

static int fault_exec(unsigned id, json_t *req)
{
	int r = c->actor[id].kind == KIND_PROCESS ? tell(id, CMD_EXEC, 0, -1) : -EINVAL;

	if (r < 0)
		return r;
	c->actor[id].execed = true;
	return pl_objects_give(&c->actor[id]);
}

static const struct {
	const char *what;
	int (*act)(unsigned id, json_t *req);
} faults[] = {
	{ "kill", fault_kill },
	{ "stop", fault_stop },
	{ "cont", fault_cont },
	{ "signal", fault_signal },
	{ "close", fault_close },
	{ "exit", fault_exit },
	{ "exec", fault_exec },
};

void pl_req_fault(int64_t id, json_t *req)
{
	const char *what = json_string_value(json_object_get(req, "what"));
	json_t *j = json_object_get(req, "actor");
	json_int_t n = j ? json_integer_value(j) : -1;
	unsigned i;
	int r;

	if (n < 0 || n >= (json_int_t)c->nactors)
		return pl_reply_err(id, "usage", true, NULL, "no such actor");
	for (i = 0; what && i < sizeof faults / sizeof *faults; i++) {
		if (strcmp(faults[i].what, what) != 0)
			continue;
		if (faults[i].act == fault_exec && !pl_exec_works())
			return pl_reply_err(id, "unsupported", true, NULL, PL_NO_EXEC);
		if (!c->actor[n].alive || c->actor[n].dying)
			return pl_reply_err(id, "usage", true,
				json_pack("{sisb}", "actor", (int)n, "dead", 1), "actor %d is dead",
				(int)n);
		r = faults[i].act((unsigned)n, req);
		if (r < 0)
			return pl_reply_err(id, "usage", true, NULL, "%s: %s", what, strerror(-r));
		return pl_reply(id, json_object());
	}
	pl_reply_err(
		id, "usage", true, NULL, "what is kill, stop, cont, signal, close, exit or exec");
}
