"""Stranger's files: model folders, saved models, archives, names and addresses that are refused, and never run.

Refused means: exit code 2, a message that names the file and the remedy, no traceback, at most 5 seconds of the processor
and 1 GB, nothing written and nobody called. Where a part of a file is left out instead, the case checks that it has no effect.
"""

from __future__ import annotations

import json
import pickle
import shutil
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from tests import test_safety
from tests.data.chats import byte_tokenizer, chat
from tests.models import test_refusals as spoiling
from tests.reliability import command as whole
from tests.reliability.confined import command, confined, harmless, refused
from tests.reliability.harness import Problems, base, new_folder
from tunewright.core.files import hash_file, read_json, read_tensors, write_json, write_tensors
from tunewright.core.types import Labels
from tunewright.datasets.formats.archives import members
from tunewright.modalities.language.chat_template import choose, render
from tunewright.models.loading import load_network
from tunewright.training.checkpoint_folder import folders

CASES: dict[str, Callable[[], Problems]] = {}
MODEL_FOLDERS: dict[str, Callable[[], Problems]] = {}  # the 36 of a model's folder
ARTEFACTS: dict[str, Callable[[], Problems]] = {}
ARCHIVES: dict[str, Callable[[], Problems]] = {}
PATHS: dict[str, Callable[[], Problems]] = {}
URIS: dict[str, Callable[[], Problems]] = {}

WEIGHTS = "model.safetensors"
LABELS = Labels("classification", ("a", "b"))
Change = Callable[[Path], object]


class Payload:
    """What a pickle runs when it is opened: it leaves a file behind."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.witness), "w")


def model(change: Change | None = None) -> tuple[Path, Path]:
    """A place with rows and a copy of a sound model, changed; and the model's folder."""
    place = new_folder()
    whole.recipe_file(place)
    folder = Path(shutil.copytree(base("bert"), place / "model"))
    if change is not None:
        change(folder)
    return place, folder


def fit_refused(change: Change, *said: str, source: str = "model") -> Problems:
    place, _ = model(change)
    found = refused(command("fit", place / "rows.csv", "--model", place / source, "--out", place / "run"), place, *said)
    return found + ([] if not (place / "witness").exists() else ["code ran"])


def fit_goes_on(change: Change, check: Callable[[Any], object] = lambda network: None) -> Problems:
    """The model is opened as if what was added were not there."""
    place, folder = model(change)
    found = harmless(lambda: check(load_network(str(folder), LABELS)), place)
    return found + ([] if not (place / "witness").exists() else ["code ran"])


def config(**changes: Any) -> Change:
    return lambda folder: spoiling.config(folder, **changes)


# Model folders

_SPOILT = {  # what the case is called here -> in tests/models/test_refusals.py, and what must be said
    "no_config": ("no config", "config.json", "save_pretrained"),
    "empty_config": ("empty config", "config.json", "not valid JSON"),
    "list_config": ("list config", "config.json", "a JSON object"),
    "bad_json": ("bad JSON", "config.json", "line 1"),
    "unknown_type": ("unknown type", "Did you mean 'bert'"),
    "no_weights": ("no weights", "holds no weights", "save_pretrained"),
    "0_bytes": ("0 bytes", WEIGHTS, "0 bytes"),
    "truncated_data": ("truncated data", WEIGHTS, "truncated"),
    "truncated_header": ("truncated header", WEIGHTS, "not a whole"),
    "header_beyond_the_file": ("header beyond the file", WEIGHTS, "10,000"),
    "header_of_2_63": ("header of 2^63 bytes", WEIGHTS, "9,223,372,036,854,775,808"),
    "header_of_200_mb": ("header of 200 MB", WEIGHTS, "200,000,000"),
    "header_no_json": ("header that is no JSON", WEIGHTS, "no JSON"),
    "overlap": ("overlapping tensors", "cannot be loaded"),
    "hole": ("hole between tensors", "cannot be loaded"),
    "trailing_bytes": ("trailing bytes", "cannot be loaded"),
    "shape_overflow": ("shape beyond 64 bits", WEIGHTS, "for the shape"),
    "unknown_dtype": ("unknown kind of number", "cannot be loaded"),
    "lfs_pointer": ("LFS pointer", "git lfs pull"),
    "html": ("HTML", "web page"),
    "nan": ("NaN", "NaN or infinity", "encoder.layer.1"),
    "infinity": ("infinity", "NaN or infinity", "encoder.layer.1"),
    "missing_tensor": ("missing tensor", "1 tensors are missing", "encoder.layer.1"),
    "unexpected_tensor": ("tensor of a block that is not there", "layers that the config does not have"),
    "vocabulary_and_tokenizer": ("tokenizer larger than the model", "embeds 50"),
    "no_layers": ("fewer than no layers", "num_hidden_layers -2"),
    "missing_shard": ("missing shard", "-00001-of-00002", "missing"),
    "pickle_only": ("pickle only", "pytorch_model.bin", "can run code"),
    "no_tokenizer": ("no tokenizer", "has no tokenizer"),
}
for _name, (_case, *_said) in _SPOILT.items():
    MODEL_FOLDERS[_name] = partial(fit_refused, spoiling.CASES[_case][0], *_said)
