"""Threads, asynchronous tasks and processes (rules 1.13, 1.14 and 1.19)."""

import asyncio
import json
import multiprocessing
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from cases.threads import at_once, chain, train


def test_threads_with_graphs_of_their_own(backend):
    """Rule 1.19: the bits of a single thread."""
    seeds = range(4)
    alone = [train(backend, seed, 100) for seed in seeds]
    together = at_once(*[lambda seed=seed: train(backend, seed, 100) for seed in seeds])
    for got, expected in zip(together, alone, strict=True):
        assert got == expected, (
            "threads that share no Value disturb each other: what backward notes down has to belong to "
            "the pass, and the order of creation has to rise in every thread"
        )


def test_backward_while_others_build(backend):
    """Rule 1.19: on the same leaf, and on the very nodes that backward walks over."""
    x = backend.Value(1.5)
    shared = chain(backend, x, 200)
    done = threading.Event()

    def build():
        data = []
        while not done.is_set():
            data.append((shared * 2.0 + x).data)
        return data

    def walk():
        try:
            for _ in range(100):
                shared.backward()
        finally:
            done.set()

    _, *built = at_once(walk, build, build)
    assert x.grad == 100.0
    assert {number for numbers in built for number in numbers} <= {shared.data * 2.0 + x.data}


def test_one_graph_in_several_threads(backend):
    """Rule 1.19: passes run one after another, each as a whole, so the gradients of all add up."""
    x = backend.Value(1.5)
    shared = chain(backend, x, 60)
    at_once(*[lambda: [shared.backward() for _ in range(100)]] * 3)
    assert x.grad == 300.0, (
        f"the gradient of 300 passes of 1.0 is {x.grad!r}: hold a lock while backward runs"
    )


def test_leaves_that_several_graphs_share(backend):
    """Rule 1.19: graphs of one's own over the same parameters."""
    x = backend.Value(1.5)
    roots = [chain(backend, x, 60) for _ in range(3)]
    at_once(*[lambda root=root: [root.backward() for _ in range(100)] for root in roots])
    assert x.grad == 300.0, (
        f"the gradient of 300 passes of 1.0 is {x.grad!r}: hold a lock while backward runs"
    )


AT_WORK = "this Tape is at work in another thread: record one for each"


def test_a_tape_in_several_threads(backend):
    """Rule 1.19: a Tape at work refuses another thread; what it answers is right."""
    x = backend.Value(1.5)
    tape = backend.Tape(backend.linear([chain(backend, x, 60)] * 2, [[x, 1.0]])[0])
    expected = tape.forward()
    tape.backward()
    slope = x.grad
    x.zero_grad()

    def replay():
        answers, passes = [], 0
        for _ in range(100):
            try:
                answers.append(tape.forward())
                tape.backward()
                passes += 1
            except RuntimeError as error:
                assert str(error) == AT_WORK
        return answers, passes

    results = at_once(*[replay] * 3)
    assert {answer for answers, _ in results for answer in answers} == {expected}
    assert x.grad == sum(passes for _, passes in results) * slope


@pytest.mark.skipif(sys.platform == "win32", reason="timers as POSIX has them")
def test_a_tape_at_work_refuses_a_signal_handler(backend):
    """Rules 1.19 and 1.26: it does not wait either, since what it would wait for is interrupted."""
    tape = backend.Tape(backend.dot([chain(backend, backend.Value(1.5), 5_000)], [1.0]))
    refusals, began = [], time.monotonic()

    def replay(*_):
        try:
            tape.forward()
        except RuntimeError as error:
            refusals.append(str(error))

    before = signal.signal(signal.SIGVTALRM, replay)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.001, 0.001)
    try:
        while not refusals and time.monotonic() < began + 60:
            tape.forward()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)
    assert set(refusals) == {AT_WORK}
    assert tape.forward() == tape.forward()


# no_grad -------------------------------------------------------------------------------------


