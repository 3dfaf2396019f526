/* SPDX-License-Identifier: MIT
 *
 * plumb-check: judges saved histories, or prints them for other checkers.
 *
 * Files of one round are judged together. Exit: 0 all held, 1 one was violated, 2 usage, 3 a file
 * is broken, 5 nothing was violated but something could not be judged.
 */
#include "file.h"

#include "../kit/kit.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELD = 0, VIOLATED = 1, USAGE = 2, BROKEN = 3, INCONCLUSIVE = 5 };

static const char *const models[] = {
	[PL_MODEL_NONE] = "none",
	[PL_MODEL_FIFO] = "fifo",
	[PL_MODEL_PRIORITY] = "priority",
	[PL_MODEL_LOCK] = "lock",
	[PL_MODEL_STREAM] = "stream",
	[PL_MODEL_COUNTER] = "counter",
	[PL_MODEL_SUM] = "sum",
	[PL_MODEL_REGISTER] = "register",
	[PL_MODEL_DATAGRAM] = "datagram",
	[PL_MODEL_SIGNAL] = "signal",
};
enum { MODELS = sizeof models / sizeof *models };

struct options {
	int model; /* -1: what the files say */
	bool export, stats, join;
	int64_t clock_error;
};

static const char usage[] =
	"usage: plumb-check [--model M] [--clock-error NS] [--join] [--stats] [--export jsonl] "
	"FILE...\n"
	"\n"
	"Judges saved histories; the files of one round belong together, control's among them.\n"
	"  --model M         fifo, lock, register, ...: judge by this, whatever the files say\n"
	"  --clock-error NS  stamps of different actors may be wrong by so much (default 0)\n"
	"  --join            all files are of one round, whose halves were kept on different\n"
	"                    machines: judge without comparing their clocks\n"
	"  --stats           also say what stands behind each verdict\n"
	"  --export jsonl    print operations instead: {index, process, type, f, value, time, "
	"error}\n"
	"Exit: 0 held, 1 violated, 2 usage, 3 broken input, 5 inconclusive.\n";

/* Names come from files: only what is printable reaches the terminal. */
static const char *clean(const char *s, size_t n)
{
	static char out[8][48];
	static unsigned turn;
	char *o = out[turn++ % 8];
	size_t i;

	for (i = 0; i < n && i < sizeof out[0] - 1 && s[i]; i++)
		o[i] = s[i] >= ' ' && s[i] <= '~' && s[i] != '"' && s[i] != '\\' ? s[i] : '?';
	o[i] = 0;
	return o;
}

#define CLEAN(field) clean(field, sizeof(field))

static const char *op_name(const struct pl_hist_head *h, const struct pl_rec *r)
{
	static const char *const control[] = { "fork", "kill", "reap", "open", "close", "release",
		"level", "asleep", "kick", "drain", "stop", "cont" };

	if (r->op >= PL_OP_FORK && r->op < PL_OP_FORK + sizeof control / sizeof *control)
		return control[r->op - PL_OP_FORK];
	return r->op < h->nops ? CLEAN(h->op[r->op].name) : "?";
}

/* ---- verdicts ---- */

static void print_record(const struct pl_log *l, const struct pl_rec *r)
{
	static const char *const state[] = { "?", "never returned", "ok", "failed", "note",
		"more" };
	int64_t t0 = l->head->t0;

	printf("  actor %u record %u: %s", r->actor, r->seq, op_name(l->head, r));
	if (r->token)
		printf(" 0x%" PRIx64, r->token);
	printf(", tag %" PRIu64 ", len %u: %s", r->aux, r->len,
		r->state < 6 ? state[r->state] : "?");
	if (r->state == PL_OK)
		printf(" %" PRId64, r->ret);
	else if (r->state == PL_FAIL)
		printf(" %s", pl_errno_name(r->err));
	printf(", from %.6f ms", (double)(r->t_invoke - t0) / 1e6);
	if (r->state != PL_INVOKED)
		printf(" to %.6f ms", (double)(r->t_return - t0) / 1e6);
	printf("\n");
}

static void print_witness(const struct pl_log *logs, int n, const struct pl_witness *w)
{
	for (int i = 0; i < n; i++)
		for (uint64_t k = 0; logs[i].head->actor == w->actor && k < logs[i].n; k++)
			if (logs[i].rec[k].seq == w->seq) {
				print_record(&logs[i], &logs[i].rec[k]);
				return;
			}
}

static int64_t percentile(const struct pl_verdict *v, int per_mille)
{
	uint64_t sum = 0, want;

	for (int i = 0; i < 80; i++)
		sum += v->lat[i];
	want = sum * (uint64_t)per_mille / 1000;
	sum = 0;
	for (int i = 0; i < 80; i++) {
		sum += v->lat[i];
		if (sum > want)
			return pl_lat_edge(i);
	}
	return 0;
}

static void print_stats(const struct pl_verdict *v)
{
	printf("  operations %" PRIu64 " (failed %" PRIu64 ", without result %" PRIu64
	       "), bytes taken %" PRIu64 "\n  begun after another actor's had ended %" PRIu64
	       ", under 20 us %" PRIu64 ", of those overlapping %" PRIu64
	       "\n  latency ns p50 %" PRId64 " p99 %" PRId64 " p99.9 %" PRId64 "\n",
		v->ops, v->failed, v->pending, v->bytes, v->ordered, v->short_ops, v->overlapped,
		percentile(v, 500), percentile(v, 990), percentile(v, 999));
}

