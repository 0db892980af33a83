#include "router/txn/waitgraph.h"

#include "base/bug.h"
#include "base/hmap.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

struct node {
    struct hmap_node by_id;
    uint64_t id, age;
    uint32_t number;
    bool candidate;
    bool stuck; /* at the first look of waitgraph_solve */

    /* waitgraph_solve */
    bool live;              /* can go on, or has been taken out */
    bool out;               /* taken out: a victim, or a knot that nobody can be taken out of */
    uint32_t nall;          /* waits for all: those that cannot go on, as far as is known */
    bool any;               /* waits for any, and none of them can go on, as far as is known */
    uint32_t first, nedge;  /* its edges in `from` */
    uint32_t firstr, nback; /* edges that lead here, in `to` */
    uint32_t index, low;    /* Tarjan's numbers; index 0: not visited */
    uint32_t knot;          /* strongly connected component; NONE: not known yet */
    uint32_t next_edge;     /* where the search goes on */
    uint32_t via;           /* breadth-first search: the edge that it was reached by */
};

struct edge {
    uint32_t from, to;
    enum wait_kind kind;
};

struct waitgraph {
    struct node **nodes; /* owned, each */
    uint32_t nnode, node_cap;
    struct edge *edges;
    uint32_t nedge, edge_cap;
    struct hmap ids;
    uint32_t *from, *to; /* numbers of edges by their ends */
    uint32_t *queue, *stack;
    uint32_t nknot;
};

struct waitgraph *waitgraph_new(void)
{
    return mem_zalloc(sizeof(struct waitgraph));
}

void waitgraph_free(struct waitgraph *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; i < g->nnode; i++)
        free(g->nodes[i]);
    hmap_fini(&g->ids);
    free(g->nodes);
    free(g->edges);
    free(g);
}

static uint64_t mix(uint64_t id)
{
    id ^= id >> 31;
    return id * UINT64_C(0x9E3779B97F4A7C15);
}

uint32_t waitgraph_node(struct waitgraph *g, uint64_t id)
{
    struct node *n;

    for (struct hmap_node *h = hmap_first(&g->ids, mix(id)); h; h = hmap_next(h)) {
        n = CONTAINER_OF(h, struct node, by_id);
        if (n->id == id)
            return n->number;
    }
    if (g->nnode == g->node_cap) {
        g->node_cap = g->node_cap ? g->node_cap * 2 : 64;
        g->nodes = mem_realloc(g->nodes, g->node_cap * sizeof(struct node *));
    }
    n = mem_zalloc(sizeof(*n));
    n->id = id;
    n->number = g->nnode;
    hmap_insert(&g->ids, &n->by_id, mix(id));
    g->nodes[g->nnode++] = n;
    return n->number;
}

uint32_t waitgraph_nodes(const struct waitgraph *g)
{
    return g->nnode;
}

uint64_t waitgraph_id(const struct waitgraph *g, uint32_t node)
{
    return g->nodes[node]->id;
}

void waitgraph_candidate(struct waitgraph *g, uint32_t node, uint64_t age)
{
    g->nodes[node]->candidate = true;
    g->nodes[node]->age = age;
}

void waitgraph_spare(struct waitgraph *g, uint32_t node)
{
    g->nodes[node]->candidate = false;
}

uint32_t waitgraph_wait(struct waitgraph *g, uint32_t from, uint32_t to, enum wait_kind kind)
{
    BUG_ON(from >= g->nnode || to >= g->nnode);
    if (g->nedge == g->edge_cap) {
        g->edge_cap = g->edge_cap ? g->edge_cap * 2 : 64;
        g->edges = mem_realloc(g->edges, g->edge_cap * sizeof(*g->edges));
    }
    g->edges[g->nedge] = (struct edge){ .from = from, .to = to, .kind = kind };
    return g->nedge++;
}

bool waitgraph_stuck(const struct waitgraph *g, uint32_t node)
{
    return g->nodes[node]->stuck;
}

/* --- who can go on --- */

