/* SPDX-License-Identifier: MIT
 *
 * From files to rounds: files of one run, instance and round belong together, whoever wrote them. A round of which a
 * file cannot be read is not judged: what is missing would look like a message that nobody sent.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

struct rounds {
	const struct files *f;
	const struct options *o;
	int next;
	struct pl_log *mapped, *logs; /* as they are in the files; as they are judged */
	size_t *size;
	struct pl_hist_head *heads;
	int nmapped, njoined;
};

struct rounds *rounds_new(const struct files *f, const struct options *o)
{
	struct rounds *r = calloc(1, sizeof *r);
	size_t n = (size_t)f->n + 1;

	if (!r)
		return NULL;
	*r = (struct rounds){ .f = f, .o = o };
	r->mapped = calloc(n, sizeof *r->mapped);
	r->logs = calloc(n, sizeof *r->logs);
	r->size = calloc(n, sizeof *r->size);
	r->heads = o->model >= 0 ? calloc(n, sizeof *r->heads) : NULL;
	if (r->mapped && r->logs && r->size && (r->heads || o->model < 0))
		return r;
	rounds_free(r);
	return NULL;
}

/* The mapping is read-only: another model needs another header. */
static void override(struct pl_log *l, struct pl_hist_head *h, int model)
{
	*h = *l->head;
	h->model = (uint32_t)model;
	l->head = h;
}

static void forget(struct rounds *r)
{
	for (int i = 0; i < r->njoined; i++) {
		free((void *)r->logs[i].head);
		free((void *)r->logs[i].rec);
	}
	for (int i = 0; i < r->nmapped; i++)
		pl_file_unmap(&r->mapped[i], r->size[i]);
	r->nmapped = r->njoined = 0;
}

static bool complain(const char *path, const char *why)
{
	(void)fprintf(stderr, "plumb-check: %s: %s\n", path, why);
	return false;
}

static bool take(struct rounds *r, const struct file *f)
{
	int i = r->nmapped;
	char why[160];

	if (pl_file_map(f->path, &r->mapped[i], &r->size[i], why, sizeof why) < 0)
		return complain(f->path, why);
	r->nmapped++;
	if (pl_file_records(&r->mapped[i], why, sizeof why) < 0)
		return complain(f->path, why);
	if (i > 0 && !r->o->join && r->mapped[i].head->actor == r->mapped[i - 1].head->actor)
		return complain(f->path, "another file of this round is the same actor's");
	r->logs[i] = r->mapped[i];
	if (r->o->model >= 0)
		override(&r->logs[i], &r->heads[i], r->o->model);
	return true;
}

/* In place of the halves, what they are together. */
static bool join(struct rounds *r)
{
	struct pl_log *all = calloc((size_t)r->nmapped + 1, sizeof *all);
	const char *why = "out of memory";
	int n = all ? pl_join(r->logs, r->nmapped, all, &why) : -1;

	if (n < 0) {
		(void)fprintf(stderr, "plumb-check: %s\n", why);
		free(all);
		return false;
	}
	free(r->logs);
	r->logs = all;
	r->njoined = n;
	return true;
}

/* Files that are no histories may be of any round: then only one that says that it is whole is judged. */
static bool may_lack(const struct rounds *r)
{
	const struct pl_hist_head *last = r->mapped[r->nmapped - 1].head;

	return r->f->strange && (last->actor != PL_CONTROL || last->actors == 0);
}

int rounds_next(struct rounds *r, struct round *ret)
{
	const struct file *f = &r->f->file[r->next];
	bool good = true;

	forget(r);
	if (r->next == r->f->n)
		return 0;
	for (; r->next < r->f->n && (r->o->join || files_same_round(f, &r->f->file[r->next]));
		r->next++)
		good = good && take(r, &r->f->file[r->next]);
	if (good && may_lack(r))
		good = complain(f->path, "its round is not judged: a file of it may be missing");
	if (!good)
		return -BROKEN;
	if (r->o->join && !join(r))
		return -INCONCLUSIVE;
	*ret = (struct round){ .logs = r->logs, .n = r->o->join ? r->njoined : r->nmapped };
	return 1;
}

void rounds_free(struct rounds *r)
{
	if (!r)
		return;
	forget(r);
	free(r->mapped);
	free(r->logs);
	free(r->size);
	free(r->heads);
	free(r);
}
