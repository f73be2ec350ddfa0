/* Records what a program changes below one directory, in order and with the data: a library for LD_PRELOAD.
 *
 *   POWERCUTS_ROOT   the directory, absolute and free of symbolic links
 *   POWERCUTS_MARKS  a file outside of it; what is written there enters the record as marks, and is written too
 *   POWERCUTS_TRACE  the file that takes the record; appended to
 *
 * Each entry is a struct entry, the names (relative to the root) and the data. The entry is written after the call
 * succeeded, and one lock is held across both, so that the record has the order of the calls. File descriptors are
 * asked for their path each time (/proc/self/fd) rather than followed: dup, close and fork need no thought then.
 *
 * fsync and its kind are recorded and not done: the record says what a power cut leaves, not this machine's disk.
 * Calls that change files in a way that is not recorded are entered as UNKNOWN, and the reader refuses the record.
 * Writes through a shared mapping are invisible; mapping a file so is UNKNOWN but for names that end in -shm, which
 * SQLite makes anew after a crash. For 64-bit Linux with glibc, where off_t and off64_t are one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* A letter for each kind of change, the same as in trace.py. */
enum kind {
    CREATE = 'c', DIRECTORY = 'd', WRITE = 'w', RESIZE = 't', EXTEND = 'e', SYNC = 's', SYNC_ALL = 'a', RENAME = 'r',
    LINK = 'l', UNLINK = 'u', MARK = 'm', UNKNOWN = '?'
};

struct entry {
    uint32_t kind, name_length, other_length, data_length;
    uint64_t inode, offset;
};

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char root[PATH_MAX], marks[PATH_MAX];
static size_t root_length;
static int trace = -1;

static void give_up(const char *why)
{
    dprintf(2, "recorder: %s: %s\n", why, strerror(errno));
    abort();
}

static void begin(void)
{
    const char *to = getenv("POWERCUTS_TRACE"), *of = getenv("POWERCUTS_ROOT"), *said = getenv("POWERCUTS_MARKS");
    if (!to || !of || !said) {
        errno = EINVAL;
        give_up("POWERCUTS_ROOT, _MARKS and _TRACE are not all set");
    }
    snprintf(root, sizeof root, "%s", of);
    snprintf(marks, sizeof marks, "%s", said);
    root_length = strlen(root);
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    trace = real(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0) give_up(to);
}

static void enter(void)
{
    pthread_once(&once, begin);
    pthread_mutex_lock(&lock);
}

/* Unlocks, keeping errno as the real call left it. */
static void leave(int error)
{
    pthread_mutex_unlock(&lock);
    errno = error;
}

/* The part of an absolute path below the root ("" for the root itself), or NULL. */
static const char *below(const char *path)
{
    if (strncmp(path, root, root_length) != 0) return NULL;
    if (path[root_length] == 0) return path + root_length;
    return path[root_length] == '/' ? path + root_length + 1 : NULL;
}

/* The absolute path of a name whose directory exists; "" when it does not. `name` itself may be missing. */
static void resolve(int directory, const char *name, char out[PATH_MAX])
{
    char path[2 * PATH_MAX], parent[PATH_MAX], link[32];
    *out = 0;
    if (*name == '/' || directory == AT_FDCWD) {
        snprintf(path, sizeof path, "%s", name);
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t length = readlink(link, parent, sizeof parent - 1);
        if (length < 0) return;
        parent[length] = 0;
        snprintf(path, sizeof path, "%s/%s", parent, name);
    }
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') path[--end] = 0;
    char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    if (!strcmp(last, ".") || !strcmp(last, "..") || !*last) {
        if (!realpath(path, out)) *out = 0;
        return;
    }
    char tail[NAME_MAX + 1];
    snprintf(tail, sizeof tail, "%s", last);
    if (slash) *(slash == path ? slash + 1 : slash) = 0;
    if (!realpath(slash ? path : ".", parent)) return;
    snprintf(out, PATH_MAX, "%s/%s", strcmp(parent, "/") ? parent : "", tail);
}

