"""From a gain to a verdict: better than the champion by more than the noise, and by as much as is asked for.

The names are those of MLflow's validation of models, and `min_sigma` for the noise, which that does not know.
"""

from dataclasses import dataclass

from harness.config.schema import GateConfig
from harness.releasing.checks.verdict import CheckKind, Verdict
from harness.releasing.gate.losses import Compared


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was compared: the check's kind, its unit in words; `maximize`: whether more is better."""

    check: CheckKind
    label: str
    unit: str
    maximize: bool

    def value(self, lost: float) -> float:
        return 1 - lost if self.maximize else lost


_ADVICE = ": train longer, on more rows, or otherwise"
LOSS = Measured(check=CheckKind.COMPARISON, label="loss", unit="nats a token", maximize=False)
WINS = Measured(check=CheckKind.JUDGED, label="win rate", unit="of the anchors", maximize=True)


def better(found: Compared, gate: GateConfig, measured: Measured, *, than: str) -> Verdict:
    """Whether it goes into use for that. The figure is the gain, the limit what it must exceed."""
    gain = found.gain
    noise = gain.mean - gain.lower(gate.min_sigma)
    before, after = measured.value(gain.before), measured.value(gain.before - gain.mean)
    change = max(gate.min_absolute_change, gate.min_relative_change * abs(before))
    said = _figures(found, measured, than=than)
    wrong, is_worse = [], gain.mean < 0
    if not is_worse and not gain.mean > noise:
        wrong.append(f"up to {noise:.4f} is noise (gate.min_sigma={gate.min_sigma:g})")
    if not is_worse and gain.mean < change:
        wrong.append(f"{change:.4f} are asked for (gate.min_absolute_change, gate.min_relative_change)")
    if gate.threshold is not None and (after < gate.threshold if measured.maximize else after > gate.threshold):
        wrong.append(f"its {measured.label} {after:.4f} misses gate.threshold={gate.threshold:g}")
    return Verdict(
        check=measured.check,
        passed=not is_worse and not wrong,
        figure=gain.mean,
        limit=max(noise, change),
        said=said + (f", but {', and '.join(wrong)}" if wrong else "") + (_ADVICE if is_worse or wrong else ""),
        details=_details(found, gate, measured),
    )


def no_worse(found: Compared, gate: GateConfig, measured: Measured, *, than: str) -> Verdict:
    """Of what does not decide: it must not be worse by more than the noise."""
    gain = found.gain
    noise = gain.mean - gain.lower(gate.min_sigma)
    passed = gain.mean >= -noise
    said = _figures(found, measured, than=than)
    return Verdict(
        check=measured.check,
        passed=passed,
        figure=gain.mean,
        limit=-noise,
        said=said if passed else f"{said}, which is more than noise ({noise:.4f}): choose by that, or another run",
        details=_details(found, gate, measured),
    )


def only_said(found: Compared, gate: GateConfig, measured: Measured, *, than: str) -> Verdict:
    """Of what does not decide and may be worse."""
    said = f"{_figures(found, measured, than=than)}; the judge decides"
    details = _details(found, gate, measured)
    return Verdict(check=measured.check, passed=True, figure=found.gain.mean, limit=None, said=said, details=details)


def _figures(found: Compared, measured: Measured, *, than: str) -> str:
    gain = found.gain
    word = "better" if gain.mean >= 0 else "worse"
    return f"{word} than {than} by {abs(gain.mean):.4f} ± {gain.error:.4f} {measured.unit} on {found.on}"


def _details(found: Compared, gate: GateConfig, measured: Measured) -> list[str]:
    gain = found.gain
    before, after = measured.value(gain.before), measured.value(gain.before - gain.mean)
    lower = gain.lower(gate.min_sigma)
    return [
        f"{measured.label} {before:.4f} → {after:.4f}; the gain is above {lower:.4f} at {gate.min_sigma:g} standard "
        f"errors (Student's t, {gain.degrees:.1f} degrees of freedom)"
    ]
