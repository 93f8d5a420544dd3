/* Stands between a process and its disk (LD_PRELOAD): what is written below one directory goes on to the files and into
 * a log, nothing is really synced, and at the n-th operation of a plan the process is gone (SIGKILL). platter.py
 * reads the log, and says what would have been on the disk.
 *
 * 64-bit Linux with glibc, one thread. Calls that are not here (writev, linkat, a mapped database) are not forgotten in
 * silence: the log would no longer make the files that are there, and platter.py compares the two after each death. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#undef _FORTIFY_SOURCE

enum operation { OPEN = 1, WRITE, RESIZE, SYNC, UNLINK, CLOSE, REACH, DEATH, MKDIR, RENAME };
enum { CREATED = 1, EMPTIED = 2 };
enum { MAX_FILES = 1024 };

/* shim.py reads it by the same layout. */
struct record {
    uint8_t operation, stage;
    uint16_t flags;
    int32_t file;
    int64_t offset;
    uint32_t size;
} __attribute__((packed));

static char directory[PATH_MAX];
static size_t directory_size; /* 0: not begun */
static int log_file = -1;
static char *names[MAX_FILES]; /* of the open files below the directory */
static int stage = 1; /* shim.py's OPENING */

static struct {
    const char *suffix;
    int stage; /* 0: any */
    long left;
} plan;

static void note(enum operation operation, uint16_t flags, int file, int64_t offset, const void *data, size_t size) {
    struct record record = {operation, (uint8_t)stage, flags, file, offset, (uint32_t)size};
    struct iovec parts[] = {{&record, sizeof record}, {(void *)data, size}};
    if (syscall(SYS_writev, log_file, parts, size ? 2 : 1) != (long)(sizeof record + size)) abort();
}

static int ends_with(const char *name, const char *suffix) {
    size_t size = strlen(name), wanted = strlen(suffix);
    return size >= wanted && !strcmp(name + size - wanted, suffix);
}

/* An operation is about to happen: the planned one never does. */
static void count(const char *name) {
    if ((plan.stage && plan.stage != stage) || !ends_with(name, plan.suffix) || --plan.left) return;
    note(DEATH, 0, -1, 0, name, strlen(name));
    syscall(SYS_kill, getpid(), SIGKILL);
    abort();
}

/* SQLite's -shm is an index in memory that it makes anew: nothing that a disk has to keep. */
static int is_below(const char *path) {
    return directory_size && !strncmp(path, directory, directory_size) && !ends_with(path, "-shm");
}

static const char *name_of(int file) { return file >= 0 && file < MAX_FILES ? names[file] : NULL; }

void powercut_begin(const char *below, int log, const char *suffix, int at_stage, long nth) {
    directory_size = strlen(below);
    if (directory_size >= sizeof directory) abort();
    memcpy(directory, below, directory_size + 1);
    log_file = log;
    plan.suffix = strdup(suffix);
    plan.stage = at_stage;
    plan.left = nth;
}

void powercut_reach(int reached) {
    if (!directory_size) return;
    stage = reached;
    count("@");
    note(REACH, 0, -1, 0, NULL, 0);
}

static int open_file(int at, const char *path, int flags, mode_t mode) {
    if (!is_below(path)) return (int)syscall(SYS_openat, at, path, flags, mode);
    int existed = !syscall(SYS_faccessat, at, path, F_OK);
    int creates = (flags & O_CREAT) && !existed, empties = (flags & O_TRUNC) && existed;
    if (creates || empties) count(path);
    int file = (int)syscall(SYS_openat, at, path, flags, mode);
    if (file < 0) return file;
    if (file >= MAX_FILES) abort();
    free(names[file]);
    names[file] = strdup(path);
    note(OPEN, (creates ? CREATED : 0) | (empties ? EMPTIED : 0), file, 0, path, strlen(path));
    return file;
}

#define MODE(flags, last)                                    \
    mode_t mode = 0;                                         \
    if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list more;                                        \
        va_start(more, last);                                \
        mode = va_arg(more, mode_t);                         \
        va_end(more);                                        \
    }

int open(const char *path, int flags, ...) {
    MODE(flags, flags)
    return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...) {
    MODE(flags, flags)
    return open_file(at, path, flags, mode);
}

int creat(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int __open_2(const char *path, int flags) { return open_file(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char *path, int flags) { return open_file(at, path, flags, 0); }

int close(int file) {
    if (name_of(file)) {
        free(names[file]);
        names[file] = NULL;
        note(CLOSE, 0, file, 0, NULL, 0);
    }
    return (int)syscall(SYS_close, file);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    if (name_of(file)) count(names[file]);
    ssize_t written = syscall(SYS_pwrite64, file, data, size, offset);
    if (name_of(file) && written > 0) note(WRITE, 0, file, offset, data, (size_t)written);
    return written;
}

ssize_t write(int file, const void *data, size_t size) {
    if (name_of(file)) count(names[file]);
    ssize_t written = syscall(SYS_write, file, data, size);
    if (name_of(file) && written > 0) note(WRITE, 0, file, lseek(file, 0, SEEK_CUR) - written, data, (size_t)written);
    return written;
}

int ftruncate(int file, off_t size) {
    if (name_of(file)) count(names[file]);
    int result = (int)syscall(SYS_ftruncate, file, size);
    if (name_of(file) && !result) note(RESIZE, 0, file, size, NULL, 0);
    return result;
}

static int sync_file(long call, int file) {
    if (!name_of(file)) return (int)syscall(call, file);
    count(names[file]);
    note(SYNC, 0, file, 0, NULL, 0);
    return 0;
}

int fsync(int file) { return sync_file(SYS_fsync, file); }
int fdatasync(int file) { return sync_file(SYS_fdatasync, file); }

int unlink(const char *path) {
    if (is_below(path)) count(path);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (is_below(path) && !result) note(UNLINK, 0, -1, 0, path, strlen(path));
    return result;
}

int mkdir(const char *path, mode_t mode) {
    if (is_below(path)) count(path);
    int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (is_below(path) && !result) note(MKDIR, 0, -1, 0, path, strlen(path));
    return result;
}

int rename(const char *from, const char *to) {
    if (is_below(from)) count(from);
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (is_below(from) && !result) {
        char both[2 * PATH_MAX];
        size_t size = strlen(from) + 1 + strlen(to);
        if (size >= sizeof both) abort();
        strcpy(both, from);
        strcpy(both + strlen(from) + 1, to);
        note(RENAME, 0, -1, 0, both, size);
    }
    return result;
}

#define SAME(name) __attribute__((alias(#name)))
int open64(const char *path, int flags, ...) SAME(open);
int openat64(int at, const char *path, int flags, ...) SAME(openat);
int creat64(const char *path, mode_t mode) SAME(creat);
int __open64_2(const char *path, int flags) SAME(__open_2);
int __openat64_2(int at, const char *path, int flags) SAME(__openat_2);
ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) SAME(pwrite);
int ftruncate64(int file, off64_t size) SAME(ftruncate);
