/*
 * DDL, and the catalog after it. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_DDL_H
#define ROUTER_EXEC_DDL_H

#include "router/exec/exec_int.h"

/* What a shard is sent of the statement itself. */
struct span exec_ddl_text(const struct exec *x, const struct part *p);
/* The text of DDL for one shard: under a sharding_key rule with what else its transaction must do there. */
void exec_put_ddl(struct exec *x, struct part *p, struct strbuf *out);
/*
 * After DDL has been committed: load the catalog again, then exec_step_done(). failed: on some shards only, and the
 * error has been told; exec_after_error() follows.
 */
void exec_reload_schema(struct exec *x, bool failed);
/* Of the parts keep one for each server. */
void exec_once_per_server(struct exec *x);
/*
 * After DDL in a transaction that goes on, or a rollback of some: load the catalog as the transaction sees it, then
 * answer with the tag and exec_step_done().
 */
void exec_load_catalog(struct exec *x);
enum exec_action exec_catalog_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_catalog_done(struct exec *x);

#endif
