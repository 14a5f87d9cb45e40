# The memory of Values: slabs of cells, the order of creation, and how a dead graph is freed.

cdef extern from *:
    """
    #include <stdlib.h>
    #if defined(_MSC_VER)
      #include <intrin.h>
      #include <malloc.h>
      #define slab_memory(size) _aligned_malloc((size), (size))
      #define slab_release(slab) _aligned_free(slab)
      static int highest_bit(unsigned long long word) {
          unsigned long bit;
          _BitScanReverse64(&bit, word);
          return (int)bit;
      }
    #else
      static void *slab_memory(size_t size) {
          void *slab;
          return posix_memalign(&slab, size, size) == 0 ? slab : NULL;
      }
      #define slab_release(slab) free(slab)
      #define highest_bit(word) (63 - __builtin_clzll(word))
    #endif
    /* A cell becomes an object. A debug build of Python counts references, so it must be told. */
    #ifdef Py_REF_DEBUG
      #define become_value(cell, type) ((void)PyObject_Init((PyObject *)(cell), (type)))
    #else
      #define become_value(cell, type) \\
          (Py_SET_REFCNT((PyObject *)(cell), 1), Py_SET_TYPE((PyObject *)(cell), (type)))
    #endif
    /* Hands out the one reference that become_value made, so that none is added and dropped. */
    #define new_reference(cell) ((PyObject *)(cell))
    #define is_value_exactly(object, type) (Py_TYPE((PyObject *)(object)) == (type))
    #define references(cell) Py_REFCNT((PyObject *)(cell))
    #define set_references(cell, n) Py_SET_REFCNT((PyObject *)(cell), (n))
    #define hold(cell) Py_INCREF((PyObject *)(cell))
    #define let_go(cell) Py_DECREF((PyObject *)(cell))
    """
    ctypedef struct TypeObject "PyTypeObject":
        void (*tp_dealloc)(PyObject *) noexcept
        PyObject *(*tp_alloc)(TypeObject *, Py_ssize_t) except NULL
        void (*tp_free)(void *) noexcept
    bint unlikely(bint) noexcept nogil
    void *slab_memory(size_t) noexcept nogil
    void slab_release(void *) noexcept nogil
    int highest_bit(uint64_t) noexcept nogil
    void become_value(Cell *, TypeObject *) noexcept
    object new_reference(Cell *)
    bint is_value_exactly(void *, TypeObject *) noexcept nogil
    Py_ssize_t references(Cell *) noexcept
    void set_references(Cell *, Py_ssize_t) noexcept
    void hold(void *) noexcept
    void let_go(void *) noexcept
    PyObject *PyType_GenericAlloc(TypeObject *, Py_ssize_t) except NULL


cdef enum:
    CELL = 64                   # bytes
    SLAB = 1 << 18              # bytes, and its alignment: a cell finds its slab by its address
    WORDS = 64                  # of marks, a bit for every cell
    HEADER = 9 * CELL           # what a Slab itself takes; checked on import
    CELLS = 4096 - 9
    KEPT = 128                  # empty slabs (32 MB) that wait for the next graph; more go back

cdef struct Slab:
    uint64_t serial             # of nodes: rises with the order of creation; of leaves: 0
    Slab *next
    Slab *previous
    Cell *free                  # leaves: cells to use again
    char *fresh                 # leaves: the first cell that was never used
    uint32_t count              # nodes: how many have died; leaves: how many live
    bint queued                 # some of its marks are set
    uint64_t marks[WORDS]

cdef TypeObject *value_type

# Nodes are made at the cursor, in the newest slab, up to the limit.
cdef Slab *newest = NULL
cdef char *cursor = NULL
cdef char *limit = NULL
cdef uint64_t serials = 0

cdef Slab *open_leaves = NULL   # slabs that have room for another leaf
cdef Slab *empty_slabs = NULL
cdef Py_ssize_t empty_count = 0
cdef Py_ssize_t slab_count = 0

# Slabs with marks, a heap whose first has the highest serial. It has room for all slabs, always: so
# backward never has to allocate.
cdef Slab **heap = NULL
cdef Py_ssize_t heap_count = 0
cdef Py_ssize_t heap_room = 0


cdef inline Slab *slab_of(Cell *c) noexcept nogil:
    return <Slab *>(<size_t>c & ~<size_t>(SLAB - 1))


