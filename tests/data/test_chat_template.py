"""Chat templates: the text is transformers' own, the answers are found in it, each has one end, and no template runs away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.data import chats
from tests.data.chats import as_dictionaries, byte_tokenizer, chat
from tunewright.core.errors import UserError
from tunewright.core.guarded_process import Worker
from tunewright.modalities.language.chat_template import ALPACA, CHATML, Rendered, choose, prompt_text, render, writes_marks

TURNS = chat("Hello there", "Hello", "What is two?", "It is\nfour.")


def answers_of(rendered: Rendered) -> list[str]:
    return [rendered.text[start:stop] for start, stop in rendered.answers]


def transformers_text(tokenizer: Any, conversation: Any, **settings: Any) -> str:
    return str(tokenizer.apply_chat_template(as_dictionaries(conversation), tokenize=False, **settings))


@pytest.mark.parametrize(
    ("template", "learned"),
    [
        (chats.CHATML, ["Hello<|im_end|>", "It is\nfour.<|im_end|>"]),
        (chats.LLAMA_3, ["Hello<|eot_id|>", "It is\nfour.<|eot_id|>"]),
        (chats.GEMMA, ["Hello<end_of_turn>", "It is\nfour.<end_of_turn>"]),
        (chats.LLAMA_2, [" Hello </s>", " It is\nfour. </s>"]),
        (chats.THINKING, ["Hello<|im_end|>", "<think>\n\n</think>\n\nIt is\nfour.<|im_end|>"]),
    ],
    ids=["chatml", "llama-3", "gemma", "llama-2", "thinking"],
)
def test_the_text_is_transformers_own_and_each_answer_has_its_one_end(template: str, learned: list[str]) -> None:
    tokenizer = byte_tokenizer(template)
    form = choose(tokenizer)
    rendered = render(form, TURNS)
    assert form.own and form.source == template
    assert rendered.text == transformers_text(tokenizer, TURNS)
    assert answers_of(rendered) == learned
    # what stands before the last answer is what the model is shown when it is asked
    asked = transformers_text(tokenizer, TURNS[:-1], add_generation_prompt=True)
    assert rendered.text[: rendered.answers[-1][0]] == asked == prompt_text(form, TURNS[:-1])


def test_where_the_template_writes_no_end_one_is_put_after_every_answer() -> None:
    form = choose(byte_tokenizer(chats.NO_END))
    rendered = render(form, TURNS)
    assert rendered.text == "Q: Hello there\nA: Hello</s>\nQ: What is two?\nA: It is\nfour.</s>\n"
    assert answers_of(rendered) == [" Hello</s>", " It is\nfour.</s>"]


@pytest.mark.parametrize("answer", ["im_end", "think", "<", "user", ">", "Hello there", "a b", " lead", "trail \n", "\n"])
def test_an_answer_that_looks_like_the_frame_is_still_found(answer: str) -> None:
    for template in (chats.CHATML, chats.THINKING):
        rendered = render(choose(byte_tokenizer(template)), chat("Hello there", answer))
        assert answers_of(rendered)[0].endswith(f"{answer}<|im_end|>")
        assert rendered.text.endswith("<|im_end|>\n") and len(rendered.answers) == 1
    trimmed = render(choose(byte_tokenizer(chats.LLAMA_3)), chat("Hello there", answer))
    assert answers_of(trimmed) == [f"{answer.strip()}<|eot_id|>"]


def test_without_a_template_chatml_is_taken_where_its_tokens_are() -> None:
    tokenizer = byte_tokenizer()
    form = choose(tokenizer)
    assert (form.own, form.source) == (False, CHATML) and "ChatML" in form.said
    rendered = render(form, chat("Hi", "Ho", system="Be kind."))
    assert (
        rendered.text
        == "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n"
    )
    assert answers_of(rendered) == ["Ho<|im_end|>"]


@pytest.mark.parametrize("bos", [False, True])
def test_without_template_or_tokens_the_headings_of_alpaca(bos: bool) -> None:
    tokenizer = byte_tokenizer(bos=bos, special=("<s>", "</s>", "<pad>"))
    form = choose(tokenizer)
    assert form.source == ("{{ bos_token }}" if bos else "") + ALPACA and not form.own and "Alpaca" in form.said
    rendered = render(form, chat("Hi", "Ho", "And?", "No", system="Be kind."))
    first = "<s>" if bos else ""
    assert rendered.text == (
        f"{first}Be kind.\n\n### Instruction:\nHi\n\n### Response:\nHo</s>\n\n### Instruction:\nAnd?\n\n### Response:\nNo</s>"
    )
    assert answers_of(rendered) == ["Ho</s>", "No</s>"]


def test_a_default_saved_with_the_tokenizer_writes_the_same_in_transformers() -> None:
    for bos in (False, True):
        for special in (None, ("<s>", "</s>", "<pad>")):
            tokenizer = byte_tokenizer(bos=bos, special=special)
            form = choose(tokenizer)
            tokenizer.chat_template = form.source
            assert render(form, TURNS).text == transformers_text(tokenizer, TURNS)
            asked = transformers_text(tokenizer, TURNS[:-1], add_generation_prompt=True)
            assert asked == prompt_text(form, TURNS[:-1])


def test_of_several_templates_the_default_is_taken() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = {"default": chats.GEMMA, "rag": chats.CHATML}
    assert choose(tokenizer).source == chats.GEMMA
    tokenizer.chat_template = {"rag": chats.CHATML}
    with pytest.raises(UserError, match="none is called 'default'"):
        choose(tokenizer)


def test_a_tokenizer_without_an_end_is_refused() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(UserError, match="no end-of-text token"):
        choose(tokenizer)


def test_text_that_would_be_read_as_a_token_is_noticed() -> None:
    form = choose(byte_tokenizer())
    assert writes_marks(form, chat("strike <s>this</s>", "fine"))
    assert not writes_marks(form, chat("strike <b>this</b>", "fine"))


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}", "writes '1.*before an answer when it asks"),
        ("{% for m in messages %}{{ m.content | upper }}\n{% endfor %}", "does not write the answer 'Ho'"),
        ("{% for m in messages %}{{ m.content", "cannot be read"),
        ("{% if add_generation_prompt %}{{ 1 / 0 }}{% endif %}", "refuses a conversation of user: division by zero"),
        ("{{ messages.nothing.more }}", "refuses a conversation of user and assistant"),
        ("{{ ''.__class__.__mro__ }}", "refuses .*unsafe"),
        ("{{ messages.append(1) }}", "refuses .*unsafe"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "refuses .*recursion"),
        ("{{ range(10000000) }}", "refuses .*Range too big"),
    ],
)
def test_what_a_template_does_wrong_is_told(template: str, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        render(choose(byte_tokenizer(template)), chat("Hi", "Ho"))


def test_a_template_that_refuses_system_messages_says_so() -> None:
    with pytest.raises(UserError, match=r"System role not supported.*Try: remove the system messages"):
        render(choose(byte_tokenizer(chats.GEMMA)), chat("Hi", "Ho", system="Be kind."))


@pytest.mark.parametrize(
    "body",
    [
        "{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",  # writes without end
        "{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% for c in r %}{% endfor %}{% endfor %}{% endfor %}",
        "{% set x = 'x' * 10 ** 11 %}{{ x | length }}",  # one expression, which no clock inside could stop
        "{{ 'x' | center(10 ** 11) | length }}",
        "{{ 9 ** (9 ** 9) }}",
    ],
)
def test_a_runaway_template_is_stopped(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.modalities.language.chat_template._SECONDS", 2.0)
    with pytest.raises(UserError, match="did not end within"):
        render(choose(byte_tokenizer(body)), chat("Hi", "Ho"))
    assert render(choose(byte_tokenizer()), chat("Hi", "Ho")).answers  # and the next one is written


def test_the_process_of_a_template_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a secret")
    worker = Worker("tunewright.modalities.language.template_worker", 1 << 30)
    try:
        said = worker.ask({"source": "{{ one }}", "given": {"one": 1}, "most": 9}, 20)
        environment = Path(f"/proc/{worker._child.pid}/environ").read_bytes()  # type: ignore[union-attr]
    finally:
        worker.close()
    assert said == {"text": "1"}
    assert b"PYTHONPATH" in environment and b"HF_TOKEN" not in environment
