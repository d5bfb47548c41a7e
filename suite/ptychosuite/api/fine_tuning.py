"""Fine-tuning the fast-forward network to one instrument, on a folder of past reconstructions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ptychosuite.api.display import Displayed, counts_text, text_table
from ptychosuite.api.following import Progress
from ptychosuite.api.planning import File
from ptychosuite.core.counting import count
from ptychosuite.core.runs import RunRecord, digest
from ptychosuite.errors import DamagedFile, StoreError, UserError
from ptychosuite.execute.provenance import environment
from ptychosuite.fastforward.fine_tune import Judged, Scores, TimeLeft, fine_tuned, with_verdict
from ptychosuite.fastforward.network import Checkpoint, Trained, write_atomically
from ptychosuite.fastforward.past_runs import PastScan, of_one_probe_size, past_scans, walked
from ptychosuite.reporting.pictures import draw_training
from ptychosuite.store.imported import imported_files
from ptychosuite.store.layout import Store
from ptychosuite.store.place import Place
from ptychosuite.store.read import inventory, read_run

FOR_READING = 0.35  # of the time, for states that runs have not kept; half of it for the latest scans
RUNS_OF_A_SCAN = 4  # more tell little that is new


@dataclass(frozen=True, repr=False)
class FineTuned(Displayed):
    """What :func:`fine_tune` has found.

    Parameters
    ----------
    file
        The checkpoint; None where it is not better than the one that it began with, and nothing was replaced.
    checkpoint
        The fine-tuned network, better or not, in the folder of the training.
    before, after
        Both networks on the latest scans, which were not trained on.
    scans
        How many scans were learned from, and how many have judged: "earlier" and "latest".
    left_out
        Why other runs could not be learned from, with how many.
    """

    file: Path | None
    checkpoint: Path
    before: Scores
    after: Scores
    scans: Mapping[str, int]
    left_out: Mapping[str, int]

    @property
    def is_better(self) -> bool:
        """Whether the fine-tuned network is better on the latest scans, in both figures."""
        return self.file is not None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "file": None if self.file is None else str(self.file),
            "checkpoint": str(self.checkpoint),
            "better": self.is_better,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "scans": dict(self.scans),
            "left_out": dict(self.left_out),
        }

    def __str__(self) -> str:
        names = {"object_removed": "object's distance removed", "probe_removed": "probe's distance removed"}
        rows = [[told, *(f"{getattr(each, name):.1%}" for each in (self.before, self.after))]
                for name, told in names.items()]  # fmt: skip
        ratios = [f"{each.deviance_ratio:.3f}" for each in (self.before, self.after)]
        rows.append(["deviance, over the solver's alone", *ratios])
        latest = f"on the latest {count(self.scans['latest'], 'scan')}"
        lines = [text_table([latest, "before", "fine-tuned"], rows), ""]
        if self.left_out:
            lines.append(f"runs left out: {counts_text(self.left_out)}")
        if self.file is not None:
            lines.append(f"better in both; checkpoint: {self.file}")
        else:
            lines.append(
                f"not better in both, so nothing was replaced; the network is kept: {self.checkpoint}"
            )
        return "\n".join(lines)


def fine_tune(
    folder: File,
    out: File,
    *,
    minutes: float = 15,
    latest: float = 0.2,
    start: str = "default",
    progress: bool | Progress = True,
) -> FineTuned:
    """Fine-tune the fast-forward network to one instrument, on a folder of past reconstructions.

    Runs that have kept states on the way (``snapshots``) are learned from as they are; of others the first 25
    iterations are done again. Where no truth is known, the end of a run stands for it. The latest scans are
    left out, and judge.

    Parameters
    ----------
    folder
        A results folder, or one that holds several.
    out
        The .safetensors file that gets the network, if it is better. The training is kept beside it, in a
        folder of this name that ends in ``.training``.
    minutes
        Wall time in all, about.
    latest
        Share of the scans that judge: those whose first run ended last.
    start
        The checkpoint to start from: "default", or a .safetensors file.
    progress
        Whether to show how far it has come, and how.

    Raises
    ------
    UserError
        There are fewer than three scans to learn from, or a file cannot be read or written.
    KeyboardInterrupt
        On Ctrl-C; nothing is replaced.
    """
    if not (minutes > 0 and 0 < latest < 1):
        raise UserError(
            f"found minutes {minutes} and latest {latest}; expected minutes above 0, a share below 1"
        )
    shown, left, out = Progress.of(progress), TimeLeft(60 * minutes), Path(out)
    if out.suffix != ".safetensors":
        raise UserError(f"found {out}; expected a file that ends in .safetensors")
    begin = Trained.bundled_files.get(start, Path(start))
    Checkpoint.read(begin)
    with shown.status("reading past runs"):
        past = _past(Path(folder), latest, left)
    shown.say(
        f"{count(len(past.of_earlier), 'run')} of {count(past.scans['earlier'], 'scan')} to learn from, "
        f"{count(past.scans['latest'], 'later scan')} to judge"
    )
    ids = sorted(record.run_id for record in (*past.of_earlier, *past.of_latest))
    card: dict[str, Any] = {"past runs": digest(ids), "folder": Path(folder).name, "truth": TRUTH}
    card |= {key: environment().get(key) for key in ("ptychosuite", "sources", "git_commit")}
    training = out.with_name(f"{out.stem}.training")
    judged = fine_tuned(past.of_earlier, past.of_latest, begin, training, card, left, _epochs(shown))
    return _kept(judged, out, past)


@dataclass(frozen=True)
class _Past:
    """Runs to learn from, and the later ones that judge, with their images and their states on the way."""

    of_earlier: Sequence[RunRecord]
    of_latest: Sequence[RunRecord]
    scans: Mapping[str, int]
    left_out: Mapping[str, int]


def _past(folder: Path, latest: float, left: TimeLeft) -> _Past:
    """What ``folder`` has; states that were not kept are computed again, for a part of the time.

    Raises
    ------
    UserError
        There are too few scans, or the latest cannot judge.
    """
    files = dict(_run_files(folder))
    past = past_scans(_readable(files))
    earlier, judging = past.split(latest)
    of_latest = list(_states(judging, files, TimeLeft(left() * FOR_READING / 2), 1))
    of_earlier = list(_states(earlier[::-1], files, TimeLeft(left() * FOR_READING), RUNS_OF_A_SCAN))
    ids = {record.run_id for record in of_one_probe_size([*of_earlier, *of_latest])}
    of_earlier, of_latest = (
        [each for each in part if each.run_id in ids] for part in (of_earlier, of_latest)
    )
    if not of_latest:
        raise UserError("the latest scans cannot judge: their data are gone, or their probe has another size")
    return _Past(of_earlier, of_latest, {"earlier": len(earlier), "latest": len(judging)}, past.left_out)


TRUTH = "of a simulation its own; of measured data where the run ended"


def _kept(judged: Judged, out: Path, past: _Past) -> FineTuned:
    """The verdict in card and ``metrics.json``; the network in the place of ``out`` if it is better."""
    told = with_verdict(judged)
    told.write(judged.checkpoint)
    metrics = judged.checkpoint.with_name("metrics.json")
    content = json.loads(metrics.read_text()) | {"latest scans": told.card["latest scans"]}
    write_atomically(metrics, json.dumps(content, indent=1).encode())
    draw_training(metrics)
    if judged.is_better:
        write_atomically(out, judged.checkpoint.read_bytes())
    file = out if judged.is_better else None
    return FineTuned(file, judged.checkpoint, judged.before, judged.after, past.scans, past.left_out)


def _run_files(folder: Path) -> Iterator[tuple[str, Place]]:
    """run_id -> file, of all results folders at ``folder`` or in it.

    Raises
    ------
    StoreError
        There are none.
    """
    stores = [Store.find(place) for place in (folder, *sorted(folder.glob("*/")))]
    found = [store for store in stores if store is not None]
    if not found:
        raise StoreError(f"no results in {folder}; expected a results folder, or one that holds several")
    for store in found:
        yield from inventory(store).done.items()
        yield from imported_files(store).items()


def _readable(files: Mapping[str, Place]) -> Iterator[RunRecord]:
    """All runs without their images; a damaged file costs itself alone."""
    for file in files.values():
        try:
            yield read_run(file, images=False)
        except DamagedFile:
            continue


def _states(
    scans: Sequence[PastScan], files: Mapping[str, Place], left: TimeLeft, most: int
) -> Iterator[RunRecord]:
    """Of each scan the latest runs, ``most`` at the most, with images and states, while time is left."""
    for scan in scans:
        for record in scan.records[-most:]:
            whole = walked(read_run(files[record.run_id]), lambda: not left())
            if whole is not None:
                yield whole


def _epochs(shown: Progress) -> Any:
    def say(figures: Mapping[str, float]) -> None:
        shown.say(
            f"epoch {figures['epoch']:.0f}: loss {figures['train_loss']:.4f}, validation "
            f"{figures['validation_loss']:.4f}"
        )

    return say
