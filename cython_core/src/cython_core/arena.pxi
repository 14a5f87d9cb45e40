# The memory of Values: slabs of cells, the order of creation, and how a dead graph is freed.

cdef extern from *:
    """
    #include <stdlib.h>
    #ifdef Py_GIL_DISABLED
      #error "cython_core makes objects as only a CPython with the global interpreter lock lays them out"
    #endif
    #if defined(_MSC_VER)
      #include <intrin.h>
      #if defined(_M_X64)
        #define prefetch(place) _mm_prefetch((const char *)(place), _MM_HINT_T0)
      #else
        #define prefetch(place) ((void)(place))
      #endif
      static int highest_bit(unsigned long long word) {
          unsigned long bit;
          _BitScanReverse64(&bit, word);
          return (int)bit;
      }
    #else
      #define prefetch(place) __builtin_prefetch((const void *)(place), 1)
      #define highest_bit(word) (63 - __builtin_clzll(word))
    #endif
    /* In a build with AddressSanitizer a dead cell is out of bounds, what waits to be used again is
       freed instead, and what only cells point to is no leak. */
    #if defined(__SANITIZE_ADDRESS__)
      #include <sanitizer/asan_interface.h>
      #include <sanitizer/lsan_interface.h>
      #define SANITIZED 1
      #define shut(place, size) __asan_poison_memory_region((place), (size))
      #define unshut(place, size) __asan_unpoison_memory_region((place), (size))
      #define known(region, size) __lsan_register_root_region((region), (size))
      #define unknown(region, size) __lsan_unregister_root_region((region), (size))
    #else
      #define SANITIZED 0
      #define shut(place, size) ((void)0)
      #define unshut(place, size) ((void)0)
      #define known(region, size) ((void)0)
      #define unknown(region, size) ((void)0)
    #endif
    #include "regions.h"
    /* A cell becomes an object. A debug build of Python counts references, so it must be told. */
    #ifdef Py_REF_DEBUG
      #define COUNTED 1
      #define become_value(cell, type) ((void)PyObject_Init((PyObject *)(cell), (type)))
    #else
      #define COUNTED 0
      #define become_value(cell, type) \\
          (Py_SET_REFCNT((PyObject *)(cell), 1), Py_SET_TYPE((PyObject *)(cell), (type)))
    #endif
    #define vectorcall_count(count) PyVectorcall_NARGS(count)
    /* A type's call as without a vectorcall of its own. */
    static PyObject *type_call(
        PyObject *type, PyObject *const *arguments, size_t count, PyObject *names
    ) {
        Py_ssize_t i, n = PyVectorcall_NARGS(count), named = names ? PyTuple_GET_SIZE(names) : 0;
        PyObject *result = NULL, *by_name = NULL, *by_place = PyTuple_New(n);
        if (!by_place) return NULL;
        for (i = 0; i < n; i++) {
            Py_INCREF(arguments[i]);
            PyTuple_SET_ITEM(by_place, i, arguments[i]);
        }
        if (named) {
            by_name = PyDict_New();
            for (i = 0; by_name && i < named; i++)
                if (PyDict_SetItem(by_name, PyTuple_GET_ITEM(names, i), arguments[n + i]) < 0)
                    Py_CLEAR(by_name);
        }
        if (!named || by_name) result = PyType_Type.tp_call(type, by_place, by_name);
        Py_XDECREF(by_name);
        Py_DECREF(by_place);
        return result;
    }
    /* Hands out the one reference that become_value made, so that none is added and dropped. */
    #define new_reference(cell) ((PyObject *)(cell))
    #define is_value_exactly(object, type) (Py_TYPE((PyObject *)(object)) == (type))
    #define references(cell) Py_REFCNT((PyObject *)(cell))
    #define set_references(cell, n) Py_SET_REFCNT((PyObject *)(cell), (n))
    #define hold(cell) Py_INCREF((PyObject *)(cell))
    #define let_go(cell) Py_DECREF((PyObject *)(cell))
    """
    ctypedef object (*binaryfunc)(object, object)
    ctypedef struct NumberSlots "PyNumberMethods":
        binaryfunc nb_add
        binaryfunc nb_subtract
        binaryfunc nb_multiply
        binaryfunc nb_true_divide
    ctypedef struct TypeObject "PyTypeObject":
        NumberSlots *tp_as_number
        void (*tp_dealloc)(PyObject *) noexcept
        PyObject *(*tp_alloc)(TypeObject *, Py_ssize_t) except NULL
        void (*tp_free)(void *) noexcept
        PyObject *(*tp_vectorcall)(PyObject *, PyObject *const *, size_t, PyObject *) noexcept
    Py_ssize_t vectorcall_count(size_t) noexcept
    PyObject *type_call(PyObject *, PyObject *const *, size_t, PyObject *) noexcept
    bint unlikely(bint) noexcept nogil
    void *region_memory(size_t, bint) noexcept nogil
    void region_release(void *, size_t) noexcept nogil
    void regions_after_fork() noexcept nogil
    void prefetch(void *) noexcept nogil
    bint SANITIZED, COUNTED
    void shut(void *, size_t) noexcept nogil
    void unshut(void *, size_t) noexcept nogil
    void known(void *, size_t) noexcept nogil
    void unknown(void *, size_t) noexcept nogil
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
    WORDS = 512                 # of marks, those of eight cells each
    HEADER = 66 * CELL          # what a Slab itself takes; checked on import
    CELLS = 4096 - 66
    REGION = 1 << 21            # bytes, and its alignment: what is asked of the system at once
    SLABS = 8                   # in a region
    LOOK_AHEAD = 64             # cells, less than a header
    KEPT = 208                  # empty slabs (52 MB) that wait for the next graph; more go back
    VAST = 2 * KEPT             # slabs of a graph that is worth a thread

