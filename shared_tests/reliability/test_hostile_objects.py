"""Objects that lie, raise, or use the engine while it is at work. What a fuzzer finds gets a test here.

No engine may crash or compute something else. What it says is Python's business where the object is
more at fault than the caller.
"""

import gc
from array import array

import pytest

DOCUMENTED = (TypeError, ValueError, AttributeError, IndexError, RuntimeError, BufferError)


def still_right(m):
    """A small graph, by hand."""
    a, b = m.Value(2.0), m.Value(3.0)
    (a * b + a).backward()
    return (a.grad, b.grad) == (4.0, 2.0)


class Calling:
    """A number that does something when it is asked for."""

    def __init__(self, action, number=1.0):
        self.action, self.number = action, number

    def __float__(self):
        self.action()
        return self.number


def lying(kind, length, **attributes):
    """A subclass of a sequence that says it is of another length."""
    return type(kind.__name__, (kind,), {"__len__": lambda self: length, **attributes})


# Lengths and shapes that are not so -------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 2), (1, -1), (0, 0), (99, 99), None, (1,)])
def test_an_array_whose_shape_is_not_its_own(backend, shape):
    table = type("Table", (array,), {"ndim": 2, "shape": shape})("d", [1.0] * 33)
    v = backend.Vector(table)
    assert len(v) == 33
    v.data = 2.0
    assert v.sum().data == 66.0
    try:
        backend.MLP(2, [1])(table)
    except DOCUMENTED:
        pass
    assert still_right(backend)


def test_a_batch_of_more_rows_than_it_has(backend):
    model = backend.MLP(2, [3])
    rows = lying(list, 100_000)([[1.0, 2.0]])
    assert len(model(rows)) == 1
    Table = lying(array, 100_000, ndim=2, shape=(1, 2), tolist=lambda self: [[1.0, 1.0]])
    assert len(model(Table("d", [1.0] * 2))) in (1, 3)  # a batch of one sample, or a sample


@pytest.mark.parametrize("length", [0, 1, 100_000])
def test_a_vector_of_another_length(backend, length):
    kind = lying(backend.Vector, length)
    rows = kind([[1.0, 2.0]] * 50)
    out = backend.logsumexp(rows)
    out.backward()
    assert len(list(out)) == 50
    if length:  # one of none is a single sample, of which there is nothing
        assert len(list(backend.linear(rows, [[1.0, 1.0]]))) == 50
    with pytest.raises(ValueError, match="rows of one length"):
        backend.Vector([kind([1.0, 2.0]), kind([1.0] * 500)])


def test_sizes_that_are_set_afterwards(backend):
    model = backend.MLP(3, [2])
    model([1.0] * 3)
    model.n_in = 1
    try:
        model([[1.0]] * 50)
    except ValueError:
        pass
    model.layers = ()
    with pytest.raises((ValueError, IndexError)):
        model([1.0] * 3)
    assert still_right(backend)


# Rows that do not go together -------------------------------------------------------------------


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "rms_norm"])
def test_rows_of_different_lengths(backend, function):
    with pytest.raises(ValueError, match="rows of one length"):
        getattr(backend, function)([[1.0, 2.0], [1.0] * 200])


def test_rows_beside_batches(backend):
    for rows in ([[1.0, 2.0], [[1.0, 2.0]]], [[[1.0, 2.0]], [1.0, 2.0]]):
        with pytest.raises(ValueError, match="rows of one length"):
            backend.logsumexp(rows)
    with pytest.raises(ValueError):
        backend.Vector([1.0, 2.0]) * [[1.0, 2.0], [[1.0, 2.0]] * 3]


def test_a_sequence_without_an_end(backend):
    endless = []
    endless.append(endless)
    v = backend.Vector([1.0])
    for call in (
        lambda: backend.Vector(endless),
        lambda: v + endless,
        lambda: endless * v,
        lambda: backend.softmax(endless),
        lambda: backend.logsumexp(endless),
        lambda: backend.linear(endless, [[1.0]]),
        lambda: backend.mean(endless),
        lambda: backend.MLP(1, [1])(endless),
        lambda: backend.trace(endless),
        lambda: backend.diagnose(endless),
        lambda: backend.tree(endless),
        lambda: list(backend.backward_steps(endless)),
    ):
        with pytest.raises((RecursionError, TypeError, ValueError)):
            call()
    assert still_right(backend)


def test_vectors_in_vectors_without_an_end(backend):
    v = backend.Vector([1.0])
    with pytest.raises((RecursionError, ValueError, IndexError)):
        for _ in range(100_000):
            v = backend.Vector([v])
        v.sum().backward()


def test_elements_of_nothing(backend):
    parts = [backend.Vector([1.0, 2.0])]
    if not backend.arrays:  # there an empty Vector has a shape
        nothing = backend.scaled_dot_product_attention([1.0], [[1.0]], [[]])
        parts += [nothing, nothing]
    v = backend.concatenate(parts)
    (v * v)[1].backward()
    (v * [3.0, 4.0])[0].backward()
    backend.linear(v, [v, v]).backward()
    assert list(parts[0].grad) == [7.0, 12.0]


