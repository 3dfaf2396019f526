/* SPDX-License-Identifier: MIT
 *
 * plumb-stress: what its parts share. One thread, one libuv loop; every wait has a deadline.
 *
 * config  the command line               folder  the run's folder, its lock, leftovers of dead runs
 * ask     a driver's --hello             limits  the budget, checked before anything starts
 * launch  starting a process cheaply
 * child   one driver's process, streams  wire    requests out, replies and events in
 * pool    all drivers: start, stop, reap lanes   who is in a run
 * faults  kill, stop and continue        watch   deadlines; dead, starved or stuck
 * events  JSON Lines                     human   plain lines
 * report  run.json and the verdict       proc    /proc
 * detail  by operation and by latency    clock   whether stamps are to be trusted
 * graph   who waits for whom             gallery scenes, naming: --job deadlock-gallery
 */
#ifndef PLUMBLINE_ENGINE_H
#define PLUMBLINE_ENGINE_H

#include "../core/hist/clock.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

enum {
	MIX_MAX = 64, /* kinds of drivers in a run */
	DRIVERS_MAX = 20000,
	CHECKERS_MAX = 1024,	/* what drivers take */
	FAULTS_MAX = 8,		/* --fault options */
	TARGET_MAX = 32,	/* words of a --target */
	LINE_MAX_ = 65536,	/* bytes of a protocol line, its LF included */
	ASKED_MAX = 32,		/* requests of one driver that wait for an answer */
	RING = 32,		/* stderr lines kept of a driver ... */
	RING_LINE = 256,	/* ... and bytes of each */
	VIOLATIONS_KEPT = 100,	/* in run.json, of each list */
	VIOLATIONS_TOLD = 1000, /* as events */
	TIMELINE_LINES = 64,	/* of a violation, for people */
	NAME_MAX_ = 32,
	DETAIL_OPS = 48, /* operations of a kind of driver, counted apart */
	DETAIL_EDGES = 96,
};

enum {
	EXIT_HELD,
	EXIT_VIOLATED,
	EXIT_USAGE,
	EXIT_BROKEN,
	EXIT_NOTHING,
	EXIT_UNSURE,
	EXIT_INT = 130
};

#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)

enum fault_what { FAULT_KILL, FAULT_STOP };

struct fault {
	enum fault_what what;
	double per_s;
	int64_t next_ns;
	uint64_t asked, done, refused; /* refused: the actor was gone, or no driver was in a run */
};

/* What one driver needs of each limit, as its hello says under `needs`. Unknown names are ignored.
 */
struct needs {
	int64_t processes, queues, mqueue_bytes, pipe_pages, fds;
	int64_t sysv_queues, sysv_arrays, shm_segments, shm_bytes;
};

/* Latencies: log buckets, four an octave, weighted by operations. */
struct digest {
	uint64_t p50[256], p99[256];
	int64_t max;
};

/* Sums over the runs of one kind of driver. */
struct tally {
	uint64_t rounds, judged, unknown, violated, done, okay, fail, pending, killed, bytes,
		ordered;
	uint64_t short_ops, overlapped, elapsed_ns, round_ns, slices;
	uint64_t tick_done, tick_okay, tick_fail, tick_bytes,
		tick_rounds; /* what ticks said, live */
	struct digest lat;
};

/* By operation and by latency, of judged rounds. An edge is the upper one, in ns. */
struct detail {
	struct detail_op {
		char name[NAME_MAX_];
		uint64_t okay, fail;
	} op[DETAIL_OPS];
	int64_t edge[DETAIL_EDGES];
	uint64_t count[DETAIL_EDGES];
	unsigned nop, nedge;
};

/* One MECH[/VARIANT]=N of the command line. */
struct mix {
	char mech[NAME_MAX_], variant[NAME_MAX_]; /* variant "": the driver's first */
	unsigned n;
	char *path; /* the driver's binary */
	bool supported;
	unsigned
		over; /* of n: the last ones, which a limit leaves no room for; never without --fit */
	char why[200]; /* not supported, or no room: why */
	struct needs needs;
	struct tally tally;
	struct detail detail;
	const char *label; /* of a job's: what it is called there; NULL: by mechanism and variant */
	unsigned objects;  /* that one driver opens; 0: one */
	unsigned ops;	   /* units an actor and round, so that a round fits a turn; 0: the driver's
			 default */
	uint64_t sure;	   /* violations that need no clock */
	char doubt[160];   /* why stamps of its drivers are not to be trusted; "": they are */
};

