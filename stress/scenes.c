/* SPDX-License-Identifier: MIT
 *
 * The scenes of the deadlock gallery, as data, and what their scripts mean.
 */
#include "gallery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_WAIT "* wait @ | * wait @+1, * post @+1, * post @"
#define ALL_LOCK "* lock @ | * lock @+1, * unlock @+1, * unlock @"

/* clang-format off */
/* name, driver/variant, actors, objects, arguments of open, in drivers apart,
 *	script,
 *	rescue, what it must be called, length of the ring */
const struct scene_row scene_rows[] = {
	/* one owner at a time: rings of locks, dead and slow owners */
	{ "mutex-self", "mutex/normal", 1, 1, NULL, false,
		"0 lock a, 0 lock a",
		"0 :kill", HANG_DEADLOCK, 1 },
	{ "mutex-ab-ba", "mutex/robust", 2, 2, NULL, false,
		ALL_LOCK,
		"0 :kill", HANG_DEADLOCK, 2 },
	{ "mutex-ring-3", "mutex/normal", 3, 3, NULL, false,
		ALL_LOCK,
		"* :kill", HANG_DEADLOCK, 3 },
	{ "mutex-ring-8", "mutex/robust", 8, 8, NULL, false,
		ALL_LOCK,
		"3 :kill", HANG_DEADLOCK, 8 },
	{ "mutex-and-bystander", "mutex/robust", 3, 2, NULL, false,
		"0 lock a, 1 lock b | 0 lock b, 1 lock a, 2 lock a, 0 unlock b, 0 unlock a",
		"1 :kill", HANG_DEADLOCK, 2 },
	{ "mutex-orphan", "mutex/normal", 2, 1, NULL, false,
		"0 lock a | 0 :kill | 1 lock a",
		"1 :kill", HANG_ORPHANED, 0 },
	{ "mutex-never-given", "mutex/errorcheck", 2, 1, NULL, false,
		"0 lock a | 1 lock a",
		"0 unlock a", HANG_DEADLOCK, 0 },
	{ "mutex-stopped-holder", "mutex/normal", 2, 1, NULL, false,
		"0 lock a | 0 :stop, 1 lock a",
		"0 :cont, 0 unlock a", HANG_SLOW, 0 },
	{ "mutex-timed", "mutex/robust", 2, 2, NULL, false,
		"0 lock a, 1 lock b | 0 timedlock b timeout_ns=60000000000, 1 lock a",
		"0 :kill", HANG_SLOW, 0 },
	{ "mutex-handover", "mutex/normal", 2, 1, NULL, false,
		"0 lock a | 1 lock a, 0 :await, 0 unlock a",
		NULL, HANG_NONE, 0 },

	/* counters: a ring of those that have one and want another, and tokens that died */
	{ "sem-ab-ba", "sem/unnamed", 3, 2, "\"value\":1", false,
		"0 wait a, 1 wait b | 0 wait b, 1 wait a, 0 post b, 0 post a, 1 post a, 1 post b",
		"2 post a", HANG_DEADLOCK, 2 },
	{ "sem-ring-3", "sem/named", 3, 3, "\"value\":1", false,
		ALL_WAIT,
		"0 :cancel", HANG_DEADLOCK, 3 },
	{ "sem-orphan", "sem/unnamed", 3, 1, "\"value\":1", false,
		"0 wait a | 0 :kill | 1 wait a",
		"2 post a", HANG_ORPHANED, 0 },
	{ "sem-two-drivers", "sem/named", 2, 2, "\"value\":1", true,
		ALL_WAIT,
		"0 :cancel", HANG_DEADLOCK, 2 },
	{ "sem-handover", "sem/unnamed", 2, 1, NULL, false,
		"0 wait a, 1 :await, 1 post a",
		NULL, HANG_NONE, 0 },
	{ "sysvsem-ab-ba", "sysvsem/plain", 2, 2, "\"value\":1", false,
		ALL_WAIT,
		"1 :cancel", HANG_DEADLOCK, 2 },
	{ "sysvsem-undo-ring-3", "sysvsem/undo", 3, 3, NULL, false,
		ALL_LOCK,
		"2 :kill", HANG_DEADLOCK, 3 },
	{ "sysvsem-orphan", "sysvsem/plain", 3, 1, "\"value\":1", false,
		"0 wait a | 0 :kill | 1 wait a",
		"2 post a", HANG_ORPHANED, 0 },
	{ "eventfd-ring-empty", "eventfd/semaphore", 3, 3, NULL, false,
		"* read @, * write @+1",
		"0 :cancel", HANG_DEADLOCK, 3 },

	/* locks on files: a death frees them; record locks see the ring themselves (EDEADLK) */
	{ "flock-ring-3", "lock/flock", 3, 3, NULL, false,
		ALL_LOCK,
		"1 :cancel", HANG_DEADLOCK, 3 },
	{ "ofd-ab-ba", "lock/ofd", 2, 2, NULL, false,
		ALL_LOCK,
		"0 :kill", HANG_DEADLOCK, 2 },
	{ "record-ab-ba", "lock/record", 2, 2, NULL, false,
		ALL_LOCK,
		NULL, HANG_NONE, 0 },
	{ "record-never-given", "lock/record", 2, 1, NULL, false,
		"0 lock a | 1 lock a",
		"0 :kill", HANG_DEADLOCK, 0 },
	{ "flock-two-drivers", "lock/flock", 2, 2, NULL, true,
		ALL_LOCK,
		"0 :cancel", HANG_DEADLOCK, 2 },
	{ "ofd-handover", "lock/ofd", 2, 1, NULL, false,
		"0 lock a | 1 lock a, 0 :await, 0 unlock a",
		NULL, HANG_NONE, 0 },

	/* rings of queues: everybody waits for the one before, or for the one behind */
	{ "mq-ring-empty", "mq/mq", 3, 3, NULL, false,
		"* receive @, * send @+1",
		"0 :cancel", HANG_DEADLOCK, 3 },
	{ "mq-ring-full", "mq/mq", 3, 3, "\"maxmsg\":1", false,
		"* send @ | * send @, * receive @+1",
		"1 :cancel", HANG_DEADLOCK, 3 },
	{ "mq-two-drivers", "mq/mq", 2, 2, NULL, true,
		"* receive @, * send @+1",
		"0 :cancel", HANG_DEADLOCK, 2 },
	{ "sysvmsg-ring-empty", "sysvmsg/fifo", 3, 3, NULL, false,
		"* msgrcv @, * msgsnd @+1",
		"0 :cancel", HANG_DEADLOCK, 3 },
	{ "sysvmsg-two-drivers", "sysvmsg/fifo", 2, 2, NULL, true,
		"* msgrcv @, * msgsnd @+1",
		"1 :cancel", HANG_DEADLOCK, 2 },
	{ "mq-starved", "mq/mq", 3, 1, NULL, false,
		"0 send a | 1 receive a | 1 receive a",
		"2 send a", HANG_DEADLOCK, 0 },
	{ "mq-handover", "mq/mq", 2, 1, NULL, false,
		"0 receive a, 1 :await, 1 send a",
		NULL, HANG_NONE, 0 },

	/* bytes: both ways filled, both ways empty */
	{ "pipe-both-full", "pipe/stream", 3, 2, "\"capacity\":65536", false,
		"0 write a size=100000, 0 read b size=65536, 1 write b size=100000, 1 read a size=65536",
		"2 read a size=65536", HANG_DEADLOCK, 2 },
	{ "pipe-both-empty", "pipe/stream", 2, 2, NULL, false,
		"* read @, * write @+1",
		"1 :cancel", HANG_DEADLOCK, 2 },
	{ "fifo-both-full", "fifo/fifo", 2, 2, "\"capacity\":65536", true,
		"0 write a size=100000, 0 read b size=65536, 1 write b size=100000, 1 read a size=65536",
		"0 :cancel", HANG_DEADLOCK, 2 },
	{ "unix-pair-both-full", "unix/stream", 2, 1, NULL, false,
		"0 send a.a size=1000000, 0 recv a.a size=1000000 flags=256,"
		"1 send a.b size=1000000, 1 recv a.b size=4096",
		"0 :cancel", HANG_DEADLOCK, 2 },
	{ "tcp-starved", "inet/tcp4", 3, 1, NULL, false,
		"0 recv a.a, 1 recv a.b",
		"2 send a.a, 2 send a.b", HANG_SLOW, 0 },
	{ "unix-ring-empty", "unix/seqpacket", 4, 4, NULL, false,
		"* recv @, * send @+1",
		"2 :cancel", HANG_DEADLOCK, 4 },
	{ "pipe-handover", "pipe/stream", 2, 1, NULL, false,
		"0 read a, 1 :await, 1 write a",
		NULL, HANG_NONE, 0 },
};
/* clang-format on */
const unsigned nscene_rows = sizeof scene_rows / sizeof *scene_rows;

