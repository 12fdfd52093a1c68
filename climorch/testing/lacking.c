/* Storage that lacks something, below all that a process does with the C library.
 *
 * Loaded before all other libraries (LD_PRELOAD). Below one folder there are no hard
 * links, no locks, locks that keep nobody out, or names are slow to make and to find:
 * as a page of shared memory says, which climorch/testing/lacking.py lays out. What it
 * touches it counts there.
 */
#include "preload.h"

#include <dirent.h>
#include <sys/file.h>

enum { LINKS = 1, LOCKS = 2, LOOSE = 4, SLOW = 8 };

/* How many times as quick a look is as a change: clients remember names for a while. */
enum { QUICKER = 8 };

struct page {
    int32_t lacks, number, microseconds, length;
    uint64_t touched;
    char folder[];
};

static volatile struct page *page;

__attribute__((constructor)) static void look_up(void) {
    page = shared_page("CLIMORCH_TESTING_LACKING");
}

static int lacks(int what) { return page != NULL && (page->lacks & what); }

static int is_below(const char *path) {
    size_t length = (size_t)page->length;
    return !strncmp(path, (const char *)page->folder, length)
        && (path[length] == '/' || path[length] == '\0');
}

static int file_is_there(int file) {
    char whole[PATH_MAX];
    return found_path(file, whole) && is_below(whole);
}

static int path_is_there(int folder, const char *path) {
    char whole[PATH_MAX];
    if (path == NULL) return 0;
    if (path[0] == '/') return is_below(path);
    if (folder != AT_FDCWD) return file_is_there(folder);
    return getcwd(whole, sizeof whole) != NULL && is_below(whole);
}

static void count(void) {
    __atomic_add_fetch(&page->touched, 1, __ATOMIC_SEQ_CST);
}

static void linger(int folder, const char *path, int changes) {
    if (!lacks(SLOW) || !path_is_there(folder, path)) return;
    int number = errno;
    count();
    long microseconds = page->microseconds / (changes ? 1 : QUICKER);
    rest((struct timespec){microseconds / 1000000, 1000 * (microseconds % 1000000)});
    errno = number;
}

/* Returns whether the operation on a lock was answered here, with what in `answer`. */
static int answered(int file, int command, int *answer) {
    switch (command) {
    case F_GETLK: case F_SETLK: case F_SETLKW:
    case F_OFD_GETLK: case F_OFD_SETLK: case F_OFD_SETLKW: break;
    default: return 0;
    }
    if (!lacks(LOCKS | LOOSE) || !file_is_there(file)) return 0;
    count();
    *answer = 0;
    if (lacks(LOCKS)) {
        errno = page->number;
        *answer = -1;
    }
    return 1;
}

#define CONTROL(name) \
    int name(int file, int command, ...) { \
        REAL(name); \
        va_list more; \
        va_start(more, command); \
        void *given = va_arg(more, void *); \
        va_end(more); \
        int answer; \
        if (answered(file, command, &answer)) { \
            if (!answer && (command == F_GETLK || command == F_OFD_GETLK)) \
                ((struct flock *)given)->l_type = F_UNLCK; \
            return answer; \
        } \
        return real(file, command, given); \
    }

CONTROL(fcntl)
CONTROL(fcntl64)

int flock(int file, int operation) {
    REAL(flock);
    int answer;
    return answered(file, F_SETLK, &answer) ? answer : real(file, operation);
}

int link(const char *old, const char *path) {
    REAL(link);
    if (lacks(LINKS) && path_is_there(AT_FDCWD, path)) {
        count();
        errno = EPERM;
        return -1;
    }
    linger(AT_FDCWD, path, 1);
    return real(old, path);
}

int linkat(int from, const char *old, int folder, const char *path, int flags) {
    REAL(linkat);
    if (lacks(LINKS) && path_is_there(folder, path)) {
        count();
        errno = EPERM;
        return -1;
    }
    linger(folder, path, 1);
    return real(from, old, folder, path, flags);
}

#define SLOWLY(changes, type, name, parameters, folder, arguments) \
    type name parameters { \
        REAL(name); \
        linger(folder, path, changes); \
        return real arguments; \
    }

SLOWLY(1, int, mkdir, (const char *path, mode_t mode), AT_FDCWD, (path, mode))
SLOWLY(1, int, mkdirat, (int folder, const char *path, mode_t mode), folder,
       (folder, path, mode))
SLOWLY(1, int, unlink, (const char *path), AT_FDCWD, (path))
SLOWLY(1, int, unlinkat, (int folder, const char *path, int flags), folder,
       (folder, path, flags))
SLOWLY(1, int, rmdir, (const char *path), AT_FDCWD, (path))
SLOWLY(1, int, rename, (const char *old, const char *path), AT_FDCWD, (old, path))
SLOWLY(1, int, renameat,
       (int from, const char *old, int folder, const char *path), folder,
       (from, old, folder, path))
SLOWLY(0, int, stat, (const char *path, struct stat *found), AT_FDCWD, (path, found))
SLOWLY(0, int, lstat, (const char *path, struct stat *found), AT_FDCWD, (path, found))
SLOWLY(0, int, stat64, (const char *path, struct stat64 *found), AT_FDCWD,
       (path, found))
SLOWLY(0, int, lstat64, (const char *path, struct stat64 *found), AT_FDCWD,
       (path, found))
SLOWLY(0, int, fstatat, (int folder, const char *path, struct stat *found, int flags),
       folder, (folder, path, found, flags))
SLOWLY(0, int, fstatat64,
       (int folder, const char *path, struct stat64 *found, int flags), folder,
       (folder, path, found, flags))
SLOWLY(0, int, access, (const char *path, int mode), AT_FDCWD, (path, mode))
SLOWLY(0, DIR *, opendir, (const char *path), AT_FDCWD, (path))

#define OPENING(name, parameters, folder, call) \
    int name parameters { \
        REAL(name); \
        GIVEN_MODE \
        linger(folder, path, (flags & O_CREAT) != 0); \
        return call; \
    }

OPENING(open, (const char *path, int flags, ...), AT_FDCWD, real(path, flags, mode))
OPENING(open64, (const char *path, int flags, ...), AT_FDCWD, real(path, flags, mode))
OPENING(openat, (int folder, const char *path, int flags, ...), folder,
        real(folder, path, flags, mode))
OPENING(openat64, (int folder, const char *path, int flags, ...), folder,
        real(folder, path, flags, mode))