MODEL_FOLDERS["missing"] = partial(fit_refused, shutil.rmtree, "no model", "Expected")


def _doubled(folder: Path) -> None:
    """The same name for two tensors of one shape: the library would take the last."""
    content = (folder / WEIGHTS).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = "encoder.layer.1.output.dense.bias"
    other = json.dumps(header["encoder.layer.0.output.dense.bias"])
    raw = content[8 : 8 + length].rstrip()[:-1] + f',"{name}":{other}}}'.encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(raw)) + raw + content[8 + length :])


MODEL_FOLDERS["a_tensor_twice"] = partial(fit_refused, _doubled, "names 'encoder.layer.1.output.dense.bias' twice")


@cache
def finished(method: str = "full") -> Path:
    """A finished run of a tiny model, with the rows and the base model beside it."""
    place, folder = model()
    end = confined(
        command("fit", place / "recipe.yaml", "--model", folder, "--out", place / "run", "--set", f"method.name={method}")
    )
    assert end.code == 0, end.said
    return place


def opened(change: Change, *said: str, method: str = "full") -> Problems:
    """`predict` with a copy of a finished run whose model was changed."""
    place = new_folder() / "place"
    shutil.copytree(finished(method), place, symlinks=True)
    if method == "lora":  # the copy's own base
        about = place / "run" / "model" / "tunewright.json"
        content = read_json(about)
        write_json(about, content | {"base": content["base"] | {"source": str(place / "model")}})
    change(place / "run" / "model")
    return refused(command("predict", place / "run", place / "rows.csv"), place, *said)


def flip(name: str) -> Change:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[-5] ^= 1
        (folder / name).write_bytes(content)

    return change


def about(**changes: Any) -> Change:
    def change(folder: Path) -> None:
        write_json(folder / "tunewright.json", read_json(folder / "tunewright.json") | changes)

    return change


