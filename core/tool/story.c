/* SPDX-License-Identifier: MIT
 *
 * A violation's story: printed; and the histories of the few operations that are enough, in files that can be
 * judged alone.
 */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void story_print(const struct round *r, const struct pl_verdict *v, const struct pl_story *s)
{
	const char *promise = pl_promise(r->logs[0].head->model, v->rule);
	const char *line = s->drawing, *end;

	if (*promise)
		printf("  promised: %s\n", promise);
	if (s->n == 0)
		return;
	if (s->enough)
		printf("  %" PRIu64 " of %" PRIu64 " operations are enough to show it", s->ops,
			s->of);
	else
		printf("  the operations in question, of %" PRIu64, s->of);
	if (s->level >= 0)
		printf("; before them the number was %" PRId64, s->level);
	printf(":\n");
	for (; *line; line = *end ? end + 1 : end) {
		end = strchr(line, '\n');
		end = end ? end : line + strlen(line);
		printf("  %.*s\n", (int)(end - line), line);
	}
}

static int write_log(const char *folder, const struct pl_log *l)
{
	const struct pl_hist_head *h = l->head;
	static const char zero[PL_HIST_HEAD];
	size_t left = PL_HIST_HEAD - sizeof *h;
	char path[PATH_MAX];
	FILE *f;
	bool ok;

	if (h->actor == PL_CONTROL)
		(void)snprintf(path, sizeof path, "%s/inst-%u.round-%u.control.hist", folder,
			h->inst, h->round);
	else
		(void)snprintf(path, sizeof path, "%s/inst-%u.round-%u.actor-%u.hist", folder,
			h->inst, h->round, h->actor);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	ok = fwrite(h, sizeof *h, 1, f) == 1 && fwrite(zero, left, 1, f) == 1 &&
	     fwrite(l->rec, PL_REC, l->n, f) == l->n;
	return fclose(f) == 0 && ok ? 0 : -errno;
}

int story_write(const char *folder, const struct pl_part_of *part)
{
	int rc = mkdir(folder, 0777) == 0 || errno == EEXIST ? 0 : -errno;

	for (int i = 0; rc == 0 && i < part->n; i++)
		rc = write_log(folder, &part->logs[i]);
	if (rc == 0)
		return 0;
	(void)fprintf(stderr, "plumb-check: %s: %s\n", folder, strerror(-rc));
	return -1;
}
