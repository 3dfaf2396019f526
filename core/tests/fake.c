/* SPDX-License-Identifier: MIT
 *
 * plumb-fake: a driver that speaks plumb/1 without the kit, and misbehaves on request.
 *
 * The engine, the CLI and drivercheck are tested with it. The mode is the variant of `open`
 * (`plumb-stress fake/crash=1`), the end of the program's own name (`plumb-fake-silent`, a link) or
 * PLUMB_FAKE in the environment. Figures are invented but consistent. Its object is a file in
 * /dev/shm, journalled as the kit does it; PLUMB_FAKE_NEEDS holds the `needs` of its hello.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"

#include <jansson.h>

enum { ROUND_MS = 5, ROUND_OPS = 200 };

struct fake me;

static void hang(void)
{
	(void)signal(SIGTERM, SIG_IGN);
	for (;;)
		(void)pause();
}

static void do_init(json_int_t id, json_t *q)
{
	json_t *t0 = json_object_get(q, "t0");
	const char *run = json_string_value(json_object_get(q, "run"));
	const char *dir = json_string_value(json_object_get(q, "dir"));
	json_int_t tick_ms = json_integer_value(json_object_get(q, "tick_ms"));

	if (t0)
		me.t0 = json_integer_value(t0);
	me.tick_ns = (tick_ms > 0 ? tick_ms : 1000) * 1000000;
	me.next_tick = now_ns() + me.tick_ns;
	me.inst = json_integer_value(json_object_get(q, "inst"));
	(void)snprintf(me.run, sizeof me.run, "%s", run ? run : "");
	(void)snprintf(me.dir, sizeof me.dir, "%s", dir ? dir : "");
	reply(id, "ok",
		json_pack("{s:[s,s],s:b}", "caps", "datagram", "blocking", "dir", *me.dir != 0));
}

/* The journal first, then the object: a kill between the two leaves a name without an object, never
 * the other way round. */
static void journal(void)
{
	char path[4000];
	FILE *f;

	if (!*me.dir)
		return;
	(void)snprintf(path, sizeof path, "%s/objects", me.dir);
	f = fopen(path, "ae");
	if (!f)
		return;
	(void)fprintf(f, "fake %s\n", me.object);
	(void)fclose(f);
}

static int object_path(const char *name, char *path, size_t n)
{
	if (strncmp(name, "/plumb.", 7) != 0 || strchr(name + 1, '/'))
		return -EINVAL;
	return snprintf(path, n, "/dev/shm%s", name) < (int)n ? 0 : -ENAMETOOLONG;
}

static const char no_queue[] =
	"{\"kind\":\"os\",\"name\":\"ENOSPC\",\"call\":\"open\",\"definite\":true,"
	"\"msg\":\"no queue left\",\"limit\":\"fs.mqueue.queues_max\"}";

static void do_open(json_int_t id, json_t *q)
{
	const char *variant = json_string_value(json_object_get(q, "variant"));
	char path[300];
	int fd;

	for (int i = 0; variant && i < NMODES; i++)
		if (strcmp(variant, modes[i].name) == 0)
			me.mode = (enum mode)i;
	if (me.mode == LIMIT) {
		reply(id, "err", json_loads(no_queue, 0, NULL));
		return;
	}
	(void)snprintf(me.object, sizeof me.object, "/plumb.%s.%d.q", me.run, (int)me.inst);
	journal();
	(void)object_path(me.object, path, sizeof path);
	fd = open(path, O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0600);
	if (fd >= 0)
		(void)close(fd);
	reply(id, "ok", json_pack("{s:s}", "name", me.object));
}

static pid_t spawn_actor(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	(void)close(0);
	(void)close(1);
	for (;;)
		(void)pause();
}

static void do_actor(json_int_t id, json_t *q)
{
	json_t *ids = json_array(), *pids = json_array();
	json_int_t n = json_integer_value(json_object_get(q, "n"));

	for (json_int_t i = 0; i < n && me.nactors < ACTORS; i++, me.nactors++) {
		me.actor[me.nactors] = spawn_actor();
		(void)json_array_append_new(ids, json_integer(me.nactors));
		(void)json_array_append_new(pids, json_integer(me.actor[me.nactors]));
	}
	reply(id, "ok", json_pack("{s:o,s:o}", "ids", ids, "pids", pids));
	if (me.mode == DIE) {
		(void)fprintf(stderr, "plumb-fake: about to die\n");
		(void)raise(SIGSEGV);
	}
	if (me.mode == HANG)
		hang();
}

