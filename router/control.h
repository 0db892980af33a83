/*
 * Work that blocks, off the loops: loading catalogs and templates, layout changes, configuration files. A few threads
 * take jobs from one bounded queue; the answer goes back to the asking loop as a message.
 */
#ifndef ROUTER_CONTROL_H
#define ROUTER_CONTROL_H

#include "base/bug.h"
#include "base/list.h"
#include "net/loop.h"

#include <stdbool.h>

struct control;

struct control_job {
    struct loop_message done; /* posted to `loop` after run; done.fn owns the job then */
    struct loop *loop;
    struct list node;
    void (*run)(struct control_job *job); /* on a control thread */
};

struct control *control_new(unsigned nthread);
/* Queue a job. Any thread. False when 1,024 jobs wait already (nothing happens then). */
MUSTCHECK bool control_submit(struct control *c, struct control_job *job);
/* Runs what is queued to its end, then ends the threads. */
void control_free(struct control *c);

#endif
