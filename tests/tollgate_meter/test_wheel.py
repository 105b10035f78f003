"""The package is installed without the server: its wheel has all that it needs and nothing else."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

import tollgate_meter

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
USE = "import tollgate_meter as meter; print(meter.__file__, *meter.__all__)"


def written(path: str) -> Any:
    """Read a project file."""
    return tomllib.loads((ROOT / path).read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of a copy, as an installer does."""
    copy, out = tmp_path_factory.mktemp("copy") / "tollgate_meter", tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "tollgate_meter", copy, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    built = subprocess.run(  # noqa: S603 -- our own command
        [sys.executable, "-c", BUILD, str(out)], cwd=copy, check=True, capture_output=True, text=True
    )
    return out / built.stdout.split()[-1]


def test_the_wheel_has_every_module_and_says_that_it_is_typed(wheel: Path) -> None:
    expected = {f"tollgate_meter/{path.name}" for path in (ROOT / "tollgate_meter").glob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == {
            *expected,
            "tollgate_meter/py.typed",
        }


def test_the_wheel_needs_two_packages_in_the_versions_that_the_server_is_tested_with(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    needed = written("tollgate_meter/pyproject.toml")["dependencies"]
    assert [each.partition(">")[0] for each in needed] == ["httpx2", "msgspec"]
    assert len(metadata.get_all("Requires-Dist") or []) == 2
    server = written("pyproject.toml")
    assert set(needed) <= set(server["dependencies"])
    assert (metadata["Version"], metadata["Requires-Python"]) == (server["version"], server["requires-python"])


def test_the_wheel_is_used_by_itself(wheel: Path, tmp_path: Path) -> None:
    used = subprocess.run(  # noqa: S603 -- our own command
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(wheel)!r}); {USE}"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    place, *names = used.stdout.split()
    assert place.startswith(str(wheel))
    assert names == tollgate_meter.__all__


def test_the_readme_shows_the_example_that_the_docs_show() -> None:
    readme = (ROOT / "tollgate_meter" / "README.md").read_text(encoding="utf-8")
    [example] = readme.split("```python\n")[1:]
    assert f"```python\n{example.partition('```')[0]}```" in (ROOT / "docs" / "metering.md").read_text(encoding="utf-8")
