"""Entity scores are seqeval's in every scheme that the tags themselves tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.registry import load_part
from tunewright.core.tag_schemes import scheme_of
from tunewright.core.types import Labels
from tunewright.metrics._tags import entities, entity_counts, well_formed

TYPES = ("PER", "LOC", "part-of")
ROWS = 10_000
# Of each scheme its letters, the name we tell it by, seqeval's scheme, and whether seqeval reads it in its strict mode alone.
SCHEMES: dict[str, tuple[str, str, str | None]] = {
    "IOB1": ("BI", "IOB", None),
    "IOB2": ("BI", "IOB", None),
    "IOE1": ("IE", "IOE", None),
    "IOE2": ("IE", "IOE", None),
    "IOBES": ("BIES", "BIOES", None),
    "BILOU": ("BILU", "BILOU", "BILOU"),
    "BMES": ("BMES", "BMES", None),
}

# seqeval 1.2.2's F1, precision and recall of the rows below, so that the numbers are compared where it is not installed, too.
RECORDED = {
    "IOB1": (0.805257371960683, 0.805205302295506, 0.8053094483606027),
    "IOB2": (0.805257371960683, 0.805205302295506, 0.8053094483606027),
    "IOE1": (0.804698639014906, 0.8050638656551903, 0.8043337436030317),
    "IOE2": (0.804698639014906, 0.8050638656551903, 0.8043337436030317),
    "IOBES": (0.8317571213541223, 0.832064321836468, 0.8314501476266182),
    "BILOU": (0.809825752658645, 0.8106757297081167, 0.8089775561097257),
    "BMES": (0.8317571213541223, 0.832064321836468, 0.8314501476266182),
}
SCORES = ("f1", "precision", "recall")


def tags_of(letters: str) -> tuple[str, ...]:
    return ("O", *(f"{letter}-{kind}" for kind in TYPES for letter in letters))


def rows_of(names: tuple[str, ...], generator: np.random.Generator, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Random tags, well formed or not, and others that agree with most of them."""
    targets = object_array(generator.integers(0, len(names), length) for length in generator.integers(0, 9, rows))
    given = object_array(
        np.where(generator.random(len(row)) < 0.8, row, generator.integers(0, len(names), len(row))) for row in targets
    )
    return targets, given


def spelled(rows: np.ndarray, names: tuple[str, ...]) -> list[list[str]]:
    """As seqeval has them, which knows no M."""
    return [[names[tag].replace("M-", "I-") for tag in row] for row in rows]


def seqeval(function: str, rows: tuple[np.ndarray, np.ndarray], names: tuple[str, ...], scheme: str | None) -> float:
    library, schemes = pytest.importorskip("seqeval.metrics"), pytest.importorskip("seqeval.scheme")
    how: dict[str, Any] = {} if scheme is None else {"mode": "strict", "scheme": getattr(schemes, scheme)}
    return float(getattr(library, function)(*(spelled(side, names) for side in rows), **how))


@pytest.mark.parametrize("name", SCHEMES)
def test_entity_scores_are_seqevals_on_random_tags(name: str) -> None:
    names = tags_of(SCHEMES[name][0])
    assert scheme_of(names).name == SCHEMES[name][1]
    targets, given = rows_of(names, np.random.default_rng(8))
    found = [
        load_part("metrics", f"entity_{score}").value(targets, given, Labels("token_classification", names)) for score in SCORES
    ]
    assert found == pytest.approx(RECORDED[name], rel=1e-12)


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_recorded_is_seqevals(name: str) -> None:
    letters, _, strict = SCHEMES[name]
    rows = rows_of(tags_of(letters), np.random.default_rng(8))
    found = [seqeval(f"{score}_score", rows, tags_of(letters), strict) for score in SCORES]
    assert found == pytest.approx(RECORDED[name], rel=1e-12)


def formed(scheme: str, kinds: list[str | None]) -> list[str]:
    """Entities of one to three words (None: a word outside) written in a scheme."""
    row: list[str] = []
    for place, kind in enumerate(kinds):
        if kind is None:
            row.append("O")
            continue
        length = place % 3 + 1
        touches = (kinds[place - 1] if place else None) == kind  # IOB1 and IOE1 mark only entities that touch one of their type
        followed = (kinds[place + 1] if place + 1 < len(kinds) else None) == kind
        inner = {
            "IOB1": ["B" if touches else "I", *"I" * (length - 1)],
            "IOB2": ["B", *"I" * (length - 1)],
            "IOE1": [*"I" * (length - 1), "E" if followed else "I"],
            "IOE2": [*"I" * (length - 1), "E"],
            "IOBES": ["S"] if length == 1 else ["B", *"I" * (length - 2), "E"],
            "BILOU": ["U"] if length == 1 else ["B", *"I" * (length - 2), "L"],
            "BMES": ["S"] if length == 1 else ["B", *"M" * (length - 2), "E"],
        }
        row += [f"{letter}-{kind}" for letter in inner[scheme]]
    return row


