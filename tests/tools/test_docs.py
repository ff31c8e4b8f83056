"""The documentation: every link leads somewhere, every page is reached, and ten questions of a newcomer are two clicks away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted((ROOT / "docs").rglob("*.md"))


def targets(page: Path) -> list[str]:
    """The files that a page links to, as they are written; addresses and code left out."""
    text = re.sub(r"^```(?!\{).*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return [target.split("#")[0] for target in LINK.findall(text) if ":" not in target and not target.startswith("#")]


def leads_nowhere(page: Path) -> list[str]:
    return [target for target in targets(page) if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    assert leads_nowhere(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[here](page.md#top) [there](missing.md) [far](https://example.com)\n")
    assert leads_nowhere(page) == ["missing.md"]


def test_sources_that_the_code_names_exist() -> None:
    """Comments and data that point to a page follow when it moves."""
    named = {
        match
        for folder in ("src", "benchmarks", "tools", "zoo", "examples")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".yaml"}
        for match in re.findall(r"\bdocs/[\w/.-]*[\w/]", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 5
    assert {name for name in named if not (ROOT / name).exists()} == set()


def questions() -> list[tuple[str, list[str]]]:
    """The rows of CONTRIBUTING's table of a newcomer's questions, with the links of each."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## The reader's test", 1)[1].split("\n## ", 1)[0]
    return [
        (line.split("|")[1].strip(), LINK.findall(line)) for line in table.splitlines() if line.startswith("| ") and "](" in line
    ]


def test_ten_questions_of_a_newcomer_are_at_most_two_clicks_from_the_readme() -> None:
    asked = questions()
    assert len(asked) >= 10
    near = reached(ROOT / "README.md", 2)
    for question, links in asked:
        pages = [ROOT / link.split("#")[0] for link in links]
        assert pages, question
        assert all(page.is_file() for page in pages), question
        assert any(page.resolve() in near for page in pages), f"{question}: more than two clicks from README"


def reached(page: Path, clicks: int) -> set[Path]:
    """What can be reached from a page by so many links."""
    found = {page.resolve()}
    for _ in range(clicks):
        pages = [one for one in found if one.suffix == ".md" and one.is_file()]
        found |= {(one.parent / target).resolve() for one in pages for target in links_and_trees(one)}
    return found


def links_and_trees(page: Path) -> list[str]:
    """Links of a page, and the pages that its toctree lists."""
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    named = [line.strip() for tree in trees for line in tree.splitlines() if line.strip() and not line.startswith(":")]
    listed = [str(one.relative_to(page.parent)) for name in named if "*" in name for one in page.parent.glob(f"{name}.md")]
    return targets(page) + [f"{name}.md" for name in named if "*" not in name] + listed


def test_a_page_three_clicks_away_is_not_near(tmp_path: Path) -> None:
    for page, text in {"a": "[b](b.md)", "b": "```{toctree}\nc\n```\n", "c": "[d](d.md)", "d": ""}.items():
        (tmp_path / f"{page}.md").write_text(text)
    near = {path.stem for path in reached(tmp_path / "a.md", 2)}
    assert near == {"a", "b", "c"}
