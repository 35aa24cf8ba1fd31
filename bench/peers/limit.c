/* The limit: a client that does nothing but what the bytes need. It knows the sizes beforehand, so it reads frames by
 * counting bytes; it masks what it sends. "block" waits in read(2), "poll" looks again and again and never sleeps.
 * Answers to what one read brought, and texts of a send flood, share writes.
 *
 * Arguments: block|poll echo|flood|send|connect SIZE IN_FLIGHT SECONDS PORT. Prints what sample.py prints. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 256 << 10, WRITE_AT = 64 << 10, FIRST = 64 };

static int fd, polls, port;
/* The server has several addresses, so that ports do not run out. */
static uint32_t opened;
static const char *shape;
static size_t size, in_flight, frame_in;
/* At the start of a page: some processors copy four times slower to 16 bytes after it. */
static unsigned char input[ROOM] __attribute__((aligned(4096)));
static unsigned char *output, *text, pool[4096];
static size_t unsent, pool_at = sizeof pool;

static void fail(const char *what) { perror(what), exit(1); }

static void write_out(void) {
    for (size_t at = 0; at < unsent;) {
        ssize_t count = write(fd, output + at, unsent - at);
        if (count < 0) fail("write");
        at += (size_t)count;
    }
    unsent = 0;
}

static size_t read_some(size_t most) {
    for (;;) {
        ssize_t count = recv(fd, input, most < ROOM ? most : ROOM, polls ? MSG_DONTWAIT : 0);
        if (count > 0) return (size_t)count;
        if (count == 0 || errno != EAGAIN) fail("recv");
    }
}

static size_t header(unsigned char *to, size_t len, unsigned char mask) {
    to[0] = 0x81;
    if (len < 126) return to[1] = (unsigned char)len | mask, 2;
    if (len < 65536) return to[1] = 126 | mask, to[2] = (unsigned char)(len >> 8), to[3] = (unsigned char)len, 4;
    memset(to + 2, 0, 4);
    for (int i = 0; i < 4; i++) to[6 + i] = (unsigned char)(len >> (24 - 8 * i));
    return to[1] = 127 | mask, 10;
}

static void put(const unsigned char *payload, size_t len) {
    unsigned char *to = output + unsent;
    size_t head = header(to, len, 0x80), i = 0;
    if (pool_at == sizeof pool) pool_at = getrandom(pool, sizeof pool, 0) == sizeof pool ? 0 : pool_at;
    uint32_t key;
    memcpy(&key, pool + pool_at, 4), pool_at += 4;
    memcpy(to + head, &key, 4);
    uint64_t mask = (uint64_t)key << 32 | key, word;
    to += head + 4;
    for (; i + 8 <= len; i += 8) memcpy(&word, payload + i, 8), word ^= mask, memcpy(to + i, &word, 8);
    for (; i < len; i++) to[i] = payload[i] ^ (unsigned char)(key >> 8 * (i % 4));
    unsent += head + 4 + len;
    if (unsent >= WRITE_AT) write_out();
}

static void open_up(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK + opened++ % 4)};
    int on = 1;
    char request[512];
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const char *path = !strcmp(shape, "echo") ? "echo" : !strcmp(shape, "flood") ? "flood" : "sink";
    int len = snprintf(request, sizeof request,
                       "GET /%s/%zu HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n", path, size);
    if (write(fd, request, (size_t)len) != len) fail("write");
    /* The server says nothing more before it is asked. */
    for (size_t got = 0; got < 4 || memcmp(input + got - 4, "\r\n\r\n", 4);) {
        ssize_t count = read(fd, input + got, ROOM - got);
        if (count <= 0) fail("read");
        got += (size_t)count;
    }
}

/* Opens and closes with the whole closing handshake; the server drops TCP first. */
static void connect_and_close(void) {
    open_up();
    put((const unsigned char *)"\x03\xe8", 2);
    output[0] = 0x88;
    write_out();
    for (;;) {
        ssize_t count = read(fd, input, ROOM);
        if (count < 0) fail("read");
        if (count == 0) break;
    }
    close(fd);
}

static void run(size_t count) {
    char number[32];
    if (!strcmp(shape, "connect")) {
        while (count--) connect_and_close();
    } else if (!strcmp(shape, "echo")) {
        size_t sent = in_flight, received = 0;
        for (size_t i = 0; i < in_flight; i++) put(text, size);
        write_out();
        for (size_t bytes = 0; received < count;) {
            bytes += read_some(ROOM);
            for (; bytes >= frame_in; bytes -= frame_in, received++)
                if (sent < count) put(text, size), sent++;
            write_out();
        }
    } else if (!strcmp(shape, "flood")) {
        put((unsigned char *)number, (size_t)snprintf(number, sizeof number, "%zu", count));
        write_out();
        for (size_t left = count * frame_in; left;) left -= read_some(left);
    } else {
        while (count--) put(text, size);
        put((const unsigned char *)"end", 3);
        write_out();
        for (size_t left = 5; left;) left -= read_some(left);
    }
}

static double wall(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    if (argc != 7) return fprintf(stderr, "see the head of limit.c\n"), 2;
    polls = !strcmp(argv[1], "poll");
    shape = argv[2], size = strtoul(argv[3], NULL, 10), in_flight = strtoul(argv[4], NULL, 10);
    double seconds = strtod(argv[5], NULL);
    unsigned char scratch[16];
    frame_in = header(scratch, size, 0) + size;
    text = malloc(size), output = malloc(WRITE_AT + size + 64);
    if (!text || !output) fail("malloc");
    memset(text, 'x', size);
    port = atoi(argv[6]);
    if (strcmp(shape, "connect")) open_up();
    size_t count = FIRST;
    for (int last = 0;;) {
        double cpu_before = cpu(), before = wall();
        run(count);
        double took = wall() - before, used = cpu() - cpu_before;
        if (last) return printf("{\"messages\": %zu, \"seconds\": %.9f, \"cpu\": %.6f}\n", count, took, used), 0;
        if ((last = took >= seconds / 4)) count = (size_t)((double)count * seconds / took);
        else count *= took > seconds / 16 ? 2 : 4;
        if (count < FIRST) count = FIRST;
    }
}
