/* What libraries that are loaded before all others have in common: the page of shared
 * memory that tells them what to do, and the functions that they stand before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Returns the page that is named in the environment; NULL: there is none. */
static void *shared_page(const char *variable) {
    const char *path = getenv(variable);
    if (path == NULL) return NULL;
    /* Straight to the kernel: the functions that are replaced are not for this. */
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (file < 0) return NULL;
    void *found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return found == MAP_FAILED ? NULL : found;
}

/* Writes the path of an open file; returns whether it has one. */
static int found_path(int file, char whole[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t found = readlink(link, whole, PATH_MAX - 1);
    if (found < 0) return 0;
    whole[found] = '\0';
    return 1;
}

static void rest(struct timespec left) {
    while (nanosleep(&left, &left) && errno == EINTR) continue;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* The mode that open was given, if it was. */
#define GIVEN_MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = (mode_t)va_arg(more, int); \
        va_end(more); \
    }