# Marks are there for two passes over the graph in the order of creation, newest first. They may
# meet: freeing can run a __del__, and that can call backward.
cdef enum:
    REACHED                     # by backward
    DYING
    PASSES

cdef struct Slab:
    uint32_t idle               # of the first slab of a region: how many of its slabs are empty
    Slab *next_region           # of it, too
    Slab *previous_region
    uint32_t count              # nodes: how many have died; leaves: how many live
    uint64_t serial             # of nodes: rises with the order of creation; of leaves: 0
    Slab *next
    Slab *previous
    Cell *free                  # leaves: cells to use again
    char *fresh                 # leaves: the first cell that was never used
    bint queued[PASSES]         # some of its marks are set
    uint64_t marks[WORDS]       # a byte for every cell: bits in a row would wait for each other

# Slabs with marks, a heap whose first has the highest serial. It has room for all slabs, always: so
# neither backward nor freeing has to allocate.
cdef struct Pass:
    Slab **heap
    Py_ssize_t count
    int scan_from               # no word of heap[0] above this one has a mark

cdef TypeObject *value_type

# Nodes are made at the cursor, in the newest slab, up to the limit.
cdef Slab *newest = NULL
cdef char *cursor = NULL
cdef char *limit = NULL
cdef uint64_t serials = 0

cdef Slab *open_leaves = NULL   # slabs that have room for another leaf
cdef Slab *regions = NULL
cdef Slab *empty_slabs = NULL
cdef Py_ssize_t empty_count = 0
cdef Py_ssize_t slab_count = 0
cdef Py_ssize_t heap_room = 0
cdef Pass passes[PASSES]


cdef inline Slab *slab_of(Cell *c) noexcept nogil:
    return <Slab *>(<size_t>c & ~<size_t>(SLAB - 1))


cdef inline Slab *region_of(Slab *slab) noexcept nogil:
    return <Slab *>(<size_t>slab & ~<size_t>(REGION - 1))


cdef inline void put_aside(Slab *slab) noexcept nogil:
    global empty_slabs, empty_count
    slab.count = slab.serial = 0
    slab.previous = NULL
    slab.next = empty_slabs
    if empty_slabs != NULL:
        empty_slabs.previous = slab
    empty_slabs = slab
    empty_count += 1


cdef inline void take(Slab *slab) noexcept nogil:
    global empty_slabs, empty_count
    if slab.previous != NULL:
        slab.previous.next = slab.next
    else:
        empty_slabs = slab.next
    if slab.next != NULL:
        slab.next.previous = slab.previous
    empty_count -= 1


cdef int another_region() except -1:
    global slab_count, heap_room, regions
    cdef void *more
    cdef Slab *region
    cdef Py_ssize_t i, room = heap_room
    if slab_count + SLABS > room:
        room = 2 * room + 8 * SLABS
        for i in range(PASSES):
            more = realloc(passes[i].heap, room * sizeof(Slab *))
            if more == NULL:
                raise MemoryError("no memory for another node")
            passes[i].heap = <Slab **>more
        heap_room = room
    region = <Slab *>region_memory(REGION, slab_count > VAST)
    if region == NULL:
        raise MemoryError("no memory for another node")
    known(region, REGION)
    region.idle = SLABS
    region.next_region = regions
    if regions != NULL:
        regions.previous_region = region
    regions = region
    for i in range(SLABS - 1, -1, -1):
        put_aside(<Slab *>(<char *>region + i * SLAB))
        shut(<char *>region + i * SLAB + HEADER, SLAB - HEADER)
    slab_count += SLABS
    return 0


