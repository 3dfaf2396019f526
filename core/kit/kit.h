/* SPDX-License-Identifier: MIT
 *
 * The kit's inside: what the control process and its actors share, and who does what.
 *
 *   main.c     arguments, the guard of stdout, the one poll loop
 *   frame.c    lines in                     out.c      lines out
 *   request.c  the table of requests        hello.c    what a driver says of itself
 *   object.c   handles: open, release, close, journal
 *   call.c     one operation, its deadline, its cancel
 *   spawn.c    actors: fork, thread, kill   reap.c     their deaths
 *   exec.c     actors of a fresh program    fault.c    kill, stop, continue, close, signal
 *   chan.c     messages between control and an actor
 *   actor.c    an actor's loop              stage.c    its stages of a round
 *   unit.c     the hot loop of a round
 *   plan.c     who does what in a round     round.c    barrier to reset, control's side
 *   rest.c     quiescence                   judge.c    the forked check and what it found
 *   seat.c     how many of those at once
 *   observe.c  /proc: is it asleep, in what call?
 *   status.c, tick.c  what is told          names.c    errno, signals, capabilities
 *   who.c      who waits for what, and who has it
 *   fdops.c    operations that every descriptor has
 *   procops.c  operations that every process has
 *   path.c     where objects that are files live
 *   place.c    on which CPU an actor runs
 */
#ifndef PLUMBLINE_KIT_H
#define PLUMBLINE_KIT_H

#include "../check/check.h"
#include "../driver.h"
#include "../hist/history.h"
#include "../witness/story.h"
#include "frame.h"

#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum {
	PL_EXIT_USAGE = 2,
	PL_ACTORS_MAX = 64,
	PL_HANDLES_MAX = 16,
	PL_HANDLE_NAME = 24,
	PL_SYSNAME = 96,       /* "/plumb.<run>.<inst>.<handle>" */
	PL_RECS_MAX = 1 << 16, /* records of one actor in one round */
	PL_OPS_DEFAULT = 2000,
	PL_DO_MAX = 8,	    /* operations an actor draws from in a plan */
	PL_SIGNALS_MAX = 8, /* signals remembered between two replies of an actor */
	PL_PIECES_MAX = 16, /* extents of a stream told in the reply of a call */
	PL_KICK = SIGURG, /* ends a wait: handled, no SA_RESTART; ignored by default, so never fatal
			   */
	PL_START_MAX_MS = 600000, /* how far ahead a run may be told to start */
	PL_OUT_HIGH = 1 << 20,	  /* bytes queued for stdout above which stdin is not read */
};

enum pl_phase { PHASE_NONE, PHASE_IDLE, PHASE_CALL, PHASE_ROUND, PHASE_PARKED };
enum pl_stage { STAGE_WORK, STAGE_DRAIN, STAGE_OVER, STAGE_MASK };

/* ---- shared by control and actors: no pointers, an actor of kind exec maps it elsewhere ---- */

struct pl_seen_signal {
	int32_t signo, code, pid;
	int64_t value;
};

struct pl_slot {
	_Alignas(64) _Atomic uint32_t go; /* futex: a number that grows, with a stage below it */
	_Atomic uint32_t parked;	  /* has finished the stage */
	_Atomic uint32_t phase;		  /* enum pl_phase */
	_Atomic uint32_t in_op;		  /* odd between the two stamps of an operation */
	_Atomic uint64_t done, okay, fail, bytes;
	_Atomic int32_t tid;
	_Atomic int32_t pid; /* whom signals reach; 0: not there, or about to be reaped */
	_Atomic int32_t aim; /* the pid that its operation may signal: it is not reaped meanwhile */
	_Atomic uint32_t heard; /* messages acted upon that open or close an object */
	int32_t fd;		/* what the operation in flight addresses, */
	uint64_t mem, mem_len;	/* in this actor's address space */
	uint16_t op;		/* which operation */
	uint16_t timed;		/* it ends by itself */
	_Atomic uint32_t
		ends; /* in this round: PL_TOLD, and a bit for each end of the object that it has */
	uint32_t rec; /* its record */
	uint32_t most; /* records of its largest round */
	int64_t since;
	uint64_t numbered; /* payloads made so far: numbers never come back */
	_Atomic uint32_t nsignals;
	struct pl_seen_signal signal[PL_SIGNALS_MAX];
};

