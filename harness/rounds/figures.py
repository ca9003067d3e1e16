"""What came of a round, from the files that it left and its sweep: lines, decisions, champion.

Computes; does not show, and keeps nothing.
"""

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.data.reviews import DECISIONS, Decided, Decision, read_review
from harness.judging.agreement import WORTH
from harness.reviewing.judged import read_judged
from harness.reviewing.measures import Share
from harness.reviewing.texts import read_texts
from harness.rounds.folder import TRAINED_ON, Folder
from harness.rounds.source import Champion
from harness.rounds.state import Round, Step


@dataclass(frozen=True, kw_only=True)
class Lines:
    """To train on. `digest`: SHA-256 of the file."""

    rows: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Figures:
    """`trained_on`: by the champion; `made`: for the next round; None while it is not there. `texts`: that were shown.

    `agrees`: of pairs in the judge's blocks that were decided differently, those in which it put the better one first.
    `valid`: the digest of the rows that the champion was scored on: scores of other rows are not comparable.
    """

    number: int
    sweep: str
    champion: str
    step: int
    label: str
    score: float
    valid: str
    trained_on: Lines | None
    texts: int | None
    accepted: int
    edited: int
    dropped: int
    skipped: int
    agrees: Share
    made: Lines | None

    @property
    def kept(self) -> Share:
        """Of those that were decided on, accepted as they are or edited."""
        kept = self.accepted + self.edited
        return Share("kept", kept, kept + self.dropped)

    @property
    def decided(self) -> int:
        return self.accepted + self.edited + self.dropped + self.skipped

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"kept": self.kept.to_json(), "agrees": self.agrees.to_json()}

    @property
    def metrics(self) -> dict[str, float]:
        """For MLflow."""
        found = {"round/champion": self.score, "round/decided": float(self.decided)}
        found |= {f"round/{name}": float(getattr(self, name)) for name in ("accepted", "edited", "dropped", "skipped")}
        if self.kept.of:
            found |= {f"round/{name}_rate": getattr(self, name) / self.kept.of for name in ("accepted", "edited")}
            found |= {
                "round/dropped_rate": self.dropped / self.kept.of,
                "round/kept_rate": self.kept.hits / self.kept.of,
            }
        found |= {"round/judge_agreement": self.agrees.hits / self.agrees.of} if self.agrees.of else {}
        for name, lines in (("trained_on", self.trained_on), ("made", self.made)):
            found |= {} if lines is None else {f"round/rows_{name}": float(lines.rows)}
        return found


def figures_of(current: Round, champion: Champion) -> Figures:
    """As far as the round has come."""
    decided = _decided(current)
    counts = Counter(decided.values())
    return Figures(
        number=current.number,
        sweep=current.sweep,
        champion=champion.run.run_id,
        step=champion.step,
        label=champion.label,
        score=champion.score,
        valid=champion.valid,
        trained_on=lines_of(Folder(champion.data)),
        texts=len(read_texts(current.samples).texts)
        if current.samples.exists() and Step.GENERATE in current.done
        else None,
        accepted=counts[Decision.ACCEPT],
        edited=counts[Decision.EDIT],
        dropped=counts[Decision.DELETE],
        skipped=counts[Decision.SKIP],
        agrees=_agreement(current, decided),
        made=lines_of(Folder(current.data)) if Step.PREPARE in current.done else None,
    )


def decisions_of(current: Round) -> Counter[Decision]:
    """How often each was made; none before the review's files are written."""
    return Counter(_decided(current).values())


def _decided(current: Round) -> dict[str, Decision]:
    """By the id of a sample."""
    file = current.review / DECISIONS
    pieces = [piece for piece in read_review(file) if isinstance(piece, Decided)] if file.is_file() else []
    return {str(piece.sample): piece.decision for piece in pieces}


def _agreement(current: Round, decided: Mapping[str, Decision]) -> Share:
    """None of none where nobody judged or nothing was decided."""
    orders = read_judged(current.ranking).orders if current.ranking.is_file() else ()
    pairs = [pair for order in orders for pair in itertools.combinations(order, 2)]
    worth = [(WORTH.get(decided.get(better, "")), WORTH.get(decided.get(worse, ""))) for better, worse in pairs]
    right = [one > other for one, other in worth if one is not None and other is not None and one != other]
    return Share("pairs in which the judge preferred what was", sum(right), len(right))


def lines_of(folder: Folder) -> Lines | None:
    """None where they are gone."""
    digest = folder.digest()
    if digest is None:
        return None
    with (folder.path / TRAINED_ON).open("rb") as opened:
        return Lines(rows=sum(bool(line.strip()) for line in opened), digest=digest)
