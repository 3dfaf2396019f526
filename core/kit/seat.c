/* SPDX-License-Identifier: MIT
 *
 * Checkers at once, across the drivers of a run: each needs a seat, and a seat is the lock of one byte of a file that
 * all of them know. What a dead driver held the kernel gives back. A cap that saves the machine, not a promise: where
 * the file cannot be had or locked, or no seat gets free for long, the check goes on without.
 */
#include "kit.h"
#include "raw.h"

static struct {
	int fd;		     /* below 1: there is no cap */
	unsigned most, held; /* held: 1 + the byte; 0: none */
} seat;

static long lock(short type, unsigned byte)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return syscall(SYS_fcntl, seat.fd, F_OFD_SETLK, &l);
}

void pl_seat_file(const char *path, unsigned most)
{
	seat.fd = (int)raw_open(path, O_RDWR | O_CLOEXEC, 0);
	seat.most = most;
}

bool pl_seat_take(unsigned first)
{
	unsigned i;

	if (seat.fd < 1 || seat.held)
		return true;
	for (i = 0; i < seat.most; i++) {
		unsigned byte = (first + i) % seat.most;

		if (lock(F_WRLCK, byte) == 0) {
			seat.held = byte + 1;
			return true;
		}
		if (errno != EAGAIN && errno != EACCES)
			return true;
	}
	return false;
}

void pl_seat_leave(void)
{
	if (seat.held)
		(void)lock(F_UNLCK, seat.held - 1);
	seat.held = 0;
}