struct config {
	struct mix mix[MIX_MAX];
	unsigned nmix;
	int64_t for_ns, slice_ns,
		patience_ns; /* slice 0: chosen; patience: what a run may last beyond its slice */
	uint64_t seed;
	int lanes;	   /* 0: free */
	int checkers;	   /* at once, of all drivers, where lanes do not limit them */
	int actors, ops;   /* ops 0: the driver's default */
	int tick_ms, only; /* only: -1, or the one instance to run */
	const char *place, *drivers, *out, *job; /* job NULL: the mix */
	char *target[TARGET_MAX + 1];		 /* argv prefix */
	int ntarget;
	struct fault fault[FAULTS_MAX];
	int nfault;
	int64_t events_max; /* bytes of events.jsonl */
	bool json, dry_run, fit, list, help;
};

enum op {
	OP_NONE,
	OP_INIT,
	OP_OPEN,
	OP_ACTOR,
	OP_RUN,
	OP_STATUS,
	OP_FAULT,
	OP_PING,
	OP_STOP,
	OP_CALL,
	OP_CANCEL,
	OP_WHO,
};

/* NEW: not spawned. STARTING: not all of hello, init, open, actor answered. LEAVING: on the stop
 * ladder. */
enum state { ST_NEW, ST_STARTING, ST_READY, ST_RUNNING, ST_LEAVING, ST_GONE };
enum fate { FATE_OK, FATE_SKIPPED, FATE_BROKEN };
enum rung { RUNG_NONE, RUNG_STOP, RUNG_EOF, RUNG_TERM, RUNG_KILL };

struct asked {
	int64_t id; /* 0: free */
	enum op op;
	short detail; /* FAULT: index of the fault; -1: of none; CALL: the scene's actor; OPEN: its
			 object */
};

struct engine;

/* One driver: a process that speaks plumb/1. */
struct driver {
	struct engine *e;
	struct mix *mix;
	struct scene *scene; /* of the gallery; NULL: it goes through rounds */
	unsigned inst, seat; /* seat: which driver of the scene */
	enum state state;
	enum fate fate;
	enum rung rung;
	bool barred;   /* not to be started: not supported, or no room */
	char why[256]; /* skipped or broken: why */

	pid_t pid;
	int status; /* of wait(2) */
	bool exited, out_eof, hello, bye, same_clock, killed_by_us;
	int open_handles;
	uv_pipe_t in, out, err;
	char *part; /* the beginning of a line that has not ended */
	size_t npart;
	char (*ring)[RING_LINE];
	unsigned nring; /* lines seen; the last RING are kept */
	char errpart[RING_LINE];
	unsigned nerrpart;

	struct asked asked[ASKED_MAX];
	int64_t next_id;
	int nactors;
	uint64_t flood_bytes, flood_lines; /* in this second */

	int64_t spawned_ns, exited_ns, heard_ns, leave_ns;
	int64_t run_from_ns, run_ms, grew_ns; /* grew: when a tick or reply last showed progress */
	int64_t silent_ns, run_delay_ns;      /* silence was noticed; schedstat then */
	bool starving, in_lane, hang;
	json_t *who;	   /* what it last answered to that question; NULL: nothing */
	unsigned nblocked; /* actors, at the last tick */
	const char *seen;  /* what the last status of this run showed; NULL: none asked */
	int64_t seen_ns;
	int64_t examined_ns; /* status was asked for, the run being overdue */
	int64_t cont_ns;     /* continue cont_actor then; 0: none stopped */
	int cont_actor;
	uint64_t slices, judged, violations, sure, left_objects;
};

struct lanes {
	unsigned *order, n, next; /* drivers, kinds interleaved */
	int running;
	int64_t slice_ns;
	bool closed; /* no further run is given */
};

