"""Formats by name, and the one way in: read, refuse, look up, append, count."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from rapport.errors import ConfigError, UnknownNameError
from rapport.ingest.batch import Batch, Intake, Reader
from rapport.ingest.counts import Counts, Tally, reasons_of
from rapport.ingest.esconv import read_esconv
from rapport.ingest.landing import KEYS, Landed, land
from rapport.ingest.quarantine import quarantine_rows
from rapport.ingest.simulation import read_simulation
from rapport.lake import Lake
from rapport.schema import PURPOSES