/* Edges by where they begin and by where they end. */
static void index_edges(struct waitgraph *g)
{
    uint32_t at = 0, back = 0;

    for (uint32_t i = 0; i < g->nnode; i++)
        g->nodes[i]->nedge = g->nodes[i]->nback = 0;
    for (uint32_t i = 0; i < g->nedge; i++) {
        g->nodes[g->edges[i].from]->nedge++;
        g->nodes[g->edges[i].to]->nback++;
    }
    for (uint32_t i = 0; i < g->nnode; i++) {
        struct node *n = g->nodes[i];

        n->first = at;
        n->firstr = back;
        at += n->nedge;
        back += n->nback;
        n->nedge = n->nback = 0;
    }
    for (uint32_t i = 0; i < g->nedge; i++) {
        struct node *from = g->nodes[g->edges[i].from], *to = g->nodes[g->edges[i].to];

        g->from[from->first + from->nedge++] = i;
        g->to[to->firstr + to->nback++] = i;
    }
}

static uint32_t set_live(const struct waitgraph *g, struct node *n, uint32_t nqueue)
{
    n->live = true;
    g->queue[nqueue] = n->number;
    return nqueue + 1;
}

/* From those who wait for nobody backwards; returns how many are left. */
static uint32_t find_live(struct waitgraph *g)
{
    uint32_t nqueue = 0;

    for (uint32_t i = 0; i < g->nnode; i++) {
        g->nodes[i]->live = g->nodes[i]->any = false;
        g->nodes[i]->nall = 0;
    }
    for (uint32_t i = 0; i < g->nedge; i++) {
        struct node *from = g->nodes[g->edges[i].from];

        if (g->edges[i].kind == WAIT_ANY)
            from->any = true;
        else
            from->nall++;
    }
    for (uint32_t i = 0; i < g->nnode; i++) {
        if (g->nodes[i]->out || (g->nodes[i]->nall == 0 && !g->nodes[i]->any))
            nqueue = set_live(g, g->nodes[i], nqueue);
    }
    for (uint32_t done = 0; done < nqueue; done++) {
        const struct node *n = g->nodes[g->queue[done]];

        for (uint32_t i = 0; i < n->nback; i++) {
            const struct edge *e = &g->edges[g->to[n->firstr + i]];
            struct node *from = g->nodes[e->from];

            if (from->live)
                continue;
            if (e->kind == WAIT_ANY)
                from->any = false;
            else
                from->nall--;
            if (from->nall == 0 && !from->any)
                nqueue = set_live(g, from, nqueue);
        }
    }
    return g->nnode - nqueue;
}

/* Does the edge keep its beginning back? Of a wait for any one it does not once one of them can go on. */
static bool binds(const struct waitgraph *g, uint32_t edge)
{
    const struct edge *e = &g->edges[edge];

    return !g->nodes[e->from]->live && !g->nodes[e->to]->live && (e->kind == WAIT_ALL || g->nodes[e->from]->any);
}

/* --- strongly connected components of what is stuck (Tarjan, without recursion) --- */

struct tarjan {
    uint32_t *open; /* visited, component not known; a stack */
    uint32_t nopen, depth, counter;
};

static void visit(const struct waitgraph *g, struct tarjan *t, struct node *n)
{
    n->index = n->low = ++t->counter;
    n->next_edge = 0;
    t->open[t->nopen++] = n->number;
    g->stack[t->depth++] = n->number;
}

static void close_component(struct waitgraph *g, struct tarjan *t, const struct node *n)
{
    uint32_t v;

    do {
        v = t->open[--t->nopen];
        g->nodes[v]->knot = g->nknot;
    } while (v != n->number);
    g->nknot++;
}

static void search(struct waitgraph *g, struct tarjan *t)
{
    while (t->depth) {
        struct node *n = g->nodes[g->stack[t->depth - 1]];

        if (n->next_edge < n->nedge) {
            uint32_t edge = g->from[n->first + n->next_edge++];
            struct node *to = g->nodes[g->edges[edge].to];

            if (!binds(g, edge))
                continue;
            if (to->index == 0)
                visit(g, t, to);
            else if (to->knot == NONE && to->index < n->low)
                n->low = to->index;
            continue;
        }
        t->depth--;
        if (n->low == n->index)
            close_component(g, t, n);
        if (t->depth && n->low < g->nodes[g->stack[t->depth - 1]]->low)
            g->nodes[g->stack[t->depth - 1]]->low = n->low;
    }
}

static void find_components(struct waitgraph *g)
{
    struct tarjan t = { .open = g->queue };

    g->nknot = 0;
    for (uint32_t i = 0; i < g->nnode; i++) {
        g->nodes[i]->index = 0;
        g->nodes[i]->knot = NONE;
    }
    for (uint32_t i = 0; i < g->nnode; i++) {
        if (g->nodes[i]->live || g->nodes[i]->index)
            continue;
        visit(g, &t, g->nodes[i]);
        search(g, &t);
    }
}

