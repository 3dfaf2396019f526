/* SPDX-License-Identifier: MIT
 *
 * The operations of a round in Jepsen's shape, for Knossos, Porcupine and what else reads that: a map where each
 * begins (:invoke) and one where it ends (:ok, :fail or :info), in order of time, with :f and :value as the models of
 * Knossos name them. What the model is not about is left out.
 *
 *   - :fail did not happen; its value is that of its :invoke, as Knossos asserts
 *   - :info may have happened or not: the actor died in it, or what it took cannot be named. Its process does nothing
 *     any more: the actor goes on as another process
 *   - :f :cas is an exchange: it found the first of the two values and put the second in its place. One without a
 *     result is a :write, for what it found is unknown
 *   - a register's value from before the round is written first of all, by a process of its own
 *   - sections inside of a section of the same actor (recursive locks) are left out; the death of an actor that may
 *     have held a lock which a death frees is a :release without result, of a process of its own
 *   - deaths and the like are :info of the process :nemesis
 */
#include "notation.h"
#include "numbers.h"

#include "../kit/kit.h"
#include "../model/model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is said of an operation's value, at its begin and its end. */
enum value {
	NOTHING,
	TOKEN,	/* of what was put: at both; of what was taken: at its end */
	TAGGED, /* the tag too: [tag token] */
	TAG,
	PAIR,	/* found and stored */
	PIECES, /* of payloads, each [token offset length] */
	MOVED,	/* of each place, [1 0 3 0] */
	PLACES, /* what is in each */
};

struct shape {
	uint8_t model, role;
	const char *f;
	uint8_t value;
	bool told; /* the value is known as it begins */
};

static const struct shape shapes[] = {
	{ PL_MODEL_FIFO, PL_PUT, "enqueue", TOKEN, true },
	{ PL_MODEL_FIFO, PL_TAKE, "dequeue", TOKEN, false },
	{ PL_MODEL_DATAGRAM, PL_PUT, "enqueue", TOKEN, true },
	{ PL_MODEL_DATAGRAM, PL_TAKE, "dequeue", TOKEN, false },
	{ PL_MODEL_PRIORITY, PL_PUT, "enqueue", TAGGED, true },
	{ PL_MODEL_PRIORITY, PL_TAKE, "dequeue", TAGGED, false },
	{ PL_MODEL_SELECT, PL_PUT, "enqueue", TAGGED, true },
	{ PL_MODEL_SELECT, PL_TAKE, "dequeue", TAGGED, false },
	{ PL_MODEL_LOCK, PL_ACQUIRE, "acquire", NOTHING, true },
	{ PL_MODEL_LOCK, PL_RELEASE, "release", NOTHING, true },
	{ PL_MODEL_STREAM, PL_PUT, "write", TOKEN, true },
	{ PL_MODEL_STREAM, PL_TAKE, "read", PIECES, false },
	{ PL_MODEL_COUNTER, PL_PUT, "add", TAG, true },
	{ PL_MODEL_COUNTER, PL_TAKE, "remove", TAG, true },
	{ PL_MODEL_COUNTER, PL_OBSERVE, "read", TAG, false },
	{ PL_MODEL_SUM, PL_PUT, "add", TAG, true },
	{ PL_MODEL_SUM, PL_TAKE, "remove", TAG, false },
	{ PL_MODEL_REGISTER, PL_PUT, "write", TOKEN, true },
	{ PL_MODEL_REGISTER, PL_OBSERVE, "read", TOKEN, false },
	{ PL_MODEL_REGISTER, PL_UPDATE, "cas", PAIR, true },
	{ PL_MODEL_VECTOR, PL_ACQUIRE, "acquire", MOVED, true },
	{ PL_MODEL_VECTOR, PL_RELEASE, "release", MOVED, true },
	{ PL_MODEL_VECTOR, PL_OBSERVE, "read", PLACES, false },
	{ PL_MODEL_SIGNAL, PL_PUT, "send", TAG, true },
	{ PL_MODEL_SIGNAL, PL_TAKE, "deliver", TAG, false },
};

/* Where a log is being read: at the begin or the end of record i. */
struct place {
	uint64_t i;
	bool end;
	uint64_t last;	/* of the records that are said */
	int64_t reaped; /* INT64_MIN: it was not */
	int64_t process;
	int depth; /* of sections */
	bool died;
};

struct export
{
	const struct round *r;
	struct place *p;
	struct numbers numbers;
	struct notation to;
	uint64_t before; /* REGISTER: the token found that nobody stored; 0: none */
	int64_t index, processes;
	uint64_t unnamed; /* takes of which nobody knows what they took */
};

