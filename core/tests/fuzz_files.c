/* SPDX-License-Identifier: MIT
 *
 * Histories from any bytes. The input is a stack of small files: each is as long as its first two bytes say. Heads are
 * repaired by default, or the fuzzer would never get behind the magic; the first byte's top bit leaves them as they are.
 */
#include "fuzz_history.h"

#include "check/file.h"

#include <stdlib.h>
#include <string.h>

enum { FILES = 6, HEAD_BYTES = 24, FILE_MAX = PL_HIST_HEAD + 64 * PL_REC };

/* A whole head around the few bytes that matter. */
static void repair(struct pl_hist_head *h, const uint8_t *d, int index, uint64_t n, int model)
{
	static const uint8_t roles[] = { PL_PUT, PL_TAKE, PL_ACQUIRE, PL_RELEASE, PL_REPAIR,
		PL_OBSERVE, PL_UPDATE };
	static const uint32_t more[] = { PL_LOWEST, PL_OWNED, PL_FREED, PL_LATE };

	memcpy(h->magic, PL_HIST_MAGIC, sizeof h->magic);
	h->version = PL_HIST_VERSION;
	h->endian = PL_HIST_ENDIAN;
	h->head_size = PL_HIST_HEAD;
	h->rec_size = PL_REC;
	h->head = n;
	h->capacity = d[1];
	h->model = (uint32_t)model;
	h->caps = d[3] & 1 ? PL_ROBUST : 0;
	for (int i = 0; i < 4; i++)
		h->caps |= d[3] >> (i + 1) & 1 ? more[i] : 0;
	h->pid = d[6] & 7;
	h->actor = index == 0 ? PL_CONTROL : (uint16_t)(index - 1);
	h->flags = index == 0 ? (d[4] & ~(uint32_t)PL_HIST_FULL) | PL_HIST_ENDED : 0;
	h->flags |= d[5] == 0xff ? PL_HIST_FULL : 0;
	h->nops = sizeof roles;
	for (size_t i = 0; i < sizeof roles; i++)
		h->op[i].role = roles[i], h->op[i].number = d[3] >> 5 & 1;
}

/* Records that make a history: stamps in order, few tokens (random ones never meet), calls without end only at the end,
 * reads as long as their pieces. What the fuzzer finds wrong with such is worth more. */
static void narrow(struct pl_rec *rec, size_t n)
{
	int64_t t = 0;

	for (size_t i = 0; i < n; i++) {
		struct pl_rec *r = &rec[i];

		r->state = r->state % 6;
		r->op = r->op >= 240 ? r->op : r->op % 8;
		if (r->state == PL_MORE) {
			struct pl_more *m = (struct pl_more *)r;

			m->len &= 0xff, m->offset &= 0xff, m->token &= (uint64_t)7 << 48 | 7,
				m->kind %= 4;
			continue;
		}
		r->state = r->state == PL_INVOKED && i + 1 < n ? PL_OK : r->state;
		r->seq = (uint32_t)i;
		r->token &= (uint64_t)7 << 48 | 7;
		r->aux &= r->op == 6 ? (uint64_t)7 << 48 | 7 : 0xff, r->len &= 0x1fff,
			r->ret &= 0xff;
		r->t_invoke = t += r->t_invoke & 15;
		r->t_return = t += r->t_return & 15;
		for (size_t k = i + 1; k < n && rec[k].state % 6 == PL_MORE && r->op == 1; k++)
			r->ret = k == i + 1 ? rec[k].t_invoke & 0xff
					    : r->ret + (rec[k].t_invoke & 0xff);
		if (i + 1 < n && rec[i + 1].state % 6 == PL_MORE && r->op == 1)
			r->token = 0;
	}
}

static size_t next_file(const uint8_t **data, size_t *size, uint8_t *file, int index, int *model)
{
	const uint8_t *d = *data;
	size_t n, recs;

	if (*size < HEAD_BYTES + 2)
		return 0;
	n = (size_t)(d[0] | d[1] << 8) % (FILE_MAX - PL_HIST_HEAD + HEAD_BYTES) + HEAD_BYTES;
	n = n < *size - 2 ? n : *size - 2;
	d += 2;
	*data += 2 + n;
	*size -= 2 + n;
	memset(file, 0, PL_HIST_HEAD);
	memcpy(file, d, HEAD_BYTES);
	memcpy(file + PL_HIST_HEAD, d + HEAD_BYTES, n - HEAD_BYTES);
	recs = (n - HEAD_BYTES) / PL_REC;
	*model = index == 0 ? d[2] % PL_MODELS : *model;
	if (!(d[0] & 0x80))
		repair((struct pl_hist_head *)file, d, index, recs, *model);
	if (!(d[0] & 0x40))
		narrow((struct pl_rec *)(file + PL_HIST_HEAD), recs);
	return PL_HIST_HEAD + n - HEAD_BYTES;
}

void fuzz_files(const uint8_t *data, size_t size)
{
	static uint8_t *copy[FILES];
	struct pl_log logs[FILES] = { 0 };
	char why[160];
	int n = 0, files = 0, model = 0;

	for (; files < FILES; files++) {
		static _Alignas(8) uint8_t file[FILE_MAX + PL_REC];
		size_t len = next_file(&data, &size, file, files, &model);

		if (len == 0)
			break;
		copy[files] =
			malloc(len); /* just as long as it is: a sanitizer sees the byte after it */
		memcpy(copy[files], file, len);
		why[0] = 0;
		if (pl_file_parse(copy[files], len, &logs[n], why, sizeof why) == 0)
			n += pl_file_records(&logs[n], why, sizeof why) == 0 || !(len & 64);
		else if (!why[0])
			abort();
	}
	fuzz_judge(logs, n, false);
	while (files > 0)
		free(copy[--files]);
}
