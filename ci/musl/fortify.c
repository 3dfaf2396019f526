/* SPDX-License-Identifier: MIT
 *
 * What a glibc-built static jansson asks of its libc and musl lacks: the checked forms of a few
 * functions, and glibc 2.38's names for strtol. Weak: a libc that has them wins. With -DPROBE it is
 * a program that needs all of it, to see at configuration whether such a link works here.
 */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHIM __attribute__((weak))

int __snprintf_chk(char *s, size_t n, int flag, size_t room, const char *format, ...);
int __vsnprintf_chk(char *s, size_t n, int flag, size_t room, const char *format, va_list ap);
char *__strncpy_chk(char *to, const char *from, size_t n, size_t room);
long long __isoc23_strtoll(const char *s, char **end, int base);

SHIM int __vsnprintf_chk(
	char *s, size_t n, int flag, size_t room, const char *format, va_list ap)
{
	if (n > room)
		abort();
	return vsnprintf(s, n, format, ap);
}

SHIM int __snprintf_chk(char *s, size_t n, int flag, size_t room, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = __vsnprintf_chk(s, n, flag, room, format, ap);
	va_end(ap);
	return r;
}

SHIM char *__strncpy_chk(char *to, const char *from, size_t n, size_t room)
{
	if (n > room)
		abort();
	return strncpy(to, from, n);
}

SHIM long long __isoc23_strtoll(const char *s, char **end, int base)
{
	return strtoll(s, end, base);
}

#ifdef PROBE
int main(void)
{
	json_t *v = json_loads("{\"a\":1}", 0, NULL);
	char *s = json_dumps(v, 0);

	return puts(s ? s : "") < 0;
}
#endif
