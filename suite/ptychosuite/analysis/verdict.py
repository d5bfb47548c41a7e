"""What a check found and what follows from it: the exit code.

The verdicts of a study's checks, kept beside its results: ``results/<study>/checks/``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from ptychosuite.core.runs import digest
from ptychosuite.errors import StoreError
from ptychosuite.store.layout import Store
from ptychosuite.store.place import Place

SCHEMA = 1  # of the JSON form


class Judgement(StrEnum):
    """What is said of one quantity, or of a whole check."""

    REGRESSION = "regression"
    UNDECIDED = "could not judge"
    IMPROVEMENT = "improvement"  # beyond the tolerance, to the better: suspicious, not red
    GOOD = "good"

    @property
    def exit_code(self) -> int:
        return {Judgement.REGRESSION: 1, Judgement.UNDECIDED: 3}.get(self, 0)


WORST_FIRST = tuple(Judgement)


def worst(judgements: Iterable[Judgement]) -> Judgement:
    """The one that decides; nothing compared is nothing judged."""
    return min(judgements, key=WORST_FIRST.index, default=Judgement.UNDECIDED)


@dataclass(frozen=True)
class Finding:
    """One quantity of one run or group of runs, compared with its baseline."""

    subject: str  # which run or group: "rpie · noise 0.05 · seed 0"
    quantity: str  # "residual at 40", "iterations to tolerance", "status", "time an iteration"
    judgement: Judgement
    baseline: float | None = None  # None where the baseline has none, or it is no number
    found: float | None = None
    tolerance: float | None = None  # relative change up to which nothing is said
    interval: tuple[float, float] | None = None  # 95 %, of the ratio found / baseline
    message: str = ""  # what was found, and what to do where that can be said
    absolute: float = 0.0  # change that is allowed on top, in the quantity's own unit

    @property
    def ratio(self) -> float | None:
        """Found over baseline."""
        if self.baseline is None or self.found is None or self.baseline == 0.0:
            return None
        return self.found / self.baseline


@dataclass(frozen=True)
class Verdict:
    """All findings of one check, and what was compared with what.

    Parameters
    ----------
    study
        Its name.
    when
        UTC, ISO 8601.
    against
        What was compared: {"baseline": NAME, ...}, {"revision": REV, "commit": HASH}.
    environment
        Of this side: versions, hardware, threads.
    findings
        What was judged, one by one.
    """

    study: str
    when: str
    against: Mapping[str, Any]
    environment: Mapping[str, Any]
    findings: Sequence[Finding] = field(default_factory=tuple)

    @property
    def judgement(self) -> Judgement:
        """The worst of the findings."""
        return worst(finding.judgement for finding in self.findings)

    @property
    def worst_first(self) -> list[Finding]:
        """Findings by judgement, and within one by how far the ratio is from one."""

        def badness(finding: Finding) -> tuple[int, float]:
            ratio = finding.ratio
            return WORST_FIRST.index(finding.judgement), -abs(ratio - 1.0) if ratio is not None else 0.0

        return sorted(self.findings, key=badness)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; :meth:`from_dict` reads it back."""
        return {"schema": SCHEMA, "judgement": str(self.judgement), **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        findings = tuple(
            Finding(
                **{
                    **entry,
                    "judgement": Judgement(entry["judgement"]),
                    "interval": tuple(entry["interval"]) if entry["interval"] else None,
                }
            )
            for entry in data["findings"]
        )
        kept = {name: data[name] for name in ("study", "when", "against", "environment")}
        return cls(**kept, findings=findings)


HASH_DIGITS = 8


def keep_verdict(store: Store, verdict: Verdict) -> Place:
    """Write ``verdict`` beside those of earlier checks, none of which is touched; its place is returned.

    Raises
    ------
    StoreError
        The store cannot be written, being another's or read-only. That is no part of the verdict: who calls
        tells that it is not kept, and goes on.
    """
    content = verdict.to_dict()
    time = verdict.when.replace(":", "").replace("+0000", "Z")
    target = store.root / f"checks/{time}-{digest(content)[:HASH_DIGITS]}.json"
    target.create(json.dumps(content, indent=1).encode())  # where it exists it says the same
    return target


def verdicts(store: Store) -> list[Verdict]:
    """The verdicts of ``store``, oldest first.

    Raises
    ------
    StoreError
        One of them is damaged, or another version wrote it.
    """
    checks = store.root / "checks"
    return sorted((_read(checks / key) for key in checks.files()), key=lambda verdict: verdict.when)


def _read(file: Place) -> Verdict:
    try:
        content = json.loads(file.read())
        if content["schema"] == SCHEMA:
            return Verdict.from_dict(content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{file} is no verdict of a check, or damaged ({error}); delete it") from error
    raise StoreError(
        f"{file} has schema version {content['schema']}; this ptychosuite reads version {SCHEMA}. Delete "
        "it, or use the version that wrote it"
    )
