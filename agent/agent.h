/* SPDX-License-Identifier: MIT
 *
 * plumb-agent: many drivers over one stdin and stdout. core/README.md §3 is its protocol.
 */
#ifndef PLUMBLINE_AGENT_H
#define PLUMBLINE_AGENT_H

#include "kit/frame.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum {
	CHANNELS = 1024,      /* numbers 1 … CHANNELS - 1; 0 is the agent itself */
	INPUT_MAX = 1 << 20,  /* bytes that wait for one driver; what is beyond them is lost */
	INPUT_HIGH = 1 << 16, /* above it: `full`; at half of it: `room` */
	OUT_HIGH = 1 << 18,   /* bytes that wait for stdout above which no driver is read, */
	OUT_MAX = 1 << 20,    /* and above which no request is */
	TAIL_LINES = 32,      /* of a driver's stderr, */
	TAIL_CUT = 240,	      /* each cut to so many bytes */
	BAD_LINES_MAX = 64,   /* in a row: then the agent gives up */
	EXIT_USAGE_ = 2,
	EXIT_PROTOCOL = 76,
};

/* Bytes on their way to a descriptor that may not take them now. */
struct queue {
	char *buf;
	size_t len, cap, sent;
};

int queue_push(struct queue *q, const void *bytes, size_t n); /* 0, -ENOMEM */
int queue_flush(struct queue *q, int fd); /* 0 (also: not all), -errno: nobody reads any more */
size_t queue_size(const struct queue *q);
void queue_drop(struct queue *q);

struct channel {
	unsigned number;
	char driver[40];
	pid_t pid;
	int in, out, err; /* -1: closed */
	bool dead;	  /* reaped; it is told when all that it said has been passed on */
	int status;	  /* of wait(2) */
	bool ending;	  /* its stdin is closed as soon as what waits for it is written */
	bool full, lost;  /* told so */
	bool out_over, eof_told;
	bool long_told; /* of the line under way: too long */
	int64_t eof_at; /* when its end of output is told, should it still live then; 0: never */
	struct queue input;
	struct pl_frame said, words; /* its stdout, its stderr */
	char tail[TAIL_LINES][TAIL_CUT];
	unsigned tail_n; /* lines that there have been */
};

struct agent {
	int in, out;
	char dir[1024]; /* where plumb-<driver> are */
	bool temporary; /* the folder goes with the agent */
	struct pl_frame requests;
	struct queue said;
	bool input_over, deaf; /* deaf: nobody reads stdout */
	bool stopping;
	int stage;	 /* of the stop sequence */
	int64_t due;	 /* of its next stage */
	int64_t stop_id; /* the request that asked for it; -1: none */
	struct channel *channel[CHANNELS];
	unsigned top, alive; /* numbers below `top` have been used */
	unsigned turn;	     /* who is passed on first: it rotates */
	unsigned bad_lines;
	int exit_code;
};

extern struct agent agent;

/* channel.c */
/* 0, or -errno with `*ret_call` the call that failed */
int channel_start(unsigned number, const char *driver, json_t *args, json_t *env, pid_t *ret_pid,
	const char **ret_call);
struct channel *channel_find(int64_t number); /* one whose process lives, or NULL */
void channel_give(int64_t number, const char *line, size_t len); /* a line, without its LF */
void channel_close(struct channel *c);
void channel_flush(struct channel *c);
void channel_hear(struct channel *c); /* its stderr is readable */
json_t *channel_tail(const struct channel *c);
void channel_pass_on(struct channel *c); /* what it has said, while stdout keeps up */
bool channel_done(struct channel *c);	 /* true: it is gone, told, and freed */
void channels_reap(void);
int64_t channels_timers(int64_t now); /* INT64_MAX: none */

/* start.c */
extern struct rlimit start_nofile; /* as the agent found it: a driver's limits are the user's */
void start_prepare(void);

/* request.c */
void request(const char *line, size_t len); /* NULL: a line too long */
int64_t line_channel(const char *line, size_t len);

/* say.c: own lines, all with "ch":0. Objects given are taken over. */
void say(json_t *o);
void say_ok(json_t *id, json_t *ok);
void say_err(json_t *id, const char *kind, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void say_event(const char *ev, int channel, json_t *more);
void say_line(unsigned channel, const char *line, size_t len);
void say_stray(unsigned channel, const char *why, const char *text, size_t len);
json_t *text_json(const char *s, size_t len); /* what is not UTF-8 becomes '?' */

/* hello.c */
json_t *hello(void);

/* folder.c */
int folder_unpack(int fd, const char *dir, const char **ret_why); /* a tar, to its end mark */
void folder_remove(const char *dir);
void folder_hold(const char *dir);			   /* while this process lives */
void folder_sweep(const char *parent, const char *prefix); /* what dead agents left there */
int folder_find(char *dir, size_t size);		   /* where this program lies */

/* files.c */
void req_folder(json_t *id, json_t *req, int64_t number);
void req_list(json_t *id, json_t *req, int64_t number);
void req_read(json_t *id, json_t *req, int64_t number);
void files_remove(void);

/* loop.c */
void stop(int64_t id);
void say_flush(void);
void loop_prepare(void);
int loop_streams(void);
int loop(void); /* to the end: the exit code */

#endif
