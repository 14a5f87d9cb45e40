# Calls that do not fit. A method that Cython compiled takes anything for self, and words what it
# refuses unlike Python. So what a user calls is entered by the functions below: they look at self,
# and where a call fails they ask Python itself what is wrong with the arguments.

cdef extern from *:
    """
    typedef PyObject *(*Body)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
    #define body_of(f) ((Body)(void (*)(void))((PyCFunctionObject *)(f))->m_ml->ml_meth)
    #define entry_of(f) (((PyCFunctionObject *)(f))->vectorcall)
    #define set_entry(f, call) (entry_of(f) = (call))
    /* A function that a later Cython lays out otherwise is left as it is. */
    #define is_like_those_of_c(f) \\
        (Py_TYPE(f)->tp_vectorcall_offset == offsetof(PyCFunctionObject, vectorcall) && \\
         ((PyCFunctionObject *)(f))->m_ml->ml_flags == (METH_FASTCALL | METH_KEYWORDS))
    #define raise_again() (-1)
    """
    ctypedef PyObject *(*vectorcallfunc)(PyObject *, PyObject *const *, size_t, PyObject *) noexcept
    ctypedef PyObject *(*Body)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *) noexcept
    Body body_of(PyObject *) noexcept
    vectorcallfunc entry_of(PyObject *) noexcept
    void set_entry(PyObject *, vectorcallfunc) noexcept
    bint is_like_those_of_c(PyObject *) noexcept
    int raise_again() except -1     # what is raised already
    bint PyObject_TypeCheck(PyObject *, TypeObject *) noexcept


cdef dict twins = {}        # of what was called wrongly


cdef object twin_of(object called):
    """A function of Python's own with the same name and parameters, which does nothing."""
    if called not in twins:
        from inspect import signature

        parameters = [
            str(p.replace(annotation=p.empty)) for p in signature(called).parameters.values()
        ]
        name = called.__qualname__
        if isinstance(called, type):
            parameters.insert(0, "self")
            name += ".__init__"
        twins[called] = eval(f"lambda {', '.join(parameters)}: None", {})
        twins[called].__qualname__ = name
    return twins[called]


cdef bint is_a_check(object frame) except -1:
    """Whether it is of the Python code in which arguments of modules and optimisers are checked."""
    return str(frame.f_globals.get("__name__")).startswith("pure_python.state.")


cdef PyObject *refused(
    PyObject *called, PyObject *const *arguments, Py_ssize_t n, PyObject *names
) except NULL:
    """A call has failed: raise what Python says of its arguments, else what is raised already.

    The traceback ends at the caller's line, also where Python code has checked the arguments.
    """
    cdef Py_ssize_t i
    cdef list given = [None] if isinstance(<object>called, type) else []  # for self
    cdef dict named = {}
    try:
        raise_again()
    except (TypeError, ValueError) as error:
        raised = error
    if isinstance(raised, TypeError):
        given += [<object>arguments[i] for i in range(n)]
        if names != NULL:
            named = {name: <object>arguments[n + i] for i, name in enumerate(<tuple>names)}
        twin_of(<object>called)(*given, **named)
    below = raised.__traceback__
    while below is not None and is_a_check(below.tb_frame):
        below = below.tb_next
    raise raised.with_traceback(below)


cdef object no_method_of(str name, object given):
    """The TypeError for a method, named with its class, that was called on something else."""
    kind = name.partition(".")[0]
    return TypeError(f"{name}() is a method of {kind}, got {describe(given)}")


cdef PyObject *refused_self(
    PyObject *method, PyObject *const *arguments, Py_ssize_t n, PyObject *names
) except NULL:
    if n:
        raise no_method_of((<object>method).__qualname__, <object>arguments[0])
    PyErr_SetString(TypeError, "a method has to be called on something")
    return refused(method, arguments, n, names)


cdef PyObject *call_function(
    PyObject *function, PyObject *const *arguments, size_t count, PyObject *names
) except NULL:
    """Enter a function of a module, or a method of a class of Python's own kind."""
    cdef Py_ssize_t n = vectorcall_count(count)
    cdef PyObject *result = body_of(function)(function, arguments, n, names)
    return result if result != NULL else refused(function, arguments, n, names)


cdef inline PyObject *call_method(
    TypeObject *kind, PyObject *method, PyObject *const *arguments, size_t count, PyObject *names
) except NULL:
    """Enter a method of a compiled class, which reads the memory of self."""
    cdef Py_ssize_t n = vectorcall_count(count)
    cdef PyObject *result
    if unlikely(n == 0 or not PyObject_TypeCheck(arguments[0], kind)):
        return refused_self(method, arguments, n, names)
    result = body_of(method)(arguments[0], arguments + 1, n - 1, names)
    return result if result != NULL else refused(method, arguments, n, names)


cdef PyObject *call_on_value(
    PyObject *method, PyObject *const *arguments, size_t count, PyObject *names
) except NULL:
    return call_method(value_type, method, arguments, count, names)


cdef PyObject *call_on_vector(
    PyObject *method, PyObject *const *arguments, size_t count, PyObject *names
) except NULL:
    return call_method(<TypeObject *><PyObject *>Vector, method, arguments, count, names)


cdef PyObject *call_on_tape(
    PyObject *method, PyObject *const *arguments, size_t count, PyObject *names
) except NULL:
    return call_method(<TypeObject *><PyObject *>Tape, method, arguments, count, names)


cdef vectorcallfunc make_vector     # as Cython made it, where it did


cdef PyObject *make(
    PyObject *kind, PyObject *const *arguments, size_t count, PyObject *names
) except NULL:
    """Make an object of a compiled class itself. Subclasses are called otherwise."""
    cdef PyObject *result
    if kind == <PyObject *>Vector and make_vector != NULL:
        result = make_vector(kind, arguments, count, names)
    else:
        result = type_call(kind, arguments, count, names)
    return result if result != NULL else refused(kind, arguments, vectorcall_count(count), names)


cdef int enter_by(object functions, vectorcallfunc call_by) except -1:
    """Have those that are compiled, and not seen to yet, entered by a function above."""
    cdef PyObject *f
    for function in functions:
        f = <PyObject *>function
        if type(function).__name__ == "cython_function_or_method" and is_like_those_of_c(f):
            if entry_of(f) != <vectorcallfunc>call_function:
                set_entry(f, call_by)
    return 0


cdef int check_calls(object functions) except -1:
    """The same for functions of a module, or of a class of Python's own kind."""
    return enter_by(functions, <vectorcallfunc>call_function)
