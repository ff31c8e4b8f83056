"""Every strategy: resolves, says when and when not, and tells where each of its settings comes from."""

from __future__ import annotations

import pytest

from tunewright.config.reader import resolve
from tunewright.strategies import Strategy, list_strategies, load_strategy

PROMISED = "feature-extraction partial full gradual-unfreezing lp-ft adapter lora dora ia3 bitfit prefix prompt"


def test_all_promised_strategies_are_there() -> None:
    assert set(PROMISED.split()) <= {strategy.name for strategy in list_strategies()}


@pytest.mark.parametrize("strategy", list_strategies(), ids=lambda strategy: strategy.name)
def test_a_strategy_is_complete(strategy: Strategy) -> None:
    recipe = resolve({"strategy": strategy.name})
    assert recipe.strategy == strategy.name
    for text in (strategy.summary, strategy.when, strategy.when_not, strategy.source):
        assert len(text.split()) > 3
    assert any(character.isdigit() for character in strategy.source)  # a year
    explained = {key.split(".")[0] for key in strategy.origin}
    by_definition = {key for key, value in strategy.settings.items() if isinstance(value, str)}  # a part's name, no setting
    unexplained = set(strategy.settings) - explained - by_definition - {"training"}
    assert not unexplained


def test_hyphens_and_underscores_are_the_same() -> None:
    assert load_strategy("gradual_unfreezing") is load_strategy("gradual-unfreezing")


def test_a_strategy_changes_the_recipe() -> None:
    recipes = [resolve({"strategy": strategy.name}).model_dump(exclude={"strategy"}) for strategy in list_strategies()]
    assert all(recipes.count(recipe) == 1 for recipe in recipes)
