"""A split as the training loop wants it: rows of token ids and masks, and a digest of all of them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.config.schema import Thinking
from harness.data.lines import Line, read_lines
from harness.data.shapes import Message
from harness.data.thinking import answer_of, without_thinking
from harness.data.turns import Marked, Render, mark_messages, mark_text
from harness.errors import HarnessError

# Fixed, not train.seed: runs with different seeds must be scored on the same rows.
_VALID_ROWS_SEED = 0


class EncodedText(Protocol):
    @property
    def ids(self) -> list[int]: ...
    @property
    def spans(self) -> list[tuple[int, int]]: ...


class TextEncoder(Protocol):
    """What a tokenizer must do for a dataset (harness.models.tokenizer.Tokenizer does)."""

    @property
    def end_ids(self) -> set[int]: ...
    @property
    def end_id(self) -> int: ...
    @property
    def begin_id(self) -> int | None: ...
    @property
    def refuses_system(self) -> bool: ...
    def knows(self, name: str) -> bool: ...
    def encode(self, text: str, *, special: bool) -> EncodedText: ...
    def render(
        self, messages: Sequence[Message], *, add_generation_prompt: bool, tools: Sequence[Any] | None = None
    ) -> str: ...


@dataclass(frozen=True)
class Row:
    """`tokens`: int32 [length]; `learn`: bool [length], True for a token that is a target of the loss.

    `weight`: what each of these counts while training.
    """

    tokens: NDArray[np.int32]
    learn: NDArray[np.bool_]
    line: int
    weight: float = 1.0

    @property
    def targets(self) -> int:
        return int(self.learn.sum())


@dataclass(frozen=True)
class Split:
    """`cut`: how many rows were longer than the limit; `dropped`: lines with nothing left to learn."""

    name: str
    path: Path
    rows: list[Row]
    cut: int
    dropped: list[int]

    @property
    def digest(self) -> str:
        """SHA-256 over tokens, masks and weights in order, 32 hex digits (MLflow takes 36 at most)."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(len(row.tokens).to_bytes(4, "little") + row.tokens.tobytes() + row.learn.tobytes())
            if row.weight != 1:
                digest.update(f"weight {row.weight!r}".encode())
        return digest.hexdigest()[:32]

    @property
    def targets(self) -> int:
        return sum(row.targets for row in self.rows)

    def warnings(self, max_seq_length: int) -> list[str]:
        said = []
        weighted = sum(row.weight != 1 for row in self.rows)
        if weighted and self.name != "train":
            said.append(
                f"{self.path.name}: the weights of {weighted} rows are passed over, in a score all tokens count"
            )
        if self.cut:
            said.append(
                f"{self.cut} of {len(self.rows) + len(self.dropped)} rows of {self.path.name} "
                f"are cut to train.max_seq_length={max_seq_length} tokens"
            )
        if self.dropped:
            first = ", ".join(map(str, self.dropped[:5])) + (", …" if len(self.dropped) > 5 else "")
            said.append(
                f"{self.path}:{first}: left out, since the prompt alone fills {max_seq_length} tokens; "
                "raise train.max_seq_length"
            )
        return said


def load_split(
    folder: Path,
    name: str,
    encoder: TextEncoder,
    *,
    labels: Sequence[str] | None,
    max_seq_length: int,
    mask_prompt: bool,
    thinking: Thinking = "learn",
) -> Split:
    """Read and tokenize one of train, valid and test.

    Raises:
        HarnessError: naming file and line, for what cannot be read or rendered.
    """
    path = folder / f"{name}.jsonl"
    rows, dropped, cut = [], [], 0
    for line in read_lines(path, labels):
        row = to_row(line, encoder, mask_prompt=mask_prompt, thinking=thinking)
        cut += len(row.tokens) > max_seq_length
        row = replace(row, tokens=row.tokens[:max_seq_length], learn=row.learn[:max_seq_length])
        if row.targets:
            rows.append(row)
        else:
            dropped.append(line.number)
    return Split(name, path, rows, cut, dropped)


def to_row(line: Line, encoder: TextEncoder, *, mask_prompt: bool, thinking: Thinking = "learn") -> Row:
    """Tokens and mask of one line. The first token is never a target, since nothing precedes it.

    `thinking`: that of the assistant's turns is learned, dropped, or kept and not learned (where all else is learned,
    with mask_prompt=False, it is too).
    """
    try:
        marked = mark(line, encoder, thinking)
    except HarnessError as error:
        raise HarnessError(f"{line.place}: {error}") from error
    # a template writes its own special tokens; a ready-made text gets those of the tokenizer, as in mlx-lm
    encoded = encoder.encode(marked.text, special=line.messages is None)
    ids = list(encoded.ids)
    learn = _learned(encoded.spans, marked.spans) if mask_prompt else [True] * len(ids)
    if line.text is not None and ids and ids[-1] not in encoder.end_ids:
        ids.append(encoder.end_id)  # as mlx-lm does, so that the model learns to stop
        learn.append(not mask_prompt or marked.spans[-1][1] >= len(marked.text.rstrip()))
    if ids:
        learn[0] = False
    return Row(np.array(ids, np.int32), np.array(learn, np.bool_), line.number, line.weight)


