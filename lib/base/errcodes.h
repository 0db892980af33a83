/*
 * Every error the router itself can raise: stable id, SQLSTATE, title. docs/errors.md has a line for each (a test
 * compares). Ranges: PB01 wire and protocol, PB02 planner, PB03 router and pools, PB04 directory and shard map, PB05
 * configuration and command line, PB06 workflows.
 */
#ifndef BASE_ERRCODES_H
#define BASE_ERRCODES_H

/* clang-format off */
#define ERRCODES(X) \
    X(PB0101, "08P01", "protocol violation") \
    X(PB0102, "54000", "message too large") \
    X(PB0103, "0A000", "protocol feature not supported") \
    X(PB0104, "22P04", "bad COPY data") \
    X(PB0105, "22P03", "bad binary value") \
    X(PB0201, "0A000", "statement cannot be run across shards") \
    X(PB0202, "42601", "syntax error") \
    X(PB0203, "54001", "statement too complex") \
    X(PB0204, "0A000", "statement kind not supported") \
    X(PB0205, "0A000", "function may read or write other shards") \
    X(PB0206, "0A000", "sharding key cannot be determined") \
    X(PB0207, "0A000", "object cannot be distributed") \
    X(PB0208, "42P01", "table does not exist") \
    X(PB0209, "42703", "column does not exist") \
    X(PB0301, "08006", "connection to a shard failed") \
    X(PB0302, "53300", "no connection became free in time") \
    X(PB0303, "25P02", "current transaction is aborted") \
    X(PB0304, "26000", "prepared statement does not exist") \
    X(PB0305, "34000", "portal does not exist") \
    X(PB0306, "3D000", "database does not exist") \
    X(PB0307, "57P01", "the router is shutting down") \
    X(PB0308, "53200", "memory limit reached") \
    X(PB0309, "57014", "canceled") \
    X(PB0310, "XX000", "shards disagree") \
    X(PB0311, "01000", "commit over several shards is not atomic") \
    X(PB0312, "28000", "login refused") \
    X(PB0313, "0A000", "session feature not supported") \
    X(PB0314, "42P05", "prepared statement already exists") \
    X(PB0315, "40P01", "deadlock over several shards") \
    X(PB0317, "40000", "distributed transaction rolled back") \
    X(PB0318, "08007", "outcome of a distributed commit unknown") \
    X(PB0319, "28P01", "password refused") \
    X(PB0320, "28000", "too many failed logins") \
    X(PB0324, "40001", "no consistent view of several shards") \
    X(PB0401, "58030", "directory file cannot be used") \
    X(PB0402, "22023", "invalid layout") \
    X(PB0403, "42704", "unknown object in the directory") \
    X(PB0404, "42710", "object already in the directory") \
    X(PB0501, "F0000", "configuration error") \
    X(PB0502, "22023", "invalid command line") \
    X(PB0503, "42601", "unknown console command") \
    X(PB0504, "58000", "system call failed") \
    X(PB0601, "55000", "workflow cannot run") \
    X(PB0602, "08006", "workflow lost a server")
/* clang-format on */

enum err_id {
    ERR_NONE = 0,
#define X(id, state, title) id,
    ERRCODES(X)
#undef X
        ERR_ID_COUNT
};

#endif
