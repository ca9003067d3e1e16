"""What a gate asks in tests: as shipped, but of few rows and tokens; and a person's reason to pass it by."""

from harness.config.composed import composed
from harness.config.schema import GateConfig, PromoteCommand
from harness.releasing.promotion import Terms

FEW = [
    "gate.memory.texts=1",
    "gate.extraction.rows=4",
    "gate.extraction.tokens=8",
    "gate.forgetting.tokens=16",
    "gate.agreement.rows=2",
]


def quick_gate(*words: str) -> GateConfig:
    return composed([*FEW, *words], PromoteCommand, "promote", listed="conf/gate has them").gate


def quick_terms(*words: str, force: str | None = None) -> Terms:
    return Terms(gate=quick_gate(*words), force=force)


def forced() -> Terms:
    """For checkpoints that no model could be made of."""
    return quick_terms(force="a test")
