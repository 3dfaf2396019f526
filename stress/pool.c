/* SPDX-License-Identifier: MIT
 *
 * All drivers: started together, stopped by a ladder (stop, EOF, SIGTERM, SIGKILL), reaped here and
 * nowhere else: the engine is a child subreaper, so what a driver leaves behind comes to this
 * waitid, too.
 */
#include "engine.h"
#include "proc.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_NS (2 * SEC)
#define EOF_NS (2 * SEC)
#define TERM_NS (5 * SEC)
#define DRAIN_NS (SEC / 2) /* from a driver's exit until its output is given up */

static void count_out(struct driver *d)
{
	struct engine *e = d->e;

	d->state = ST_GONE;
	e->ngone++;
	if (d->fate == FATE_SKIPPED)
		e->nskipped++;
}

static void start_one(struct driver *d)
{
	int r;

	d->state = ST_STARTING;
	r = child_spawn(d);
	if (r < 0) {
		pool_fail(d, FATE_BROKEN, "cannot be started: %s", strerror(-r));
		return;
	}
	if (d->scene)
		gallery_start(d);
	else
		wire_start(d);
}

int pool_start(struct engine *e)
{
	unsigned inst = 0;

	for (unsigned i = 0; i < e->cfg.nmix; i++)
		e->n += e->cfg.mix[i].n;
	e->drv = calloc(e->n, sizeof *e->drv);
	if (!e->drv)
		return -ENOMEM;
	for (unsigned i = 0; i < e->cfg.nmix; i++) {
		struct mix *m = &e->cfg.mix[i];

		for (unsigned k = 0; k < m->n; k++, inst++)
			e->drv[inst] = (struct driver){ .e = e,
				.mix = m,
				.inst = inst,
				.barred = !m->supported || k >= m->n - m->over };
	}
	if (e->cfg.job && gallery_init(e) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < e->n; i++) {
		struct driver *d = &e->drv[i];

		if (e->cfg.only >= 0 && i != (unsigned)e->cfg.only) {
			count_out(d);
		} else if (d->barred) {
			d->fate = FATE_SKIPPED;
			(void)snprintf(d->why, sizeof d->why, "%s", d->mix->why);
			count_out(d);
		} else
			start_one(d);
	}
	return 0;
}

void pool_ready(struct driver *d)
{
	if (d->state != ST_STARTING)
		return;
	d->state = ST_READY;
	d->e->nready++;
	if (d->scene)
		gallery_ready(d);
	phase_arm(d->e);
}

void pool_leave(struct driver *d)
{
	if (d->state == ST_LEAVING || d->state == ST_GONE)
		return;
	d->state = ST_LEAVING; /* before its lane is given on: not to itself */
	lanes_done(d);
	d->rung = RUNG_STOP;
	d->leave_ns = now_ns();
	if (d->pid > 0)
		wire_ask(d, OP_STOP);
}

void pool_kill(struct driver *d)
{
	if (d->state == ST_GONE)
		return;
	pool_leave(d);
	child_shut(d);
	d->rung = RUNG_KILL;
	d->killed_by_us = true;
	if (d->exited || d->pid <= 1)
		return;
	/* when all go, one walk at the end (residue.c) finds what a group does not hold */
	if (d->e->phase < PH_STOP) {
		proc_kill_tree(d->pid);
		return;
	}
	if (getpgid(d->pid) == d->pid)
		(void)kill(-d->pid, SIGKILL);
	(void)kill(d->pid, SIGKILL);
}

void pool_kill_all(struct engine *e)
{
	for (unsigned i = 0; i < e->n; i++)
		pool_kill(&e->drv[i]);
}

/* A driver's first misfortune is the one that is told. */
void pool_fail(struct driver *d, enum fate fate, const char *fmt, ...)
{
	va_list ap;

	if (d->fate == FATE_OK && d->state != ST_GONE) {
		d->fate = fate;
		va_start(ap, fmt);
		(void)vsnprintf(d->why, sizeof d->why, fmt, ap);
		va_end(ap);
		for (char *c = d->why; *c;
			c++) /* may quote a driver's bytes: they go to terminals and JSON */
			*c = *c >= ' ' && *c < 127 ? *c : '?';
	}
	pool_leave(d);
	if (d->pid <= 0 && d->state != ST_GONE)
		pool_settle(d);
}

static const char *end_text(const struct driver *d, char buf[80])
{
	if (WIFSIGNALED(d->status))
		(void)snprintf(buf, 80, "killed by signal %d (SIG%s)", WTERMSIG(d->status),
			sigabbrev_np(WTERMSIG(d->status)) ? sigabbrev_np(WTERMSIG(d->status))
							  : "?");
	else
		(void)snprintf(buf, 80, "exit status %d", WEXITSTATUS(d->status));
	return buf;
}