static void run_flood(void)
{
	static const char noise[] = "{\"ev\":\"noise\",\"t\":0}\n";
	static char block[4096];

	memset(block, 'x', sizeof block);
	for (;;)
		if (me.mode == FLOOD ? write(1, noise, sizeof noise - 1) < 0
				     : write(1, block, sizeof block) < 0)
			_exit(1);
}

/* What a mode does at the start of a run; most do nothing. */
static void run_misbehave(void)
{
	switch (me.mode) {
	case HANG_RUN:
		hang();
		break;
	case FLOOD:
	case FLOOD_LINE:
		run_flood();
		break;
	case FLOOD_STDERR:
		for (int i = 0; i < 20000; i++)
			(void)fprintf(stderr, "line %d of very many\n", i);
		break;
	case CRASH:
		(void)fprintf(stderr, "plumb-fake: assertion 'all is well' failed\n");
		abort();
	case GARBAGE:
		(void)!write(1, "Hello, world.\n", 14);
		break;
	case BINARY:
		(void)!write(1, "\377\033[2J\0{}\n", 9);
		break;
	case EXIT:
		_exit(0);
	case REST:
		event("rest", who());
		break;
	case LIE_REPLY:
		reply(987654, "ok", json_object());
		break;
	default:
		break;
	}
}

static void do_run(json_int_t id, json_t *q)
{
	json_int_t ms = json_integer_value(json_object_get(q, "for_ms"));
	json_int_t in_ms = json_integer_value(json_object_get(q, "start_in_ms"));
	json_t *at = json_object_get(q, "start_at");

	if (me.run_id) {
		refuse(id, "usage", "in a run already");
		return;
	}
	run_misbehave();
	me.run_id = id;
	me.run_from = at ? me.t0 + json_integer_value(at) : now_ns() + in_ms * 1000000;
	me.run_end = me.run_from + (ms ? ms : 1) * 1000000;
	if (me.mode == STUCK || me.mode == ENDLESS)
		me.run_end = INT64_MAX;
}

static const char invented[] =
	"{\"rule\":\"VORD\",\"model\":\"fifo\",\"seed\":\"0x1\",\"slack_ns\":1000,\"files\":[],"
	"\"text\":\"invented: actor 1's payload 7 came before 6\","
	"\"witness\":[{\"actor\":1,\"seq\":7,\"f\":\"recv\"}]}";

static void violation(void)
{
	json_t *o = json_loads(invented, 0, NULL);

	(void)json_object_set_new(o, "variant", json_string(modes[me.mode].name));
	(void)json_object_set_new(o, "round", json_integer(me.rounds));
	event("violation", o);
}

static void end_run(int canceled)
{
	int64_t ran = now_ns() < me.run_from ? 0 : now_ns() - me.run_from;
	int rounds = 1 + (int)(ran / 1000000 / ROUND_MS), done = rounds * ROUND_OPS;
	int bad = me.mode == LIE_NUMBERS ? rounds : 0, unknown = me.mode == UNKNOWN ? rounds : 0;
	/* clang-format off */
	const struct { const char *name; json_int_t v; } sum[] = {
		{ "rounds", rounds }, { "judged", rounds - unknown }, { "unknown", unknown },
		{ "violated", bad }, { "done", done }, { "okay", done }, { "fail", 0 }, { "pending", 0 },
		{ "killed", 0 }, { "bytes", done * 64 }, { "ordered", done / 2 }, { "short", done },
		{ "overlapped", done * 3 / 4 }, { "elapsed_ns", ran }, { "round_ns", rounds * 200000 },
	};
	/* clang-format on */
	json_t *o = json_pack("{s:s}", "verdict", bad ? "violated" : unknown ? "unknown" : "held");

	for (size_t i = 0; i < sizeof sum / sizeof *sum; i++)
		(void)json_object_set_new(o, sum[i].name, json_integer(sum[i].v));
	if (canceled)
		(void)json_object_set_new(o, "canceled", json_true());
	me.rounds += rounds;
	me.fresh += done;
	if (bad)
		violation();
	if (me.mode == DOUBLE)
		reply(me.run_id, "ok", json_deep_copy(o));
	reply(me.run_id, "ok", o);
	me.run_id = 0;
}