/* The absolute path of an open file; "" for a pipe or the like. */
static void path_of(int fd, char out[PATH_MAX])
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    out[length > 0 ? length : 0] = 0;
    if (*out != '/') *out = 0;
}

static uint64_t inode_of(int fd)
{
    struct stat about;
    return fstat(fd, &about) ? 0 : about.st_ino;
}

static void record(enum kind kind, uint64_t inode, uint64_t offset, const char *name, const char *other,
                   const void *data, size_t length)
{
    static ssize_t (*real)(int, const struct iovec *, int);
    if (!real) real = (ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
    struct entry entry = {kind, strlen(name), strlen(other), length, inode, offset};
    struct iovec parts[] = {{&entry, sizeof entry}, {(void *)name, entry.name_length},
                            {(void *)other, entry.other_length}, {(void *)data, length}};
    if (real(trace, parts, 4) != (ssize_t)(sizeof entry + entry.name_length + entry.other_length + length))
        give_up("cannot write the record");
}

/* A change of an open file, if it is one of ours. */
static void change(enum kind kind, int fd, uint64_t offset, const void *data, size_t length)
{
    char path[PATH_MAX];
    path_of(fd, path);
    if (!strcmp(path, marks))
        record(MARK, 0, 0, "", "", data, length);
    else if (below(path))
        record(kind, inode_of(fd), offset, "", "", data, length);
}

static void unknown(const char *what, const char *path)
{
    if (below(path)) record(UNKNOWN, 0, 0, what, below(path), "", 0);
}

/* ---- opening ---- */

static int open_at(const char *through, int directory, const char *name, int flags, mode_t mode)
{
    int (*real)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, through);
    char path[PATH_MAX];
    struct stat before;
    enter();
    int error = errno;
    resolve(directory, name, path);
    int missing = lstat(path, &before) != 0;
    errno = error;
    int fd = real(directory, name, flags, mode);
    error = errno;
    if (fd >= 0 && below(path)) {
        if ((flags & O_TMPFILE) == O_TMPFILE) unknown("open with O_TMPFILE", path);
        else if (missing && (flags & O_CREAT)) record(CREATE, inode_of(fd), 0, below(path), "", "", 0);
        else if (flags & O_TRUNC) record(RESIZE, inode_of(fd), 0, "", "", "", 0);
    }
    leave(error);
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *name, int flags, ...) { MODE(flags) return open_at("openat", AT_FDCWD, name, flags, mode); }
int openat(int at, const char *name, int flags, ...) { MODE(flags) return open_at("openat", at, name, flags, mode); }
int creat(const char *name, mode_t mode) { return open(name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int __open_2(const char *name, int flags) { return open(name, flags); }
int __openat_2(int at, const char *name, int flags) { return openat(at, name, flags); }
int open64(const char *, int, ...) __attribute__((alias("open")));
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
int creat64(const char *, mode_t) __attribute__((alias("creat")));
int __open64_2(const char *, int) __attribute__((alias("__open_2")));
int __openat64_2(int, const char *, int) __attribute__((alias("__openat_2")));

/* ---- data ---- */

/* One piece that went through at the file's own position, which now is behind it. */
static void written(int fd, const void *data, ssize_t length)
{
    if (length > 0) change(WRITE, fd, lseek(fd, 0, SEEK_CUR) - length, data, length);
}

/* As much of these pieces as went through, from `offset` on; -1: at the file's position, which now is behind them. */
static void written_parts(int fd, const struct iovec *parts, int count, off_t offset, ssize_t length)
{
    if (length > 0 && offset < 0) offset = lseek(fd, 0, SEEK_CUR) - length;
    for (int i = 0; i < count && length > 0; i++) {
        size_t n = parts[i].iov_len < (size_t)length ? parts[i].iov_len : (size_t)length;
        change(WRITE, fd, offset, parts[i].iov_base, n);
        offset += n;
        length -= n;
    }
}

ssize_t write(int fd, const void *data, size_t length)
{
    REAL(write);
    enter();
    ssize_t done = real(fd, data, length);
    int error = errno;
    written(fd, data, done);
    leave(error);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    REAL(pwrite);
    enter();
    ssize_t done = real(fd, data, length, offset);
    int error = errno;
    if (done > 0) change(WRITE, fd, offset, data, done);
    leave(error);
    return done;
}
ssize_t pwrite64(int, const void *, size_t, off64_t) __attribute__((alias("pwrite")));

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    enter();
    ssize_t done = real(fd, parts, count);
    int error = errno;
    written_parts(fd, parts, count, -1, done);
    leave(error);
    return done;
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    REAL(pwritev2);
    enter();
    ssize_t done = real(fd, parts, count, offset, flags);
    int error = errno;
    written_parts(fd, parts, count, offset, done);
    leave(error);
    return done;
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return pwritev2(fd, parts, count, offset, 0);
}
ssize_t pwritev64(int, const struct iovec *, int, off64_t) __attribute__((alias("pwritev")));
ssize_t pwritev64v2(int, const struct iovec *, int, off64_t, int) __attribute__((alias("pwritev2")));

/* What the kernel copied between files is read back from the one it came from. */
static void copied(int out, off_t to, int in, off_t from, ssize_t length)
{
    char piece[65536];
    while (length > 0) {
        ssize_t n = pread(in, piece, length < (ssize_t)sizeof piece ? (size_t)length : sizeof piece, from);
        if (n <= 0) {
            char path[PATH_MAX];
            path_of(out, path);
            unknown("a copy that cannot be read back", path);
            return;
        }
        change(WRITE, out, to, piece, n);
        to += n;
        from += n;
        length -= n;
    }
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
    REAL(sendfile);
    enter();
    ssize_t done = real(out, in, offset, count);
    int error = errno;
    if (done > 0)
        copied(out, lseek(out, 0, SEEK_CUR) - done, in, (offset ? *offset : lseek(in, 0, SEEK_CUR)) - done, done);
    leave(error);
    return done;
}
ssize_t sendfile64(int, int, off64_t *, size_t) __attribute__((alias("sendfile")));

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned flags)
{
    REAL(copy_file_range);
    enter();
    ssize_t done = real(in, from, out, to, count, flags);
    int error = errno;
    if (done > 0)
        copied(out, (to ? *to : lseek(out, 0, SEEK_CUR)) - done, in,
               (from ? *from : lseek(in, 0, SEEK_CUR)) - done, done);
    leave(error);
    return done;
}

