"""Networks as estimators of scikit-learn: for pipelines, grid search and cross-validation.

`Classifier` and `Regressor` are what MLPClassifier and MLPRegressor of all backends share. They learn
by the Trainer of the command line.
"""

from __future__ import annotations

import functools
import inspect
import math
import reprlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from types import ModuleType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, Never, ParamSpec, Self

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'the estimators need scikit-learn: python -m pip install "trigrad-pure-python[training]", '
        'or in a checkout "./pure_python[training]"',
        name=error.name,
    ) from None

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pure_python.state import ACTIVATIONS

from .datasets import Split
from .interruption import Interruption
from .objective import Objective
from .stopping import EarlyStopping
from .trainer import Diverged, Settings, Trainer, scores

P = ParamSpec("P")
Numbers = NDArray[np.float64]

# What scikit-learn calls by another name.
ALIASES = {"identity": "linear", "logistic": "sigmoid"}
SOLVERS = ("adam", "sgd")
# How to begin with another network, where there is one to go on with.
ANEW = {"warm_start=True": "set warm_start=False", "partial_fit": "clone the estimator"}
# Samples a step where batch_size is "auto": a scalar engine computes them one by one.
BATCH = 32


class EstimatorTrainer(Trainer):
    """A Trainer whose samples may stay in their order, and whose SGD may look one step ahead."""

    def __init__(self, estimator: MultilayerPerceptron, settings: Settings, objective: Objective):
        self.estimator = estimator
        n_features = estimator.n_features_in_
        super().__init__(estimator._backend, settings, n_features, objective=objective)

    def _optimizer(self) -> Any:
        s, given, parameters = self.settings, self.estimator, self.model.parameters()
        if s.optimizer == "sgd":
            return self.backend.SGD(
                parameters,
                lr=s.lr,
                momentum=given.momentum,
                weight_decay=s.weight_decay,
                nesterov=given.nesterovs_momentum and given.momentum > 0,
            )
        betas = (given.beta_1, given.beta_2)
        return self.backend.Adam(
            parameters, lr=s.lr, betas=betas, eps=given.epsilon, weight_decay=s.weight_decay
        )

    def _order(self, n: int, epoch: int) -> list[int]:
        return super()._order(n, epoch) if self.estimator.shuffle else list(range(n))


class SquaredError(Objective):
    """Quantities instead of classes: half the mean squared error, judged by R²."""

    def __init__(self, backend: ModuleType, targets: np.ndarray) -> None:
        super().__init__(backend, "mse", 0)
        self.shape = targets.shape[1:]

    @property
    def n_outputs(self) -> int:
        return math.prod(self.shape)

    def __call__(self, outputs: Any, targets: np.ndarray) -> Any:
        # Half of it, as scikit-learn has it: so the same learning rate and alpha do the same.
        return 0.5 * self.backend.mse_loss(outputs, targets.tolist())

    def right(self, scores: np.ndarray, targets: np.ndarray) -> float:
        """R² of these samples, times their number: so that judge, which divides, gives R²."""
        errors = ((scores - targets) ** 2).mean(axis=0)
        spread = targets.var(axis=0)
        unexplained = np.where(spread > 0, errors / np.where(spread > 0, spread, 1.0), errors > 0)
        return float(len(targets) * (1.0 - unexplained.mean()))


def refusing_others(
    init: Callable[Concatenate[MultilayerPerceptron, P], None],
) -> Callable[Concatenate[MultilayerPerceptron, P], None]:
    """Name the class that was called and its parameters, where one is given that it does not have."""
    _, *names = inspect.signature(init).parameters

    @functools.wraps(init)
    def checked(self: MultilayerPerceptron, /, *args: P.args, **given: P.kwargs) -> None:
        if unknown := [name for name in given if name not in names]:
            from sklearn import neural_network  # to say which are its own

            kind = type(self).__name__
            theirs = getattr(neural_network, kind, BaseEstimator)._get_param_names()
            alone = ", which scikit-learn's own has alone" if {*unknown} <= {*theirs} else ""
            raise TypeError(
                f"{kind} takes no {', '.join(unknown)}{alone}; its parameters are {', '.join(names)}"
            )
        init(self, *args, **given)

    return checked


