"""Epochs of the fast-forward's training, where torch finds a device on that. A part of ``gpu.py``.

    python benchmarks/gpu_training.py --figures FILE --results FOLDER [--cluster local] [--set PATH=VALUE ...]

The runs that it learns from are carried out first, and are not on the epochs' clock. The first epoch also
holds what is loaded and chosen once; a second one follows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import ptychosuite
import torch
from parts import write_json
from ptychosuite.api.planning import read_study
from ptychosuite.fastforward.pairs import Pairs, pairs_of
from ptychosuite.fastforward.train import train
from ptychosuite.fastforward.training_file import Training
from ptychosuite.store.read import read_run
from ptychosuite.study.study_file import training_settings

STUDY = Path(__file__).with_suffix(".yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--cluster", default="local")
    parser.add_argument("--width", type=int, help="of the network, by default the bundled one's")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    begin = time.monotonic()
    outcome = ptychosuite.run(
        STUDY, options.settings, results=options.results, cluster=options.cluster, progress=False
    )
    runs_done = time.monotonic()
    results = ptychosuite.open(outcome.results)
    pairs = pairs_of(read_run(results.files[run]) for run in results.table["run_id"])
    settings = training_settings(read_study(STUDY))
    settings = replace(settings, width=options.width or settings.width)
    seconds, history = epochs(pairs, settings, options.results)
    on_gpu = torch.cuda.is_available()
    content = {
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "seconds_of_the_runs": round(runs_done - begin, 2),
        "pairs": len(pairs),
        "seconds_of_each_epoch": seconds,
        "history": history,
        "peak_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
    }
    write_json(options.figures, content)
    print(json.dumps(content, indent=1))


def epochs(pairs: Pairs, settings: Training, folder: Path) -> tuple[list[float], list[Mapping[str, float]]]:
    """Seconds and losses of each epoch, its validation included."""
    ends, history = [time.monotonic()], []

    def note(figures: Mapping[str, float]) -> None:
        ends.append(time.monotonic())
        history.append(dict(figures))

    train(pairs, settings, {"study": STUDY.stem}, folder, note)
    return [round(end - begin, 3) for begin, end in pairwise(ends)], history


if __name__ == "__main__":
    main()
