/* The server of the benchmark: raw epoll, so that it is never what limits a client.
 *
 * The path of the opening handshake says what a connection is for:
 *   /echo        every text comes back, in order; all answers to one read leave in one write
 *   /flood/SIZE  a text with a number N is answered by N texts of SIZE bytes
 *   /sink        texts are swallowed; one of fewer than 16 bytes comes back, after all before it were read
 *
 * It prints its port and lives until its standard input ends. It trusts its clients: fragments are not expected. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { IN_ROOM = 1 << 20, BURST = 512 << 10, ACKNOWLEDGED = 16 };
enum mode { OPENING, ECHO, FLOOD, SINK };

struct buffer {
    unsigned char *bytes;
    size_t start, end, room;
};

struct connection {
    int fd;
    enum mode mode;
    int watches_write;
    struct buffer in, out;
    /* A flood repeats `burst`, which holds whole frames; `owed` bytes are still to be written. */
    unsigned char *burst;
    size_t burst_len, frame_len, at;
    uint64_t owed;
};

static int poller;

/* ---- the answer to the opening handshake (RFC 6455 4.2.2): SHA-1 (RFC 3174) and base64 */

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

/* ---- buffers and frames */

static unsigned char *reserve(struct buffer *buffer, size_t more) {
    if (buffer->start == buffer->end) buffer->start = buffer->end = 0;
    if (buffer->end + more > buffer->room) {
        buffer->room = (buffer->end + more) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->room);
        if (!buffer->bytes) abort();
    }
    return buffer->bytes + buffer->end;
}

static size_t put_header(unsigned char *to, int opcode, size_t len) {
    to[0] = (unsigned char)(0x80 | opcode);
    if (len < 126) return to[1] = (unsigned char)len, 2;
    if (len < 65536) return to[1] = 126, to[2] = (unsigned char)(len >> 8), to[3] = (unsigned char)len, 4;
    uint64_t big = htobe64(len);
    return to[1] = 127, memcpy(to + 2, &big, 8), 10;
}

static void unmask(unsigned char *to, const unsigned char *from, size_t len, const unsigned char *key) {
    uint32_t half;
    memcpy(&half, key, 4);
    uint64_t mask = (uint64_t)half << 32 | half, word;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) memcpy(&word, from + i, 8), word ^= mask, memcpy(to + i, &word, 8);
    for (; i < len; i++) to[i] = from[i] ^ key[i % 4];
}

static void answer(struct connection *c, int opcode, const unsigned char *payload, size_t len, const unsigned char *key) {
    unsigned char *to = reserve(&c->out, len + 10);
    size_t head = put_header(to, opcode, len);
    unmask(to + head, payload, len, key);
    c->out.end += head + len;
}

static void prepare_flood(struct connection *c, size_t size) {
    unsigned char head[10];
    size_t head_len = put_header(head, 1, size), frames;
    c->frame_len = head_len + size;
    frames = BURST / c->frame_len + 1;
    c->burst_len = frames * c->frame_len;
    c->burst = malloc(c->burst_len);
    if (!c->burst) abort();
    memset(c->burst, 'x', c->burst_len);
    for (size_t i = 0; i < frames; i++) memcpy(c->burst + i * c->frame_len, head, head_len);
}

/* ---- one connection */

static void drop(struct connection *c) {
    close(c->fd);
    free(c->in.bytes), free(c->out.bytes), free(c->burst), free(c);
}

