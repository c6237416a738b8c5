"""Langfuse's HTTP API as its SDKs up to version 2 speak it: the batch door, and the reads they make."""
