"""Which compiled function stands in for which plain one."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import ptychosuite
import pytest
from ptychosuite.backends import compiled
from ptychosuite.backends.compiled import NUMBA, TRITON, accelerated, modules_of

PACKAGE = Path(ptychosuite.__file__).parent


def accelerated_functions():
    """Module and name of every function that has a compiled form."""
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(("ptychosuite", *file.relative_to(PACKAGE).with_suffix("").parts))
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and "accelerated" in map(ast.unparse, node.decorator_list):
                yield module, node.name


@pytest.mark.parametrize(("module", "name"), accelerated_functions())
def test_a_compiled_function_lies_beside_its_plain_form(module, name):
    """The module X_kernels or X_triton, or both, has the function of that name, with the same arguments."""
    count = getattr(import_module(module), name).__wrapped__.__code__.co_argcount
    fused = [compiler for compiler in (NUMBA, TRITON) if name in functions_of(f"{module}_{compiler}")]
    assert fused
    assert all(functions_of(f"{module}_{compiler}")[name] == count for compiler in fused)


def functions_of(module):
    """The functions of a module, which need not be there nor importable, and how many arguments they have."""
    file = PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    nodes = ast.parse(file.read_text()).body if file.is_file() else []
    return {node.name: len(node.args.args) for node in nodes if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("compiler", [NUMBA, TRITON])
def test_no_compiled_module_is_left_over(compiler):
    """Every X_kernels and X_triton has an X that asks for it: the fingerprint of a run relies on the name."""
    asking = {f"{module}_{compiler}" for module, _ in accelerated_functions()}
    assert set(modules_of(compiler)) <= asking


@pytest.mark.parametrize("compiler", [NUMBA, TRITON])
def test_no_compiled_function_is_left_over(compiler):
    """Each stands in for a plain one, or another function asks for it."""
    asked_for = {f"{module}_{compiler}.{name}" for module, name in accelerated_functions()}
    texts = [file.read_text() for file in PACKAGE.rglob("*.py")]
    named = {
        node.id if isinstance(node, ast.Name) else node.name
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Name | ast.alias)
    }
    there = {f"{module}.{name}" for module in modules_of(compiler) for name in functions_of(module)}
    assert not [each for each in there - asked_for if each.rpartition(".")[2] not in named]


def test_numba_is_imported_when_it_is_needed():
    """Solvers can be imported, and used in torch, without it."""
    code = (
        "import sys; from ptychosuite.solvers.pie import step_size; import numpy, torch\n"
        "step_size(torch.ones((2, 2), dtype=torch.complex64), 0.5); assert 'numba' not in sys.modules\n"
        "step_size(numpy.ones((2, 2), 'complex64'), 0.5); assert 'numba' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_first_argument_decides():
    """NumPy arrays, subclasses of them included, take the compiled form."""
    from ptychosuite.core.patterns import amplitudes

    counts = np.arange(12, dtype=np.uint16).reshape(3, 2, 2)
    for dtype in (np.dtype("float32"), np.dtype("float64")):
        found = amplitudes(counts, 0.05, dtype)
        np.testing.assert_allclose(found, amplitudes.__wrapped__(counts, 0.05, dtype), rtol=1e-6)
        assert found.dtype == dtype


def test_where_a_gradient_is_followed_the_plain_form_runs(monkeypatch):
    """To whichever argument, as torch sees into no kernel."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(compiled, "is_on_gpu", lambda x: True)
    monkeypatch.setattr(compiled, "has_triton", lambda: True)
    monkeypatch.setattr(compiled, "_of_module", lambda module, name: lambda *args, **kwargs: "kernel")
    chosen = accelerated(lambda *args, **kwargs: "plain")
    held, followed = torch.ones(2), torch.ones(2, requires_grad=True)
    assert chosen(held, 0.5, held, mask=None) == "kernel"
    for arguments, more in (
        ((followed, held), {}),
        ((held, 0.5, followed), {}),
        ((held,), {"mask": followed}),
    ):
        assert chosen(*arguments, **more) == "plain"
    assert chosen(held) == "kernel"
