/* Storage in trouble, below everything that a process does with the C library.
 *
 * Loaded before all other libraries (LD_PRELOAD). It looks at one page of shared
 * memory, which climorch/testing/trouble.py lays out and changes: while that says so,
 * operations on files of one part of one campaign are refused, slow, or hang. Else it
 * costs one look at that page. What it touches it counts there.
 */
#include "preload.h"

enum { NONE, REFUSE, DELAY, HANG };
enum { CHECKPOINTS, JOURNAL, RESULTS, NOWHERE };
enum { MAKE = 1, WRITE = 2, FLUSH = 4, NAME = 8, REMOVE = 16 };

struct page {
    int32_t effect, number, place, operations, factor, length;
    uint64_t touched;
    char campaign[];
};

static volatile struct page *page;

__attribute__((constructor)) static void look_up(void) {
    page = shared_page("CLIMORCH_TESTING_TROUBLE");
}

static int begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* Which part a path belongs to; the same rule as place_of in trouble.py. */
static int place_of(const char *path) {
    size_t length = (size_t)page->length;
    if (strncmp(path, (const char *)page->campaign, length) || path[length] != '/')
        return NOWHERE;
    const char *inner = path + length;
    if (begins(inner, "/journal.sqlite")) return JOURNAL;
    if (begins(inner, "/results/") || !strcmp(inner, "/results")) return RESULTS;
    if (strstr(inner, "/outputs-") || strstr(inner, "/outputs/")) return RESULTS;
    size_t end = strlen(inner);
    if (end >= 8 && !strcmp(inner + end - 8, "/outputs")) return RESULTS;
    static const char *const own[] = {"/checkpoints", "/inflight", "/trash", "/damaged"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        char after = begins(inner, own[i]) ? inner[strlen(own[i])] : 'x';
        if (after == '/' || after == '\0') return CHECKPOINTS;
    }
    return NOWHERE;
}

static int path_is_there(int folder, const char *path) {
    char whole[PATH_MAX];
    if (path[0] != '/') {
        char link[64];
        if (folder == AT_FDCWD) strcpy(link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t found = readlink(link, whole, sizeof whole - 1);
        if (found < 0 || (size_t)found + strlen(path) + 2 > sizeof whole) return 0;
        whole[found] = '/';
        strcpy(whole + found + 1, path);
        path = whole;
    }
    return place_of(path) == page->place;
}

static int file_is_there(int file) {
    char whole[PATH_MAX];
    return found_path(file, whole) && place_of(whole) == page->place;
}

static int lasts(int operation) {
    return page != NULL && page->effect != NONE && (page->operations & operation);
}

static double now_s(void) {
    struct timespec found;
    clock_gettime(CLOCK_MONOTONIC, &found);
    return (double)found.tv_sec + 1e-9 * (double)found.tv_nsec;
}

static void pause_s(double seconds) {
    long nanoseconds = (long)(1e9 * (seconds - (time_t)seconds));
    rest((struct timespec){(time_t)seconds, nanoseconds});
}

/* Returns -1 where the operation is refused, else since when it is slow, or 0. */
static double met(void) {
    __atomic_add_fetch(&page->touched, 1, __ATOMIC_SEQ_CST);
    int effect = page->effect;
    if (effect == REFUSE) {
        errno = page->number;
        return -1;
    }
    while (page->effect == HANG) pause_s(0.005);
    return effect == DELAY ? now_s() : 0;
}

static void stretch(double begin_s) {
    int number = errno;
    if (begin_s > 0) pause_s((now_s() - begin_s) * (page->factor - 1));
    errno = number;
}

#define AROUND(operation, there, failed, call) \
    double begin_s = lasts(operation) && (there) ? met() : 0; \
    if (begin_s < 0) return failed; \
    __typeof__(call) result = call; \
    stretch(begin_s); \
    return result

#define ON_FILE(operation, type, name, parameters, arguments) \
    type name parameters { \
        REAL(name); \
        AROUND(operation, file_is_there(file), -1, real arguments); \
    }

ON_FILE(WRITE, ssize_t, write, (int file, const void *data, size_t size),
        (file, data, size))
ON_FILE(WRITE, ssize_t, pwrite, (int file, const void *data, size_t size, off_t at),
        (file, data, size, at))
ON_FILE(WRITE, ssize_t, pwrite64,
        (int file, const void *data, size_t size, off64_t at), (file, data, size, at))
ON_FILE(WRITE, int, ftruncate, (int file, off_t size), (file, size))
ON_FILE(WRITE, int, ftruncate64, (int file, off64_t size), (file, size))
ON_FILE(WRITE, int, fallocate, (int file, int mode, off_t at, off_t size),
        (file, mode, at, size))
ON_FILE(FLUSH, int, fsync, (int file), (file))
ON_FILE(FLUSH, int, fdatasync, (int file), (file))

/* This one returns the error instead of setting it. */
int posix_fallocate(int file, off_t at, off_t size) {
    REAL(posix_fallocate);
    AROUND(WRITE, file_is_there(file), errno, real(file, at, size));
}

int posix_fallocate64(int file, off64_t at, off64_t size) {
    REAL(posix_fallocate64);
    AROUND(WRITE, file_is_there(file), errno, real(file, at, size));
}

#define OPENING(name, parameters, folder, call) \
    int name parameters { \
        REAL(name); \
        GIVEN_MODE \
        int makes = flags & O_CREAT && faccessat(folder, path, F_OK, 0); \
        AROUND(MAKE, makes && path_is_there(folder, path), -1, call); \
    }

OPENING(open, (const char *path, int flags, ...), AT_FDCWD, real(path, flags, mode))
OPENING(open64, (const char *path, int flags, ...), AT_FDCWD, real(path, flags, mode))
OPENING(openat, (int folder, const char *path, int flags, ...), folder,
        real(folder, path, flags, mode))
OPENING(openat64, (int folder, const char *path, int flags, ...), folder,
        real(folder, path, flags, mode))

#define ON_PATH(operation, name, parameters, folder, arguments) \
    int name parameters { \
        REAL(name); \
        AROUND(operation, path_is_there(folder, path), -1, real arguments); \
    }

ON_PATH(MAKE, mkdir, (const char *path, mode_t mode), AT_FDCWD, (path, mode))
ON_PATH(MAKE, mkdirat, (int folder, const char *path, mode_t mode), folder,
        (folder, path, mode))
ON_PATH(MAKE, link, (const char *old, const char *path), AT_FDCWD, (old, path))
ON_PATH(MAKE, linkat,
        (int from, const char *old, int folder, const char *path, int flags), folder,
        (from, old, folder, path, flags))
ON_PATH(REMOVE, unlink, (const char *path), AT_FDCWD, (path))
ON_PATH(REMOVE, unlinkat, (int folder, const char *path, int flags), folder,
        (folder, path, flags))
ON_PATH(REMOVE, rmdir, (const char *path), AT_FDCWD, (path))

int rename(const char *old, const char *path) {
    REAL(rename);
    AROUND(NAME, path_is_there(AT_FDCWD, path) || path_is_there(AT_FDCWD, old), -1,
           real(old, path));
}

int renameat(int from, const char *old, int folder, const char *path) {
    REAL(renameat);
    AROUND(NAME, path_is_there(folder, path) || path_is_there(from, old), -1,
           real(from, old, folder, path));
}
