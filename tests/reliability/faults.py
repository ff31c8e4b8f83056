"""Faults survived: processes killed, signals, disks that refuse, damaged checkpoints, two processes in one folder.

Survived means: the process ends as documented, nothing half-written is taken for whole, the next start continues, and the end
is that of the training to which nothing happened, bit for bit.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from tests.reliability import command
from tests.reliability.faulty import Moment, When, at_step, die, disturbed, in_rotation, nth, refuse
from tests.reliability.harness import (
    Problems,
    Training,
    continued,
    ended,
    expecting,
    in_child,
    job_of,
    left,
    new_folder,
    sending,
    start,
    train,
    whole,
    within_step,
)
from tunewright.core.files import read_json, read_tensors
from tunewright.training import trainer as loop
from tunewright.training.checkpoint_folder import folders, step_of, verify
from tunewright.training.context import TrainingContext

# Checkpoints at steps 3, 6, 9 and 12. The rate makes later evaluations better, so that old checkpoints are removed.
PLAIN = Training({"evaluation": {"monitor": "loss"}})
DYING = within_step(11, sending(signal.SIGKILL))  # when there are checkpoints of steps 6 and 9, and of the best
CASES: dict[str, Callable[[], Problems]] = {}


def case(run: Callable[[], Problems]) -> Callable[[], Problems]:
    CASES[run.__name__] = run
    return run


# SIGKILL


def killed_at(when: When) -> Problems:
    folder = new_folder()
    end = in_child(lambda: train(PLAIN, folder, disturbed(when, die)))
    return expecting(end, -signal.SIGKILL) + continued(PLAIN, folder)


@case
def killed_before_the_temporary_folder() -> Problems:
    return killed_at(at_step(6, "make_folder"))


@case
def killed_amid_the_weights() -> Problems:
    return killed_at(at_step(6, "write", "weights.safetensors", "middle"))


@case
def killed_between_weights_and_optimizer() -> Problems:
    return killed_at(at_step(6, "write", "optimizer.safetensors"))


@case
def killed_amid_the_optimizer() -> Problems:
    return killed_at(at_step(6, "write", "optimizer.safetensors", "middle"))


@case
def killed_before_the_manifest() -> Problems:
    return killed_at(at_step(6, "write", "manifest.json"))


@case
def killed_amid_the_manifest() -> Problems:
    return killed_at(at_step(6, "write", "manifest.json", "middle"))


@case
def killed_before_the_rename() -> Problems:
    return killed_at(at_step(6, "rename"))


@case
def killed_between_rename_and_sync_of_the_parent() -> Problems:
    return killed_at(at_step(6, "rename", moment="after"))


@case
def killed_amid_rotation() -> Problems:
    return killed_at(in_rotation(3))


@case
def killed_before_rotation() -> Problems:
    """In place of 'while best and last are pointed at': there is no pointer, a reader looks for the newest whole one."""
    return killed_at(in_rotation(0))


@case
def killed_amid_an_evaluation() -> Problems:
    folder = new_folder()

    def prepare(job: TrainingContext) -> None:
        scores, seen = loop.validation_scores, [0]

        def killed(given: TrainingContext) -> Any:
            seen[0] += 1
            if seen[0] == 2:
                die(folder)
            return scores(given)

        loop.validation_scores = killed

    return expecting(in_child(lambda: train(PLAIN, folder, prepare=prepare)), -signal.SIGKILL) + continued(PLAIN, folder)


@case
def killed_amid_a_step() -> Problems:
    folder = new_folder()
    return expecting(
        in_child(lambda: train(PLAIN, folder, prepare=within_step(8, sending(signal.SIGKILL)))), -signal.SIGKILL
    ) + continued(PLAIN, folder)


def operations() -> int:
    """How many operations a training does on the disk: counted, not guessed."""
    folder, seen = new_folder(), new_folder() / "seen"

    def count(number: int, _: str, __: Path) -> Moment | None:
        seen.write_text(str(number + 1))
        return None

    end = in_child(lambda: train(PLAIN, folder, disturbed(count, die)))
    assert end.code == 0, end.said
    return int(seen.read_text())


def killed_at_every_operation(every: int = 1) -> Problems:
    """SIGKILL before, amid and after each operation (each ``every``-th of them); after one, the next life goes on."""
    problems: Problems = []
    moments: list[tuple[int, Moment]] = [(n, moment) for n in range(operations()) for moment in ("before", "middle")]
    for number, moment in moments[::every]:
        problems += [f"{moment} operation {number}: {one}" for one in killed_at(nth(number, moment))]
    return problems


# Signals, by the command line


def signalled(numbers: list[int], code: int, *, during_save: bool = False) -> Problems:
    """The first signal comes in the middle of a step or of a save, the others right after it."""
    recipe, _ = command.whole_run()
    out = new_folder() / "run"

    def send(*_: object) -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    if during_save:
        storage = disturbed(at_step(6, "write", "optimizer.safetensors"), send)
        end = command.run("fit", recipe, "--out", out, storage=storage)
    else:
        end = command.run("fit", recipe, "--out", out, at_step=lambda step: send() if step == 5 else None)
    saved = 3 if len(numbers) > 1 else 6 if during_save else 5
    newest, status = step_of(folders(out / "checkpoints")[0]), read_json(out / "manifest.json")["status"]
    problems = expecting(end, code) + ([] if newest == saved else [f"the newest checkpoint is of step {newest}, not {saved}"])
    return problems + ([] if status == "interrupted" else [f"status {status}"]) + command.resumed(out)


@case
def term_amid_a_step_saves_and_ends_with_143() -> Problems:
    return signalled([signal.SIGTERM], 143)


@case
def term_amid_a_save_completes_it() -> Problems:
    return signalled([signal.SIGTERM], 143, during_save=True)


@case
def a_second_term_ends_at_once() -> Problems:
    return signalled([signal.SIGTERM, signal.SIGTERM], 143, during_save=True)


@case
def interrupt_amid_a_step_saves_and_ends_with_130() -> Problems:
    return signalled([signal.SIGINT], 130)


@case
def term_while_the_results_are_written() -> Problems:
    """Outside the loop there is nothing to save, and the end is as orderly."""
    recipe, _ = command.whole_run()
    out = new_folder() / "run"

    def ask(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with patch("tunewright.pipeline.workflow.save_model", ask):
        end = command.run("fit", recipe, "--out", out)
    status = read_json(out / "manifest.json")["status"]
    return expecting(end, 143) + ([] if status == "interrupted" else [f"status {status}"]) + command.resumed(out)


# Disks that refuse


def refused(when: When, number: int) -> Problems:
    """The training ends with one clear error, the checkpoint before it stays, and the next start goes on from it."""
    folder = new_folder()
    end = in_child(lambda: train(PLAIN, folder, disturbed(when, refuse(number))))
    problems = expecting(end, 2, "the checkpoint of step 6 could not be written", os.strerror(number), "step-3 stays")
    if [path.name for path in (folder / "checkpoints").iterdir() if path.name.startswith(".")]:
        problems.append("something half-written was left")
    return problems + continued(PLAIN, folder)


@case
def no_room_for_the_weights() -> Problems:
    return refused(at_step(6, "write", "weights.safetensors", "middle"), errno.ENOSPC)


@case
def no_room_for_the_optimizer() -> Problems:
    return refused(at_step(6, "write", "optimizer.safetensors", "middle"), errno.ENOSPC)


@case
def no_room_for_the_manifest() -> Problems:
    return refused(at_step(6, "write", "manifest.json", "middle"), errno.ENOSPC)


@case
def the_disk_fails() -> Problems:
    return refused(at_step(6, "write", "random.safetensors"), errno.EIO)


@case
def rights_are_gone() -> Problems:
    return refused(at_step(6, "make_folder"), errno.EACCES)


@case
def files_may_not_grow_that_far() -> Problems:
    """The system's own limit (RLIMIT_FSIZE), by the command line."""
    recipe, _ = command.whole_run()
    out = new_folder() / "run"

    def limit(_: Path) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    end = command.run("fit", recipe, "--out", out, storage=disturbed(at_step(6, "write", "weights.safetensors"), limit))
    return expecting(end, 2, "step 6 could not be written", os.strerror(errno.EFBIG), "step-3 stays") + command.resumed(out)