static void do_status(json_int_t id, json_t *q)
{
	json_t *all = json_array();

	for (int i = 0; i < me.nactors; i++) {
		int blocked = me.run_id && me.mode == STUCK;

		(void)json_array_append_new(all,
			json_pack("{s:i,s:i,s:s,s:s,s:I}", "id", i, "pid", (int)me.actor[i], "is",
				blocked	    ? "blocked"
				: me.run_id ? "running"
					    : "idle",
				"in", blocked ? "mq_timedreceive" : "", "held_ns",
				(json_int_t)(blocked ? now_ns() - me.run_from : 0)));
	}
	reply(id, "ok",
		json_pack("{s:s,s:i,s:o,s:i,s:s}", "state", me.run_id ? "running" : "idle", "round",
			me.rounds, "actors", all, "handles", 1, "rung", "syscall"));
}

static void do_who(json_int_t id, json_t *q)
{
	if (me.mode == STUCK)
		reply(id, "ok", who());
	else
		refuse(id, "unsupported", "unknown op");
}

static void do_fault(json_int_t id, json_t *q)
{
	const char *what = json_string_value(json_object_get(q, "what"));
	json_int_t a = json_integer_value(json_object_get(q, "actor"));
	int sig = !what			      ? 0
		  : strcmp(what, "kill") == 0 ? SIGKILL
		  : strcmp(what, "stop") == 0 ? SIGSTOP
		  : strcmp(what, "cont") == 0 ? SIGCONT
					      : 0;

	if (!sig || a < 0 || a >= me.nactors || me.actor[a] <= 1 || kill(me.actor[a], sig) < 0) {
		refuse(id, "usage", "no such actor");
		return;
	}
	if (sig == SIGKILL) {
		(void)waitpid(me.actor[a], NULL, 0);
		event("actor", json_pack("{s:I,s:s,s:s,s:b}", "actor", a, "is", "signalled",
				       "signal", "KILL", "asked", 1));
		me.actor[a] = spawn_actor();
	}
	ok(id);
}

static void tick(void)
{
	int done = me.run_id && me.mode != STUCK ? ROUND_OPS : 0;
	json_t *lat = json_pack("{s:i,s:i,s:i}", "p50", 800, "p99", 6000, "max", 90000);
	json_t *o = json_pack("{s:i,s:i,s:i,s:i,s:i,s:[],s:o}", "done", done, "okay", done, "fail",
		0, "bytes", done * 64, "rounds", done ? 1 : 0, "blocked", "lat_ns", lat);

	if (me.fresh) {
		(void)json_object_set_new(lat, "hist", json_pack("{s:i}", "1024", me.fresh));
		(void)json_object_set_new(o, "op", json_pack("{s:[i,i]}", "send", me.fresh, 0));
		me.fresh = 0;
	}
	if (me.run_id)
		(void)json_object_set_new(o, "job", json_integer(me.run_id));
	event("tick", o);
	me.next_tick = now_ns() + me.tick_ns;
}

/* Left behind on purpose: it has its own session and ignores what can be ignored. */
static void leave_child(void)
{
	if (fork())
		return;
	(void)setsid();
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)close(0);
	(void)close(1);
	(void)close(2);
	for (;;)
		(void)pause();
}

static void do_stop(json_int_t id, json_t *q)
{
	char path[300];

	if (me.mode == NOSTOP)
		return;
	if (me.run_id)
		end_run(1);
	for (int i = 0; i < me.nactors; i++) {
		(void)kill(me.actor[i], SIGKILL);
		(void)waitpid(me.actor[i], NULL, 0);
	}
	if (me.mode == CHILD)
		leave_child();
	if (me.mode != LEAK && *me.object && object_path(me.object, path, sizeof path) == 0)
		(void)unlink(path);
	tick();
	if (id)
		reply(id, "ok", json_pack("{s:[]}", "leaked"));
	event("bye", json_pack("{s:[]}", "leaked"));
	_exit(0);
}

