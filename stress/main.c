/* SPDX-License-Identifier: MIT
 *
 * plumb-stress: hundreds of drivers, a few at once in a run, every round judged. README.md explains
 * it.
 */
#include "engine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BEAT_MS = 20 };

/* Part of the names of all objects and of the sweep's search: unique, and never short. */
static void name_run(struct engine *e)
{
	time_t t = time(NULL);
	struct tm tm;
	unsigned salt;

	if (getrandom(&salt, sizeof salt, 0) != (ssize_t)sizeof salt)
		salt = (unsigned)getpid();
	(void)gmtime_r(&t, &tm);
	(void)strftime(e->run, sizeof e->run, "%Y%m%d-%H%M%S", &tm);
	(void)snprintf(e->run + strlen(e->run), 10, "-%06x", salt & 0xffffff);
}

static void on_beat(uv_timer_t *t)
{
	phase_beat(t->data);
}

static void on_signal(uv_signal_t *s, int number)
{
	if (number == SIGCHLD)
		pool_reap(s->data);
	else
		phase_interrupt(s->data);
}

static int set_up(struct engine *e)
{
	static const struct {
		size_t at;
		int number;
	} signals[] = { { offsetof(struct engine, on_child), SIGCHLD },
		{ offsetof(struct engine, on_int), SIGINT },
		{ offsetof(struct engine, on_term), SIGTERM },
		{ offsetof(struct engine, on_hup), SIGHUP } };
	int r = uv_loop_init(&e->loop);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		uv_signal_t *s = (uv_signal_t *)((char *)e + signals[i].at);

		(void)uv_signal_init(&e->loop, s);
		s->data = e;
		r = uv_signal_start(s, on_signal, signals[i].number);
		if (r < 0)
			return r;
	}
	(void)uv_timer_init(&e->loop, &e->beat);
	e->beat.data = e;
	e->beat_ns = now_ns();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	return setenv("PLUMBLINE_RUN", e->run, 1);
}

static json_t *start_event(const struct engine *e)
{
	json_t *argv = json_array(), *kinds = json_object();
	char seed[32], name[2 * NAME_MAX_];

	for (int i = 0; i < e->argc; i++)
		(void)json_array_append_new(argv, json_string(e->argv[i]));
	for (unsigned i = 0; i < e->cfg.nmix; i++)
		(void)json_object_set_new(
			kinds, mix_name(&e->cfg.mix[i], name), json_integer(e->cfg.mix[i].n));
	(void)snprintf(seed, sizeof seed, "0x%llx", (unsigned long long)e->cfg.seed);
	return json_pack("{s:s,s:s,s:o,s:o,s:o,s:s,s:s}", "run", e->run, "seed", seed, "argv", argv,
		"drivers", kinds, "lanes",
		e->cfg.lanes ? json_integer(e->cfg.lanes) : json_string("free"), "place",
		e->cfg.place, "dir", e->dir);
}

static int run(struct engine *e)
{
	json_t *summary;
	int code;

	e->t0 = now_ns();
	events_put(e, "start", start_event(e));
	human_start(e);
	clock_begin(e);
	if (pool_start(e) < 0 || lanes_init(e) < 0)
		return EXIT_BROKEN;
	(void)uv_timer_start(&e->beat, on_beat, 0, BEAT_MS);
	(void)uv_run(&e->loop, UV_RUN_DEFAULT);
	residue_check(e);
	clock_end(e);
	summary = report_build(e, &code);
	(void)report_write(e, summary);
	human_end(e, summary);
	events_put(e, "end", summary);
	folder_close(e);
	return code;
}

static void show_plan(const struct engine *e)
{
	char name[2 * NAME_MAX_];

	for (unsigned i = 0; i < e->cfg.nmix; i++) {
		const struct mix *m = &e->cfg.mix[i];

		(void)printf("%-24s %6u drivers of %d actors%s%s\n", mix_name(m, name),
			m->n - m->over, e->cfg.actors,
			!m->supported ? ", skipped: "
			: m->over     ? ", some skipped: "
				      : "",
			m->why);
	}
	if (e->cfg.lanes)
		(void)printf("%d at once for %.3g s, seed 0x%llx\n\n", e->cfg.lanes,
			(double)e->cfg.for_ns / 1e9, (unsigned long long)e->cfg.seed);
	else
		(void)printf("all at once for %.3g s, seed 0x%llx\n\n", (double)e->cfg.for_ns / 1e9,
			(unsigned long long)e->cfg.seed);
}

static int ask_all(struct engine *e)
{
	for (unsigned i = 0; i < e->cfg.nmix; i++) {
		int r = ask_hello(&e->cfg, &e->cfg.mix[i]);

		if (r)
			return r;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct engine e;
	char parent[PATH_MAX];
	int r;

	if (config_parse(&e.cfg, argc, argv) < 0)
		return EXIT_USAGE;
	if (e.cfg.help) {
		config_usage();
		return EXIT_HELD;
	}
	if (config_drivers(&e.cfg) < 0)
		return EXIT_USAGE;
	if (e.cfg.list)
		return ask_list(&e.cfg);
	e.argc = argc;
	e.argv = argv;
	e.events_fd = e.lock_fd = e.dir_fd = -1;
	e.tty = isatty(STDOUT_FILENO) && !e.cfg.json;
	e.violations = json_array();
	e.doubtful = json_array();
	e.hangs = json_array();
	e.residue = json_array();
	e.brokens = json_array();
	name_run(&e);
	r = launch_init() < 0 ? EXIT_BROKEN : ask_all(&e);
	if (r)
		return r;
	if (e.cfg.dry_run) {
		limits_fit(&e);
		show_plan(&e);
		return limits_check(&e, true);
	}
	/* dead runs first, while this is still the IPC namespace they used, and they still use up
	 * limits */
	if (folder_parent(&e.cfg, parent, sizeof parent) == 0)
		sweep_dead(&e, parent);
	limits_fit(&e);
	r = limits_check(&e, false);
	if (r == 0)
		r = folder_open(&e);
	if (r == 0 && set_up(&e) < 0)
		r = EXIT_BROKEN;
	return r ? r : run(&e);
}