cdef Slab *another_slab() except NULL:
    cdef Slab *slab
    if empty_slabs == NULL:
        another_region()
    slab = empty_slabs
    take(slab)
    memset(&slab.count, 0, <char *>slab + HEADER - <char *>&slab.count)
    region_of(slab).idle -= 1
    return slab


cdef void retire(Slab *slab) noexcept nogil:
    """Keep an empty slab for later, or give its region back to the system if it is all empty."""
    global slab_count, regions
    cdef Slab *region = region_of(slab)
    cdef Py_ssize_t i
    put_aside(slab)
    region.idle += 1
    if empty_count > KEPT and region.idle == SLABS:
        for i in range(SLABS):
            take(<Slab *>(<char *>region + i * SLAB))
        slab_count -= SLABS
        if region.previous_region != NULL:
            region.previous_region.next_region = region.next_region
        else:
            regions = region.next_region
        if region.next_region != NULL:
            region.next_region.previous_region = region.previous_region
        unshut(region, REGION)
        unknown(region, REGION)
        region_release(region, REGION)


def _cells_in_use():
    """How many Values and hidden nodes live, for those who look for leaks."""
    cdef Slab *region = regions
    cdef Slab *slab
    cdef Py_ssize_t i, result = 0
    while region != NULL:
        for i in range(SLABS):
            slab = <Slab *>(<char *>region + i * SLAB)
            if slab == newest:
                result += (cursor - <char *>slab - HEADER) // CELL - slab.count
            elif slab.serial != 0:
                result += CELLS - slab.count
            else:
                result += slab.count
        region = region.next_region
    return result


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
    prefetch(c + 16)
    unshut(c, CELL)
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
        unshut(c, CELL)
        slab.free = c.data.next
    else:
        c = <Cell *>slab.fresh
        slab.fresh += CELL
        unshut(c, CELL)
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
    shut(c, CELL)
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
        shut(c, CELL)
        slab.count += 1
        if unlikely(slab.count == CELLS) and slab != newest and not slab.queued[DYING]:
            retire(slab)


# Freeing -------------------------------------------------------------------------------------
#
# A graph may be ten million nodes deep, so a dying node must not free its operands from within its
# own deallocation. It marks those that die with it, and the outermost call takes the newest of
# them, again and again: from one end of the memory to the other, which the cache rewards. The
# neighbour of the one that is being buried comes next in any case, so it needs no mark.

cdef Cell *grave = NULL         # what is being buried
cdef bint neighbour_dies = False


cdef inline void die(Cell *c) noexcept:
    global neighbour_dies
    if c.code < FIRST_NODE:
        if c.code == VIEW:
            let_go(<PyObject *>c.left)  # the owner of the numbers, an object of another type
        elif c.code == CUSTOM:
            drop(c.left)
        elif c.code == ELEMENT:
            leave_block(c)
        elif c.code == BLOCK:
            free_fused(c.right.fused)
        if c.label != NULL:
            let_go(c.label)
        release_cell(c)
    elif c == grave - 1:
        neighbour_dies = True
    else:
        set_mark(c, DYING)


cdef inline void drop(Cell *c) noexcept:
    """Give up a reference to a Value."""
    if not COUNTED and references(c) == 1 and is_value_exactly(c, value_type):
        set_references(c, 0)
        die(c)
    else:
        let_go(c)  # of a subclass: it may have a __del__, and memory of its own


cdef void value_dealloc(PyObject *o) noexcept:
    """tp_dealloc of Value. Also called, last of all, by that of a subclass."""
    global grave, neighbour_dies, cursor
    cdef bint outermost = grave == NULL
    cdef Cell *c = <Cell *>o
    cdef PyObject *label
    passes[DYING].scan_from = WORDS - 1  # it may be newer than what is being freed
    if is_value_exactly(c, value_type):
        if outermost:
            grave = c + 1
        die(c)
    else:
        # Its memory is not ours, and it is gone when this returns; so only its anchor can wait.
        label = c.label
        c = c.left if c.code == CUSTOM else NULL
        (<TypeObject *>o.ob_type).tp_free(o)
        if label != NULL:
            let_go(label)
        if c == NULL:
            return
        if outermost:
            grave = c + 1
        drop(c)
    if not outermost:
        return
    c = NULL
    while neighbour_dies or passes[DYING].count:
        if neighbour_dies:
            neighbour_dies = False
            c = grave - 1
        else:
            c = take_mark(DYING) if c == NULL else take_mark_after(c, DYING)
            if c == NULL:
                break
        grave = c
        look_ahead(c)
        bury(c)
    grave = NULL
    if newest != NULL and newest.count * CELL == <size_t>(cursor - <char *>newest) - HEADER:
        # All that was made in it is dead: begin it again while it is in the cache.
        newest.count = 0
        cursor = <char *>newest + HEADER


