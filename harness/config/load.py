"""From what Hydra composed to a typed record, with every complaint as one plain line."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any, TypeVar, get_args, get_origin

from omegaconf import DictConfig, OmegaConf
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from harness.config.hints import did_you_mean
from harness.config.paths import ROOT
from harness.config.schema import Config, JudgeCommand, LoraConfig
from harness.errors import HarnessError, SettingError

Command = TypeVar("Command")

# mlx-lm's default, for a run that says neither scale nor alpha
DEFAULT_SCALE = 20.0

OmegaConf.register_new_resolver("root", lambda: str(ROOT), replace=True)


def from_hydra(composed: DictConfig, command: type[Command]) -> Command:
    """Check types and ranges of a composed configuration.

    Raises:
        SettingError: naming the first value that breaks a rule.
        HarnessError: for what cannot be resolved.
    """
    for name in sorted(OmegaConf.missing_keys(composed)):
        if _is_known(name, command):  # else a preset of a group holds what this command does not use
            raise SettingError(name, f"{name} must be given; say {name}=…, --help shows what it is")
    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except Exception as error:  # OmegaConf's many errors share no base class
        raise HarnessError(" ".join(str(error).split())) from error
    return from_values(values, command)


def from_values(values: Any, command: type[Command]) -> Command:
    """Like `from_hydra`, from plain nested dicts."""
    try:
        # as JSON: pydantic's strict mode takes a Python dict for no dataclass
        typed = TypeAdapter(command).validate_json(json.dumps(values))
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise SettingError(_name(errors[0]), _say(errors, key_names(command))) from error
    if isinstance(typed, (Config, JudgeCommand)):
        check_name("name", typed.name)
    if isinstance(typed, Config):
        return dataclasses.replace(typed, lora=with_scale_and_alpha(typed.lora))
    return typed


def check_name(setting: str, name: str) -> None:
    """A name is one: files and folders are called by it.

    Raises:
        HarnessError: for one that could lead elsewhere.
    """
    if name.strip() in ("", ".", "..") or any(c in "/\\" or not c.isprintable() for c in name):
        raise HarnessError(
            f"{setting} must be a name without / and \\, for files are called by it, but got {name!r}; choose another"
        )


def with_scale_and_alpha(lora: LoraConfig) -> LoraConfig:
    """Both filled in, from whichever was given: scale = alpha / rank, with rslora alpha / √rank (arXiv 2312.03732).

    Raises:
        HarnessError: for both that disagree, and for rslora without an alpha.
    """
    if lora.alpha is None and lora.rank_scaling == "rslora":
        given = "is not given" if lora.scale is None else f"is not given, but lora.scale={lora.scale:g}"
        raise HarnessError(
            f"lora.rank_scaling=rslora needs lora.alpha, which it divides by √rank, but it {given}; "
            "say lora.alpha=16 lora.scale=null, or leave it at lora.rank_scaling=lora"
        )
    if lora.alpha is None:
        scale = DEFAULT_SCALE if lora.scale is None else lora.scale
        return dataclasses.replace(lora, scale=scale, alpha=scale * lora.rank)
    scale = lora.alpha / (math.sqrt(lora.rank) if lora.rank_scaling == "rslora" else lora.rank)
    if lora.scale is not None and abs(lora.scale - scale) > 1e-6 * scale:
        by = " with rslora" if lora.rank_scaling == "rslora" else ""
        raise HarnessError(
            f"lora.alpha={lora.alpha:g} at rank {lora.rank}{by} means lora.scale={scale:g}, "
            f"but lora.scale is {lora.scale:g}; give one of them and set the other to null"
        )
    return dataclasses.replace(lora, scale=scale)


def flat(config: Any) -> dict[str, Any]:
    """A record's values by the names users type, such as lora.rank."""
    result: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            result |= {f"{field.name}.{key}": inner for key, inner in flat(value).items()}
        else:
            result[field.name] = value
    return result


def key_names(command: type[Any]) -> list[str]:
    """Every name that `flat` would give, from the types alone."""
    names: list[str] = []
    for field in dataclasses.fields(command):
        if dataclasses.is_dataclass(field.type) and isinstance(field.type, type):
            names += [f"{field.name}.{inner}" for inner in key_names(field.type)]
        else:
            names.append(field.name)
    return names


def free_names(command: type[Any]) -> list[str]:
    """Names under which any key may follow, such as train.optimizer_args."""
    names: list[str] = []
    for field in dataclasses.fields(command):
        if dataclasses.is_dataclass(field.type) and isinstance(field.type, type):
            names += [f"{field.name}.{inner}" for inner in free_names(field.type)]
        elif dict in {get_origin(each) for each in (field.type, *get_args(field.type))}:
            names.append(field.name)
    return names


def presumed_names(command: type[Any]) -> list[str]:
    """Settings that presets need not hold, such as model.template_args."""
    names: list[str] = []
    for field in dataclasses.fields(command):
        if dataclasses.is_dataclass(field.type) and isinstance(field.type, type):
            names += [f"{field.name}.{inner}" for inner in presumed_names(field.type)]
        elif field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING:
            names.append(field.name)
    return names


def _is_known(name: str, command: type[Any]) -> bool:
    return name in key_names(command) or name.startswith(tuple(f"{free}." for free in free_names(command)))


_RUN_ID = "a run's id of 32 hex digits"


def _say(errors: list[ErrorDetails], known: Sequence[str]) -> str:
    """One line for the first broken value. A union reports a line for each member: the members are joined."""
    first = errors[0]
    name = _name(first)
    rules = [_rule(error) for error in errors if _name(error) == name]
    rule = " or ".join(dict.fromkeys(rules))
    if first["type"] == "unexpected_keyword_argument":
        return f"{name} is not a setting{did_you_mean(name, known)}; --cfg job lists them all"
    if first["type"] == "missing":
        return f"{name} is missing; --cfg job shows where it belongs"
    return f"{name} must be {rule}, but got {first['input']!r}"


def _name(error: ErrorDetails) -> str:
    """The dotted name, less the union members that pydantic adds to a location."""
    parts = [str(part) for part in error["loc"]]
    known = [part for part in parts if part.isidentifier() and part not in {"int", "float", "str", "bool"}]
    return ".".join(part for part in known if not part.startswith(("list", "constrained", "literal")))


def _rule(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return f"at least {context['ge']:g}"
        case "greater_than":
            return f"more than {context['gt']:g}"
        case "less_than_equal":
            return f"at most {context['le']:g}"
        case "less_than":
            return f"less than {context['lt']:g}"
        case "literal_error":
            return str(context["expected"]).replace("'", "").replace("False", "false")
        case "int_type" | "int_from_float":
            return "a whole number"
        case "float_type" | "finite_number":
            return "a number"
        case "bool_type":
            return "true or false"
        case "string_type":
            return "a text"
        case "string_too_short" | "too_short":
            return "not empty"
        case "string_too_long":
            return f"at most {context['max_length']} characters"
        case "list_type":
            return "a list, such as [a,b]"
        case "dict_type":
            return "a mapping, such as {a:1}"
        case "string_pattern_mismatch":
            return "a URL that begins with http:// or https://" if "http" in context["pattern"] else _RUN_ID
        case "none_required":
            return "null"
    return error["msg"].removeprefix("Input should be ")
