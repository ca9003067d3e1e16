"""What a trained folder can do: python -m tools.pretrain.evaluate FOLDER. Writes measures.json into it.

Perplexity on grammar text that was held out and on prose by hand; texts written for themes: share of sentences that the
grammar accepts, share of texts on their theme, distinct n-grams; the same of a 5-gram model. Trains nothing.
"""

import argparse
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from harness.files import write_json
from tools.pretrain.grammar import grammar
from tools.pretrain.lexicon import Language, read
from tools.pretrain.ngrams import NGrams
from tools.pretrain.rows import Row, held_out, training
from tools.pretrain.slots import names
from tools.pretrain.tokenizer import encoded, prompt

_LONGEST = 160  # tokens of an answer
_SEED = 2  # of the held-out rows and of the draws; a training takes others


@dataclass(frozen=True)
class Measures:
    """Of one language. Perplexities are a token; shares are 0 to 1.

    accepted: sentences that the grammar accepts about any theme; accepted_about_it: about the text's own;
    on_theme: texts that name their theme; ended: texts that end their turn; distinct_2, distinct_4: different n-grams
    of tokens over all of them.
    """

    perplexity_held_out: float
    perplexity_prose: float
    accepted: float
    accepted_about_it: float
    on_theme: float
    ended: float
    distinct_2: float
    distinct_4: float
    texts: int


@dataclass(frozen=True)
class Written:
    """A text for a theme. `ended`: it closed its turn by itself."""

    theme: str
    text: str
    tokens: list[int]
    ended: bool


def prose(language: Language) -> list[Row]:
    """The passages by hand, as rows."""
    passages = read(Path(__file__).parent / "prose" / f"{language}.yaml")
    return [Row(language, theme, theme, None, text) for theme, text in passages.items()]


def perplexity(score: Callable[[list[int], int], float], rows: list[Row], tokenizer: Any) -> float:
    """A token of the answers. `score`: nats of tokens from a position on."""
    pairs = [encoded(tokenizer, row) for row in rows]
    return math.exp(sum(score(*pair) for pair in pairs) / sum(len(tokens) - start for tokens, start in pairs))


def measures(
    language: Language,
    held: list[Row],
    score: Callable[[list[int], int], float],
    tokenizer: Any,
    written: list[Written],
) -> Measures:
    rules = grammar(language)
    sentences = [(sentence, one.theme) for one in written for sentence in rules.sentences(one.text)]
    about_it = [rules.accepts(sentence, theme) for sentence, theme in sentences]
    accepted = [known or rules.accepts(sentence) for known, (sentence, _) in zip(about_it, sentences, strict=True)]
    return Measures(
        perplexity_held_out=perplexity(score, held, tokenizer),
        perplexity_prose=perplexity(score, prose(language), tokenizer),
        accepted=_share(accepted),
        accepted_about_it=_share(about_it),
        on_theme=_share([_names(one, language) for one in written]),
        ended=_share([one.ended for one in written]),
        distinct_2=_distinct([one.tokens for one in written], 2),
        distinct_4=_distinct([one.tokens for one in written], 4),
        texts=len(written),
    )


def _names(one: Written, language: Language) -> bool:
    noun = grammar(language).words.nouns[one.theme]
    return any(name.lower() in one.text.lower() for name in names(noun))


def _share(seen: Sequence[bool]) -> float:
    return sum(seen) / len(seen) if seen else 0.0


def _distinct(texts: list[list[int]], size: int) -> float:
    grams = [tuple(tokens[at : at + size]) for tokens in texts for at in range(len(tokens) - size + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def write(
    next_token: Callable[[list[int]], Iterator[int]], themes: list[str], language: Language, tokenizer: Any
) -> list[Written]:
    """A text for each theme. `next_token`: prompt → tokens, endless."""
    end = tokenizer.token_to_id("<|im_end|>")
    written = []
    for theme in themes:
        start = tokenizer.encode(prompt(Row(language, theme, theme, None, ""))).ids
        tokens = list(itertools.takewhile(lambda token: token != end, itertools.islice(next_token(start), _LONGEST)))
        written.append(Written(theme, tokenizer.decode(tokens), tokens, len(tokens) < _LONGEST))
    return written


def model_scores(model: nn.Module) -> Callable[[list[int], int], float]:
    def score(tokens: list[int], start: int) -> float:
        logits = model(mx.array([tokens[:-1]])).astype(mx.float32)
        losses = nn.losses.cross_entropy(logits, mx.array([tokens[1:]]))
        return float(losses[0, start - 1 :].sum())

    return score


def model_writes(model: nn.Module, temperature: float) -> Callable[[list[int]], Iterator[int]]:
    from mlx_lm.generate import generate_step
    from mlx_lm.sample_utils import make_sampler

    sampler = make_sampler(temp=temperature)
    return lambda start: (
        int(token) for token, _ in generate_step(mx.array(start), model, max_tokens=_LONGEST, sampler=sampler)
    )


def ngrams_write(model: NGrams, rng: random.Random, temperature: float) -> Callable[[list[int]], Iterator[int]]:
    def draw(start: list[int]) -> Iterator[int]:
        tokens = list(start)
        while True:
            tokens.append(model.draw(tokens[-model.order :], rng, temperature))
            yield tokens[-1]

    return draw


def evaluate(folder: Path, *, texts: int, held_rows: int, floor_rows: int, temperature: float) -> dict[str, Any]:
    """Model and floor, each by language; a few texts to read."""
    from mlx_lm import load
    from tokenizers import Tokenizer

    model, _ = load(str(folder))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = (encoded(tokenizer, found)[0] for _, found in itertools.islice(training(_SEED), floor_rows))
    floor = NGrams(rows, tokenizer.get_vocab_size())
    mx.random.seed(_SEED)
    rng = random.Random(_SEED)
    held = [found for _, found in itertools.islice(held_out(_SEED), 2 * held_rows)]
    result: dict[str, Any] = {"model": {}, "floor": {}, "samples": {}}
    for language in Language:
        themes = rng.choices(grammar(language).themes, k=texts)
        ours = [row for row in held if row.language is language]
        for name, score, writes in (
            ("model", model_scores(model), model_writes(model, temperature)),
            ("floor", floor.nats, ngrams_write(floor, rng, temperature)),
        ):
            written = write(writes, themes, language, tokenizer)
            result[name][language] = asdict(measures(language, ours, score, tokenizer, written))
            if name == "model":
                result["samples"][language] = [f"{one.theme}: {one.text}" for one in written[:12]]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a trained folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--texts", type=int, default=200, help="written in each language (default: 200)")
    parser.add_argument("--held-rows", type=int, default=200, help="scored in each language (default: 200)")
    parser.add_argument("--floor-rows", type=int, default=40_000, help="the 5-gram model learns (default: 40000)")
    parser.add_argument("--temperature", type=float, default=0.7, help="of the draws (default: 0.7)")
    given = vars(parser.parse_args())
    folder = given.pop("folder")
    result = evaluate(folder, **given)
    write_json(folder / "measures.json", result)
    for name in ("model", "floor"):
        for language, values in result[name].items():
            shown = "  ".join(f"{key} {value:.3g}" for key, value in values.items())
            print(f"{name} {language}: {shown}")


if __name__ == "__main__":
    main()
