"""Networks of this backend as estimators of scikit-learn, which they need: the extra `training`."""

import pure_python
from pure_python.nn import MLP
from pure_python.training.estimators import Classifier, Regressor

__all__ = ["MLPClassifier", "MLPRegressor"]


class MLPClassifier(Classifier):
    """A network that tells classes apart."""

    _backend = pure_python
    model_: MLP


class MLPRegressor(Regressor):
    """A network that predicts quantities."""

    _backend = pure_python
    model_: MLP
