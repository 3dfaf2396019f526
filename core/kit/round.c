#include "kit.h"
#include "raw.h"
void pl_req_run(int64_t id, json_t *req) { pl_reply_err(id,"unsupported",true,NULL,"soon"); }
int64_t pl_round_timers(int64_t now) { return INT64_MAX; }
void pl_round_bell(void) {}
void pl_round_died(unsigned id, int64_t when) {}
void pl_round_checked(int status) {}
const char *pl_round_state(void) { return "idle"; }
bool pl_round_busy(void) { return false; }
void pl_control_note(int op, unsigned actor, int64_t a, int64_t b, int64_t ret, uint64_t aux) {}
int pl_lat_bucket(int64_t ns) {return 0;}
int64_t pl_lat_edge(int b) {return 0;}
