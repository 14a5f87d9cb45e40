"""The smallest model that can be trained."""


class Line:
    """w·x, one weight and no bias."""

    def __init__(self, engine, w=0.0):
        self.w = engine.Value(w)

    def __call__(self, x):
        return self.w * x[0]

    def parameters(self):
        return [self.w]

    def zero_grad(self):
        self.w.zero_grad()
