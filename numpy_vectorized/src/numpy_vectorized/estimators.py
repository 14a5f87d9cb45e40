"""Networks of this backend as estimators of scikit-learn, which they need: the extra `training`."""

import numpy_vectorized
from numpy_vectorized.nn import MLP
from pure_python.training.estimators import Classifier, Regressor

__all__ = ["MLPClassifier", "MLPRegressor"]


class MLPClassifier(Classifier):
    """A network that tells classes apart."""

    _backend = numpy_vectorized
    model_: MLP


class MLPRegressor(Regressor):
    """A network that predicts quantities."""

    _backend = numpy_vectorized
    model_: MLP