static const struct shape *shape_of(const struct pl_log *l, const struct pl_rec *r)
{
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (shapes[i].model == l->head->model && shapes[i].role == words_role(l, r))
			return &shapes[i];
	return NULL;
}

static bool is_note(const struct pl_log *l, const struct pl_rec *r)
{
	return l->head->actor == PL_CONTROL &&
	       (r->op == PL_OP_KILL || r->op == PL_OP_REAP || r->op == PL_OP_STOP ||
		       r->op == PL_OP_CONT || r->op == PL_OP_DRAIN);
}

static bool acquired(const struct pl_rec *r)
{
	return r->state == PL_OK || (r->state == PL_FAIL && r->err == EOWNERDEAD);
}

/* Inside of a section of the same actor? Called once for each record, in order. */
static bool is_inner(struct place *p, const struct pl_log *l, const struct pl_rec *r)
{
	if (l->head->model == PL_MODEL_VECTOR)
		return false;
	switch (words_role(l, r)) {
	case PL_ACQUIRE:
		return acquired(r) && p->depth++ > 0;
	case PL_RELEASE:
		return r->state == PL_OK && p->depth > 0 && --p->depth > 0;
	default:
		return false;
	}
}

static void skip(struct place *p, const struct pl_log *l)
{
	for (; p->i < l->n; p->i++) {
		const struct pl_rec *r = &l->rec[p->i];

		if (is_note(l, r) || (shape_of(l, r) && !is_inner(p, l, r)))
			return;
	}
}

static int64_t time_of(const struct place *p, const struct pl_log *l)
{
	const struct pl_rec *r = &l->rec[p->i];

	if (p->end && r->state != PL_INVOKED)
		return r->t_return;
	return p->end && p->reaped > r->t_invoke ? p->reaped : r->t_invoke;
}

/* At one instant what begins goes before what ends: they are concurrent. An end that the same actor's next begin
 * shares its instant with goes before other ends, so that the begin does too. */
static int class_of(const struct place *p, const struct pl_log *l)
{
	const struct pl_rec *r = &l->rec[p->i];

	if (!p->end)
		return 0;
	return p->i + 1 < l->n && r[1].state != PL_MORE && r[1].t_invoke == r->t_return ? 1 : 2;
}

static int earliest(const struct export *e)
{
	int best = -1, class = 0;
	int64_t t = 0;

	for (int i = 0; i < e->r->n; i++) {
		const struct pl_log *l = &e->r->logs[i];
		int64_t here;

		if (e->p[i].i >= l->n)
			continue;
		here = time_of(&e->p[i], l);
		if (best < 0 || here < t || (here == t && class_of(&e->p[i], l) < class))
			best = i, t = here, class = class_of(&e->p[i], l);
	}
	return best;
}

static void say_token(struct export *e, uint64_t token)
{
	int64_t n = numbers_get(&e->numbers, token);

	if (n)
		notation_int(&e->to, n);
	else
		notation_nil(&e->to);
}

static void say_piece(struct export *e, uint64_t token, int64_t offset, int64_t len)
{
	notation_list(&e->to);
	say_token(e, token);
	notation_next(&e->to);
	notation_int(&e->to, offset);
	notation_next(&e->to);
	notation_int(&e->to, len);
	notation_end(&e->to);
}

static void say_pieces(struct export *e, const struct pl_log *l, uint64_t i)
{
	const struct pl_rec *r = &l->rec[i];

	notation_list(&e->to);
	if (r->token)
		say_piece(e, r->token, 0, r->ret);
	for (uint64_t k = i + 1; k < l->n && l->rec[k].state == PL_MORE; k++) {
		const struct pl_more *m = (const struct pl_more *)&l->rec[k];
		bool named = m->kind == PL_EXTENT;

		if (k > i + 1)
			notation_next(&e->to);
		say_piece(e, named ? m->token : 0, named ? m->offset : 0, m->len);
	}
	notation_end(&e->to);
}

static void say_places(struct export *e, uint64_t places)
{
	notation_list(&e->to);
	for (int i = 0; i < PL_PLACES; i++, places >>= 16) {
		if (i > 0)
			notation_next(&e->to);
		notation_int(&e->to, (int64_t)(places & 0xffff));
	}
	notation_end(&e->to);
}

