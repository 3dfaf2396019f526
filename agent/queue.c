/* SPDX-License-Identifier: MIT
 *
 * A queue of bytes before a descriptor. Its limit is its user's to keep.
 */
#include "agent.h"
#include "kit/raw.h"

#include <stdlib.h>
#include <string.h>

int queue_push(struct queue *q, const void *bytes, size_t n)
{
	if (q->sent > q->len / 2) {
		memmove(q->buf, q->buf + q->sent, q->len - q->sent);
		q->len -= q->sent, q->sent = 0;
	}
	if (q->len + n > q->cap) {
		size_t cap = (q->len + n) * 2;
		char *b = realloc(q->buf, cap);

		if (!b)
			return -ENOMEM;
		q->buf = b, q->cap = cap;
	}
	memcpy(q->buf + q->len, bytes, n);
	q->len += n;
	return 0;
}

int queue_flush(struct queue *q, int fd)
{
	while (q->sent < q->len) {
		long n = raw_write(fd, q->buf + q->sent, q->len - q->sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n <= 0)
			return 0;
		q->sent += (size_t)n;
	}
	q->len = q->sent = 0;
	if (q->cap > PL_LINE_MAX) /* a burst is over: give its memory back */
		queue_drop(q);
	return 0;
}

size_t queue_size(const struct queue *q)
{
	return q->len - q->sent;
}

void queue_drop(struct queue *q)
{
	free(q->buf);
	*q = (struct queue){ 0 };
}