/* "@+1" of actor 2 of three objects is "a". */
static void handle_of(const struct scene_row *row, unsigned actor, const char *word, char *ret)
{
	int by;

	if (*word != '@') {
		(void)snprintf(ret, NAME_MAX_, "%s", word);
		return;
	}
	by = atoi(word + 1);
	(void)snprintf(ret, NAME_MAX_, "%c",
		'a' + (int)((actor + (unsigned)(by + SCENE_OBJECTS * (int)row->objects)) %
			      row->objects));
}

static int parse_words(const struct scene_row *row, unsigned actor, char *words, struct step *to)
{
	char *save = NULL, *w = strtok_r(words, " ", &save);
	size_t n = 0;

	if (!w)
		return -EINVAL;
	(void)snprintf(to->f, sizeof to->f, "%s", w);
	while ((w = strtok_r(NULL, " ", &save))) {
		size_t eq = strcspn(w, "=");

		if (!w[eq])
			handle_of(row, actor, w, to->on);
		else
			n += (size_t)snprintf(to->args + n, sizeof to->args - n, ",\"%.*s\":%s",
				(int)eq, w, w + eq + 1);
		if (n >= sizeof to->args)
			return -EINVAL;
	}
	to->actor = actor;
	return 0;
}

static int add_step(const struct scene_row *row, const char *text, unsigned phase, bool rescue,
	struct step *all, unsigned *n)
{
	char *rest;
	unsigned long from = strtoul(text, &rest, 10), to = from;

