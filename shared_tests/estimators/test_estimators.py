"""MLPClassifier and MLPRegressor of each backend: what scikit-learn asks of estimators, and more."""

import importlib
import importlib.util
import inspect
import io
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pure_python.training.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.RandomState(0)
X = RNG.normal(size=(60, 3))
CLASSES = np.array(["a", "b", "c"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
QUANTITIES = X[:, 0] ** 2 - X[:, 1]
SMALL = {"hidden_layer_sizes": (5,), "random_state": 3}


def estimators(backend):
    return importlib.import_module(f"{backend.name}.estimators")


@pytest.fixture(params=["MLPClassifier", "MLPRegressor"])
def kind(request, backend):
    return getattr(estimators(backend), request.param)


def targets(kind):
    return CLASSES if kind.__name__ == "MLPClassifier" else QUANTITIES


def weights(estimator):
    return [*estimator.coefs_, *estimator.intercepts_]


def same(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


CHECK = """
import importlib, json, sys, warnings
from sklearn.utils.estimator_checks import check_estimator
warnings.simplefilter("ignore")
module = importlib.import_module(sys.argv[1])
results = []
for kind in (module.MLPClassifier, module.MLPRegressor):
    results += check_estimator(kind(**json.loads(sys.argv[2])), on_fail=None)
print(json.dumps([[r["check_name"], r["status"], repr(r["exception"])] for r in results]))
"""
# In plain Python a smaller network, for fewer epochs.
SIZES = {"pure_python": {"hidden_layer_sizes": 4, "max_iter": 20, "learning_rate_init": 0.05}}


def test_every_check_of_scikit_learn(backend):
    """check_estimator whole. One of its checks is about tables of pandas, and needs it."""
    command = [sys.executable, "-c", CHECK, f"{backend.name}.estimators"]
    options = json.dumps(SIZES.get(backend.name, {}))
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}  # another check is about this switch
    done = subprocess.run(
        [*command, options], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert len(results) > 90
    if importlib.util.find_spec("pandas") is None:
        results = [row for row in results if not row[0].endswith("_data_not_an_array")]
    wrong = [row for row in results if row[1] != "passed"]
    assert not wrong, wrong


def test_pipelines_cross_validation_and_grid_search(backend):
    X, y = load_iris(return_X_y=True)
    network = estimators(backend).MLPClassifier(
        max_iter=12, learning_rate_init=0.05, random_state=0
    )
    pipeline = make_pipeline(StandardScaler(), network)
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.9
    grid = {"mlpclassifier__hidden_layer_sizes": [(), (8,)], "mlpclassifier__activation": ["tanh"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X[::2], y[::2])
    assert search.best_params_ in search.cv_results_["params"]
    assert search.score(X, y) > 0.9


def test_help_says_what_each_parameter_does(kind):
    """In IPython, `MLPClassifier?` shows the docstring of __init__ below the signature."""
    text = inspect.getdoc(kind.__init__)
    explained = [name for line in text.splitlines() if ": " in line and line[0] != " "
                 for name in line.partition(":")[0].split(", ")]  # fmt: skip
    assert explained == list(inspect.signature(kind).parameters)


@pytest.mark.parametrize(
    ("name", "alone"), [("verbose", ", which scikit-learn's own has alone"), ("hidden_layers", "")]
)
def test_a_parameter_that_there_is_not(kind, name, alone):
    """Named by the class that was called, with those that there are."""
    with pytest.raises(TypeError) as caught:
        kind(**{name: True})
    names = ", ".join(inspect.signature(kind).parameters)
    assert str(caught.value) == (
        f"{kind.__name__} takes no {name}{alone}; its parameters are {names}"
    )


@pytest.mark.parametrize("load", [load_iris, load_wine], ids=["iris", "wine"])
@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_the_defaults_come_to_rest_on_small_data(backend, load):
    """A first fit ends without a warning, and before the last epoch."""
    samples, classes = load(return_X_y=True)
    network = estimators(backend).MLPClassifier(random_state=0)
    network.fit(StandardScaler().fit_transform(samples), classes)
    assert network.n_iter_ < network.max_iter


def test_the_random_state_decides(kind):
    y = targets(kind)
    one, two, other = (kind(**SMALL | {"random_state": n, "max_iter": 3}) for n in (3, 3, 4))
    for estimator in (one, two, other):
        estimator.fit(X, y)
    assert same(weights(one), weights(two))
    assert not same(weights(one), weights(other))
    assert same(weights(one), weights(clone(one).fit(X, y)))


def test_none_as_random_state_draws_another_each_time(kind):
    estimator = kind(**SMALL | {"random_state": None, "max_iter": 1})
    first = weights(estimator.fit(X, targets(kind)))
    assert not same(first, weights(estimator.fit(X, targets(kind))))


def test_it_computes_what_scikit_learn_computes_with_the_same_weights(kind):
    """The outputs, and a step of gradient descent on the loss with the term of alpha."""
    y = targets(kind)
    given = {"solver": "sgd", "momentum": 0.0, "batch_size": len(X), "shuffle": False, "alpha": 0.5}
    given |= {"activation": "tanh", "learning_rate_init": 0.1, "max_iter": 1, **SMALL}
    ours = kind(**given).fit(X, y)
    theirs = getattr(neural_network, kind.__name__)(**given, nesterovs_momentum=False).fit(X, y)
    # Theirs leaves the biases out of the term of alpha: both have zeros there.
    theirs.coefs_ = [w.copy() for w in ours.coefs_]
    theirs.intercepts_ = [np.zeros_like(b) for b in ours.intercepts_]
    layers = zip(ours.model_.layers, ours.coefs_, strict=True)
    ours.model_.load_state_dict(
        {
            f"layers.{i}.{name}": entry
            for i, (layer, w) in enumerate(layers)
            for name, entry in (("weight", w.T), ("bias", np.zeros(layer.n_out)))
        }
    )
    judge = "predict_proba" if hasattr(ours, "predict_proba") else "predict"
    np.testing.assert_allclose(getattr(ours, judge)(X), getattr(theirs, judge)(X), rtol=1e-12)
    # Theirs makes its optimiser from lists that it also changes: it is told of the new ones.
    theirs._optimizer.params = theirs.coefs_ + theirs.intercepts_
    theirs._optimizer.velocities = [np.zeros_like(w) for w in theirs._optimizer.params]
    ours.partial_fit(X, y)
    theirs.partial_fit(X, y)
    for a, b in zip(weights(ours), [*theirs.coefs_, *theirs.intercepts_], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def test_every_backend_learns_what_pure_python_learns(kind):
    y, module = targets(kind), importlib.import_module("pure_python.estimators")
    ours = weights(kind(**SMALL, max_iter=3).fit(X, y))
    theirs = weights(getattr(module, kind.__name__)(**SMALL, max_iter=3).fit(X, y))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    assert same(ours, theirs) or kind.__module__ == "numpy_vectorized.estimators"


def test_samples_are_shuffled_or_taken_in_their_order(kind):
    y = targets(kind)
    given = {**SMALL, "solver": "sgd", "momentum": 0.0, "alpha": 0.0, "batch_size": 20}
    ordered = kind(**given, shuffle=False).partial_fit(X, y)
    slices = kind(**given)
    classes = {"classes": np.unique(y)} if kind.__name__ == "MLPClassifier" else {}
    for part in (slice(0, 20), slice(20, 40), slice(40, 60)):
        slices.partial_fit(X[part], y[part], **classes)
    for a, b in zip(weights(ordered), weights(slices), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    assert not same(weights(ordered), weights(kind(**given).partial_fit(X, y)))


def test_first_weights_are_drawn_as_glorot_and_bengio_have_it(kind):
    """Uniform up to √(6 / (n_in + n_out)), as scikit-learn's are."""
    network = kind(50, learning_rate_init=1e-9, random_state=0).partial_fit(X, targets(kind))
    largest = abs(network.coefs_[0]).max()
    assert 0.95 < largest / np.sqrt(6 / (3 + 50)) < 1.0001


def test_partial_fit_goes_on_where_it_was(kind):
    y = targets(kind)
    whole = kind(**SMALL, max_iter=4).fit(X, y)
    parts = kind(**SMALL)
    for _ in range(4):
        parts.partial_fit(X, y)
    assert parts.n_iter_ == whole.n_iter_ == len(parts.loss_curve_) == 4
    assert parts.loss_curve_ == whole.loss_curve_
    assert same(weights(whole), weights(parts))


def test_warm_start_goes_on_with_the_weights(kind):
    y = targets(kind)
    given = {**SMALL, "solver": "sgd", "momentum": 0.0}  # an optimiser that remembers nothing
    whole = kind(**given, max_iter=5).fit(X, y)
    twice = kind(**given, max_iter=2, warm_start=True).fit(X, y)
    twice.set_params(max_iter=3).fit(X, y)
    assert same(weights(whole), weights(twice)) and twice.n_iter_ == 5
    cold = kind(**given, max_iter=2).fit(X, y)
    assert same(weights(cold), weights(cold.fit(X, y)))


def test_early_stopping_keeps_what_was_best_on_samples_held_out(kind):
    y = targets(kind)
    estimator = kind(
        **SMALL,
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=3,
        max_iter=60,
        tol=0,
    )
    estimator.set_params(learning_rate_init=0.1).fit(X, y)
    n, seen = estimator.n_iter_, estimator.validation_scores_
    assert n == len(seen) < 60
    assert estimator.best_validation_score_ == max(seen)
    seed = np.random.RandomState(3).randint(2**31)
    stratify = y if kind.__name__ == "MLPClassifier" else None
    _, held, _, truth = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=stratify)
    assert estimator.score(held, truth) == pytest.approx(max(seen), rel=1e-12)


def test_several_quantities(backend):
    y = np.column_stack([QUANTITIES, 2 * X[:, 2]])
    given = {**SMALL, "max_iter": 30, "learning_rate_init": 0.05}
    network = estimators(backend).MLPRegressor(
        **given, early_stopping=True, n_iter_no_change=30, tol=0
    )
    found = network.fit(X, y).predict(X)
    assert found.shape == y.shape
    assert r2_score(y, found) > 0.6
    seed = np.random.RandomState(3).randint(2**31)
    _, held, _, truth = train_test_split(X, y, test_size=0.1, random_state=seed)
    assert network.score(held, truth) == pytest.approx(network.best_validation_score_, rel=1e-12)


def test_two_classes_have_one_output(backend):
    y = CLASSES == "a"
    network = estimators(backend).MLPClassifier(**SMALL, max_iter=8).fit(X, y)
    likely = network.predict_proba(X)
    assert network.model_.n_out == 1 and likely.shape == (60, 2)
    np.testing.assert_allclose(likely.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.log(likely), network.predict_log_proba(X))
    assert (network.predict(X) == network.classes_[likely.argmax(axis=1)]).all()


def test_it_says_when_it_has_not_come_to_rest(kind):
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        kind(**SMALL, max_iter=2).fit(X, targets(kind))


class Recorder(pickle.Unpickler):
    """Notes the classes and functions that a pickle names."""

    def __init__(self, file):
        super().__init__(file)
        self.modules = set()

    def find_class(self, module, name):
        self.modules.add(module.partition(".")[0] if "estimators" not in module else module)
        return super().find_class(module, name)


def test_a_pickle_holds_weights_and_no_graph(kind):
    y = targets(kind)
    estimator = kind(**SMALL, max_iter=3).fit(X, y)
    recorder = Recorder(io.BytesIO(pickle.dumps(estimator)))
    again = recorder.load()
    assert recorder.modules <= {kind.__module__, "numpy", "copyreg", "builtins"}
    assert same(weights(estimator), weights(again))
    assert np.array_equal(estimator.predict(X), again.predict(X))
    assert same(weights(estimator.partial_fit(X, y)), weights(again.partial_fit(X, y)))


def test_an_estimator_that_has_learnt_nothing_can_be_pickled(kind):
    assert pickle.loads(pickle.dumps(kind(alpha=0.5))).alpha == 0.5


# What cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("hidden_layer_sizes", (5, 0), "a size of 1 or more"),
        ("hidden_layer_sizes", 2.5, "a size of 1 or more"),
        ("hidden_layer_sizes", "16", "a size of 1 or more"),
        ("hidden_layer_sizes", ((8,), (4,)), "a size of 1 or more"),
        ("hidden_layer_sizes", (n for n in (8, 4)), "a size of 1 or more"),
        ("hidden_layer_sizes", {8: 4}, "a size of 1 or more"),
        ("activation", "step", "one of relu, tanh"),
        ("activation", np.array(["relu", "tanh"]), "one of relu, tanh"),
        ("solver", "lbfgs", "one of adam, sgd"),
        ("solver", np.array(["adam", "sgd"]), "one of adam, sgd"),
        ("alpha", -1.0, "0 or more"),
        ("batch_size", "all", "or 'auto'"),
        ("learning_rate_init", 0.0, "above 0"),
        ("learning_rate_init", float("nan"), "above 0"),
        ("max_iter", 0, "1 or more"),
        ("tol", None, "0 or more"),
        ("momentum", 1.0, "below 1"),
        ("validation_fraction", 0.0, "between 0 and 1"),
        ("beta_1", 1.0, "below 1"),
        ("beta_2", True, "below 1"),
        ("epsilon", 0, "above 0"),
        ("early_stopping", "False", "True or False"),
        ("shuffle", None, "True or False"),
        ("n_iter_no_change", 0, "1 or more"),
    ],
)
def test_parameters_that_cannot_be(kind, name, given, expected):
    with pytest.raises(ValueError, match=expected) as failure:
        kind(**{name: given}).fit(X, targets(kind))
    assert str(failure.value).startswith(f"{name} of {kind.__name__}")


def test_sparse_samples_are_refused_in_words(kind):
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match="toarray"):
        kind().fit(csr_array(X), targets(kind))


def test_classes_that_the_first_call_did_not_have(backend):
    network = estimators(backend).MLPClassifier(**SMALL, max_iter=1, warm_start=True)
    network.partial_fit(X, CLASSES, classes=["a", "b", "c", "d"])
    known = r"for \['a', 'b', 'c', 'd'\]"
    with pytest.raises(ValueError, match=rf"y has \['z'\], but partial_fit .* {known}: clone the"):
        network.partial_fit(X[:2], ["a", "z"])
    with pytest.raises(ValueError, match="not those of the first call"):
        network.partial_fit(X, CLASSES, classes=["a", "b"])
    with pytest.raises(
        ValueError, match=rf"y has \['z'\], but warm_start=True .* {known}: set warm_s"
    ):
        network.fit(X[:2], ["a", "z"])
    with pytest.raises(
        ValueError, match=r"y has \['c'\], which are not in classes=\['a', 'b'\]: name"
    ):
        clone(network).partial_fit(X, CLASSES, classes=["a", "b"])
    assert network.predict_proba(X).shape == (60, 4)


def learning(kind, go_on, **parameters):
    """An estimator that has learnt, and how it goes on."""
    estimator = kind(**SMALL | {"max_iter": 1, "warm_start": go_on == "fit"} | parameters)
    step = getattr(estimator, go_on)
    step(X, targets(kind))
    return estimator, lambda: step(X, targets(kind))


WAYS = {"fit": "warm_start=True", "partial_fit": "partial_fit"}


@pytest.mark.parametrize("go_on", WAYS)
@pytest.mark.parametrize("sizes", [(6,), (5, 5), ()])
def test_going_on_with_other_sizes(kind, go_on, sizes):
    estimator, step = learning(kind, go_on)
    estimator.set_params(hidden_layer_sizes=sizes)
    before = dict(vars(estimator))
    with pytest.raises(ValueError) as failure:
        step()
    message = str(failure.value)
    assert message.startswith(f"hidden_layer_sizes={sizes}, but {WAYS[go_on]} goes on with a")
    anew = {"fit": "set warm_start=False", "partial_fit": "clone the estimator"}[go_on]
    assert message.endswith(f"set_params(hidden_layer_sizes=(5,)), or {anew} to begin anew")
    assert vars(estimator) == before


@pytest.mark.parametrize("go_on", WAYS)
def test_what_may_change_when_it_goes_on(kind, go_on):
    estimator, step = learning(kind, go_on)
    # The same sizes written otherwise; and what is no matter of weights.
    for change in (
        *({"hidden_layer_sizes": sizes} for sizes in (5, [5], np.array([5]))),
        {"activation": "tanh", "learning_rate_init": 0.5, "alpha": 0.0, "batch_size": 7},
        *({"solver": "sgd"}, {"momentum": 0.0}, {"momentum": 0.5}) * (go_on == "fit"),
    ):
        n = estimator.n_iter_
        estimator.set_params(**change)
        assert step().n_iter_ == n + 1
    assert estimator.model_.activation == "tanh"


def test_partial_fit_with_another_solver(kind):
    estimator, step = learning(kind, "partial_fit")
    estimator.set_params(solver="sgd")
    expected = r"solver='sgd', but .* what adam remembers: set_params\(solver='adam'\), or clone"
    with pytest.raises(ValueError, match=expected):
        step()


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.0), (0.0, 0.9), (0.5, 0.9)])
def test_partial_fit_with_another_momentum(kind, before, after):
    estimator, step = learning(kind, "partial_fit", solver="sgd", momentum=before)
    estimator.set_params(momentum=after)
    step()
    assert step().n_iter_ == 3


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_samples_have_no_weights(kind, method):
    y, ones = targets(kind), np.ones(len(X))
    expected = (
        f"^{method} of {kind.__name__} takes no sample_weight; all samples count alike: repeat"
    )
    with pytest.raises(TypeError, match=expected):
        getattr(kind(), method)(X, y, sample_weight=ones)
    with pytest.raises(TypeError, match=f"^{method} of {kind.__name__} takes no a, b$"):
        getattr(kind(), method)(X, y, a=1, b=2)


