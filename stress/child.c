/* SPDX-License-Identifier: MIT
 *
 * One driver's process and its three streams.
 *
 * The streams are socket pairs, not pipes: a pipe of the engine would count against the pipe pages
 * of the very user the drivers are tested with. Not uv_spawn: launch.c copies less, and SIGCHLD is
 * left to pool_reap, which must also see adopted grandchildren.
 */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUEUE_MAX = 1 << 20 };

/* All drivers read into it in turn: nothing stays there after a read callback. */
static char shared[LINE_MAX_];

static void give_shared(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	*buf = uv_buf_init(shared, sizeof shared);
}

static int spawn_on(struct driver *d, const int theirs[3])
{
	const struct config *c = &d->e->cfg;
	char *argv[TARGET_MAX + 2];

	memcpy(argv, c->target, (size_t)c->ntarget * sizeof *argv);
	argv[c->ntarget] = d->mix->path;
	argv[c->ntarget + 1] = NULL;
	return launch(argv, theirs, &d->pid);
}

static void on_closed(uv_handle_t *h)
{
	struct driver *d = h->data;

	d->open_handles--;
}

/* EOF, or bytes that can be no protocol any more: the engine hears this driver no longer. */
static void hush(struct driver *d)
{
	if (!uv_is_closing((uv_handle_t *)&d->out))
		uv_close((uv_handle_t *)&d->out, on_closed);
	d->out_eof = true;
	free(d->part);
	d->part = NULL;
	d->npart = 0;
}

static int keep_part(struct driver *d, const char *s, size_t n)
{
	char *more;

	if (!n)
		return 0;
	if (d->npart + n > LINE_MAX_)
		return -EMSGSIZE;
	more = realloc(d->part, d->npart + n);
	if (!more)
		return -ENOMEM;
	memcpy(more + d->npart, s, n);
	d->part = more;
	d->npart += n;
	return 0;
}

static int take_lines(struct driver *d, char *s, size_t n)
{
	char *lf;
	int r;

	while (n && !d->out_eof && (lf = memchr(s, '\n', n))) {
		size_t len = (size_t)(lf - s);

		if (d->part) {
			if ((r = keep_part(d, s, len + 1)) < 0)
				return r;
			char *line = d->part;
			size_t nline = d->npart - 1;

			d->part = NULL;
			d->npart = 0;
			wire_line(d, line, nline);
			free(line);
		} else
			wire_line(d, s, len);
		s = lf + 1;
		n -= len + 1;
	}
	return d->out_eof ? 0 : keep_part(d, s, n);
}

static void on_out(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
	struct driver *d = h->data;

	if (n == 0)
		return;
	if (n < 0) {
		hush(d);
		pool_settle(d);
		return;
	}
	d->flood_bytes += (uint64_t)n;
	d->heard_ns = now_ns();
	if (take_lines(d, buf->base, (size_t)n) < 0) {
		pool_fail(d, FATE_BROKEN, "sent a line longer than %d bytes", LINE_MAX_);
		hush(d);
		pool_kill(d);
	} else if (d->rung == RUNG_KILL && !d->out_eof) {
		hush(d);
	}
}

static void ring_add(struct driver *d)
{
	if (!d->ring && !(d->ring = calloc(RING, sizeof *d->ring)))
		return;
	memcpy(d->ring[d->nring++ % RING], d->errpart, sizeof d->errpart);
	d->nerrpart = 0;
	memset(d->errpart, 0, sizeof d->errpart);
}

static void on_err(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
	struct driver *d = h->data;

	if (n < 0) {
		if (d->nerrpart)
			ring_add(d);
		uv_close((uv_handle_t *)h, on_closed);
	}
	for (ssize_t i = 0; i < n; i++) {
		if (buf->base[i] == '\n')
			ring_add(d);
		else if (d->nerrpart < RING_LINE - 1)
			d->errpart[d->nerrpart++] = buf->base[i];
	}
}

void child_last_words(const struct driver *d, json_t **ret_lines)
{
	unsigned from = d->nring > RING ? d->nring - RING : 0;

	*ret_lines = json_array();
	for (unsigned i = from; d->ring && i < d->nring; i++) {
		json_t *s = json_string(d->ring[i % RING]);

		/* no UTF-8: shown as such rather than dropped */
		(void)json_array_append_new(
			*ret_lines, s ? s : json_string("(bytes that are no text)"));
	}
}

static int adopt(struct driver *d, uv_pipe_t *p, int fd)
{
	int r = uv_pipe_init(&d->e->loop, p, 0);

	p->data = d;
	if (r == 0)
		r = uv_pipe_open(p, fd);
	d->open_handles++;
	return r;
}

int child_spawn(struct driver *d)
{
	int ours[3] = { -1, -1, -1 }, theirs[3] = { -1, -1, -1 }, r = 0;

	for (int i = 0; i < 3 && r == 0; i++) {
		int sv[2];

		/* only the driver's own end becomes its 0, 1 or 2: a copy elsewhere would prevent
		 * its EOF */
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
			r = -errno;
		else {
			ours[i] = sv[0];
			theirs[i] = sv[1];
		}
	}
	if (r == 0)
		r = spawn_on(d, theirs);
	for (int i = 0; i < 3; i++) {
		if (theirs[i] >= 0)
			(void)close(theirs[i]);
		if (r < 0 && ours[i] >= 0)
			(void)close(ours[i]);
	}
	if (r < 0)
		return r;
	d->spawned_ns = d->heard_ns = now_ns();
	(void)adopt(d, &d->in, ours[0]);
	(void)adopt(d, &d->out, ours[1]);
	(void)adopt(d, &d->err, ours[2]);
	(void)uv_read_start((uv_stream_t *)&d->out, give_shared, on_out);
	(void)uv_read_start((uv_stream_t *)&d->err, give_shared, on_err);
	return 0;
}

static void on_written(uv_write_t *w, int status)
{
	free(w);
}

void child_write(struct driver *d, const char *text, size_t n)
{
	uv_buf_t buf = uv_buf_init((char *)text, (unsigned)n);
	uv_write_t *w;
	int sent;

	if (d->state == ST_GONE || d->rung >= RUNG_EOF || uv_is_closing((uv_handle_t *)&d->in))
		return;
	sent = uv_try_write((uv_stream_t *)&d->in, &buf, 1);
	if (sent == (int)n)
		return;
	if (sent < 0 && sent != UV_EAGAIN)
		return; /* it is dying: its exit will be seen */
	if (uv_stream_get_write_queue_size((uv_stream_t *)&d->in) > QUEUE_MAX) {
		pool_fail(d, FATE_BROKEN, "does not read its requests");
		return;
	}
	n -= sent > 0 ? (size_t)sent : 0;
	w = malloc(sizeof *w + n);
	if (!w)
		return;
	memcpy(w + 1, text + (sent > 0 ? sent : 0), n);
	buf = uv_buf_init((char *)(w + 1), (unsigned)n);
	if (uv_write(w, (uv_stream_t *)&d->in, &buf, 1, on_written) < 0)
		free(w);
}

/* EOF for the driver. */
void child_shut(struct driver *d)
{
	if (!uv_is_closing((uv_handle_t *)&d->in))
		uv_close((uv_handle_t *)&d->in, on_closed);
}

void child_close(struct driver *d)
{
	child_shut(d);
	hush(d);
	if (!uv_is_closing((uv_handle_t *)&d->err))
		uv_close((uv_handle_t *)&d->err, on_closed);
}