def test_no_grad_in_many_threads(backend):
    """Rule 1.13: each thread in a block records nothing, each outside one records."""
    a = backend.Value(2.0)
    pause = backend.no_grad()

    @pause
    def predict():
        return a * 3.0

    def enter():
        for _ in range(300):
            with backend.no_grad():
                assert (a * 3.0).operands == ()
            assert (a * 3.0).operands == (a,)
            assert predict().operands == ()

    def stay_outside():
        for _ in range(1000):
            assert (a * 3.0).operands == (a,)

    at_once(enter, enter, stay_outside)
    assert (a * 3.0).operands == (a,)


def test_no_grad_holds_for_tasks_started_inside(backend):
    """Rule 1.13: until the block ends, whatever blocks others have open then."""
    a = backend.Value(2.0)

    async def operands(seen, ended):
        seen.append((a * 3.0).operands)
        await ended.wait()
        seen.append((a * 3.0).operands)
        with backend.no_grad():
            seen.append((a * 3.0).operands)
        seen.append((a * 3.0).operands)

    async def main():
        seen, ended = [], asyncio.Event()
        with backend.no_grad():
            task = asyncio.create_task(operands(seen, ended))
            await asyncio.sleep(0)
        with backend.no_grad():  # another block, which is none of the task's business
            ended.set()
            await task
        return seen

    inside, after, own, at_last = asyncio.run(main())
    assert inside == (), "a task that is started inside the block is inside"
    assert after == (a,), (
        "the block has ended, and with it what it meant to a task started inside: let the ContextVar "
        "hold the block, which knows whether it is open"
    )
    assert own == () and at_last == (a,)


def test_a_task_started_in_the_inner_of_two_blocks(backend):
    """Rule 1.13: where that one ends, the outer still holds for it."""
    a = backend.Value(2.0)

    async def operands(ended):
        await ended.wait()
        return (a * 3.0).operands

    async def main():
        ended = asyncio.Event()
        with backend.no_grad():
            with backend.no_grad():
                task = asyncio.create_task(operands(ended))
                await asyncio.sleep(0)
            ended.set()
            return await task

    assert asyncio.run(main()) == ()


def test_no_grad_around_await(backend):
    """Rule 1.13: tasks whose blocks interleave, in no order of entering and leaving."""
    a, no_grad = backend.Value(2.0), backend.no_grad

    async def worker(generator):
        for _ in range(20):
            await asyncio.sleep(generator.random() * 1e-4)
            assert (a * 3.0).operands == (a,)
            with no_grad():
                await asyncio.sleep(generator.random() * 1e-4)
                assert (a * 3.0).operands == ()
                with no_grad():
                    await asyncio.sleep(0)
                assert (a * 3.0).operands == ()

    async def main():
        await asyncio.gather(*[worker(random.Random(seed)) for seed in range(10)])

    asyncio.run(main())
    assert (a * 3.0).operands == (a,)


def test_no_grad_refuses_to_decorate_what_suspends(backend):
    """Rule 1.13: calling a coroutine or generator function runs none of it yet."""

    def generator():
        yield 1.0

    async def coroutine():
        return 1.0

    async def asynchronous_generator():
        yield 1.0

    for function in (generator, coroutine, asynchronous_generator):
        with pytest.raises(TypeError, match=r"Write `with no_grad\(\):` inside the function"):
            backend.no_grad()(function)


def test_one_no_grad_is_one_block(backend):
    """Rule 1.13: entered twice at a time it could not know which block ends."""
    pause, a = backend.no_grad(), backend.Value(2.0)
    pause.__exit__(None, None, None)  # of a block that was not entered: nothing ends
    with pause as entered:
        assert entered is pause
        with pytest.raises(RuntimeError) as refusal:
            pause.__enter__()
        assert str(refusal.value) == "this no_grad() is entered already: make one for each block"
        assert (a * 3.0).operands == ()
    assert (a * 3.0).operands == (a,)
    with pause:
        assert (a * 3.0).operands == ()
    assert (a * 3.0).operands == (a,)


