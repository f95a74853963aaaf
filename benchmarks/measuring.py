"""Shared by the benchmarks: phases with seconds and peak memory, tasks in separate processes."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


def memory(field: str, process: int | str = "self") -> int:
    """Memory of a process in MiB: VmRSS (all), RssAnon (without pages of files), VmHWM (peak)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) // 1024
    raise OSError(f"/proc/{process}/status has no {field}")


@contextmanager
def phase(name: str, **about) -> Iterator[None]:
    """Print a JSON line with the seconds and peak memory of the enclosed code."""
    peaks = {"VmRSS": 0, "RssAnon": 0}
    done = threading.Event()

    def sample() -> None:
        while True:
            for field, peak in peaks.items():
                peaks[field] = max(peak, memory(field))
            if done.wait(0.02):
                return

    sampler = threading.Thread(target=sample)
    sampler.start()
    start, start_cpu = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        spent = {
            "seconds": round(time.perf_counter() - start, 3),
            "CPU seconds": round(time.process_time() - start_cpu, 3),
        }
        done.set()
        sampler.join()
        print(json.dumps({"phase": name} | about | spent | peaks), flush=True)


def in_own_process(module: str, *arguments: object) -> list[dict]:
    """Run ``python -m benchmarks.<module> <arguments>``; show and return its JSON lines."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, end="", flush=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def table(rows: list[dict]) -> str:
    """Format rows with equal keys as a Markdown table."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([row[key] for key in head] for row in rows)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
