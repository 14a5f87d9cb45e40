"""Networks of this backend as estimators of scikit-learn, which they need: the extra `training`."""

import cython_core
from cython_core.nn import MLP
from pure_python.training.estimators import Classifier, Regressor

__all__ = ["MLPClassifier", "MLPRegressor"]


class MLPClassifier(Classifier):
    """A network that tells classes apart."""

    _backend = cython_core
    model_: MLP


class MLPRegressor(Regressor):
    """A network that predicts quantities."""

    _backend = cython_core
    model_: MLP
