/* SPDX-License-Identifier: MIT
 *
 * The frame reader (protocol §1): lines of at most 65,536 bytes with their LF, whatever the writes
 * that brought them; a longer one is told once, and the next is whole again.
 */
#include "../hist/rng.h"
#include "../kit/kit.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT = 64 };

static struct {
	size_t len[4096];
	unsigned char first[4096][KEPT];
	unsigned n, toolong, ends;
} got;

static struct pl_frame in;
static int feed[2];

static void collect(void)
{
	char *line;
	size_t len;
	int r;

	while ((r = pl_frame_next(&in, &line, &len)) != 0) {
		if (r == -EPIPE) {
			got.ends++;
			return;
		}
		if (r == -EMSGSIZE) {
			got.toolong++;
			continue;
		}
		cr_assert_eq(r, 1);
		cr_assert(got.n < 4096 && len < PL_LINE_MAX);
		got.len[got.n] = len;
		memcpy(got.first[got.n++], line, len < KEPT ? len : KEPT);
	}
}

/* Writes bytes in pieces of `step`, reading after each. */
static void give(const void *bytes, size_t len, size_t step)
{
	const char *p = bytes;

	for (; len > 0;) {
		size_t n = step < len ? step : len;

		cr_assert_eq(write(feed[1], p, n), (ssize_t)n);
		while (poll(&(struct pollfd){ .fd = feed[0], .events = POLLIN }, 1, 0) > 0) {
			cr_assert_eq(pl_frame_fill(&in, feed[0]), 0);
			collect();
		}
		p += n, len -= n;
	}
}

static void begin(void)
{
	cr_assert_eq(pipe(feed), 0);
}

static void line_of(size_t len)
{
	char *p = malloc(len);

	memset(p, 'x', len);
	p[len - 1] = '\n';
	give(p, len, 30000);
	free(p);
}

Test(frame, lines_of_any_split, .init = begin)
{
	static const char text[] = "one\n\ntwo and more\n\x80\xff\0binary\nlast\n";
	size_t step;

	for (step = 1; step < sizeof text; step++) {
		memset(&got, 0, sizeof got);
		give(text, sizeof text - 1, step);
		cr_assert_eq(got.n, 5, "%u lines, in pieces of %zu", got.n, step);
		cr_assert_eq(got.len[0], 3);
		cr_assert_eq(got.len[1], 0);
		cr_assert_eq(got.len[2], 12);
		cr_assert_eq(got.len[3], 9);
		cr_assert(!memcmp(got.first[3], "\x80\xff\0binary", 9));
		cr_assert_eq(got.len[4], 4);
	}
}

Test(frame, the_longest_line_and_one_more, .init = begin)
{
	line_of(PL_LINE_MAX);
	cr_assert_eq(got.n, 1);
	cr_assert_eq(got.len[0], PL_LINE_MAX - 1);
	line_of(PL_LINE_MAX + 1);
	cr_assert_eq(got.n, 1);
	cr_assert_eq(got.toolong, 1);
	line_of(10 * PL_LINE_MAX);
	line_of(2 * PL_LINE_MAX);
	line_of(8);
	cr_assert_eq(got.toolong, 3, "each is told once, and only once");
	cr_assert_eq(got.n, 2);
	cr_assert_eq(got.len[1], 7);
}

Test(frame, half_a_line_at_the_end_is_no_line, .init = begin)
{
	give("whole\nhalf", 10, 10);
	close(feed[1]);
	cr_assert_eq(pl_frame_fill(&in, feed[0]), 0);
	collect();
	cr_assert_eq(got.n, 1);
	cr_assert_eq(got.ends, 1);
	cr_assert_eq(pl_frame_fill(&in, feed[0]), 0, "the end stays the end");
	collect();
	cr_assert_eq(got.ends, 2);
}

Test(frame, an_unread_buffer_is_no_end, .init = begin)
{
	static char lines[PL_LINE_MAX];
	char *line;
	size_t len, seen;

	memset(lines, '\n', sizeof lines);
	cr_assert_eq(write(feed[1], lines, 60000), 60000);
	cr_assert_eq(pl_frame_fill(&in, feed[0]), 0);
	cr_assert_eq(write(feed[1], lines, 10000), 10000);
	cr_assert_eq(pl_frame_fill(&in, feed[0]), 0);
	cr_assert_eq(pl_frame_fill(&in, feed[0]), 0, "full: nothing is read");
	for (seen = 0; pl_frame_next(&in, &line, &len) == 1; seen++)
		;
	cr_assert_eq(seen, PL_LINE_MAX);
	cr_assert_eq(pl_frame_next(&in, &line, &len), 0, "no more for now, but no end");
}

/* Random bytes against the plainest of splitters. */
Test(frame, random_bytes, .init = begin)
{
	static unsigned char bytes[20000];
	uint64_t round, at, i;

	for (round = 0; round < 300; round++) {
		uint64_t size = 1 + pl_rand(round, 0) % sizeof bytes,
			 lf = 1 + pl_rand(round, 1) % 99;
		unsigned lines = 0;

		memset(&got, 0, sizeof got);
		for (i = 0; i < size; i++) {
			bytes[i] = (unsigned char)pl_rand(round, i + 2);
			bytes[i] = bytes[i] % lf == 0 && i % 8 == 0 ? '\n' : bytes[i];
		}
		bytes[size - 1] = '\n';
		give(bytes, size, 1 + pl_rand(round, 7) % 5000);
		for (at = i = 0; i < size; i++) {
			if (bytes[i] != '\n')
				continue;
			cr_assert_lt(lines, got.n, "round %llu: lines are missing",
				(unsigned long long)round);
			cr_assert_eq(got.len[lines], i - at);
			cr_assert(!memcmp(
				got.first[lines], bytes + at, i - at < KEPT ? i - at : KEPT));
			lines++, at = i + 1;
		}
		cr_assert_eq(lines, got.n);
	}
}