static void do_cancel(json_int_t id, json_t *q)
{
	if (me.run_id)
		end_run(1);
	ok(id);
}

static void do_ok(json_int_t id, json_t *q)
{
	ok(id);
}

/* clang-format off */
static const struct {
	const char *op;
	void (*run)(json_int_t id, json_t *q);
} requests[] = {
	{ "init", do_init }, { "open", do_open }, { "actor", do_actor }, { "run", do_run },
	{ "status", do_status }, { "who", do_who }, { "fault", do_fault }, { "cancel", do_cancel }, { "ping", do_ok },
	{ "release", do_ok }, { "close", do_ok }, { "stop", do_stop },
};
/* clang-format on */

static void request(json_t *q)
{
	json_int_t id = json_integer_value(json_object_get(q, "id"));
	const char *op = json_string_value(json_object_get(q, "op"));

	for (size_t i = 0; op && i < sizeof requests / sizeof *requests; i++) {
		if (strcmp(op, requests[i].op) == 0) {
			requests[i].run(id, q);
			return;
		}
	}
	refuse(id, op ? "unsupported" : "proto", op ? "unknown op" : "no op");
}

static int till_next(void)
{
	int64_t next = me.next_tick, now = now_ns();

	if (me.run_id && me.run_end < next)
		next = me.run_end;
	return next <= now ? 0 : (int)((next - now + 999999) / 1000000);
}

static void take_lines(char *buf, size_t *n)
{
	char *from = buf, *lf;

	while ((lf = memchr(from, '\n', *n - (size_t)(from - buf)))) {
		json_t *q = json_loadb(from, (size_t)(lf - from), JSON_REJECT_DUPLICATES, NULL);

		if (q)
			request(q);
		else
			put(json_pack("{s:n,s:i,s:{s:s,s:b,s:s}}", "re", "t", 0, "err", "kind",
				"proto", "definite", 1, "msg", "not a line of JSON"));
		json_decref(q);
		from = lf + 1;
	}
	*n -= (size_t)(from - buf);
	memmove(buf, from, *n);
}

static void loop(void)
{
	static char buf[LINE];
	struct pollfd p = { .fd = 0, .events = POLLIN };
	size_t n = 0;

	me.next_tick = now_ns() + me.tick_ns;
	for (;;) {
		if (poll(&p, 1, till_next()) > 0) {
			ssize_t got = read(0, buf + n, sizeof buf - n);

			if (got <= 0 && me.mode == NOSTOP)
				p.fd = -1;
			else if (got <= 0)
				do_stop(0, NULL);
			else
				n += (size_t)got;
			take_lines(buf, &n);
		}
		if (me.run_id && now_ns() >= me.run_end)
			end_run(0);
		if (now_ns() >= me.next_tick)
			tick();
	}
}

static enum mode mode_of(const char *argv0)
{
	const char *from = strstr(argv0, "plumb-fake-"),
		   *name = from ? from + 11 : getenv("PLUMB_FAKE");

	for (int i = 0; name && i < NMODES; i++)
		if (strcmp(name, modes[i].name) == 0)
			return (enum mode)i;
	return OBEY;
}

int main(int argc, char **argv)
{
	char path[300];

	me.mode = mode_of(argv[0]);
	me.tick_ns = 1000000000;
	me.t0 = now_ns();
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "--unlink") == 0)
		return object_path(argv[2], path, sizeof path) == 0 &&
				       (unlink(path) == 0 || errno == ENOENT)
			       ? 0
			       : 2;
	if (argc == 2 && strcmp(argv[1], "--hello") == 0) {
		hello();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--modes") == 0) {
		for (int i = 0; i < NMODES; i++)
			(void)printf("%-14s %s\n", modes[i].name, modes[i].what);
		return 0;
	}
	(void)setpgid(0, 0);
	if (me.mode == CRASH_HELLO) {
		(void)fprintf(stderr, "plumb-fake: cannot even say hello\n");
		abort();
	}
	if (me.mode == SLOW)
		wait_ms(SLOW_MS * 5);
	while (me.mode == SILENT)
		if (read(0, path, sizeof path) <= 0)
			return 0;
	hello();
	loop();
}
