"""Kill a training at random moments, again and again, and compare its end with that of one to which nothing happened.

Each short run is started anew after every SIGKILL until one life reaches the end. A run is lost where a start cannot go on from
what the killed one left, unequal where weights, optimizer, random states, history or order of the rows differ by one bit.

    python -m benchmarks.soak --kills 1000
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter

from benchmarks.common import RESULTS, machine, write

LONGEST = 0.7  # of the time that a whole life takes: what is left grows shorter with each life, so some reach the end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=600, help="begin no run after this time")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["TUNEWRIGHT_CACHE"] = tempfile.mkdtemp(prefix="tunewright-features-")
    from tests.reliability.harness import ended, in_child, new_folder, root, start, train, unequal, whole
    from tests.reliability.resume import TRAININGS

    moments = random.Random(options.seed)
    counts: Counter[str] = Counter()
    begun = time.monotonic()
    names = ("plain", "lora_with_dropout", "gradual_unfreezing", "accumulated")
    seconds = {}
    for name in names:
        whole(TRAININGS[name])
        before = time.monotonic()
        in_child(lambda name=name: train(TRAININGS[name], new_folder()))
        seconds[name] = time.monotonic() - before
    while counts["kills"] < options.kills and time.monotonic() - begun < 60 * options.minutes:
        name = names[counts["runs"] % len(names)]
        training, folder = TRAININGS[name], new_folder()
        counts["runs"] += 1
        while True:
            child = start(lambda training=training, folder=folder: train(training, folder))
            time.sleep(moments.uniform(0, LONGEST * seconds[name]))
            os.kill(child[0], signal.SIGKILL)
            end = ended(child)
            if end.code == -signal.SIGKILL:
                counts["kills"] += 1
                continue
            if end.code != 0:
                counts["lost"] += 1
                print(f"lost after {counts['kills']} kills: {end.said[-500:]}", flush=True)
                break
            problems = unequal(training, folder)
            counts["unequal" if problems else "equal"] += 1
            if problems:
                print(f"unequal after {counts['kills']} kills: {'; '.join(problems)}", flush=True)
            break
        shutil.rmtree(folder)
    row = {key: counts[key] for key in ("kills", "runs", "lost", "equal", "unequal")}
    write(
        "soak.jsonl",
        f"{counts['kills']} kills, seed {options.seed}",
        row | {"seconds": round(time.monotonic() - begun)} | machine(),
    )
    print(json.dumps(row))
    print(
        f"{counts['kills']} kills over {counts['runs']} runs: {counts['runs'] - counts['lost']} survived, {counts['lost']} lost; "
        f"{counts['equal']} equal, {counts['unequal']} unequal ({RESULTS / 'soak.jsonl'})"
    )
    shutil.rmtree(root(), ignore_errors=True)


if __name__ == "__main__":
    main()
