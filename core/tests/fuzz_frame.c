/* SPDX-License-Identifier: MIT
 *
 * libFuzzer: any bytes on stdin. They go through the frame reader and the request table of a
 * control process that has been initialised but can start no actor: every id is used, every actor
 * dead.
 */
#include "../kit/kit.h"
#include "../kit/raw.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static long nothing(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return 0;
}

static long open_nothing(struct pl_obj *o, const struct pl_args *a)
{
	return 0;
}

static const struct pl_variant variants[] = {
	{ "plain", PL_MODEL_FIFO, PL_ANONYMOUS },
	{ "named", PL_MODEL_FIFO, PL_NAMES },
	{ 0 },
};
static const struct pl_op ops[] = {
	{ "put", nothing, PL_PUT, PL_BLOCKS, { { "size", 0, 100, 24, 64, 32, PL_SIZE } },
		.weight = 1 },
	{ "take", nothing, PL_TAKE, PL_TIMED | PL_DRAIN,
		{ { "size", 0, 100, 64, 64, 64, PL_SIZE } }, .weight = 1 },
	{ 0 },
};
static const struct pl_driver driver = {
	.name = "fuzz",
	.title = "nothing",
	.variants = variants,
	.ops = ops,
	.open = open_nothing,
	.open_args = { { "depth", 0, 9 } },
};

static struct pl_frame in;
static int feed[2];

static void set_up(void)
{
	struct pl_ctl *c = &pl_ctl;
	unsigned i;

	c->drv = &driver;
	c->ops = pl_ops_table(&driver, &c->nops);
	c->sharedfd = (int)syscall(SYS_memfd_create, "fuzz", 1U);
	assert(ftruncate(c->sharedfd, (off_t)pl_shared_size()) == 0);
	c->shared = pl_shared_map(c->sharedfd);
	c->out = (int)raw_open("/dev/null", O_WRONLY, 0);
	c->in = -1;
	c->stop_id = -1;
	c->inited = true;
	c->nactors = PL_ACTORS_MAX;
	for (i = 0; i < PL_ACTORS_MAX; i++)
		c->actor[i] = (struct pl_actor){ .chan = -1, .retired = true };
	assert(pipe(feed) == 0);
}

static void lines(void)
{
	char *line;
	size_t len;
	int r;

	while ((r = pl_frame_next(&in, &line, &len)) != 0) {
		assert(r == 1 || r == -EMSGSIZE);
		pl_request(r > 0 ? line : NULL, r > 0 ? len : 0);
		pl_ctl.stopping = pl_ctl.input_over = false;
		pl_ctl.bad_lines = 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pollfd p = { .events = POLLIN };
	size_t at, n;

	if (!pl_ctl.drv)
		set_up();
	p.fd = feed[0];
	for (at = 0; at <= size; at += n) {
		n = size - at < 30000 ? size - at : 30000;
		if (n == 0) { /* whatever it was, it ends here */
			assert(write(feed[1], "\n", 1) == 1);
			n = 1;
		} else
			assert(write(feed[1], data + at, n) == (ssize_t)n);
		for (p.revents = 0; raw_poll(&p, 1, 0, NULL) > 0;) {
			assert(pl_frame_fill(&in, feed[0]) == 0);
			lines();
		}
	}
	json_decref(pl_objects_drop());
	return 0;
}
