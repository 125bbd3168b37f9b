"""The shape of the code: imports point one way."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def test_imports_point_one_way() -> None:
    """The contracts stand in pyproject.toml, under tool.importlinter."""
    found = subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Contracts: 2 kept, 0 broken" in found.stdout


def test_the_operator_folder_cannot_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
