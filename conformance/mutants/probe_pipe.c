/* SPDX-License-Identifier: MIT
 *
 * Pipes: does a mutant break what it says?
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void make_pipe(int p[2], int flags)
{
	MUST(pipe2(p, flags | O_CLOEXEC) == 0);
}

static bool split(void)
{
	char buf[8192] = { 0 };
	int p[2];

	make_pipe(p, O_DIRECT); /* one read is one write */
	MUST(write(p[1], buf, 4096) == 4096);
	return read(p[0], buf, sizeof buf) != 4096;
}

static bool narrow(void)
{
	int p[2];

	make_pipe(p, O_NONBLOCK);
	return write(p[1], "0123456789", 10) == -1 && errno == EAGAIN;
}

/* Seven pages of eight are full. */
static bool split_where_tight(void)
{
	char page[4096] = { 0 };
	int p[2];

	make_pipe(p, O_DIRECT | O_NONBLOCK);
	MUST(fcntl(p[1], F_SETPIPE_SZ, 8 * sizeof page) == 8 * sizeof page);
	for (int i = 0; i < 7; i++)
		MUST(write(p[1], page, sizeof page) == sizeof page);
	return write(p[1], page, sizeof page) != sizeof page; /* a half is no whole packet */
}

static bool false_epipe(void)
{
	int p[2];

	make_pipe(p, 0);
	return write(p[1], "x", 1) == -1 && errno == EPIPE;
}

static void nothing(int signo)
{
	(void)signo;
}

static bool forgets(void)
{
	static char much[1 << 18];
	int p[2];

	make_pipe(p, 0);
	pl_alarms(nothing);
	return write(p[1], much, sizeof much) <= 0;
}

static bool spilled(void)
{
	int p[2], left = 0;

	make_pipe(p, 0);
	MUST(write(p[1], "0123456789", 10) == 10 && fcntl(p[1], F_SETPIPE_SZ, 8192) > 0);
	MUST(ioctl(p[0], FIONREAD, &left) == 0);
	return left != 10;
}

static bool hopeful(void)
{
	struct pollfd look = { .events = POLLIN };
	int p[2];

	make_pipe(p, 0);
	look.fd = p[0];
	return poll(&look, 1, 0) != 0;
}

static bool dropped(void)
{
	int p[2], left = 0;

	make_pipe(p, 0);
	MUST(write(p[1], "0123456789", 10) == 10);
	MUST(ioctl(p[0], FIONREAD, &left) == 0);
	return left != 10;
}

static bool deaf(void)
{
	int p[2];

	MUST(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	make_pipe(p, 0);
	MUST(close(p[0]) == 0);
	return !(write(p[1], "x", 1) == -1 && errno == EPIPE);
}

static bool early_eof(void)
{
	char c;
	int p[2];

	make_pipe(p, O_NONBLOCK);
	return !(read(p[0], &c, 1) == -1 && errno == EAGAIN);
}

static bool doubled(void)
{
	char buf[20];
	int p[2];

	make_pipe(p, 0);
	MUST(write(p[1], "0123456789", 10) == 10);
	return read(p[0], buf, sizeof buf) != 10;
}

static bool eintr_pipe(void)
{
	char c;
	int p[2];

	make_pipe(p, O_NONBLOCK);
	return read(p[0], &c, 1) == -1 && errno == EINTR && write(p[1], "x", 1) == -1 &&
	       errno == EINTR;
}

static bool short_reads(void)
{
	char buf[64] = { 0 };
	int p[2];

	make_pipe(p, 0);
	for (int i = 0; i < 20; i++) {
		MUST(write(p[1], buf, sizeof buf) == sizeof buf);
		ssize_t n = read(p[0], buf, sizeof buf);

		MUST(n > 0);
		if (n < (ssize_t)sizeof buf)
			return true;
	}
	return false;
}

static bool stalled(void)
{
	int p[2];
	char c;

	make_pipe(p, 0);
	MUST(write(p[1], "x", 1) == 1 && read(p[0], &c, 1) == 1);
	return pl_naps == 2;
}

static bool roomy(void)
{
	int p[2];

	make_pipe(p, 0);
	return fcntl(p[1], F_SETPIPE_SZ, 8192) == 16384;
}

const struct pl_probe pl_pipe_probes[] = {
	{ "write-split", split },
	{ "write-no-room", narrow },
	{ "write-split-tight", split_where_tight },
	{ "write-epipe-false,every=1", false_epipe },
	{ "write-eintr-forgets", forgets },
	{ "pipe-size-spills", spilled },
	{ "poll-hopeful", hopeful },
	{ "write-drop,every=1", dropped },
	{ "write-no-epipe", deaf },
	{ "read-early-eof", early_eof },
	{ "read-double,every=1", doubled },
	{ "odd-eintr,p=1", eintr_pipe },
	{ "odd-short-read,p=1", short_reads },
	{ "odd-stall,p=1", stalled },
	{ "odd-roomy", roomy },
	{ 0 },
};