@case
def a_sync_fails() -> Problems:
    return refused(at_step(6, "sync_folder"), errno.EIO)


@case
def the_rename_crosses_devices() -> Problems:
    return refused(at_step(6, "rename"), errno.EXDEV)


@case
def the_rename_is_refused() -> Problems:
    return refused(at_step(6, "rename"), errno.EPERM)


@case
def an_old_checkpoint_cannot_be_removed() -> Problems:
    """That costs room, not the run."""
    folder = new_folder()
    end = in_child(lambda: train(PLAIN, folder, disturbed(in_rotation(0), refuse(errno.EACCES))))
    if end.code != 0:
        return [f"exit code {end.code}: {end.said[-400:]}"]
    said, wanted = read_json(folder / "said.json"), whole(PLAIN)
    problems = [] if any("could not be removed: Permission denied" in one for one in said) else [f"not told: {said}"]
    found = left(folder)
    return problems + [f"{key} differs" for key in found if found[key] != wanted[key]]


# The newest checkpoint is damaged


def damaged(damage: Callable[[Path], None], *said: str) -> Problems:
    """Damage the newest of several checkpoints: it is told and left alone, and an older one is continued from."""
    folder = new_folder()
    killed = in_child(lambda: train(PLAIN, folder, prepare=DYING))
    newest = folders(folder / "checkpoints")[0]
    damage(newest)
    before = _content(newest)
    problems = expecting(killed, -signal.SIGKILL) + continued(PLAIN, folder)
    if problems:
        return problems
    told = " ".join(read_json(folder / "said.json"))
    problems += [f"'{text}' is not told: {told}" for text in said if text not in told]
    problems += [] if newest.is_dir() and _content(newest) == before else ["the damaged checkpoint was touched"]
    return problems


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _change(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return damage


def flip(content: bytes) -> bytes:
    """One bit of the last third, where the values are."""
    place = len(content) * 2 // 3
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@case
def a_file_is_empty() -> Problems:
    return damaged(_change("weights.safetensors", lambda _: b""), "step-9 is left out", "0 bytes", "continues from step-6")


@case
def a_file_is_truncated() -> Problems:
    return damaged(_change("weights.safetensors", lambda content: content[:-100]), "step-9 is left out", "bytes of")


@case
def a_bit_of_the_weights_is_flipped() -> Problems:
    return damaged(_change("weights.safetensors", flip), "step-9 is left out", "weights.safetensors is damaged")


@case
def a_bit_of_the_optimizer_is_flipped() -> Problems:
    return damaged(_change("optimizer.safetensors", flip), "step-9 is left out", "optimizer.safetensors is damaged")


@case
def a_file_is_missing() -> Problems:
    return damaged(lambda folder: (folder / "random.safetensors").unlink(), "step-9 is left out", "random.safetensors is missing")


@case
def a_file_is_too_many() -> Problems:
    """It is not ours: the checkpoint is used, and its folder stays when its time to be removed comes."""
    folder = new_folder()
    in_child(lambda: train(PLAIN, folder, prepare=within_step(5, sending(signal.SIGKILL))))
    newest = folders(folder / "checkpoints")[0]
    (newest / "notes.txt").write_text("mine")
    problems = continued(PLAIN, folder)
    return problems + ([] if (newest / "notes.txt").is_file() else ["a file that is not ours was removed"])


@case
def the_manifest_is_truncated() -> Problems:
    return damaged(_change("manifest.json", lambda content: content[: len(content) // 2]), "manifest.json is damaged")


@case
def the_manifest_is_of_another_run() -> Problems:
    other = new_folder()
    end = in_child(lambda: train(Training(PLAIN.sections | {"seed": 7}), other, prepare=DYING))

    def exchange(folder: Path) -> None:
        shutil.rmtree(folder)
        shutil.copytree(other / "checkpoints" / folder.name, folder)

    return expecting(end, -signal.SIGKILL) + damaged(exchange, "step-9 is left out", "of another run (seed: 7 there, 0 here)")


@case
def a_file_is_of_another_step() -> Problems:
    def exchange(folder: Path) -> None:
        shutil.copy(folder.with_name("step-6") / "weights.safetensors", folder / "weights.safetensors")

    return damaged(exchange, "step-9 is left out", "weights.safetensors is damaged")


@case
def a_file_is_a_pointer_of_large_file_storage() -> Problems:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 137372\n"
    return damaged(_change("weights.safetensors", lambda _: pointer), "step-9 is left out", f"{len(pointer)} bytes of")


@case
def a_newer_version_wrote_it() -> Problems:
    def newer(folder: Path) -> None:
        manifest = read_json(folder / "manifest.json")
        (folder / "manifest.json").write_text(json.dumps(manifest | {"schema": 2}))

    return damaged(newer, "step-9 is left out", "a newer version of tunewright wrote it (schema 2")


@case
def every_checkpoint_is_damaged() -> Problems:
    folder = new_folder()
    in_child(lambda: train(PLAIN, folder, prepare=DYING))
    places = folders(folder / "checkpoints")
    for place in places:
        _change("weights.safetensors", flip)(place)
    end = in_child(lambda: train(PLAIN, folder))
    named = [f"{place.name} is left out" for place in places]
    problems = expecting(end, 2, "no checkpoint in", *named)
    return problems + ([] if folders(folder / "checkpoints") == places else ["damaged checkpoints were removed"])


@case
def the_best_weights_are_lost() -> Problems:
    """Not exact, but not the end: it is told, and the best is looked for among what follows."""
    training = Training(
        {
            "optimization": {"learning_rate": 0.02, "head_learning_rate": 0.02},
            "evaluation": {"monitor": "loss"},
            "training": {"epochs": 6},
        }
    )
    best = whole(training)["state"]["best_step"]
    folder = new_folder()
    in_child(lambda: train(training, folder, prepare=within_step(17, sending(signal.SIGKILL))))
    place = folder / "checkpoints" / f"step-{best}"
    if best == 15 or not place.is_dir():
        return [f"the best step is {best}: nothing is tested"]
    (place / "weights.safetensors").write_bytes(b"")
    problems = expecting(in_child(lambda: train(training, folder)), 0)
    told = " ".join(read_json(folder / "said.json"))
    problems += [] if f"the best evaluation so far, at step {best}, are lost" in told else [f"not told: {told}"]
    return problems + ([] if read_json(folder / "end.json")["steps"] == 18 else ["it did not train to the end"])


# Two processes


@case
def a_second_trainer_is_refused() -> Problems:
    recipe, wanted = command.whole_run()
    out = new_folder() / "run"
    mark = new_folder() / "reached"

    def wait(step: int) -> None:
        if step == 5:
            mark.write_text("here")
            os.kill(os.getpid(), signal.SIGSTOP)

    first = command.begin("fit", recipe, "--out", out, at_step=wait)
    _until(mark.is_file)
    before = {path.name for path in out.rglob("*")}
    problems = expecting(command.run("resume", out), 2, f"process {first[0]} ", "is working in")
    problems += expecting(command.run("fit", recipe, "--out", out), 2, f"process {first[0]} ")
    problems += [] if {path.name for path in out.rglob("*")} == before else ["the second changed something"]
    os.kill(first[0], signal.SIGCONT)
    problems += expecting(ended(first), 0)
    return problems or [f"{key} differs" for key in wanted if command.made(out)[key] != wanted[key]]


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.02)


@case
def the_lock_of_a_dead_process_is_taken_over() -> Problems:
    recipe, _ = command.whole_run()
    out = new_folder() / "run"
    end = command.run("fit", recipe, "--out", out, at_step=lambda step: die(out) if step == 5 else None)
    problems = expecting(end, -signal.SIGKILL)
    problems += [] if (out / "lock.json").is_file() else ["no lock was there"]
    return problems + command.resumed(out, by="fit")


@case
def a_reader_sees_whole_checkpoints_while_they_are_written() -> Problems:
    """Somebody loads the newest in a loop while a trainer writes after every step."""
    training = Training({**PLAIN.sections, "training": {"checkpoint_steps": 1, "epochs": 6}})
    folder, seen = new_folder(), new_folder() / "seen.json"

    def read() -> None:
        checkpoints, wrong, steps = job_of(training, folder).checkpoints, [], set()
        assert checkpoints is not None
        _until(lambda: bool(folders(checkpoints.folder)))
        while not (folder / "end.json").is_file():
            found = checkpoints.newest()
            steps.add(found.checkpoint.state["step"])
            wrong += found.said
        seen.write_text(json.dumps([sorted(steps), wrong]))

    reader = start(read)
    slow = disturbed(lambda *_: "before", lambda _: time.sleep(0.002))
    problems = expecting(in_child(lambda: train(training, folder, slow)), 0) + expecting(ended(reader), 0)
    if problems:
        return problems
    steps, _ = json.loads(seen.read_text())
    return [] if len(steps) >= 3 else [f"the reader saw only the steps {steps}"]


@case
def a_checkpoint_holds_the_moment_of_its_step() -> Problems:
    """In place of 'parameters change during an asynchronous save': saving is synchronous, what changes later is not in it."""
    folder = new_folder()

    def prepare(job: TrainingContext) -> None:
        write = job.checkpoints.write  # type: ignore[union-attr]

        def written(checkpoint: Any) -> Any:
            kept = {name: tensor.detach().clone() for name, tensor in checkpoint.weights.items()}
            said = write(checkpoint)
            with torch.no_grad():
                for tensor in checkpoint.weights.values():
                    tensor.add_(1)
            place = folders(folder / "checkpoints")[0]
            saved = read_tensors(place / "weights.safetensors")
            assert all(torch.equal(saved[name], kept[name]) for name in kept)
            assert verify(place)
            with torch.no_grad():
                for name, tensor in checkpoint.weights.items():
                    tensor.copy_(kept[name])
            return said

        job.checkpoints.write = written  # type: ignore[union-attr, method-assign]

    return expecting(in_child(lambda: train(PLAIN, folder, prepare=prepare)), 0) + continued(PLAIN, folder)
