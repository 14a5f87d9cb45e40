"""What a network is to learn, where classes differ in weight: the losses are PyTorch's weighted ones."""

import numpy as np
import pytest

from pure_python.training import checkpoint
from pure_python.training.datasets import split
from pure_python.training.errors import InputError
from pure_python.training.objective import LOSSES, Objective, class_weights
from pure_python.training.run import Run, Source

CLASSES = ("a", "b", "c")


def weighted_by_pytorch(loss, outputs, targets, weights):
    """The loss of PyTorch and the gradients of the outputs."""
    import torch
    from torch.nn import functional

    leaves = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    classes, weight = torch.tensor(targets), torch.tensor(weights, dtype=torch.float64)
    logits = leaves
    if len(weights) == 2:  # the score of one class over the other
        logits = torch.stack([torch.zeros_like(leaves), leaves], dim=1)
    signs = 2.0 * functional.one_hot(classes, len(weights)).double() - 1.0
    if len(weights) == 2:
        signs = signs[:, 1]
    if loss == "cross-entropy":
        value = functional.cross_entropy(logits, classes, weight=weight)
    elif loss == "mse":
        each = weight[classes] if len(weights) == 2 else weight[classes][:, None].expand(-1, 3)
        value = functional.mse_loss(leaves, signs, weight=each)
    else:
        each = functional.relu(1.0 - leaves * signs).reshape(len(targets), -1).mean(dim=1)
        value = (weight[classes] * each).sum() / weight[classes].sum()
    value.backward()
    return value.item(), leaves.grad.numpy()


@pytest.mark.pytorch
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_weighted_losses_are_those_of_pytorch(loss, n_classes, backend):
    """And their gradients; in any order of the samples, and of one class alone too."""
    generator = np.random.default_rng(3)
    weights = [0.25, 2.0, 1.5][:n_classes]
    objective = Objective(backend.module, loss, n_classes, weights)
    for targets in ([1, 0, 1, 1, n_classes - 1, 0], [1, 1], [0]):
        shape = (len(targets),) if n_classes == 2 else (len(targets), n_classes)
        numbers = generator.normal(size=shape)
        leaves = backend.Vector(numbers.tolist())
        value = objective(leaves, np.array(targets))
        value.backward()
        expected, gradients = weighted_by_pytorch(loss, numbers, targets, weights)
        assert value.data == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(np.array(leaves.grad), gradients, rtol=1e-12, atol=1e-15)


def test_equal_weights_give_the_ordinary_mean(backend):
    outputs, targets = [[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]], np.array([2, 0])
    for loss in LOSSES:
        plain = Objective(backend.module, loss, 3)(backend.Vector(outputs), targets)
        equal = Objective(backend.module, loss, 3, [7.0] * 3)(backend.Vector(outputs), targets)
        assert equal.data == pytest.approx(plain.data, rel=1e-14)


def test_samples_of_a_class_stand_together_only_where_classes_differ():
    inputs, targets = np.arange(4.0)[:, None], np.array([1, 0, 1, 0])
    plain = Objective(None, "mse", 2)
    assert plain.arranged(inputs, targets)[0] is inputs and plain.weight(targets) == 4
    weighted = Objective(None, "mse", 2, [0.5, 3.0])
    arranged, classes = weighted.arranged(inputs, targets)
    assert arranged[:, 0].tolist() == [1, 3, 0, 2] and classes.tolist() == [0, 0, 1, 1]
    assert weighted.weight(targets) == 7.0


@pytest.mark.parametrize(
    "text, expected",
    [
        ("equal", None),
        ("balanced", (6 / (2 * 4), 6 / (2 * 2), 1.0)),  # of the last there is no sample
        ("b=2", (1.0, 2.0, 1.0)),
        ("c = 0.5, a=3e0", (3.0, 1.0, 0.5)),
    ],
)
def test_class_weights_as_they_are_asked_for(text, expected):
    assert class_weights(text, CLASSES, np.array([0, 0, 1, 0, 0, 1])) == expected


def test_balanced_is_what_scikit_learn_calls_so():
    from sklearn.utils.class_weight import compute_class_weight

    targets = np.array([0] * 7 + [1] * 2 + [2] * 5)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    assert class_weights("balanced", CLASSES, targets) == pytest.approx(expected)


