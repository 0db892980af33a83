/*
 * The consistent-read gate: a statement that reads several shards sees a transaction that wrote on two of them on both
 * or on none (DESIGN 6 "No half-seen commits"; rules X13-X20). One per router process; any thread.
 *
 * A distributed commit is *visible in part* from the sending of its decision until the last COMMIT PREPARED has been
 * acknowledged. A read takes its snapshots, one a shard, somewhere within its *window*: from before the first message
 * that takes one is sent until the last shard has said that it has. If no partly visible commit over two of the read's
 * shards overlaps the window, every such commit is in all of the snapshots or in none. If one does, the snapshots are
 * thrown away and taken again: nothing has been executed yet. So nothing waits for a lock here, and whoever holds
 * locks is never kept from committing by a reader that waits for them (rule X16); counters and lists are all there is.
 *
 *   read:    gate_read_begin -> Bind on all shards -> gate_read_end -> GATE_WHOLE: execute | GATE_TORN: again
 *   commit:  PREPARE ... -> gate_commit_begin -> decision, COMMIT PREPARED ... -> gate_commit_end | gate_commit_doubt
 *
 * A torn read waits for the commits that were partly visible when it tried, not for later ones. After GATE_TRIES it
 * asks committers over two of its shards to wait before their decision, for GATE_COMMIT_WAIT_MS at most each.
 *
 * In doubt (rule X18): a commit whose last step was not acknowledged, a shard whose connections were lost, and what an
 * earlier router may have left, stay partly visible until recovery (recovery.c) has looked at the shards concerned.
 *
 * Order (rule X20a): a client commits at B, hears of it, and commits at A; a read whose snapshot of B is from before
 * and whose snapshot of A is from after sees the second and not the first. Both fall into the read's window then, and
 * the message that causes the second commit arrives within it. So such a message is held until the windows over its
 * shard that were open when it came have closed, GATE_COMMIT_WAIT_MS at most; one that goes on after that time makes
 * these windows take their snapshots again. A window that opens later starts after the first commit was acknowledged
 * and sees it. This orders what a client of this router learns from acknowledgements. It does not order (b) what it
 * learns from reads of single shards, which may see one shard of a partly visible commit, nor chains through another
 * session's read of a commit that is not acknowledged yet. Messages of transactions that only read, and all messages
 * while no window is open, pay one atomic load.
 */
#ifndef ROUTER_TXN_GATE_H
#define ROUTER_TXN_GATE_H

#include "base/bug.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct gate;
struct gate_ticket;
struct loop;
struct map_db;

#define GATE_TRIES          3u  /* of a read, before committers are asked to wait */
#define GATE_COMMIT_WAIT_MS 20u /* longest time that a commit waits for reads */

struct gate *gate_new(void);
/* After all threads that use it have ended. */
void gate_free(struct gate *g);

/*
 * A read's or commit's place at the gate; belongs to the loop's thread. shards: directory ids, copied. fn(arg) is
 * called on that thread after a call that said "wait"; expired: the time was over first.
 */
typedef void gate_fn(void *arg, bool expired);
MUSTCHECK struct gate_ticket *gate_ticket_new(struct gate *g, struct loop *l, const uint32_t *shards, uint32_t n,
                                              gate_fn *fn, void *arg);
/* Out of everything: a window closes, a commit counts as ended, fn is not called any more. NULL is fine. */
void gate_ticket_free(struct gate_ticket *t);

/* --- reads --- */

enum gate_begin {
    GATE_OPEN,   /* the window is open: take the snapshots now */
    GATE_WAIT,   /* a commit is partly visible: fn is called when it no longer is; then begin again */
    GATE_REFUSED /* within timeout_ms of the first try there was no moment without one: 40001 */
};
enum gate_end { GATE_WHOLE, GATE_TORN };

/*
 * holds: commits of single shards are held while the window is open (X20); not for windows as long as a statement.
 * Each call is a try.
 */
MUSTCHECK enum gate_begin gate_read_begin(struct gate_ticket *t, bool holds, uint64_t timeout_ms);
/* The last snapshot has been taken. GATE_WHOLE ends the read (the ticket may begin another); else: begin again. */
MUSTCHECK enum gate_end gate_read_end(struct gate_ticket *t);

/* --- commits --- */

/* Is no window open that a commit of one shard would have to wait for? */
bool gate_quiet(const struct gate *g);
/*
 * The decision (or, of one shard, whatever commits) is about to be sent. False: fn is called within
 * GATE_COMMIT_WAIT_MS; then call it once more, which says true. Of several shards the commit is partly visible from
 * here to gate_ticket_free.
 */
MUSTCHECK bool gate_commit_begin(struct gate_ticket *t);
/* It is not known to be finished everywhere: stays partly visible until recovery has seen to it. Takes the ticket. */
void gate_commit_doubt(struct gate_ticket *t, const char *gtid);

/* --- recovery; its thread, but for gate_shard_lost --- */

/* A router starts: what an earlier one left on these shards is not known. */
void gate_doubt_database(struct gate *g, const struct map_db *db);
/* A shard's connection was lost: what it says when it is back may be less than what it had acknowledged. */
void gate_shard_lost(struct gate *g, uint32_t shard);
/* A prepared transaction was found, while looking at a shard since `since`, that no commit here accounts for. */
void gate_doubt_found(struct gate *g, const struct map_db *db, struct span gtid, uint64_t since);
/* ... is still there and cannot be finished yet: this look does not count for it. */
void gate_doubt_again(struct gate *g, struct span gtid);
/* Now, for gate_shard_clean: before the shard is looked at. */
uint64_t gate_now(struct gate *g);
/* Nothing that was prepared on the shard before `since` is left. */
void gate_shard_clean(struct gate *g, uint32_t shard, uint64_t since);
bool gate_in_doubt(struct gate *g);

/* --- others --- */

/* The owner of rows has changed (rule X33): windows over these shards take their snapshots again. */
void gate_bump(struct gate *g, const uint32_t *shards, uint32_t n);

struct gate_stats {
    uint64_t reads;    /* that got snapshots */
    uint64_t retries;  /* snapshots taken again */
    uint64_t waits;    /* reads that waited for a commit */
    uint64_t refused;  /* reads that waited too long */
    uint64_t commits;  /* of several shards */
    uint64_t held;     /* commits that waited for a read */
    uint64_t expired;  /* ... and were not waited for any longer */
    uint64_t accepted; /* reads that took snapshots although a commit of one shard had come between (X20) */
    uint32_t open;     /* windows now */
    uint32_t partly;   /* partly visible commits now */
    uint32_t in_doubt; /* ... of them in doubt */
};
void gate_stats(struct gate *g, struct gate_stats *out);

#endif
