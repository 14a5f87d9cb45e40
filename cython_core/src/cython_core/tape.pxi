# How a Tape runs a graph of single operations: as loops over flat arrays.
#
# Nodes of one level (the longest way down to a leaf), one operation and alike operands stand side
# by side in the arrays, so that the hundred samples of a batch, say, become one loop. What is alike
# is guessed by a hash; whether operands really lie at equal distances is then looked up, so that a bad
# guess costs time and never a wrong number. Backward is arranged by whom it gives to: each gradient
# gets what its node's users give, in the order of rule 1.17, again in runs of equal distances.
#
# The Values themselves follow late.

from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "tape.h" nogil:
    enum:
        MOVE_OTHER, MOVE_ADD, MOVE_SUBTRACT, MOVE_MULTIPLY, MOVE_DIVIDE, MOVE_NEG, MOVE_RELU
        GIFT_OTHER, GIFT_SAME, GIFT_NEGATIVE, GIFT_TIMES, GIFT_RELU
    ctypedef struct Move:
        uint16_t kind, code
        uint32_t count
        int32_t out, a, a_step, b, b_step
    ctypedef struct Gift:
        uint8_t kind, side, first, same
        uint16_t code
        uint32_t count
        int32_t to, to_step, from_ "from", from_step, a, a_step, b, b_step, y, y_step
    size_t run_moves(const Move *, size_t, size_t, double *, int64_t) noexcept
    size_t run_gifts(const Gift *, size_t, size_t, const double *, double *, int64_t) noexcept


cdef enum:
    LONGEST = 1 << 20   # of a Move or a Gift


# A graph in flat arrays. Places in data: the leaves, then the nodes, then the constants.
cdef struct Plan:
    int32_t leaves, nodes, places
    Cell **cells            # of the leaves and nodes
    double *data
    double *last            # the leaves' data at the last forward
    double *grad
    int32_t *grad_of        # where in grad that of a leaf or node is: some share one
    Move *moves
    Gift *gifts
    size_t move_count, gift_count, gift_room
    bint current            # data holds what the Values hold, or newer
    bint newer_data         # than the Values'
    bint newer_grad


cdef void free_plan(Plan *p) noexcept nogil:
    if p != NULL:
        if p == ahead:
            catch_up_all()
        free(p.cells)
        free(p.data)
        free(p.last)
        free(p.grad)
        free(p.grad_of)
        free(p.moves)
        free(p.gifts)
        free(p)


# Whose results are not in the Values yet, save those of leaves and of the root. They are written
# when somebody looks at another of its Values, or at the latest when another Tape runs: a loop that
# only replays never pays for that.
cdef Plan *ahead = NULL
cdef Cell *root_ahead = NULL


cdef inline void catch_up(Cell *c) noexcept nogil:
    """Before the data or grad of a Value is read."""
    if unlikely(ahead != NULL) and c.code >= FIRST_NODE and c != root_ahead:
        catch_up_all()


cdef inline void catch_up_to_set(Cell *c) noexcept nogil:
    """Before it is set."""
    if unlikely(ahead != NULL) and c.code >= FIRST_NODE:
        catch_up_all()


cdef void catch_up_all() noexcept nogil:
    """Before graphs are walked: let the Values hold what a Tape computed."""
    global ahead
    cdef Plan *p = ahead
    cdef int32_t i
    cdef Cell *c
    ahead = NULL
    if p == NULL:
        return
    for i in range(p.leaves, p.leaves + p.nodes):
        c = p.cells[i]
        if p.newer_data:
            c.data.number = p.data[i]
        if p.newer_grad:
            c.grad.number = p.grad[p.grad_of[i]]
    # From here on anybody may set them.
    p.current = p.newer_data = p.newer_grad = False


# Making a plan -------------------------------------------------------------------------------