@pytest.mark.parametrize("name", SCHEMES)
def test_well_formed_tags_hold_the_same_entities_in_every_scheme(name: str) -> None:
    names, generator, many = tags_of(SCHEMES[name][0]), np.random.default_rng(3), 0
    scheme = scheme_of(names)
    for _ in range(500):
        kinds = [TYPES[number] if number < 3 else None for number in generator.integers(0, 5, 8)]
        wanted, start = [], 0
        for place, kind in enumerate(kinds):
            length = 1 if kind is None else place % 3 + 1
            wanted += [] if kind is None else [(kind, start, start + length)]
            start += length
        tags = [scheme.places[names.index(tag)] for tag in formed(name, kinds)]
        found = (well_formed if scheme.strict else entities)(tags)
        assert found == wanted
        many += len(found)
    assert many > 1000


@pytest.mark.parametrize("name", ["IOB1", "IOB2", "IOE2", "IOBES", "BILOU"])  # IOE1 is not whole in seqeval
def test_well_formed_tags_have_one_score_in_seqevals_two_modes(name: str) -> None:
    """The modes differ in what is not well formed alone."""
    names, generator = tags_of(SCHEMES[name][0]), np.random.default_rng(5)
    sides = []
    for _ in range(2):
        kinds = [[TYPES[number] if number < 3 else None for number in generator.integers(0, 4, 6)] for _ in range(300)]
        rows = [formed(name, row) for row in kinds]
        sides.append(object_array(np.array([names.index(tag) for tag in [*row, *"O" * (18 - len(row))]]) for row in rows))
    found = load_part("metrics", "entity_f1").value(*sides, Labels("token_classification", names))
    assert found == pytest.approx(seqeval("f1_score", (sides[0], sides[1]), names, name), rel=1e-12)
    assert 0.05 < found < 0.9


def test_read_as_another_scheme_bilou_is_scored_wrongly() -> None:
    """The control: every prefix but B, I, E and S was outside until now."""
    names = tags_of("BILU")
    old = [("O" if name[0] in "LU" else name[0], name[2:]) for name in names]
    sides = ([{*entities([old[tag] for tag in row])} for row in side] for side in rows_of(names, np.random.default_rng(8)))
    pairs = list(zip(*sides, strict=True))
    right, both = sum(len(one & two) for one, two in pairs), sum(len(one) + len(two) for one, two in pairs)
    assert abs(2 * right / both - RECORDED["BILOU"][0]) > 0.005


def counts(names: tuple[str, ...], wanted: list[str], given: list[str]) -> list[float]:
    sides = (object_array([np.array([names.index(tag) for tag in side])]) for side in (wanted, given))
    found: list[float] = entity_counts(*sides, Labels("token_classification", names))[0].tolist()
    return found


@pytest.mark.parametrize(
    ("names", "wanted", "given", "found"),
    [
        ("O B-P I-P L-P U-L", "B-P L-P O U-L U-L", "B-P L-P O O O", [1, 3, 1]),
        ("O B-P I-P L-P U-L", "B-P I-P L-P", "B-P I-P O", [0, 1, 0]),
        ("O B-P M-P E-P S-L", "B-P E-P O S-L S-L", "B-P E-P O O O", [1, 3, 1]),
        ("O B-P M-P E-P S-L", "B-P M-P E-P", "B-P M-P O", [0, 1, 1]),
        ("B M E S", "B M E S", "B E S S", [1, 2, 3]),  # words of Chinese
        ("LOC O PER", "PER PER O LOC PER", "PER PER O LOC O", [2, 3, 2]),
        ("LOC O PER", "PER PER O", "PER O O", [0, 1, 1]),
        ("ADJ NOUN VERB", "NOUN VERB ADJ", "NOUN VERB VERB", [0, 0, 0]),
    ],
)
def test_what_is_counted(names: str, wanted: str, given: str, found: list[float]) -> None:
    assert counts(tuple(names.split()), wanted.split(), given.split()) == found


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("O B-PER", "IOB"),
        ("O I-PER I-LOC", "IOB"),
        ("O E-PER", "IOE"),
        ("O S-PER B-PER", "BIOES"),
        ("O U-PER", "BILOU"),
        ("O B I", "IOB"),
        ("B E M S", "BMES"),
        ("O PER LOC", "runs"),
        ("O protein B-cell T-cell", "runs"),
        ("NN NN-SBJ VB PRP$ -LRB- , .", "none"),
        ("N-sg N-pl V-sg V-pl S-sg", "none"),
        ("N O S ^ L M V A R B", "runs"),
        ("0 1 2 3", "none"),
    ],
)
def test_the_scheme_is_told_by_the_tags(names: str, told: str) -> None:
    scheme = scheme_of(tuple(names.split()))
    assert scheme.name == told
    assert scheme.said.startswith("Tags: ")


@pytest.mark.parametrize(
    ("names", "strange"),
    [
        ("O B-PER I-PER K-PER", "K-PER"),
        ("O B-PER I-PER L-PER E-PER S-PER", "L-PER"),
        ("O B-PER I-PER MISC", "MISC"),
        ("0 B-PER I-PER", "0"),
        ("O B_PER I_PER", "B_PER"),
        ("O b-per i-per", "b-per"),
        ("O PER-B PER-I", "PER-B"),
        ("O F-PER N-PER", "F-PER"),
        ("PER.B PER.I LOC.B", "PER.B"),
    ],
)
def test_what_no_scheme_has_is_refused(names: str, strange: str) -> None:
    with pytest.raises(UserError) as caught:
        scheme_of(tuple(names.split()))
    for fragment in (repr(strange), "found:", "BILOU", "IOB2", "BMES"):
        assert fragment in str(caught.value)
