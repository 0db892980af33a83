/*
 * Deadlocks in a wait-for graph. Pure: nodes, edges and ages in, victims out.
 *
 * A node is a transaction. It waits either for all of some others (locks) or for any one of some others (a connection
 * that one of them has to give back), or for both: then both waits must end. A node can go on if it waits for nobody,
 * or if all of the first and one of the second can go on. What can never go on is stuck: deadlocked, or waiting behind
 * a deadlock. Among the stuck, those that wait (over others) for each other and for nobody else have to lose one of
 * them, the youngest that may be canceled; then the rest is looked at anew, as if that one had ended.
 *
 * Whatever the order in which nodes and edges are added, the victims are the same: every router that sees a cycle
 * chooses the same one. Not thread-safe.
 */
#ifndef ROUTER_TXN_WAITGRAPH_H
#define ROUTER_TXN_WAITGRAPH_H

#include <stdbool.h>
#include <stdint.h>

#define WAITGRAPH_CYCLE_MAX 16u

struct waitgraph;

enum wait_kind { WAIT_ALL, WAIT_ANY };

struct waitgraph_victim {
    uint32_t node;
    uint32_t nedge;                      /* of a shortest cycle through it, in order, beginning at it */
    uint32_t edges[WAITGRAPH_CYCLE_MAX]; /* numbers of edges; a longer cycle is cut off */
};

struct waitgraph *waitgraph_new(void);
void waitgraph_free(struct waitgraph *g); /* NULL is fine */

/* The node with this id, made when new: of no age, not to be canceled. Numbers count from 0. */
uint32_t waitgraph_node(struct waitgraph *g, uint64_t id);
uint32_t waitgraph_nodes(const struct waitgraph *g);
uint64_t waitgraph_id(const struct waitgraph *g, uint32_t node);
/* It may be canceled. The smallest age is the youngest; equal ages are decided by id, the greater one is younger. */
void waitgraph_candidate(struct waitgraph *g, uint32_t node, uint64_t age);
/* It may not be canceled after all. */
void waitgraph_spare(struct waitgraph *g, uint32_t node);

/* An edge; its number counts from 0. A wait for itself is one like others. */
uint32_t waitgraph_wait(struct waitgraph *g, uint32_t from, uint32_t to, enum wait_kind kind);

/* Up to `max` victims; returns how many. */
uint32_t waitgraph_solve(struct waitgraph *g, struct waitgraph_victim *victims, uint32_t max);
/* After waitgraph_solve: can nobody help it? Before any victim is canceled. */
bool waitgraph_stuck(const struct waitgraph *g, uint32_t node);

#endif
