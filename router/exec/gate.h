/*
 * The gate: snapshots of several shards that are of one moment. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_GATE_H
#define ROUTER_EXEC_GATE_H

#include "router/exec/exec_int.h"

/*
 * How a statement's parts take their snapshots at the gate. The functions append to `out`, the part's connection's.
 */
struct gate_ops {
    /* What comes before a try: BEGIN, settings; with its expectations and a Sync (or as a Query). False: nothing. */
    bool (*settle)(struct exec *x, struct part *p, struct strbuf *out);
    /*
     * Take the snapshot: Parse and Bind, for which one BindComplete comes. NULL: it is taken when the statement is
     * executed, which go() does; exec_gate_repeats() says afterwards whether that is to be done again.
     */
    void (*bind)(struct exec *x, struct part *p, struct strbuf *out);
    /* What ends the try, before a Sync: the next one takes another snapshot. */
    void (*release)(struct exec *x, struct part *p, struct strbuf *out);
    /* All snapshots are of one moment. */
    void (*go)(struct exec *x);
    /* x->failed, and nothing is outstanding. */
    void (*failed)(struct exec *x);
};
/* Does the session want statements over several shards to see one moment? */
bool exec_gate_on(const struct exec *x);
/* All leases are there: take snapshots on all parts, then ops->go(). */
void exec_gate_begin(struct exec *x, const struct gate_ops *ops);
/*
 * The session's transaction has one snapshot (REPEATABLE READ) and has not reached any server yet: begin it on all
 * parts and take its snapshot on them together; then(x), when all is quiet. Parts are made, leases held.
 */
void exec_gate_snapshot(struct exec *x, void (*then)(struct exec *x));
/*
 * The parts are at the gate: their first statement has not been executed. Then x->failed ends it by exec_gate_failed():
 * at once or when the connections are quiet.
 */
bool exec_gate_busy(const struct exec *x);
void exec_gate_failed(struct exec *x);
/* A frame of a part; true: dealt with. */
bool exec_gate_frame(struct exec *x, struct part *p, char type, struct span body);
/* A part's connection was lost, p->backend is NULL already; true: dealt with. */
bool exec_gate_lost(struct exec *x, struct part *p);
void exec_gate_cancel(struct exec *x);
/* The statement's parts are done. True: it is done again, from the beginning. */
bool exec_gate_repeats(struct exec *x);
/* Nothing may reach the client yet: it may have to be done again. */
bool exec_gate_withholds(const struct exec *x);
/* The savepoint to which a change may have to go back, before it; returns how many commands that are. */
uint32_t exec_gate_put_savepoint(struct exec *x, struct part *p, struct strbuf *out);
void exec_gate_fini(struct exec *x);
/* Run the statement on all parts, at the gate if it reads. */
void exec_gate_statement(struct exec *x);

#endif