# The engine at work, used again -----------------------------------------------------------------


def test_a_vector_that_is_made_anew_while_it_is_set(backend):
    v = backend.Vector([1.0, 2.0])
    try:
        v.data = [Calling(lambda: v.__init__([0.0] * 100_000)), 2.0]
    except DOCUMENTED:
        pass
    assert still_right(backend)


def test_a_tape_that_is_made_anew_while_it_goes_back(backend):
    x = backend.Value(3.0)
    tape = backend.Tape(x * x + x)
    for _ in range(20):
        tape.backward(Calling(lambda: tape.__init__(x * 3.0)))
    x.grad = 0.0
    tape.backward(2.0)
    assert x.grad == 6.0


def test_a_tape_that_was_refused_its_graph(backend):
    x = backend.Value(1.0)
    custom = backend.Value(2.0, (x,), "twice", local_grads=(2.0,))
    tape = backend.Tape(x * 2.0)
    with pytest.raises(ValueError, match="twice"):
        tape.__init__((custom * x).exp())
    for call in (tape.forward, tape.backward, lambda: len(tape)):
        try:
            call()
        except (TypeError, ValueError, AttributeError):
            pass
    unmade = backend.Tape.__new__(backend.Tape)
    for call in (unmade.forward, unmade.backward):
        with pytest.raises((TypeError, AttributeError)):
            call()
    assert still_right(backend)


def test_inputs_that_become_newer_than_their_neuron(backend):
    neuron = backend.Neuron(2, activation="linear", seed=1)
    for _ in range(50):
        inputs = [1.0, 1.0]
        inputs[0] = Calling(lambda xs=inputs: xs.__setitem__(1, backend.Value(3.0) * 2.0 + 1.0))
        y = neuron(inputs)
        neuron.zero_grad()
        y.backward()
        assert neuron.weight[1].grad in (1.0, 7.0)
        del y, inputs
        assert still_right(backend)


def test_a_list_that_shrinks_while_it_is_read(backend):
    for call in (
        lambda xs: backend.Vector(xs),
        lambda xs: backend.dot(xs, xs),
        lambda xs: backend.Neuron(3)(xs),
        lambda xs: backend.Layer(3, 2)([xs, xs]),
        lambda xs: backend.softmax(xs),
        lambda xs: backend.mse_loss(xs, xs),
        lambda xs: backend.Vector([1.0, 2.0, 3.0]) * xs,
        lambda xs: backend.Tape(backend.Value(1.0) * 2.0).set(xs, xs),
    ):
        xs = [1.0, 2.0, 3.0]
        xs[0] = Calling(xs.clear)
        try:
            call(xs)
        except DOCUMENTED:
            pass
    assert still_right(backend)


def test_backward_while_a_gradient_is_asked_for(backend):
    x = backend.Value(3.0)
    y = x * x
    (y * 2.0).backward(Calling(y.backward))
    assert x.grad == 6.0 + 12.0
    v = backend.Vector([x, x])
    x.grad = 0.0
    v.backward([Calling(lambda: v.backward()), 1.0])
    assert x.grad == 4.0


# Values that are none, or never were ------------------------------------------------------------


def test_parameters_that_are_no_values(backend):
    unmade = backend.Value.__new__(backend.Value, 1.0)
    for part in (1.0, None, "w", unmade):

        class Model(backend.MLP):
            def named_parameters(self, part=part):
                yield "odd", part

        try:
            Model(2, [1]).zero_grad()
        except (TypeError, AttributeError):
            pass
        optimiser = backend.SGD(backend.MLP(2, [1]).parameters(), lr=0.1)
        for params in ((part,) * 3, (part,), [part]):
            optimiser.params = params
            for call in (optimiser.step, optimiser.zero_grad):
                try:
                    call()
                except DOCUMENTED:
                    pass
    layer = backend.Layer(2, 1)
    if hasattr(layer, "neurons"):
        layer.neurons[0].__dict__["_weight"] = layer.neurons[0].__dict__["weight"] = (1.0, 2.0)
        try:
            layer.weight.backward()
        except DOCUMENTED:
            pass
    assert still_right(backend)


def test_moments_that_change_while_they_are_looked_up(backend):
    class Odd(backend.Adam):
        @property
        def second_moment(self):
            del self.first_moment[:]
            return self._second

        @second_moment.setter
        def second_moment(self, moment):
            self._second = moment

    optimiser = Odd(backend.MLP(30, [30]).parameters())
    try:
        optimiser.step()
    except DOCUMENTED:
        pass
    assert still_right(backend)