enum phase { PH_START, PH_RUN, PH_DRAIN, PH_STOP, PH_OVER };

struct engine {
	struct config cfg;
	uv_loop_t loop;
	uv_timer_t beat;
	uv_signal_t on_child, on_int, on_term, on_hup;
	struct driver *drv;
	unsigned n, nready, ngone, nskipped, nbroken;
	enum phase phase;
	struct lanes lanes;
	struct gallery *gallery; /* NULL: rounds */
	int64_t t0, armed_ns, run_from_ns, run_until_ns, drain_ns, beat_ns, next_tick_ns,
		next_line_ns, end_ns;
	int interrupts;
	uint64_t picks; /* draws of the faults' random numbers */
	char run[40], dir[PATH_MAX];
	int argc;
	char **argv;
	int events_fd, lock_fd, dir_fd;
	int64_t events_size, events_bound; /* of events.jsonl; when it is next made shorter */
	bool events_lost, tty, private_ipc;
	json_t *violations, *hangs, *residue, *brokens;
	json_t *doubtful; /* violations that rest on a clock which is not to be trusted */
	struct pl_clock clock, clock_after;
	uint64_t nviolations, nhangs, nrests, nstarved, nunasked;
	struct tally total;
};

static inline int64_t now_ns(void)
{
	return (int64_t)uv_hrtime();
}

/* config.c. 0, or -1 after one line on stderr. */
int config_parse(struct config *ret_cfg, int argc, char **argv);
void config_usage(void);
int config_drivers(struct config *cfg);
const char *mix_name(const struct mix *m, char buf[2 * NAME_MAX_]);

/* ask.c. Runs a command to its end; its first output goes to buf. Exit code, or -errno. */
int ask_run(char *const argv[], char *buf, size_t size, int deadline_ms);
int ask_hello(struct config *cfg, struct mix *m);

/* words.c */
/* Splits in place; how many words, -E2BIG or -EINVAL (a quote that is not closed). */
int words_split(char *s, char **ret_word, int max);
int ask_list(struct config *cfg);

/* launch.c. init takes its descriptors: to be called before there are many. */
int launch_init(void);
int launch(char *const argv[], const int streams[3], pid_t *ret_pid);

/* child.c. Write never blocks: what does not fit is queued, at most 1 MiB. */
int child_spawn(struct driver *d);
void child_write(struct driver *d, const char *text, size_t n);
void child_shut(struct driver *d);
void child_close(struct driver *d);
void child_last_words(const struct driver *d, json_t **ret_lines);