class MultilayerPerceptron(BaseEstimator):
    """What classifiers and regressors of all backends share. `_backend` is the engine.

    The parameters are those of scikit-learn's MLPClassifier where they mean the same. The solvers are
    adam and sgd, activations those of MLP besides scikit-learn's names, and alpha pulls at the biases
    too. The defaults suit small data and engines that compute with scalars.

    model_ is the trained network, an MLP of the backend: what draws, saves and explains one takes
    it. A fit that fails or is interrupted leaves the estimator as it was.
    """

    _backend: ModuleType

    # What there is after a fit.
    model_: Any
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    n_iter_: int
    loss_: float
    loss_curve_: list[float]
    validation_scores_: list[float]
    best_validation_score_: float

    if TYPE_CHECKING:  # scikit-learn comes without types

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...

        def set_params(self, **params: Any) -> Self: ...

    @refusing_others
    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (16,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 1e-4,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 0.01,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-3,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
    ) -> None:
        """What it learns, and how; the names and meanings are scikit-learn's.

        hidden_layer_sizes: of each hidden layer the number of its neurons; () for none.
        activation: of the hidden layers: relu, tanh, sigmoid (logistic), linear (identity) and others.
        solver: adam or sgd.
        alpha: how strongly weights and biases are pulled to zero; 0 for not at all.
        batch_size: samples a step; "auto": all, at most 32.
        learning_rate_init: how far a step goes.
        max_iter: epochs at most.
        shuffle: whether each epoch takes the samples in an order of its own.
        random_state: a whole number for the same result each time, a RandomState, or None.
        tol: a loss, or with early_stopping a score, is better if it is so by more than this.
        warm_start: whether fit goes on with the network that is there.
        momentum, nesterovs_momentum: of sgd: how much of the last step the next one takes, and
            whether it looks ahead by it.
        early_stopping: whether to hold samples out, and to keep the weights that were best on them.
        validation_fraction: the part of the samples to hold out.
        beta_1, beta_2, epsilon: of adam: how long it remembers gradients and their squares, and
            what keeps it from dividing by zero.
        n_iter_no_change: epochs without a better one after which learning ends.
        """
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change

    # What a classifier and a regressor do differently.

    def _targets(
        self, y: np.ndarray, going_on: str | None, classes: ArrayLike | None = None
    ) -> np.ndarray:
        """y as the objective takes it. going_on: by what, or None where y decides the outputs."""
        raise NotImplementedError

    def _objective(self, targets: np.ndarray) -> Objective:
        raise NotImplementedError

    def fit(self, X: ArrayLike, y: ArrayLike, **unknown: Never) -> Self:
        """Learn from samples X, an array of (samples, features), and what belongs to them, y."""
        refuse(self, "fit", unknown)
        with self._whole_or_not_at_all():
            going_on = "warm_start=True" if self.warm_start and hasattr(self, "model_") else None
            inputs, targets = self._checked(X, y, going_on)
            split = self._split(inputs, targets)
            trainer = self._trainer(targets, self.max_iter, going_on)
            stopped = self._train(trainer, split, self.n_iter_no_change)
        if not stopped:
            warnings.warn(
                f"{type(self).__name__} went on learning until max_iter={self.max_iter} ended it; "
                "give it more epochs, or a larger tol",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        with self._whole_or_not_at_all():
            if self.early_stopping:
                raise ValueError(
                    "partial_fit learns one epoch and cannot stop early: set early_stopping=False"
                )
            going_on = "partial_fit" if hasattr(self, "model_") else None
            inputs, targets = self._checked(X, y, going_on, classes)
            trainer = self._trainer(targets, 1, going_on)
            if going_on:
                trainer.optimizer.load_state_dict(self._optimizer_state)
            self._train(trainer, Split(inputs, targets, inputs[:0], targets[:0]), patience=1)
        return self

    @contextmanager
    def _whole_or_not_at_all(self) -> Iterator[None]:
        before = self.__dict__.copy()
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _checked(
        self, X: ArrayLike, y: ArrayLike, going_on: str | None, classes: ArrayLike | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        check_parameters(self)
        if going_on:
            self._check_goes_on(going_on)
        inputs, targets = validate_data(
            self, X, y, reset=not going_on, dtype=np.float64, multi_output=True, estimator=self
        )
        return inputs, self._targets(targets, going_on, classes)

    def _check_goes_on(self, by: str) -> None:
        """ValueError if the network that is there is not the one that the parameters ask for."""
        given = sizes_of(self.hidden_layer_sizes)
        there = tuple(layer.n_out for layer in self.model_.layers[:-1])
        if given != there:
            raise ValueError(
                f"hidden_layer_sizes={given}, but {by} goes on with a network of "
                f"hidden_layer_sizes={there}: set_params(hidden_layer_sizes={there}), or {ANEW[by]} "
                "to begin anew"
            )
        solver = self._optimizer_state["kind"].lower()
        if by == "partial_fit" and self.solver != solver:
            raise ValueError(
                f"solver={self.solver!r}, but partial_fit goes on with what {solver} remembers: "
                f"set_params(solver={solver!r}), or {ANEW[by]} to begin anew"
            )

    def _split(self, inputs: np.ndarray, targets: np.ndarray) -> Split:
        """All to learn from, or with early_stopping a part held out."""
        if not self.early_stopping:
            return Split(inputs, targets, inputs[:0], targets[:0])
        seed = check_random_state(self.random_state).randint(2**31)
        try:
            parts = train_test_split(
                *(inputs, targets),
                test_size=self.validation_fraction,
                random_state=seed,
                stratify=targets if isinstance(self, ClassifierMixin) else None,
            )
            if len(parts[1]) < 2:
                raise ValueError("one sample tells nothing")  # R² of one is not defined
        except ValueError as error:
            raise ValueError(
                f"early_stopping of {type(self).__name__} holds out validation_fraction="
                f"{self.validation_fraction} of the samples, and {len(inputs)} are too few for that "
                f"({error}): give more samples, another validation_fraction, or early_stopping=False"
            ) from None
        return Split(parts[0], parts[2], parts[1], parts[3])

    def _trainer(self, targets: np.ndarray, epochs: int, going_on: str | None) -> EstimatorTrainer:
        """A network to train: a new one, or a copy of that which is there."""
        if not going_on:
            self._seed = int(check_random_state(self.random_state).randint(2**31))
            self.loss_curve_ = []
        batch = min(BATCH, len(targets)) if self.batch_size == "auto" else self.batch_size
        settings = Settings(
            hidden=sizes_of(self.hidden_layer_sizes),
            activation=ALIASES.get(self.activation, self.activation),
            init="xavier",  # as scikit-learn begins
            optimizer=self.solver,
            lr=float(self.learning_rate_init),
            # scikit-learn divides alpha by the samples of the batch, and so do we.
            weight_decay=self.alpha / batch,
            epochs=int(epochs),
            batch_size=int(batch),
            seed=self._seed,
        )
        trainer = EstimatorTrainer(self, settings, self._objective(targets))
        if going_on:
            trainer.model.load_state_dict(self.model_.state_dict())
            trainer.epochs_before = self.n_iter_
        return trainer

    def _train(self, trainer: EstimatorTrainer, split: Split, patience: int) -> bool:
        """Whether it stopped because no epoch of `patience` was better by tol."""
        held_out = len(split.held_inputs) > 0
        stop = Interruption()  # not entered: Ctrl-C stays Ctrl-C, and nothing is learnt
        stopping = EarlyStopping(trainer.model, trainer.optimizer, patience, self.tol)

        def watch(row: dict[str, float]) -> None:
            stop.requested = stopping.ends(-row["held_accuracy"] if held_out else row["loss"])

        try:
            trainer.train(split, stop, on_epoch=watch)
        except Diverged as error:
            large = "X" if isinstance(self, ClassifierMixin) else "X and y"
            raise ValueError(
                f"{str(error).partition('; try')[0]}; scale {large} (StandardScaler) or take a "
                "smaller learning_rate_init"
            ) from error
        rows = trainer.history.epochs
        if held_out:
            stopping.restore()
            self.validation_scores_ = [row["held_accuracy"] for row in rows]
            self.best_validation_score_ = -stopping.best
        self.loss_curve_ = self.loss_curve_ + [row["loss"] for row in rows]
        self.loss_ = self.loss_curve_[-1]
        self.n_iter_ = len(self.loss_curve_)
        self.model_ = trainer.model
        self._optimizer_state = trainer.optimizer.state_dict()
        return stop.requested

    def _scores(self, X: ArrayLike) -> Numbers:
        """The outputs of the network."""
        check_is_fitted(self)
        inputs = validate_data(self, X, reset=False, dtype=np.float64)
        return scores(self._backend, self.model_, inputs)

    @property
    def coefs_(self) -> list[Numbers]:
        """The weights of each layer, (inputs, outputs) as scikit-learn has them."""
        return [np.array(w).T for name, w in self._state() if name.endswith("weight")]

    @property
    def intercepts_(self) -> list[Numbers]:
        """The biases of each layer."""
        return [np.array(b) for name, b in self._state() if name.endswith("bias")]

    def _state(self) -> list[tuple[str, Any]]:
        if "model_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} has not been fitted yet: call fit")
        return [*self.model_.state_dict().items()]

    # Pickled are the weights, as arrays: no objects of the engine.

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state:
            sizes = [self.model_.n_in, *(layer.n_out for layer in self.model_.layers)]
            weights = {name: np.array(numbers) for name, numbers in self._state()}
            state["model_"] = (sizes, self.model_.activation, weights)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in state:
            sizes, activation, weights = state["model_"]
            self.model_ = self._backend.MLP(sizes, activation=activation, seed=0)
            self.model_.load_state_dict(weights)


class Classifier(ClassifierMixin, MultilayerPerceptron):
    """What MLPClassifier is in every backend."""

    classes_: NDArray[Any]

    if TYPE_CHECKING:

        def score(
            self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
        ) -> float: ...

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None, **unknown: Never
    ) -> Self:
        """One epoch over these samples. classes: all that there will be, given in the first call."""
        refuse(self, "partial_fit", unknown)
        return self._partial_fit(X, y, classes)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class of each sample."""
        found = self._scores(X)
        chosen: NDArray[Any] = self.classes_[self._meaning().chosen(found)]
        return chosen

    def predict_proba(self, X: ArrayLike) -> Numbers:
        """How likely each class is, (samples, classes)."""
        return self._likely(X, expit, softmax)

    def predict_log_proba(self, X: ArrayLike) -> Numbers:
        """The logarithm of it, also where the likelihood itself is too small for a float."""
        return self._likely(X, log_expit, log_softmax)

    def _likely(
        self, X: ArrayLike, two: Callable[..., Numbers], more: Callable[..., Numbers]
    ) -> Numbers:
        found = self._scores(X)
        if found.ndim == 1:
            return np.column_stack([two(-found), two(found)])
        return more(found, axis=1)

    def _meaning(self) -> Objective:
        return Objective(self._backend, "cross-entropy", len(self.classes_))

    def _objective(self, targets: np.ndarray) -> Objective:
        return self._meaning()

    def _targets(
        self, y: np.ndarray, going_on: str | None, classes: ArrayLike | None = None
    ) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if classes is not None and np.ndim(classes) != 1:
            raise ValueError(f"classes is a sequence of all that there will be, got {classes!r}")
        if not going_on:
            self.classes_ = np.unique(y if classes is None else classes)
        there = reprlib.repr(self.classes_.tolist())
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} tells classes apart and needs two or more, got 1 class: {there}; "
                "partial_fit can be told of those to come: classes=[...]"
            )
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes={classes!r} are not those of the first call, {there}")
        strangers = np.setdiff1d(y, self.classes_).tolist()
        if strangers and going_on:
            raise ValueError(
                f"y has {reprlib.repr(strangers)}, but {going_on} goes on with a network for {there}: "
                f"{ANEW[going_on]} to begin anew; a first partial_fit can be told of those to come: "
                "classes=[...]"
            )
        if strangers:
            raise ValueError(
                f"y has {reprlib.repr(strangers)}, which are not in classes={there}: name all there"
            )
        return np.searchsorted(self.classes_, y)


class Regressor(RegressorMixin, MultilayerPerceptron):
    """What MLPRegressor is in every backend."""

    if TYPE_CHECKING:

        def score(
            self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
        ) -> float: ...

    def partial_fit(self, X: ArrayLike, y: ArrayLike, **unknown: Never) -> Self:
        """One epoch over these samples."""
        refuse(self, "partial_fit", unknown)
        return self._partial_fit(X, y)

    def predict(self, X: ArrayLike) -> Numbers:
        """The quantity of each sample, or where several were learnt (samples, quantities)."""
        return self._scores(X)

    def _objective(self, targets: np.ndarray) -> Objective:
        return SquaredError(self._backend, targets)

    def _targets(
        self, y: np.ndarray, going_on: str | None, classes: ArrayLike | None = None
    ) -> np.ndarray:
        y = np.asarray(y, dtype=np.float64)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        n = y.shape[1] if y.ndim == 2 else 1
        if going_on and n != self.model_.n_out:
            raise ValueError(
                f"y has {n} quantities a sample, but {going_on} goes on with a network for "
                f"{self.model_.n_out}: {ANEW[going_on]} to begin anew"
            )
        return y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def sizes_of(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """The sizes of the hidden layers: one number is one layer."""
    sizes = hidden_layer_sizes if np.iterable(hidden_layer_sizes) else (hidden_layer_sizes,)
    return tuple(int(n) for n in sizes)


def refuse(estimator: MultilayerPerceptron, method: str, unknown: dict[str, Never]) -> None:
    """TypeError for an argument that scikit-learn's networks take, or none does."""
    if unknown:
        names = ", ".join(unknown)
        instead = "; all samples count alike: repeat those that are to count more"
        raise TypeError(
            f"{method} of {type(estimator).__name__} takes no {names}"
            f"{instead if 'sample_weight' in unknown else ''}"
        )


