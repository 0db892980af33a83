#include "load.h"

#include "base/mem.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CLIENTS 64u

enum kind { KIND_BANK, KIND_LIST, KIND_SERIALIZABLE, KIND_READER };

struct worker {
    struct client client;
    enum kind kind;
    pthread_t thread;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t round; /* -1: pause */
    bool quit;
    uint32_t running; /* clients inside a round */
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .round = -1 };

static _Atomic int64_t round_now = -1; /* state.round, without the lock */

static struct {
    pthread_mutex_t lock;
    FILE *file;
    uint64_t committed, aborted, unknown;
} history = { .lock = PTHREAD_MUTEX_INITIALIZER };

uint32_t client_random(struct client *c, uint32_t n)
{
    uint64_t x = c->rng += 0x9e3779b97f4a7c15u; /* splitmix64 */

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return (uint32_t)(x % n);
}

int64_t load_round(void)
{
    return atomic_load(&round_now);
}

/* --- the history --- */

static void load_line(const char *line)
{
    pthread_mutex_lock(&history.lock);
    if (history.file) {
        fputs(line, history.file);
        fputc('\n', history.file);
    }
    pthread_mutex_unlock(&history.lock);
}

void load_note(const char *format, ...)
{
    char line[500];
    va_list ap;

    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    load_line(line);
}

void load_count(enum outcome outcome)
{
    pthread_mutex_lock(&history.lock);
    history.committed += outcome == OUTCOME_COMMITTED;
    history.aborted += outcome == OUTCOME_ABORTED;
    history.unknown += outcome == OUTCOME_UNKNOWN;
    pthread_mutex_unlock(&history.lock);
}

void load_note_transaction(struct client *c, char kind, uint64_t id, const char *mode, enum outcome outcome,
                           const struct answer *a)
{
    struct strbuf line = STRBUF_INIT;

    strbuf_printf(&line, "%c %" PRIu64 " %u %s %c %s %s%s", kind, id, c->id, mode, (char)outcome,
                  a->sqlstate[0] ? a->sqlstate : "-", a->gtid[0] ? a->gtid : "-", strbuf_str(&c->ops));
    load_line(strbuf_str(&line));
    strbuf_fini(&line);
    load_count(outcome);
}

/* --- clients --- */

static void run_one(struct worker *w, int64_t round)
{
    switch (w->kind) {
    case KIND_BANK:
        bank_transfer(&w->client, round);
        break;
    case KIND_LIST:
        lists_transaction(&w->client, round, false);
        break;
    case KIND_SERIALIZABLE:
        lists_transaction(&w->client, round, true);
        break;
    case KIND_READER:
        bank_read(&w->client);
        break;
    }
}

static void *client_main(void *arg)
{
    struct worker *w = arg;

    pthread_mutex_lock(&state.lock);
    while (!state.quit) {
        int64_t round = state.round;

        if (round < 0) {
            pthread_cond_wait(&state.changed, &state.lock);
            continue;
        }
        state.running++;
        pthread_mutex_unlock(&state.lock);
        w->client.seq = 0;
        while (load_round() == round && client_connect(&w->client))
            run_one(w, round);
        pthread_mutex_lock(&state.lock);
        state.running--;
        pthread_cond_broadcast(&state.changed);
    }
    pthread_mutex_unlock(&state.lock);
    client_disconnect(&w->client);
    strbuf_fini(&w->client.ops);
    return NULL;
}

/* --- orders --- */

static void set_round(int64_t round, bool quit)
{
    pthread_mutex_lock(&state.lock);
    state.round = round;
    state.quit = quit;
    atomic_store(&round_now, round);
    pthread_cond_broadcast(&state.changed);
    while (round < 0 && state.running > 0)
        pthread_cond_wait(&state.changed, &state.lock);
    pthread_mutex_unlock(&state.lock);
}

static void order_go(const char *arguments)
{
    char file[500];
    long long round;

    if (sscanf(arguments, "%lld %499s", &round, file) != 2 || round < 0) {
        puts("what?");
        return;
    }
    history.file = fopen(file, "w");
    if (!history.file) {
        printf("%s: %s\n", file, strerror(errno));
        return;
    }
    history.committed = history.aborted = history.unknown = 0;
    set_round(round, false);
    puts("running");
}

