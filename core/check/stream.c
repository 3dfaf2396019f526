#include "internal.h"
void pl_check_stream(struct pl_case *c)
{
	pl_check_none(c);
}
