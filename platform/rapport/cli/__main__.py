"""`python -m rapport.cli` is the `rapport` command."""

from rapport.cli.app import app

app()