@pytest.mark.parametrize("n", [2, 4])
def test_too_few_samples_to_hold_some_out(kind, n):
    """Of one sample there is no R², and a class of which none is held out is judged by none."""
    y = [0, 1, 0, 1][:n]
    expected = (
        f"early_stopping of {kind.__name__} holds out validation_fraction=0.1 of the samples, and "
        rf"{n} are too few for that \(.*\): give more samples, another validation_fraction, or"
    )
    with pytest.raises(ValueError, match=expected):
        kind(early_stopping=True).fit(X[:n], y)


def test_one_class(backend):
    MLPClassifier = estimators(backend).MLPClassifier
    with pytest.raises(ValueError, match=r"two or more, got 1 class: \['a'\]; .*: classes="):
        MLPClassifier().fit(X, ["a"] * len(X))
    for classes in (3, "ab", [["a", "b"]]):
        with pytest.raises(
            ValueError, match="classes is a sequence of all that there will be, got"
        ):
            MLPClassifier().partial_fit(X, CLASSES, classes=classes)


def test_another_number_of_quantities(backend):
    network = estimators(backend).MLPRegressor(**SMALL).partial_fit(X, QUANTITIES)
    with pytest.raises(
        ValueError, match="y has 2 quantities a sample, but partial_fit .* for 1: clone"
    ):
        network.partial_fit(X, np.column_stack([QUANTITIES, QUANTITIES]))


