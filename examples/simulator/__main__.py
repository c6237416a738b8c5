"""`python -m examples.simulator [--host 127.0.0.1] [--port 8900] [--pace 1] [--bill FILE] [--smtp PORT]`."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from examples.simulator.app import app
from examples.simulator.billing import kept
from examples.simulator.receivers import mailbox
from examples.simulator.server import serve


async def _run(host: str, port: int, smtp: int | None) -> int:
    try:
        server = await serve(app, host, port)
    except OSError as error:
        print(f"Cannot listen on {host}:{port}: {error.strerror}. Try --port 0.", file=sys.stderr)
        return 1
    # The first line names the address: whoever asked for port 0 reads it.
    print(f"simulator listening on http://{host}:{server.sockets[0].getsockname()[1]}", flush=True)
    if smtp is not None:
        mails = await mailbox.serve(host, smtp)
        print(f"mailbox listening on smtp://{host}:{mails.sockets[0].getsockname()[1]}", flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    server.close()
    return 0


def main() -> int:
    """Parses the arguments and serves until a signal."""
    parser = argparse.ArgumentParser(prog="python -m examples.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("SIMULATOR_PORT", "8900")))
    parser.add_argument(
        "--pace",
        default=os.environ.get("SIMULATOR_PACE", "1"),
        help="1 (the default) answers at a believable speed, 0 at once",
    )
    parser.add_argument(
        "--bill", type=Path, help="a file that keeps what is billed from one start to the next"
    )
    parser.add_argument(
        "--smtp", type=int, help="also a mailbox at this port; see /simulator/receivers/received"
    )
    options = parser.parse_args()
    if options.bill:
        kept.keep_in(options.bill)
    os.environ["SIMULATOR_PACE"] = options.pace
    logging.basicConfig(level=logging.INFO)
    return asyncio.run(_run(options.host, options.port, options.smtp))


if __name__ == "__main__":
    sys.exit(main())
