/* Counts the system calls of a program, all its threads together.
 *
 * Usage: trace OUTPUT PROGRAM [ARGUMENTS]. Whenever the program writes a line that begins with "COUNT" (to whatever
 * descriptor: a script writes to a duplicate of its standard output), that line goes to OUTPUT, followed by how often each system call was made so far, as NAME=TIMES. Ends with the
 * program's exit status, or with 125 where this process may not trace another.
 *
 * With ptrace(2), because the engine calls the system without the C library, where no preloaded library would see it. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel's own; the C library's header has another struct of that name on some systems. */
#include <linux/ptrace.h>

enum { MOST = 1024, FORBIDDEN = 125, LINE = 64 };

static unsigned long counts[MOST];

static const struct {
    long number;
    const char *name;
} names[] = {
#define NAMED(call) {SYS_##call, #call}
    NAMED(read), NAMED(write), NAMED(readv), NAMED(writev), NAMED(recvfrom), NAMED(sendto), NAMED(recvmsg), NAMED(sendmsg),
    NAMED(epoll_pwait), NAMED(epoll_ctl), NAMED(ppoll), NAMED(futex), NAMED(sched_yield), NAMED(mmap), NAMED(munmap),
    NAMED(madvise), NAMED(mremap), NAMED(mprotect), NAMED(brk), NAMED(clock_gettime), NAMED(getrandom), NAMED(ioctl),
    NAMED(getsockopt), NAMED(setsockopt), NAMED(close), NAMED(clone3), NAMED(clock_nanosleep),
#ifdef SYS_epoll_wait
    NAMED(epoll_wait), NAMED(poll), NAMED(select),
#endif
#ifdef SYS_epoll_pwait2
    NAMED(epoll_pwait2),
#endif
};

static void report(FILE *output, const char *line) {
    fprintf(output, "%s", line);
    for (long number = 0; number < MOST; number++) {
        if (!counts[number]) continue;
        const char *name = NULL;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (names[i].number == number) name = names[i].name;
        if (name) fprintf(output, " %s=%lu", name, counts[number]);
        else fprintf(output, " %ld=%lu", number, counts[number]);
    }
    fprintf(output, "\n");
    fflush(output);
}

/* A thread is about to make a system call. */
static void count(FILE *output, pid_t thread, const struct ptrace_syscall_info *info) {
    char line[LINE + 1] = {0};
    if (info->entry.nr == SYS_write) {
        size_t len = info->entry.args[2] < LINE ? info->entry.args[2] : LINE;
        struct iovec to = {line, len}, from = {(void *)(uintptr_t)info->entry.args[1], len};
        if (process_vm_readv(thread, &to, 1, &from, 1, 0) > 0 && !strncmp(line, "COUNT", 5)) {
            line[strcspn(line, "\n")] = 0;
            report(output, line);
            return;
        }
    }
    if (info->entry.nr < MOST) counts[info->entry.nr]++;
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: trace OUTPUT PROGRAM [ARGUMENTS]\n"), 2;
    FILE *output = fopen(argv[1], "we");
    if (!output) return perror(argv[1]), 2;
    pid_t child = fork();
    if (child == 0) {
        raise(SIGSTOP);
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    int status;
    waitpid(child, &status, WUNTRACED);
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    struct ptrace_syscall_info info;
    if (ptrace(PTRACE_SEIZE, child, NULL, options)) {
        kill(child, SIGKILL);
        return fprintf(stderr, "ptrace: %s\n", strerror(errno)), FORBIDDEN;
    }
    kill(child, SIGCONT);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0) return 1;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int signal = WSTOPSIG(status), event = status >> 16;
        if (signal == (SIGTRAP | 0x80)) {
            if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) < 0) {
                if (errno == ESRCH) continue;
                return fprintf(stderr, "ptrace: %s\n", strerror(errno)), FORBIDDEN;
            }
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY) count(output, thread, &info);
            signal = 0;
        } else if (event) {
            /* A new thread, a new program, or a stop of the whole group, which is over at once here. */
            signal = 0;
        }
        ptrace(PTRACE_SYSCALL, thread, NULL, (long)signal);
    }
}
