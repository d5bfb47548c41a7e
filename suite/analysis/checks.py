"""The verdicts of a study's checks, kept beside its results: ``results/<study>/checks/``."""

from __future__ import annotations

import json

from suite.analysis.verdict import SCHEMA, Verdict
from suite.core.run import digest
from suite.errors import StoreError
from suite.store.layout import Store
from suite.store.place import Place

HASH_DIGITS = 8


def keep_verdict(store: Store, verdict: Verdict) -> Place:
    """Write ``verdict`` beside those of earlier checks, none of which is touched; its place is returned."""
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
