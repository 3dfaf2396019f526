/* SPDX-License-Identifier: MIT
 *
 * Sockets and FIFOs: does a mutant break what it says?
 */
#include "probe.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void pair(int sv[2], int type)
{
	MUST(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv) == 0);
}

static bool dropped(void)
{
	int sv[2], left = 0;

	pair(sv, SOCK_STREAM);
	MUST(send(sv[1], "0123456789", 10, 0) == 10);
	MUST(ioctl(sv[0], FIONREAD, &left) == 0);
	return left != 10;
}

static bool deaf(void)
{
	int sv[2];

	MUST(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	pair(sv, SOCK_STREAM);
	MUST(close(sv[0]) == 0);
	return !(send(sv[1], "x", 1, 0) == -1 && errno == EPIPE);
}

static bool doubled(void)
{
	char buf[20];
	int sv[2];

	pair(sv, SOCK_STREAM);
	MUST(write(sv[1], "0123456789", 10) == 10);
	return recv(sv[0], buf, sizeof buf, 0) != 10;
}

static bool early_eof(void)
{
	char c;
	int sv[2];

	pair(sv, SOCK_STREAM);
	return !(recv(sv[0], &c, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
}

static bool peek_takes(void)
{
	char c;
	int sv[2];

	pair(sv, SOCK_STREAM);
	MUST(write(sv[1], "x", 1) == 1 && recv(sv[0], &c, 1, MSG_PEEK) == 1);
	return recv(sv[0], &c, 1, MSG_DONTWAIT) != 1;
}

enum { FDS = 2 };

/* Sends a descriptor, `n` times, and receives it into `room` bytes of control data. */
static struct msghdr passed(int sv[2], int n, char *control, size_t room)
{
	static char byte;
	static struct iovec io = { &byte, 1 };
	_Alignas(struct cmsghdr) char out[CMSG_SPACE(FDS * sizeof(int))] = { 0 };
	size_t len = (size_t)n * sizeof(int);
	struct msghdr h = { .msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = out,
		.msg_controllen = CMSG_SPACE(len) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	*c = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(len), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS
	};
	for (int i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &sv[1], sizeof(int));
	MUST(sendmsg(sv[1], &h, 0) == 1);
	h.msg_control = room ? control : NULL, h.msg_controllen = room;
	MUST(recvmsg(sv[0], &h, 0) == 1);
	return h;
}

static bool no_ctrunc(void)
{
	int sv[2];

	pair(sv, SOCK_STREAM);
	return !(passed(sv, 1, NULL, 0).msg_flags & MSG_CTRUNC);
}

static bool leaks(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	int sv[2], next, after;

	pair(sv, SOCK_STREAM);
	next = dup(sv[0]);
	MUST(next >= 0 && close(next) == 0);
	(void)passed(sv, 1, control, sizeof control);
	after = dup(sv[0]);
	return after != next + 1;
}

static bool mistakes(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS * sizeof(int))];
	struct stat sent, got;
	struct msghdr h;
	int sv[2], fd;

	pair(sv, SOCK_STREAM);
	h = passed(sv, FDS, control, sizeof control);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof fd);
	MUST(fstat(sv[1], &sent) == 0 && fstat(fd, &got) == 0);
	return sent.st_ino != got.st_ino;
}

/* The receiver has no room for it: then nobody has it. */
static bool keeps_what_is_sent(void)
{
	int sv[2], next, after;

	pair(sv, SOCK_STREAM);
	next = dup(sv[0]);
	MUST(next >= 0 && close(next) == 0);
	(void)passed(sv, 1, NULL, 0);
	after = dup(sv[0]);
	return after != next;
}

static bool joins(void)
{
	char buf[20];
	int sv[2];

	pair(sv, SOCK_SEQPACKET);
	MUST(send(sv[1], "abcd", 4, 0) == 4 && send(sv[1], "ef", 2, 0) == 2);
	return recv(sv[0], buf, sizeof buf, 0) != 4;
}

static bool discards(void)
{
	char buf[20];
	int sv[2];

	pair(sv, SOCK_STREAM);
	MUST(send(sv[1], "abcd", 4, 0) == 4 && shutdown(sv[1], SHUT_WR) == 0);
	return recv(sv[0], buf, sizeof buf, 0) != 4;
}