def test_classes_by_the_names_that_a_file_gives_them():
    """1 and 1.0 are one class, and a name may have commas and equals signs in it."""
    targets = np.array([0, 1])
    assert class_weights("1.0=4", ("0", "1"), targets) == (1.0, 4.0)
    assert class_weights('"x, y=2",p=q=3', ("p=q", "x, y"), targets) == (3.0, 2.0)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "--class-weight '': balanced, equal, or classes with their weights are expected"),
        ("heavy", "'heavy': balanced, equal, or classes"),
        ("a=2\nb=3", "'a=2\\nb' is no class"),
        ("a=0", "'a=0': "),
        ("a=inf", "'a=inf': "),
        ("a=-1", "finite numbers above 0, such as yes=2,no=0.5"),
        ("a=1_0", "'a=1_0': "),
        ("b=2,b=3", "'b' is given twice; there are 'a', 'b', 'c'"),
        ("d=2", "'d' is no class; there are 'a', 'b', 'c'"),
    ],
)
def test_class_weights_that_cannot_be(text, message):
    with pytest.raises(InputError) as caught:
        class_weights(text, CLASSES, np.array([0, 1, 2]))
    assert message in str(caught.value)


def test_with_many_classes_some_are_named():
    with pytest.raises(InputError, match="'11', …$"):
        class_weights("x=1", [str(k) for k in range(40)], np.arange(40))


# In a run --------------------------------------------------------------------------------------


@pytest.fixture
def rare(write):
    """A CSV file of two classes that overlap, one of them rare."""
    generator = np.random.default_rng(5)
    rows = [(x, "often") for x in generator.normal(0.0, 1.0, 110)]
    rows += [(x, "rarely") for x in generator.normal(1.2, 1.0, 10)]
    return write("rare.csv", "x,c\n" + "".join(f"{x},{name}\n" for x, name in rows))


def test_a_rare_class_is_found_where_it_counts(backend, rare):
    """Without weights the network says `often`; balanced, it finds what is rare."""
    found = {}
    for weight in ("equal", "balanced", "rarely=11"):
        options = {"class_weight": weight, "hidden": (), "epochs": 8, "lr": 0.05}
        run = Run.prepare(backend.module, Source(None, rare, "c"), options, files=False)
        assert run.carry_out(quiet=True)
        inputs, targets = run.split.inputs, run.split.targets
        chosen = run.trainer.objective.chosen(run.decide(inputs))
        found[weight] = float((chosen[targets == 1] == 1).mean())
        row, scaled = run.trainer.history.result, run.scaling(run.split.held_inputs)
        held = run.trainer.objective(run.trainer.model(scaled), run.split.held_targets)
        assert row["held_loss"] == pytest.approx(held.data)
    assert found["balanced"] >= 0.5 > found["equal"] and found["rarely=11"] >= 0.5


def test_the_loss_of_an_epoch_weighs_its_batches(backend):
    """By how much their samples count, so that it is that of all samples together."""
    options = {"class_weight": "class 1=5", "epochs": 1, "batch_size": 7, "validation": 0.0}
    run = Run.prepare(backend.module, Source("moons", samples=20), options, files=False)
    run.carry_out(quiet=True)
    trainer = run.trainer
    batches = trainer._batches(20, epoch=1)
    weights = [trainer.objective.weight(run.split.targets[batch]) for batch in batches]
    expected = np.average(trainer.history.losses, weights=weights)
    assert len(set(weights)) > 1 and trainer.history.result["loss"] == pytest.approx(expected)


def test_all_backends_weigh_alike(backends):
    losses = {}
    for backend in backends:
        options = {"class_weight": "class 1=3,class 2=0.5", "epochs": 2, "loss": "max-margin"}
        run = Run.prepare(backend.module, Source("spiral", samples=60), options, files=False)
        run.carry_out(quiet=True)
        losses[backend.name] = run.trainer.history.losses
    reference = losses.get("pure_python") or next(iter(losses.values()))
    for name, others in losses.items():
        if name == "cython_core" and "pure_python" in losses:
            assert others == reference, "bit for bit"
        np.testing.assert_allclose(others, reference, rtol=1e-9, atol=1e-12)


def test_weights_are_of_the_samples_that_are_learnt_from(backend):
    options = {"class_weight": "balanced"}
    run = Run.prepare(backend.module, Source("breast-cancer"), options, files=False)
    data = run.dataset
    parts = split(data, run.trainer.settings.validation, run.trainer.settings.seed)
    expected = class_weights("balanced", data.classes, parts.targets)
    assert [run.trainer.objective.weight(np.array([k])) for k in (0, 1)] == list(expected)


def test_class_weight_on_the_command_line(run):
    base = ("train", "moons", "--samples", 20, "--epochs", 1, "--no-out", "--save", "w")
    run(*base, "--class-weight", "class 1=2").succeeded()
    assert checkpoint.read("w").settings.class_weight == "class 1=2", "kept for --resume"
    message = run(*base, "--class-weight", "class 2=2").failed()
    assert message == "--class-weight: 'class 2' is no class; there are 'class 0', 'class 1'"
