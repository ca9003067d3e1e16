"""Each row of a batch is computed with an adapter of its own, as if that were put on by itself."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest

from harness.errors import HarnessError
from harness.models.adapter import loaded
from harness.models.adapter_files import AdapterFiles
from harness.models.alike import alike
from harness.models.stacked import BARE, StackedAdapters
from tests.adapters import random_adapter
from tests.tuning.architectures import make_model

TOKENS = mx.array([[5, 6, 7, 8, 9]])
ATTENTION = ["self_attn.q_proj", "self_attn.v_proj"]

Make = Callable[..., AdapterFiles]


@pytest.fixture(scope="module", params=["float32", "4-bit on float32", "4-bit"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    return make_model("qwen2", request.param)


@pytest.fixture
def plain() -> nn.Module:
    return make_model("qwen2", "float32")


def _several(model: nn.Module, folder: Path) -> list[AdapterFiles]:
    """Of several ranks, keys, depths and kinds."""
    return [
        random_adapter(model, folder / "low", rank=2, keys=ATTENTION, seed=1),
        random_adapter(
            model, folder / "deep", rank=8, keys=["mlp.down_proj", "self_attn.q_proj"], num_layers=4, seed=2
        ),
        random_adapter(model, folder / "dora", rank=3, keys=["self_attn.v_proj", "mlp.down_proj"], kind="dora", seed=3),
    ]


def _by_itself(model: nn.Module, adapter: AdapterFiles, scale: float = 1.0) -> mx.array:
    with loaded(model, adapter, scale=scale):
        logits = model(TOKENS)
        mx.eval(logits)
    return logits


def _mixed(model: nn.Module, stacked: StackedAdapters, slots: list[int]) -> list[mx.array]:
    stacked.rows(slots)
    return list(model(mx.repeat(TOKENS, len(slots), axis=0))[:, None])


def test_each_row_gets_the_logits_of_its_own_adapter(model: nn.Module, tmp_path: Path) -> None:
    adapters = _several(model, tmp_path)
    bare = model(TOKENS)
    alone = [bare, *(_by_itself(model, adapter) for adapter in adapters)]
    rounding = (1e-5 if bare.dtype == mx.float32 else 0.05) * mx.std(bare)
    assert all(mx.abs(logits - bare).max() > 4 * rounding for logits in alone[1:])
    with closing(StackedAdapters(model, exact=False)) as stacked:
        slots = [BARE, *(stacked.put(adapter) for adapter in adapters)]
        assert not any(map(stacked.alone, slots))
        for slot, logits in zip([*slots, *slots[::-1]], _mixed(model, stacked, [*slots, *slots[::-1]]), strict=True):
            assert mx.abs(logits - alone[slots.index(slot)]).max() < rounding


def test_rows_of_one_adapter_get_its_logits_to_the_bit(model: nn.Module, tmp_path: Path) -> None:
    adapters = _several(model, tmp_path)
    alone = [model(TOKENS), *(_by_itself(model, adapter) for adapter in adapters)]
    with closing(StackedAdapters(model)) as stacked:
        slots = [BARE, *(stacked.put(adapter) for adapter in adapters)]
        for slot, expected in zip(slots, alone, strict=True):
            stacked.rows([slot])
            assert mx.array_equal(model(TOKENS), expected).item()


def test_one_adapter_at_several_scales(plain: nn.Module, tmp_path: Path) -> None:
    adapter = random_adapter(plain, tmp_path / "a", keys=ATTENTION)
    alone, bare = [_by_itself(plain, adapter, scale) for scale in (0.5, 1.0)], plain(TOKENS)
    stacked = StackedAdapters(plain)
    slots = [stacked.put(adapter, scale) for scale in (0.5, 1.0)]
    assert mx.array_equal(plain(TOKENS), bare).item(), "unless it is told of rows, the base is as it was"
    for logits, expected in zip(_mixed(plain, stacked, slots), alone, strict=True):
        assert mx.allclose(logits, expected, atol=1e-5).item()


def test_close_leaves_the_very_modules_of_before(plain: nn.Module, tmp_path: Path) -> None:
    before = dict(plain.named_modules())
    stacked = StackedAdapters(plain)
    for adapter in _several(plain, tmp_path):
        stacked.put(adapter)
    assert dict(plain.named_modules()).keys() == before.keys()
    stacked.close()
    after = dict(plain.named_modules())
    assert after.keys() == before.keys() and all(after[name] is before[name] for name in before)


def test_an_adapter_leaves_the_memory_when_its_last_row_has_ended(plain: nn.Module, tmp_path: Path) -> None:
    one, other, _ = _several(plain, tmp_path)
    before = dict(plain.named_modules())
    stacked = StackedAdapters(plain)
    low, deep = stacked.put(one), stacked.put(other)
    mixed = _mixed(plain, stacked, [low, deep])
    stacked.hold(low)
    stacked.drop(low)
    assert stacked.slots == [low, deep]
    with pytest.raises(
        HarnessError, match=f"slot {low} must be one that an adapter was put in, but there is 0, {deep}"
    ):
        stacked.hold(low)
    assert mx.array_equal(_mixed(plain, stacked, [low, deep])[0], mixed[0]).item()
    stacked.release(low)
    assert stacked.slots == [deep]
    assert mx.allclose(_mixed(plain, stacked, [BARE, deep])[1], mixed[1], atol=1e-5).item()
    assert stacked.put(one) not in (low, deep), "a slot is never used twice"
    stacked.drop(deep)
    stacked.drop(stacked.slots[0])
    after = dict(plain.named_modules())
    assert stacked.nbytes == 0 and all(after[name] is before[name] for name in before)


def test_an_adapter_that_does_not_fit_leaves_the_others_as_they_are(plain: nn.Module, tmp_path: Path) -> None:
    fitting = random_adapter(plain, tmp_path / "a", keys=ATTENTION)
    stacked = StackedAdapters(plain)
    slot = stacked.put(fitting)
    expected = _mixed(plain, stacked, [slot, BARE])[0]
    wider = random_adapter(make_model("qwen3", "float32"), tmp_path / "b", keys=["self_attn.q_proj", "mlp.up_proj"])
    wider.weights.write_bytes(wider.weights.read_bytes()[:-3])
    with pytest.raises(HarnessError):
        stacked.put(wider)
    assert stacked.slots == [slot]
    assert mx.array_equal(_mixed(plain, stacked, [slot, BARE])[0], expected).item()


@pytest.mark.parametrize(
    ("name", "keys", "why"),
    [
        ("qwen3_moe", ["mlp.switch_mlp.up_proj"], "LoRASwitchLinear on model.layers.2.mlp.switch_mlp.up_proj cannot"),
        ("qwen2", ["model.embed_tokens"], "LoRAEmbedding on model.embed_tokens cannot"),
    ],
)
def test_what_cannot_be_stacked_is_said_by_kind(name: str, keys: list[str], why: str, tmp_path: Path) -> None:
    model = make_model(name, "float32")
    alone = random_adapter(model, tmp_path / "a", keys=keys)
    usual = random_adapter(model, tmp_path / "b", keys=["self_attn.q_proj"])
    expected, bare = _by_itself(model, alone), model(TOKENS)
    stacked = StackedAdapters(model)
    other, slot = stacked.put(usual), stacked.put(alone)
    said = stacked.alone(slot)
    assert said is not None and said.startswith(why) and stacked.alone(other) is None
    stacked.rows([slot])
    assert mx.array_equal(model(TOKENS), expected).item()
    assert mx.allclose(_mixed(model, stacked, [other, BARE])[1], bare, atol=1e-5).item(), "the others go on as before"


def test_where_texts_must_not_depend_on_the_batch_16_bits_are_not_stacked(tmp_path: Path) -> None:
    model = make_model("qwen2", "bfloat16")
    stacked = StackedAdapters(model, exact=True)
    slot = stacked.put(random_adapter(model, tmp_path / "a", keys=ATTENTION))
    assert stacked.alone(slot) == f"model.layers.2.{ATTENTION[0]} is in 16 bits, which a stack would round otherwise"


class _Flattening(nn.Module):  # type: ignore[misc]
    """An architecture that takes the rows of a batch apart before its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [make_model("qwen2", "float32").layers[0].mlp]

    def __call__(self, tokens: mx.array) -> mx.array:
        x = mx.sin(tokens[..., None] * mx.arange(64.0))
        return self.layers[0](x.reshape(-1, 64)).reshape(x.shape)


def test_a_model_that_takes_a_batch_apart_has_one_adapter_at_a_time(tmp_path: Path) -> None:
    model = _Flattening()
    stacked = StackedAdapters(model)
    slot = stacked.put(random_adapter(model, tmp_path / "a", keys=["up_proj"], num_layers=1))
    assert "called with other rows than the batch's" in (stacked.alone(slot) or "")


def test_likeness_tells_rounding_from_another_adapter() -> None:
    logits = mx.random.normal((2, 3, 50), key=mx.random.key(0))
    assert alike(logits.astype(mx.bfloat16), logits) and not alike(logits[::-1], logits)
