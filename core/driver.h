/* SPDX-License-Identifier: MIT
 *
 * The driver contract: all that a mechanism's driver sees of Plumbline.
 *
 * A driver is a table of operations over the kit. It calls the system and says what came back; the
 * kit stamps, records, forks, parses and judges. A driver contains no JSON, no clock, no record, no
 * seed, no lock and no test. drivers/README.md walks through adding one.
 */
#ifndef PLUMBLINE_DRIVER_H
#define PLUMBLINE_DRIVER_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
	PL_ARGS_MAX = 6,      /* arguments of an operation, and of open */
	PL_OUT_MAX = 6,	      /* named results of an operation, and of open */
	PL_FDS_MAX = 2,	      /* descriptors an object has (a pipe has two) */
	PL_OPS_MAX = 48,      /* operations of a driver */
	PL_VARIANTS_MAX = 16, /* variants of a driver */
	PL_LEN_MAX = 1 << 20, /* bytes one operation may move */
	PL_NEEDS_MAX = 4,     /* system-wide limits that an object counts against */
	PL_MARK = 24,	      /* bytes that make a payload unique (see hist/payload.h) */
	PL_PATH_MAX = 108,    /* what pl_path() writes, NUL included: as long as sun_path */
};

/* Which checker a variant's histories obey (check/). */
enum pl_model {
	PL_MODEL_NONE,	   /* recorded, never judged */
	PL_MODEL_FIFO,	   /* the oldest first; an empty one has room for one */
	PL_MODEL_PRIORITY, /* the highest tag first (PL_LOWEST: the lowest), the oldest in it */
	PL_MODEL_LOCK,	   /* one owner at a time, or any number of owners that share (PL_FORM) */
	PL_MODEL_STREAM,   /* bytes in order; an empty one has room for some */
	PL_MODEL_COUNTER,  /* PUT adds result->tag tokens, TAKE removes as many, never below 0 */
	PL_MODEL_SUM,	   /* PUT adds result->tag, TAKE takes all there is and tells how much */
	PL_MODEL_REGISTER, /* PUT stores a token, OBSERVE loads it, UPDATE does both at once */
	PL_MODEL_DATAGRAM, /* what is taken was put, whole; it may get lost, or pass another */
	PL_MODEL_SIGNAL,   /* one pending bit a tag: puts merge with what is still pending */
	PL_MODEL_SELECT, /* the oldest of what the take selects by its PL_FORM: 0 whatever there is;
			      above 0 that tag (PL_EXCEPT: any but that); below 0 the lowest tag that
			      is not above its absolute value */
	PL_MODEL_RANGES, /* locks on bytes: an ACQUIRE has those that its PL_START and PL_LENGTH name, alone
			    or shared (PL_FORM), in the place of what its actor had of them; a RELEASE gives
			    them up. So ranges split and merge */
	PL_MODEL_VECTOR, /* several places with so many in each: an ACQUIRE takes what its PL_FORM says
			      of all of them at once, or nothing; its RELEASE has the same form and
			      gives that back. OBSERVE sees all of them: pl_places() as the tag */
	PL_MODELS,	 /* how many there are */
};

/* PL_MODEL_VECTOR: how much of a place a form takes. */
enum { PL_PLACES = 4, PL_OF_PLACE = 3 };

static inline unsigned pl_of_place(int64_t form, int place)
{
	return (unsigned)(form >> (2 * place)) & PL_OF_PLACE;
}

/* And what is in all places (at most 32,767 in each), as one number. */
static inline uint64_t pl_places(const unsigned short v[PL_PLACES])
{
	return v[0] | (uint64_t)v[1] << 16 | (uint64_t)v[2] << 32 | (uint64_t)v[3] << 48;
}

