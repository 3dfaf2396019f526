/* SPDX-License-Identifier: MIT
 *
 * How plumb-fake misbehaves. A mode is the variant of `open`, the end of the program's own name, or
 * PLUMB_FAKE.
 */
#ifndef PLUMBLINE_FAKE_H
#define PLUMBLINE_FAKE_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

enum { ACTORS = 64, LINE = 65536, SLOW_MS = 150 };

/* What each mode does, and when. Those marked early act before `open`: choose them by name or
 * environment. */
/* clang-format off */
#define MODES(X) \
	X(OBEY, "obey", "does as it is told") \
	X(LIE_PROTO, "lie-proto", "early: speaks plumb/9 only") \
	X(LIE_NUMBERS, "lie-numbers", "calls every run violated, with a made-up witness") \
	X(LIE_REPLY, "lie-reply", "answers what nobody asked") \
	X(HANG, "hang", "after `actor`: no line, no tick, ignores stop, EOF and SIGTERM") \
	X(HANG_RUN, "hang-run", "the same, from its first run on") \
	X(SILENT, "silent", "early: never says hello") \
	X(FLOOD, "flood", "in run: events without end") \
	X(FLOOD_LINE, "flood-line", "in run: one line without end") \
	X(FLOOD_STDERR, "flood-stderr", "in run: 20,000 lines on stderr, else obeys") \
	X(CRASH, "crash", "in run: aborts") \
	X(CRASH_HELLO, "crash-hello", "early: aborts before hello") \
	X(GARBAGE, "garbage", "in run: a line that is not JSON") \
	X(BINARY, "binary", "in run: bytes that would clear a terminal") \
	X(EXIT, "exit", "in run: exits 0 without a word") \
	X(DIE, "die", "after `actor`: dies by SIGSEGV") \
	X(STUCK, "stuck", "run does not end, ticks go on, `done` does not grow") \
	X(REST, "rest", "in run: tells of a round that came to rest, with a ring in it") \
	X(ENDLESS, "endless", "run does not end, `done` grows") \
	X(CHILD, "child", "leaves a grandchild behind when it stops") \
	X(SLOW, "slow", "answers everything late") \
	X(NOSTOP, "nostop", "ignores stop and EOF, obeys SIGTERM") \
	X(LEAK, "leak", "leaves its object behind and does not say so") \
	X(LIMIT, "limit", "`open` meets a limit") \
	X(UNKNOWN, "unknown", "no round can be judged") \
	X(UNSUPPORTED, "unsupported", "this variant is not supported here") \
	X(DOUBLE, "double", "answers a run twice")

#define MODE_ENUM(id, name, what) id,
#define MODE_ROW(id, name, what) { name, what },
enum mode { MODES(MODE_ENUM) NMODES };
extern const struct mode_row { const char *name, *what; } modes[NMODES];
/* clang-format on */

extern struct fake {
	enum mode mode;
	int64_t t0, tick_ns, next_tick, run_from, run_end;
	json_int_t run_id; /* 0: none */
	json_int_t inst;
	char run[64], dir[3800], object[256];
	pid_t actor[ACTORS];
	int nactors, rounds, stopped;
	int fresh; /* operations of rounds that ended since the last tick */
} me;

/* fake_say.c: lines on stdout. Objects given are taken over. */
int64_t now_ns(void);
void wait_ms(int ms);
void put(json_t *o);
void event(const char *name, json_t *o);
void reply(json_int_t id, const char *key, json_t *body);
void refuse(json_int_t id, const char *kind, const char *msg);
void ok(json_int_t id);
void hello(void);
json_t *who(void); /* a ring of its actors, as if each held what the one before it waits for */

#endif
