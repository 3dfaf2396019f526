/* SPDX-License-Identifier: MIT
 *
 * A payload names its origin wherever it is cut (hist/payload.h): whole, split at any place, next
 * to another, damaged.
 */
#include "../hist/history.h"
#include "../hist/payload.h"
#include "../hist/rng.h"

#include <criterion/criterion.h>
#include <string.h>

enum { SEED = 77, MARK = 24, MOST = 12000 };

static unsigned char stream[MOST];

/* What one read says: every byte lies in exactly one piece, and every extent holds what its payload
 * holds there. Returns how many bytes are in extents. */
static size_t decoded(const unsigned char *p, size_t len, size_t *ret_corrupt)
{
	static unsigned char want[MOST];
	struct pl_piece piece;
	size_t at = 0, known = 0;

	*ret_corrupt = 0;
	for (; pl_payload_piece(p, len, at, SEED, &piece); at = piece.at + piece.len) {
		cr_assert_eq(piece.at, at, "piece at %zu, expected at %zu", piece.at, at);
		cr_assert(piece.len > 0 && at + piece.len <= len, "%zu bytes at %zu of %zu",
			piece.len, at, len);
		*ret_corrupt += piece.kind == PL_CORRUPT ? piece.len : 0;
		if (piece.kind != PL_EXTENT)
			continue;
		known += piece.len;
		pl_payload_fill(want, SEED, piece.token, piece.offset, piece.len, piece.total);
		cr_assert(
			!memcmp(want, p + at, piece.len), "extent at %zu is not what it says", at);
	}
	cr_assert_eq(at, len, "decoded %zu bytes of %zu", at, len);
	return known;
}

static size_t two(size_t a, size_t b)
{
	pl_payload_fill(stream, SEED, pl_token(0, 1, 1), 0, a, a);
	pl_payload_fill(stream + a, SEED, pl_token(1, 1, 1), 0, b, b);
	return a + b;
}

static void split_everywhere(size_t a, size_t b)
{
	size_t len = two(a, b), cut, corrupt;

	for (cut = 0; cut <= len; cut++) {
		size_t known = decoded(stream, cut, &corrupt);

		cr_assert_eq(corrupt, 0, "%zu+%zu cut at %zu: %zu good bytes called corrupt", a, b,
			cut, corrupt);
		known += decoded(stream + cut, len - cut, &corrupt);
		cr_assert_eq(corrupt, 0, "%zu+%zu from %zu: %zu good bytes called corrupt", a, b,
			cut, corrupt);
		/* Lost to the cut: at most a mark on each side, and the unmarked ends of both. */
		cr_assert(known + 4 * MARK >= len, "%zu+%zu cut at %zu: only %zu known", a, b, cut,
			known);
	}
}

Test(payload, small_ones_split_everywhere)
{
	size_t a, b;

	for (a = MARK; a <= 3 * MARK + 1; a++)
		for (b = MARK; b <= 2 * MARK + 1; b += 5)
			split_everywhere(a, b);
}

/* The short form of a read's record says the same as the long one: one extent, all of it. */
Test(payload, one_that_is_read_whole_is_one_piece)
{
	size_t len;

	for (len = MARK; len <= PL_ATOMIC; len += len < 200 ? 1 : 97) {
		struct pl_piece p = { 0 };

		pl_payload_fill(stream, SEED, pl_token(0, 1, len), 0, len, len);
		cr_assert(pl_payload_piece(stream, len, 0, SEED, &p));
		cr_assert(p.kind == PL_EXTENT && p.token == pl_payload_token(stream, len, SEED));
		cr_assert(p.offset == 0 && p.len == len && p.total == len, "len %zu", len);
	}
}

/* Both ends of the read cut a mark, and between them lies a payload's last one, cut off by its length. */
Test(payload, short_reads_from_anywhere)
{
	size_t len = two(2 * MARK + 22, 2 * MARK), from, to, corrupt;

	for (from = 0; from < len; from++)
		for (to = from + 1; to <= len; to++) {
			(void)decoded(stream + from, to - from, &corrupt);
			cr_assert_eq(corrupt, 0, "[%zu, %zu): %zu good bytes called corrupt", from,
				to, corrupt);
		}
}

Test(payload, large_ones_split_everywhere)
{
	static const size_t sizes[] = { 24, 25, 47, 48, 100, 511, 1024, 4095, 4096, 4097, 5000 };
	size_t i;

	for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
		split_everywhere(sizes[i], 5000 - sizes[i] / 2);
}

