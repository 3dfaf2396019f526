/* SPDX-License-Identifier: MIT
 *
 * plumb-check: judges saved histories, or prints them for other checkers.
 *
 * Files of one round are judged together. Exit: 0 all held, 1 one was violated, 2 usage, 3 a file
 * is broken, 5 nothing was violated but something could not be judged.
 */
#include "tool.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: plumb-check [OPTION]... FILE|FOLDER...\n"
	"\n"
	"Judges saved histories. Files of one run, instance and round belong together, control's "
	"among\n"
	"them; of a folder, all its *.hist files and those below it.\n"
	"  --model M           fifo, lock, register, ...: judge by this, whatever the files say\n"
	"  --exact             judge by a search for an order of all operations, not by rules\n"
	"  --clock-error NS    stamps of different actors may be wrong by so much (default 0)\n"
	"  --join              all files are of one round, whose halves were kept on different\n"
	"                      machines: judge without comparing their clocks\n"
	"  --stats             also say what stands behind each verdict\n"
	"  --json              one JSON object a round: verdict, rule, text, witness, stats\n"
	"  --brief             of a violated round no drawing of the operations that show it\n"
	"  --minimal FOLDER    write the fewest operations that show it there, to be judged alone\n"
	"  --export jsonl|edn  print operations instead, in Jepsen's shape\n"
	"  --out FOLDER        export each round into a file of its own there\n"
	"Exit: 0 held, 1 violated, 2 usage, 3 broken input, 5 inconclusive.\n";

/* Of a violated round, if it is wanted: the story; and what is enough of it, into files. */
static int tell(const struct round *r, const struct options *o, const struct pl_verdict *v,
	struct pl_story **ret_story)
{
	struct pl_part_of part = { 0 };
	int rc = 0;

	if (v->outcome != PL_VIOLATED || (o->brief && !o->minimal))
		return 0;
	*ret_story = malloc(sizeof **ret_story);
	if (!*ret_story)
		return -1;
	pl_story_tell(r->logs, r->n, o->clock_error, v, *ret_story, &part);
	if (o->minimal && part.logs)
		rc = story_write(o->minimal, &part);
	else if (o->minimal)
		(void)fprintf(stderr, "plumb-check: no smaller part of round %u was found\n",
			r->logs[0].head->round);
	pl_part_free(&part);
	if (o->brief) {
		free(*ret_story);
		*ret_story = NULL;
	}
	return rc;
}

static int judge(const struct round *r, const struct options *o)
{
	static const int code[] = {
		[PL_HELD] = HELD, [PL_VIOLATED] = VIOLATED, [PL_UNKNOWN] = INCONCLUSIVE
	};
	struct pl_story *story = NULL;
	struct pl_verdict v;
	struct stats s;
	int rc;

	(o->exact ? pl_check_exact : pl_check)(r->logs, r->n, o->clock_error, &v);
	if ((o->stats || o->json) && stats_of(r, &s) < 0) {
		(void)fputs("plumb-check: out of memory\n", stderr);
		return BROKEN;
	}
	rc = tell(r, o, &v, &story);
	if (!o->json)
		print_verdict(r, &v, o->stats ? &s : NULL, story);
	else if (!json_verdict(r, &v, &s, story))
		rc = -1;
	free(story);
	return rc < 0 ? BROKEN : code[v.outcome];
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

/* Of many rounds: how many of which kind. */
static void sum_up(const int count[], int rounds)
{
	printf("%d rounds: %d held, %d violated, %d unknown, %d broken\n", rounds, count[HELD],
		count[VIOLATED], count[INCONCLUSIVE], count[BROKEN]);
}

static int all_rounds(struct rounds *all, const struct options *o)
{
	int code = HELD, rounds = 0, more, count[INCONCLUSIVE + 1] = { 0 };
	struct round r;

	for (; (more = rounds_next(all, &r)) != 0; rounds++) {
		int one = more < 0 ? -more : o->export ? export_round(&r, o) : judge(&r, o);

		count[one]++;
		code = worse(code, one);
	}
	if (rounds > 1 && !o->json && !o->export)
		sum_up(count, rounds);
	return code;
}

static int run(char **paths, int n, const struct options *o)
{
	struct files f = { 0 };
	struct rounds *all;
	int code = BROKEN;

	for (int i = 0; i < n; i++)
		files_add(&f, paths[i]);
	files_sort(&f);
	if (o->export && !o->out && !o->join && !files_of_one_round(&f)) {
		(void)fputs(
			"plumb-check: an export holds one round, and these are more; see --out\n",
			stderr);
		files_free(&f);
		return USAGE;
	}
	all = f.nomem ? NULL : rounds_new(&f, o);
	if (all)
		code = worse(all_rounds(all, o), f.strange ? BROKEN : HELD);
	else
		(void)fputs("plumb-check: out of memory\n", stderr);
	rounds_free(all);
	files_free(&f);
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
	for (int i = 0; i < PL_MODELS; i++)
		if (!strcmp(arg, words_model((uint32_t)i))) {
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

static int set_export(struct options *o, const char *arg)
{
	o->export = !strcmp(arg, "jsonl") ? FORMAT_JSONL
		    : !strcmp(arg, "edn") ? FORMAT_EDN
					  : FORMAT_NONE;
	return o->export ? 0 : wrong("no such format", arg);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "model", required_argument, NULL, 'm' },
		{ "exact", no_argument, NULL, 'x' },
		{ "clock-error", required_argument, NULL, 'c' },
		{ "stats", no_argument, NULL, 's' },
		{ "join", no_argument, NULL, 'j' },
		{ "json", no_argument, NULL, 'J' },
		{ "export", required_argument, NULL, 'e' },
		{ "brief", no_argument, NULL, 'b' },
		{ "minimal", required_argument, NULL, 'M' },
		{ "out", required_argument, NULL, 'o' },
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
		case 'x':
			o.exact = true;
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
		case 'J':
			o.json = true;
			break;
		case 'e':
			bad = set_export(&o, optarg);
			break;
		case 'b':
			o.brief = true;
			break;
		case 'M':
			o.minimal = optarg;
			break;
		case 'o':
			o.out = optarg;
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