cdef Slab *another_slab() except NULL:
    global empty_slabs, empty_count, slab_count, heap, heap_room
    cdef Slab *slab = empty_slabs
    cdef void *more
    if slab != NULL:
        empty_slabs = slab.next
        empty_count -= 1
    else:
        if slab_count == heap_room:
            more = realloc(heap, (2 * heap_room + 64) * sizeof(Slab *))
            if more == NULL:
                raise MemoryError("no memory for another node")
            heap = <Slab **>more
            heap_room = 2 * heap_room + 64
        slab = <Slab *>slab_memory(SLAB)
        if slab == NULL:
            raise MemoryError("no memory for another node")
        slab_count += 1
    memset(slab, 0, HEADER)
    return slab


cdef void retire(Slab *slab) noexcept:
    """Keep an empty slab for later, or give it back to the system."""
    global empty_slabs, empty_count, slab_count
    if empty_count < KEPT:
        slab.next = empty_slabs
        empty_slabs = slab
        empty_count += 1
    else:
        slab_release(slab)
        slab_count -= 1


cdef int next_slab_of_nodes() except -1:
    global newest, cursor, limit, serials
    cdef Slab *slab
    if newest != NULL and newest.count == CELLS:  # died while something else was being freed
        newest.count = 0
        cursor = <char *>newest + HEADER
        return 0
    slab = another_slab()
    serials += 1
    slab.serial = serials
    newest = slab
    cursor = <char *>slab + HEADER
    limit = cursor + CELLS * CELL
    return 0


cdef inline Cell *node_cell() except NULL:
    """Room for a node, after all nodes that were made before. Its fields hold rubbish."""
    global cursor
    if unlikely(cursor == limit):
        next_slab_of_nodes()
    cdef Cell *c = <Cell *>cursor
    cursor += CELL
    become_value(c, value_type)
    return c


cdef int open_slab_of_leaves() except -1:
    global open_leaves
    cdef Slab *slab = another_slab()
    slab.fresh = <char *>slab + HEADER
    open_leaves = slab
    return 0


cdef inline Cell *leaf_cell() except NULL:
    """Room for a leaf, anywhere. Its fields hold rubbish."""
    global open_leaves
    if unlikely(open_leaves == NULL):
        open_slab_of_leaves()
    cdef Slab *slab = open_leaves
    cdef Cell *c = slab.free
    if c != NULL:
        slab.free = c.data.next
    else:
        c = <Cell *>slab.fresh
        slab.fresh += CELL
    slab.count += 1
    if unlikely(slab.count == CELLS):
        open_leaves = slab.next
        if open_leaves != NULL:
            open_leaves.previous = NULL
        slab.next = NULL
    become_value(c, value_type)
    return c


cdef inline void release_leaf(Cell *c, Slab *slab) noexcept:
    global open_leaves
    c.data.next = slab.free
    slab.free = c
    if unlikely(slab.count == CELLS):
        slab.previous = NULL
        slab.next = open_leaves
        if open_leaves != NULL:
            open_leaves.previous = slab
        open_leaves = slab
    slab.count -= 1
    if unlikely(slab.count == 0) and (slab.next != NULL or slab.previous != NULL):
        if slab.previous != NULL:
            slab.previous.next = slab.next
        else:
            open_leaves = slab.next
        if slab.next != NULL:
            slab.next.previous = slab.previous
        retire(slab)


cdef inline void release_cell(Cell *c) noexcept:
    cdef Slab *slab = slab_of(c)
    if slab.serial == 0:
        release_leaf(c, slab)
    else:
        slab.count += 1
        if unlikely(slab.count == CELLS) and slab != newest:
            retire(slab)


# Freeing -------------------------------------------------------------------------------------
#
# A graph may be ten million nodes deep, so a dying node must not free its operands from within its
# own deallocation. It puts those that die with it on a list, threaded through the dead cells, and
# the outermost call works through the list.

cdef Cell *dying = NULL
cdef bint burying = False


cdef inline void drop(Cell *c) noexcept:
    """Give up a reference to a Value."""
    global dying
    if references(c) == 1 and is_value_exactly(c, value_type):
        set_references(c, 0)
        c.data.next = dying
        dying = c
    else:
        let_go(c)  # of a subclass: it may have a __del__, and memory of its own


