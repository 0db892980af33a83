/*
 * Constants of PostgreSQL's frontend/backend protocol 3 (PostgreSQL documentation, chapter "Frontend/Backend
 * Protocol").
 */
#ifndef WIRE_PROTO_H
#define WIRE_PROTO_H

#include <stdint.h>

/* First messages carry no type byte: int32 length, int32 code. */
#define PROTO_VERSION_3   0x00030000u
#define PROTO_CANCEL      0x04D2162Eu /* 80877102 */
#define PROTO_SSL         0x04D2162Fu /* 80877103 */
#define PROTO_GSSENC      0x04D21630u /* 80877104 */
#define PROTO_STARTUP_MAX 10004u      /* bytes, the length included, as in PostgreSQL */
#define PROTO_MESSAGE_MAX 0x3FFFFFFFu /* that PostgreSQL takes of any message */
#define PROTO_HEADER      5u          /* type byte and int32 length; the length counts itself, not the type */

enum fe_type {
    FE_BIND = 'B',
    FE_CLOSE = 'C',
    FE_DESCRIBE = 'D',
    FE_EXECUTE = 'E',
    FE_FUNCTION_CALL = 'F',
    FE_FLUSH = 'H',
    FE_PARSE = 'P',
    FE_QUERY = 'Q',
    FE_SYNC = 'S',
    FE_TERMINATE = 'X',
    FE_COPY_DATA = 'd',
    FE_COPY_DONE = 'c',
    FE_COPY_FAIL = 'f',
    FE_PASSWORD = 'p'
};

/* The code of an Authentication message. */
enum auth_code {
    AUTH_OK = 0,
    AUTH_PASSWORD = 3,
    AUTH_MD5 = 5,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12
};

enum be_type {
    BE_AUTHENTICATION = 'R',
    BE_BACKEND_KEY_DATA = 'K',
    BE_BIND_COMPLETE = '2',
    BE_CLOSE_COMPLETE = '3',
    BE_COMMAND_COMPLETE = 'C',
    BE_COPY_DATA = 'd',
    BE_COPY_DONE = 'c',
    BE_COPY_IN = 'G',
    BE_COPY_OUT = 'H',
    BE_COPY_BOTH = 'W',
    BE_DATA_ROW = 'D',
    BE_EMPTY_QUERY = 'I',
    BE_ERROR = 'E',
    BE_NEGOTIATE = 'v',
    BE_NO_DATA = 'n',
    BE_NOTICE = 'N',
    BE_NOTIFICATION = 'A',
    BE_PARAMETER_DESCRIPTION = 't',
    BE_PARAMETER_STATUS = 'S',
    BE_PARSE_COMPLETE = '1',
    BE_PORTAL_SUSPENDED = 's',
    BE_READY = 'Z',
    BE_ROW_DESCRIPTION = 'T',
    BE_FUNCTION_RESULT = 'V'
};

/* Big-endian words at any address. */
static inline void proto_put16(void *p, uint16_t v)
{
    unsigned char *b = p;

    b[0] = (unsigned char)(v >> 8);
    b[1] = (unsigned char)v;
}

static inline void proto_put32(void *p, uint32_t v)
{
    unsigned char *b = p;

    b[0] = (unsigned char)(v >> 24);
    b[1] = (unsigned char)(v >> 16);
    b[2] = (unsigned char)(v >> 8);
    b[3] = (unsigned char)v;
}

static inline uint32_t proto_get32(const void *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline uint16_t proto_get16(const void *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint16_t)(b[0] << 8 | b[1]);
}

#endif
