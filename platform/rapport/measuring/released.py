"""What a release gives to a measurement: its parts, the models it was made with, its users."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from rapport.config import JobConfig, resolve
from rapport.errors import BrokenReleaseError
from rapport.home import Home, user_key
from rapport.lake import Lake
from rapport.models import model_id, pull
from rapport.release import Manifest, current, find, verify
from rapport.text import TextEncoder, load_encoder
from rapport.users.split import part_of

ENCODING, ADAPTING = "embed_users", "train_adapters"
"""Jobs whose records name the text encoder and the language model."""


@dataclass(frozen=True)
class Released:
    """A published release of a home, its hashes verified."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """Alias and id."""
        return f"{self.manifest.alias} ({self.manifest.release_id})"

    @property
    def encoder_uri(self) -> str:
        """URI of the text encoder it was made with."""
        return self._uri(ENCODING, "encoder")

    def text_encoder(self) -> TextEncoder:
        """The text encoder it was made with.

        Raises:
            ModelError: It cannot be had.
            BrokenReleaseError: What is called so now has other weights.
        """
        uri = self.encoder_uri
        encoder = load_encoder(uri)
        self._check(ENCODING, uri, encoder.encoder_id)
        return encoder

    def language_model(self) -> Path:
        """Folder of the language model its adapters were trained on; raises as `text_encoder`."""
        uri = self._uri(ADAPTING, "language_model")
        folder = pull(uri)
        self._check(ADAPTING, uri, model_id(folder))
        return folder

    def _uri(self, job: str, setting: str) -> str:
        """A model's URI as the job's record states it; a release without one takes ours."""
        record = self.manifest.jobs.get(job)
        stated = record.settings.get(setting) if record else None
        return str(stated or getattr(resolve(JobConfig), setting))

    def _check(self, job: str, uri: str, found: str) -> None:
        record = self.manifest.jobs.get(job)
        stated = record.models.get(uri, found) if record else found
        if stated != found:
            reason = f"it was made with {stated}, {uri} is {found} now"
            raise BrokenReleaseError(self.manifest.release_id, job, reason)


def released(home: Home, name: str | None) -> Released | None:
    """The release of a name (id, start of an id, or alias), else the one that serves, if any.

    Raises:
        UnknownNameError: None is called so.
        BrokenReleaseError: Its hashes do not hold.
    """
    folder = current(home.releases) if name is None else find(home.releases, name)
    return None if folder is None else Released(folder, verify(folder))


def taught_by(home: Home, users: Iterable[str], *, tenant: str) -> frozenset[str]:
    """Those of the keyed users that a release of this home may have learned from or been tuned on.

    A user of its lake is one, unless dealt to the gate. In a file that was taken out of the lake
    users are hashed already, so that reading it hashes them twice; they are known all the same.
    """
    lake, secret = Lake(home.lake), home.secret()
    rows = lake.scan("user_embeddings").filter(pl.col("tenant") == tenant)
    known = rows.select("user_id").unique().collect().to_series().to_list()
    taught = {user for user in known if part_of(user) != "gate"}
    twice = {user_key(secret, tenant, user) for user in taught}
    return frozenset(users) & (taught | twice)