cdef void value_dealloc(PyObject *o) noexcept:
    """tp_dealloc of Value. Also called, last of all, by that of a subclass."""
    global dying, burying, cursor
    cdef Cell *c = <Cell *>o
    cdef Cell *anchor = NULL
    cdef PyObject *label
    if is_value_exactly(c, value_type):
        c.data.next = dying
        dying = c
    else:
        # Its memory is not ours, and it is gone when this returns; so only its anchor can wait.
        label = c.label
        if c.code == CUSTOM:
            anchor = c.left
        (<TypeObject *>c.head.ob_type).tp_free(o)
        if label != NULL:
            let_go(label)
        if anchor == NULL:
            return
        drop(anchor)
    if burying:
        return
    burying = True
    while dying != NULL:
        c = dying
        dying = c.data.next
        bury(c)
    burying = False
    if newest != NULL and newest.count * CELL == <size_t>(cursor - <char *>newest) - HEADER:
        # All that was made in it is dead: begin it again while it is in the cache.
        newest.count = 0
        cursor = <char *>newest + HEADER


cdef inline void bury(Cell *c) noexcept:
    cdef Fused *f
    cdef Py_ssize_t i
    cdef int code = c.code
    if code >= FIRST_NODE:
        if code < FIRST_BINARY:
            drop(c.left)
        elif code < FIRST_FUSED:
            drop(c.left)
            drop(c.right.value)
        else:
            f = c.right.fused
            for i in range(f.count):
                if f.operands[i].value != NULL:
                    drop(f.operands[i].value)
            if f.owner != NULL:
                let_go(f.owner)
            free(f.operands)
            free(f)
    elif code == CUSTOM:
        drop(c.left)
    elif code == VIEW:
        let_go(<PyObject *>c.left)  # the owner of the numbers, an object of another type
    if c.label != NULL:
        let_go(c.label)
    release_cell(c)


cdef PyObject *value_alloc(TypeObject *kind, Py_ssize_t items) except NULL:
    """tp_alloc of Value itself; subclasses have Python's own."""
    cdef Cell *c
    if kind != value_type:
        return PyType_GenericAlloc(kind, items)
    c = leaf_cell()
    memset(<char *>c + sizeof(PyObject), 0, sizeof(Cell) - sizeof(PyObject))
    return <PyObject *>c


# The order of creation -----------------------------------------------------------------------

cdef void enqueue(Slab *slab) noexcept nogil:
    global heap_count
    cdef Py_ssize_t i = heap_count, parent
    heap_count += 1
    slab.queued = True
    while i > 0:
        parent = (i - 1) >> 1
        if heap[parent].serial > slab.serial:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = slab


cdef void dequeue() noexcept nogil:
    global heap_count
    cdef Py_ssize_t i = 0, child
    heap[0].queued = False
    heap_count -= 1
    cdef Slab *last = heap[heap_count]
    while True:
        child = 2 * i + 1
        if child >= heap_count:
            break
        if child + 1 < heap_count and heap[child + 1].serial > heap[child].serial:
            child += 1
        if heap[child].serial < last.serial:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = last


cdef inline bint mark(Cell *c) noexcept nogil:
    """Note a node as reached; whether it is so for the first time."""
    cdef Slab *slab = slab_of(c)
    cdef size_t i = (<size_t>c & (SLAB - 1)) // CELL
    cdef uint64_t bit = (<uint64_t>1) << (i & 63)
    if slab.marks[i >> 6] & bit:
        return False
    slab.marks[i >> 6] |= bit
    if unlikely(not slab.queued):
        enqueue(slab)
    return True


cdef int scan_from = WORDS - 1  # no word of heap[0] above this one has a mark

cdef inline Cell *newest_marked() noexcept nogil:
    """Take the mark off the node made last, and return it; NULL when there is none left.

    A node marks only older nodes, so those of the first slab always lie below the last one taken.
    """
    global scan_from
    cdef Slab *slab
    cdef int word = scan_from, bit
    while heap_count:
        slab = heap[0]
        while word >= 0:
            if slab.marks[word]:
                bit = highest_bit(slab.marks[word])
                slab.marks[word] ^= (<uint64_t>1) << bit
                scan_from = word
                return <Cell *>(<char *>slab + (64 * word + bit) * CELL)
            word -= 1
        dequeue()
        word = WORDS - 1
    scan_from = WORDS - 1
    return NULL