# While it is made. Nodes are numbered by their creation, leaves from `nodes` on.
cdef struct Draft:
    Py_ssize_t nodes, leaves, leaf_room
    Cell **leaf_cells
    int32_t *codes
    int32_t *lefts
    int32_t *rights         # -1: none, or a constant
    int32_t *levels
    int32_t *uses           # how many, of nodes and leaves
    uint64_t *kinds         # alike nodes have the same
    int32_t *classes        # the same, numbered
    int32_t *order          # the nodes, as they are placed
    int32_t *spare
    int32_t *counts
    int32_t *places         # of nodes and leaves
    int32_t *a              # of each node, as placed: its operands' places
    int32_t *b
    int32_t *first_use      # of each place
    uint32_t *users         # twice the node as placed, and which operand; last user first
    uint32_t *table
    size_t table_mask
    Py_ssize_t done         # of the work between two looks for signals


cdef inline uint64_t mixed(uint64_t x, uint64_t y) noexcept nogil:
    x = (x ^ y) * <uint64_t>0x9E3779B97F4A7C15
    return x ^ (x >> 29)


cdef int32_t leaf_number(Draft *d, Cell *c) noexcept nogil:
    """-1 where there is no memory."""
    cdef size_t i = mixed(<size_t>c, 1) & d.table_mask
    cdef void *more
    cdef Py_ssize_t j
    while d.table[i]:
        if d.leaf_cells[d.table[i] - 1] == c:
            return <int32_t>(d.nodes + d.table[i] - 1)
        i = (i + 1) & d.table_mask
    if d.leaves == d.leaf_room:
        more = realloc(d.leaf_cells, (2 * d.leaf_room + 64) * sizeof(Cell *))
        if more == NULL:
            return -1
        d.leaf_cells = <Cell **>more
        d.leaf_room = 2 * d.leaf_room + 64
    d.leaf_cells[d.leaves] = c
    d.leaves += 1
    d.table[i] = <uint32_t>d.leaves
    return <int32_t>(d.nodes + d.leaves - 1)


cdef inline bint has_constant(int code) noexcept nogil:
    return LEAKY_RELU <= code <= NUMBER_POWER


cdef bint read_graph(Draft *d, Cell **newest_first) except -1:
    cdef Py_ssize_t i
    cdef int32_t x, y, level, n = <int32_t>d.nodes
    cdef Cell *c
    cdef int code
    for i in range(n):
        now_and_then(i)
        newest_first[n - 1 - i].index = <uint32_t>i
    for i in range(n):
        now_and_then(i)
        c = newest_first[n - 1 - i]
        code = c.code
        d.codes[i] = code
        x = <int32_t>c.left.index if c.left.code >= FIRST_NODE else leaf_number(d, c.left)
        y = -1
        if code >= FIRST_BINARY:
            y = (
                <int32_t>c.right.value.index if c.right.value.code >= FIRST_NODE
                else leaf_number(d, c.right.value)
            )
            if y < 0:
                return False
        if x < 0:
            return False
        d.lefts[i] = x
        d.rights[i] = y
        level = d.levels[x] if x < n else 0
        if 0 <= y < n and d.levels[y] > level:
            level = d.levels[y]
        d.levels[i] = level + 1
    return True


cdef inline uint64_t kind_of_operand(Draft *d, int32_t x, int32_t other) noexcept nogil:
    """What is used by more than its partner is likely a parameter: only itself is alike."""
    if d.uses[x] > 3 and (other < 0 or d.uses[x] > d.uses[other]):
        return <uint64_t>x + 1000
    return d.kinds[x] if x < d.nodes else 7


cdef int classify(Draft *d) except -1:
    """Number the classes of alike nodes in the order in which they appear."""
    cdef Py_ssize_t i, count = 0
    cdef int32_t x, y
    cdef uint64_t kind
    cdef size_t at
    for i in range(0, d.table_mask + 1, SOME):
        memset(d.table + i, 0, min(SOME, d.table_mask + 1 - i) * sizeof(uint32_t))
        now_and_then(i + SOME - 1)
    for i in range(d.nodes):
        now_and_then(i)
        x = d.lefts[i]
        y = d.rights[i]
        kind = mixed(d.codes[i], d.levels[i])
        kind = mixed(kind, kind_of_operand(d, x, y))
        if y >= 0:
            kind = mixed(kind, kind_of_operand(d, y, x))
        d.kinds[i] = kind
        at = kind & d.table_mask
        while d.table[at] and d.kinds[d.table[at] - 1] != kind:
            at = (at + 1) & d.table_mask
        if d.table[at]:
            d.classes[i] = d.classes[d.table[at] - 1]
        else:
            d.table[at] = <uint32_t>(i + 1)
            d.classes[i] = <int32_t>count
            count += 1
    return 0


