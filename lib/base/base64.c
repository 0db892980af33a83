#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct strbuf *out, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (; len >= 3; p += 3, len -= 3) {
        strbuf_putc(out, digits[p[0] >> 2]);
        strbuf_putc(out, digits[(p[0] & 3) << 4 | p[1] >> 4]);
        strbuf_putc(out, digits[(p[1] & 15) << 2 | p[2] >> 6]);
        strbuf_putc(out, digits[p[2] & 63]);
    }
    if (len == 0)
        return;
    strbuf_putc(out, digits[p[0] >> 2]);
    strbuf_putc(out, digits[(p[0] & 3) << 4 | (len == 2 ? p[1] >> 4 : 0)]);
    strbuf_putc(out, len == 2 ? digits[(p[1] & 15) << 2] : '=');
    strbuf_putc(out, '=');
}

static int digit_value(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

bool base64_decode(struct span text, uint8_t *out, size_t cap, size_t *len)
{
    size_t n = 0, padding = 0;

    if (text.len % 4)
        return false;
    while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
        padding++;
    if (text.len / 4 * 3 - padding > cap)
        return false;
    for (size_t i = 0; i < text.len; i += 4) {
        size_t have = i + 4 == text.len ? 4 - padding : 4;
        uint32_t bits = 0;

        for (size_t j = 0; j < 4; j++) {
            int v = j < have ? digit_value(text.ptr[i + j]) : 0;

            if (v < 0)
                return false;
            bits = bits << 6 | (uint32_t)v;
        }
        if (bits & ((have == 2) ? 0xFFFFu : (have == 3) ? 0xFFu : 0))
            return false;
        for (size_t j = 0; j + 1 < have; j++)
            out[n++] = (uint8_t)(bits >> (16 - 8 * j));
    }
    *len = n;
    return true;
}
