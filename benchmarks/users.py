"""The dashboard with 200 users who ask without a pause: ``python -m benchmarks.users``.

They ask for what its pages ask for: the list of results, metrics, scores, thresholds and rows of
what lies in ``results/``, at random. The goal is a second for 99 of 100 answers, all of them right.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np

from benchmarks.measuring import ROOT, memory

PORT = 8097
SITE = f"http://127.0.0.1:{PORT}"
GOAL = 1.0


def start(results: Path) -> subprocess.Popen:
    """Start a dashboard and wait until it answers."""
    command = [sys.executable, "dashboard.py", "--results", str(results), "--port", str(PORT)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    for _ in range(300):
        try:
            urlopen(SITE)
        except OSError:
            time.sleep(0.1)
        else:
            return server
    raise OSError(f"no dashboard at {SITE} within 30 seconds")


def addresses(data_sets: list[str]) -> list[str]:
    """What pages ask for, as far as it is there; each has been asked for once."""
    found = ["/", "/api/results"]
    for listed in json.load(urlopen(f"{SITE}/api/results"))["listed"]:
        if listed["data_set"] not in data_sets or listed["problem"]:
            continue
        place = {k: listed[k] for k in ("data_set", "protocol", "seed", "experiment", "part")}
        found.append("/api/metrics?" + urlencode({k: place[k] for k in ("data_set", "protocol")}))
        for run in ("Ensemble-n100", "A3-n100", "IsolationForest"):
            query = place | {"view": next(iter(listed["views"])), "run": run}
            found += [f"/api/{name}?{urlencode(query)}" for name in ("scores", "thresholds")]
            found.append(f"/api/rows?{urlencode(query | {'threshold': 0})}")
    return [address for address in dict.fromkeys(found) if _status(address) == 200]


def _status(address: str) -> int:
    try:
        return urlopen(SITE + address).status
    except OSError as error:  # HTTPError is one
        return getattr(error, "code", 0)


async def ask(addresses: list[str], users: int, seconds: float) -> tuple[np.ndarray, int]:
    """Seconds of each answer, and how many were not 200."""
    times, wrong, end = [], 0, time.perf_counter() + seconds

    async def user(seed: int) -> None:
        nonlocal wrong
        rng = random.Random(seed)
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        while (begun := time.perf_counter()) < end:
            request = f"GET {rng.choice(addresses)} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\n\r\n"
            writer.write(request.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = head.partition("content-length: ")[2].partition("\r\n")[0]
            await reader.readexactly(int(length))
            wrong += not head.startswith("http/1.1 200")
            times.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*map(user, range(users)))
    return np.array(times), wrong


def main() -> int:
    """Print answers, seconds and memory; fail where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="default: results")
    parser.add_argument(
        "--data_sets", nargs="+", default=["digits", "mammography", "mnist", "nslkdd"]
    )
    parser.add_argument("--users", type=int, default=200, help="default: 200")
    parser.add_argument("--seconds", type=float, default=60, help="default: 60")
    args = parser.parse_args()
    server = start(args.results)
    try:
        asked = addresses(args.data_sets)
        times, wrong = asyncio.run(ask(asked, args.users, args.seconds))
        peak = memory("VmHWM", server.pid)
    finally:
        server.terminate()
    p50, p99 = np.quantile(times, (0.5, 0.99))
    found = {"addresses": len(asked), "answers": len(times), "wrong": wrong}
    found |= {"p50_s": round(p50, 3), "p99_s": round(p99, 3), "goal_s": GOAL, "peak_mib": peak}
    print(json.dumps(found))
    return int(wrong > 0 or p99 > GOAL)


if __name__ == "__main__":
    raise SystemExit(main())
