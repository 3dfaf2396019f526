/* SPDX-License-Identifier: MIT
 *
 * Judging a round: a forked child runs the checker over the shared histories and leaves its verdict
 * in shared memory. Control goes on answering. Only violated rounds keep their history.
 */
#include "kit.h"
#include "raw.h"
#include "round.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { SAVED_MAX = 4 }; /* violated rounds of a driver whose histories are kept */

static struct pl_ctl *const c = &pl_ctl;

enum pl_role pl_judged_role(unsigned op)
{
	unsigned own = 0;

	while (own < op && c->drv->ops[own].name)
		own++;
	return own < op || !c->drv->ops[own].name ? PL_NONE : c->ops[op].role;
}

static void name_ops(struct pl_hist_head *h)
{
	unsigned i;
	int size;

	h->nops = c->nops < PL_HIST_OPS ? c->nops : PL_HIST_OPS;
	for (i = 0; i < h->nops; i++) {
		(void)snprintf(h->op[i].name, sizeof h->op[i].name, "%s", c->ops[i].name);
		h->op[i].role = (uint8_t)pl_judged_role(i);
		h->op[i].how = (uint16_t)c->ops[i].how;
		h->op[i].number = pl_arg_of(&c->ops[i], PL_SIZE, &size) == NULL;
	}
}

void pl_hist_begin(unsigned index, const struct pl_handle *o, unsigned incarnation, pid_t pid)
{
	const struct pl_variant *v = &c->drv->variants[o->obj.variant];
	struct pl_hist_head *h = pl_hist(c->shared, index);

	if (h->version == 0) { /* fresh memory: all that does not change between rounds */
		memcpy(h->magic, PL_HIST_MAGIC, sizeof h->magic);
		h->version = PL_HIST_VERSION, h->endian = PL_HIST_ENDIAN;
		h->head_size = PL_HIST_HEAD, h->rec_size = PL_REC;
		h->seed = c->seed, h->t0 = c->t0, h->inst = c->inst;
		h->clock_error = c->clock_error;
		(void)snprintf(h->driver, sizeof h->driver, "%s", c->drv->name);
		(void)snprintf(h->run, sizeof h->run, "%s", c->run);
		(void)snprintf(h->clock, sizeof h->clock, "CLOCK_MONOTONIC");
		name_ops(h);
	}
	(void)snprintf(h->variant, sizeof h->variant, "%s", v->name);
	h->caps = v->caps, h->model = v->model;
	h->capacity = o->altered ? 0 : o->obj.capacity, h->grain = o->obj.grain;
	h->flags = (c->shared->half ? PL_HIST_HALF : 0) | (c->shared->beyond ? PL_HIST_BEYOND : 0) |
		   (o->altered ? PL_HIST_ALTERED : 0) | (pl_primed(o) ? PL_HIST_PRIMED : 0);
	h->round = c->shared->round;
	h->actor = index == PL_ACTORS_MAX ? PL_CONTROL : (uint16_t)index;
	h->incarnation = (uint16_t)incarnation;
	h->pid = pid;
	__atomic_store_n(&h->head, 0, __ATOMIC_RELEASE);
}

static int collect(struct pl_log *logs)
{
	unsigned i;
	int n = 0;

	for (i = 0; i <= PL_ACTORS_MAX; i++) {
		struct pl_hist_head *h = pl_hist(c->shared, i);

		if (i < PL_ACTORS_MAX && (i >= c->nactors || !c->shared->part[i].in))
			continue;
		logs[n++] = (struct pl_log){ .head = h,
			.rec = pl_recs(h),
			.n = h->head < PL_RECS_MAX ? h->head : PL_RECS_MAX };
	}
	pl_hist(c->shared, PL_ACTORS_MAX)->actors = (uint32_t)n - 1;
	return n;
}

void pl_judge_file(char *buf, size_t size, const struct pl_hist_head *h)
{
	if (h->actor == PL_CONTROL)
		(void)snprintf(buf, size, "round-%u.control.hist", h->round);
	else
		(void)snprintf(buf, size, "round-%u.actor-%u.hist", h->round, h->actor);
}

static off_t file_size(const struct pl_log *l)
{
	return (off_t)(PL_HIST_HEAD + l->n * PL_REC);
}

static void save(const struct pl_log *l)
{
	char name[64], path[sizeof c->dir + sizeof name];
	const char *p = (const char *)l->head;
	size_t left = (size_t)file_size(l);
	long fd;

	pl_judge_file(name, sizeof name, l->head);
	(void)snprintf(path, sizeof path, "%s/%s", c->dir, name);
	fd = raw_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	while (fd >= 0 && left > 0) {
		long n = raw_write((int)fd, p, left);

		if (n <= 0)
			break;
		p += n, left -= (size_t)n;
	}
	if (fd >= 0)
		(void)raw_close((int)fd);
}