static void order_pause(void)
{
    set_round(-1, false);
    if (history.file)
        fclose(history.file);
    history.file = NULL;
    printf("paused %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
           history.committed + history.aborted + history.unknown, history.committed, history.aborted, history.unknown);
}

static void obey(void)
{
    char line[600];

    while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0) {
        if (strncmp(line, "go ", 3) == 0)
            order_go(line + 3);
        else if (strcmp(line, "pause\n") == 0)
            order_pause();
        else
            puts("what?");
        fflush(stdout);
    }
}

/* --- start --- */

static bool read_accounts(struct load *l, const char *path)
{
    FILE *in = fopen(path, "r");
    long long account;
    unsigned shard;

    if (!in) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    while (fscanf(in, "%lld %u", &account, &shard) == 2 && shard < MAX_SHARDS) {
        uint32_t n = l->naccount[shard]++;

        l->accounts[shard] = mem_realloc(l->accounts[shard], (n + 1) * sizeof(int64_t));
        l->accounts[shard][n] = account;
        if (shard >= l->nshard)
            l->nshard = shard + 1;
    }
    fclose(in);
    for (uint32_t i = 0; i < l->nshard; i++) {
        if (l->naccount[i] < 3)
            return false;
    }
    return l->nshard > 0;
}

static bool read_options(struct load *l, int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },
        { "database", required_argument, NULL, 'd' },
        { "seed", required_argument, NULL, 's' },
        { "accounts", required_argument, NULL, 'a' },
        { "bank", required_argument, NULL, 'b' },
        { "lists", required_argument, NULL, 'l' },
        { "serializable", required_argument, NULL, 'z' },
        { "readers", required_argument, NULL, 'r' },
        { "gtid", no_argument, NULL, 'g' },
        { NULL, 0, NULL, 0 },
    };
    const char *accounts = NULL;

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const char *value = optarg ? optarg : "";
        uint32_t n = (uint32_t)strtoul(value, NULL, 10);

        switch (o) {
        case 'p':
            if (l->nport < MAX_PORTS)
                l->ports[l->nport++] = n;
            break;
        case 'd':
            l->database = value;
            break;
        case 's':
            l->seed = strtoull(value, NULL, 10);
            break;
        case 'a':
            accounts = value;
            break;
        case 'b':
            l->nbank = n;
            break;
        case 'l':
            l->nlist = n;
            break;
        case 'z':
            l->nserializable = n;
            break;
        case 'r':
            l->nreader = n;
            break;
        case 'g':
            l->gtid = true;
            break;
        default:
            return false;
        }
    }
    return l->nport && accounts && read_accounts(l, accounts) &&
           l->nbank + l->nlist + l->nserializable + l->nreader <= MAX_CLIENTS;
}

int main(int argc, char **argv)
{
    static struct load load = { .database = "test", .seed = 1, .nbank = 8, .nlist = 5, .nserializable = 3 };
    static struct worker workers[MAX_CLIENTS];
    uint32_t n = 0, of[] = { 0, 0, 0, 0 };

    if (!read_options(&load, argc, argv)) {
        fprintf(stderr, "usage: chaos_load --port PORT... --accounts FILE [--database NAME] [--seed N] [--bank N] "
                        "[--lists N] [--serializable N] [--readers N] [--gtid]\n");
        return 2;
    }
    of[KIND_BANK] = load.nbank;
    of[KIND_LIST] = load.nlist;
    of[KIND_SERIALIZABLE] = load.nserializable;
    of[KIND_READER] = load.nreader;
    for (int kind = KIND_BANK; kind <= KIND_READER; kind++) {
        for (uint32_t i = 0; i < of[kind]; i++, n++) {
            struct worker *w = &workers[n];

            w->kind = (enum kind)kind;
            w->client = (struct client){ .load = &load, .id = n, .rng = load.seed * 1000003u + n };
            if (pthread_create(&w->thread, NULL, client_main, w) != 0)
                return 1;
        }
    }
    obey();
    set_round(-1, true);
    for (uint32_t i = 0; i < n; i++)
        pthread_join(workers[i].thread, NULL);
    for (uint32_t i = 0; i < load.nshard; i++)
        free(load.accounts[i]);
    return 0;
}