int ftruncate(int fd, off_t size)
{
    REAL(ftruncate);
    enter();
    int result = real(fd, size), error = errno;
    if (result == 0) change(RESIZE, fd, size, "", 0);
    leave(error);
    return result;
}
int ftruncate64(int, off64_t) __attribute__((alias("ftruncate")));

int truncate(const char *name, off_t size)
{
    int fd = open(name, O_WRONLY);
    if (fd < 0) return -1;
    int result = ftruncate(fd, size), error = errno;
    close(fd);
    errno = error;
    return result;
}
int truncate64(const char *, off64_t) __attribute__((alias("truncate")));

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    REAL(fallocate);
    enter();
    int result = real(fd, mode, offset, length), error = errno;
    if (result == 0 && mode == 0) change(EXTEND, fd, offset + length, "", 0);
    else if (result == 0 && mode != FALLOC_FL_KEEP_SIZE) {
        char path[PATH_MAX];
        path_of(fd, path);
        unknown("fallocate that moves or erases", path);
    }
    leave(error);
    return result;
}
int fallocate64(int, int, off64_t, off64_t) __attribute__((alias("fallocate")));

int posix_fallocate(int fd, off_t offset, off_t length)
{
    int before = errno, result = fallocate(fd, 0, offset, length) ? errno : 0;
    errno = before;
    return result;
}
int posix_fallocate64(int, off64_t, off64_t) __attribute__((alias("posix_fallocate")));