/* --- victims --- */

static bool younger(const struct node *a, const struct node *b)
{
    return a->age != b->age ? a->age < b->age : a->id > b->id;
}

/* A shortest way from the victim back to it. */
static void find_cycle(const struct waitgraph *g, struct waitgraph_victim *v)
{
    const struct node *start = g->nodes[v->node];
    uint32_t nqueue = 1, last = NONE, n = 0, at;

    for (uint32_t i = 0; i < g->nnode; i++)
        g->nodes[i]->via = NONE;
    g->queue[0] = v->node;
    for (uint32_t done = 0; done < nqueue && last == NONE; done++) {
        const struct node *node = g->nodes[g->queue[done]];

        for (uint32_t i = 0; i < node->nedge && last == NONE; i++) {
            uint32_t e = g->from[node->first + i];
            struct node *to = g->nodes[g->edges[e].to];

            if (!binds(g, e))
                continue;
            if (to == start) {
                last = e;
            } else if (to->knot == start->knot && to->via == NONE) {
                to->via = e;
                g->queue[nqueue++] = to->number;
            }
        }
    }
    BUG_ON(last == NONE); /* every member of a knot is on a cycle */
    for (at = last; at != NONE; at = g->nodes[g->edges[at].from]->via)
        n++;
    v->nedge = n < WAITGRAPH_CYCLE_MAX ? n : WAITGRAPH_CYCLE_MAX;
    for (at = last; at != NONE; at = g->nodes[g->edges[at].from]->via) {
        if (--n < v->nedge)
            v->edges[n] = at;
    }
}

/* Of each knot that waits for nobody else its victim goes out, or, if it has none to give, all of it. */
static uint32_t take_victims(struct waitgraph *g, struct waitgraph_victim *victims, uint32_t max)
{
    uint32_t n = 0;
    bool *leaves = mem_zalloc((g->nknot + 1) * sizeof(*leaves));
    uint32_t *best = mem_alloc((g->nknot + 1) * sizeof(*best));

    for (uint32_t k = 0; k < g->nknot; k++)
        best[k] = NONE;
    for (uint32_t i = 0; i < g->nedge; i++) {
        const struct node *from = g->nodes[g->edges[i].from], *to = g->nodes[g->edges[i].to];

        if (binds(g, i) && from->knot != to->knot)
            leaves[from->knot] = true;
    }
    for (uint32_t i = 0; i < g->nnode; i++) {
        const struct node *node = g->nodes[i];

        if (!node->live && node->candidate && !leaves[node->knot] &&
            (best[node->knot] == NONE || younger(node, g->nodes[best[node->knot]])))
            best[node->knot] = i;
    }
    for (uint32_t k = 0; k < g->nknot && n < max; k++) {
        if (best[k] == NONE)
            continue;
        victims[n].node = best[k];
        find_cycle(g, &victims[n++]);
    }
    for (uint32_t i = 0; i < g->nnode; i++) {
        struct node *node = g->nodes[i];

        if (!node->live && !leaves[node->knot] && (best[node->knot] == NONE || best[node->knot] == i))
            node->out = true;
    }
    free(leaves);
    free(best);
    return n;
}

uint32_t waitgraph_solve(struct waitgraph *g, struct waitgraph_victim *victims, uint32_t max)
{
    uint32_t n = 0, left;

    g->from = mem_alloc((g->nedge + 1) * sizeof(*g->from));
    g->to = mem_alloc((g->nedge + 1) * sizeof(*g->to));
    g->queue = mem_alloc((g->nnode + 1) * sizeof(*g->queue));
    g->stack = mem_alloc((g->nnode + 1) * sizeof(*g->stack));
    for (uint32_t i = 0; i < g->nnode; i++)
        g->nodes[i]->out = false;
    index_edges(g);
    left = find_live(g);
    for (uint32_t i = 0; i < g->nnode; i++)
        g->nodes[i]->stuck = !g->nodes[i]->live;
    while (left && n < max) {
        find_components(g);
        n += take_victims(g, victims + n, max - n);
        left = find_live(g);
    }
    free(g->from);
    free(g->to);
    free(g->queue);
    free(g->stack);
    return n;
}