/* What a variant can do. Generic suites choose drivers by these; the names are in kit/names.c. */
enum pl_cap {
	PL_STREAM = 1 << 0,    /* bytes without boundaries */
	PL_DATAGRAM = 1 << 1,  /* messages with boundaries */
	PL_PRIORITY = 1 << 2,  /* a tag orders what is taken */
	PL_NAMES = 1 << 3,     /* unrelated processes meet by name */
	PL_ANONYMOUS = 1 << 4, /* an object has no name: inherited or passed */
	PL_BLOCKING = 1 << 5,
	PL_NONBLOCK = 1 << 6, /* O_NONBLOCK or a try form */
	PL_TIMEOUT = 1 << 7,  /* a form with an absolute deadline */
	PL_POLL = 1 << 8,     /* poll(2) works on its descriptors */
	PL_MULTI_READER = 1 << 9,
	PL_MULTI_WRITER = 1 << 10,
	PL_LOCK = 1 << 11,
	PL_COUNTER = 1 << 12,
	PL_ROBUST = 1 << 13,  /* a lock that tells of its owner's death */
	PL_NOTIFY = 1 << 14,  /* asynchronous notification */
	PL_FDPASS = 1 << 15,  /* carries descriptors */
	PL_PERSIST = 1 << 16, /* contents outlive every process */
	PL_THREADS = 1 << 17, /* actors of kind thread make sense */
	PL_INHERIT =
		1 << 18, /* a lock that lends its owner its waiters' priority. Unless it is robust
				 it promises nothing once an actor has died */
	PL_LOWEST = 1 << 19, /* the lowest tag goes first */
	PL_EACH = 1 << 20,  /* open is called in every actor too, with `create` 0, for a view of its
				 own: by the object's name, or, if it has none, over the descriptors
				 that the actor inherited */
	PL_OWNED = 1 << 21, /* what is put reaches one actor, the owner: only it takes. Its death
				 takes along what was on its way */
	PL_LATE = 1 << 22,  /* a put may return before what it put can be taken: finding nothing
				 proves nothing */
	PL_LOSSY = 1 << 23, /* not every put leads to a take: takers of a round go on until the
				 putters are done. Their operations must end by themselves */
	PL_FREED = 1 << 24, /* a lock that its owner's death releases, and nobody is told */
	PL_PIECEMEAL = 1 << 25, /* a stream in which no put is sure to stay in one piece: up to
				   PIPE_BUF a pipe's is, a socket's need not be */
	PL_APART =
		1 << 26, /* it is between processes: the threads of one are one party, and take no
			       part in rounds */
	PL_PUTONLY = 1 << 27, /* its name leads to the putting end: who has it by name alone, as an
				 actor of kind exec, cannot take */
};

/* What an operation does, in words that every checker, drain and generic suite understands. */
enum pl_role {
	PL_NONE,
	PL_PUT,	    /* adds one payload */
	PL_TAKE,    /* removes one payload; failing with EAGAIN or ETIMEDOUT it has seen "empty" */
	PL_OBSERVE, /* changes nothing */
	PL_ACQUIRE, /* 0 or EOWNERDEAD: held now; EBUSY or ETIMEDOUT: it was held by another */
	PL_RELEASE,
	PL_REPAIR, /* called by the kit after an ACQUIRE that gave EOWNERDEAD */
	PL_WAKE,
	PL_UPDATE, /* stores args->token and finds result->token in its place, in one step */
};

/* How an operation behaves. */
enum pl_how {
	PL_BLOCKS = 1 << 0,   /* may sleep with no limit of time */
	PL_TIMED = 1 << 1,    /* wants args->deadline, absolute, on CLOCK_REALTIME */
	PL_LEVEL = 1 << 2,    /* OBSERVE that never blocks and fills result->amount and ->room */
	PL_DRAIN = 1 << 3,    /* TAKE that empties the object at the end of a round: with a deadline
				 that has passed if TIMED; if BLOCKS only when poll(2) says POLLIN;
				 else it is a try form, called until it fails */
	PL_NEWFD = 1 << 4,    /* returns a new descriptor: `as` gives it a handle */
	PL_USER = 1 << 5,     /* may complete without entering the kernel: the kit adds a fence */
	PL_NOCANCEL = 1 << 6, /* no signal ends it: only SIGKILL of the actor does */
	PL_CLOSES = 1 << 7,   /* ends the use of args->fd */
	PL_MONO = 1 << 8,     /* args->deadline is on CLOCK_MONOTONIC instead */
	PL_RELATIVE = 1 << 9, /* args->deadline is a time from now */
	PL_EXCEPT = 1 << 11,  /* TAKE, PL_MODEL_SELECT: of anything but what it selects */
	PL_NEUTRAL =
		1 << 10, /* NONE that leaves what the model is about as it is: rounds with it in
				 their plan are judged, those with any other NONE are not */
};