static bool takes_less(void)
{
	char buf[64] = { 0 };
	int sv[2], less = 0;

	pair(sv, SOCK_STREAM);
	for (int i = 0; i < 20; i++)
		less += send(sv[1], buf, sizeof buf, 0) < (ssize_t)sizeof buf;
	return less > 0;
}

static bool gives_less(void)
{
	char buf[64] = { 0 };
	int sv[2], less = 0;

	pair(sv, SOCK_STREAM);
	for (int i = 0; i < 20; i++) {
		MUST(write(sv[1], buf, sizeof buf) == sizeof buf);
		less += recv(sv[0], buf, sizeof buf, 0) < (ssize_t)sizeof buf;
	}
	return less > 0;
}

static int udp(struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof *at;

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)at, len) == 0);
	MUST(getsockname(fd, (struct sockaddr *)at, &len) == 0);
	return fd;
}

static bool told_wrongly(void)
{
	struct sockaddr_in a, b, from = { 0 };
	int fd = udp(&a), other = udp(&b);
	socklen_t len = sizeof from;
	char buf[8];

	MUST(sendto(other, "abcd", 4, 0, (struct sockaddr *)&a, sizeof a) == 4);
	MUST(recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len) == 4);
	return from.sin_port != b.sin_port || memcmp(buf, "abcd", 4) != 0;
}

static bool mixed(void)
{
	struct sockaddr_in a, b, c, from = { 0 };
	int fd = udp(&a), one = udp(&b), two = udp(&c);
	socklen_t len = sizeof from;
	char buf[8];

	MUST(sendto(one, "1", 1, 0, (struct sockaddr *)&a, sizeof a) == 1);
	MUST(sendto(two, "2", 1, 0, (struct sockaddr *)&a, sizeof a) == 1);
	MUST(recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len) == 1);
	return from.sin_port != (*buf == '1' ? b.sin_port : c.sin_port);
}

/* Twenty datagrams, each a letter. */
static bool careless(void)
{
	struct sockaddr_in a, b;
	int fd = udp(&a), sender = udp(&b), n = 0;
	char c, got[64] = { 0 };

	MUST(connect(sender, (struct sockaddr *)&a, sizeof a) == 0);
	for (c = 'a'; c < 'u'; c++)
		MUST(send(sender, &c, 1, 0) == 1);
	while (n < 60 && recv(fd, got + n, 1, MSG_DONTWAIT) == 1)
		n++;
	return strcmp(got, "abcdefghijklmnopqrst") != 0;
}

static bool fifo_opens(int flags)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof path, "/tmp/plumb-probe.%d", (int)getpid());
	MUST(mkfifo(path, 0600) == 0);
	(void)alarm(1);
	fd = open(path, flags | O_CLOEXEC);
	(void)unlink(path);
	return fd >= 0;
}

static void nothing(int signo)
{
}

static bool hasty(void)
{
	MUST(sigaction(SIGALRM, &(struct sigaction){ .sa_handler = nothing }, NULL) == 0);
	return fifo_opens(O_RDONLY);
}

static bool lonely(void)
{
	return fifo_opens(O_WRONLY | O_NONBLOCK);
}

const struct pl_probe pl_socket_probes[] = {
	{ "send-drop,every=1", dropped },
	{ "send-lose,every=1", dropped },
	{ "send-no-epipe", deaf },
	{ "recv-double,every=1", doubled },
	{ "recv-early-eof", early_eof },
	{ "recv-peek-takes", peek_takes },
	{ "recvmsg-no-ctrunc", no_ctrunc },
	{ "recvmsg-leak", leaks },
	{ "recvmsg-mistaken", mistakes },
	{ "sendmsg-leak", keeps_what_is_sent },
	{ "recv-joins,within=0", joins },
	{ "shutdown-discards", discards },
	{ "odd-short-send,p=1", takes_less },
	{ "odd-short-recv,p=1", gives_less },
	{ "odd-udp,p=1", careless },
	{ "recvfrom-mixed,every=1", mixed },
	{ "recvfrom-liar,every=1", told_wrongly },
	{ "recvfrom-flip,every=1", told_wrongly },
	{ "fifo-open-hasty", hasty },
	{ "fifo-open-lonely", lonely },
	{ 0 },
};
