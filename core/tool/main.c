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

static int judge(const struct round *r, const struct options *o)
{
	static const int code[] = {
		[PL_HELD] = HELD, [PL_VIOLATED] = VIOLATED, [PL_UNKNOWN] = INCONCLUSIVE
	};
	struct pl_verdict v;

	pl_check(r->logs, r->n, o->clock_error, &v);
	print_verdict(r, &v, o);
	return code[v.outcome];
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

static int run(char **files, int nfiles, const struct options *o)
{
	struct rounds all;
	struct round r;
	int code = rounds_open(&all, files, nfiles, o);

	while (rounds_next(&all, &r))
		code = worse(code, o->export ? export_round(&r) : judge(&r, o));
	rounds_close(&all);
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
