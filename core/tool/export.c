/* SPDX-License-Identifier: MIT
 *
 * The operations of a round for other checkers: a line where each begins, and one where it ends.
 */
#include "tool.h"

#include "../kit/kit.h"

#include <inttypes.h>
#include <stdlib.h>

/* Where one log is being printed: at the begin or the end of record i. */
struct place {
	uint64_t i;
	bool end;
};

static bool is_operation(const struct pl_rec *r)
{
	return r->state >= PL_INVOKED && r->state <= PL_INFO;
}

static int64_t time_of(const struct pl_log *l, const struct place *p)
{
	return p->end ? l->rec[p->i].t_return : l->rec[p->i].t_invoke;
}

static void advance(const struct pl_log *l, struct place *p)
{
	if (!p->end && (l->rec[p->i].state == PL_OK || l->rec[p->i].state == PL_FAIL)) {
		p->end = true;
		return;
	}
	p->end = false;
	do
		p->i++;
	while (p->i < l->n && !is_operation(&l->rec[p->i]));
}

static void print_value(const struct pl_log *l, uint64_t i, bool end)
{
	const struct pl_rec *r = &l->rec[i];
	const struct pl_more *m = (const struct pl_more *)r + 1;
	const char *sep = "";

	if (end && i + 1 < l->n && m->state == PL_MORE) {
		printf("[");
		for (; (const struct pl_rec *)m < l->rec + l->n && m->state == PL_MORE;
			m++, sep = ",")
			printf("%s[\"0x%" PRIx64 "\",%u,%u]", sep,
				m->kind == PL_EXTENT ? m->token : 0,
				m->kind == PL_EXTENT ? m->offset : 0, m->len);
		printf("]");
	} else if (end && r->token && l->head->model == PL_MODEL_STREAM && r->op < l->head->nops &&
		   l->head->op[r->op].role == PL_TAKE) {
		printf("[[\"0x%" PRIx64 "\",0,%" PRId64 "]]", r->token, r->ret);
	} else if (r->token &&
		   (r->op >= l->head->nops || l->head->op[r->op].role != PL_TAKE || end)) {
		printf("\"0x%" PRIx64 "\"", r->token);
	} else if (end && r->op < l->head->nops && l->head->op[r->op].role == PL_ACQUIRE) {
		printf("%" PRIu64, r->aux);
	} else {
		printf("null");
	}
}

static void print_half(const struct pl_log *l, const struct place *p, uint64_t *index)
{
	const struct pl_rec *r = &l->rec[p->i];
	bool ok = r->state == PL_OK || (r->state == PL_FAIL && r->err == EOWNERDEAD);
	const char *type = r->state == PL_INFO ? "info" : !p->end ? "invoke" : ok ? "ok" : "fail";

	printf("{\"index\":%" PRIu64 ",\"process\":", (*index)++);
	if (l->head->actor == PL_CONTROL)
		printf("\"nemesis\"");
	else
		printf("%u", l->head->actor);
	printf(",\"type\":\"%s\",\"f\":\"%s\",\"value\":", type, words_op(l->head, r));
	print_value(l, p->i, p->end);
	printf(",\"time\":%" PRId64, time_of(l, p) - l->head->t0);
	if (p->end && r->state == PL_FAIL)
		printf(",\"error\":\"%s\"", pl_errno_name(r->err));
	printf("}\n");
	if (!p->end && r->state == PL_INVOKED)
		printf("{\"index\":%" PRIu64
		       ",\"process\":%u,\"type\":\"info\",\"f\":\"%s\",\"value\":null,"
		       "\"time\":%" PRId64 ",\"error\":\"killed\"}\n",
			(*index)++, l->head->actor, words_op(l->head, r),
			time_of(l, p) - l->head->t0);
}

/* In order of time; at one instant, what begins before what ends. */
int export_round(const struct round *r)
{
	const struct pl_log *logs = r->logs;
	int n = r->n;
	struct place *p = calloc((size_t)n, sizeof *p);
	uint64_t index = 0;

	if (!p)
		return BROKEN;
	for (int i = 0; i < n; i++)
		while (p[i].i < logs[i].n && !is_operation(&logs[i].rec[p[i].i]))
			p[i].i++;
	for (;;) {
		int best = -1;

		for (int i = 0; i < n; i++) {
			int64_t a, b;

			if (p[i].i >= logs[i].n)
				continue;
			a = time_of(&logs[i], &p[i]);
			b = best < 0 ? INT64_MAX : time_of(&logs[best], &p[best]);
			if (best < 0 || a < b || (a == b && p[best].end && !p[i].end))
				best = i;
		}
		if (best < 0)
			break;
		print_half(&logs[best], &p[best], &index);
		advance(&logs[best], &p[best]);
	}
	free(p);
	return HELD;
}
