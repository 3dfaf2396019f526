/* SPDX-License-Identifier: MIT
 *
 * The history: what each actor did, as it did it.
 *
 * One file an actor and round: a 4 KiB header, then 64-byte records. A record is written in two
 * halves: the invoke half before the operation, then `head` is stored with release order, so that a
 * SIGKILL in the middle of a call leaves the invocation visible; then the return half, `state`
 * last, with release order. Records at or beyond `head` do not exist: slots are reused.
 *
 * Stamps are CLOCK_MONOTONIC nanoseconds. t_invoke may err only early and t_return only late; equal
 * stamps mean concurrent. In a batch the return stamp of one operation is the invoke stamp of the
 * next.
 *
 * core/README.md is the normative description.
 */
#ifndef PLUMBLINE_HISTORY_H
#define PLUMBLINE_HISTORY_H

#include <stdint.h>

#define PL_HIST_MAGIC "PLUMBHST" /* 8 bytes, no NUL */

enum {
	PL_HIST_VERSION = 2,
	PL_HIST_ENDIAN =
		0x01020304,  /* as stored by the writer: 0x04030201 when read means foreign */
	PL_HIST_HEAD = 4096, /* bytes of the header */
	PL_REC = 64,	     /* bytes of a record */
	PL_HIST_OPS = 64,    /* entries of the operation table */
	PL_CONTROL = 0xffff, /* actor number of the control process, which keeps a history too */
};

enum pl_state {
	PL_INVOKED = 1, /* never returned: the actor was killed in the call, or is still in it */
	PL_OK = 2,
	PL_FAIL = 3, /* the call returned -1; err holds errno */
	PL_INFO = 4, /* recorded, no operation of the mechanism */
	PL_MORE = 5, /* continues the record before it: see pl_more */
};

/* Operations of control; `handle` is the object and `token` the actor where one is meant. */
enum pl_control_op {
	PL_OP_FORK = 240,
	PL_OP_KILL, /* t_invoke before the signal was sent */
	PL_OP_REAP, /* t_return after wait(2) returned: the actor acts no more */
	PL_OP_OPEN, /* before the round: control has end number `aux` of the object, and keeps it
		       until RELEASE. End 0 is where is taken, end 1 where is put. With an actor as
		       `token`, and PL_HIST_HELD: that actor may have it until its REAP */
	PL_OP_CLOSE,
	PL_OP_RELEASE, /* control gave up end number `aux` between t_invoke and t_return */
	PL_OP_LEVEL,   /* ret: what could be taken, aux: what could certainly be put, read at
			 quiescence, and of COUNTER, SUM and VECTOR before the round as its first
			 record; of VECTOR also after it */
	PL_OP_ASLEEP,  /* at quiescence, `token`'s actor slept in its record number `aux`, in the
			 right call on the right object, in two samples */
	PL_OP_KICK,    /* the actor `token` was signalled to end its wait; t_invoke before */
	PL_OP_DRAIN,   /* from here on only the drainer (`token`) acts: every later take is part of
			 the drain */
	PL_OP_STOP,
	PL_OP_CONT,
};

struct pl_rec {
	uint32_t seq; /* number of the record in this file */
	uint16_t actor;
	uint8_t op;    /* index into the header's table, or pl_control_op */
	uint8_t state; /* enum pl_state */
	int64_t t_invoke, t_return;
	int64_t ret;
	int32_t err; /* errno of the target's numbering */
	uint32_t handle;
	uint64_t token; /* which payload (payload.h); 0: none, or unreadable. STREAM: see pl_more.
			   RANGES: the first byte */
	uint64_t
		aux; /* the tag: priority; LOCK: the guarded counter, as found by the acquirer; COUNTER
			   and SUM: how many were put, taken (or asked for), or seen; VECTOR: how many
			   were seen, 16 bits a place */
	uint32_t sum; /* LOCK: bit 0 when the acquirer found what is guarded torn (somebody else was
			   inside), bit 1 when it shares. SELECT: what a take selects, as int32_t.
			   VECTOR: from bit 1 on how many are taken or given back, 2 bits a place */
	uint32_t len; /* length asked for. RANGES: bytes, 0: all that follow */
};

