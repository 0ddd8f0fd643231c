"""Minting and checking stamps on the command line."""

import io

import pytest

from misocoin.cli.hashcash import main


def minted(capsys, *words):
    assert main(["mint", "-bits=12", *words]) == 0
    return capsys.readouterr().out.split()


def test_what_is_minted_is_good_once(capsys, tmp_path):
    stamps = minted(capsys, "-datewidth=12", "-ext=a=b", "you@example.org", "me@example.org")
    assert [stamp.split(":")[3] for stamp in stamps] == ["you@example.org", "me@example.org"]
    assert all(len(stamp.split(":")[2]) == 12 for stamp in stamps)
    check = ["check", "-bits=12", f"-spent={tmp_path / 'spent'}"]
    assert main([*check, "-resource=YOU@example.org", stamps[0]]) == 0
    assert main([*check, *stamps]) == 1
    assert capsys.readouterr().err == f"{stamps[0]}: spent stamp\n"
    assert main([*check, stamps[1]]) == 0


def test_stamps_come_from_standard_input(capsys, monkeypatch):
    stamps = minted(capsys, "a", "b")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(stamps)))
    assert main(["check", "-bits=12"]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*stamps, "nonsense"])))
    assert main(["check", "-bits=12"]) == 1
    assert capsys.readouterr().err == "nonsense: not a hashcash stamp of version 1\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-bits=40"], "cheap stamp: it claims 12 bits, not 40"),
        (["-bits=12", "-resource=b"], "foreign stamp: it is for 'a'"),
    ],
)
def test_what_does_not_pay(capsys, words, complaint):
    (stamp,) = minted(capsys, "a")
    assert main(["check", *words, stamp]) == 1
    assert complaint in capsys.readouterr().err


def test_a_file_that_is_no_file_of_stamps(capsys, tmp_path):
    (stamp,) = minted(capsys, "a")
    path = tmp_path / "spent"
    path.write_text("something else, and long enough to be seen for what it is" * 50)
    assert main(["check", "-bits=12", f"-spent={path}", stamp]) == 1
    assert f"misocoin hashcash: {path} cannot be used" in capsys.readouterr().err