enum { PL_TOLD = 1 << PL_FDS_MAX };

struct pl_draw {
	int64_t lo, hi;
};

struct pl_part {     /* one actor's part of a plan */
	uint32_t in; /* takes part */
	uint32_t handle;
	uint32_t units; /* as the plan says; */
	uint64_t quota; /* in this round: units, or, for a taker of a stream or sum, its amount */
	uint32_t seq;	/* a unit is all of `op` in turn, not one of them drawn */
	uint32_t ndo, weights;
	uint32_t weight[PL_DO_MAX];
	uint8_t op[PL_DO_MAX];
	struct pl_draw arg[PL_DO_MAX][PL_ARGS_MAX];
	struct pl_draw timeout_ns;
};

struct pl_shared {
	uint64_t seed;
	uint32_t inst;
	uint32_t round;
	_Atomic uint32_t running; /* participants not parked: the last one writes the eventfd */
	_Atomic uint32_t kick;	  /* an interrupted wait is given up */
	_Atomic uint32_t stop;	  /* no further unit is begun */
	uint32_t drainer, drained;
	uint32_t owner; /* of what is PL_OWNED: the one that takes; PL_ACTORS_MAX: nobody */
	int64_t start_at;
	uint32_t model, caps, checked, sched, saved;
	uint32_t beyond; /* the plan has operations, or arguments, that no model is about */
	uint32_t half;	 /* what is put here is taken elsewhere, or the other way round */
	uint32_t lease;	 /* of the histories' memory: a new one when it was given back */
	struct pl_verdict verdict;
	struct pl_story story; /* of a violated round whose history is kept */
	struct pl_slot slot[PL_ACTORS_MAX];
	struct pl_part part[PL_ACTORS_MAX];
};

/* Where an actor's history is; index PL_ACTORS_MAX is control's. */
struct pl_hist_head *pl_hist(struct pl_shared *s, unsigned index);
struct pl_rec *pl_recs(struct pl_hist_head *h);
struct pl_shared *pl_shared_map(int fd); /* NULL: no memory */
size_t pl_shared_size(void);
void pl_shared_forget(int fd); /* gives the histories' memory back */

/* ---- messages on an actor's channel (SOCK_SEQPACKET) ---- */

enum pl_cmd_kind { CMD_CALL, CMD_OPEN, CMD_CLOSE, CMD_RUN, CMD_EXIT, CMD_EXEC };

struct pl_cmd {
	uint32_t kind, op, handle, as; /* as: handle number for a new descriptor, or 0 */
	int32_t end;		       /* -1: by role */
	int32_t has_deadline;
	int32_t victim;	   /* CALL: an actor that is killed right after it, or -1 */
	int32_t first;	   /* CALL: the victim is killed right before instead */
	int64_t sec, nsec; /* absolute, on the operation's clock */
	int64_t v[PL_ARGS_MAX];
	uint64_t token;
	uint32_t go;	   /* RUN: the stage seen last */
	struct pl_obj obj; /* OPEN: name and mem do not travel, descriptors do */
	uint64_t mem_len;
	char name[PL_SYSNAME];
};

struct pl_rsp {
	int64_t ret, t_inv, t_ret;
	int32_t err;
	int32_t killed; /* the victim was there to be killed; -1: there was to be none */
	uint32_t sum;
	uint64_t token, tag, len;
	int64_t out[PL_OUT_MAX];
	uint32_t nsignals, npieces;
	struct pl_seen_signal signal[PL_SIGNALS_MAX];
	struct pl_place_in_stream {
		uint64_t token;
		uint32_t offset, len;
	} piece[PL_PIECES_MAX];
};

/* Never waits: -EAGAIN when the peer has long not read. */
int pl_chan_send(int fd, const void *msg, size_t len, const int *fds, int nfds);
/* > 0: bytes; 0: the peer is gone; < 0: -errno. *ret_nfds at most `maxfds`. */
long pl_chan_recv(int fd, void *msg, size_t len, int *fds, int maxfds, int *ret_nfds);

