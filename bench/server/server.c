/* The server of the benchmark: raw epoll, so that it is never what limits a client.
 *
 * The path of the opening handshake says what a connection is for:
 *   /echo        every text comes back, in order; all answers to one read leave in one write
 *   /deflate     the same with permessage-deflate: what the client compressed comes back as it is, since what its own
 *                compressor made is also what its inflater can read, so that no time is spent on it here
 *   /flood/SIZE  a text with a number N is answered by N texts of SIZE bytes
 *   /sink        texts are swallowed; one of fewer than 16 bytes comes back, after all before it were read
 *
 * Usage: server wait|hot [CERTIFICATES KEY]. "hot" never sleeps, so that no client pays for waking it. Compiled with
 * -DTLS it speaks TLS (OpenSSL). It listens on 127.0.0.1 to 127.0.0.4, where it can, so that ports do not run out, and
 * prints its port. A line on its standard input is answered by how many connections have ended with a whole closing
 * handshake since the last such line, and how many without; it lives until its standard input ends. It trusts its
 * clients: fragments are not expected. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "handshake.h"
#ifdef TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

enum { IN_ROOM = 256 << 10, LONGEST = 16 << 20, BURST = 512 << 10, ACKNOWLEDGED = 16, ADDRESSES = 4, PAGE = 4096 };
enum mode { OPENING, ECHO, FLOOD, SINK, CLOSED };

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
#ifdef TLS
    SSL *tls;
#endif
};

static int poller;
static unsigned long completed, dropped;
/* Where the listening sockets stand in memory; what the poller names is one of them or a connection. */
static int *first_listener, *last_listener;

/* ---- what crosses the socket: as read(2) and write(2), with TLS between */

#ifdef TLS
static SSL_CTX *secrets;

