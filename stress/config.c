/* SPDX-License-Identifier: MIT
 *
 * The command line: a table of options, and the mix.
 */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static int bad(const char *fmt, const char *a, const char *b)
{
	(void)fputs("plumb-stress: ", stderr);
	(void)fprintf(stderr, fmt, a, b);
	(void)fputc('\n', stderr);
	return -1;
}

static int parse_int(const char *opt, const char *s, int64_t min, int64_t max, int64_t *ret)
{
	char *end, range[64];
	long long v;

	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno == 0 && end != s && !*end && v >= min && v <= max) {
		*ret = v;
		return 0;
	}
	(void)snprintf(range, sizeof range, "%lld to %lld", (long long)min, (long long)max);
	(void)fprintf(
		stderr, "plumb-stress: %s wants an integer from %s, not '%s'\n", opt, range, s);
	return -1;
}

static int parse_span(const char *opt, const char *s, int64_t *ret)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = { { "ms", 1e6 }, { "s", 1e9 }, { "m", 6e10 }, { "min", 6e10 },
		{ "h", 3.6e12 } };
	char *end;
	double v = strtod(s, &end);

	for (size_t i = 0; end != s && v > 0 && i < sizeof units / sizeof *units; i++) {
		if (strcmp(end, units[i].unit) == 0 && v * units[i].ns < 1e18) {
			*ret = (int64_t)(v * units[i].ns);
			return *ret >= MS ? 0 : bad("%s: '%s' is under 1 ms", opt, s);
		}
	}
	return bad(
		"%s wants a duration with its unit, as in 50ms, 10s, 5m or 2h, not '%s'", opt, s);
}

static int set_for(struct config *c, const char *s)
{
	return parse_span("--for", s, &c->for_ns);
}

static int set_slice(struct config *c, const char *s)
{
	return parse_span("--slice", s, &c->slice_ns);
}

static int set_patience(struct config *c, const char *s)
{
	return parse_span("--patience", s, &c->patience_ns);
}

static int set_seed(struct config *c, const char *s)
{
	char *end;

	errno = 0;
	c->seed = strtoull(s, &end, 0);
	return errno || end == s || *end || *s == '-'
		       ? bad("%s wants a 64-bit number, not '%s'", "--seed", s)
		       : 0;
}

static int set_lanes(struct config *c, const char *s)
{
	int64_t v = 0;

	if (strcmp(s, "free") != 0 && parse_int("--lanes (or 'free')", s, 1, DRIVERS_MAX, &v) < 0)
		return -1;
	c->lanes = (int)v;
	return 0;
}

static int set_place(struct config *c, const char *s)
{
	c->place = s;
	if (strcmp(s, "same") == 0 || strcmp(s, "spread") == 0 || strcmp(s, "free") == 0)
		return 0;
	return bad("%s wants same, spread or free, not '%s'", "--place", s);
}

/* kill:5/s */
static int set_fault(struct config *c, const char *s)
{
	struct fault *f = &c->fault[c->nfault];
	size_t n = strcspn(s, ":");
	char *end = NULL;

	if (c->nfault == FAULTS_MAX)
		return bad("%s: too many ('%s')", "--fault", s);
	if (s[n])
		f->per_s = strtod(s + n + 1, &end);
	if (n == 4 && memcmp(s, "kill", 4) == 0)
		f->what = FAULT_KILL;
	else if (n == 4 && memcmp(s, "stop", 4) == 0)
		f->what = FAULT_STOP;
	else
		return bad("%s knows kill and stop, as in kill:5/s, not '%s'", "--fault", s);
	if (!end || strcmp(end, "/s") != 0 || !(f->per_s > 0 && f->per_s <= 1000))
		return bad("%s wants a rate up to 1000/s, as in kill:5/s, not '%s'", "--fault", s);
	c->nfault++;
	return 0;
}

static int set_number(const char *opt, const char *s, int64_t min, int64_t max, int *ret)
{
	int64_t v;

	if (parse_int(opt, s, min, max, &v) < 0)
		return -1;
	*ret = (int)v;
	return 0;
}

static int set_checkers(struct config *c, const char *s)
{
	return set_number("--checkers", s, 1, CHECKERS_MAX, &c->checkers);
}

static int set_actors(struct config *c, const char *s)
{
	return set_number("--actors", s, 1, 64, &c->actors);
}

static int set_ops(struct config *c, const char *s)
{
	return set_number("--ops", s, 1, 1000000, &c->ops);
}

static int set_tick(struct config *c, const char *s)
{
	return set_number("--tick (in ms)", s, 20, 60000, &c->tick_ms);
}

static int set_events_max(struct config *c, const char *s)
{
	int64_t kib;

	if (parse_int("--events-max (in KiB)", s, 16, 1 << 20, &kib) < 0)
		return -1;
	c->events_max = kib * 1024;
	return 0;
}

