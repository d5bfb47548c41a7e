"""ptychosuite: benchmarks and reproducible studies of ptychographic reconstruction.

What is public is listed in ``__all__`` and loaded when it is first asked for: ``import ptychosuite`` alone
imports no other package. ``__init__.pyi`` tells type checkers the same.
"""

from importlib import import_module

__version__ = "0.1.0"

_WHERE = {  # name -> module below ptychosuite.api, and what it is called there
    "CheckVerdict": "checking:CheckVerdict",
    "Cleaning": "folders:Cleaning",
    "ComparedStores": "comparing:ComparedStores",
    "Converted": "data_files:Converted",
    "DrawnFigures": "publishing:DrawnFigures",
    "DrawnReport": "watching:DrawnReport",
    "Exported": "publishing:Exported",
    "FineTuned": "fine_tuning:FineTuned",
    "ImportedResult": "importing:ImportedResult",
    "LoopData": "own_loops:LoopData",
    "Merged": "folders:Merged",
    "Page": "publishing:Page",
    "Progress": "following:Progress",
    "Reproduction": "repeating:Reproduction",
    "Results": "results:Results",
    "ShippedStudies": "shipped:ShippedStudies",
    "ShippedStudy": "shipped:ShippedStudy",
    "Stream": "streaming:Stream",
    "StudyPlan": "planning:StudyPlan",
    "Sweep": "sweeping:Sweep",
    "SweepOutcome": "sweeping:SweepOutcome",
    "available": "installation:available",
    "carry_ahead": "own_loops:carry_ahead",
    "cdtools_loop": "own_loops:cdtools_loop",
    "check": "checking:check",
    "clean": "folders:clean",
    "compare": "comparing:compare",
    "convert": "data_files:convert",
    "describe_data": "data_files:describe_data",
    "deviance": "own_loops:deviance",
    "doctor": "installation:doctor",
    "export": "publishing:export",
    "faults": "installation:faults",
    "figures": "publishing:figures",
    "fine_tune": "fine_tuning:fine_tune",
    "import_result": "importing:import_result",
    "list_baselines": "checking:list_baselines",
    "merge": "folders:merge",
    "new_study": "shipped:new_study",
    "open": "results:open_results",
    "parts": "sweeping:parts",
    "plan": "planning:plan",
    "prepare": "sweeping:prepare",
    "ptychi_loop": "own_loops:ptychi_loop",
    "report": "publishing:report",
    "reproduce": "repeating:reproduce",
    "run": "sweeping:run",
    "save_baseline": "checking:save_baseline",
    "schema": "installation:schema",
    "studies": "shipped:studies",
    "train": "training:train",
    "trend": "publishing:trend",
    "watch": "watching:watch",
}

__all__ = [*_WHERE]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'ptychosuite' has no attribute '{name}'")
    module, _, attribute = _WHERE[name].partition(":")
    found = getattr(import_module(f"ptychosuite.api.{module}"), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
