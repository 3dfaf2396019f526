/* SPDX-License-Identifier: MIT
 *
 * A channel: one driver and its three pipes. A driver that floods gets its turn and no more, one
 * that does not read keeps its own lines waiting and nobody else's.
 */
#include "agent.h"
#include "kit/raw.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { LAST_WORDS_NS = 500000000 };

struct channel *channel_find(int64_t number)
{
	struct channel *c = number > 0 && number < CHANNELS ? agent.channel[number] : NULL;

	return c && !c->dead ? c : NULL;
}

void channel_close(struct channel *c)
{
	c->ending = true;
	channel_flush(c);
}

static void input_over(struct channel *c)
{
	if (c->in >= 0)
		(void)raw_close(c->in);
	c->in = -1;
	queue_drop(&c->input);
}

void channel_flush(struct channel *c)
{
	if (c->in < 0)
		return;
	if (queue_flush(&c->input, c->in) < 0)
		return input_over(c); /* it closed its stdin, or it is dead: that is told apart */
	if (c->ending && queue_size(&c->input) == 0)
		input_over(c);
	if (c->full && queue_size(&c->input) <= INPUT_HIGH / 2) {
		c->full = false;
		say_event("room", (int)c->number, NULL);
	}
}

void channel_give(int64_t number, const char *line, size_t len)
{
	struct channel *c = channel_find(number);

	if (!c || c->in < 0 || c->ending)
		return say_event("lost", (int)(number < CHANNELS ? number : 0),
			json_pack("{ss}", "why", "no driver listens there"));
	if (queue_size(&c->input) + len + 1 > INPUT_MAX || queue_push(&c->input, line, len) < 0 ||
		queue_push(&c->input, "\n", 1) < 0) {
		if (!c->lost) /* its stream has a hole from here on: told once */
			say_event("lost", (int)number,
				json_pack("{ss}", "why", "the driver does not read its input"));
		c->lost = c->ending = true;
		return;
	}
	channel_flush(c);
	if (!c->full && queue_size(&c->input) > INPUT_HIGH) {
		c->full = true;
		say_event("full", (int)number, NULL);
	}
}

static void keep(struct channel *c, const char *line, size_t len)
{
	char *to = c->tail[c->tail_n++ % TAIL_LINES];

	len = len < TAIL_CUT - 1 ? len : TAIL_CUT - 1;
	memcpy(to, line, len);
	to[len] = 0;
}

void channel_hear(struct channel *c)
{
	char *line;
	size_t len;
	int r;

	if (c->err < 0)
		return;
	(void)pl_frame_fill(&c->words, c->err);
	while ((r = pl_frame_next(&c->words, &line, &len)) != 0 && r != -EPIPE)
		if (r == 1)
			keep(c, line, len);
	if (r != -EPIPE)
		return;
	if (c->words.len > c->words.used && !c->words.skipping)
		keep(c, c->words.buf + c->words.used, c->words.len - c->words.used);
	(void)raw_close(c->err);
	c->err = -1;
}

json_t *channel_tail(const struct channel *c)
{
	json_t *a = json_array();
	unsigned i = c->tail_n > TAIL_LINES ? c->tail_n - TAIL_LINES : 0;

	for (; i < c->tail_n; i++) {
		const char *line = c->tail[i % TAIL_LINES];

		(void)json_array_append_new(a, text_json(line, strlen(line)));
	}
	return a;
}

static void output_over(struct channel *c)
{
	size_t left = c->said.len - c->said.used;

	if (left > 0 && !c->said.skipping)
		say_stray(c->number, "half a line at its end", c->said.buf + c->said.used, left);
	if (c->out >= 0)
		(void)raw_close(c->out);
	c->out = -1;
	c->out_over = true;
	c->eof_at = pl_now() + LAST_WORDS_NS;
}

void channel_pass_on(struct channel *c)
{
	char *line;
	size_t len;
	int r;

	while (!c->out_over && queue_size(&agent.said) < OUT_HIGH) {
		r = pl_frame_next(&c->said, &line, &len);
		if ((r == -EMSGSIZE || c->said.skipping) && !c->long_told) /* it may never end */
			say_stray(c->number, "a line of more than 65536 bytes", "", 0);
		c->long_told = r == 0 && c->said.skipping;
		if (r == 0)
			return;
		if (r == -EPIPE)
			return output_over(c);
		if (r == 1)
			say_line(c->number, line, len);
	}
}

static bool more(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && raw_poll(&p, 1, 0, NULL) > 0;
}

/* A dead driver's last words are heard first. Whoever still holds its pipes is not it. */
bool channel_done(struct channel *c)
{
	json_t *o;

	if (!c->dead)
		return false;
	if (!c->out_over && queue_size(&agent.said) >= OUT_HIGH)
		return false;
	if (!c->out_over && more(c->out)) {
		(void)pl_frame_fill(&c->said, c->out);
		channel_pass_on(c);
		return false; /* and the others have their turn */
	}
	channel_pass_on(c);
	if (!c->out_over && queue_size(&agent.said) >= OUT_HIGH)
		return false;
	if (!c->out_over)
		output_over(c);
	if (more(c->err)) {
		channel_hear(c);
		return false;
	}
	o = WIFSIGNALED(c->status) ? json_pack("{si}", "signal", WTERMSIG(c->status))
				   : json_pack("{si}", "status", WEXITSTATUS(c->status));
	(void)json_object_set_new(o, "stderr", channel_tail(c));
	say_event("exit", (int)c->number, o);
	input_over(c);
	if (c->err >= 0)
		(void)raw_close(c->err);
	agent.channel[c->number] = NULL;
	agent.alive--;
	free(c);
	return true;
}

/* Before a driver is reaped, while its pid cannot be another's, its group goes. */
void channels_reap(void)
{
	siginfo_t si;
	unsigned i;

	for (;;) {
		struct channel *c = NULL;
		int status = 0;

		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid <= 1)
			return;
		for (i = 1; i < agent.top && !c; i++)
			if (agent.channel[i] && !agent.channel[i]->dead &&
				agent.channel[i]->pid == si.si_pid)
				c = agent.channel[i];
		if (c)
			(void)raw_kill(-c->pid, SIGKILL);
		if (syscall(SYS_wait4, si.si_pid, &status, 0, NULL) < 0 || !c)
			continue; /* an orphan of a driver */
		c->dead = true;
		c->status = status;
	}
}

int64_t channels_timers(int64_t now)
{
	int64_t next = INT64_MAX;
	unsigned i;

	for (i = 1; i < agent.top; i++) {
		struct channel *c = agent.channel[i];

		if (!c || c->dead || !c->out_over || c->eof_told)
			continue;
		if (now >= c->eof_at) {
			c->eof_told = true;
			say_event("eof", (int)i, NULL);
		} else if (c->eof_at < next)
			next = c->eof_at;
	}
	return next;
}
