/* SPDX-License-Identifier: MIT
 *
 * plumb-agent: carries many drivers over one stdin and stdout. Options, and how it begins.
 */
#include "agent.h"
#include "kit/raw.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(FILE *to, int code)
{
	(void)fprintf(to,
		"plumb-agent: carries many of Plumbline's drivers over one stdin and stdout.\n\n"
		"plumbline --target starts it where the drivers are to run. By hand:\n"
		"  plumb-agent [--drivers DIR]   serve; DIR: where plumb-<name> are (default: "
		"here)\n"
		"  plumb-agent --unpack DIR      take a tar of drivers from stdin into DIR first, "
		"and\n"
		"                                remove DIR at the end\n"
		"  plumb-agent --hello           what it can start, as JSON\n");
	return code;
}

static int fail(const char *what, int err)
{
	(void)fprintf(
		stderr, "plumb-agent: %s%s%s\n", what, err ? ": " : "", err ? strerror(err) : "");
	return 3;
}

/* A container that was killed leaves its files: those of dead agents go now. */
static void tidy_up(const char *dir)
{
	char parent[sizeof agent.dir];
	char *slash;

	(void)snprintf(parent, sizeof parent, "%s", dir);
	slash = strrchr(parent, '/');
	if (slash && slash > parent) {
		*slash = 0;
		folder_sweep(parent, "plumb.agent.");
	}
}

static int unpack(const char *dir)
{
	const char *why;
	int r;

	(void)snprintf(agent.dir, sizeof agent.dir, "%s", dir);
	agent.temporary = true;
	folder_hold(dir);
	tidy_up(dir);
	say_event("unpack", 0, NULL); /* not before this is read does the tar come */
	say_flush();
	r = folder_unpack(agent.in, agent.dir, &why);
	if (r == 0)
		return 0;
	(void)fprintf(stderr, "plumb-agent: the bundle: %s: %s\n", why, strerror(-r));
	folder_remove(agent.dir);
	return 3;
}

static int serve(const char *dir, bool from_stdin)
{
	loop_prepare();
	if (loop_streams() < 0)
		return fail("stdin and stdout must be open", 0);
	if (from_stdin && unpack(dir) != 0)
		return 3;
	if (!from_stdin && dir)
		(void)snprintf(agent.dir, sizeof agent.dir, "%s", dir);
	say_event("hello", 0, hello());
	say_flush();
	return loop();
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "drivers", required_argument, NULL, 'd' },
		{ "unpack", required_argument, NULL, 'u' }, { "hello", no_argument, NULL, 'H' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'v' }, { 0 } };
	const char *dir = NULL, *tar = NULL;
	char *whole;
	bool only_hello = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'h')
			return usage(stdout, 0);
		if (o == 'v')
			return printf("plumb-agent %s\n", PL_BUILD) < 0;
		only_hello |= o == 'H';
		dir = o == 'd' ? optarg : dir;
		tar = o == 'u' ? optarg : tar;
		if (o == '?')
			return usage(stderr, EXIT_USAGE_);
	}
	if (optind < argc || (!only_hello && isatty(0)))
		return usage(stderr, EXIT_USAGE_);
	if (!dir && !tar && folder_find(agent.dir, sizeof agent.dir) < 0)
		return fail("cannot tell where it lies: say --drivers DIR", 0);
	whole = tar || dir ? realpath(tar ? tar : dir, NULL) : NULL;
	if ((tar || dir) && (!whole || strlen(whole) >= sizeof agent.dir))
		return fail(tar ? tar : dir, errno);
	if (!only_hello)
		return serve(whole, tar != NULL);
	if (whole)
		(void)snprintf(agent.dir, sizeof agent.dir, "%s", whole);
	agent.out = 1;
	say_event("hello", 0, hello());
	say_flush();
	free(whole);
	return agent.deaf;
}
