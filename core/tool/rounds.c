/* SPDX-License-Identifier: MIT
 *
 * From files to rounds: files of one run, instance and round belong together, whoever wrote them.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

static int by_round(const void *a, const void *b)
{
	const struct pl_hist_head *x = ((const struct pl_log *)a)->head,
				  *y = ((const struct pl_log *)b)->head;
	int c = memcmp(x->run, y->run, sizeof x->run);

	if (c == 0)
		c = (x->inst > y->inst) - (x->inst < y->inst);
	if (c == 0)
		c = (x->round > y->round) - (x->round < y->round);
	return c ? c : (x->actor > y->actor) - (x->actor < y->actor);
}

static bool same_round(const struct pl_log *a, const struct pl_log *b)
{
	return a->head->inst == b->head->inst && a->head->round == b->head->round &&
	       !memcmp(a->head->run, b->head->run, sizeof a->head->run);
}

/* The mapping is read-only: another model needs another header. */
static void override(struct pl_log *l, struct pl_hist_head *h, int model)
{
	*h = *l->head;
	h->model = (uint32_t)model;
	l->head = h;
}

/* In place of the halves, what they are together. Their number, or below 0 after a message. */
static int join_all(struct pl_log **logs, int n)
{
	struct pl_log *all = calloc((size_t)n, sizeof *all);
	const char *why = "out of memory";

	n = all ? pl_join(*logs, n, all, &why) : -1;
	if (n < 0) {
		(void)fprintf(stderr, "plumb-check: %s\n", why);
		free(all);
		return -1;
	}
	free(*logs);
	*logs = all;
	return n;
}

int rounds_open(struct rounds *r, char **files, int nfiles, const struct options *o)
{
	int code = HELD;
	char why[160];

	*r = (struct rounds){ .logs = calloc((size_t)nfiles, sizeof *r->logs),
		.heads = calloc((size_t)nfiles, sizeof *r->heads),
		.joined = o->join };
	for (int i = 0; r->logs && r->heads && i < nfiles; i++) {
		if (pl_file_map(files[i], &r->logs[r->n], why, sizeof why) < 0) {
			(void)fprintf(stderr, "plumb-check: %s: %s\n", files[i], why);
			code = BROKEN;
			continue;
		}
		if (o->model >= 0)
			override(&r->logs[r->n], &r->heads[r->n], o->model);
		r->n++;
	}
	if (r->logs)
		qsort(r->logs, (size_t)r->n, sizeof *r->logs, by_round);
	if (o->join && r->n > 0 && code == HELD) {
		int n = join_all(&r->logs, r->n);

		r->n = n < 0 ? 0 : n;
		code = n < 0 ? INCONCLUSIVE : code;
	}
	return code;
}

bool rounds_next(struct rounds *r, struct round *ret)
{
	int i = r->next;

	while (r->next < r->n && (r->joined || same_round(&r->logs[i], &r->logs[r->next])))
		r->next++;
	*ret = (struct round){ .logs = r->logs + i, .n = r->next - i };
	return ret->n > 0;
}

void rounds_close(struct rounds *r)
{
	free(r->logs);
	free(r->heads);
}
