"""Kernels are compiled once, when setting up, and their cache notices every change."""

import ast
import subprocess
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "modoptic"


def _jitted(tree: ast.Module) -> set[str]:
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("jit" in ast.unparse(decorator) for decorator in node.decorator_list)
    }


def test_a_kernel_calls_no_kernel_of_another_file() -> None:
    # Numba's cache does not notice a change in another file's callee
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}
    kernels = {path: _jitted(tree) for path, tree in trees.items()}
    everywhere = set[str]().union(*kernels.values())
    assert len(everywhere) > 10
    for path, tree in trees.items():
        foreign = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.name in everywhere
        }
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name in kernels[path]:
                called = {
                    call.func.id
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
                }
                assert not called & foreign, f"{path.name}: {node.name} calls {called & foreign}"


def test_nothing_is_compiled_after_warm(
    command: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    def compiled() -> set[str]:
        return {str(path) for path in SOURCE.rglob("__pycache__/*.nbc")}

    assert command("warm", "--quiet").returncode == 0
    before = compiled()
    assert command("demo", "--once", "--gallery", str(tmp_path / "photos")).returncode == 0
    assert compiled() - before == set()
