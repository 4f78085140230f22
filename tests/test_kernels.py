"""Kernels are compiled once, when setting up, and their cache notices every change."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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


@pytest.mark.timeout(180)
def test_nothing_is_compiled_after_warm(
    command: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    def compiled() -> set[str]:
        return {str(path) for path in SOURCE.rglob("__pycache__/*.nbc")}

    assert command("warm", "--quiet").returncode == 0
    before = compiled()
    photos = str(tmp_path / "photos")
    assert command("demo", "--once", "--gallery", photos, timeout=150).returncode == 0
    assert compiled() - before == set()


USED = """
import sys
from importlib import import_module
from numba.core.dispatcher import Dispatcher
from modoptic.cli._warm import ROOMS

for room in ROOMS:
    for _ in getattr(import_module(f"modoptic.{room}"), "warm", list)():
        pass

def versions():
    return {
        (name, str(signature))
        for module in tuple(sys.modules.values())
        if getattr(module, "__name__", "").startswith("modoptic")
        for name, kernel in vars(module).items()
        if isinstance(kernel, Dispatcher)
        for signature in kernel.signatures
    }

before = versions()
assert len(before) > 20

from modoptic.frame import Frame, Settings
from modoptic.host._develop import load
from modoptic.host._render import Renderer
from modoptic.isp import Develop, FinderLook, develop, statistics
from modoptic.rawfile import ReplaySource, read_raw, write_dng
from modoptic.twin import Twin

region = (4000, 3000, 512, 512)
for scene in ("studio", "motorcycle", "chart"):
    twin = Twin("phone-1inch", scene, real_time=False)
    twin.start()
    renderer = Renderer()
    for settings in (
        Settings(readout="bin4"),
        Settings(readout="bin4", region=region),
        Settings(readout="bin2", region=region),
        Settings(readout="full", region=region),
        Settings(readout="full", region=region, bits=14),
    ):
        if settings.bits not in twin.info.bits:
            continue
        meta = twin.describe(settings)
        out = bytearray(meta.width * meta.height * 2)
        meta = twin.capture(settings, memoryview(out), lambda rows: None)
        for data in (out, bytes(out)):  # memory of the link may be read-only
            frame = Frame(meta, data)
            renderer.magnifier(frame, FinderLook())
            renderer.finder(frame, FinderLook())
            statistics(frame)
    for params in ({}, {"denoise": 1.0}, {"scale": "half"}):
        develop(frame, Develop(**params), calibration=twin.calibration)
    for compression in ("jpeg", "jpegxl", "none"):
        write_dng("a.dng", frame, twin.calibration, compression=compression)
        develop(read_raw("a.dng").frame, Develop())
load()
replay = ReplaySource(["a.dng"])
replay.start()
settings = replay.in_force(Settings())
meta = replay.describe(settings)
out = bytearray(meta.width * meta.height * 2)
replay.capture(settings, memoryview(out), lambda rows: None)
print(sorted(versions() - before))
"""


def test_no_kernel_is_used_in_a_version_that_warm_left_out(tmp_path: Path) -> None:
    # counted in one process: a version that an earlier run left in the cache is found all the same
    run = subprocess.run(
        [sys.executable, "-c", USED], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