cdef inline void bury(Cell *c) noexcept:
    cdef int code = c.code
    if code < FIRST_BINARY:
        drop(c.left)
    elif code < FIRST_FUSED:
        drop(c.left)
        drop(c.right.value)
    else:
        free_fused(c.right.fused)
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

cdef void enqueue(Slab *slab, int which) noexcept nogil:
    cdef Pass *p = &passes[which]
    cdef Py_ssize_t i = p.count, parent
    p.count += 1
    slab.queued[which] = True
    while i > 0:
        parent = (i - 1) >> 1
        if p.heap[parent].serial > slab.serial:
            break
        p.heap[i] = p.heap[parent]
        i = parent
    p.heap[i] = slab


cdef void dequeue(int which) noexcept nogil:
    cdef Pass *p = &passes[which]
    cdef Py_ssize_t i = 0, child
    p.heap[0].queued[which] = False
    p.count -= 1
    cdef Slab *last = p.heap[p.count]
    while True:
        child = 2 * i + 1
        if child >= p.count:
            break
        if child + 1 < p.count and p.heap[child + 1].serial > p.heap[child].serial:
            child += 1
        if p.heap[child].serial < last.serial:
            break
        p.heap[i] = p.heap[child]
        i = child
    p.heap[i] = last


cdef inline unsigned char *marks_of(Cell *c) noexcept nogil:
    """Those of a node, a bit for each pass."""
    return <unsigned char *>slab_of(c).marks + (<size_t>c & (SLAB - 1)) // CELL


cdef inline bint set_mark(Cell *c, int which) noexcept nogil:
    cdef unsigned char *marks = marks_of(c)
    cdef Slab *slab = slab_of(c)
    if marks[0] & (1 << which):
        return False
    marks[0] |= 1 << which
    if unlikely(not slab.queued[which]):
        enqueue(slab, which)
    return True


cdef inline Cell *take_mark(int which) noexcept nogil:
    """Take the mark off the node made last, and return it; NULL when there is none left.

    A node marks only older nodes, so those of the first slab always lie below the last one taken.
    """
    cdef Pass *p = &passes[which]
    cdef Slab *slab
    cdef unsigned char *marks
    cdef int word = p.scan_from, i
    while p.count:
        slab = p.heap[0]
        while word >= 0:
            if slab.marks[word] & (<uint64_t>0x0101010101010101 << which):
                marks = <unsigned char *>slab.marks
                i = 8 * word + 7
                while not marks[i] & (1 << which):
                    i -= 1
                marks[i] ^= 1 << which
                p.scan_from = word
                return <Cell *>(<char *>slab + i * CELL)
            word -= 1
        dequeue(which)
        if which == DYING and slab.count == CELLS and slab != newest:
            retire(slab)
        word = WORDS - 1
    p.scan_from = WORDS - 1
    return NULL


cdef inline Cell *take_mark_after(Cell *c, int which) noexcept nogil:
    """The same after c was taken. Mostly it is the neighbour: guessed, the processor need not wait
    for the marks to know where to go on."""
    cdef unsigned char *marks = marks_of(c) - 1
    if marks[0] & (1 << which):
        marks[0] ^= 1 << which
        return c - 1
    return take_mark(which)


cdef inline void look_ahead(Cell *c) noexcept nogil:
    """Fetch what a pass that is at c comes to soon."""
    cdef Cell *soon = c - LOOK_AHEAD  # maybe rubbish, or the header: it does no harm
    if not SANITIZED:
        prefetch(c - 2 * LOOK_AHEAD)
        prefetch(soon.left)
        prefetch(soon.right.value)


cdef inline bint mark(Cell *c) noexcept nogil:
    """Note a node as reached; whether it is so for the first time."""
    return set_mark(c, REACHED)


cdef inline Cell *newest_marked() noexcept nogil:
    return take_mark(REACHED)


for _pass in range(PASSES):
    passes[_pass].scan_from = WORDS - 1