Test(payload, a_message_is_read_whole_or_not_at_all)
{
	uint64_t token = pl_token(3, 7, 123456);
	size_t len, i;

	for (len = 0; len <= 5000; len += len < 200 ? 1 : 97) {
		pl_payload_fill(stream, SEED, token, 0, len, len);
		cr_assert_eq(pl_payload_token(stream, len, SEED), len < MARK ? 0 : token, "len %zu",
			len);
		cr_assert_eq(pl_payload_token(stream, len, SEED + 1), 0, "of another seed");
		if (len < MARK)
			continue;
		cr_assert_eq(pl_payload_token(stream, len - 1, SEED), 0, "cut short, len %zu", len);
		for (i = 0; i<len; i += len> 200 ? 31 : 1) {
			stream[i] ^= 1;
			cr_assert_eq(pl_payload_token(stream, len, SEED), 0,
				"byte %zu of %zu is wrong", i, len);
			stream[i] ^= 1;
		}
	}
	cr_assert_eq(pl_token_actor(token), 3);
}

Test(payload, a_damaged_byte_is_never_inside_an_extent)
{
	size_t len = two(1000, 500), i, bit, corrupt;

	for (i = 0; i < len; i++)
		for (bit = 0; bit < 8; bit += 7) {
			struct pl_piece p;
			size_t at;

			stream[i] ^= (unsigned char)(1 << bit);
			(void)decoded(stream, len, &corrupt);
			for (at = 0; pl_payload_piece(stream, len, at, SEED, &p); at = p.at + p.len)
				cr_assert(p.kind != PL_EXTENT || i < p.at || i >= p.at + p.len,
					"byte %zu is damaged, and in the extent at %zu", i, p.at);
			stream[i] ^= (unsigned char)(1 << bit);
		}
}

Test(payload, foreign_bytes_are_told_from_good_ones)
{
	size_t len, corrupt, i;

	for (i = 0; i < sizeof stream; i++)
		stream[i] = (unsigned char)pl_rand(5, i);
	cr_assert_eq(decoded(stream, sizeof stream, &corrupt), 0);
	cr_assert_eq(corrupt, sizeof stream);
	len = two(240, 240);
	memset(stream + 240 - MARK, 0xee, 3 * MARK); /* a hole over the place where they meet */
	cr_assert_eq(decoded(stream, len, &corrupt), len - 3 * MARK);
	cr_assert_eq(corrupt, 3 * MARK);
}

Test(payload, unaligned_buffers_are_read)
{
	size_t shift, corrupt;

	for (shift = 0; shift < 8; shift++) {
		pl_payload_fill(stream + shift, SEED, pl_token(2, 1, shift), 0, 777, 777);
		cr_assert_eq(decoded(stream + shift, 777, &corrupt), 777);
		cr_assert_eq(pl_payload_token(stream + shift, 777, SEED), pl_token(2, 1, shift));
	}
}

Test(payload, tokens_differ)
{
	cr_assert_neq(pl_token(0, 1, 1), 0);
	cr_assert_neq(pl_token(0, 1, 1), pl_token(1, 1, 1));
	cr_assert_neq(pl_token(0, 1, 1), pl_token(0, 2, 1));
	cr_assert_neq(pl_token(0, 1, 1), pl_token(0, 1, 2));
	cr_assert_eq(pl_token(0, 1, 1), pl_token(0, 257, 1), "the number is what never comes back");
}

Test(payload, the_sum_sees_every_byte_and_its_place)
{
	size_t len, i;

	for (len = 1; len < 70; len++) {
		uint32_t whole;

		pl_payload_fill(stream, SEED, pl_token(0, 1, len), 0, len, len);
		whole = pl_payload_sum(stream, len);
		for (i = 0; i < len; i++) {
			stream[i] ^= 0x10;
			cr_assert_neq(
				pl_payload_sum(stream, len), whole, "byte %zu of %zu", i, len);
			stream[i] ^= 0x10;
		}
		cr_assert_neq(pl_payload_sum(stream, len - 1), whole);
	}
}

Test(rng, draws_stay_inside_and_reach_the_ends)
{
	static const int64_t edge[][2] = { { 0, 0 }, { 0, 1 }, { -3, 3 }, { 24, 4096 },
		{ INT64_MIN, INT64_MAX }, { INT64_MAX - 1, INT64_MAX } };
	uint64_t i, e;

	for (e = 0; e < sizeof edge / sizeof *edge; e++) {
		int64_t lo = edge[e][0], hi = edge[e][1], least = hi, most = lo;

		for (i = 0; i < 100000; i++) {
			int64_t v = pl_rand_range(9, i, lo, hi);

			cr_assert(v >= lo && v <= hi, "%lld", (long long)v);
			least = v < least ? v : least, most = v > most ? v : most;
		}
		if ((uint64_t)hi - (uint64_t)lo < 5000)
			cr_assert(least == lo && most == hi, "[%lld, %lld] gave [%lld, %lld]",
				(long long)lo, (long long)hi, (long long)least, (long long)most);
	}
	cr_assert_eq(pl_rand(1, 2), pl_rand(1, 2));
	cr_assert_neq(pl_rand(1, 2), pl_rand(2, 1));
}