enum pl_arg_kind {
	PL_INT,
	PL_SIZE, /* length of the payload: args->buf and ->len. At most one in an operation */
	PL_TAG,	 /* priority, type, number of tokens: goes into the record's `aux` before the call.
		    At most one */
	PL_FORM, /* which form of the operation it is, as the model says: what a TAKE selects, whether an
		     ACQUIRE shares (1: the guarded counter stays as it is, and the RELEASE gets the
		     same form). It goes into the record, cut to 32 bits. At most one */
	PL_START, /* the first byte, */
	PL_LENGTH, /* and how many, 0 all that follow, of what an ACQUIRE or RELEASE is about. Both go into the
		      record; rounds draw them for PL_MODEL_RANGES, of other locks they take the whole */
	PL_ACTOR, /* a request gives an actor's number, the driver gets the id of that actor's process,
		     which is not another's before the call returns. In rounds it is the owner
		     (PL_OWNED). At most one */
};

#define PL_BY_VARIANT INT64_MIN /* PL_FORM: as the variant's model has it; to the model it is 0 */

/* An argument. [min, max] is what a request may say (hello shows it, the kit enforces it); [lo, hi]
 * is what rounds draw from when the plan does not say, and what the model is about: of a PL_INT a plan
 * that says more is not judged, unless the operation has no role, nor of a PL_FORM unless the model
 * knows forms; `def` is used by `call` when the request leaves it out. */
struct pl_arg {
	const char *name;
	int64_t min, max;
	int64_t lo, hi;
	int64_t def;
	enum pl_arg_kind kind;
};

struct pl_args {
	int64_t v[PL_ARGS_MAX]; /* in the table's order */
	int fd;	  /* the descriptor addressed: "p.r", "p.w", or the end fitting the role */
	int wait; /* PL_TIMED only: 0 when no deadline was given */
	struct timespec
		deadline; /* absolute, or raw as the request gave it (tv_nsec may be invalid) */
	void *buf;	  /* PUT: the bytes to send. TAKE: room for them. Never NULL */
	size_t len;
	uint64_t token; /* PUT, UPDATE: a number unique in the round, for what carries no bytes.
			   Never 0 */
};

/* Zeroed before each call, except tag, which holds the PL_TAG argument. */
struct pl_result {
	uint64_t tag; /* TAKE: the priority, type or number received. ACQUIRE: see PL_MODEL_LOCK */
	uint64_t token; /* TAKE, OBSERVE, UPDATE of what carries no bytes: the number found */
	uint64_t amount, room;	 /* LEVEL: what can be taken now; what can certainly be put now */
	int64_t out[PL_OUT_MAX]; /* the mechanism's own results, named in pl_op.out */
};

struct pl_obj {
	int variant;	    /* index into pl_driver.variants */
	int fd[PL_FDS_MAX]; /* -1: none. After fork the numbers are the same in every actor */
	void *mem; /* pl_driver.mem bytes shared by all actors; NULL if the driver asks for none */
	void *local; /* this process's own view of the object, set by open: a mapping, a sem_t. Undone
			by pl_driver.close */
	size_t local_len;  /* bytes of it, at least those that a wait may address */
	const char *name;  /* PL_NAMES: "/plumb.<run>.<inst>.<handle>"; NULL for anonymous ones */
	int create;	   /* open: 1 create (exclusively), 0 attach to `name` */
	uint64_t capacity; /* set by open: places it has, for one payload each; VECTOR: what is in
			      them when nobody holds anything; 0 unknown. Checkers rely on it until an
			      operation without a role was done to the object */
	uint32_t grain;	   /* set by open: bytes of a place, where a payload fills as many as its
			      length begins, and may share the last one. 0: its length is no matter */
	int64_t out[PL_OUT_MAX]; /* set by open: parameters the kernel chose, named in
				    pl_driver.open_out */
};