def check_parameters(estimator: MultilayerPerceptron) -> None:
    """ValueError or TypeError that names the first parameter that cannot be."""

    def is_whole(x: Any) -> bool:
        return not isinstance(x, bool) and isinstance(x, Integral) and int(x) >= 1

    def is_number(x: Any) -> bool:
        return not isinstance(x, bool) and isinstance(x, Real) and math.isfinite(x)

    def is_fraction(x: Any) -> bool:
        return is_number(x) and 0 <= x < 1

    def is_bool(x: Any) -> bool:
        return isinstance(x, bool | np.bool_)

    def are_sizes(x: Any) -> bool:
        # A generator would be used up by this look at it.
        listed = isinstance(x, Sequence | np.ndarray) and np.iterable(x)
        return all(is_whole(n) for n in x) if listed else is_whole(x)

    activations = (*ACTIVATIONS, *ALIASES)
    allowed: dict[str, tuple[Callable[[Any], bool], str]] = {
        "hidden_layer_sizes": (are_sizes, "a size of 1 or more for each hidden layer"),
        "activation": (
            lambda x: isinstance(x, str) and x in activations,
            f"one of {', '.join(activations)}",
        ),
        "solver": (lambda x: isinstance(x, str) and x in SOLVERS, f"one of {', '.join(SOLVERS)}"),
        "alpha": (lambda x: is_number(x) and x >= 0, "a number of 0 or more"),
        "batch_size": (
            lambda x: is_whole(x) or (isinstance(x, str) and x == "auto"),
            "a whole number of 1 or more, or 'auto'",
        ),
        "learning_rate_init": (lambda x: is_number(x) and x > 0, "a number above 0"),
        "max_iter": (is_whole, "a whole number of 1 or more"),
        "tol": (lambda x: is_number(x) and x >= 0, "a number of 0 or more"),
        "momentum": (is_fraction, "a number from 0 to below 1"),
        "validation_fraction": (
            lambda x: is_fraction(x) and x > 0,
            "a number between 0 and 1",
        ),
        "beta_1": (is_fraction, "a number from 0 to below 1"),
        "beta_2": (is_fraction, "a number from 0 to below 1"),
        "epsilon": (lambda x: is_number(x) and x > 0, "a number above 0"),
        "n_iter_no_change": (is_whole, "a whole number of 1 or more"),
    }
    switches = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping")
    allowed |= {name: (is_bool, "True or False") for name in switches}
    for name, (holds, expected) in allowed.items():
        given = getattr(estimator, name)
        if not holds(given):
            raise ValueError(f"{name} of {type(estimator).__name__} is {expected}, got {given!r}")
