#include "kit.h"
void pl_actor_stages(struct pl_env *e, uint32_t seen) {}