static void say_value(struct export *e, const struct pl_log *l, uint64_t i, enum value value)
{
	const struct pl_rec *r = &l->rec[i];

	switch (value) {
	case NOTHING:
		notation_nil(&e->to);
		break;
	case TOKEN:
		say_token(e, r->token);
		break;
	case TAG:
		notation_int(&e->to, (int64_t)r->aux);
		break;
	case TAGGED:
	case PAIR:
		notation_list(&e->to);
		if (value == PAIR)
			say_token(e, r->aux);
		else
			notation_int(&e->to, (int64_t)r->aux);
		notation_next(&e->to);
		say_token(e, r->token);
		notation_end(&e->to);
		break;
	case PIECES:
		say_pieces(e, l, i);
		break;
	case MOVED:
		say_places(e, pl_model_moved(r->sum >> 1));
		break;
	case PLACES:
		say_places(e, r->aux);
		break;
	}
}

static void say_head(struct export *e, int64_t process, const char *type, const char *f)
{
	notation_open(&e->to);
	notation_key(&e->to, "index");
	notation_int(&e->to, e->index++);
	notation_key(&e->to, "process");
	if (process < 0)
		notation_word(&e->to, "nemesis");
	else
		notation_int(&e->to, process);
	notation_key(&e->to, "type");
	notation_word(&e->to, type);
	notation_key(&e->to, "f");
	notation_word(&e->to, f);
	notation_key(&e->to, "value");
}

static void say_tail(struct export *e, int64_t time, const char *error)
{
	notation_key(&e->to, "time");
	notation_int(&e->to, time);
	if (error) {
		notation_key(&e->to, "error");
		notation_text(&e->to, error);
	}
}

/* Perhaps the death of the one who did this freed the lock, from now on. */
static bool may_free(const struct place *p, const struct pl_log *l)
{
	bool held = l->head->model == PL_MODEL_LOCK || l->head->model == PL_MODEL_VECTOR;

	return p->died && p->i == p->last && held && l->head->caps & (PL_ROBUST | PL_FREED) &&
	       p->end == (l->rec[p->i].state != PL_INVOKED);
}

/* What nobody's record says: an operation without duration, of a process of its own. */
static void say_extra(
	struct export *e, const char *f, const char *type, uint64_t token, int64_t time)
{
	for (int end = 0; end < 2; end++) {
		say_head(e, e->processes, end ? type : "invoke", f);
		say_token(e, token);
		say_tail(e, time, NULL);
		notation_close(&e->to);
	}
	e->processes++;
}

static void say_note(struct export *e, const struct pl_log *l, const struct pl_rec *r)
{
	int64_t time = r->t_invoke - l->head->t0;

	say_head(e, -1, "info", words_op(l->head, r));
	notation_int(&e->to, (int64_t)r->token);
	say_tail(e, time, NULL);
	notation_close(&e->to);
}

/* What was taken has a name? */
static bool is_named(const struct pl_log *l, uint64_t i, const struct shape *s)
{
	const struct pl_rec *r = &l->rec[i];

	return s->role != PL_TAKE || (s->value != TOKEN && s->value != TAGGED) || r->token != 0;
}

static const char *type_of(const struct pl_log *l, uint64_t i, const struct shape *s)
{
	const struct pl_rec *r = &l->rec[i];

	if (r->state == PL_INVOKED || (r->state == PL_OK && !is_named(l, i, s)))
		return "info";
	return r->state == PL_OK || (s->role == PL_ACQUIRE && acquired(r)) ? "ok" : "fail";
}

static void say_operation(struct export *e, struct place *p, const struct pl_log *l)
{
	const struct pl_rec *r = &l->rec[p->i];
	const struct shape *s = shape_of(l, r);
	const char *type = p->end ? type_of(l, p->i, s) : "invoke";
	bool half = s->value == PAIR && r->state == PL_INVOKED, info = !strcmp(type, "info");

	say_head(e, p->process, type, half ? "write" : s->f);
	if (s->told || !strcmp(type, "ok"))
		say_value(e, l, p->i, half ? TOKEN : (enum value)s->value);
	else
		notation_nil(&e->to);
	say_tail(e, time_of(p, l) - l->head->t0,
		!p->end			 ? NULL
		: r->state == PL_INVOKED ? "died"
		: info			 ? "unnamed"
		: r->state == PL_FAIL	 ? pl_errno_name(r->err)
					 : NULL);
	notation_key(&e->to, "call");
	notation_text(&e->to, words_op(l->head, r));
	notation_close(&e->to);
	if (info) {
		p->process = e->processes++;
		e->unnamed += s->role == PL_TAKE;
	}
}