cdef int sort_by(Draft *d, int32_t *keys) except -1:
    """Order the nodes by a key from 0 to nodes; what is equal keeps its order."""
    cdef Py_ssize_t i, n = d.nodes
    cdef int32_t total = 0, count
    memset(d.counts, 0, (n + 100) * sizeof(int32_t))
    for i in range(n):
        now_and_then(i)
        d.counts[keys[i]] += 1
    for i in range(n + 100):
        now_and_then(i)
        count = d.counts[i]
        d.counts[i] = total
        total += count
    for i in range(n):
        now_and_then(i)
        d.spare[d.counts[keys[d.order[i]]]] = d.order[i]
        d.counts[keys[d.order[i]]] += 1
    d.order, d.spare = d.spare, d.order
    return 0


cdef int place(Draft *d, Plan *p) except -1:
    """Where everything stands, leaves in the order in which the loops will read them."""
    cdef Py_ssize_t i, j, k, n = d.nodes
    cdef int32_t leaves = 0, constants = 0, x, side
    for i in range(n):
        now_and_then(i)
        d.places[d.order[i]] = <int32_t>(d.leaves + i)
    for i in range(d.leaves):
        now_and_then(i)
        d.places[n + i] = -1
    i = 0
    while i < n:
        j = i
        while j < n and d.classes[d.order[j]] == d.classes[d.order[i]]:
            now_and_then(j)
            j += 1
        for side in range(2):
            for k in range(i, j):
                now_and_then(k)
                x = d.rights[d.order[k]] if side else d.lefts[d.order[k]]
                if x >= n and d.places[x] < 0:
                    d.places[x] = leaves
                    leaves += 1
        i = j
    for i in range(n):
        now_and_then(i)
        k = d.order[i]
        d.a[i] = d.places[d.lefts[k]]
        d.b[i] = -1
        if d.rights[k] >= 0:
            d.b[i] = d.places[d.rights[k]]
        elif has_constant(d.codes[k]):
            d.b[i] = <int32_t>(d.leaves + n) + constants
            constants += 1
    return 0


cdef int move_kind(int code) noexcept nogil:
    if code == ADD or code == ADD_NUMBER:
        return MOVE_ADD
    if code == SUBTRACT or code == SUBTRACT_NUMBER or code == NUMBER_SUBTRACT:
        return MOVE_SUBTRACT
    if code == MULTIPLY or code == MULTIPLY_NUMBER:
        return MOVE_MULTIPLY
    if code == DIVIDE or code == DIVIDE_NUMBER or code == NUMBER_DIVIDE:
        return MOVE_DIVIDE
    if code == NEG:
        return MOVE_NEG
    return MOVE_RELU if code == RELU else MOVE_OTHER


cdef int plan_moves(Draft *d, Plan *p) except -1:
    cdef Py_ssize_t i = 0, j, n = d.nodes
    cdef Move *m
    cdef int32_t node, b, b_next
    while i < n:
        m = &p.moves[p.move_count]
        p.move_count += 1
        node = d.order[i]
        m.code = <uint16_t>d.codes[node]
        m.kind = <uint16_t>move_kind(m.code)
        m.out = p.leaves + <int32_t>i
        m.a = d.a[i]
        m.b = d.b[i] if d.b[i] >= 0 else 0
        m.a_step = m.b_step = 0
        j = i + 1
        while (
            j < n and j - i < LONGEST and d.codes[d.order[j]] == m.code
            and d.levels[d.order[j]] == d.levels[node]
        ):
            b = d.b[j] if d.b[j] >= 0 else 0
            if j == i + 1:
                m.a_step = d.a[j] - m.a
                m.b_step = b - m.b
            elif d.a[j] != m.a + m.a_step * (j - i) or b != m.b + m.b_step * (j - i):
                break
            now_and_then(j)
            j += 1
        m.count = <uint32_t>(j - i)
        if NUMBER_SUBTRACT <= m.code <= NUMBER_POWER:  # the number is the first operand
            m.a, m.b = m.b, m.a
            m.a_step, m.b_step = m.b_step, m.a_step
        now_and_then(i)
        i = j
    return 0


