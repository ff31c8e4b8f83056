"""Two pictures of layers: how far each block moves under each strategy, and how transferable each layer is.

    python benchmarks/layers.py [--seeds 1]   # measures the second, one line for each seed in results/layers.jsonl
    python benchmarks/layers.py --draw        # draws both into docs/pictures from what was measured

How far blocks move (centred kernel alignment of test rows before and after tuning) was measured with results/forgetting.jsonl:
all-MiniLM-L6-v2 on 500 rows of SST-2. How transferable layers are: the four curves of Yosinski et al. 2014 by
`tunewright study transfer`, all-MiniLM-L6-v2 on 400 news of AG News (a class of four), 300 test rows, 3 epochs, cut at 32 tokens, every second layer.
One thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from common import ROOT, few_per_class, grouped, machine, read_rows, results, write

FILE = "layers.jsonl"
PICTURES = ROOT.parent / "docs" / "pictures"
SHOTS, TESTED, EPOCHS, TOKENS, EVERY = 100, 75, 3, 32, 2

STRATEGIES = ("full", "lora", "bitfit", "partial")  # of those measured, one of each kind
# A dash for each line, so that colour is not all that tells them apart; colours as on a run's page.
DASHES = ("none", "8 3", "2 3", "9 3 2 3")
LIGHT, DARK = ("#0b63c5", "#b3541e", "#6b7480", "#0a7a5c"), ("#6cb0ff", "#f0a06a", "#98a3b1", "#4fd0a7")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--draw", action="store_true", help="draw what was measured")
    options = parser.parse_args()
    if options.draw:
        draw()
        return
    for seed in range(options.seeds):
        if f"transfer {seed}" not in {row["key"] for row in results(FILE)}:
            measure(seed)


def measure(seed: int) -> None:
    """One study: 4 curves over all layers of the stack."""
    from tunewright.experiments.trials import make_study
    from tunewright.pipeline.steps import InMemoryData
    from tunewright.pipeline.workflow import make_recipe

    rows = few_per_class(read_rows("ag_news", "test"), SHOTS + TESTED, seed)
    seen: dict[str, int] = {}
    train, test = [], []
    for row in rows:
        seen[row["label"]] = seen.get(row["label"], 0) + 1
        (train if seen[row["label"]] <= SHOTS else test).append(row)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        recipe = make_recipe(
            model="all-MiniLM-L6-v2",
            text="text",
            target="label",
            seed=seed,
            out=Path(folder) / "study",
            data={"near_duplicates": "ignore", "max_length": TOKENS},
            training={"epochs": EPOCHS, "threads": 1, "precision": "float32"},
        )
        study = make_study("transfer", recipe, {"every": EVERY}, given=InMemoryData(train, None, test))
        grid = study.report.grids[0]
    row: dict[str, Any] = {
        "seed": seed,
        "rows": len(train),
        "test": len(test),
        "layers": [line[1] for line in grid.rows],
        "curves": {name: [line[at] for line in grid.rows] for at, name in enumerate(grid.columns) if at > 1},
        "said": list(study.report.said),
        "seconds": round(time.process_time() - started, 1),
    }
    write(FILE, f"transfer {seed}", row | machine())
    print(*row["said"], sep="\n")


def draw() -> None:
    """Both pictures, and what each says in numbers."""
    PICTURES.mkdir(exist_ok=True)
    aligned = {
        arm: [statistics.mean(values) for values in zip(*(row["alignment"].values() for row in rows), strict=True)]
        for (arm,), rows in grouped(results("forgetting.jsonl"), "arm").items()
    }
    lines = {arm: list(enumerate(aligned[arm], start=1)) for arm in STRATEGIES}
    drawn("alignment", "How far each block moved: alignment (CKA) with what it was", lines, "block")
    rows = [row for row in results(FILE) if row["key"].startswith("transfer")]
    curves = {
        name: [statistics.mean(one) for one in zip(*(row["curves"][name] for row in rows), strict=True)]
        for name in rows[0]["curves"]
    }
    lines = {name: list(zip(range(0, EVERY * len(curve), EVERY), curve, strict=True)) for name, curve in curves.items()}
    drawn("transfer", "Accuracy with so many of 7 layers kept from the bottom", lines, "layers kept")
    for name, values in (*lines.items(), *((arm, list(enumerate(aligned[arm], 1))) for arm in STRATEGIES)):
        print(name, [(at, round(value, 3)) for at, value in values])


def drawn(file: str, title: str, lines: dict[str, list[tuple[float, float]]], x: str) -> None:
    """A line chart as a picture of its own, for light and dark pages, with a legend below."""
    from markupsafe import escape

    from tunewright.analysis.plots import Series, line_chart

    series = [Series(name, f"c{place}", tuple(points)) for place, (name, points) in enumerate(lines.items(), start=1)]
    chart = str(line_chart(title, series, x_label=x))
    inside = chart.partition(">")[2].removesuffix("</svg>")
    style = "".join(
        f".c{place}{{stroke:{LIGHT[place - 1]};stroke-dasharray:{DASHES[place - 1]}}}.dot.c{place}{{fill:{LIGHT[place - 1]};stroke:none}}"
        f"@media (prefers-color-scheme:dark){{.c{place}{{stroke:{DARK[place - 1]}}}.dot.c{place}{{fill:{DARK[place - 1]}}}}}"
        for place in range(1, 5)
    )
    legend = "".join(
        f'<line class="line c{place}" x1="{46 + 160 * ((place - 1) % 2)}" x2="{76 + 160 * ((place - 1) % 2)}" y1="{y}" y2="{y}"/>'
        f'<text x="{82 + 160 * ((place - 1) % 2)}" y="{y + 4}">{escape(name)}</text>'
        for place, name in enumerate(lines, start=1)
        for y in [228 + 18 * ((place - 1) // 2)]
    )
    page = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -20 360 276" role="img" aria-label="{escape(title)}"><style>'
        "text{font:11px system-ui,sans-serif;fill:#1c2430}.tick{fill:#5b6675;font-size:10px}.grid{stroke:#dfe3e9}.axis{stroke:#5b6675}"
        ".line{fill:none;stroke-width:1.8}"
        "@media (prefers-color-scheme:dark){text{fill:#e6eaf0}.tick{fill:#a3adba}.grid{stroke:#2d3542}.axis{stroke:#a3adba}}"
        f'{style}</style><text x="10" y="-6">{escape(title)}</text>{inside}{legend}</svg>\n'
    )
    (PICTURES / f"{file}.svg").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