/* ---- an actor, from inside ---- */

struct pl_env {
	const struct pl_driver *drv;
	const struct pl_op *ops;
	struct pl_shared *shared;
	struct pl_slot *slot;
	unsigned id, incarnation;
	int chan, bell, sharedfd; /* bell: the eventfd that says that all are parked */
	bool thread;
	char name[PL_HANDLES_MAX + 1][PL_SYSNAME];
	struct pl_obj obj[PL_HANDLES_MAX + 1]; /* by handle number, from 1 */
	bool born[PL_HANDLES_MAX +
		  1]; /* a thread's: shared with the other threads of its process */
	void *buf;
	size_t buf_len;
	uint32_t touched, lease; /* records whose memory is there, since when */
};

void pl_actor_main(struct pl_env *e); /* returns when its channel closes, or it is told to exit */
_Noreturn void pl_actor_become(struct pl_env *e); /* a fresh program under the same id: kind exec */
void pl_actor_attach(struct pl_env *e, struct pl_obj *o, const int64_t *open_args);
void *pl_actor_buf(struct pl_env *e, size_t len);
void pl_actor_signals(void);
void pl_actor_stages(struct pl_env *e, uint32_t seen); /* stage.c: until STAGE_OVER */
int pl_end_for(const struct pl_driver *d, const struct pl_op *op);
int64_t pl_actor_aim(struct pl_env *e, int64_t id); /* its pid; no such actor: nobody's */
void pl_actor_aimed(struct pl_env *e);		    /* it is not used any more */
struct timespec pl_deadline_in(const struct pl_op *op, int64_t ns);
const struct pl_arg *pl_arg_of(const struct pl_op *op, enum pl_arg_kind kind, int *ret_index);
const struct pl_op *pl_ops_table(const struct pl_driver *d, unsigned *ret_n);
void pl_slot_enter(struct pl_env *e, const struct pl_obj *o, const struct pl_op *op, int fd);

/* ---- control ---- */

enum pl_kind { KIND_PROCESS, KIND_THREAD, KIND_EXEC };
enum pl_place { PLACE_FREE, PLACE_SAME, PLACE_SPREAD };

struct pl_call {
	bool live;
	int64_t id;
	const struct pl_op *op;
	int as, handle, end;
	uint64_t len, tag; /* as asked for */
	int64_t v[PL_ARGS_MAX];
	int64_t deadline, kick_at, kill_at; /* 0: not */
	bool canceled, timed_out;
};

struct pl_actor {
	bool alive, dying, asked;
	enum pl_kind kind;
	enum pl_place place;
	int host; /* THREAD: the first actor of the process; else itself */
	pid_t pid;
	int status; /* of wait(2), once it is dead */
	int chan;
	unsigned incarnation;
	bool retired;		/* its id does not come back */
	bool stopped, enlisted; /* enlisted: it waits for rounds, not for messages */
	bool execed;		/* was a process, became a fresh program: fault `exec` */
	uint32_t told;		/* messages sent that open or close an object */
	struct pl_call call;
};

struct pl_handle {
	bool used;
	char name[PL_HANDLE_NAME], sysname[PL_SYSNAME];
	struct pl_obj obj;
	struct pl_args args;
	int memfd;
	bool created, local; /* local: lives in one actor only */
	int from;	     /* local: the handle it was made of */
	bool released;	     /* control has given up its own view */
	bool primed;	     /* a call may have left something in it, or hold it */
	int64_t left;	     /* what calls have put and not taken, or hold */
	bool altered; /* an operation without a role was done to it: who knows what that changed, */
	bool strayed; /* or who has its ends now */
	int owner;
};

struct pl_run; /* round.h */

