"""The ten steps of the course (docs/course), and the tests that belong to each.

A test is named by its file and its function, `value::test_label`, and by its case where the step needs
no other. `lessons` is test_lessons.py beside this file; the rest are chapters of the conformance suite.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    number: int
    title: str
    tests: tuple[str, ...]

    @property
    def page(self) -> str:
        name = "".join(c if c.isalnum() else " " for c in self.title.lower())
        return f"docs/course/{self.number:02}-{'-'.join(name.split())}.md"


def cases(test: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{test}[{name}]" for name in names)


STEPS = (
    Step(
        1,
        "A number that remembers",
        (
            "value::test_holds_a_float",
            "value::test_takes_any_real_number",
            "value::test_starts_with_no_gradient_and_no_history",
            "value::test_label",
            "lessons::test_prints_data_and_gradient",
            "lessons::test_sum_and_product_remember_their_operands",
            "lessons::test_a_number_is_an_operand_too",
            "value::test_an_operand_used_twice_counts_twice",
        ),
    ),
    Step(
        2,
        "One local gradient at a time",
        (
            "backward::test_a_leaf",
            "backward::test_a_sum",
            "backward::test_a_product",
            "lessons::test_backward_with_a_number",
        ),
    ),
    Step(
        3,
        "Gradients add up",
        (
            "lessons::test_used_twice_in_one_operation",
            "backward::test_leaves_accumulate_over_calls",
        ),
    ),
    Step(
        4,
        "The order of the walk",
        (
            "backward::test_the_chain_rule",
            "backward::test_gradients_add_up",
            "lessons::test_a_node_waits_for_all_that_use_it",
            "backward::test_a_node_waits_for_all_that_use_it",
            "backward::test_deeper_than_recursion_goes",
        ),
    ),
    Step(
        5,
        "Once more from zero",
        ("backward::test_zero_grad", "backward::test_a_second_backward_on_the_same_graph"),
    ),
    Step(
        6,
        "The other operators",
        (
            "lessons::test_negation",
            *cases("functions::test_derivatives", "neg"),
            "lessons::test_slopes_of_powers",
            *cases(
                "value::test_numbers_on_either_side",
                *("v - 2", "2 + v", "2 * v", "2 - v", "v / 2", "2 / v", "v ** 2"),
            ),
            "lessons::test_slopes_on_both_sides",
            *cases(
                "functions::test_operators",
                *(
                    f"{form}-{sign}"
                    for sign in "-/"
                    for form in ("Value, Value", "Value, number", "number, Value")
                ),
            ),
        ),
    ),
    Step(
        7,
        "Functions that bend",
        (
            *cases("functions::test_values", "relu", "exp", "log", "tanh", "sigmoid"),
            *cases("functions::test_derivatives", "relu", "exp", "log", "tanh", "sigmoid"),
            *cases(
                "functions::test_special_values",
                *("relu at 0.0", "tanh at 1000.0", "tanh at -1000.0"),
                *("sigmoid at 1000.0", "sigmoid at -1000.0"),
            ),
            "backward::test_a_neuron_by_hand",
            "backward::test_the_two_variable_example",
            "backward::test_another_known_expression",
        ),
    ),
    Step(
        8,
        "Neurons and layers",
        (
            "lessons::test_a_neuron",
            "lessons::test_weights_are_drawn",
            "lessons::test_a_layer",
            "lessons::test_a_network",
            "lessons::test_parameters",
            "lessons::test_gradients_reach_every_parameter",
        ),
    ),
    Step(
        9,
        "A loss and a step downhill",
        (
            "lessons::test_the_mean_squared_error",
            "lessons::test_a_step_goes_downhill",
            "optim::test_zero_grad",
            "lessons::test_a_line_is_learnt",
        ),
    ),
    Step(
        10,
        "Two moons",
        (
            "lessons::test_train_gives_the_losses",
            "lessons::test_each_step_starts_from_zero",
            "lessons::test_two_moons_are_learnt",
        ),
    ),
)