/* wire.c */
void wire_start(struct driver *d);
void wire_init(struct driver *d);
/* A request: what follows `"op":`. Its number, which is never 0. */
int64_t wire_say(struct driver *d, enum op op, short detail, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void wire_run(struct driver *d, int64_t for_ms, int64_t start_ns);
int wire_fault(struct driver *d, const char *what, int actor, short detail);
void wire_ask(struct driver *d, enum op op);
void wire_line(struct driver *d, const char *line, size_t n);
bool wire_waits(const struct driver *d, enum op op);

/* replies.c: what an answer or an event means to the run */
void reply_ok(struct driver *d, struct asked a, const json_t *ok);
void reply_err(struct driver *d, struct asked a, const json_t *err);
void reply_event(struct driver *d, const json_t *line);

/* pool.c */
int pool_start(struct engine *e);
void pool_reap(struct engine *e);
void pool_ready(struct driver *d);
void pool_leave(struct driver *d); /* the first rung of the ladder */
void pool_kill(struct driver *d);  /* the last */
void pool_kill_all(struct engine *e);
void pool_fail(struct driver *d, enum fate fate, const char *fmt, ...)
	__attribute__((format(printf, 3, 4))); /* and leave; the first reason is kept */
void pool_settle(struct driver *d);	       /* exited, and its output read */
void pool_beat(struct driver *d, int64_t now);

/* gallery.c: --job deadlock-gallery */
struct gallery_counts {
	unsigned held, violated, skipped, broken, unknown;
};
int gallery_mix(struct config *c); /* of the job's name; -1 after one line */
int gallery_init(struct engine *e);
void gallery_start(struct driver *d);
void gallery_hello(struct driver *d, const json_t *hello);
void gallery_ready(struct driver *d);
void gallery_reply(struct driver *d, struct asked a, const json_t *ok, const json_t *err);
void gallery_play(struct engine *e);
void gallery_beat(struct engine *e, int64_t now);
json_t *gallery_json(const struct engine *e);
void gallery_verdict(const struct engine *e, struct gallery_counts *ret, char why[256]);

/* naming.c: one driver's look, judged; NULL: nobody waits, or that cannot be seen */
json_t *naming_one(const struct driver *d, const json_t *who);

/* lanes.c */
int lanes_init(struct engine *e);
void lanes_fill(struct engine *e);
void lanes_done(struct driver *d);
void lanes_fit(struct driver *d, const json_t *summary);
void lanes_free_run(struct engine *e);

/* faults.c, watch.c, phase.c */
void faults_beat(struct engine *e, int64_t now);
void watch_driver(struct driver *d, int64_t now);
void watch_status(struct driver *d, const json_t *status);
void watch_who(struct driver *d, const json_t *who);
void watch_rest(struct driver *d, const json_t *rest);
void phase_beat(struct engine *e);
void phase_stop(struct engine *e);
void phase_interrupt(struct engine *e);
void phase_arm(struct engine *e); /* when every driver is ready or out */

/* tally.c. Both ignore what is no number, and say -EPROTO to figures that cannot be. */
int tally_run(struct tally *t, const json_t *summary);
void tally_tick(struct tally *t, const json_t *tick);
void tally_add(struct tally *t, const struct tally *more);
json_t *tally_json(const struct tally *t, double seconds);

/* detail.c. json: sets `op` {name: [okay, failed]} and `lat_hist` {edge: how many}. */
void detail_tick(struct detail *d, const json_t *tick);
void detail_json(const struct detail *d, json_t *to);

/* events.c. The object is taken over; `ev` and `t` are added. */
void events_put(struct engine *e, const char *ev, json_t *o);
json_t *events_who(const struct driver *d);

/* clock.c. begin before the drivers, end when all are gone: it corrects what was counted. */
void clock_begin(struct engine *e);
void clock_end(struct engine *e);
void clock_hello(struct driver *d, const json_t *hello);
bool clock_ours(
	const struct engine *e, const json_t *hello); /* only then may absolute times be used */
bool clock_decides(const json_t *violation);	      /* it rests on stamps */
const char *clock_why(const struct engine *e);	      /* what is wrong; NULL: nothing */
json_t *clock_json(const struct engine *e);

/* human.c */
void human_start(struct engine *e);
void human_armed(struct engine *e, double ms);
void human_tick(struct engine *e, int64_t now);
void human_note(struct engine *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void human_end(struct engine *e, const json_t *summary);

/* report.c */
json_t *report_build(struct engine *e, int *ret_exit);
int report_write(struct engine *e, const json_t *summary);
void report_violation(struct driver *d, const json_t *event);
void report_hang(struct driver *d, json_t *o, bool violated); /* the object is taken over */
char *report_command(const struct engine *e, int only);

/* limits.c. What needs it is raised; with --fit drivers are given up until the rest has room. */
void limits_fit(struct engine *e);
/* 0; EXIT_BROKEN after one line that names limit, value and need. */
int limits_check(struct engine *e, bool show);

/* folder.c */
int folder_parent(const struct config *c, char *buf, size_t size);
int folder_open(struct engine *e);
void folder_inst(const struct driver *d, char *buf, size_t size); /* its path; "" if too long */
void folder_make_inst(const struct driver *d, char *buf, size_t size); /* "" if impossible */
void folder_stderr(const struct driver *d);
int folder_unlink_object(const struct engine *e, const char *driver, const char *name);
void folder_close(struct engine *e);

/* sweep.c: what dead runs beside this one have left */
void sweep_dead(struct engine *e, const char *parent);

/* residue.c */
void residue_check(struct engine *e);

#endif