void *mmap(void *where, size_t length, int protection, int flags, int fd, off_t offset)
{
    REAL(mmap);
    char path[PATH_MAX];
    int error = errno;
    if (fd >= 0 && (protection & PROT_WRITE) && (flags & MAP_SHARED)) {
        enter();
        path_of(fd, path);
        size_t n = strlen(path);
        if (n < 4 || strcmp(path + n - 4, "-shm")) unknown("writing through a mapping", path);
        leave(error);
    }
    return real(where, length, protection, flags, fd, offset);
}
void *mmap64(void *, size_t, int, int, int, off64_t) __attribute__((alias("mmap")));

/* ---- making it durable ---- */

static int synced(int fd, int (*real)(int))
{
    char path[PATH_MAX];
    enter();
    path_of(fd, path);
    int ours = below(path) != NULL;
    if (ours) record(SYNC, inode_of(fd), 0, "", "", "", 0);
    leave(errno);
    return ours ? 0 : real(fd);
}

int fsync(int fd) { REAL(fsync); return synced(fd, real); }
int fdatasync(int fd) { REAL(fdatasync); return synced(fd, real); }

static void synced_all(void)
{
    enter();
    record(SYNC_ALL, 0, 0, "", "", "", 0);
    leave(errno);
}

int syncfs(int fd)
{
    synced_all();
    return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}
void sync(void) { synced_all(); }

/* ---- names ---- */

static int made_directory(const char *path, int result, int error)
{
    struct stat about;
    if (result == 0 && below(path) && lstat(path, &about) == 0)
        record(DIRECTORY, about.st_ino, 0, below(path), "", "", 0);
    leave(error);
    return result;
}

int mkdirat(int at, const char *name, mode_t mode)
{
    REAL(mkdirat);
    char path[PATH_MAX];
    enter();
    resolve(at, name, path);
    int result = real(at, name, mode);
    return made_directory(path, result, errno);
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

/* A name that became another, or got a second one; half outside the root is more than the reader can follow. */
static int renamed(enum kind kind, const char *from, const char *to, int result, int error)
{
    if (result == 0 && below(from) && below(to)) record(kind, 0, 0, below(from), below(to), "", 0);
    else if (result == 0) {
        unknown("rename or link to outside", from);
        unknown("rename or link from outside", to);
    }
    leave(error);
    return result;
}

int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags)
{
    REAL(renameat2);
    char source[PATH_MAX], target[PATH_MAX];
    enter();
    resolve(at, from, source);
    resolve(to_at, to, target);
    int result = real(at, from, to_at, to, flags), error = errno;
    if (result == 0 && (flags & ~RENAME_NOREPLACE)) unknown("renameat2 that exchanges", target);
    return renamed(RENAME, source, target, result, error);
}
int renameat(int at, const char *from, int to_at, const char *to) { return renameat2(at, from, to_at, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int at, const char *from, int to_at, const char *to, int flags)
{
    REAL(linkat);
    char source[PATH_MAX], target[PATH_MAX];
    enter();
    resolve(at, from, source);
    resolve(to_at, to, target);
    int result = real(at, from, to_at, to, flags);
    return renamed(LINK, source, target, result, errno);
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *text, int at, const char *name)
{
    REAL(symlinkat);
    char path[PATH_MAX];
    enter();
    resolve(at, name, path);
    int result = real(text, at, name), error = errno;
    if (result == 0) unknown("a symbolic link", path);
    leave(error);
    return result;
}
int symlink(const char *text, const char *name) { return symlinkat(text, AT_FDCWD, name); }

int unlinkat(int at, const char *name, int flags)
{
    REAL(unlinkat);
    char path[PATH_MAX];
    enter();
    resolve(at, name, path);
    int result = real(at, name, flags), error = errno;
    if (result == 0 && below(path)) record(UNLINK, 0, 0, below(path), "", "", 0);
    leave(error);
    return result;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int remove(const char *name)
{
    struct stat about;
    return unlinkat(AT_FDCWD, name, lstat(name, &about) == 0 && S_ISDIR(about.st_mode) ? AT_REMOVEDIR : 0);
}
