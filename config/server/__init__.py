"""Our daphne launcher, `python -m config.server`: several processes on one socket, bounded, drained on SIGTERM.

daphne alone spools any body before Django sees it, never times out a slow client, buffers without end for a slow reader
and drops requests on SIGTERM (reliability-cases F8). The limits live in front of the application, where they can work.
"""