struct pl_ctl {
	const struct pl_driver *drv;
	const struct pl_op *ops; /* the driver's and the kit's own, one table */
	unsigned nops;
	struct pl_shared *shared;
	int in, out, sharedfd, bell;
	bool inited, stopping, input_over;
	bool lines_left; /* read, not yet looked at: stdout is full */
	int64_t stop_id; /* the request that asked for it; -1: none */
	int64_t t0, tick_ns, next_tick, stop_at;
	int64_t clock_error; /* by how much stamps of different CPUs may be wrong, in ns */
	char run[40], dir[1024];
	uint32_t inst;
	uint64_t seed;
	pid_t checker;
	struct pl_actor actor[PL_ACTORS_MAX];
	unsigned nactors;
	struct pl_handle handle[PL_HANDLES_MAX + 1];
	struct pl_run *job;
	unsigned bad_lines;
	int exit_code;
} __attribute__((aligned(4096))); /* pages of its own: an actor gives its copy back */

extern struct pl_ctl pl_ctl;

/* out.c */
void pl_out_line(json_t *o /* stolen */, bool droppable);
void pl_out_flush(void);
size_t pl_out_queued(void);
void pl_out_drain(int64_t deadline);

/* replies; `id` < 0 means null. All steal their object. */
void pl_reply(int64_t id, json_t *ok);
void pl_reply_err(int64_t id, const char *kind, bool definite, json_t *more, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void pl_event(const char *ev, json_t *fields);

void pl_request(const char *line, size_t len); /* NULL: a line too long */
void pl_stop(int64_t id);
json_t *pl_hello(void);
int64_t pl_time(int64_t t); /* on the run's zero */

/* object.c */
int pl_handle_find(const char *name, int *ret_end);
void pl_req_open(int64_t id, json_t *req);
void pl_req_release(int64_t id, json_t *req);
void pl_req_close(int64_t id, json_t *req);
int pl_object_reset(struct pl_handle *h);
int pl_objects_give(struct pl_actor *a); /* to an actor that did not inherit them */
json_t *pl_objects_drop(void);		 /* closes and unlinks all: the names that could not be */
int pl_args_parse(const struct pl_arg *table, json_t *req, int64_t *v, char *why, size_t n);
bool pl_handle_name_ok(const char *name);

/* reap.c */
void pl_reap(void);
int64_t pl_reap_timer(int64_t now); /* when to look again; INT64_MAX: a death tells by itself */
void pl_actor_left(unsigned id);    /* a thread's channel closed: it is gone, its process is not */

/* spawn.c */
void pl_req_actor(int64_t id, json_t *req);
int pl_spawn(unsigned id);
int pl_signal_actor(struct pl_actor *a, int sig); /* refuses pid <= 1 */
void pl_kill_actor(unsigned id, bool asked);

int pl_actors_kill_all(void);
void pl_actor_await(unsigned id); /* it runs, and has done all it was told; or a second is over */

/* place.c */
void pl_place_actor(unsigned id, enum pl_place place);
int pl_place_parse(const char *s, enum pl_place *ret);

/* call.c */
void pl_req_call(int64_t id, json_t *req);
void pl_req_cancel(int64_t id, json_t *req);
void pl_call_answer(unsigned id); /* its channel is readable */
void pl_call_died(unsigned id);
int64_t pl_call_timers(int64_t now); /* does what is due; the next time, or INT64_MAX */

/* exec.c */
#define PL_NO_EXEC                                                                                 \
	"this target cannot start the driver's program from within: no actor of kind exec"
bool pl_exec_works(void);
int pl_exec_main(
	int argc, char **argv, const struct pl_driver *d); /* the far side of pl_actor_become() */

/* fault.c */
void pl_req_fault(int64_t id, json_t *req);

/* primed.c */
/* A call is over. r NULL: its actor died in it. */
void pl_primed_by(const struct pl_call *call, const struct pl_rsp *r);
/* May calls have left something in the object, or hold it? */
bool pl_primed(const struct pl_handle *h);

/* plan.c */
/* What checkers take an operation for. The kit's own ones look at a descriptor: they see no value of
 * what is behind it. */
enum pl_role pl_judged_role(unsigned op);
int pl_plan_make(json_t *plan, int handle, uint32_t ops, char *why, size_t n);
void pl_plan_balance(void);
bool pl_plan_varies(const struct pl_part *p, const struct pl_op *ops); /* do its units differ? */
/* Operation and arguments of a unit; v has PL_ARGS_MAX + 1 places, the last one a time-out in ns.
 */
void pl_unit_draw(const struct pl_part *p, const struct pl_op *ops, uint64_t key, uint64_t unit,
	unsigned *ret_do, int64_t *v);
uint64_t pl_unit_key(const struct pl_shared *s,
	unsigned actor); /* for schedulers: apart from the plan's own draws */

/* round.c */
void pl_req_run(int64_t id, json_t *req);
int64_t pl_round_timers(int64_t now);
void pl_round_bell(void); /* all are parked */
void pl_round_died(unsigned id, int64_t when);
void pl_round_checked(int status);
const char *pl_round_state(void);
bool pl_round_busy(void);
void pl_round_wake(unsigned actor, enum pl_stage stage); /* a stage begins, or the run is over */
int pl_round_cancel(int64_t id); /* after the round under way; -ENOENT: no such run */
void pl_round_abandon(void);	 /* the driver stops: answer the run */
void pl_control_note(
	int op, unsigned actor, int64_t t_inv, int64_t t_ret, int64_t ret, uint64_t aux);

/* judge.c */
pid_t pl_judge_start(void);
void pl_judge_file(char *buf, size_t size, const struct pl_hist_head *h);
void pl_judge_violation(const struct pl_verdict *v);
void pl_hist_begin(unsigned index, const struct pl_handle *h, unsigned incarnation, pid_t pid);

/* seat.c: how many checkers the drivers of a run have at once */
void pl_seat_file(const char *path, unsigned most);
bool pl_seat_take(unsigned first); /* false: all are taken, for now */
void pl_seat_leave(void);

/* observe.c */
enum pl_rung { RUNG_NONE, RUNG_STAT, RUNG_SYSCALL };
struct pl_sight {
	char state; /* R S D T Z, '?' */
	long nr;    /* system call, -1: running or not known */
	uint64_t arg0;
};
enum pl_rung pl_rung(void);
int pl_observe(pid_t pid, pid_t tid, struct pl_sight *ret);

/* rest.c: is the call it is seen in the one it has published? */
bool pl_in_its_call(const struct pl_slot *s, const struct pl_sight *v);

/* who.c: the book of what is held, and the answer that it and /proc give together */
void pl_req_who(int64_t id, json_t *req);
json_t *pl_who(void);
void pl_who_done(unsigned actor, const struct pl_call *call, const struct pl_rsp *r);
void pl_who_died(unsigned actor); /* before its slot is used again */
void pl_who_forget(int handle);

/* status.c, tick.c */
void pl_req_status(int64_t id, json_t *req);
void pl_tick(int64_t now);
void pl_tick_verdict(const struct pl_verdict *v);

/* names.c */
const char *pl_errno_name(int err);
const char *pl_signal_name(int signo); /* without SIG; numbers as "RT+n" or "#n" */
int pl_signal_number(const char *name);
const char *pl_syscall_name(long nr);
const char *pl_model_name(enum pl_model m);
const char *pl_role_name(enum pl_role r);
json_t *pl_caps_json(uint32_t caps);
/* The limit that an error of this driver's, or without one of any process, means; NULL: none. */
const char *pl_limit_of(const struct pl_driver *d, int err);

/* fdops.c */
extern const struct pl_op pl_fd_ops[];
/* procops.c */
extern const struct pl_op pl_proc_ops[];

static inline bool pl_is_fd(const struct pl_driver *d)
{
	return d->mem == 0 && !d->ids;
}

static inline uint32_t pl_caps_of(const struct pl_driver *d, const struct pl_obj *o)
{
	return d->variants[o->variant].caps;
}

/* Does the kit use it, of itself, on this object? */
static inline bool pl_fits(const struct pl_op *op, const struct pl_obj *o)
{
	return !op->only || op->only & 1U << o->variant;
}

/* In a process of its own: does an actor open the object anew, by its name? */
static inline bool pl_reopens(const struct pl_driver *d, const struct pl_obj *o)
{
	return pl_caps_of(d, o) & PL_EACH && o->name;
}

/* What open made in this process beside descriptors and the kit's memory. */
static inline void pl_local_close(const struct pl_driver *d, struct pl_obj *o)
{
	if (o->local && d->close)
		d->close(o);
	o->local = NULL;
}

#endif