enum pl_sum { PL_SUM_TORN = 1, PL_SUM_SHARED = 2 }; /* of LOCK; RANGES: the second */

/* A continuation: one extent of a byte stream, in stream order within the read it continues. A read
 * that got one whole payload of at most PIPE_BUF bytes and nothing else has none: its record's token
 * names the payload. */
enum pl_more_kind {
	PL_EXTENT = 1, /* bytes [offset, offset + len) of the payload `token`, each one verified */
	PL_FRAGMENT =
		2, /* len (<= 36) bytes too few to name their origin, all in `raw`: the rest of a
		      mark cut by the read's start, the start of one cut by its end, or both */
	PL_CORRUPT = 3, /* len bytes that no payload contains, the first 36 in `raw` */
};

struct pl_more {
	uint32_t seq;
	uint16_t actor;
	uint8_t kind;  /* enum pl_more_kind */
	uint8_t state; /* PL_MORE */
	uint32_t len, offset;
	uint64_t token;
	uint32_t total; /* EXTENT: the payload's whole length */
	uint8_t raw[36];
};

struct pl_hist_op {
	char name[20];
	uint8_t role;	/* enum pl_role */
	uint8_t number; /* 1: what it moves is `token` itself, not bytes that name it */
	uint16_t how;	/* enum pl_how */
};

struct pl_hist_head {
	char magic[8];
	uint32_t version, endian, head_size, rec_size;
	uint64_t head;	   /* records published */
	uint64_t capacity; /* places the object has; 0 unknown. See grain */
	uint64_t seed;
	int64_t t0; /* CLOCK_MONOTONIC of the run's zero */
	uint32_t inst, round;
	uint32_t caps;	/* enum pl_cap of the variant */
	uint32_t flags; /* enum pl_hist_flag */
	int32_t pid;
	uint16_t actor, incarnation;
	uint32_t model; /* enum pl_model */
	uint32_t nops;
	char driver[24], variant[24], run[40], clock[24];
	struct pl_hist_op op[PL_HIST_OPS];
	uint32_t
		actors; /* control's file only: how many actors' histories belong to the round; 0: not
			    said */
	uint32_t grain;	     /* bytes of a place; 0: a payload fills one, whatever its length */
	int64_t clock_error; /* ns by which stamps of different actors may be wrong, as was known then */
};

enum pl_hist_flag {
	PL_HIST_FULL = 1 << 0,	  /* records were lost: the round cannot be judged */
	PL_HIST_DRAINED = 1 << 1, /* control's file only: the drain ran to "empty" */
	PL_HIST_EXACT = 1 << 2,	  /* control's file only: ASLEEP rests on /proc/pid/syscall, not on
				     the state letter */
	PL_HIST_HALF = 1 << 4,	  /* the other half was kept by another driver: only together can
				   they be judged (plumb-check --join) */
	PL_HIST_BEYOND = 1 << 5, /* the plan has operations, or arguments, that no model is about */
	PL_HIST_ALTERED = 1 << 6, /* something without a role was done to the object: what it holds,
				     and whose its ends are, is not known */
	PL_HIST_PRIMED = 1 << 7, /* a call before the round may have left something in the object */
	PL_HIST_HELD =
		1
		<< 8, /* control's file only: OPEN is noted of all who had an end of the object as the
				  round began or later, actors included; what closes those is RELEASE or REAP */
	PL_HIST_ENDED = 1 << 3, /* control's file only: every actor was parked or dead at the end */
};

_Static_assert(sizeof(struct pl_rec) == PL_REC, "a record is one cache line");
_Static_assert(sizeof(struct pl_more) == PL_REC, "so is its continuation");
_Static_assert(sizeof(struct pl_hist_head) <= PL_HIST_HEAD, "the header fits its page");

#endif
