/* SPDX-License-Identifier: MIT
 *
 * Claim: plumb-check answers by its exit code (0 held, 1 violated, 2 usage, 3 broken input, 5 inconclusive), names file
 * and offset of what is broken in one line, and prints a round as JSON Lines.
 */
#include "check_build.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH = 128, ARGS = 12 };

static char dir[PATH], out[1 << 14];

static void begin(void)
{
	(void)snprintf(dir, sizeof dir, "%s/check-tool-XXXXXX",
		getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	cr_assert_not_null(mkdtemp(dir));
}

static void end(void)
{
	char path[PATH + 64];

	for (int i = 0; i < 8; i++) {
		(void)snprintf(path, sizeof path, "%s/%d.hist", dir, i);
		(void)unlink(path);
	}
	for (int i = 0; i < 3; i++) {
		static const char *const name[] = { "actor-0", "actor-1", "control" };

		(void)snprintf(
			path, sizeof path, "%s/minimal/inst-0.round-0.%s.hist", dir, name[i]);
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof path, "%s/minimal", dir);
	(void)rmdir(path);
	(void)rmdir(dir);
}

TestSuite(check_tool, .init = begin, .fini = end);

static const char *file(int i)
{
	static char path[8][PATH + 32];

	(void)snprintf(path[i], sizeof path[i], "%s/%d.hist", dir, i);
	return path[i];
}

/* One file a log, `cut` bytes short. */
static void save(struct round *b, size_t cut)
{
	for (int i = 0; i <= b->nactors; i++) {
		static char page[PL_HIST_HEAD + sizeof b->rec[0]];
		int fd = open(file(i), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		size_t len = PL_HIST_HEAD + b->n[i] * PL_REC - cut;

		b->head[i].head = b->n[i];
		memset(page, 0, sizeof page);
		memcpy(page, &b->head[i], sizeof b->head[i]);
		memcpy(page + PL_HIST_HEAD, b->rec[i], b->n[i] * PL_REC);
		cr_assert_geq(fd, 0);
		cr_assert_eq(write(fd, page, len), (ssize_t)len);
		(void)close(fd);
	}
}

/* Runs plumb-check on words; both its streams end up in `out`. */
static int run(const char *const *words)
{
	const char *argv[ARGS] = { getenv("PLUMB_CHECK") };
	posix_spawn_file_actions_t fa;
	int p[2], status, n = 0;
	ssize_t got;
	pid_t pid;

	cr_assert_not_null(argv[0], "PLUMB_CHECK says which binary");
	for (int i = 0; words[i]; i++)
		argv[i + 1] = words[i];
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	cr_assert_eq(posix_spawn_file_actions_init(&fa), 0);
	(void)posix_spawn_file_actions_adddup2(&fa, p[1], 1);
	(void)posix_spawn_file_actions_adddup2(&fa, p[1], 2);
	cr_assert_eq(posix_spawn(&pid, argv[0], &fa, NULL, (char *const *)argv, environ), 0);
	(void)posix_spawn_file_actions_destroy(&fa);
	(void)close(p[1]);
	while (n < (int)sizeof out - 1 &&
		(got = read(p[0], out + n, sizeof out - 1 - (size_t)n)) > 0)
		n += (int)got;
	out[n] = 0;
	(void)close(p[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

static struct round *round_of(bool wrong)
{
	struct round *b = b_new(PL_MODEL_FIFO, 2);

	b_put(b, 0, 1, 0, 10);
	b_put(b, 0, 2, 10, 20);
	b_take(b, 1, wrong ? 2 : 1, 20, 30);
	b_take(b, 1, wrong ? 1 : 2, 30, 40);
	return b;
}

static void expect(int code, int want, const char *text)
{
	cr_expect_eq(code, want, "exit %d, not %d: %s", code, want, out);
	cr_expect_not_null(strstr(out, text), "'%s' is not in: %s", text, out);
}

Test(check_tool, verdicts)
{
	struct round *b = round_of(false);

	save(b, 0);
	expect(RUN(file(0), file(1), file(2)), 0, "held: ");
	expect(RUN("--exact", file(0), file(1), file(2)), 0, "held: ");
	expect(RUN("--exact", "--model", "stream", file(0), file(1), file(2)), 5,
		"no reference model");
	expect(RUN("--stats", file(0), file(1), file(2)), 0, "operations 4");
	expect(RUN(file(0), file(1)), 5, "control's history is missing");
	expect(RUN("--model", "lock", file(0), file(1), file(2)), 0, "(lock, ");
	free(b);
	b = round_of(true);
	save(b, 0);
	expect(RUN(file(0), file(1), file(2)), 1, "VORD: actor 1 received 0#1 after ");
	expect(RUN(file(0), file(1), file(2)), 1,
		"  a search found no order of all operations either");
	expect(RUN("--exact", file(0), file(1), file(2)), 1,
		"actor 1's receive gave: there could be [0#1 0#2]");
	expect(RUN(file(0), file(1), file(2)), 1, "  actor 1 record 1: receive 0x1000000000001");
	free(b);
}

Test(check_tool, stories)
{
	struct round *b = round_of(true);
	char minimal[PATH + 32];

	b_put(b, 0, 3, 22, 28);
	b_take(b, 1, 3, 40, 50);
	save(b, 0);
	(void)snprintf(minimal, sizeof minimal, "%s/minimal", dir);
	expect(RUN(file(0), file(1), file(2)), 1,
		"promised: What was sent first is received first.");
	expect(RUN(file(0), file(1), file(2)), 1, "4 of 6 operations are enough to show it");
	expect(RUN(file(0), file(1), file(2)), 1, "|-receive 0#2-|-receive 0#1-|");
	expect(RUN("--json", file(0), file(1), file(2)), 1, "\"timeline\":[\"  actor 0   |-send");
	expect(RUN("--brief", file(0), file(1), file(2)), 1, "VORD: actor 1");
	cr_expect_null(strstr(out, "|-"), "a drawing all the same: %s", out);
	expect(RUN("--minimal", minimal, file(0), file(1), file(2)), 1, "VORD");
	expect(RUN(minimal), 1, "operations)\n  VORD: actor 1 received 0#1 after actor 1");
	cr_expect_not_null(strstr(out, "4 operations)"), "not only four: %s", out);
	expect(RUN("--minimal", file(0), file(0), file(1), file(2)), 3, "Not a directory");
	free(b);
}

Test(check_tool, usage)
{
	expect(run((const char *const[]){ NULL }), 2, "usage: plumb-check");
	expect(RUN("--model", "lok", "x"), 2, "no such model 'lok'");
	expect(RUN("--clock-error", "1x", "x"), 2, "not a number");
	expect(RUN("--export", "xml", "x"), 2, "no such format");
	expect(RUN("--bogus"), 2, "bogus");
	expect(RUN("--help"), 0, "usage: plumb-check");
}

Test(check_tool, broken_files)
{
	struct round *b = round_of(false);

	save(b, 10);
	expect(RUN(file(0)), 3,
		"0.hist: offset 4214: cut off: 2 records are announced, 1 are there");
	b->head[0].endian = __builtin_bswap32(PL_HIST_ENDIAN);
	save(b, 0);
	expect(RUN(file(0)), 3, "offset 12: written on a machine of the other byte order");
	b->head[0].endian = PL_HIST_ENDIAN;
	b->head[0].version = 7;
	save(b, 0);
	expect(RUN(file(0)), 3, "offset 8: format version 7");
	expect(RUN("/dev/null"), 3, "not a regular file");
	expect(RUN(getenv("PLUMB_CHECK")), 3, "offset 0: no history");
	free(b);
}

Test(check_tool, export)
{
	struct round *b = round_of(false);
	int lines = 0;

	b_fail(b_take(b, 1, 0, 40, 50), EAGAIN);
	b_pend(b_take(b, 0, 0, 20, 0));
	save(b, 0);
	expect(RUN("--export", "jsonl", file(0), file(1), file(2)), 0,
		"{\"index\":0,\"process\":0,\"type\":\"invoke\",\"f\":\"enqueue\",\"value\":1,");
	for (const char *s = out; (s = strstr(s, "{\"index\"")); s++)
		lines++;
	cr_expect_eq(lines, 12, "five operations and one without end: %s", out);
	cr_expect_not_null(strstr(out, "\"error\":\"EAGAIN\",\"call\":\"receive\"}"));
	cr_expect_not_null(strstr(out, "\"type\":\"info\",\"f\":\"dequeue\",\"value\":null"));
	expect(RUN("--export", "edn", file(0), file(1), file(2)), 0,
		"{:index 0, :process 0, :type :invoke, :f :enqueue, :value 1, :time 1000, :call "
		"\"send\"}\n");
	free(b);
}
