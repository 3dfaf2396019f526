/* SPDX-License-Identifier: MIT
 *
 * Deadlines. Three things look alike from afar and are kept apart here:
 *   dead     no line for 3 ticks and then 3 more, and the process did not lack a CPU;
 *   starved  the same silence, but it was runnable and got no CPU;
 *   stuck    ticks come, a run is overdue, and its operations do not grow: the mechanism, not the
 * driver.
 */
#include "engine.h"
#include "proc.h"

#include <string.h>

#define HELLO_NS (5 * SEC)
#define READY_NS (30 * SEC)
#define STARVED_MAX_NS (60 * SEC)
#define FLOOD_BYTES                                                                                \
	(UINT64_C(8) << 20) /* a second; one that violates in every round stays below both */
#define FLOOD_LINES 20000

#define LOOK_NS (SEC / 2) /* between two looks at a run that does not grow */
#define DEADLOCK "deadlock"

enum { RESTS_TOLD = 10 };
enum { OVERDUE = 12 }; /* patiences until a run that makes progress is called endless */

static void watch_start(struct driver *d, int64_t now)
{
	if (!d->hello && now - d->spawned_ns > HELLO_NS) {
		pool_fail(d, FATE_BROKEN, "said no hello within 5 s");
		pool_kill(d);
	} else if (now - d->spawned_ns > READY_NS) {
		pool_fail(d, FATE_BROKEN, "was not ready within 30 s: %s unanswered",
			wire_waits(d, OP_INIT)	 ? "init"
			: wire_waits(d, OP_OPEN) ? "open"
						 : "actor");
		pool_kill(d);
	}
}

/* Did it want a CPU for most of the silence? */
static bool starved(const struct driver *d, int64_t now)
{
	struct proc p;
	int64_t delay = proc_run_delay(d->pid);

	if (proc_read(d->pid, &p) == 0 && (p.state == 'R' || p.state == 'D'))
		return true;
	return delay >= 0 && d->run_delay_ns >= 0 &&
	       delay - d->run_delay_ns > (now - d->silent_ns) / 2;
}

static void tell_starved(struct driver *d, int64_t silent)
{
	json_t *o = events_who(d);

	d->starving = true;
	d->e->nstarved++;
	(void)json_object_set_new(o, "what", json_string("starved"));
	(void)json_object_set_new(o, "silent_ms", json_integer(silent / MS));
	events_put(d->e, "driver", o);
}

static void watch_ticks(struct driver *d, int64_t now)
{
	int64_t three = 3 * d->e->cfg.tick_ms * MS, silent = now - d->heard_ns;
	struct proc p = { .state = '?' };

	if (silent < three + 100 * MS) {
		d->silent_ns = 0;
		d->starving = false;
		return;
	}
	if (!d->silent_ns) {
		d->silent_ns = now;
		d->run_delay_ns = proc_run_delay(d->pid);
		wire_ask(d, OP_PING);
		return;
	}
	if (now - d->silent_ns < three)
		return;
	if (silent < STARVED_MAX_NS && starved(d, now)) {
		if (!d->starving)
			tell_starved(d, silent);
		d->silent_ns = now;
		d->run_delay_ns = proc_run_delay(d->pid);
		return;
	}
	(void)proc_read(d->pid, &p);
	pool_fail(d, FATE_BROKEN, "is silent: no tick and no answer for %.1f s, process state %c",
		(double)silent / 1e9, p.state);
	pool_kill(d);
}

/* A run that is overdue and does not grow is looked at again and again: on a loaded machine it may be
 * waiting for nothing but a CPU. Only what watch_status has seen twice is a hang; the rest has OVERDUE
 * patiences. */
static void watch_run(struct driver *d, int64_t now)
{
	int64_t patience = d->e->cfg.patience_ns, over = now - d->run_from_ns - d->run_ms * MS;
	int64_t still =
		patience > 3 * d->e->cfg.tick_ms * MS ? patience : 3 * d->e->cfg.tick_ms * MS;
	bool grows = now - d->grew_ns <= still;

	if (over < patience)
		return;
	if (over > OVERDUE * patience)
		pool_fail(d, FATE_BROKEN,
			grows ? "makes progress, but its run of %lld ms does not end (%s)"
			      : "makes no progress in its run of %lld ms (%s)",
			(long long)d->run_ms, d->seen ? d->seen : "running");
	else if (wire_waits(d, OP_STATUS) && now - d->examined_ns > still)
		pool_fail(d, FATE_BROKEN, "did not answer `status` in a run that is overdue");
	else if (!grows && now - d->examined_ns > LOOK_NS) {
		d->examined_ns = now;
		wire_ask(d, OP_WHO); /* not every driver knows that */
		wire_ask(d, OP_STATUS);
	}
}

