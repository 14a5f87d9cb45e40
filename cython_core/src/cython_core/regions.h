/* Memory for cells, straight from the system, so that it can go back there: regions of one size, each
   aligned to it, and a single page each where the machine has pages that large.

   A system clears a page when it is touched first. That is half the time of building ten million
   nodes, so a graph that goes on growing has it done ahead: while some regions are being filled, a
   thread has the system clear the next ones. Without the thread all works the same, only slower. */

#if defined(_MSC_VER)
  #include <malloc.h>
  #define region_memory(size, large) ((void)(large), _aligned_malloc((size), (size)))
  #define region_release(region, size) _aligned_free(region)
  #define regions_after_fork() ((void)0)
#else
  #include <stdint.h>
  #include <sys/mman.h>
  #ifndef MAP_ANONYMOUS
    #define MAP_ANONYMOUS MAP_ANON
  #endif

static char *mapped(size_t size, size_t alignment) {
    char *place = mmap(NULL, size + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
    if (place == MAP_FAILED) return NULL;
    size_t before = -(uintptr_t)place & (alignment - 1);
    if (before) munmap(place, before);
    munmap(place + before + size, alignment - before);
  #ifdef MADV_HUGEPAGE
    madvise(place + before, size, MADV_HUGEPAGE);
  #endif
    return place + before;
}

  #if defined(__linux__)
    #include <pthread.h>
    #include <signal.h>
    #ifndef MADV_POPULATE_WRITE
      #define MADV_POPULATE_WRITE 23  /* of Linux 5.14: an older one refuses it, and nothing is lost */
    #endif

enum { AHEAD = 2 };  /* regions that one thread clears; as many may wait */

static char *ready = NULL, *ready_end = NULL;  /* regions that it has cleared, or is about to */
static char *coming = NULL;                    /* the ones after them */
static size_t coming_size = 0;
static pthread_t clearing;
static int is_clearing = 0;
static int has_cleared = 0;  /* the thread says so */
static int growth = 0;       /* regions taken since one was given back */

static void *clear_regions(void *regions) {
    madvise(regions, coming_size, MADV_POPULATE_WRITE);
    __atomic_store_n(&has_cleared, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void start_clearing(size_t size) {
    sigset_t all, before;
    coming = mapped(AHEAD * size, size);
    if (!coming) return;
    coming_size = AHEAD * size;
    has_cleared = 0;
    sigfillset(&all);  /* signals are for Python's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    is_clearing = !pthread_create(&clearing, NULL, clear_regions, coming);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void end_clearing(void) {
    if (is_clearing) pthread_join(clearing, NULL);
    is_clearing = 0;
}

/* A child has only the thread that forked. */
static void regions_after_fork(void) { is_clearing = 0; }

/* Nobody waits for the thread, which may wait for a core itself: what it has not cleared yet, the
   system clears on first touch as ever. */
static void *region_memory(size_t size, int large) {
    if (ready == ready_end && coming) {
        ready = coming;
        ready_end = coming + coming_size;
        coming = NULL;
    }
    if (__atomic_load_n(&has_cleared, __ATOMIC_ACQUIRE)) end_clearing();
    if (large && ++growth > 4 && !coming && !is_clearing) start_clearing(size);
    if (ready == ready_end) return mapped(size, size);
    ready += size;
    return ready - size;
}

static void region_release(void *region, size_t size) {
    end_clearing();
    munmap(region, size);
    if (ready != ready_end) munmap(ready, ready_end - ready);
    ready = ready_end = NULL;
    if (coming) munmap(coming, coming_size);
    coming = NULL;
    growth = 0;
}

  #else
    #define region_memory(size, large) ((void)(large), mapped((size), (size)))
    #define region_release(region, size) munmap((region), (size))
    #define regions_after_fork() ((void)0)
  #endif
#endif