cdef int find_users(Draft *d, Plan *p) except -1:
    cdef Py_ssize_t i, n = d.nodes
    cdef int32_t at, x, total = 0, placed
    for i in range(n + d.leaves):
        now_and_then(i)
        d.first_use[d.places[i]] = d.uses[i]
    for i in range(n + d.leaves):
        now_and_then(i)
        at = d.first_use[i]
        d.first_use[i] = total
        d.spare[i] = total
        total += at
    d.first_use[n + d.leaves] = total
    for i in range(n - 1, -1, -1):
        now_and_then(i)
        placed = d.places[i] - p.leaves
        x = d.places[d.lefts[i]]
        d.users[d.spare[x]] = 2 * placed
        d.spare[x] += 1
        if d.rights[i] >= 0:
            x = d.places[d.rights[i]]
            d.users[d.spare[x]] = 2 * placed + 1
            d.spare[x] += 1
    return 0


cdef void read_gift(Draft *d, Plan *p, uint32_t user, Gift *g) noexcept nogil:
    """What one user gives to one operand."""
    cdef int32_t i = user >> 1
    cdef int side = user & 1, code = d.codes[d.order[i]]
    g.code = <uint16_t>code
    g.side = <uint8_t>side
    g.from_ = p.grad_of[p.leaves + i]
    g.a = g.b = g.y = 0
    if code == ADD or code == ADD_NUMBER or code == SUBTRACT_NUMBER or (
        code == SUBTRACT and side == 0
    ):
        g.kind = GIFT_SAME
    elif code == SUBTRACT or code == NEG or code == NUMBER_SUBTRACT:
        g.kind = GIFT_NEGATIVE
    elif code == MULTIPLY or code == MULTIPLY_NUMBER:
        g.kind = GIFT_TIMES
        g.a = d.a[i] if side else d.b[i]
    elif code == RELU:
        g.kind = GIFT_RELU
        g.a = d.a[i]
    else:
        g.kind = GIFT_OTHER
        g.a = d.a[i]
        g.b = d.b[i] if d.b[i] >= 0 else 0
        g.y = p.leaves + i


cdef inline bint alike(Gift *g, Gift *h) noexcept nogil:
    return g.kind == h.kind and (
        g.kind != GIFT_OTHER or (g.code == h.code and g.side == h.side)
    )


cdef bint plan_run(
    Draft *d, Plan *p, uint32_t *users, Py_ssize_t stride, Py_ssize_t count, int32_t to,
    int32_t to_step, bint first, Py_ssize_t *runs,
) except -1:
    """Gifts for `count` users, `stride` apart. With runs, only count how many it would take."""
    cdef Py_ssize_t i = 0, j
    cdef Gift g, h
    cdef void *more
    read_gift(d, p, users[0], &g)
    while i < count:
        g.from_step = g.a_step = g.b_step = g.y_step = 0
        g.to = to + to_step * <int32_t>i
        g.to_step = to_step
        g.first = first and (to_step != 0 or i == 0)
        g.same = 0
        j = i + 1
        while j < count and j - i < LONGEST:
            read_gift(d, p, users[j * stride], &h)
            if j == i + 1:
                g.from_step = h.from_ - g.from_
                g.a_step = h.a - g.a
                g.b_step = h.b - g.b
                g.y_step = h.y - g.y
            if not alike(&g, &h) or (
                h.from_ != g.from_ + g.from_step * (j - i) or h.a != g.a + g.a_step * (j - i)
                or h.b != g.b + g.b_step * (j - i) or h.y != g.y + g.y_step * (j - i)
            ):
                break
            j += 1
        g.count = <uint32_t>(j - i)
        if runs != NULL:
            runs[0] += 1
        else:
            if p.gift_count == p.gift_room:
                more = realloc(p.gifts, (2 * p.gift_room + 64) * sizeof(Gift))
                if more == NULL:
                    return False
                p.gifts = <Gift *>more
                p.gift_room = 2 * p.gift_room + 64
            p.gifts[p.gift_count] = g
            p.gift_count += 1
        after_work(&d.done, 8 * (j - i))  # a turn takes longer than a multiplication
        i = j
        if g.count < LONGEST:
            g = h
        elif i < count:
            read_gift(d, p, users[i * stride], &g)
    return True


