"""docs/peft.md: a row for each architecture. Knows nothing of how its cells came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

YES, AS_BARE, NO = "yes", "as bare", "no"

_HEAD = """# PEFT's format

`python -m harness.export … --to peft` writes an adapter as Hugging Face PEFT has it: `adapter_config.json` and
`adapter_model.safetensors`, for `peft`, `transformers`, vLLM and llama.cpp's converter.

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("the/base"), "the-folder")
```

**Out.** Every number is kept to the bit: the factors are transposed, `lora_alpha / r` is the scale, a DoRA adapter's
magnitudes go along. `target_modules` names exactly the layers that are adapted, so only the last blocks where that was
trained. Experts, and what chooses them, are `target_parameters`: gate and up are one parameter of twice the rank there,
which transformers 5 and peft 0.21 read (peft says that it ignores the `rank_pattern` of a parameter, but follows it).
`base_model_name_or_path` is the model that the base was made from, where the model card beside the base names it, else
the base itself; of a base that is quantized for MLX it must name the original, and the command says so.
Where the text model is a part of one with images and transformers has a class for each (Qwen 3.5), the folder is for
`AutoModelForCausalLM`, and `with-images` in it, with the names of the whole, for vLLM and
`AutoModelForImageTextToText`.

**In.** A folder of PEFT's is an adapter like any other: `adapters=<folder>`, `train.init_adapter=<folder>`, and so on.
It is converted once and kept in `mlruns/cache/peft`. Its tensors keep their type, and are computed with in float32.
Which architecture it is for, the base's `config.json` tells, in the folder that `base_model_name_or_path` names or in
the hub's cache. Where it is in neither, layers are taken by their names, and must fit those of the model that is used
(`model.path=…`); for a model with experts or GPT-2's names, let `base_model_name_or_path` name a folder.

- LoRA, rsLoRA and DoRA; `rank_pattern` and `alpha_pattern` where they leave one rank and one scale (those of experts
  included); experts one by one, as an older transformers had them.
- Blocks or layers that PEFT leaves out among those of the last blocks: they compute exactly as the base does. Trained
  on from there, they begin as a new adapter does.
- Refused by name: other kinds than LoRA, `modules_to_save`, `bias`, `lora_bias`, `layer_replication`, ways to begin
  that change the base (PiSSA, OLoRA, CorDA, LoftQ), embeddings, layers of images or sound. Merge such an adapter in
  PEFT and use the merged model.
- `adapter_model.bin` is a pickle, which can run anything when it is opened: the message has the command that converts
  it where torch is installed.

There and back is the same to the bit, both ways, the adapter's own settings included. Where torch is installed,
transformers imports it with every command, about two seconds each: `make peft` keeps it in `.venv-peft`.

## Architecture by architecture

Held against mlx-lm {mlx-lm}, transformers {transformers} and peft {peft} on a tiny random model of each architecture:
transformers makes it, mlx-lm loads it, a random adapter on the last two of four blocks (every layer that mlx-lm adapts,
experts and what chooses them included) is written for peft, and the logits of the two are compared in float32, on a
CPU. `make peft` writes this page anew, `.venv-peft/bin/python -m tools.peft --only NAME` tries one; `make test` tries
the most used once `make peft` has run.

- `yes`: logits agree to 1e-4; what is read back from what peft itself saves is the same to the bit.
- `as bare`: converted, but the two libraries' models differ already without an adapter, by as much.
- `no`: what should not be.

{count} architectures are converted: {yes} agree, {bare} as bare. Refused in a line, by name:

- {refused};
- what both libraries have, but no tiny model here was both libraries': {untried};
- what transformers has no model of.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    lora: str
    dora: str
    why: str

    @property
    def well(self) -> bool:
        return self.lora in (YES, AS_BARE)


def page(rows: Sequence[Row], refused: Mapping[str, str], untried: Sequence[str], versions: Mapping[str, str]) -> str:
    """`refused`: why, by architecture; `versions`: of the libraries, by their names."""
    head = _HEAD.format(
        count=len(rows),
        yes=sum(row.lora == YES for row in rows),
        bare=sum(row.lora == AS_BARE for row in rows),
        refused=";\n- ".join(f"`{name}`: {why}" for name, why in refused.items()),
        untried=", ".join(f"`{name}`" for name in untried),
        **versions,
    )
    lines = ["| architecture | LoRA | DoRA | why |", "| --- | --- | --- | --- |"]
    lines += [f"| `{row.name}` | {row.lora} | {row.dora} | {row.why.replace('|', chr(92) + '|')} |" for row in rows]
    return head + "\n" + "\n".join(lines) + "\n"
