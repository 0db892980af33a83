#include "router/decision.h"

#include "base/strbuf.h"
#include "router/router.h"
#include "shardmap/directory.h"

void decision_sign(const struct router *r, const char *gtid, uint32_t decider, const char *participants,
                   char mac[HMAC_TEXT_LEN + 1])
{
    struct strbuf text = STRBUF_INIT;

    strbuf_printf(&text, "%s %u %s", gtid, decider, participants);
    hmac_text(directory_decision_key(r->directory), strbuf_span(&text), mac);
    strbuf_fini(&text);
}
