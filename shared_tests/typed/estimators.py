"""The estimators as a user of scikit-learn writes with them, which itself comes without types.

`nox -s types` checks it with each backend's import lines.
"""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from pure_python import MLP
from pure_python.estimators import MLPClassifier, MLPRegressor


def classes(X: NDArray[np.float64], y: list[str]) -> float:
    network = MLPClassifier((8, 4), activation="tanh", alpha=0.0, batch_size="auto", random_state=1)
    assert_type(network.fit(X, y), MLPClassifier)
    assert_type(
        network.set_params(max_iter=20).partial_fit(X, y, classes=["a", "b"]), MLPClassifier
    )
    assert_type(network.predict(X), NDArray[Any])  # classes are of the type that y is of
    assert_type(network.predict_proba(X), NDArray[np.float64])
    assert_type(network.predict_log_proba([[0.5, 1.0]]), NDArray[np.float64])
    assert_type(network.classes_, NDArray[Any])
    assert_type(network.get_params(), dict[str, Any])
    return network.score(X, y)


def quantities(X: list[list[float]], y: NDArray[np.float64]) -> float:
    line = MLPRegressor(
        16, batch_size=8, early_stopping=True, random_state=np.random.RandomState(1)
    )
    assert_type(line.fit(X, y), MLPRegressor)
    assert_type(line.predict(X), NDArray[np.float64])
    assert_type(line.score(X, y, sample_weight=[1.0, 2.0]), float)
    assert_type(line.set_params(alpha=0.1), MLPRegressor)
    print(line.best_validation_score_, line.validation_scores_[0])
    return line.score(X, y)


def learnt(network: MLPClassifier | MLPRegressor) -> int:
    assert_type(network.model_, MLP)
    assert_type(network.coefs_, list[NDArray[np.float64]])
    assert_type(network.intercepts_, list[NDArray[np.float64]])
    assert_type(network.loss_curve_, list[float])
    assert_type(network.loss_, float)
    assert_type(network.n_iter_, int)
    assert_type(network.feature_names_in_, NDArray[Any])
    network.model_.save("weights.safetensors")
    return network.n_features_in_