/* Returns what the system call returned and leaves errno alone: a failure is a result. Must not
 * retry EINTR, allocate, print, or touch another object. Calls that return an error number: `return
 * pl_ret(rc)`. */
typedef long pl_op_fn(struct pl_obj *o, const struct pl_args *a, struct pl_result *r);

/* Where an object that is a file lives: `name` in $TMPDIR, or in /tmp. Returns buf; names too long
 * for it are cut. */
const char *pl_path(const char *name, char buf[PL_PATH_MAX]);

/* The System V key of a name: positive, never IPC_PRIVATE. Two names may share one: create with
 * IPC_EXCL. */
static inline int pl_key(const char *name)
{
	uint32_t h = 2166136261U;

	while (*name)
		h = (h ^ (unsigned char)*name++) * 16777619U;
	return (int)(h & 0x7fffffff) | 1;
}

static inline long pl_ret(int rc)
{
	if (rc == 0)
		return 0;
	errno = rc;
	return -1;
}

struct pl_variant {
	const char *name; /* NULL ends the table */
	enum pl_model model;
	uint32_t caps;
};

struct pl_op {
	const char *name; /* as in the manual page; NULL ends the table */
	pl_op_fn *call;
	enum pl_role role;
	uint32_t how;
	struct pl_arg arg[PL_ARGS_MAX];
	const char *out[PL_OUT_MAX];
	uint32_t weight; /* share in the default plan of rounds among operations of one role; 0:
			    never */
	uint32_t only;	 /* bits 1 << variant: in rounds, and to drain and read the level, it is
			    used for these alone. 0: for all */
};

/* What one open object with default arguments costs of a limit that many drivers share. The names
 * are those of the engine's budget: "queues", "mqueue_bytes", "pipe_pages", "shm_bytes". */
struct pl_need {
	const char *limit;
	int64_t cost;
};

struct pl_driver {
	const char *name, *title;
	const struct pl_variant *variants;
	const struct pl_op *ops;
	struct pl_arg open_args[PL_ARGS_MAX];
	const char *open_out[PL_OUT_MAX];
	const char *ends[PL_FDS_MAX]; /* names of fd[0] and fd[1], as in { "r", "w" }; NULL: one
					 descriptor */
	size_t mem; /* bytes of shared memory an object needs (a process-shared mutex) */
	int ids;    /* fd[0] is an identifier of System V, not a descriptor: a number that holds in
		       every process, and is never closed */

	/* Fills o->fd, or initialises o->mem. >= 0, or -1 with errno. Memory without a name is not
	 * attached: not called with `create` 0. For memory objects it is called again (zeroed
	 * memory, `create` 1, descriptors as they are) when a death has spoilt the old state. */
	long (*open)(struct pl_obj *o, const struct pl_args *a);
	/* Undoes what open did in this process, beside descriptors and `mem`: unmaps, detaches
	 * `local`. NULL: nothing to do. */
	void (*close)(struct pl_obj *o);
	int (*unlink)(const char *name);   /* PL_NAMES; also run on leftovers of dead runs */
	const char *(*probe)(int variant); /* NULL: supported; else why not, in one line */
	struct pl_need needs[PL_NEEDS_MAX];
	const char *(*limit)(
		int err); /* which sysctl or RLIMIT makes open fail with err; NULL: none */
};

int pl_main(int argc, char **argv, const struct pl_driver *driver);

/* Defines main(). Usage: PL_DRIVER(mq, "POSIX message queue", variants, ops, .open = ..., ...) */
#define PL_DRIVER(id, title_, variants_, ops_, ...)                                                \
	static const struct pl_driver id##_driver = {                                              \
		.name = #id, .title = title_, .variants = variants_, .ops = ops_, __VA_ARGS__      \
	};                                                                                         \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return pl_main(argc, argv, &id##_driver);                                          \
	}

#endif