def test_a_detach_of_ones_own(backend):
    class Odd(backend.Value):
        def detach(self):
            return 1.0

    v = backend.Vector([Odd(2.0), Odd(3.0)])
    try:
        v.detach().backward()
    except (TypeError, AttributeError):
        pass
    assert still_right(backend)


def test_the_machinery_of_layers_and_optimisers(backend):
    """What a compiled backend keeps for itself, but does not hide."""
    model = backend.MLP(2, [3])
    model([1.0, 2.0])
    optimiser = backend.SGD(model.parameters(), lr=0.1)
    optimiser.step()
    for thing in (
        getattr(model.layers[0], "_perceptrons", None),
        getattr(model, "_stack", None),
        getattr(optimiser, "_stretches", None),
    ):
        kind = type(thing)
        for arguments in (
            (([backend.Value(1.0)],), (backend.Value(1.0),), "relu"),
            (((None,),), (None,), "relu"),
            (((1.0,),), (2.0,), "relu"),
            (((),), (backend.Value(1.0),), "relu"),
            ((1.0, None),),
            (model,),
            (optimiser.params,),
        ):
            for call in (
                lambda a=arguments, k=kind: k(*a),
                lambda a=arguments, t=thing: t.__init__(*a),
            ):
                try:
                    call()
                except (*DOCUMENTED, KeyError):
                    pass
        for _ in range(20):
            try:
                thing.__init__(optimiser.params)
            except (*DOCUMENTED, KeyError):
                pass
    optimiser.step()
    assert still_right(backend)


def test_sizes_beyond_all_memory(backend):
    for call in (
        lambda: backend.Neuron(10**400),
        lambda: backend.Layer(2, 2**64),
        lambda: backend.MLP(2, [10**400, 1]),
    ):
        with pytest.raises(ValueError, match="memory"):
            call()


# Words --------------------------------------------------------------------------------------------


def test_a_label_that_cannot_be_compared(backend):
    class Word(str):
        def __ne__(self, other):
            raise KeyError

        __eq__ = __ne__
        __hash__ = str.__hash__

    v = backend.Value(1.0)
    v.label = Word("w")
    v.label = Word("x")
    assert len(v.label) == 1


def test_a_format_that_is_no_str(backend):
    for spec in (1.5, b"f", [2]):
        with pytest.raises(TypeError):
            backend.Value(1.0).__format__(spec)


def test_no_grad_that_was_not_entered(backend):
    block = backend.no_grad()
    with block:
        pass
    block.__exit__()
    backend.no_grad().__exit__()
    with backend.no_grad():
        assert (backend.Value(1.0) * 2.0).op == ""
    assert (backend.Value(1.0) * 2.0).op == "* 2.0"


def test_no_grad_left_in_another_order(backend):
    a, b = backend.no_grad(), backend.no_grad()
    for block in (a, b):
        block.__enter__()
    a.__exit__()
    a.__enter__()
    b.__exit__()
    assert (backend.Value(1.0) * 2.0).op == ""
    a.__exit__()
    assert (backend.Value(1.0) * 2.0).op == "* 2.0"
    with backend.no_grad():
        assert (backend.Value(1.0) * 2.0).op == ""


# What outlives what -------------------------------------------------------------------------------


def test_parameters_outlive_their_layer(backend):
    layer = backend.Layer(2, 2, seed=3)
    before = [list(row) for row in layer.weight.data]
    weight, parameters = layer.weight, layer.parameters()
    y = layer([1.0, 2.0])
    del layer
    gc.collect()
    y.backward()
    assert [list(row) for row in weight.data] == before
    for p in parameters:
        p.data -= 0.5 * p.grad
    assert [list(row) for row in weight.data] != before


def test_a_value_outlives_its_graph(backend):
    def elements():
        x = backend.Vector([1.0, 2.0, 3.0])
        y = backend.softmax(x * 2.0)
        return x[0], y[1], y[2]

    kept = [elements() for _ in range(100)]
    gc.collect()
    for x, middle, last in kept:
        assert middle.data < last.data
        last.backward()
        assert x.grad < 0.0
    del kept, last, middle
    gc.collect()
    assert x.data == 1.0


def test_an_exception_half_way_leaves_nothing_behind(backend):
    model = backend.MLP(2, [4, 1], seed=2)
    expected = model([[1.0, 2.0], [3.0, 4.0]]).data

    def bad():
        rows = [[backend.Value(1.0), 2.0]] * 50 + [[backend.Value(3.0), Calling(fail)]]
        for call in (model, backend.Vector, backend.softmax, lambda x: backend.linear(x, x)):
            with pytest.raises(KeyError):
                call(rows)

    def fail():
        raise KeyError

    cells = getattr(getattr(backend.module, "engine", None), "_cells_in_use", gc.get_count)
    bad()
    gc.collect()
    before = cells()
    for _ in range(10):
        bad()
    gc.collect()
    if cells is not gc.get_count:
        assert cells() == before
    assert list(model([[1.0, 2.0], [3.0, 4.0]]).data) == list(expected)