/* After the verdict, which stands whatever becomes of this. */
static void tell(const struct pl_log *logs, int n)
{
	static struct pl_story s;

	pl_story_tell(logs, n, 0, &c->shared->verdict, &s, NULL);
	c->shared->story = s;
	c->shared->verdict.confirmed |= s.confirmed;
}

pid_t pl_judge_start(void)
{
	struct pl_log logs[PL_ACTORS_MAX + 1];
	int n = collect(logs), i;
	pid_t self = getpid(), pid;

	c->shared->checked = 0;
	c->shared->story.n = 0;
	c->shared->story.drawing[0] = 0;
	pid = fork();
	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != self)
		raw_exit(0);
	(void)prctl(PR_SET_NAME, "plumb-checker");
	(void)syscall(SYS_close_range, 3U, ~0U, 0U);
	pl_check(logs, n, 0, &c->shared->verdict);
	/* A round that only empties the object finds what the one before left: no finding. */
	if (c->shared->verdict.outcome == PL_VIOLATED && !c->job->cleaning) {
		for (i = 0; c->dir[0] && i < n && c->shared->saved < SAVED_MAX; i++)
			save(&logs[i]);
		c->shared->saved++;
	}
	for (i = 0; c->shared->half && c->dir[0] && i < n && !c->job->cleaning; i++)
		save(&logs[i]);
	c->shared->checked = 1;
	if (c->shared->verdict.outcome == PL_VIOLATED && c->shared->saved <= SAVED_MAX)
		tell(logs, n);
	raw_exit(0);
}

static json_t *witness(const struct pl_witness *w)
{
	unsigned index = w->actor == PL_CONTROL ? PL_ACTORS_MAX : w->actor;
	struct pl_hist_head *h;
	struct pl_rec *r;
	char token[24];
	json_t *o;

	if (index > PL_ACTORS_MAX)
		return json_object();
	h = pl_hist(c->shared, index);
	if (w->seq >= h->head || w->seq >= PL_RECS_MAX)
		return json_object();
	r = &pl_recs(h)[w->seq];
	(void)snprintf(token, sizeof token, "0x%llx", (unsigned long long)r->token);
	o = json_pack("{sisisssisIsIsIsssI}", "actor", (int)w->actor, "seq", (int)w->seq, "f",
		r->op < h->nops ? h->op[r->op].name : "control", "state", (int)r->state, "t_inv",
		(json_int_t)pl_time(r->t_invoke), "t_ret",
		(json_int_t)(r->t_return ? pl_time(r->t_return) : 0), "ret", (json_int_t)r->ret,
		"token", token, "tag", (json_int_t)r->aux);
	if (r->err)
		(void)json_object_set_new(o, "errno", json_string(pl_errno_name(r->err)));
	return o;
}

/* The operations shown, in order; without a story those that the verdict points at. */
static json_t *witnesses(const struct pl_verdict *v)
{
	json_t *a = c->shared->story.n ? pl_story_ops(&c->shared->story, c->t0) : json_array();

	for (int i = 0; !c->shared->story.n && i < v->nwit && i < PL_WITNESS_MAX; i++)
		(void)json_array_append_new(a, witness(&v->wit[i]));
	return a;
}

static json_t *files(void)
{
	struct pl_log logs[PL_ACTORS_MAX + 1];
	int n = collect(logs), i;
	char name[64], path[sizeof c->dir + sizeof name];
	json_t *a = json_array();
	struct stat st;

	for (i = 0; i < n && c->dir[0] && c->shared->saved <= SAVED_MAX; i++) {
		pl_judge_file(name, sizeof name, logs[i].head);
		(void)snprintf(path, sizeof path, "%s/%s", c->dir, name);
		if (stat(path, &st) < 0 || st.st_size != file_size(&logs[i]))
			continue; /* a full disk */
		(void)json_array_append_new(a, json_string(name));
	}
	return a;
}

void pl_judge_violation(const struct pl_verdict *v)
{
	const struct pl_hist_head *h = pl_hist(c->shared, PL_ACTORS_MAX);
	uint64_t done, okay, fail, bytes;
	const struct pl_story *s = &c->shared->story;
	char seed[24];

	(void)snprintf(seed, sizeof seed, "0x%llx", (unsigned long long)c->seed);
	pl_run_totals(&done, &okay, &fail, &bytes);
	pl_event(
		"violation", json_pack("{sssssssisssssssIsIsbsbsIsIsososo}", "rule", v->rule,
				     "model", pl_model_name((enum pl_model)h->model), "variant",
				     h->variant, "round", (int)h->round, "seed", seed, "text",
				     v->text, "promise", pl_promise(h->model, v->rule), "slack_ns",
				     (json_int_t)v->slack_ns, "done", (json_int_t)done, "confirmed",
				     (int)v->confirmed, "enough", (int)(s->n && s->enough), "of",
				     (json_int_t)(s->n ? s->of : v->ops + v->pending), "level",
				     (json_int_t)(s->n ? s->level : -1), "witness", witnesses(v),
				     "timeline", pl_story_lines(s), "files", files()));
}
