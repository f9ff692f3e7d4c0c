"""The `rapport` command. Jobs and the graph run as subprocesses; neither is imported here."""

from rapport.cli.app import app

__all__ = ["app"]