static ssize_t outcome(struct connection *c, int result) {
    int error = SSL_get_error(c->tls, result);
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    ERR_clear_error();
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

/* As much as there is room for: OpenSSL gives one record at a time. */
static ssize_t take(struct connection *c, unsigned char *to, size_t room) {
    size_t got = 0;
    while (got < room) {
        int count = SSL_read(c->tls, to + got, (int)(room - got));
        if (count <= 0) return got ? (ssize_t)got : outcome(c, count);
        got += (size_t)count;
    }
    return (ssize_t)got;
}

static ssize_t put(struct connection *c, const unsigned char *from, size_t len) {
    int count = SSL_write(c->tls, from, (int)len);
    return count > 0 ? count : outcome(c, count);
}

/* What OpenSSL has read and not given: the poller knows nothing of it. */
static int holds_more(struct connection *c) { return SSL_has_pending(c->tls); }
static void say_goodbye(struct connection *c) { SSL_shutdown(c->tls); }
#else
static ssize_t take(struct connection *c, unsigned char *to, size_t room) { return read(c->fd, to, room); }
static ssize_t put(struct connection *c, const unsigned char *from, size_t len) { return write(c->fd, from, len); }
static int holds_more(struct connection *c) { return (void)c, 0; }
static void say_goodbye(struct connection *c) { (void)c; }
#endif

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

/* A client that has dropped TCP before it read our Close is told by a reset, which the socket remembers. */
static void drop(struct connection *c, int ended) {
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (c->mode == CLOSED && ended && !error) completed++;
    else dropped++;
#ifdef TLS
    SSL_free(c->tls);
#endif
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
        ssize_t count = put(c, from, len);
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
    char *text = (char *)c->in.bytes, *end, *key, response[512], accepted[29];
    const char *extension = "";
    c->in.bytes[c->in.end] = 0;
    if (!(end = strstr(text, "\r\n\r\n"))) return 1;
    if (!(key = strcasestr(text, "\r\nsec-websocket-key:"))) return 0;
    key += strlen("\r\nsec-websocket-key:");
    key += strspn(key, " ");
    accept_key(key, strcspn(key, " \r"), accepted);
    if (!strncmp(text, "GET /echo", 9)) c->mode = ECHO;
    else if (!strncmp(text, "GET /deflate", 12)) c->mode = ECHO, extension = deflate(text);
    else if (!strncmp(text, "GET /sink", 9)) c->mode = SINK;
    else if (!strncmp(text, "GET /flood/", 11)) c->mode = FLOOD, prepare_flood(c, strtoul(text + 11, NULL, 10));
    else return 0;
    c->in.start = (size_t)(end + 4 - text);
    int len = snprintf(response, sizeof response,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n%s\r\n", accepted, extension);
    memcpy(reserve(&c->out, (size_t)len), response, (size_t)len);
    c->out.end += (size_t)len;
    return 1;
}

/* Room for a frame of so many bytes at the start of a page: some processors copy from the kernel four times slower to 16
 * bytes after it, where malloc would begin. */
static void make_room(struct connection *c, size_t frame) {
    size_t there = c->in.end - c->in.start;
    if (frame + 1 > c->in.room) {
        c->in.room = (frame + PAGE) / PAGE * PAGE;
        unsigned char *bytes = aligned_alloc(PAGE, c->in.room);
        if (!bytes) abort();
        if (there) memcpy(bytes, c->in.bytes + c->in.start, there);
        free(c->in.bytes);
        c->in.bytes = bytes, c->in.start = 0, c->in.end = there;
    } else if (c->in.start > 0 && c->in.start + frame + 1 > c->in.room) {
        memmove(c->in.bytes, c->in.bytes + c->in.start, there);
        c->in.start = 0, c->in.end = there;
    }
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
    if (len > LONGEST) return -1;
    if (there < head + len) return make_room(c, head + len), 0;
    key = frame + head - 4;
    c->in.start += head + len;
    switch (frame[0] & 15) {
    case 8:
        /* The server drops TCP first (RFC 6455 7.1.1); what the client does then says whether it waited for that. */
        answer(c, 8, frame + head, len, key);
        if (!write_out(c)) return -1;
        c->mode = CLOSED;
        say_goodbye(c);
        shutdown(c->fd, SHUT_WR);
        return 1;
    case 9: answer(c, 10, frame + head, len, key); return 1;
    case 10: return 1;
    }
    if (c->mode == ECHO || (c->mode == SINK && len < ACKNOWLEDGED)) {
        answer(c, frame[0] & 0x4f, frame + head, len, key);
    } else if (c->mode == FLOOD && len < ACKNOWLEDGED) {
        unsigned char number[ACKNOWLEDGED] = {0};
        unmask(number, frame + head, len, key);
        c->owed += strtoull((char *)number, NULL, 10) * c->frame_len;
    }
    return 1;
}

/* 1, or 0 and -1 as read(2) has them when the connection is over. */
static int read_in(struct connection *c) {
    do {
        if (c->in.start == c->in.end) c->in.start = c->in.end = 0;
        else if (c->in.room - c->in.end < 2) make_room(c, c->in.end - c->in.start + PAGE);
        ssize_t count = take(c, c->in.bytes + c->in.end, c->in.room - c->in.end - 1);
        if (count <= 0) return count < 0 && errno == EAGAIN ? 1 : (int)count;
        c->in.end += (size_t)count;
        if (c->mode == OPENING && !open_up(c)) return -1;
        int taken = 1;
        while (c->mode != OPENING && c->mode != CLOSED && (taken = take_frame(c)) > 0) {}
        if (c->mode == CLOSED) c->in.start = c->in.end;
        if (taken < 0 || (c->mode != CLOSED && !write_out(c))) return -1;
    } while (holds_more(c) && !c->watches_write);
    return 1;
}

static void welcome(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    struct connection *c = calloc(1, sizeof *c);
    if (fd < 0 || !c) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->fd = fd;
#ifdef TLS
    c->tls = SSL_new(secrets);
    if (!c->tls || !SSL_set_fd(c->tls, fd)) abort();
    SSL_set_accept_state(c->tls);
#endif
    make_room(c, IN_ROOM);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

/* Listens on one more address of the loopback net, on the port that the first one was given. */
static int listen_on(int number, in_port_t port) {
    static int listeners[ADDRESSES];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)number)};
    socklen_t len = sizeof address;
    int fd = listeners[number] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, 4096)) return 0;
    getsockname(fd, (struct sockaddr *)&address, &len);
    /* Told from a connection by its address. */
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listeners[number]};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    first_listener = listeners, last_listener = listeners + ADDRESSES;
    return address.sin_port;
}

static int tell(void) {
    char line[64];
    if (read(STDIN_FILENO, line, sizeof line) <= 0) return 0;
    printf("%lu %lu\n", completed, dropped);
    fflush(stdout);
    completed = dropped = 0;
    return 1;
}

int main(int argc, char **argv) {
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    int timeout = argc > 1 && !strcmp(argv[1], "hot") ? 0 : -1;
#ifdef TLS
    secrets = SSL_CTX_new(TLS_server_method());
    if (argc != 4 || SSL_CTX_use_certificate_chain_file(secrets, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(secrets, argv[3], SSL_FILETYPE_PEM) != 1)
        return ERR_print_errors_fp(stderr), 1;
    SSL_CTX_set_mode(secrets, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(secrets, 1);
    /* A client may end TCP without a word of TLS once the closing handshake is over. */
    SSL_CTX_set_options(secrets, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(EPOLL_CLOEXEC);
    in_port_t port = (in_port_t)listen_on(0, 0);
    if (!port) return perror("server"), 1;
    for (int i = 1; i < ADDRESSES; i++) listen_on(i, port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    printf("%d\n", ntohs(port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(poller, events, 64, timeout);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            int *listener = events[i].data.ptr, state = 1;
            if (!c) {
                if (!tell()) return 0;
            } else if (listener >= first_listener && listener < last_listener) {
                welcome(*listener);
            } else {
                if (events[i].events & EPOLLOUT) state = write_out(c) ? 1 : -1;
                /* What was read before writing stalled is still to be looked at. */
                if (state == 1 && (!(events[i].events & EPOLLOUT) || (!c->watches_write && holds_more(c)))) state = read_in(c);
                if (state != 1) drop(c, state == 0);
            }
        }
    }
}