def rehashed(name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    """Other tensors, whose hash is noted."""

    def apply(folder: Path) -> None:
        tensors = read_tensors(folder / name)
        change(tensors)
        write_tensors(folder / name, tensors)
        hashes = read_json(folder / "tunewright.json")["sha256"]
        about(sha256=hashes | {name: hash_file(folder / name)})(folder)

    return apply


def _other_base(folder: Path) -> None:
    path = folder.parents[1] / "model" / WEIGHTS
    tensors = read_tensors(path)
    tensors["embeddings.LayerNorm.bias"][0] += 1
    write_tensors(path, tensors)


def _without_targets(tensors: dict[str, torch.Tensor]) -> None:
    for key in [key for key in tensors if "lora_" in key]:
        tensors[key.replace("encoder", "nowhere")] = tensors.pop(key)


def _doubled_names(folder: Path) -> None:
    labels = read_json(folder / "tunewright.json")["labels"]
    about(labels=labels | {"names": [labels["names"][0]] * len(labels["names"])})(folder)


MODEL_FOLDERS |= {
    "a_flipped_bit": partial(opened, flip(WEIGHTS), WEIGHTS, "not the one that was saved"),
    "missing_head": partial(
        opened, rehashed(WEIGHTS, lambda tensors: tensors.pop("classifier.weight")), "lacks 'classifier.weight'"
    ),
    "labels_of_one_name": partial(opened, _doubled_names, "not distinct"),
    "adapter_of_another_base": partial(opened, _other_base, "not the one that", "trained on", method="lora"),
    "adapter_without_targets": partial(
        opened, rehashed("adapter_model.safetensors", _without_targets), "this network does not have", method="lora"
    ),
    "changed_tokenizer": partial(opened, flip("tokenizer.json"), "tokenizer.json", "not the one that was saved"),
}
# `no_tokenizer` and `changed_tokenizer` are the two halves of one case, and `missing_tensor` counts once for all of the backbone.
MODEL_FOLDERS["no_tokenizer_or_another"] = lambda: MODEL_FOLDERS_HALVES[0]() + MODEL_FOLDERS_HALVES[1]()
MODEL_FOLDERS_HALVES = (MODEL_FOLDERS.pop("no_tokenizer"), MODEL_FOLDERS.pop("changed_tokenizer"))


# Saved models and other artifacts


def _pickled(*names: str, zipped: bool = False) -> Change:
    """Only files that run something when they are opened."""

    def change(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        for name in names:
            payload = {"weight": Payload(folder.parent / "witness")}
            if zipped:
                torch.save(payload, folder / name)
            else:
                (folder / name).write_bytes(pickle.dumps(payload))

    return change


def _program(folder: Path) -> None:
    """auto_map in every file that could have one, and the module that it names."""
    witness = folder.parent / "witness"
    (folder / "mine.py").write_text(f"open({str(witness)!r}, 'w').close()\n")
    named = {"AutoConfig": "mine.Config", "AutoModel": "mine.Model", "AutoModelForSequenceClassification": "mine.Model"}
    spoiling.config(folder, auto_map=named, nested={"auto_map": named}, architectures=["Mine"])


def _program_of_tokenizer(folder: Path) -> None:
    _program(folder)
    spoiling.tokenizer_with_code(folder)


def auto_map() -> Problems:
    return fit_goes_on(_program) + fit_refused(_program_of_tokenizer, "auto_map", "a tokenizer that is data")


def _keys_are_left_out(keys: dict[str, Any]) -> Problems:
    def check(network: Any) -> None:
        config = network.inner.config
        assert config._attn_implementation in ("sdpa", "eager"), config._attn_implementation
        assert config._experts_implementation in (None, "eager", "grouped_mm"), config._experts_implementation

    return fit_goes_on(config(**keys), check)


def kernels_by_attention() -> Problems:
    return _keys_are_left_out({"_attn_implementation": "someone/kernel"}) + _keys_are_left_out(
        {"attn_implementation": {"": "someone/kernel"}}
    )


def kernels_by_inner_keys() -> Problems:
    return _keys_are_left_out(
        {"_attn_implementation_internal": "someone/kernel", "_experts_implementation": "someone/kernel", "use_kernels": True}
    )


def templated(source: str, *said: str) -> Problems:
    def work() -> None:
        render(choose(byte_tokenizer(source)), chat("Hi", "Ho"))

    return refused(work, new_folder(), *said)


def template_escapes() -> Problems:
    """Ways out of a template that are known; each would leave a file behind."""
    witness = new_folder() / "witness"
    run = f"system('touch {witness}')"
    escapes = (
        f"{{{{ cycler.__init__.__globals__.os.{run} }}}}",
        f"{{{{ joiner.__init__.__globals__['os'].{run} }}}}",
        f"{{{{ raise_exception.__globals__.__builtins__.__import__('os').{run} }}}}",
        f"{{{{ self.__init__.__globals__.__builtins__.__import__('os').{run} }}}}",
        f"{{{{ (cycler | attr('__init__') | attr('__globals__'))['os'].{run} }}}}",
        f"{{% set g = '%c%cinit%c%c' | format(95, 95, 95, 95) %}}{{{{ cycler[g]['__globals__'].os.{run} }}}}",
    )
    problems = [problem for source in escapes for problem in templated(source, "chat template", "another chat template")]
    return problems + (["code ran"] if witness.exists() else [])


def template_without_end() -> Problems:
    inner = "{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% for c in r %}"
    bodies = (
        inner + "{% endfor %}" * 3,
        "{{ 'x' * 10 ** 11 }}",
        "{{ 9 ** (9 ** 9) }}",
        "{% for a in range(99999) %}{{ 'x' * 999 }}{% endfor %}",
    )
    return [problem for body in bodies for problem in templated(body, "chat template", "another chat template")]


def _splitting(pattern: str) -> Change:
    def change(folder: Path) -> None:
        content = read_json(folder / "tokenizer.json")
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        write_json(folder / "tokenizer.json", content | {"pre_tokenizer": split})

    return change


HANGING = (r"^(a|aa)+$", r"(a+)+$", r"(x+x+)+y", r"(\w+\s?)*$", "(")


def tokenizer_regex(patterns: tuple[str, ...] = HANGING) -> Problems:
    """Expressions whose time doubles with every letter, and one that is none."""
    return [problem for one in patterns for problem in fit_refused(_splitting(one), "tokenizer", "another model")]


def tokenizer_regex_on_rows() -> Problems:
    """An expression that splits what is tried when the model is opened, but not these rows."""

    def change(folder: Path) -> None:
        _splitting(r"(q|q7|7)+$")(folder)
        rows = (folder.parent / "rows.csv").read_text().splitlines()
        (folder.parent / "rows.csv").write_text("\n".join([*rows[:-1], "q7" * 200 + "! " + rows[-1]]) + "\n")

    return fit_refused(change, "tokenizer", "another model")


HUGE: tuple[dict[str, Any], ...] = (
    {"vocab_size": 10**9},
    {"hidden_size": 10**6},
    {"num_hidden_layers": 10**9},
    {"intermediate_size": 10**9},
    {"max_position_embeddings": 10**9},
    {"type_vocab_size": 2**40},
    {"vocab_size": 2**63},
)


def huge_dimensions(changes: tuple[dict[str, Any], ...] = HUGE) -> Problems:
    return [problem for one in changes for problem in fit_refused(config(**one), "config.json", "Expected")]


def _link_out(folder: Path) -> None:
    outside = folder.parent / "secret.json"
    (folder / "config.json").rename(outside)
    (folder / "config.json").symlink_to(outside)


def _index(name: str) -> Change:
    def change(folder: Path) -> None:
        names = dict.fromkeys(read_tensors(folder / WEIGHTS), name)
        (folder / WEIGHTS).rename(folder.parent / WEIGHTS)
        write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": names})

    return change


def absolute_shard() -> Problems:
    elsewhere = base("bert") / WEIGHTS
    return fit_refused(_index(str(elsewhere)), "index.json", str(elsewhere), "same folder")


def other_formats() -> Problems:
    """As the only weights of a folder, and given as the model itself."""
    problems: Problems = []
    for name in ("model.keras", "weights.h5", "model.nemo", "model.onnx"):
        problems += fit_refused(_pickled(name), name, "can run code")
        problems += fit_refused(_pickled(name), name, "can run code", source=f"model/{name}")
    return problems


def yaml_tags() -> Problems:
    place, _ = model()
    path = place / "mine.yaml"
    problems: Problems = []
    for tag in (
        "object/apply:os.system ['touch {}']",
        "object/new:os.system ['touch {}']",
        "name:os.system",
        "module:antigravity",
    ):
        path.write_text(f"model: !!python/{tag.format(place / 'witness')}\n")
        problems += refused(command("fit", path), place, "mine.yaml, line 1", "not allowed")
    return problems + (["code ran"] if (place / "witness").exists() else [])


def distributed_folder() -> Problems:
    def change(folder: Path) -> None:
        _pickled(".metadata", "__0_0.distcp")(folder)
        (folder / "config.json").unlink()

    return fit_refused(change, "no config.json", ".metadata", "can run code")


def pickled_optimizer() -> Problems:
    """In a checkpoint: a file that nobody listed is not opened; one that the manifest lists instead is not, either."""
    from tunewright.core.files import hash_file as hashed

    out = whole.interrupted()
    newest = folders(out / "checkpoints")[0]
    witness = out.parent / "witness"
    for name in ("optimizer.pt", "rng_state.pth", "scheduler.pt"):
        (newest / name).write_bytes(pickle.dumps(Payload(witness)))
    copy = Path(shutil.copytree(out, out.parent / "copy"))
    problems = whole.resumed(out) if not witness.exists() else ["code ran"]
    newest = folders(copy / "checkpoints")[0]
    manifest = read_json(newest / "manifest.json")
    del manifest["files"]["optimizer.safetensors"]
    manifest["files"]["optimizer.pt"] = {
        "size": (newest / "optimizer.pt").stat().st_size,
        "sha256": hashed(newest / "optimizer.pt"),
    }
    write_json(newest / "manifest.json", manifest)
    (newest / "optimizer.safetensors").unlink()
    confined(command("resume", copy))
    return problems + (["code ran"] if witness.exists() else [])


def no_unsafe_call() -> Problems:
    """The package's own source: nothing that opens pickles, and no second try with less safety."""
    found = {str(path): test_safety.unsafe(path.read_text()) for path in test_safety.PACKAGE.rglob("*.py")}
    return [f"{path}: {what}" for path, what in found.items() if what]


def _sets(name: str, **values: Any) -> Change:
    """Other values in a JSON file of a saved model, whose hash is noted."""

    def change(folder: Path) -> None:
        write_json(folder / name, read_json(folder / name) | values)
        hashes = read_json(folder / "tunewright.json")["sha256"]
        about(sha256=hashes | {name: hash_file(folder / name)})(folder)

    return change


def adapter_names_code() -> Problems:
    keys: tuple[dict[str, Any], ...] = (
        {"megatron_config": {"a": 1}, "megatron_core": "antigravity"},
        {"auto_mapping": {"base_model_class": "system", "parent_library": "os"}},
        {"alpha_pattern": {"(a+)+$": 3}},
        {"target_modules": "(.*)*x"},
    )
    return [
        problem
        for one in keys
        for problem in opened(_sets("adapter_config.json", **one), "adapter_config.json", next(iter(one)), method="lora")
    ]


def fetching_config() -> Problems:
    keys: tuple[dict[str, Any], ...] = (
        {"quantization_config": {"quant_method": "quark"}},
        {"backbone": "someone/model"},
        {"architecture": "hf-hub:someone/model"},
        {"text_config": {"pretrained_model_name_or_path": "someone/model"}},
    )
    return [problem for one in keys for problem in fit_refused(config(**one), "config.json", "Expected")]


ARTEFACTS |= {
    "pickle_bin": partial(fit_refused, _pickled("pytorch_model.bin"), "pytorch_model.bin", "can run code"),
    "pt_given_as_the_model": partial(fit_refused, _pickled("model.pt"), "model.pt", "can run code", source="model/model.pt"),
    "zip_in_pt": partial(fit_refused, _pickled("model.pt", zipped=True), "model.pt", "can run code"),
    "pkl_and_joblib": lambda: (
        fit_refused(_pickled("m.pkl", "m.joblib"), "m.joblib", "m.pkl", "can run code")
        + fit_refused(_pickled("m.joblib"), "can run code", source="model/m.joblib")
    ),
    "auto_map": auto_map,
    "attention_of_a_repository": kernels_by_attention,
    "attention_by_inner_keys": kernels_by_inner_keys,
    "template_escapes": template_escapes,
    "template_without_end": template_without_end,
    "tokenizer_regex": tokenizer_regex,
    "tokenizer_regex_on_rows": tokenizer_regex_on_rows,
    "huge_dimensions": huge_dimensions,
    "link_out": partial(fit_refused, _link_out, "config.json", "leads out"),
    "shard_above": partial(fit_refused, _index(f"../{WEIGHTS}"), "index.json", f"../{WEIGHTS}", "same folder"),
    "shard_absolute": absolute_shard,
    "a_tensor_twice_in_a_saved_model": partial(opened, lambda folder: _rehash_doubled(folder), "twice"),
    "keras_h5_nemo": other_formats,
    "yaml_python_tags": yaml_tags,
    "distributed_folder": distributed_folder,
    "pickled_optimizer": pickled_optimizer,
    "no_unsafe_call": no_unsafe_call,
    "adapter_names_code": adapter_names_code,
    "config_that_fetches": fetching_config,
}


def _rehash_doubled(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    other = json.dumps(header["bert.encoder.layer.0.output.dense.bias"])
    raw = content[8 : 8 + length].rstrip()[:-1] + f',"bert.encoder.layer.1.output.dense.bias":{other}}}'.encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(raw)) + raw + content[8 + length :])
    hashes = read_json(folder / "tunewright.json")["sha256"]
    about(sha256=hashes | {WEIGHTS: hash_file(folder / WEIGHTS)})(folder)


# Archives


def entry(name: str, kind: int = stat.S_IFREG, content: bytes = b"x") -> tuple[zipfile.ZipInfo, bytes]:
    made = zipfile.ZipInfo("placeholder")
    made.filename = name
    made.external_attr = (kind | 0o644) << 16
    return made, content


def archived(
    *entries: tuple[zipfile.ZipInfo, bytes], said: tuple[str, ...], change: Callable[[bytes], bytes] = bytes
) -> Problems:
    place = new_folder()
    path = place / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for made, content in entries:
            archive.writestr(made, content, zipfile.ZIP_DEFLATED)
    path.write_bytes(change(path.read_bytes()))
    by_api = refused(lambda: members(path), place, "a.zip", *said)
    return by_api + refused(command("fit", path, "--model", base("bert"), "--out", place / "run"), place, "a.zip", *said)


def hardlink() -> Problems:
    """Zip has none; a tar archive, which has, is no form of data here."""
    place = new_folder()
    with tarfile.open(place / "a.tar", "w") as archive:
        link = tarfile.TarInfo("a.csv")
        link.type, link.linkname = tarfile.LNKTYPE, "/etc/passwd"
        archive.addfile(link)
    return refused(command("fit", place / "a.tar", "--model", base("bert")), place, "a.tar", "cannot be read")


def ratio_bomb() -> Problems:
    """Many files that share little data: each within its bound, together far too much."""
    zeros = b"\0" * (40 << 20)
    return archived(*(entry(f"c/{n}.png", content=zeros) for n in range(40)), said=("unpacks to", "times its size"))


def many_entries() -> Problems:
    from unittest.mock import patch

    with patch("tunewright.datasets.formats.archives._MOST_FILES", 99):
        return archived(*(entry(f"c/{n}.png") for n in range(100)), said=("100 entries", "at most 99"))


def nul_or_backslash() -> Problems:
    def nul(content: bytes) -> bytes:
        return content.replace(b"aXb.png", b"a\0b.png")

    return archived(entry("aXb.png"), said=("NUL",), change=nul) + archived(entry("..\\a.png"), said=("backslash",))


ARCHIVES |= {
    "above": lambda: archived(entry("c/a.png"), entry("../a.png"), said=("leads out",)),
    "absolute": lambda: archived(entry("/etc/a.png"), said=("leads out",)),
    "symbolic_link": lambda: archived(entry("a.png", stat.S_IFLNK, b"/etc/passwd"), said=("symbolic link",)),
    "hard_link": hardlink,
    "device": lambda: (
        archived(entry("a.png", stat.S_IFCHR), said=("device",)) + archived(entry("a.png", stat.S_IFIFO), said=("device",))
    ),
    "a_name_twice": lambda: archived(entry("a.png"), entry("a.png"), said=("two files of one name",)),
    "ratio_bomb": ratio_bomb,
    "many_entries": many_entries,
    "names_alike_but_for_case": lambda: archived(entry("c/a.png"), entry("C/A.png"), said=("case alone",)),
    "nul_or_backslash": nul_or_backslash,
}


# Names in a saved model


def listed(name: str, *said: str) -> Problems:
    """tunewright.json lists a file of this name with the right hash of what it would reach."""

    def change(folder: Path) -> None:
        (folder.parent / "secret.txt").write_text("secret")
        content = read_json(folder / "tunewright.json")
        about(sha256=content["sha256"] | {name: hash_file(folder.parent / "secret.txt")})(folder)

    return opened(change, *said, "Expected")


def linked_model() -> Problems:
    def change(folder: Path) -> None:
        (folder / "tokenizer.json").rename(folder.parent / "tokenizer.json")
        (folder / "tokenizer.json").symlink_to("../tokenizer.json")

    return opened(change, "leads out")


def swapped() -> Problems:
    """The weights are exchanged between the check of their hash and their opening."""
    place = Path(shutil.copytree(finished(), new_folder() / "place"))
    weights = place / "run" / "model" / WEIGHTS

    def work() -> None:
        from tunewright.artifacts import model_folder as artifact

        read = artifact.read_labels

        def swapping(metadata: Any) -> Any:
            tensors = read_tensors(weights)
            tensors["classifier.bias"] += 1
            write_tensors(weights, tensors)
            return read(metadata)

        artifact.read_labels = swapping  # type: ignore[assignment]
        artifact.load_model(place / "run" / "model")

    return refused(work, new_folder(), "changed while it was opened")


PATHS |= {
    "above": lambda: listed("../secret.txt", "../secret.txt"),
    "percent": lambda: listed("%2e%2e/secret.txt", "lacks its file"),
    "percent_twice": lambda: listed("%252e%252e/secret.txt", "lacks its file"),
    "backslash": lambda: listed("..\\secret.txt", "secret.txt"),
    "absolute": lambda: listed(str(base("bert") / "config.json"), "config.json"),
    "link": linked_model,
    "fragment": lambda: listed("a#/../../secret.txt", "secret.txt"),
    "nul": lambda: listed("a\0b", "lists the file"),
    "drive_or_share": lambda: listed("C:/secret.txt", "C:/secret.txt") + listed("//host/share/secret.txt", "secret.txt"),
    "swapped_after_the_check": swapped,
}


# Addresses


def addressed(*addresses: str) -> Problems:
    """As the model, as rows, as a recipe, as a run, and as the folder of a new one."""
    problems: Problems = []
    for address in addresses:
        place, folder = model()
        rows = place / "rows.csv"
        for given in (
            ("fit", rows, "--model", address),
            ("fit", address, "--model", folder),
            ("fit", f"{address}.yaml"),
            ("predict", address, rows),
            ("fit", rows, "--model", folder, "--out", address),
            ("fit", rows, "--model", folder, "--test", address),
        ):
            problems += refused(command(*given), place, "address", "nothing is fetched")
    return problems


URIS |= {
    "http": lambda: addressed("http://169.254.169.254/latest/model"),
    "https": lambda: addressed("https://example.org/redirects/to/model"),
    "file": lambda: addressed("file:///etc/passwd", "\\\\host\\share\\model"),
    "data": lambda: addressed("data:text/csv,text,label"),
    "loopback_in_disguise": lambda: addressed("http://[::ffff:127.0.0.1]/model", "http://2130706433/model"),
}

for _family, _cases in (
    ("model_folder", MODEL_FOLDERS),
    ("artifact", ARTEFACTS),
    ("archive", ARCHIVES),
    ("path", PATHS),
    ("address", URIS),
):
    CASES |= {f"{_family}_{_name}": _run for _name, _run in _cases.items()}
