"""The documents as tests read them: files, blocks of code, commands that scripts accept."""

import argparse
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
"""Written by hand; what `make tables` writes lies in docs/results."""


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def python_calls(text: str) -> list[list[str]]:
    """Words of each call of Python in lines of shell: assignments and pipes left out."""
    calls = []
    for command in re.split(r"[\n|]", text):
        words = shlex.split(command, comments=True)
        while words and re.fullmatch(r"\w+=\S*", words[0]):
            words = words[1:]
        if words[:1] == ["docker"] and "python" in words:
            words = words[words.index("python") :]
        if words and words[0] in ("python", "python3"):
            calls.append(words[1:])
    return calls


class _Parsed(Exception):
    """A parser accepted its command line; nothing may follow."""


def check_accepted(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a script parse its options in this process, and do no more.

    Parameters
    ----------
    words : list of str
        The script, or ``-m`` and a module, then its options.
    """
    parse = argparse.ArgumentParser.parse_args

    def stop(parser, args=None, namespace=None):
        parse(parser, args, namespace)
        raise _Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    if words[0] == "-m":
        module = words[1]
        path = ROOT / (module.replace(".", "/") + ".py")
        if module.startswith("dask"):  # another project's
            return
    else:
        path = ROOT / words[0]
    assert path.is_file(), f"{path.name} is not there"
    if path.parent.name == "benchmarks":  # they import TensorFlow before they parse
        options = [word for word in words if word.startswith("--")]
        assert all(option in path.read_text() for option in options), words
        return
    monkeypatch.setattr(sys, "argv", words[1:] if words[0] == "-m" else words)
    try:
        runpy.run_path(str(path), run_name="__main__")
    except _Parsed:
        return
    except SystemExit as end:
        assert end.code == 0 and "--help" in words, f"refused: {' '.join(words)}"  # noqa: PT017,PT018
        return
    raise AssertionError(f"{path.name} parsed nothing")