cdef bint plan_block(
    Draft *d, Plan *p, int32_t start, Py_ssize_t width, bint first
) except -1:
    """Gifts to neighbours that all have as many users."""
    cdef Py_ssize_t uses = d.first_use[start + 1] - d.first_use[start], u, along = 0, across = 0
    cdef uint32_t *users = d.users + d.first_use[start]
    cdef int32_t to = p.grad_of[start]
    if width > 1 and uses > 1:
        for u in range(uses):
            plan_run(d, p, users + u, uses, width, to, 1, False, &across)
        for u in range(width):
            plan_run(d, p, users + u * uses, 1, uses, to, 0, False, &along)
    if along < across or width == 1:
        for u in range(width):
            if not plan_run(d, p, users + u * uses, 1, uses, to + <int32_t>u, 0, first, NULL):
                return False
    else:
        for u in range(uses):
            if not plan_run(d, p, users + u, uses, width, to, 1, first and u == 0, NULL):
                return False
    return True


cdef bint plan_gifts(Draft *d, Plan *p) except -1:
    cdef int32_t i, j, grads = p.leaves, root = p.leaves + p.nodes - 1
    cdef Gift g
    cdef Gift *one
    cdef Gift *next
    cdef size_t leaf_gifts, at
    # The gradient of a node whose only user hands its own on unchanged is the same number (0.0 + g
    # is g, for no gradient of a node is ever -0.0): they share a place.
    for i in range(p.leaves):
        now_and_then(i)
        p.grad_of[i] = i
    for i in range(p.leaves, root + 1):
        now_and_then(i)
        p.grad_of[i] = -1
        if i != root and d.first_use[i + 1] - d.first_use[i] == 1:
            read_gift(d, p, d.users[d.first_use[i]], &g)
            if g.kind == GIFT_SAME:
                continue
        p.grad_of[i] = grads
        grads += 1
    for i in range(root, p.leaves - 1, -1):
        now_and_then(i)
        if p.grad_of[i] < 0:
            p.grad_of[i] = p.grad_of[p.leaves + (d.users[d.first_use[i]] >> 1)]
    p.grad = <double *>calloc(grads, sizeof(double))
    if p.grad == NULL:
        return False
    i = root - 1
    while i >= p.leaves:
        now_and_then(i)
        if shares(d, p, i):
            i -= 1
            continue
        j = i
        while j > p.leaves and not shares(d, p, j - 1) and (
            d.classes[d.order[j - 1 - p.leaves]] == d.classes[d.order[i - p.leaves]]
            and d.first_use[j] - d.first_use[j - 1] == d.first_use[i + 1] - d.first_use[i]
        ):
            now_and_then(j)
            j -= 1
        if not plan_block(d, p, j, i + 1 - j, True):
            return False
        i = j - 1
    leaf_gifts = p.gift_count
    i = 0
    while i < p.leaves:
        now_and_then(i)
        j = i
        while j < p.leaves and (
            d.first_use[j + 1] - d.first_use[j] == d.first_use[i + 1] - d.first_use[i]
        ):
            now_and_then(j)
            j += 1
        if not plan_block(d, p, i, j - i, False):
            return False
        i = j
    at = p.gift_count
    while at > leaf_gifts + 1:
        at -= 1
        now_and_then(at)
        next = &p.gifts[at]
        one = &p.gifts[at - 1]
        if (
            one.kind == next.kind and one.kind != GIFT_OTHER and one.to_step == next.to_step == 0
            and one.count == next.count and one.count > 3 and one.a_step == next.a_step
            and one.from_step == next.from_step and one.to != next.to and next.same < 7
        ):
            one.same = next.same + 1
    return True


