/* SPDX-License-Identifier: MIT
 *
 * What one operation did, in a few characters. Histories are not trusted: only what is printable comes out.
 */
#include "story.h"

#include "../kit/kit.h"
#include "../model/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct text {
	char *s;
	size_t n, size;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->n, t->size - t->n, fmt, ap);
	va_end(ap);
	t->n += n > 0 ? (size_t)n : 0;
	t->n = t->n < t->size ? t->n : t->size - 1;
}

/* Payload 17 of actor 1 is 1#17; a number that is none as it is. */
static void add_token(struct text *t, uint64_t token)
{
	if (token >> 48)
		add(t, " %u#%" PRIu64, (unsigned)(uint16_t)((token >> 48) - 1),
			token & 0xffffffffff);
	else
		add(t, " 0x%" PRIx64, token);
}

/* The payloads that a read of a stream got, and which bytes of those that it did not get whole. */
static void add_pieces(struct text *t, const struct pl_log *l, const struct pl_rec *r)
{
	const struct pl_rec *end = l->rec + l->n;

	if (r->token)
		add_token(t, r->token);
	for (const struct pl_rec *k = r + 1; k < end && k->state == PL_MORE; k++) {
		const struct pl_more *m = (const struct pl_more *)k;

		if (m->kind != PL_EXTENT) {
			add(t, " ?[%u]", m->len);
			continue;
		}
		add_token(t, m->token);
		if (m->offset != 0 || m->len != m->total)
			add(t, "[%u+%u]", m->offset, m->len);
	}
}

static void add_places(struct text *t, uint64_t places)
{
	char buf[32];

	pl_model_say_places(buf, sizeof buf, places);
	add(t, " %s", buf);
}

static void add_value(struct text *t, const struct pl_log *l, const struct pl_rec *r)
{
	enum pl_role role = r->op < PL_HIST_OPS ? l->head->op[r->op].role : PL_NONE;

	switch (l->head->model) {
	case PL_MODEL_LOCK:
		if (role == PL_ACQUIRE && r->state != PL_INVOKED)
			add(t, " (%" PRIu64 ")", r->aux);
		break;
	case PL_MODEL_RANGES:
		add(t, " %" PRIu64 "+%u", r->token, r->len);
		break;
	case PL_MODEL_COUNTER:
	case PL_MODEL_SUM:
		add(t, role == PL_OBSERVE ? " = %" PRIu64 : " %" PRIu64, r->aux);
		break;
	case PL_MODEL_VECTOR:
		add_places(t, role == PL_OBSERVE ? r->aux : pl_model_moved(r->sum >> 1));
		break;
	case PL_MODEL_SIGNAL:
		add(t, " %" PRIu64, r->aux);
		break;
	case PL_MODEL_REGISTER:
		if (role == PL_UPDATE && r->state == PL_OK) {
			add_token(t, r->aux);
			add(t, " by");
		}
		add_token(t, r->token);
		break;
	case PL_MODEL_STREAM:
		if (role == PL_TAKE)
			add_pieces(t, l, r);
		else
			add_token(t, r->token);
		break;
	default:
		if (r->token)
			add_token(t, r->token);
		if ((l->head->model == PL_MODEL_PRIORITY || l->head->model == PL_MODEL_SELECT) &&
			r->state != PL_INVOKED)
			add(t, " (%" PRIu64 ")", r->aux);
	}
}

static void label_control(struct text *t, const struct pl_log *l, const struct pl_rec *r)
{
	bool places = l->head->model == PL_MODEL_VECTOR;

	switch (r->op) {
	case PL_OP_KILL:
		add(t, "kill actor %" PRIu64, r->token);
		break;
	case PL_OP_REAP:
		add(t, "actor %" PRIu64 " is dead", r->token);
		break;
	case PL_OP_OPEN:
		if (r->token == PL_CONTROL)
			add(t, "control has end %" PRIu64, r->aux);
		else
			add(t, "actor %" PRIu64 " has end %" PRIu64, r->token, r->aux);
		break;
	case PL_OP_RELEASE:
		add(t, "control releases end %" PRIu64, r->aux);
		break;
	case PL_OP_ASLEEP:
		add(t, "actor %" PRIu64 " sleeps", r->token);
		break;
	case PL_OP_LEVEL:
		if (places) {
			add(t, "inside are");
			add_places(t, (uint64_t)r->ret);
			break;
		}
		add(t, "%" PRId64 " inside, room for %" PRIu64, r->ret, r->aux);
		break;
	case PL_OP_DRAIN:
		add(t, "the drain begins");
		break;
	default:
		add(t, "control %u", r->op);
	}
}

void pl_story_label(const struct pl_log *l, const struct pl_rec *r, char *buf, size_t size)
{
	struct text t = { buf, 0, size };

	buf[0] = 0;
	if (l->head->actor == PL_CONTROL) {
		label_control(&t, l, r);
	} else {
		add(&t, "%.*s", (int)sizeof l->head->op[0].name,
			r->op < PL_HIST_OPS ? l->head->op[r->op].name : "?");
		if (r->state == PL_FAIL)
			add(&t, " %s", pl_errno_name(r->err));
		if (r->state != PL_FAIL || r->token || l->head->model == PL_MODEL_RANGES ||
			r->err == EOWNERDEAD || l->head->model == PL_MODEL_VECTOR)
			add_value(&t, l, r);
	}
	if (t.n + 1 == size && size > 4)
		(void)snprintf(buf + size - 4, 4, "...");
	for (; *buf; buf++)
		if (*buf < ' ' || *buf > '~')
			*buf = '?';
}
