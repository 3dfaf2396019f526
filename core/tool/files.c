/* SPDX-License-Identifier: MIT
 *
 * Which history files there are, by what their heads say. Only heads are kept, so that a folder of a long run fits.
 */
#include "tool.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH = 16, PATH = 4096 }; /* of folders; bytes of a path */

static void complain(struct files *f, const char *path, const char *why)
{
	(void)fprintf(stderr, "plumb-check: %s: %s\n", path, why);
	f->strange = true;
}

static void add(struct files *f, const char *path, const struct pl_hist_head *h)
{
	struct file *more = f->file;

	if ((f->n & (f->n - 1)) == 0)
		more = reallocarray(f->file, f->n ? (size_t)f->n * 2 : 1, sizeof *more);
	if (!more) {
		f->nomem = true;
		return;
	}
	f->file = more;
	more[f->n] = (struct file){
		.path = strdup(path), .inst = h->inst, .round = h->round, .actor = h->actor
	};
	memcpy(more[f->n].run, h->run, sizeof h->run);
	f->nomem |= !more[f->n].path;
	f->n += !f->nomem;
}

static void add_file(struct files *f, const char *path)
{
	struct pl_log log;
	char why[160];
	size_t size;

	if (pl_file_map(path, &log, &size, why, sizeof why) < 0) {
		complain(f, path, why);
		return;
	}
	add(f, path, log.head);
	pl_file_unmap(&log, size);
}

static bool is_history(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && !strcmp(name + n - 5, ".hist");
}

/* 1 when it was a folder. A link to a folder is followed only if it was named. */
static int add_folder(struct files *f, const char *path, int depth)
{
	DIR *d = opendir(path);
	char below[PATH];
	struct dirent *e;
	struct stat st;

	if (!d)
		return 0;
	while ((e = readdir(d)) && !f->nomem) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
			snprintf(below, sizeof below, "%s/%s", path, e->d_name) >= PATH)
			continue;
		if (is_history(e->d_name))
			add_file(f, below);
		else if (depth < DEPTH && lstat(below, &st) == 0 && S_ISDIR(st.st_mode) &&
			 !add_folder(f, below, depth + 1))
			complain(f, below, strerror(errno));
	}
	(void)closedir(d);
	return 1;
}

void files_add(struct files *f, const char *path)
{
	struct stat st;
	int before = f->n;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		add_file(f, path);
	else if (!add_folder(f, path, 0))
		complain(f, path, strerror(errno));
	else if (f->n == before && !f->strange && !f->nomem)
		complain(f, path, "no *.hist file in this folder");
}

static int by_round(const struct file *a, const struct file *b)
{
	int c = memcmp(a->run, b->run, sizeof a->run);

	if (c == 0)
		c = (a->inst > b->inst) - (a->inst < b->inst);
	return c ? c : (a->round > b->round) - (a->round < b->round);
}

static int in_order(const void *a, const void *b)
{
	const struct file *x = a, *y = b;
	int c = by_round(x, y);

	if (c == 0)
		c = (x->actor > y->actor) - (x->actor < y->actor);
	return c ? c : strcmp(x->path, y->path);
}

void files_sort(struct files *f)
{
	if (f->n > 0)
		qsort(f->file, (size_t)f->n, sizeof *f->file, in_order);
}

bool files_same_round(const struct file *a, const struct file *b)
{
	return by_round(a, b) == 0;
}

bool files_of_one_round(const struct files *f)
{
	return f->n == 0 || files_same_round(&f->file[0], &f->file[f->n - 1]);
}

void files_free(struct files *f)
{
	for (int i = 0; i < f->n; i++)
		free(f->file[i].path);
	free(f->file);
}
