/* SPDX-License-Identifier: MIT
 *
 * Payloads that name their origin: filling, reading back, cutting streams into extents.
 */
#include "payload.h"

#include "history.h"
#include "rng.h"

#include <string.h>

struct mark {
	uint64_t token;
	uint32_t offset, total;
	uint64_t mix;
};

enum { MARK = sizeof(struct mark) };

static struct mark mark_at(uint64_t seed, uint64_t token, size_t offset, size_t total)
{
	struct mark m = { .token = token, .offset = (uint32_t)offset, .total = (uint32_t)total };

	m.mix = pl_mix(
		seed ^ token * 0x9e3779b97f4a7c15 ^ ((uint64_t)offset << 32 | (uint32_t)total));
	return m;
}

/* The first n bytes of a mark, by words: n is not known when this is compiled, and a call of memcpy
 * costs more than these. */
static void copy_part(unsigned char *p, const struct mark *m, size_t n)
{
	const unsigned char *from = (const unsigned char *)m;

	for (; n >= 8; p += 8, from += 8, n -= 8)
		memcpy(p, from, 8);
	for (; n > 0; n--)
		*p++ = *from++;
}

/* 0 where p holds the first n bytes of a mark. */
static uint64_t difference(const unsigned char *p, const struct mark *want, size_t n)
{
	const unsigned char *w = (const unsigned char *)want;
	uint64_t d = 0, x, y;

	for (; n >= 8; p += 8, w += 8, n -= 8) {
		memcpy(&x, p, 8);
		memcpy(&y, w, 8);
		d |= x ^ y;
	}
	for (; n > 0; n--)
		d |= *p++ ^ *w++;
	return d;
}

void pl_payload_fill(
	void *buf, uint64_t seed, uint64_t token, size_t offset, size_t len, size_t total)
{
	unsigned char *p = buf;
	size_t in = offset % MARK;

	for (; len > 0; in = 0) {
		size_t n = MARK - in < len ? MARK - in : len;
		struct mark m = mark_at(seed, token, offset - in, total);

		if (n == MARK)
			memcpy(p, &m, MARK); /* of a known size: no call */
		else if (in == 0)
			copy_part(p, &m, n);
		else
			memcpy(p, (const unsigned char *)&m + in, n);
		p += n, offset += n, len -= n;
	}
}

static int read_mark(const unsigned char *p, uint64_t seed, struct mark *ret)
{
	struct mark m, want;

	memcpy(&m, p, MARK);
	want = mark_at(seed, m.token, m.offset, m.total);
	*ret = m;
	return m.token != 0 && m.mix == want.mix && m.offset < m.total && m.offset % MARK == 0;
}

/* How many bytes from p on continue the payload of mark m, which was read at p. */
static size_t extent_len(const unsigned char *p, size_t len, uint64_t seed, const struct mark *m)
{
	size_t left = m->total - m->offset, done = left < MARK ? left : MARK;

	while (done < len && done < left) {
		struct mark want = mark_at(seed, m->token, m->offset + done, m->total);
		size_t n = len - done < MARK ? len - done : MARK;

		n = left - done < n ? left - done : n;
		if (n == MARK ? memcmp(p + done, &want, MARK) : memcmp(p + done, &want, n))
			break;
		done += n;
	}
	return done;
}

uint64_t pl_payload_token(const void *buf, size_t len, uint64_t seed)
{
	const unsigned char *p = buf;
	struct mark first, want;
	uint64_t d = 0;
	size_t at;

	if (len < MARK)
		return 0;
	memcpy(&first, p, MARK);
	if (first.token == 0 || first.offset != 0 || first.total != len)
		return 0;
	for (at = 0; len - at >= MARK; at += MARK) { /* no branch a mark: nearly all are right */
		want = mark_at(seed, first.token, at, len);
		d |= difference(p + at, &want, MARK);
	}
	want = mark_at(seed, first.token, at, len);
	d |= difference(p + at, &want, len - at);
	return d ? 0 : first.token;
}

uint32_t pl_payload_sum(const void *buf, size_t len)
{
	const unsigned char *p = buf;
	uint64_t h = 0xcbf29ce484222325, w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		h = (h ^ w) * 0x100000001b3;
		h ^= h >> 29;
	}
	for (; len > 0; p++, len--)
		h = (h ^ *p) * 0x100000001b3;
	return (uint32_t)(h ^ h >> 32);
}

int pl_payload_piece(
	const void *buf, size_t len, size_t at, uint64_t seed, struct pl_piece *ret_piece)
{
	const unsigned char *p = buf;
	struct pl_piece r = { .at = at };
	struct mark m;
	size_t next;

	if (at >= len)
		return 0;
	if (len - at >= MARK && read_mark(p + at, seed, &m)) {
		r.kind = PL_EXTENT;
		r.token = m.token, r.offset = m.offset, r.total = m.total;
		r.len = extent_len(p + at, len - at, seed, &m);
		/* Where another may cut in, bytes after the last whole mark may be its own and only
		 * look alike. */
		if (m.total > PL_ATOMIC && r.len > MARK)
			r.len -= r.len % MARK;
		*ret_piece = r;
		return 1;
	}
	for (next = at + 1; next + MARK <= len; next++)
		if (read_mark(p + next, seed, &m))
			break;
	if (next + MARK > len)
		next = len;
	r.len = next - at;
	/* At most the rest of a mark, the payload's last one, cut off, and the start of the next payload's first. */
	r.kind = r.len < 3 * MARK ? PL_FRAGMENT : PL_CORRUPT;
	*ret_piece = r;
	return 1;
}