/* What its end says about a driver that nothing was held against so far. */
static void judge_end(struct driver *d, bool asked)
{
	bool clean = WIFEXITED(d->status) && WEXITSTATUS(d->status) == 0;
	char how[80];

	if (d->fate != FATE_OK || (d->killed_by_us && d->e->interrupts > 1))
		return;
	if (d->pid > 0 && WIFEXITED(d->status) && WEXITSTATUS(d->status) == 77) {
		d->fate = FATE_SKIPPED;
		(void)snprintf(d->why, sizeof d->why, "%.200s",
			d->ring ? d->ring[(d->nring - 1) % RING]
				: "exit status 77: not supported here");
		return;
	}
	if (asked && clean && d->bye && d->rung < RUNG_TERM)
		return;
	d->fate = FATE_BROKEN;
	(void)end_text(d, how);
	if (!asked)
		(void)snprintf(d->why, sizeof d->why, "died unasked: %s", how);
	else if (d->rung == RUNG_KILL)
		(void)snprintf(d->why, sizeof d->why, "did not stop: SIGKILL was needed");
	else if (d->rung == RUNG_TERM)
		(void)snprintf(d->why, sizeof d->why, "did not stop: SIGTERM was needed");
	else
		(void)snprintf(d->why, sizeof d->why, "stopped without %s: %s",
			d->bye ? "success" : "bye", how);
}

static void tell_broken(struct driver *d)
{
	json_t *o = events_who(d), *lines;
	char name[2 * NAME_MAX_];

	child_last_words(d, &lines);
	(void)json_object_set_new(o, "what", json_string("broken"));
	(void)json_object_set_new(o, "why", json_string(d->why));
	(void)json_object_set_new(o, "stderr", lines);
	if (json_array_size(d->e->brokens) < VIOLATIONS_KEPT)
		(void)json_array_append(d->e->brokens, o);
	human_note(d->e, "broken: %s instance %u %s", mix_name(d->mix, name), d->inst, d->why);
	if (json_array_size(lines))
		human_note(d->e, "        %s",
			json_string_value(json_array_get(lines, json_array_size(lines) - 1)));
	events_put(d->e, "driver", o);
	d->e->nbroken++;
}

/* One place where a driver ends, whatever ended it. */
void pool_settle(struct driver *d)
{
	bool asked = d->state == ST_LEAVING && d->rung != RUNG_NONE;

	if (d->state == ST_GONE)
		return;
	if (d->pid > 0 && (!d->exited || (!d->out_eof && now_ns() - d->exited_ns < DRAIN_NS)))
		return;
	d->state = ST_LEAVING;
	lanes_done(d);
	judge_end(d, asked);
	folder_stderr(d);
	if (d->pid > 0)
		child_close(d);
	count_out(d);
	if (d->fate == FATE_BROKEN)
		tell_broken(d);
	phase_arm(d->e);
}

static struct driver *by_pid(struct engine *e, pid_t pid)
{
	for (unsigned i = 0; i < e->n; i++)
		if (e->drv[i].pid == pid && !e->drv[i].exited)
			return &e->drv[i];
	return NULL;
}

/* Peeks before it reaps: while the zombie holds its number, the group of that number is surely its
 * own. */
void pool_reap(struct engine *e)
{
	siginfo_t si = { 0 };
	struct driver *d;
	int status;

	while (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid > 0) {
		d = by_pid(e, si.si_pid);
		if (d && !(d->bye && si.si_code == CLD_EXITED && si.si_status == 0) &&
			getpgid(d->pid) == d->pid)
			(void)kill(-d->pid, SIGKILL);
		if (waitpid(si.si_pid, &status, 0) < 0)
			break;
		si.si_pid = 0;
		if (!d)
			continue;
		d->exited = true;
		d->exited_ns = now_ns();
		d->status = status;
		pool_settle(d);
	}
}

void pool_beat(struct driver *d, int64_t now)
{
	if (d->exited)
		pool_settle(d);
	if (d->state != ST_LEAVING || d->exited)
		return;
	if (d->rung == RUNG_STOP && now - d->leave_ns > STOP_NS) {
		d->rung = RUNG_EOF;
		child_shut(d);
	} else if (d->rung == RUNG_EOF && now - d->leave_ns > STOP_NS + EOF_NS) {
		d->rung = RUNG_TERM;
		(void)kill(d->pid, SIGTERM);
	} else if (d->rung == RUNG_TERM && now - d->leave_ns > STOP_NS + EOF_NS + TERM_NS)
		pool_kill(d);
}
