"""Why runs of a plan are yet to be computed."""

from __future__ import annotations

from collections.abc import Mapping

from ptychosuite.core.plan import Plan
from ptychosuite.registry.fingerprint import Code, code_of
from ptychosuite.store.layout import Store
from ptychosuite.store.place import Place
from ptychosuite.store.read import codes, inventory, readable_run, sessions

FAILED = "failed with the present code"
INTERRUPTED = "planned before; the sweep ended before it came to them"
NO_LIST = "code changed: which files is not known, a version computed them that kept no list"
DAMAGED = "its file is damaged"
NEW = "new, or settings changed"


def why_to_do(plan: Plan, store: Store | None) -> dict[str, str]:
    """Run id -> reason, for every run of ``plan`` that ``store`` does not hold as done.

    The present files are compared with those of the newest stored run of the same specification.
    """
    if store is None:
        return dict.fromkeys(plan.run_ids, NEW)
    held = inventory(store)
    stored = held.files
    manifests = codes(store)
    planned_with_list: dict[str, bool] = {}  # spec_id -> by a version that keeps lists of files
    for session in sessions(store):
        planned_with_list |= dict.fromkeys(session["spec_ids"], "sources" in session["environment"])
    reasons = {}
    for spec, run_id in zip(plan.runs, plan.run_ids, strict=True):
        if run_id in held.done:
            continue
        found = {name: stored[old] for name in manifests if (old := spec.run_id(name)) in stored}
        if run_id in held.failed:
            reasons[run_id] = FAILED
        elif run_id in held.damaged:
            reasons[run_id] = DAMAGED
        elif found:
            reasons[run_id] = f"code changed: {_difference(manifests[_newest(found)], code_of(spec))}"
        elif spec.spec_id in planned_with_list:
            reasons[run_id] = INTERRUPTED if planned_with_list[spec.spec_id] else NO_LIST
        else:
            reasons[run_id] = NEW
    return reasons


def _newest(found: Mapping[str, Place]) -> str:
    """The fingerprint whose run began last."""
    if len(found) == 1:
        return next(iter(found))

    def start(name: str) -> str:
        record = readable_run(found[name])
        return str(record.provenance.get("start", "")) if record else ""

    return max(found, key=start)


def _difference(then: Mapping[str, Mapping[str, str]], now: Code) -> str:
    """What differs between the files and packages of then and now, in words."""
    old, new = then["files"], now.files
    files = {
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "new": [name for name in new if name not in old],
        "gone": [name for name in old if name not in new],
    }
    parts = [f"{', '.join(names)} {what}" for what, names in files.items() if names]
    before, after = then["packages"], now.packages
    parts += [
        f"{name} {before.get(name) or 'not there'} -> {after.get(name) or 'not there'}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name, "") != after.get(name, "")
    ]
    return "; ".join(parts)
