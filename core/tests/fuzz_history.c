/* SPDX-License-Identifier: MIT
 *
 * Claim: any bytes at all, read as history files, give a verdict or one line of complaint: no crash, no read outside of
 * them, no finding without a text, none about a history that is right, and of
 * what is wrong a story. libFuzzer finds the bytes; without it
 * (CHECK_SMOKE) main() feeds random ones, and those of the files that it is given: one input a line, in hex, as libFuzzer
 * once found them.
 */
#include "fuzz_history.h"

#include "hist/rng.h"
#include "witness/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void fuzz_judge(const struct pl_log *logs, int n, bool right)
{
	static struct pl_verdict v[2];

	for (int error = 0; error < 2; error++) {
		struct pl_verdict *is = &v[error];

		pl_check(logs, n, error * 20, is);
		if (is->outcome > PL_UNKNOWN || is->nwit > PL_WITNESS_MAX ||
			(is->outcome != PL_HELD && (!is->rule[0] || !is->text[0])) ||
			(is->outcome == PL_VIOLATED && is->slack_ns == 0) ||
			(right && is->outcome != PL_HELD &&
				(!error || is->outcome == PL_VIOLATED))) {
			(void)fprintf(stderr, "%s %s: %s\n", pl_outcome_name(is->outcome), is->rule,
				is->text);
			abort();
		}
	}
	/* To doubt the clocks makes no new findings. */
	if (v[1].outcome == PL_VIOLATED && v[0].outcome != PL_VIOLATED)
		abort();
	if (v[0].outcome == PL_VIOLATED) {
		static struct pl_story story;

		pl_story_tell(logs, n, 0, &v[0], &story, NULL);
		if (story.n > PL_STORY_OPS || strlen(story.drawing) >= PL_STORY_DRAWING)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		(data[0] & 1 ? fuzz_files : fuzz_world)(data + 1, size - 1);
	return 0;
}

#ifdef CHECK_SMOKE
enum { BYTES = 4096 };

static void feed_random(uint64_t key)
{
	static uint8_t bytes[BYTES];
	size_t size = (size_t)pl_rand_range(key, 0, 64, BYTES / (key % 2 ? 1 : 8));

	for (size_t k = 0; k < size; k++)
		bytes[k] = (uint8_t)pl_rand(key, k + 1);
	bytes[0] = (uint8_t)key;
	LLVMFuzzerTestOneInput(bytes, size);
}

static int feed_file(const char *path)
{
	static char line[2 * BYTES + 2];
	static uint8_t bytes[BYTES];
	FILE *f = fopen(path, "re");
	int lines = 0;

	for (; f && fgets(line, sizeof line, f); lines++) {
		size_t n = 0;
		unsigned one;

		for (const char *s = line; sscanf(s, "%2x", &one) == 1; s += 2)
			bytes[n++] = (uint8_t)one;
		LLVMFuzzerTestOneInput(bytes, n);
	}
	if (f)
		(void)fclose(f);
	return lines > 0;
}

int main(int argc, char **argv)
{
	for (uint64_t key = 0; key < 40000; key++)
		feed_random(key);
	for (int i = 1; i < argc; i++)
		if (!feed_file(argv[i])) {
			(void)fprintf(stderr, "%s: nothing in it\n", argv[i]);
			return 1;
		}
	return 0;
}
#endif