/* Writes what is owed; false when the connection is gone. */
static int write_out(struct connection *c) {
    int blocked = 0;
    while (!blocked && (c->out.start < c->out.end || c->owed)) {
        int flooding = c->out.start == c->out.end;
        const unsigned char *from = flooding ? c->burst + c->at : c->out.bytes + c->out.start;
        size_t len = flooding ? c->burst_len - c->at : c->out.end - c->out.start;
        if (flooding && len > c->owed) len = c->owed;
        ssize_t count = write(c->fd, from, len);
        if (count < 0 && errno != EAGAIN) return 0;
        if (count < 0) blocked = 1;
        else if (flooding) c->owed -= (size_t)count, c->at = (c->at + (size_t)count) % c->burst_len;
        else c->out.start += (size_t)count;
    }
    if (blocked != c->watches_write) {
        /* While answers do not leave nothing more is read: memory stays bounded. */
        struct epoll_event event = {.events = blocked ? EPOLLOUT : EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
        c->watches_write = blocked;
    }
    return 1;
}

static int open_up(struct connection *c) {
    char *text = (char *)c->in.bytes, *end, *key, response[256], accepted[29];
    c->in.bytes[c->in.end] = 0;
    if (!(end = strstr(text, "\r\n\r\n"))) return 1;
    if (!(key = strcasestr(text, "\r\nsec-websocket-key:"))) return 0;
    key += strlen("\r\nsec-websocket-key:");
    key += strspn(key, " ");
    accept_key(key, strcspn(key, " \r"), accepted);
    if (!strncmp(text, "GET /echo", 9)) c->mode = ECHO;
    else if (!strncmp(text, "GET /sink", 9)) c->mode = SINK;
    else if (!strncmp(text, "GET /flood/", 11)) c->mode = FLOOD, prepare_flood(c, strtoul(text + 11, NULL, 10));
    else return 0;
    c->in.start = (size_t)(end + 4 - text);
    int len = snprintf(response, sizeof response,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n\r\n", accepted);
    memcpy(reserve(&c->out, (size_t)len), response, (size_t)len);
    c->out.end += (size_t)len;
    return 1;
}

/* One frame; 0 when it is not complete, -1 when the connection is to end. */
static int take_frame(struct connection *c) {
    const unsigned char *frame = c->in.bytes + c->in.start, *key;
    size_t there = c->in.end - c->in.start, len, head;
    if (there < 2) return 0;
    len = frame[1] & 127;
    head = len == 126 ? 8 : len == 127 ? 14 : 6;
    if (there < head) return 0;
    if (len == 126) len = (size_t)frame[2] << 8 | frame[3];
    else if (len == 127) memcpy(&len, frame + 2, 8), len = be64toh(len);
    if (head + len > IN_ROOM / 2) return -1;
    if (there < head + len) return 0;
    key = frame + head - 4;
    c->in.start += head + len;
    switch (frame[0] & 15) {
    case 8: answer(c, 8, frame + head, len, key), write_out(c); return -1;
    case 9: answer(c, 10, frame + head, len, key); return 1;
    case 10: return 1;
    }
    if (c->mode == ECHO || (c->mode == SINK && len < ACKNOWLEDGED)) {
        answer(c, frame[0] & 15, frame + head, len, key);
    } else if (c->mode == FLOOD && len < ACKNOWLEDGED) {
        unsigned char number[ACKNOWLEDGED] = {0};
        unmask(number, frame + head, len, key);
        c->owed += strtoull((char *)number, NULL, 10) * c->frame_len;
    }
    return 1;
}

static int read_in(struct connection *c) {
    if (c->in.start == c->in.end) {
        c->in.start = c->in.end = 0;
    } else if (c->in.start > 0 && c->in.room - c->in.end < IN_ROOM / 2) {
        memmove(c->in.bytes, c->in.bytes + c->in.start, c->in.end - c->in.start);
        c->in.end -= c->in.start, c->in.start = 0;
    }
    ssize_t count = read(c->fd, c->in.bytes + c->in.end, c->in.room - c->in.end - 1);
    if (count <= 0) return count < 0 && errno == EAGAIN;
    c->in.end += (size_t)count;
    if (c->mode == OPENING && !open_up(c)) return 0;
    int taken = 1;
    while (c->mode != OPENING && (taken = take_frame(c)) > 0) {}
    return taken >= 0 && write_out(c);
}

static void welcome(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    struct connection *c = calloc(1, sizeof *c);
    if (fd < 0 || !c) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->fd = fd;
    /* At the start of a page: some processors copy four times slower to 16 bytes after it, where malloc would begin. */
    c->in.room = 2 * IN_ROOM;
    c->in.bytes = aligned_alloc(4096, c->in.room);
    if (!c->in.bytes) abort();
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 128)) return perror("server"), 1;
    getsockname(listener, (struct sockaddr *)&address, &len);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = NULL;
    epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(poller, events, 64, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) return 0;
            if ((void *)c == (void *)&listener) welcome(listener);
            else if (!(events[i].events & EPOLLOUT ? write_out(c) : read_in(c))) drop(c);
        }
    }
}
