"""Adapters and bases to export: tiny ones, made once."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import mlx.core as mx
import pytest
import yaml
from mlx.utils import tree_flatten
from mlx_lm.utils import load_model, quantize_model, save_config, save_model
from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers

from harness.config.schema import ModelConfig
from harness.models.adapter import adapter_weights, attached, save_weights, spec_for
from harness.models.adapter_files import WEIGHTS_FILE, save_spec
from harness.models.base import Base, open_base
from harness.models.stock import copy_small_files
from tests.conftest import QUICK, compose_config

MakeAdapter = Callable[..., Path]
RUN = "a" * 32
HEADERS = (
    "{{ bos_token }}{% for m in messages %}{{ '<|h|>' + m.role + '<|/h|>\n\n' + (m.content | trim) + '<|e|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|h|>assistant<|/h|>\n\n' }}{% endif %}"
)


@pytest.fixture(scope="session")
def make_adapter(tmp_path_factory: pytest.TempPathFactory) -> MakeAdapter:
    """An adapter's folder; `size` is how much it changes, `words` are of its run's configuration, None: no record."""

    def make(
        base: Base,
        *words: str,
        size: float = 0.05,
        record: bool = True,
        kind: str = "lora",
        run: str = RUN,
        keys: Sequence[str] | None = ("q_proj", "v_proj", "down_proj"),
    ) -> Path:
        folder = tmp_path_factory.mktemp("run") / "adapters"
        folder.mkdir()
        config = compose_config(*QUICK, f"model.path={base.path}", "generate.max_tokens=6", *words)
        lora = dataclasses.replace(config.lora, fine_tune_type=kind, keys=keys and list(keys))
        spec = spec_for(lora, base.model, base=base.path, base_revision=base.revision)
        with attached(base.model, spec, seed=1):
            weights = adapter_weights(base.model)
        filled = {
            name: mx.random.normal(value.shape, scale=size, key=mx.random.key(2)) if name.endswith("lora_b") else value
            for name, value in weights.items()
        }
        metadata = {"step": "6", "valid/loss": "6.5", "run": run, "base": base.path, "train_digest": "d" * 32}
        save_weights(folder / WEIGHTS_FILE, filled, metadata)
        save_spec(folder, spec)
        if record:
            written = yaml.safe_dump(dataclasses.asdict(config), allow_unicode=True)
            (folder.parent / "config.yaml").write_text(written, encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="session")
def adapter(base: Base, make_adapter: MakeAdapter) -> Path:
    return make_adapter(base)


@pytest.fixture(scope="session")
def four_bits(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Base:
    """The tiny base in 4 bits, with a card that names its licence."""
    folder = tmp_path_factory.mktemp("bases") / "tiny-4bit"
    model, config = load_model(base.folder)
    save_model(folder, *quantize_model(model, config, 32, 4)[:1])
    save_config(quantize_model(load_model(base.folder)[0], config, 32, 4)[1], folder / "config.json")
    copy_small_files(base, folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\nlanguage: [zh, en]\n---\n# A base\n", encoding="utf-8")
    return open_base(ModelConfig(path=str(folder), revision=None))


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A random Llama with a SentencePiece-like vocabulary."""
    from mlx_lm.models.llama import Model, ModelArgs

    folder = tmp_path_factory.mktemp("bases") / "llama"
    folder.mkdir()
    vocabulary = _sentencepiece(folder)
    config = {
        "model_type": "llama",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "intermediate_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 512,
        "vocab_size": vocabulary,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "eos_token_id": 2,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = Model(ModelArgs.from_dict(config))
    keys = mx.random.split(mx.random.key(7), len(tree_flatten(model.parameters())))
    drawn = [
        (name, value if value.ndim == 1 else mx.random.normal(value.shape, scale=value.shape[-1] ** -0.5, key=key))
        for key, (name, value) in zip(keys, tree_flatten(model.parameters()), strict=True)
    ]
    mx.save_safetensors(str(folder / "model.safetensors"), dict(drawn), {"format": "mlx"})
    return open_base(ModelConfig(path=str(folder), revision=None))


def _sentencepiece(folder: Path) -> int:
    """A BPE with byte fallback over ▁ for spaces, as Llama 2's is; returns the number of its tokens."""
    marks = ["<unk>", "<s>", "</s>", "<|h|>", "<|/h|>", "<|e|>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[*marks, *bytes_], show_progress=False)
    tokenizer.train_from_iterator(["the river carries the lamp over the water"] * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    said = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "chat_template": HEADERS,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    return int(tokenizer.get_vocab_size())
