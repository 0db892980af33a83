/*
 * Object ids of the shards in rows that the client gets (rule P37). For router/exec/ only.
 */
#ifndef ROUTER_EXEC_IDS_H
#define ROUTER_EXEC_IDS_H

#include "router/exec/exec_int.h"

/* A part has described its rows; false: they cannot be shown to the client. */
MUSTCHECK bool exec_ids_described(struct exec *x, struct part *p, struct span row_desc);
/* A row or COPY data that goes on to the client or is kept for it, once; false: the statement has failed. */
MUSTCHECK bool exec_ids_replace(struct exec *x, struct part *p, struct span body);
/* Must the part describe what it is bound to, although the client does not ask? */
bool exec_ids_asks(const struct exec *x, const struct part *p);
/* COPY TO in binary: a statement in front of it that only has its columns described; true: put, with the COPY. */
MUSTCHECK bool exec_ids_put_copy(struct exec *x, struct part *p, struct strbuf *out);
/* A frame that is too long for one read, but has to be seen whole. */
enum exec_action exec_ids_long_frame(struct exec *x, uint64_t frame);

#endif