static int set_only(struct config *c, const char *s)
{
	return set_number("--only", s, 0, DRIVERS_MAX, &c->only);
}

static int set_drivers(struct config *c, const char *s)
{
	c->drivers = s;
	return 0;
}

static int set_job(struct config *c, const char *s)
{
	size_t n = strlen(s);

	c->job = s;
	if (strchr(s, '/') || (n > 5 && strcmp(s + n - 5, ".toml") == 0))
		return bad("%s: job files are for `plumbline`; here it is the name of a job "
			   "that is built in, not '%s'",
			"--job", s);
	return *s ? 0 : bad("%s wants a name%s", "--job", s);
}

static int set_out(struct config *c, const char *s)
{
	c->out = s;
	return *s ? 0 : bad("%s wants a folder%s", "--out", s);
}

static int set_target(struct config *c, const char *s)
{
	c->ntarget = words_split(strdup(s), c->target, TARGET_MAX);
	if (c->ntarget < 0)
		return bad(c->ntarget == -E2BIG ? "%s: too many words in '%s'"
						: "%s: a quote is not closed in '%s'",
			"--target", s);
	return c->ntarget ? 0 : bad("%s wants a command's prefix, not '%s'", "--target", s);
}

static int set_json(struct config *c, const char *s)
{
	c->json = true;
	return 0;
}

static int set_dry(struct config *c, const char *s)
{
	c->dry_run = true;
	return 0;
}

static int set_fit(struct config *c, const char *s)
{
	c->fit = true;
	return 0;
}

static int set_list(struct config *c, const char *s)
{
	c->list = true;
	return 0;
}

static int set_help(struct config *c, const char *s)
{
	c->help = true;
	return 0;
}

static const struct {
	const char *name, *arg, *help;
	int (*set)(struct config *c, const char *s);
} options[] = {
	{ "--for", "10s", "how long drivers run", set_for },
	{ "--seed", "S", "all random choices follow from it; default: drawn", set_seed },
	{ "--drivers", "DIR", "where the drivers are", set_drivers },
	{ "--lanes", "N|free", "drivers in a run at once; default: half the CPUs", set_lanes },
	{ "--checkers", "N", "with --lanes free: rounds judged at once; default: the CPUs",
		set_checkers },
	{ "--slice", "50ms", "a driver's turn; default: up to 50 ms, so that each gets two",
		set_slice },
	{ "--place", "free", "actors on CPUs: same, spread or free", set_place },
	{ "--fault", "kill:5/s", "kill or stop actors at a rate; repeatable", set_fault },
	{ "--actors", "4", "actors of each driver", set_actors },
	{ "--ops", "N", "operations an actor and round", set_ops },
	{ "--out", "DIR", "the run's folder; default plumbline-results/<run>", set_out },
	{ "--target", "PREFIX", "run drivers as PREFIX plumb-<name>", set_target },
	{ "--tick", "1000", "ms between a driver's ticks", set_tick },
	{ "--patience", "5s", "what a run may last beyond its slice before it is examined",
		set_patience },
	{ "--job", "NAME", "deadlock-gallery: deadlocks made, named and ended; :SCENE plays one",
		set_job },
	{ "--only", "N", "of the whole mix run instance N alone, with its own seed", set_only },
	{ "--events-max", "16384", "KiB of events.jsonl, beyond which old ticks go",
		set_events_max },
	{ "--fit", NULL, "run less where a limit does not allow all; say what is skipped",
		set_fit },
	{ "--dry-run", NULL, "show the plan and the budget of limits", set_dry },
	{ "--json", NULL, "events as JSON Lines on stdout", set_json },
	{ "--list", NULL, "drivers and variants, and what is not supported here", set_list },
	{ "--help", NULL, "this text", set_help },
};

void config_usage(void)
{
	(void)puts("usage: plumb-stress MECH[/VARIANT]=N... [OPTIONS]\n"
		   "       plumb-stress --job NAME [OPTIONS]\n"
		   "Runs hundreds of drivers and judges every round. Exit: 0 held, 1 violated, 2 "
		   "usage, 3 broken,\n"
		   "4 nothing ran, 5 inconclusive, 130 interrupted.\n");
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		char left[40];

		(void)snprintf(left, sizeof left, "%s%s%s", options[i].name,
			options[i].arg ? " " : "", options[i].arg ? options[i].arg : "");
		(void)printf("  %-20s %s\n", left, options[i].help);
	}
}

static bool word(const char *s, size_t n)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return n > 0 && n < NAME_MAX_ && *s != '-' && strspn(s, letters) >= n;
}

