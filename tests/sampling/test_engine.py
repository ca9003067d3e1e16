"""Requests join at any step, each with an adapter and settings of its own, and get the texts that they would alone."""

from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from harness.errors import HarnessError
from harness.models.adapter import loaded
from harness.models.adapter_files import AdapterFiles
from harness.models.stacked import BARE, StackedAdapters
from harness.sampling.beginnings import common
from harness.sampling.decode import decode
from harness.sampling.engine import Engine
from harness.sampling.request import Request, Step
from tests.adapters import random_adapter
from tests.tuning.architectures import make_model
from tools.architectures.tiny import tiny_model

ENDS = {17, 40}
_rng = np.random.default_rng(5)
BEGINNINGS = [_rng.integers(3, 250, 30).tolist(), _rng.integers(3, 250, 12).tolist()]
# by turns: greedy and drawn, two beginnings, several lengths
REQUESTS = [
    Request(
        ids=BEGINNINGS[index % 2] + _rng.integers(3, 250, 1 + index % 4).tolist(),
        seed=100 + index,
        slot=index % 4,
        temperature=0.0 if index % 3 == 0 else 0.9,
        top_p=1.0 if index % 3 == 1 else 0.9,
        max_tokens=6 + index % 9,
    )
    for index in range(14)
]
ATTENTION = ["self_attn.q_proj", "self_attn.v_proj"]

Text = tuple[list[int], str]


@dataclass(frozen=True)
class Case:
    """`adapters`: those of slots 1, 2, …"""

    model: nn.Module
    adapters: list[AdapterFiles]

    def alone(self, requests: Sequence[Request] = REQUESTS) -> list[Text]:
        """What each request gets by itself, with its adapter put on."""
        return [self._alone(request) for request in requests]

    def _alone(self, request: Request) -> Text:
        with loaded(self.model, self.adapters[request.slot - 1]) if request.slot else nullcontext():
            [(_, text)] = decode(Engine(self.model, ENDS, batch_size=1), [replace(request, slot=BARE)])
        return text.tokens, text.finish_reason


def _case(name: str, kind: str, folder: Path) -> Case:
    if name in ("qwen3_next", "qwen3_5"):
        model, _ = tiny_model(name)
        keys = [["linear_attn.in_proj_qkvz"], ["self_attn.q_proj", "self_attn.o_proj"], ["self_attn.v_proj"]]
    else:
        model = make_model(name, kind)
        keys = [ATTENTION, ["self_attn.q_proj"], ["self_attn.o_proj", "self_attn.k_proj"]]
    if name == "qwen3_moe":
        keys[0] = ["self_attn.v_proj", "mlp.switch_mlp.up_proj"]
    shapes: list[dict[str, Any]] = [{"rank": 2}, {"rank": 8, "num_layers": 4}, {"rank": 3, "kind": "dora"}]
    return Case(
        model,
        [
            random_adapter(model, folder / str(seed), keys=layers, seed=seed, **shape)
            for seed, (layers, shape) in enumerate(zip(keys, shapes, strict=True))
        ],
    )


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return _case("qwen2", "float32", tmp_path)


@pytest.fixture(params=[True, False], ids=["settling", "ahead"])
def settle(request: pytest.FixtureRequest) -> bool:
    """False: as on a GPU, where the next step is begun before the last is read."""
    return bool(request.param)


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    """Kernels of a model that is used once cost more to compile than they spare."""
    mx.disable_compile()
    yield
    mx.enable_compile()


