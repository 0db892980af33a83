/*
 * Building messages into a strbuf. msg_begin leaves room for the length, msg_end fills it in. Pure.
 */
#ifndef WIRE_WRITER_H
#define WIRE_WRITER_H

#include "base/strbuf.h"
#include "wire/proto.h"

/* Start a typed message; returns its offset for msg_end. */
size_t msg_begin(struct strbuf *sb, char type);
void msg_end(struct strbuf *sb, size_t start);
void msg_u8(struct strbuf *sb, uint8_t v);
void msg_u16(struct strbuf *sb, uint16_t v);
void msg_u32(struct strbuf *sb, uint32_t v);
/* Bytes and a NUL. */
void msg_cstr(struct strbuf *sb, struct span s);
/* A message without a body. */
void msg_empty(struct strbuf *sb, char type);

#endif
