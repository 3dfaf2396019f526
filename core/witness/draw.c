/* SPDX-License-Identifier: MIT
 *
 * Operations as bars in text, a lane an actor, time to the right. Not to scale: each instant has a column of its own,
 * in order, and the columns stand as far apart as their labels ask for. At one instant begins stand before ends, as
 * they are judged, so that what is concurrent overlaps; but an actor's next operation begins where its last one ended.
 *
 *   actor 0  |-send 0#1-|-send 0#2-|
 *   actor 3                           |-receive 0#2-|
 *        ns  0          812        1,620            2,033
 *
 * If that is too wide, numbers stand in the bars, and a line each says what they are.
 */
#include "story.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT = 12, TICKS = 2 * PL_STORY_OPS };

/* An instant, and which of its columns. */
struct tick {
	int64_t t;
	int class;
};

struct drawing {
	struct pl_story *s;
	struct tick tick[TICKS];
	int x[TICKS], nticks;
	int from[PL_STORY_OPS], to[PL_STORY_OPS]; /* ticks; to -1: it never ended */
	int right;
	bool numbers;
	size_t used;
};

static bool is_open(const struct pl_rec *r)
{
	return r->state == PL_INVOKED || r->t_return < r->t_invoke;
}

static int by_tick(const void *a, const void *b)
{
	const struct tick *x = a, *y = b;

	if (x->t != y->t)
		return (x->t > y->t) - (x->t < y->t);
	return (x->class > y->class) - (x->class < y->class);
}

static int find_tick(const struct drawing *d, struct tick t)
{
	for (int i = 0; i < d->nticks; i++)
		if (by_tick(&d->tick[i], &t) == 0)
			return i;
	return -1;
}

static void add_tick(struct drawing *d, struct tick t)
{
	if (find_tick(d, t) < 0)
		d->tick[d->nticks++] = t;
}

/* Where operation i begins and ends. */
static void ends_of(const struct pl_story *s, int i, struct tick *from, struct tick *to)
{
	const struct pl_rec *r = &s->op[i];

	*from = (struct tick){ r->t_invoke, 0 };
	for (int k = i - 1; k >= 0; k--)
		if (s->op[k].actor == r->actor && s->op[k].t_return == r->t_invoke) {
			struct tick before;

			ends_of(s, k, &before, from);
			break;
		}
	*to = (struct tick){ r->t_return, r->t_return == r->t_invoke ? from->class + 1 : 1 };
}

static void make_ticks(struct drawing *d)
{
	struct tick from, to;

	for (int i = 0; i < d->s->n; i++) {
		ends_of(d->s, i, &from, &to);
		add_tick(d, from);
		if (!is_open(&d->s->op[i]))
			add_tick(d, to);
	}
	qsort(d->tick, (size_t)d->nticks, sizeof *d->tick, by_tick);
	for (int i = 0; i < d->s->n; i++) {
		ends_of(d->s, i, &from, &to);
		d->from[i] = find_tick(d, from);
		d->to[i] = is_open(&d->s->op[i]) ? -1 : find_tick(d, to);
	}
}

/* 1,234,567 */
static int grouped(int64_t v, char buf[32])
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%" PRId64, v), k = 0;

	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0 && digits[i - 1] != '-')
			buf[k++] = ',';
		buf[k++] = digits[i];
	}
	buf[k] = 0;
	return k;
}

/* Stamps are not trusted: their difference may pass every number. */
static int64_t since(const struct drawing *d, int64_t t)
{
	return (int64_t)((uint64_t)t - (uint64_t)d->tick[0].t);
}

/* The number under tick i; of an instant's columns only the first has one. */
static int stamp_of(const struct drawing *d, int i, char buf[32])
{
	if (i > 0 && d->tick[i].t == d->tick[i - 1].t)
		return buf[0] = 0, 0;
	return grouped(since(d, d->tick[i].t), buf);
}

static int room_of(const struct drawing *d, int i)
{
	return d->numbers ? (i >= 9) + 2 : (int)strlen(d->s->label[i]) + 3;
}