class Texts:
    """What an engine tells, by the number of the request."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.tokens: dict[int, list[int]] = {}
        self.reasons: dict[int, str] = {}

    def add(self, request: Request) -> int:
        number = self.engine.add(request)
        self.tokens[number] = []
        return number

    def step(self, times: int = 1) -> list[Step]:
        steps: list[Step] = []
        for _ in range(times):
            steps = self.engine.step()
            for step in steps:
                assert step.number not in self.reasons, "nothing is told of a text that has ended"
                self.tokens[step.number] += [] if step.token is None else [step.token]
                if step.finish_reason is not None:
                    self.reasons[step.number] = step.finish_reason
        return steps

    def finish(self) -> list[Text]:
        while self.engine.busy:
            self.step()
        return [(tokens, self.reasons[number]) for number, tokens in self.tokens.items() if number in self.reasons]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("qwen2", "float32"),
        ("qwen2", "4-bit on float32"),
        ("qwen2", "bfloat16"),  # adapter by adapter
        ("gemma3_text", "float32"),  # sliding windows
        ("qwen3_next", "float32"),  # gated delta rules
        ("qwen3_moe", "float32"),  # experts: one of the adapters has no stack
    ],
)
@pytest.mark.parametrize("size", [3, 16])
def test_rows_of_several_adapters_share_a_batch_and_are_what_each_writes_alone(
    name: str, kind: str, size: int, settle: bool, tmp_path: Path
) -> None:
    case = _case(name, kind, tmp_path)
    alone = case.alone()
    with closing(StackedAdapters(case.model)) as adapters:
        slots = [adapters.put(adapter) for adapter in case.adapters]
        by_itself = {"bfloat16": slots}.get(kind, {"qwen3_moe": slots[:1]}.get(name, []))
        assert [slot for slot in slots if adapters.alone(slot) is not None] == by_itself
        texts = Texts(Engine(case.model, ENDS, batch_size=size, adapters=adapters, settle=settle))
        for request in REQUESTS:
            texts.add(request)
        assert texts.finish() == alone


def test_rows_of_adapters_that_can_be_stacked_are_computed_in_one_forward_pass(case: Case) -> None:
    calls: list[tuple[int, ...]] = []

    class Counting(nn.Module):  # type: ignore[misc]
        layers = case.model.layers

        def __call__(self, tokens: mx.array, cache: Any = None) -> mx.array:
            calls.append(tokens.shape)
            return case.model(tokens, cache=cache)

    with closing(StackedAdapters(case.model)) as adapters:
        slots = [BARE, *(adapters.put(adapter) for adapter in case.adapters)]
        texts = Texts(Engine(Counting(), ENDS, batch_size=8, adapters=adapters, settle=False))
        for slot in slots:
            texts.add(replace(REQUESTS[0], slot=slot, max_tokens=3))
        texts.step()
        calls.clear()
        texts.step()
        assert calls == [(4, 1)]


def test_prompts_that_come_one_after_another_share_what_they_begin_with(case: Case) -> None:
    computed: list[int] = []

    class Counting(nn.Module):  # type: ignore[misc]
        layers = case.model.layers

        def __call__(self, tokens: mx.array, cache: Any = None) -> mx.array:
            computed.append(tokens.size)
            return case.model(tokens, cache=cache)

    system = BEGINNINGS[0] * 10
    texts = Texts(Engine(Counting(), ENDS, batch_size=4, settle=False))
    for index in range(6):
        texts.add(replace(REQUESTS[0], ids=[*system, 50 + index, 7], slot=BARE, max_tokens=1))
        texts.finish()
    assert sum(computed) < 3 * len(system), "the first whole, the second teaches what to keep"


def test_what_two_prompts_begin_with_is_counted_but_for_a_last_token() -> None:
    prompts = [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4, 5, 6], [1, 2, 3, 9, 5, 6], [2, 2]]
    for one, other in product(prompts, repeat=2):
        limit = min(len(one), len(other)) - 1
        same = next((place for place in range(limit) if one[place] != other[place]), limit)
        assert common(one, tuple(other)) == same


def test_requests_join_at_any_step(case: Case, settle: bool) -> None:
    with closing(StackedAdapters(case.model)) as adapters:
        for adapter in case.adapters:
            adapters.put(adapter)
        texts = Texts(Engine(case.model, ENDS, batch_size=5, adapters=adapters, settle=settle))
        for index, request in enumerate(REQUESTS):
            texts.add(request)
            texts.step(index % 3)
        found = texts.finish()
    assert found == case.alone()


def test_a_request_gets_its_first_token_in_the_step_after_it_came(case: Case) -> None:
    texts = Texts(Engine(case.model, ENDS, batch_size=32))
    first = texts.add(replace(REQUESTS[1], slot=BARE))
    assert [step.number for step in texts.step()] == [first]
    second = texts.add(replace(REQUESTS[2], slot=BARE))
    assert [step.number for step in texts.step()] == [first, second]
    assert texts.engine.running == 2 and texts.engine.waiting == 0


def test_adapters_come_and_go_while_rows_are_under_way(case: Case, settle: bool) -> None:
    expected = case.alone()
    low, deep, dora = case.adapters
    with closing(StackedAdapters(case.model)) as adapters:
        first = adapters.put(low)
        texts = Texts(Engine(case.model, ENDS, batch_size=16, adapters=adapters, settle=settle))
        of = {BARE: BARE, 1: first}
        order = [index for index, request in enumerate(REQUESTS) if request.slot in of]
        for index in order:
            texts.add(replace(REQUESTS[index], slot=of[REQUESTS[index].slot]))
        adapters.drop(first)
        texts.step(2)
        of = {2: adapters.put(deep), 3: adapters.put(dora)}
        assert first in adapters.slots, "its rows are under way"
        later = [index for index, request in enumerate(REQUESTS) if request.slot in of]
        for index in later:
            texts.add(replace(REQUESTS[index], slot=of[REQUESTS[index].slot]))
        texts.step(3)
        for slot in of.values():
            adapters.drop(slot)
        found = texts.finish()
        assert adapters.slots == [] and adapters.nbytes == 0
    assert found == [expected[index] for index in [*order, *later]]


def test_an_adapter_put_in_after_another_left_does_not_get_its_beginnings(case: Case) -> None:
    """Prompts that begin alike, again and again, so that their beginnings are kept."""
    requests = [replace(REQUESTS[0], ids=[*BEGINNINGS[0], index], slot=1 + index // 6) for index in range(18)]
    with closing(StackedAdapters(case.model)) as adapters:
        texts = Texts(Engine(case.model, ENDS, batch_size=4, adapters=adapters))
        for adapter, begin in zip(case.adapters, (0, 6, 12), strict=True):
            slot = adapters.put(adapter)
            for request in requests[begin : begin + 6]:
                texts.add(replace(request, slot=slot))
            texts.finish()
            adapters.drop(slot)
        assert texts.finish() == case.alone(requests)


def test_what_is_cancelled_leaves_and_the_others_go_on(case: Case, settle: bool) -> None:
    requests = [replace(request, max_tokens=12) for request in REQUESTS]
    alone = case.alone(requests)
    with closing(StackedAdapters(case.model)) as adapters:
        for adapter in case.adapters:
            adapters.put(adapter)
        texts = Texts(Engine(case.model, ENDS, batch_size=6, adapters=adapters, settle=settle))
        numbers = [texts.add(request) for request in requests]
        texts.step(2)
        for place in (1, 4, 12):  # two that are written and one that waits
            texts.engine.cancel(numbers[place])
        told = texts.step()
        assert not {numbers[place] for place in (1, 4, 12)} & {step.number for step in told}
        texts.finish()
        texts.engine.cancel(numbers[0])  # it has ended
        texts.engine.cancel(999)
        assert not texts.engine.busy
        adapters.drop(1)
        assert 1 not in adapters.slots, "a cancelled row holds its adapter no longer"
    for place, number in enumerate(numbers):
        if place in (1, 4, 12):
            assert number not in texts.reasons and len(texts.tokens[number]) < 4
        else:
            assert (texts.tokens[number], texts.reasons[number]) == alone[place]


def test_an_engine_whose_requests_are_all_cancelled_is_idle_after_a_step(case: Case) -> None:
    texts = Texts(Engine(case.model, ENDS, batch_size=2))
    numbers = [texts.add(replace(request, slot=BARE)) for request in REQUESTS[:4]]
    texts.step()
    for number in numbers:
        texts.engine.cancel(number)
    assert texts.step() == [] and not texts.engine.busy
    assert (texts.engine.waiting, texts.engine.running) == (0, 0)


def test_a_request_for_a_slot_that_is_not_there_is_refused(case: Case) -> None:
    with closing(StackedAdapters(case.model)) as adapters:
        engine = Engine(case.model, ENDS, batch_size=2, adapters=adapters)
        with pytest.raises(HarnessError, match="slot 7 must be one that an adapter was put in, but there is 0"):
            engine.add(replace(REQUESTS[0], slot=7))
        assert not engine.busy


def test_logprobs_are_those_of_a_plain_forward_pass(case: Case, settle: bool) -> None:
    asked = [replace(REQUESTS[index], logprobs=count) for index, count in ((4, 5), (5, 0), (6, None), (9, 2))]
    steps: dict[int, list[Step]] = {}
    with closing(StackedAdapters(case.model)) as adapters:
        for adapter in case.adapters:
            adapters.put(adapter)
        engine = Engine(case.model, ENDS, batch_size=8, adapters=adapters, settle=settle)
        numbers = [engine.add(request) for request in asked]
        while engine.busy:
            for step in engine.step():
                steps.setdefault(step.number, []).append(step)
        for number, request in zip(numbers, asked, strict=True):
            adapters.rows([request.slot])
            written = [step.token for step in steps[number] if step.token is not None]
            scores = nn.log_softmax(case.model(mx.array([[*request.ids, *written]]))[0, len(request.ids) - 1 :])
            for step, row in zip(steps[number], np.array(scores), strict=False):
                _check_logprobs(step, request, row)


def _check_logprobs(step: Step, request: Request, scores: "np.ndarray[Any, Any]") -> None:
    if request.logprobs is None:
        assert step.logprob is None and step.top == []
        return
    assert step.logprob is not None
    if step.token is not None:
        assert step.logprob == pytest.approx(scores[step.token], abs=1e-4)
    likeliest = np.argsort(-scores)[: request.logprobs]
    assert [token for token, _ in step.top] == likeliest.tolist()
    assert [score for _, score in step.top] == pytest.approx(scores[likeliest], abs=1e-4)


def test_why_rows_are_written_adapter_by_adapter_is_said_once(tmp_path: Path) -> None:
    case = _case("qwen3_moe", "float32", tmp_path)
    said: list[str] = []
    with closing(StackedAdapters(case.model)) as adapters:
        slots = [adapters.put(adapter) for adapter in case.adapters]
        texts = Texts(Engine(case.model, ENDS, batch_size=8, adapters=adapters, tell=said.append))
        for slot in slots * 2:
            texts.add(replace(REQUESTS[0], slot=slot))
        texts.finish()
    [line] = said
    assert line.startswith("an adapter's texts are not written together with others': LoRASwitchLinear on ")


def test_texts_are_asked_for_as_there_is_room_and_waited_for_where_there_is_none(case: Case) -> None:
    requests = [replace(request, slot=BARE) for request in REQUESTS]
    engine = Engine(case.model, ENDS, batch_size=2)

    def coming() -> Iterator[Request | None]:
        for request in requests:
            while engine.waiting + engine.running >= 3:
                yield None
            yield request

    found = dict(decode(engine, coming()))
    assert [(found[place].tokens, found[place].finish_reason) for place in range(len(requests))] == case.alone(requests)
    assert all(text.seconds > 0 for text in found.values())
