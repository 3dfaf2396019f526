/* SPDX-License-Identifier: MIT
 *
 * Payloads that name their origin.
 *
 * Every payload has a token, unique in its round: (actor << 48 | incarnation << 40 | number). Its
 * bytes follow from (seed, token) alone, so both ends derive them and none ever travels through the
 * protocol. They are a sequence of 24-byte marks, the last one cut off at the payload's length:
 *
 *     u64 token | u32 offset of this mark | u32 length of the payload | u64 mix(seed, token,
 * offset, length)
 *
 * in the machine's own byte order. Any 24 bytes cut out at a mark's start name their payload and
 * place, so a byte stream can be split anywhere and still be told apart. A payload shorter than a
 * mark holds the mark's first bytes and is known only to someone who knows the token.
 */
#ifndef PLUMBLINE_PAYLOAD_H
#define PLUMBLINE_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

enum { PL_ATOMIC = 4096 }; /* PIPE_BUF: a longer payload may be interrupted anywhere */

static inline uint64_t pl_token(unsigned actor, unsigned incarnation, uint64_t number)
{
	return (uint64_t)(actor + 1) << 48 | (uint64_t)(incarnation & 0xff) << 40 |
	       (number & 0xffffffffff);
}

static inline unsigned pl_token_actor(uint64_t token)
{
	return (unsigned)(token >> 48) - 1;
}

/* Writes the payload's bytes [offset, offset + len) of a payload of `total` bytes. */
void pl_payload_fill(
	void *buf, uint64_t seed, uint64_t token, size_t offset, size_t len, size_t total);

/* Reads a whole message: its token, or 0 when the bytes are no payload of this seed, or too few (<
 * 24). */
uint64_t pl_payload_token(const void *buf, size_t len, uint64_t seed);

/* FNV-1a like 32-bit checksum of any bytes: both ends compare these. */
uint32_t pl_payload_sum(const void *buf, size_t len);

/* A piece of a byte stream, decoded. kind: enum pl_more_kind. */
struct pl_piece {
	int kind;
	size_t at, len; /* where in the buffer */
	uint64_t token; /* EXTENT: which payload, */
	size_t offset;	/* and where in it */
	size_t total;	/* and how long it is */
};

/* Cuts the next piece off buf[at..len): call with at = 0, then with piece.at + piece.len, until
 * false. */
int pl_payload_piece(
	const void *buf, size_t len, size_t at, uint64_t seed, struct pl_piece *ret_piece);

#endif