	if (*text == '*') {
		to = row->actors - 1;
		rest = (char *)text + 1;
	} else if (rest == text || from >= row->actors)
		return -EINVAL;
	for (; from <= to; from++) {
		char words[128];

		(void)snprintf(words, sizeof words, "%s", rest);
		if (*n == SCENE_STEPS)
			return -EINVAL;
		all[*n] = (struct step){ .phase = phase, .rescue = rescue };
		if (parse_words(row, (unsigned)from, words, &all[(*n)++]) < 0)
			return -EINVAL;
	}
	return 0;
}

static int parse(
	const struct scene_row *row, const char *script, bool rescue, struct step *all, unsigned *n)
{
	char copy[512], *phases = NULL, *p;
	unsigned phase = 0;

	if (strlen(script) >= sizeof copy)
		return -EINVAL;
	(void)snprintf(copy, sizeof copy, "%s", script);
	for (p = strtok_r(copy, "|", &phases); p; p = strtok_r(NULL, "|", &phases), phase++) {
		char *steps = NULL, *s;

		for (s = strtok_r(p, ",", &steps); s; s = strtok_r(NULL, ",", &steps)) {
			while (*s == ' ')
				s++;
			if (add_step(row, s, phase, rescue, all, n) < 0)
				return -EINVAL;
		}
	}
	return 0;
}

int scene_parse(const struct scene_row *row, struct step *ret, unsigned *ret_n)
{
	*ret_n = 0;
	if (row->actors > SCENE_ACTORS || row->objects > SCENE_OBJECTS || !row->objects)
		return -EINVAL;
	if (parse(row, row->script, false, ret, ret_n) < 0)
		return -EINVAL;
	return row->rescue ? parse(row, row->rescue, true, ret, ret_n) : 0;
}
