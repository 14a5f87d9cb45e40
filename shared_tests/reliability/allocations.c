/* Loaded before the C library: its allocations, of which one can be told to fail. */

#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

static __thread long left = -1; /* so many succeed before one fails; -1: all do */
static __thread int failed;

void fail_after(long count) {
    failed = 0;
    left = count;
}

int has_failed(void) {
    left = -1;
    return failed;
}

static int fails(void) {
    if (left < 0 || left-- > 0) return 0;
    failed = 1;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *place, size_t size) { return fails() ? NULL : __libc_realloc(place, size); }
