/* What the server's answer to the opening handshake has in it: Sec-WebSocket-Accept and Sec-WebSocket-Extensions. */
#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sec-WebSocket-Accept (RFC 6455 4.2.2): SHA-1 (RFC 3174) and base64. */
static uint32_t rotate(uint32_t word, int by) { return word << by | word >> (32 - by); }

static void sha1_block(uint32_t state[5], const unsigned char *block) {
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++) {
        if (i < 16) {
            memcpy(&w[i], block + 4 * i, 4);
            w[i] = be32toh(w[i]);
        } else {
            w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        }
        uint32_t mix = i < 20 ? (b & c) | (~b & d) : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
        uint32_t next = rotate(a, 5) + mix + e + constants[i / 20] + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

static void accept_key(const char *key, size_t len, char out[29]) {
    unsigned char text[128] = {0};
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(text, key, len);
    memcpy(text + len, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    len += 36;
    text[len] = 0x80;
    text[126] = (unsigned char)(len >> 5), text[127] = (unsigned char)(len << 3);
    sha1_block(state, text);
    sha1_block(state, text + 64);
    unsigned char digest[21] = {0};
    for (int i = 0; i < 20; i++) digest[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 28; i++) {
        int bit = i * 6, pair = digest[bit / 8] << 8 | (bit / 8 < 20 ? digest[bit / 8 + 1] : 0);
        out[i] = letters[pair >> (10 - bit % 8) & 63];
    }
    out[27] = '=', out[28] = 0;
}

/* The answer to an offer of permessage-deflate. Each message is compressed by itself, for the same text again would cost
 * nothing in the context of the one before. A window that the client wants of us binds what it does itself, too: its own
 * bytes come back. */
static const char *deflate(const char *request) {
    static char answer[192];
    const char *offer = strcasestr(request, "\r\nsec-websocket-extensions:");
    if (!offer) return "";
    char *line = strndup(offer + 2, strcspn(offer + 2, "\r"));
    const char *window = strstr(line, "server_max_window_bits=");
    unsigned long bits = window ? strtoul(window + strlen("server_max_window_bits="), NULL, 10) : 0;
    size_t len = (size_t)sprintf(answer, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                                         "client_no_context_takeover");
    if (bits) len += (size_t)sprintf(answer + len, "; server_max_window_bits=%lu; client_max_window_bits=%lu", bits, bits);
    strcpy(answer + len, "\r\n");
    free(line);
    return answer;
}