static int judge(struct pl_log *logs, int n, const struct options *o)
{
	static const int code[] = {
		[PL_HELD] = HELD, [PL_VIOLATED] = VIOLATED, [PL_UNKNOWN] = INCONCLUSIVE
	};
	const struct pl_hist_head *h = logs[0].head;
	struct pl_verdict v;

	pl_check(logs, n, o->clock_error, &v);
	printf("%s: %s %s, run %s, instance %u, round %u (%s, %d files, %" PRIu64 " operations)\n",
		pl_outcome_name(v.outcome), CLEAN(h->driver), CLEAN(h->variant), CLEAN(h->run),
		h->inst, h->round, h->model < MODELS ? models[h->model] : "?", n, v.ops);
	if (v.outcome != PL_HELD)
		printf("  %s: %s\n", v.rule, v.text);
	if (v.outcome != PL_HELD && v.slack_ns >= 0)
		printf("  the stamps would have to be wrong by %" PRId64
		       " ns for this to be right\n",
			v.slack_ns);
	for (int i = 0; i < v.nwit; i++)
		print_witness(logs, n, &v.wit[i]);
	if (o->stats)
		print_stats(&v);
	return code[v.outcome];
}

/* ---- export ---- */

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
	printf(",\"type\":\"%s\",\"f\":\"%s\",\"value\":", type, op_name(l->head, r));
	print_value(l, p->i, p->end);
	printf(",\"time\":%" PRId64, time_of(l, p) - l->head->t0);
	if (p->end && r->state == PL_FAIL)
		printf(",\"error\":\"%s\"", pl_errno_name(r->err));
	printf("}\n");
	if (!p->end && r->state == PL_INVOKED)
		printf("{\"index\":%" PRIu64
		       ",\"process\":%u,\"type\":\"info\",\"f\":\"%s\",\"value\":null,"
		       "\"time\":%" PRId64 ",\"error\":\"killed\"}\n",
			(*index)++, l->head->actor, op_name(l->head, r),
			time_of(l, p) - l->head->t0);
}

/* In order of time; at one instant, what begins before what ends. */
static int export(const struct pl_log *logs, int n)
{
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

/* ---- files ---- */

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

static int worse(int a, int b)
{
	static const int order[] = { HELD, INCONCLUSIVE, BROKEN, VIOLATED };
	int result = HELD;

	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		if (a == order[i] || b == order[i])
			result = order[i];
	return result;
}

/* In place of the halves, what they are together. Their number, or below 0 after a message. */
static int join(struct pl_log **logs, int n)
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

static int run(char **files, int nfiles, const struct options *o)
{
	struct pl_log *logs = calloc((size_t)nfiles, sizeof *logs);
	struct pl_hist_head *heads = calloc((size_t)nfiles, sizeof *heads);
	int n = 0, code = HELD;
	char why[160];

	for (int i = 0; logs && heads && i < nfiles; i++) {
		if (pl_file_map(files[i], &logs[n], why, sizeof why) < 0) {
			(void)fprintf(stderr, "plumb-check: %s: %s\n", files[i], why);
			code = BROKEN;
			continue;
		}
		if (o->model >= 0)
			override(&logs[n], &heads[n], o->model);
		n++;
	}
	if (logs)
		qsort(logs, (size_t)n, sizeof *logs, by_round);
	if (o->join && n > 0 && code == HELD) {
		n = join(&logs, n);
		code = n < 0 ? INCONCLUSIVE : code;
	}
	for (int i = 0, end; i < n; i = end) {
		for (end = i; end < n && (o->join || same_round(&logs[i], &logs[end]));)
			end++;
		code = worse(
			code, o->export ? export(logs + i, end - i) : judge(logs + i, end - i, o));
	}
	free(logs);
	free(heads);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		(void)fprintf(stderr, "plumb-check: standard output: %s\n", strerror(errno));
		return BROKEN;
	}
	return code;
}

static int wrong(const char *what, const char *arg)
{
	(void)fprintf(stderr, "plumb-check: %s '%s'; see plumb-check --help\n", what, arg);
	return USAGE;
}

static int set_model(struct options *o, const char *arg)
{
	for (int i = 0; i < MODELS; i++)
		if (!strcmp(arg, models[i])) {
			o->model = i;
			return 0;
		}
	return wrong("no such model", arg);
}

static int set_error(struct options *o, const char *arg)
{
	char *end;

	errno = 0;
	o->clock_error = strtoll(arg, &end, 10);
	return errno || end == arg || *end || o->clock_error < 0
		       ? wrong("not a number of nanoseconds", arg)
		       : 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "model", required_argument, NULL, 'm' },
		{ "clock-error", required_argument, NULL, 'c' },
		{ "stats", no_argument, NULL, 's' },
		{ "join", no_argument, NULL, 'j' },
		{ "export", required_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	struct options o = { .model = -1 };
	int c, bad = 0;

	while (!bad && (c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'm':
			bad = set_model(&o, optarg);
			break;
		case 'c':
			bad = set_error(&o, optarg);
			break;
		case 's':
			o.stats = true;
			break;
		case 'j':
			o.join = true;
			break;
		case 'e':
			o.export = true;
			bad = strcmp(optarg, "jsonl") ? wrong("no such format", optarg) : 0;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		case 'v':
			(void)puts("plumb-check " PL_BUILD);
			return 0;
		default:
			return USAGE;
		}
	if (bad)
		return bad;
	if (optind == argc) {
		(void)fputs(usage, stderr);
		return USAGE;
	}
	return run(argv + optind, argc - optind, &o);
}