def fixed_subset(split: Split, count: int | None) -> Split:
    """`count` rows of a split, always the same ones, in file order; all of it for None."""
    if count is None or count >= len(split.rows):
        return split
    chosen = np.sort(np.random.default_rng(_VALID_ROWS_SEED).permutation(len(split.rows))[:count])
    return Split(split.name, split.path, [split.rows[i] for i in chosen], split.cut, split.dropped)


def mark(line: Line, encoder: TextEncoder, thinking: Thinking) -> Marked:
    """The text of a line, and what of it is the assistant's.

    Raises:
        HarnessError: for what the chat template refuses or drops.
    """
    if line.text is not None:
        return _mark_text(line.text, thinking)
    assert line.messages is not None
    messages = without_thinking(line.messages) if thinking == "drop" else line.messages

    def render(messages: Sequence[Message], add_generation_prompt: bool) -> str:
        return encoder.render(messages, add_generation_prompt=add_generation_prompt, tools=line.tools)

    if line.tools or any("tool_calls" in message or message["role"] == "tool" for message in messages):
        _check_tools(line, render)
    return mark_messages(messages, render, answers=thinking == "mask")


def _mark_text(text: str, thinking: Thinking) -> Marked:
    marked = mark_text(text)
    answers = [answer_of(text, span) for span in marked.spans]
    if thinking == "learn" or answers == marked.spans:
        return marked
    if thinking == "mask":
        return Marked(text, answers)
    for (begin, _), (answer, _) in zip(reversed(marked.spans), reversed(answers), strict=True):
        text = text[:begin] + text[answer:]
    return mark_text(text)


def _check_tools(line: Line, render: Render) -> None:
    """That the template writes tools, calls and replies: many pass over what they do not know."""
    assert line.messages is not None, "tools are spoken of in messages"
    whole = render(line.messages, False)
    for index, message in enumerate(line.messages):
        without = [*line.messages[:index], *line.messages[index + 1 :]]
        if message["role"] == "tool" and _rendered(without, render) == whole:
            raise HarnessError("the chat template drops the reply of a tool; choose a model whose template knows tools")
        if "tool_calls" in message:
            uncalled = {key: value for key, value in message.items() if key != "tool_calls"}
            if _rendered([*line.messages[:index], uncalled, *line.messages[index + 1 :]], render) == whole:
                raise HarnessError("the chat template drops tool_calls; choose a model whose template knows tools")
    if line.tools and (given := json.dumps(line.tools[0], ensure_ascii=False)) and _name_of(line.tools[0]) not in whole:
        raise HarnessError(f"the chat template drops tools ({given:.60}); choose a model whose template knows tools")


def _rendered(messages: Sequence[Message], render: Render) -> str | None:
    """None for what the template refuses: then it does not pass over what was taken out."""
    try:
        return render(messages, False)
    except HarnessError:
        return None


def _name_of(tool: Any) -> str:
    """What a tool is called: a template that writes it writes that."""
    function = tool.get("function", tool) if isinstance(tool, dict) else {}
    return str(function.get("name", "")) if isinstance(function, dict) else ""


def _learned(token_spans: Sequence[tuple[int, int]], turns: Sequence[tuple[int, int]]) -> list[bool]:
    """A token is learned when it covers any character of a turn. Both are in order, and turns do not overlap."""
    if not token_spans or not turns:
        return [False] * len(token_spans)
    tokens, parts = np.array(token_spans, np.int64), np.array(turns, np.int64)
    starts, ends = tokens[:, 0], tokens[:, 1]
    turn = np.searchsorted(parts[:, 1], starts, side="right")  # the first that ends after the token begins
    begins = np.append(parts[:, 0], np.iinfo(np.int64).max)[turn]
    inside: list[bool] = ((ends > starts) & (ends > begins)).tolist()
    return inside


def describe(splits: Sequence[Split]) -> dict[str, Any]:
    """Sizes and digests, for the run's record."""
    return {
        split.name: {
            "rows": len(split.rows),
            "targets": split.targets,
            "cut": split.cut,
            "digest": split.digest,
        }
        for split in splits
    }
