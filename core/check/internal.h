/* SPDX-License-Identifier: MIT
 *
 * What the checkers share: the loaded round, its events in time order, and how a finding is filed.
 *
 * A rank is the place of an event (an operation's begin or end) in the order of all stamps of the
 * round. The elementary segment i lies between the ranks i and i + 1; an operation takes effect in
 * one of the segments from its begin to its end - 1. Ranks make every rule a comparison of 32-bit
 * integers.
 */
#ifndef PLUMBLINE_CHECK_INTERNAL_H
#define PLUMBLINE_CHECK_INTERNAL_H

#include "check.h"

#include <stdbool.h>

enum {
	PL_NEVER = UINT32_MAX,	  /* the rank of what did not happen */
	PL_ACTORS_MAX = 4096,	  /* logs of a round */
	PL_PIPE_BUF = 4096,	  /* Linux's; POSIX asks for 512 */
	PL_RECORDS_MAX = 1 << 30, /* of all logs together: ranks and references are 32 bits */
};

/* One actor's log, and when it died. */
struct pl_actor {
	const struct pl_hist_head *head;
	const struct pl_rec *rec;
	uint64_t n;
	uint32_t first; /* reference of rec[0]: references count through all logs */
	uint16_t id;
	bool dead;		/* it was killed or reaped in this round */
	int64_t t_kill, t_reap; /* it acted no more after t_reap; INT64_MAX: not known */
};

struct pl_case {
	struct pl_actor *actor; /* every log but control's */
	int nactors;
	uint32_t nrecs; /* records of all actors */
	const struct pl_log *control;
	const struct pl_hist_head
		*head; /* any actor's: seed, caps, capacity and model are common */
	bool drained;  /* the drain ran to "empty": what was not received is lost */
	int64_t clock_error;
	struct pl_verdict *v;
	int64_t *time; /* by rank; made when a finding needs its slack */
	uint16_t *whose;
	uint32_t nranks;
	const char *broken; /* why the records make no history; NULL: they do */
	bool nomem;
};

enum pl_event_kind { PL_EV_BEGIN, PL_EV_END, PL_EV_KILLED, PL_EV_REAPED };

/* KILLED and REAPED carry the operation the actor died in, or no record. */
struct pl_event {
	const struct pl_rec *rec;
	int64_t t;
	uint32_t rank;
	uint32_t since; /* END, REAPED: rank of the operation's begin */
	uint16_t who;	/* index into pl_case.actor */
	uint8_t kind, role;
};

/* merge.c: all events of all actors in time order. At equal stamps of different actors every begin
 * comes before every end, so that such operations are concurrent; one actor's own operations stay
 * in order. */
struct pl_merge;
struct pl_merge *pl_merge_new(struct pl_case *c, bool stats);
bool pl_merge_next(struct pl_merge *m, struct pl_event *ret_event);
void pl_merge_free(struct pl_merge *m);

/* load.c */
int pl_load(struct pl_case *c, const struct pl_log *logs, int nlogs);
const struct pl_rec *pl_rec_of(const struct pl_case *c, uint32_t ref, int *ret_who);
int pl_actor_by_id(const struct pl_case *c, uint64_t id);

static inline enum pl_role pl_role_of(const struct pl_hist_head *head, const struct pl_rec *r)
{
	if (r->op >= head->nops || r->op >= PL_HIST_OPS || r->state > PL_FAIL)
		return PL_NONE;
	return head->op[r->op].role;
}

static inline uint32_t pl_ref(const struct pl_case *c, int who, const struct pl_rec *r)
{
	return c->actor[who].first + (uint32_t)(r - c->actor[who].rec);
}

/* Does the operation move a number instead of bytes that name it? */
static inline bool pl_moves_number(const struct pl_hist_head *head, const struct pl_rec *r)
{
	return r->op < head->nops && r->op < PL_HIST_OPS && head->op[r->op].number;
}

/* "There is nothing", of a take; "there is no room", of a put. */
static inline bool pl_found_nothing(const struct pl_rec *r)
{
	return r->err == EAGAIN || r->err == ETIMEDOUT || r->err == ENOMSG;
}

/* Of a take, where finding nothing says that nothing was inside. */
static inline bool pl_says_empty(const struct pl_case *c, const struct pl_rec *r)
{
	return pl_found_nothing(r) && !(c->head->caps & PL_LATE);
}

/* datagram.c: whether what this token names may have been put before this round. */
bool pl_is_late(const struct pl_case *c, uint64_t token);

/* finding.c */

/* By how much the stamps of two events can be wrong before their order is in doubt. INT64_MAX: they
 * are one actor's, or one never happened. */
int64_t pl_gap(struct pl_case *c, uint32_t earlier, uint32_t later);

/* The time between two events, whoever they are of. INT64_MAX: one never happened. */
int64_t pl_span(struct pl_case *c, uint32_t earlier, uint32_t later);

/* Files a finding; true if it is now the verdict's (a better one may be there already): then add
 * witnesses. slack: in ns; INT64_MAX or below 0: no clock is involved. */
__attribute__((format(printf, 4, 5))) bool pl_find(
	struct pl_case *c, const char *rule, int64_t slack, const char *fmt, ...);
void pl_unknown(struct pl_case *c, const char *rule, const char *text);
void pl_witness(struct pl_case *c, uint32_t ref);
void pl_witness_control(struct pl_case *c, const struct pl_rec *r);

/* Whether a finding is there that no other one beats. */
bool pl_settled(const struct pl_case *c);

/* "1#17": payload 17 of actor 1. "12.4 us". "mq_send". In static thread-local buffers, eight in
 * turn. */
const char *pl_say_token(uint64_t token);
const char *pl_say_ns(int64_t ns);

/* "12.4 us before", of two events; at one instant of one actor's only "before". */
const char *pl_say_before(struct pl_case *c, uint32_t earlier, uint32_t later);
const char *pl_say_op(const struct pl_case *c, uint32_t ref);
int pl_say_actor(const struct pl_case *c, uint32_t ref);

/* The checkers: each files what it finds. */
void pl_check_fifo(struct pl_case *c);
void pl_check_priority(struct pl_case *c);
void pl_check_lock(struct pl_case *c);
void pl_check_stream(struct pl_case *c);
void pl_check_register(struct pl_case *c);
void pl_check_datagram(struct pl_case *c);
void pl_check_signal(struct pl_case *c);
void pl_check_counter(struct pl_case *c);
void pl_check_select(struct pl_case *c);
void pl_check_ranges(struct pl_case *c);
void pl_check_vector(struct pl_case *c);
void pl_check_none(struct pl_case *c);
void pl_check_jit(struct pl_case *c);
void pl_check_liveness(struct pl_case *c);
void pl_check_ends(struct pl_case *c);

/* ends.c: since when certainly nobody has the end that an operation of this role needs at the other side. INT64_MIN:
 * never in this round; INT64_MAX: perhaps somebody does. */
int64_t pl_gone_since(const struct pl_case *c, enum pl_role role);

/* exact.c: asks the search about what another checker found. */
void pl_second_opinion(struct pl_case *c);

#endif