/* As far to the left as bars, and the numbers below, allow. */
static void place(struct drawing *d)
{
	char buf[32];
	int after = 0; /* the last number's end */

	d->right = 0;
	for (int t = 0; t < d->nticks; t++) {
		int n = d->numbers ? 0 : stamp_of(d, t, buf), x = t > 0 ? d->x[t - 1] + 1 : 0;

		x = n > 0 && x < after ? after : x;
		for (int i = 0; i < d->s->n; i++)
			if (d->to[i] == t && x < d->x[d->from[i]] + room_of(d, i))
				x = d->x[d->from[i]] + room_of(d, i);
		d->x[t] = x;
		after = n > 0 ? x + n + 2 : after;
		d->right = x > d->right ? x : d->right;
	}
	for (int i = 0; i < d->s->n; i++)
		if (d->to[i] < 0 && d->right < d->x[d->from[i]] + room_of(d, i))
			d->right = d->x[d->from[i]] + room_of(d, i);
	d->right = d->right < after - 2 ? after - 2 : d->right;
}

static void put_line(struct drawing *d, const char *head, char *line)
{
	size_t n = strlen(line), room = sizeof d->s->drawing - d->used;
	int w;

	while (n > 0 && line[n - 1] == ' ')
		line[--n] = 0;
	w = snprintf(
		d->s->drawing + d->used, room, "%s%-*s%s", d->used ? "\n" : "", LEFT, head, line);
	if (w > 0 && (size_t)w < room)
		d->used += (size_t)w;
	else
		d->s->drawing[d->used] = 0;
}

static void bar(const struct drawing *d, int i, char *line)
{
	int x0 = d->x[d->from[i]], x1 = d->to[i] < 0 ? d->right : d->x[d->to[i]];
	int at = x0 + (d->numbers ? 1 : 2);
	const char *label = d->s->label[i];
	char number[12];

	(void)snprintf(number, sizeof number, "%d", i + 1);
	label = d->numbers ? number : label;
	for (int x = x0; x <= x1 && x < PL_STORY_WIDE - LEFT; x++)
		line[x] = x == x0 || x == x1 ? '|' : '-';
	if (d->to[i] < 0 && x1 < PL_STORY_WIDE - LEFT)
		line[x1] = '>';
	for (int k = 0; label[k] && at + k < PL_STORY_WIDE - LEFT; k++)
		line[at + k] = label[k];
}

static const char *name_of(uint16_t actor, char buf[16])
{
	if (actor == PL_CONTROL)
		return "  control";
	(void)snprintf(buf, 16, "  actor %u", actor);
	return buf;
}

static void lanes(struct drawing *d)
{
	char line[PL_STORY_WIDE + 1], name[16];
	int last = -1;

	for (;;) {
		int next = INT32_MAX;

		for (int i = 0; i < d->s->n; i++)
			if (d->s->op[i].actor > last && d->s->op[i].actor < next)
				next = d->s->op[i].actor;
		if (next == INT32_MAX)
			return;
		memset(line, ' ', PL_STORY_WIDE - LEFT);
		line[PL_STORY_WIDE - LEFT] = 0;
		for (int i = 0; i < d->s->n; i++)
			if (d->s->op[i].actor == next)
				bar(d, i, line);
		put_line(d, name_of((uint16_t)next, name), line);
		last = next;
	}
}

static void ruler(struct drawing *d)
{
	char line[PL_STORY_WIDE + 1], buf[32];

	memset(line, ' ', PL_STORY_WIDE - LEFT);
	line[PL_STORY_WIDE - LEFT] = 0;
	for (int t = 0; t < d->nticks; t++) {
		int n = stamp_of(d, t, buf);

		if (d->x[t] + n <= PL_STORY_WIDE - LEFT)
			memcpy(line + d->x[t], buf, (size_t)n);
	}
	put_line(d, "        ns", line);
}

static void legend(struct drawing *d)
{
	for (int i = 0; i < d->s->n; i++) {
		const struct pl_rec *r = &d->s->op[i];
		char line[PL_STORY_WIDE + 1], head[16], name[16], from[32], to[32] = "";

		(void)grouped(since(d, r->t_invoke), from);
		if (!is_open(r))
			(void)grouped(since(d, r->t_return), to);
		(void)snprintf(head, sizeof head, "  %4d", i + 1);
		(void)snprintf(line, PL_STORY_WIDE + 1 - LEFT, "%-11s%-*s %s%s%s ns",
			name_of(r->actor, name) + 2, 24, d->s->label[i], from,
			is_open(r) ? ", no end" : " to ", to);
		put_line(d, head, line);
	}
}

void pl_story_draw(struct pl_story *s)
{
	struct drawing d = { .s = s };

	s->drawing[0] = 0;
	if (s->n == 0)
		return;
	make_ticks(&d);
	place(&d);
	d.numbers = LEFT + d.right >= PL_STORY_WIDE;
	if (d.numbers)
		place(&d);
	lanes(&d);
	if (d.numbers)
		legend(&d);
	else
		ruler(&d);
}