def test_a_generator_that_is_left_in_its_block(backend):
    """Rule 1.13: a block that another thread closes is closed, and closes none of that thread's."""
    a, seen = backend.Value(2.0), []

    def suspended():
        with backend.no_grad():
            yield

    generators = [suspended()]
    next(generators[0])

    def close():
        with backend.no_grad():
            generators.pop().close()
            seen.append((a * 3.0).operands)

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert seen == [()]
    with_another_open = threading.Event(), threading.Event()

    def hold():
        with backend.no_grad():
            with_another_open[0].set()
            with_another_open[1].wait()

    thread = threading.Thread(target=hold)
    thread.start()
    with_another_open[0].wait()
    operands = (a * 3.0).operands
    with_another_open[1].set()
    thread.join()
    assert operands == (a,)


# Processes -----------------------------------------------------------------------------------

# A file, since a process that is spawned reads it again.
IN_PROCESSES = """
import importlib, json, multiprocessing, pickle, sys, threading
method, backend, sys.path[:] = sys.argv[1], sys.argv[2], sys.argv[3:]
m = importlib.import_module(backend)

def make():
    model = m.MLP(2, [3, 1], activation="tanh", seed=1)
    return model, m.Adam(model.parameters(), lr=0.1), m.Value(3.0, label="x")

def train(model, optimiser, x):
    for _ in range(3):
        loss = (model([[1.0, 2.0], [0.5, -1.0]]) ** 2).sum() + x * x
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with m.no_grad():
        assert (x * 3.0).operands == ()
    state = {name: list(map(str, data)) for name, data in model.state_dict().items()}
    return [loss.data, x.grad, x.label, state, len(loss.operands)]

def answer(pipe, *things):
    pipe.send(train(*things or make()))
    pipe.close()

def graph():
    x = m.Value(1.0)
    v = m.linear([x] * 300, [[1.0] * 300] * 300).sum()
    for _ in range(2000):
        v = v * 0.5 + x
    return v

def walk(root, done):
    while not done.is_set():
        root.backward()

def pause(done):
    while not done.is_set():
        with m.no_grad():
            pass

if __name__ == "__main__":
    context, result = multiprocessing.get_context(method), {}
    here = train(*make())
    with context.Pool(1) as pool:
        result["sent"] = pool.apply(train, make()) == here
        model, optimiser, x = pool.apply(make)
        result["received"] = train(model, optimiser, x) == here
        back = pool.apply(abs, (m.Value(-2.0) * 2.0,))
        vector = pool.apply(m.linear, ([1.0, 2.0], [[m.Value(3.0), 1.0]]))
        result["results"] = [back.data, back.op, list(map(float, vector.data)), vector[0].operands == ()]
    try:
        pickle.dumps(m.Tape(x * x))
    except TypeError as error:
        result["tape"] = str(error)
    done, answers = threading.Event(), []
    threads = [
        threading.Thread(target=walk, args=(graph(), done)), threading.Thread(target=walk, args=(graph(), done)),
        threading.Thread(target=pause, args=(done,)),
    ]
    sys.setswitchinterval(1e-5)
    for thread in threads:
        thread.start()
    for _ in range(15 if method == "fork" else 1):
        receiving, sending = context.Pipe(duplex=False)
        child = context.Process(target=answer, args=(sending,))
        child.start()
        sending.close()
        answers.append(receiving.poll(60) and receiving.recv() == here)
        child.kill()
        child.join()
    done.set()
    for thread in threads:
        thread.join()
    result["while others walk"] = [answers.count(True), answers.count(False)]
    print(json.dumps(result))
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes(backend, method, tmp_path):
    """Rules 1.14 and 1.19: what is sent arrives without its history, and a child computes as usual."""
    script = tmp_path / "script.py"
    script.write_text(IN_PROCESSES, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), method, backend.name, *sys.path],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["sent"], "a model and its optimiser, sent together, train as they do here"
    assert result["received"], "so do those that a process sends back"
    assert result["results"] == [4.0, "", [5.0], True], "a result arrives as a leaf"
    assert "belongs to the graph it recorded" in result.get("tape", "a Tape was pickled")
    right, wrong = result["while others walk"]
    assert right and not wrong, (
        f"of {right + wrong} children that were {method}ed while other threads walked graphs or were in "
        "no_grad, as many as the last number hang or compute something else: locks have to be made anew in a forked child"
    )
