"""Where the CPU of the web and `llm` processes goes: py-spy's stacks while the gateway is under load.

py-spy is looked for on PATH. The functions that use most by themselves are printed, the stacks kept as files.
"""

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.gateway_sides import LLMLab

SHOWN = 12


@contextmanager
def profiled(ours: LLMLab, directory: Path, seconds: float) -> Iterator[None]:
    """Sample one web process and the worker for so long while the block runs."""
    directory.mkdir(parents=True, exist_ok=True)
    pids = {"web": ours.stack.web_children()[0], "llm": ours.stack.processes["llm"].pid}
    running = {}
    for name, pid in pids.items():
        path = directory / f"{name}.txt"
        command = ["py-spy", "record", "--pid", str(pid), "--duration", str(int(seconds))]
        command += ["--format", "raw", "--rate", "97", "--nonblocking", "--output", str(path)]
        running[path] = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    yield
    for path, process in running.items():
        process.wait(60)
        show(path)


def show(path: Path) -> None:
    """The functions by their own share and by that of all they call."""
    own, whole = Counter[str](), Counter[str]()
    total = 0
    for line in path.read_text().splitlines() if path.exists() else ():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    print(f"{path.stem}: {total} samples")
    for title, counted in (("itself", own), ("with what it calls", whole)):
        for frame, number in counted.most_common(SHOWN):
            print(f"  {number / total:6.1%} {title}: {frame}")
