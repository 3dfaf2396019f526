/* SPDX-License-Identifier: MIT
 *
 * What the parts of the stream checker share: how far each payload has got, and the state of the reading.
 */
#ifndef PLUMBLINE_CHECK_STREAM_H
#define PLUMBLINE_CHECK_STREAM_H

#include "values.h"

enum { PL_STREAM_RUN = 256, PL_STREAM_READERS = 256 };

/* Where a large write is cut inside a mark, the next bytes are another's, and one in 256 happens to
 * go on like the mark: it is counted for the wrong payload until the right one turns up. Where a
 * write took a few bytes only, those of another one may be the same: numbers of different actors
 * begin alike. So many bytes of that are allowed. */
enum { PL_STREAM_CHANCE = 8 };

/* How far a payload has got. Beside its pl_value, under the same index. */
struct pl_flow {
	uint32_t total, acc; /* its length; bytes accepted by writes begun so far */
	uint32_t maybe;	     /* more that a write without an end may have put */
	uint32_t head;	     /* bytes of its first write */
	uint32_t next;	     /* bytes seen; with overlapping reads only their number */
	uint32_t out;	     /* rank at which the read of its last byte began */
	uint32_t epoch : 31; /* holes before it was last seen; overlapping reads: reader + 1 */
	uint32_t atomic : 1; /* one write of at most PIPE_BUF */
};

/* The same where room is in places. */
struct pl_stream_lot {
	uint64_t gone;	/* bytes certainly read, by reads that have ended */
	int64_t places; /* that its bytes may have, */
	int64_t upto;	/* and those of its writer up to it, all together */
};

enum { PL_STREAM_CLAIMS = 64 };

/* A finding in the making, as ranks. PL_NEVER: did not happen. */
struct pl_stream_claim {
	uint32_t ref, who, before, since, until, after;
	int64_t bytes;
	bool empty; /* nothing at all was inside */
};

/* How much is inside, as far as the events have been read. */
struct pl_stream_room {
	int64_t most, least, limit;
	uint32_t begun;	    /* when the last put began, */
	uint32_t was_empty; /* and the last one that found it certainly empty */
	uint32_t less, less_by,
		less_other; /* when it last had less inside, by whom, and by others */
	int64_t places;	    /* that may be taken; of so many, */
	int64_t of, grain;  /* of so many bytes each; 0: not known */
	uint32_t had_place; /* when the last put began that certainly had what it needed */
	struct pl_stream_claim full[PL_STREAM_CLAIMS], over;
	int nfull, open; /* from `open` on it is not known what came after */
};

void pl_stream_room_new(struct pl_stream_room *m, const struct pl_case *c);
void pl_stream_room_event(struct pl_stream_room *m, struct pl_case *c, const struct pl_event *e);

struct pl_stream {
	struct pl_values q;
	struct pl_stream_room room;
	struct pl_case *c;
	struct pl_flow *f;
	struct pl_stream_lot *lot; /* NULL: room is not in places */
	struct pl_empty *eof;
	uint32_t neof;
	int *last_of; /* by writer: index of the payload last seen of it; -1 none */
	struct pl_stream_places {
		int64_t taken, left; /* places, since the round began */
	} * places;		     /* by writer */
	int *last_by;		     /* overlapping reads: the same, by reader and writer */
	bool overlapping, restart;
	bool doubt; /* what was read may have been written before: the clock does not tell, and what follows
		       rests on it */
	bool anon;     /* payloads too short to be told apart are about */
	bool partial;  /* so are payloads that others may interrupt */
	bool loosened; /* some bytes were not told apart, or may have been swallowed */
	int64_t loose; /* how many of those no payload has been given yet */
	uint64_t all_put, all_maybe, all_read; /* bytes accepted, perhaps accepted, read */
	bool swallowed;			       /* a killed reader may have had some */
	uint32_t nwriters, epoch, holes_open;
	uint32_t hole_end, read_end; /* ranks */
	uint32_t tail; /* overlapping reads: where in `cur` the last extent of this read ended */
	int reader;
	bool after_hole;
	int cur;    /* payload seen last; -1: none, or not known */
	int newest; /* of the payloads begun in the stream, the one with the latest e_inv */
	unsigned char run[PL_STREAM_RUN]; /* bytes not told apart yet */
	uint32_t nrun, old; /* how many; and of those, how many came by earlier reads, */
	uint32_t run_since; /* the first of which began at this rank */
	uint32_t put_end;   /* rank of the last successful write's end */
	/* the read at hand */
	uint32_t ref, since, rank;
	int who;
};

void pl_stream_room_judge(const struct pl_stream *s);

/* stream_places.c: after each event of a write or a read. */
void pl_stream_places_event(struct pl_stream *s, const struct pl_event *e);

static inline bool pl_stream_interruptible(const struct pl_stream *s, const struct pl_flow *f)
{
	return !f->atomic && s->nwriters > 1;
}

static inline int64_t pl_stream_by_chance(const struct pl_stream *s)
{
	return s->partial && s->nwriters > 1 ? PL_STREAM_CHANCE : 0;
}

static inline uint32_t pl_stream_must(const struct pl_flow *f)
{
	return f->atomic ? f->acc + f->maybe : f->acc;
}

static inline const char *pl_stream_name_of(const struct pl_stream *s, int i)
{
	return pl_say_token(s->q.v[i].token);
}

/* stream_say.c: findings, with a and b (payloads, or -1) and the read at hand as witnesses. */
void pl_stream_blame(struct pl_stream *s, bool is, int a, int b);
void pl_stream_corrupt(struct pl_stream *s, uint32_t n, int t, uint32_t at);
void pl_stream_unwritten(struct pl_stream *s, uint64_t token, uint64_t upto);

/* n bytes whose payload is not known, or that a killed reader may have swallowed. */
void pl_stream_loosen(struct pl_stream *s, uint64_t n);

/* The first byte of payload t is in the read at hand. */
void pl_stream_first_byte(struct pl_stream *s, int t);

/* How many bytes of an extent are certainly its payload's; -1: it cannot be its at all, and that is filed. */
int64_t pl_stream_own_bytes(struct pl_stream *s, const struct pl_more *m, const struct pl_flow *f);

/* stream_joined.c: a read that follows all before it; and the end of what can be joined, before a hole or for good. */
void pl_stream_joined_read(struct pl_stream *s, const struct pl_more *m, const struct pl_more *end);
void pl_stream_joined_end(struct pl_stream *s);

/* stream_lone.c: a read whose place in the stream is not known. */
void pl_stream_lone_read(struct pl_stream *s, const struct pl_more *m, const struct pl_more *end);

#endif