static int parse_mix(struct config *c, const char *s)
{
	struct mix *m = &c->mix[c->nmix];
	size_t eq = strcspn(s, "="), slash = strcspn(s, "/");
	size_t mech = slash < eq ? slash : eq;
	int64_t n;

	if (c->nmix == MIX_MAX)
		return bad("more kinds of drivers than one run takes%s, at '%s'", "", s);
	if (*s == '-')
		return bad("unknown option '%s'%s; --help lists them", s, "");
	if (!s[eq] || !word(s, mech) || (mech < eq && !word(s + mech + 1, eq - mech - 1)))
		return bad("'%s' is not MECH[/VARIANT]=N%s, as in mutex/robust=20", s, "");
	if (parse_int("MECH=N", s + eq + 1, 1, DRIVERS_MAX, &n) < 0)
		return -1;
	(void)snprintf(m->mech, sizeof m->mech, "%.*s", (int)mech, s);
	if (mech < eq)
		(void)snprintf(
			m->variant, sizeof m->variant, "%.*s", (int)(eq - mech - 1), s + mech + 1);
	for (unsigned i = 0; i < c->nmix; i++)
		if (strcmp(m->mech, c->mix[i].mech) == 0 &&
			strcmp(m->variant, c->mix[i].variant) == 0)
			return bad("'%s' is named twice%s", s, "");
	m->n = (unsigned)n;
	c->nmix++;
	return 0;
}

static int parse_option(struct config *c, char **argv, int argc, int *i)
{
	size_t n = strcspn(argv[*i], "=");
	const char *value = argv[*i][n] ? argv[*i] + n + 1 : NULL;

	for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
		if (strlen(options[k].name) != n || memcmp(argv[*i], options[k].name, n) != 0)
			continue;
		if (!options[k].arg)
			return value ? bad("%s takes no value ('%s')", options[k].name, value)
				     : options[k].set(c, NULL);
		if (!value && ++*i >= argc)
			return bad("%s wants a value, as in %s", options[k].name, options[k].arg);
		return options[k].set(c, value ? value : argv[*i]);
	}
	return strcmp(argv[*i], "-h") == 0 ? set_help(c, NULL) : 1;
}

static int check_total(const struct config *c)
{
	unsigned long total = 0;

	for (unsigned i = 0; i < c->nmix; i++)
		total += c->mix[i].n;
	if (total > DRIVERS_MAX)
		return bad("more than 20000 drivers%s%s", "", "");
	if (c->only >= (int)total)
		return bad("%s: there is no such instance in this mix%s", "--only", "");
	return 0;
}

int config_parse(struct config *c, int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*c = (struct config){ .for_ns = 10 * SEC,
		.patience_ns = 5 * SEC,
		.lanes = cpus > 3 ? (int)(cpus / 2) : 1,
		.checkers = cpus < 1		  ? 1
			    : cpus < CHECKERS_MAX ? (int)cpus
						  : CHECKERS_MAX,
		.actors = 4,
		.tick_ms = 1000,
		.events_max = 16 << 20,
		.only = -1,
		.place = "free" };
	if (getrandom(&c->seed, sizeof c->seed, 0) != (ssize_t)sizeof c->seed)
		c->seed = (uint64_t)now_ns();
	for (int i = 1; i < argc; i++) {
		int r = parse_option(c, argv, argc, &i);

		if (r < 0 || (r > 0 && parse_mix(c, argv[i]) < 0))
			return -1;
	}
	if (c->help || c->list)
		return 0;
	if (c->job)
		return c->nmix || c->only >= 0 || c->nfault
			       ? bad("%s goes with no mix, no %s", "--job", "--only and no --fault")
			       : gallery_mix(c);
	if (!c->nmix)
		return bad(
			"no mix given%s%s, as in pipe=10 mq=5; --list shows what there is", "", "");
	return check_total(c);
}

/* The folder given, or the first of these beside the program that is there. */
int config_drivers(struct config *c)
{
	static const char *const beside[] = { "drivers", "../drivers", "static",
		"../libexec/plumbline" };
	char self[PATH_MAX], path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (c->drivers && c->ntarget && access(c->drivers, X_OK) < 0)
		return 0; /* it may be there where the target's prefix leads */
	if (c->drivers) {
		if (access(c->drivers, X_OK) < 0)
			return bad("no drivers at '%s': %s", c->drivers, strerror(errno));
		c->drivers = realpath(c->drivers, NULL);
		return c->drivers ? 0 : -1;
	}
	if (n <= 0)
		return bad("cannot tell where this program is%s%s; give --drivers DIR", "", "");
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", self, beside[i]);
		if (access(path, X_OK) == 0) {
			c->drivers = realpath(path, NULL);
			return c->drivers ? 0 : -1;
		}
	}
	return bad("no drivers beside '%s'%s; give --drivers DIR", self, "");
}

const char *mix_name(const struct mix *m, char buf[2 * NAME_MAX_])
{
	if (m->label)
		(void)snprintf(buf, 2 * NAME_MAX_, "%s", m->label);
	else
		(void)snprintf(
			buf, 2 * NAME_MAX_, "%s%s%s", m->mech, *m->variant ? "/" : "", m->variant);
	return buf;
}