cdef inline bint shares(Draft *d, Plan *p, int32_t i) noexcept nogil:
    cdef int32_t user
    if d.first_use[i + 1] - d.first_use[i] != 1:
        return False
    user = p.leaves + <int32_t>(d.users[d.first_use[i]] >> 1)
    return p.grad_of[user] == p.grad_of[i]


cdef void *block_of(size_t count, size_t size, bint *failed) noexcept nogil:
    cdef void *result = calloc(count + 1, size)
    if result == NULL:
        failed[0] = True
    return result


cdef inline void *gone(void *block) noexcept nogil:
    free(block)
    return NULL


cdef Plan *make_plan(Cell **newest_first, Py_ssize_t n) except? NULL:
    """NULL where the cells are not all single operations, or there is no memory."""
    cdef Draft d
    cdef Plan *p
    cdef Py_ssize_t i
    cdef bint failed = False, done = False
    cdef int code
    if n == 0 or n > 1 << 28:
        return NULL
    for i in range(n):
        now_and_then(i)
        code = newest_first[i].code
        if code >= FIRST_FUSED:
            return NULL
    memset(&d, 0, sizeof(Draft))
    d.nodes = n
    d.table_mask = 64
    while d.table_mask < 2 * <size_t>n + 64:  # all hang together, so at most n + 1 of them are leaves
        d.table_mask *= 2
    d.table = <uint32_t *>block_of(d.table_mask, sizeof(uint32_t), &failed)
    d.table_mask -= 1
    d.codes = <int32_t *>block_of(n, sizeof(int32_t), &failed)
    d.lefts = <int32_t *>block_of(n, sizeof(int32_t), &failed)
    d.rights = <int32_t *>block_of(n, sizeof(int32_t), &failed)
    d.levels = <int32_t *>block_of(n, sizeof(int32_t), &failed)
    d.kinds = <uint64_t *>block_of(n, sizeof(uint64_t), &failed)
    d.classes = <int32_t *>block_of(n, sizeof(int32_t), &failed)
    d.counts = <int32_t *>block_of(n + 100, sizeof(int32_t), &failed)
    d.a = <int32_t *>block_of(n, sizeof(int32_t), &failed)
    d.b = <int32_t *>block_of(n, sizeof(int32_t), &failed)
    d.users = <uint32_t *>block_of(2 * n, sizeof(uint32_t), &failed)
    p = <Plan *>block_of(1, sizeof(Plan), &failed)
    try:
        done = not failed and draw_plan(&d, p, newest_first)
    finally:
        free(d.table)
        free(d.codes)
        free(d.lefts)
        free(d.rights)
        free(d.levels)
        free(d.kinds)
        free(d.classes)
        free(d.counts)
        free(d.a)
        free(d.b)
        free(d.users)
        free(d.uses)
        free(d.order)
        free(d.spare)
        free(d.places)
        free(d.first_use)
        free(d.leaf_cells)
        if not done:
            free_plan(p)
    return p if done else NULL