def test_partial_fit_does_not_stop_early(kind):
    with pytest.raises(ValueError, match="early_stopping=False"):
        kind(early_stopping=True).partial_fit(X, targets(kind))


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(kind):
    y = targets(kind)
    estimator = kind(**SMALL, max_iter=2).fit(X, y)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match="features"):
        estimator.partial_fit(X[:, :2], y)
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.full((60, 2), np.nan), y)
    assert vars(estimator) == before


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_that_are_too_large_to_learn_from(backend):
    network = estimators(backend).MLPRegressor(**SMALL, max_iter=2)
    with pytest.raises(ValueError, match="training diverged .* scale X and y"):
        network.fit(X * 1e200, QUANTITIES)
    with pytest.raises(ValueError, match="training diverged .* scale X and y"):
        network.fit(X, QUANTITIES * 1e200)
    with pytest.raises(ValueError, match=r"training diverged .* scale X \(StandardScaler\) or"):
        estimators(backend).MLPClassifier(solver="sgd", learning_rate_init=1e200).fit(X, CLASSES)
    assert not hasattr(network, "model_") and not hasattr(network, "coefs_")


def test_an_interrupted_fit_learns_nothing(kind, monkeypatch):
    y, step, steps = targets(kind), Trainer._step, iter(range(100))

    def interrupted(*arguments):
        if next(steps) == 3:
            raise KeyboardInterrupt
        return step(*arguments)

    estimator = kind(**SMALL, max_iter=2).fit(X, y)
    before, learnt = dict(vars(estimator)), weights(estimator)
    monkeypatch.setattr(Trainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X[:, :2], y)
    assert vars(estimator) == before and same(weights(estimator), learnt)


def test_without_scikit_learn_it_says_what_to_install(backend):
    script = f"import sys; sys.modules['sklearn'] = None; import {backend.name}.estimators"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: the estimators need scikit-learn: python -m pip")
    assert "[training]" in last