void watch_driver(struct driver *d, int64_t now)
{
	if (d->flood_bytes > FLOOD_BYTES || d->flood_lines > FLOOD_LINES) {
		pool_fail(d, FATE_BROKEN, "floods: more than 8 MiB or 20000 lines in a second");
		pool_kill(d);
	}
	if (d->exited)
		return;
	if (d->state == ST_STARTING)
		watch_start(d, now);
	if (d->state == ST_READY || d->state == ST_RUNNING)
		watch_ticks(d, now);
	if (d->state == ST_RUNNING &&
		!d->silent_ns) /* of a silent one nothing can be said about its run */
		watch_run(d, now);
}

/* Only blocked actors, and nobody who could free them: a deadlock. */
static const char *kind_of(const json_t *status)
{
	const char *state = json_string_value(json_object_get(status, "state"));
	unsigned blocked = 0, stopped = 0, running = 0;
	size_t i;
	json_t *a;

	if (state && (strcmp(state, "checking") == 0 || strcmp(state, "draining") == 0))
		return state;
	json_array_foreach(json_object_get(status, "actors"), i, a)
	{
		const char *is = json_string_value(json_object_get(a, "is"));

		blocked += is && strcmp(is, "blocked") == 0;
		stopped += is && strcmp(is, "stopped") == 0;
		running += is && strcmp(is, "running") == 0;
	}
	return running ? "running" : stopped ? "stopped" : blocked ? DEADLOCK : "idle";
}

/* Nothing else moves: whose fault it is, a plan's, a death's or the mechanism's, the graph says if it
 * can. The run goes by plans that balance, so it is a violation all the same. */
static void name_hang(struct driver *d, json_t *o)
{
	json_t *named = d->who ? naming_one(d, d->who) : NULL;

	(void)json_object_set_new(o, "kind", json_string(DEADLOCK));
	if (named && strcmp(json_string_value(json_object_get(named, "kind")), "slow") != 0)
		(void)json_object_update(o, named);
	json_decref(named);
}

static void tell_hang(struct driver *d, const json_t *status)
{
	json_t *o = events_who(d);
	const char *text;
	char name[2 * NAME_MAX_];

	name_hang(d, o);
	(void)json_object_set_new(o, "run_ms", json_integer((now_ns() - d->run_from_ns) / MS));
	(void)json_object_set(o, "round", json_object_get(status, "round"));
	(void)json_object_set(o, "rung", json_object_get(status, "rung"));
	(void)json_object_set(o, "actors", json_object_get(status, "actors"));
	text = json_string_value(json_object_get(o, "text"));
	report_hang(d, json_incref(o), true);
	human_note(d->e,
		"hang: %s instance %u: all its actors are blocked, no operation for %.1f s",
		mix_name(d->mix, name), d->inst, (double)(now_ns() - d->grew_ns) / 1e9);
	if (text)
		human_note(d->e, "      %s", text);
	json_decref(o);
}

void watch_who(struct driver *d, const json_t *who)
{
	json_decref(d->who);
	d->who = json_incref((json_t *)who);
}

/* A round that its own plan leads into a wait without end: named, and no violation by itself. What
 * the mechanism may have done wrong in it is for the checker to say. */
void watch_rest(struct driver *d, const json_t *rest)
{
	json_t *named = naming_one(d, rest), *o = events_who(d);
	char name[2 * NAME_MAX_];

	(void)json_object_set(o, "round", json_object_get(rest, "round"));
	if (!named || strcmp(json_string_value(json_object_get(named, "kind")), "slow") == 0) {
		json_decref(named);
		json_decref(o);
		return;
	}
	(void)json_object_update(o, named);
	json_decref(named);
	if (d->e->nrests++ < RESTS_TOLD)
		human_note(d->e, "%s: %s instance %u, round %lld: %s",
			json_string_value(json_object_get(o, "kind")), mix_name(d->mix, name),
			d->inst, (long long)json_integer_value(json_object_get(o, "round")),
			json_string_value(json_object_get(o, "text")));
	report_hang(d, o, false);
}

/* The answer to the question of watch_run. */
void watch_status(struct driver *d, const json_t *status)
{
	bool before = d->seen && strcmp(d->seen, DEADLOCK) == 0;
	const char *kind = kind_of(status);

	if (d->state != ST_RUNNING || !d->examined_ns)
		return;
	d->seen = strcmp(kind, DEADLOCK) == 0	 ? DEADLOCK
		  : strcmp(kind, "running") == 0 ? "running"
		  : strcmp(kind, "stopped") == 0 ? "stopped"
						 : "idle, draining or checking";
	if (!before || strcmp(kind, DEADLOCK) != 0 || d->grew_ns > d->seen_ns) {
		d->seen_ns = now_ns();
		return;
	}
	tell_hang(d, status);
	pool_leave(d);
}
