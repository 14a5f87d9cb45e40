"""The three backends in one process, and how Hypothesis looks for a difference between them."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "parity",
    deadline=None,
    database=None,  # nothing is written into the folder that the tests are started in
    derandomize=True,  # a change of the code, not luck, decides whether the suite passes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("parity")
