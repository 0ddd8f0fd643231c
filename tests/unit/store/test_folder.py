import os
import stat
import subprocess
import sys

import pytest

from misocoin.errors import StoreError
from misocoin.store.folder import DataFolder


def test_a_folder_is_made_for_its_owner_alone(tmp_path):
    path = tmp_path / "deep" / "data"
    folder = DataFolder(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / ".lock").stat().st_mode) == 0o600
    folder.close()


def test_a_folder_has_one_user_at_a_time(tmp_path):
    first = DataFolder(tmp_path)
    with pytest.raises(StoreError, match="is in use: is a misocoind running already"):
        DataFolder(tmp_path)
    first.close()
    DataFolder(tmp_path).close()


def test_another_process_counts(tmp_path):
    hold = (
        "import sys; from pathlib import Path; from misocoin.store.folder import DataFolder\n"
        "folder = DataFolder(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match="is in use"):
            DataFolder(tmp_path)
        process.kill()  # a killed holder leaves nothing behind
        process.wait()
        DataFolder(tmp_path).close()


def test_a_path_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="the data folder .* cannot be used: ") as caught:
            DataFolder(path)
        assert "\n" not in str(caught.value)
