"""Public test vectors, which lie beside the repository and not in it."""

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


def shared_file(name: str) -> Path:
    """The path of a file in the shared folder; the test is skipped where it is missing."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the repository")
    return path


def vectors(name: str) -> Any:
    """The content of a JSON file of vectors; the test is skipped where it is missing."""
    return json.loads(shared_file(f"vectors/{name}").read_text(encoding="utf-8"))