cdef bint draw_plan(Draft *d, Plan *p, Cell **newest_first) except -1:
    """Whether there was memory for it."""
    cdef Py_ssize_t i, n = d.nodes, leaves
    cdef bint failed = False
    begin_walk()  # the cells' room for an index is one for all threads
    try:
        if not read_graph(d, newest_first):
            return False
    finally:
        end_walk()
    leaves = d.leaves
    p.leaves = <int32_t>leaves
    p.nodes = <int32_t>n
    p.places = <int32_t>(leaves + 2 * n)
    d.uses = <int32_t *>block_of(n + leaves, sizeof(int32_t), &failed)
    d.order = <int32_t *>block_of(n + leaves, sizeof(int32_t), &failed)
    d.spare = <int32_t *>block_of(n + leaves, sizeof(int32_t), &failed)
    d.places = <int32_t *>block_of(n + leaves, sizeof(int32_t), &failed)
    d.first_use = <int32_t *>block_of(n + leaves, sizeof(int32_t), &failed)
    p.cells = <Cell **>block_of(n + leaves, sizeof(Cell *), &failed)
    p.data = <double *>block_of(p.places, sizeof(double), &failed)
    p.last = <double *>block_of(leaves, sizeof(double), &failed)
    p.grad_of = <int32_t *>block_of(n + leaves, sizeof(int32_t), &failed)
    p.moves = <Move *>block_of(n, sizeof(Move), &failed)
    if failed:
        return False
    for i in range(n):
        now_and_then(i)
        d.uses[d.lefts[i]] += 1
        if d.rights[i] >= 0:
            d.uses[d.rights[i]] += 1
        d.order[i] = <int32_t>i
    # What has been used is freed at once: who presses Ctrl-C waits until all the rest is.
    classify(d)
    d.table = <uint32_t *>gone(d.table)
    d.kinds = <uint64_t *>gone(d.kinds)
    sort_by(d, d.classes)
    sort_by(d, d.codes)
    sort_by(d, d.levels)
    d.counts = <int32_t *>gone(d.counts)
    place(d, p)
    for i in range(n):
        now_and_then(i)
        p.cells[d.places[i]] = newest_first[n - 1 - i]
    for i in range(leaves):
        now_and_then(i)
        p.cells[d.places[n + i]] = d.leaf_cells[i]
    for i in range(n):
        now_and_then(i)
        if d.b[i] >= leaves + n:
            p.data[d.b[i]] = p.cells[leaves + i].right.constant
    find_users(d, p)
    d.lefts = <int32_t *>gone(d.lefts)
    d.rights = <int32_t *>gone(d.rights)
    d.uses = <int32_t *>gone(d.uses)
    d.places = <int32_t *>gone(d.places)
    d.spare = <int32_t *>gone(d.spare)
    if not plan_gifts(d, p):
        return False
    d.classes = <int32_t *>gone(d.classes)
    d.first_use = <int32_t *>gone(d.first_use)
    d.users = <uint32_t *>gone(d.users)
    plan_moves(d, p)
    return True


# Running it ----------------------------------------------------------------------------------


cdef bint run_forward(Plan *p) except -1:
    """Whether all went well: False where an operation may have to raise."""
    cdef size_t i = 0, before
    cdef uint32_t j
    cdef Move *m
    cdef double x, w, y
    cdef int code
    while True:
        before = i
        i = run_moves(p.moves, i, p.move_count, p.data, SOME)
        if i == p.move_count:
            return True
        PyErr_CheckSignals()
        m = &p.moves[i]
        code = m.code
        if m.kind != MOVE_OTHER:
            if i == before:
                return False
            continue
        for j in range(m.count):
            x = p.data[m.a + <Py_ssize_t>j * m.a_step]
            w = p.data[m.b + <Py_ssize_t>j * m.b_step]
            if code <= LEAKY_RELU:
                y = unary(code, x, w)
                if y - y != 0.0 and EXP <= code <= ATANH:
                    return False
            elif code == MAXIMUM or code == MAXIMUM_NUMBER:
                y = larger(x, w)
            elif code == MINIMUM or code == MINIMUM_NUMBER:
                y = smaller(x, w)
            else:
                y = pow(x, w)
                if y - y != 0.0:
                    return False
            p.data[m.out + <Py_ssize_t>j] = y
        i += 1


cdef inline double local_gradient(Gift *g, double a, double b, double y) noexcept nogil:
    cdef int code = g.code
    if code <= NUMBER_POWER:
        return slope(code, a, y, b)
    return slope_right(code, a, b, y) if g.side else slope_left(code, a, b, y)


cdef int run_gradients(Plan *p) except -1:
    cdef size_t i = 0
    cdef Py_ssize_t j
    cdef Gift *g
    cdef double local
    cdef double *to
    while True:
        i = run_gifts(p.gifts, i, p.gift_count, p.data, p.grad, SOME)
        if i == p.gift_count:
            return 0
        PyErr_CheckSignals()
        g = &p.gifts[i]
        if g.kind != GIFT_OTHER:
            continue
        for j in range(<Py_ssize_t>g.count):
            local = local_gradient(
                g, p.data[g.a + j * g.a_step], p.data[g.b + j * g.b_step],
                p.data[g.y + j * g.y_step],
            )
            to = p.grad + g.to + j * g.to_step
            if g.first and (j == 0 or g.to_step != 0):
                to[0] = 0.0
            to[0] += local * p.grad[g.from_ + j * g.from_step]
        i += 1