static void say_all(struct export *e)
{
	int i = earliest(e);

	if (i >= 0 && e->before)
		say_extra(e, "write", "ok", e->before,
			time_of(&e->p[i], &e->r->logs[i]) - e->r->logs[i].head->t0);
	for (; i >= 0; i = earliest(e)) {
		const struct pl_log *l = &e->r->logs[i];
		struct place *p = &e->p[i];
		bool note = is_note(l, &l->rec[p->i]);

		if (note)
			say_note(e, l, &l->rec[p->i]);
		else
			say_operation(e, p, l);
		if (!note && may_free(p, l))
			say_extra(e, "release", "info", 0, time_of(p, l) - l->head->t0);
		if (!note && !p->end) {
			p->end = true;
			continue;
		}
		p->end = false;
		p->i++;
		skip(p, l);
	}
}

/* Before the first event: where each log begins, how it ends, and whose process is which. */
static void look(struct export *e)
{
	for (int i = 0; i < e->r->n; i++) {
		const struct pl_log *l = &e->r->logs[i];
		struct place *p = &e->p[i];

		p->reaped = INT64_MIN;
		for (skip(p, l); p->i < l->n; p->i++, skip(p, l))
			p->last = p->i;
		p->i = 0, p->depth = 0;
		skip(p, l);
		p->process = l->head->actor;
		if (l->head->actor != PL_CONTROL && e->processes <= p->process)
			e->processes = p->process + 1;
	}
	for (int c = 0; c < e->r->n; c++)
		for (uint64_t k = 0; k < e->r->logs[c].n; k++) {
			const struct pl_rec *r = &e->r->logs[c].rec[k];

			if (!is_note(&e->r->logs[c], r) ||
				(r->op != PL_OP_KILL && r->op != PL_OP_REAP))
				continue;
			for (int i = 0; i < e->r->n; i++)
				if (e->r->logs[i].head->actor == r->token) {
					e->p[i].died = true;
					e->p[i].reaped =
						r->op == PL_OP_REAP ? r->t_return : e->p[i].reaped;
				}
		}
}

/* One value of a register may be older than the round: the first found that nobody stored. */
static int find_before(struct export *e)
{
	struct numbers stored;

	if (numbers_of(e->r, true, &stored) < 0)
		return -ENOMEM;
	for (int i = 0; i < e->r->n && !e->before; i++)
		for (uint64_t k = 0; k < e->r->logs[i].n && !e->before; k++) {
			const struct pl_rec *r = &e->r->logs[i].rec[k];
			const struct shape *s = shape_of(&e->r->logs[i], r);
			uint64_t found = !s || r->state != PL_OK || s->model != PL_MODEL_REGISTER
						 ? 0
					 : s->role == PL_OBSERVE ? r->token
					 : s->role == PL_UPDATE	 ? r->aux
								 : 0;

			if (found && !numbers_get(&stored, found))
				e->before = found;
		}
	numbers_free(&stored);
	return 0;
}

static FILE *open_out(const struct round *r, const struct options *o)
{
	const struct pl_hist_head *h = r->logs[0].head;
	char run[sizeof h->run], path[4096];
	size_t i;

	for (i = 0; i < sizeof run - 1 && h->run[i]; i++)
		run[i] = strchr("./", h->run[i]) || h->run[i] <= ' ' || h->run[i] > '~' ? '_'
											: h->run[i];
	run[i] = 0;
	(void)snprintf(path, sizeof path, "%s/%s-%u-%u.%s", o->out, run, h->inst, h->round,
		o->export == FORMAT_EDN ? "edn" : "jsonl");
	return fopen(path, "we");
}

int export_round(const struct round *r, const struct options *o)
{
	struct export e = { .r = r, .to = { .edn = o->export == FORMAT_EDN } };
	bool good;

	e.to.file = o->out ? open_out(r, o) : stdout;
	if (!e.to.file) {
		(void)fprintf(stderr, "plumb-check: %s: %s\n", o->out, strerror(errno));
		return BROKEN;
	}
	e.p = calloc((size_t)r->n, sizeof *e.p);
	good = e.p && numbers_of(r, false, &e.numbers) == 0 && find_before(&e) == 0;
	if (good) {
		look(&e);
		say_all(&e);
		if (e.unnamed)
			(void)fprintf(stderr,
				"plumb-check: round %u: %" PRIu64
				" takes without a value; a model must let "
				"them take any, or none\n",
				r->logs[0].head->round, e.unnamed);
	} else {
		(void)fputs("plumb-check: out of memory\n", stderr);
	}
	numbers_free(&e.numbers);
	free(e.p);
	if (o->out && fclose(e.to.file) != 0) {
		(void)fprintf(stderr, "plumb-check: %s: %s\n", o->out, strerror(errno));
		good = false;
	}
	return good ? HELD : BROKEN;
}
