"""The tree of errors, split by who must act.

RapportError                     exit code 1
├── ConfigError                  the operator: nothing ran (exit 2)
│   ├── UnknownNameError         an id, name, table or path that does not exist
│   ├── UsageError               a command line that is no command
│   ├── LockedError              another process holds this home's lock
│   └── ModelError               a model cannot be had
│       ├── ModelHashError       its bytes are not the pinned ones
│       └── ModelFetchError      no network, no disk, no such package
├── DataError                    the producer of the rows
│   ├── RowError                 one row is wrong: it goes to quarantine
│   ├── TooLittleDataError       a fit needs more rows than there are
│   └── BrokenReleaseError       a release does not match its manifest
├── GateRefusedError             the gate said no (exit 3)
├── BudgetError                  a stage ran out of time before its first result
├── MachineError                 the machine has no space, memory or permission for it
├── StoppedError                 somebody stopped it: Ctrl-C (exit 130) or SIGTERM (exit 143)
└── ServingError                 the caller of the HTTP API (400; carries a status)
    ├── UnauthorizedError        no valid key (401)
    ├── ForbiddenError           the key does not open this (403)
    ├── NotFoundError            the id was not issued here (404)
    ├── SlowRequestError         the body did not arrive in time (408)
    ├── ConflictError            it contradicts what is on record (409)
    ├── TooLargeError            the body is beyond the limit (413)
    ├── TooManyRequestsError     the key asks faster than it may (429, Retry-After)
    ├── UpstreamRefusedError     the attached model server refuses this request (400)
    └── UnavailableError         something is down, try again (503, Retry-After)
        ├── StoreDownError       the store does not answer: nothing was written
        ├── UpstreamDownError    the attached model server is
        └── UpstreamSetupError   it refuses Rapport itself: the operator must act

Arguments are the facts, in order: Ray pickles errors by them. Messages never hold user text.
"""

from collections.abc import Sequence
from difflib import get_close_matches


class RapportError(Exception):
    """Anything Rapport raises on purpose."""

    code = "rapport_error"
    exit_code = 1


class ConfigError(RapportError):
    """A setting, flag or file is wrong; nothing ran."""

    code = "config"
    exit_code = 2

    setting: str | None = None
    """The setting, flag or field that is wrong, where it is one."""

    def __init__(self, setting: str, value: object, remedy: str) -> None:
        super().__init__(setting, value, remedy)
        self.setting, self.value, self.remedy = setting, value, remedy

    def __str__(self) -> str:
        return f"{self.setting} is {self.value!r}: {self.remedy}"


class UnknownNameError(ConfigError):
    """A name that nothing here carries."""

    code = "unknown_name"

    def __init__(self, kind: str, name: str, known: Sequence[str]) -> None:
        RapportError.__init__(self, kind, name, tuple(known))
        self.kind, self.name, self.known = kind, name, tuple(known)

    def __str__(self) -> str:
        known = ", ".join(self.known[:12]) or "none yet"
        near = get_close_matches(self.name, self.known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        return f"no {self.kind} is called {self.name!r}; {meant}known: {known}"


class UsageError(ConfigError):
    """A command line that cannot be understood."""

    code = "usage"

    def __init__(self, what: str, remedy: str, setting: str | None = None) -> None:
        RapportError.__init__(self, what, remedy, setting)
        self.what, self.remedy, self.setting = what, remedy, setting

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


class LockedError(ConfigError):
    """Another process holds a lock of this home."""

    code = "locked"

    def __init__(self, lock: str, home: str, holder: str) -> None:
        RapportError.__init__(self, lock, home, holder)
        self.lock, self.home, self.holder = lock, home, holder

    def __str__(self) -> str:
        return (
            f"the {self.lock!r} lock of {self.home} is held by {self.holder}; "
            "wait for it, stop it, or use another --home"
        )


class ModelError(ConfigError):
    """A model cannot be used."""

    code = "model"


class ModelHashError(ModelError):
    """A model's bytes are not the ones that were pinned."""

    code = "model_hash"

    def __init__(self, uri: str, expected: str, found: str) -> None:
        RapportError.__init__(self, uri, expected, found)
        self.uri, self.expected, self.found = uri, expected, found

    def __str__(self) -> str:
        return (
            f"model {self.uri!r} has sha256 {self.found}, pinned is {self.expected}; "
            "delete the file and pull again, or pin the new hash if you trust it"
        )


class ModelFetchError(ModelError):
    """A model could not be fetched or written."""

    code = "model_fetch"

    def __init__(self, uri: str, reason: str, remedy: str) -> None:
        RapportError.__init__(self, uri, reason, remedy)
        self.uri, self.reason, self.remedy = uri, reason, remedy

    def __str__(self) -> str:
        return f"model {self.uri!r} could not be fetched ({self.reason}); {self.remedy}"


class DataError(RapportError):
    """Rows from outside are not what they must be."""

    code = "data"

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what, self.remedy = what, remedy

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


class RowError(DataError):
    """One row is wrong; its neighbours go on."""

    code = "row"

    def __init__(self, field: str, reason: str) -> None:
        RapportError.__init__(self, field, reason)
        self.field, self.reason = field, reason

    def __str__(self) -> str:
        return f"field {self.field!r}: {self.reason}"


class TooLittleDataError(DataError):
    """A fit needs more rows than there are. A job that raises it is skipped, and says so."""

    code = "too_little_data"

    def __init__(self, what: str, have: int, need: int, remedy: str = "ingest more logs") -> None:
        RapportError.__init__(self, what, have, need, remedy)
        self.what, self.have, self.need, self.remedy = what, have, need, remedy

    @property
    def facts(self) -> dict[str, str | int]:
        """What it says, in parts; none of it is a user's."""
        return {"what": self.what, "have": self.have, "need": self.need, "remedy": self.remedy}

    def __str__(self) -> str:
        return f"{self.what}: {self.have} rows, at least {self.need} are needed; {self.remedy}"


class BrokenReleaseError(DataError):
    """A release does not match its manifest."""

    code = "broken_release"

    def __init__(self, release_id: str, file: str, reason: str) -> None:
        RapportError.__init__(self, release_id, file, reason)
        self.release_id, self.file, self.reason = release_id, file, reason

    def __str__(self) -> str:
        return f"release {self.release_id!r} is broken at {self.file!r}: {self.reason}"


class GateRefusedError(RapportError):
    """The gate said no to a candidate."""

    code = "gate_refused"
    exit_code = 3

    def __init__(self, candidate: str, reasons: Sequence[str]) -> None:
        super().__init__(candidate, tuple(reasons))
        self.candidate, self.reasons = candidate, tuple(reasons)

    def __str__(self) -> str:
        return f"candidate {self.candidate!r} is refused: " + "; ".join(self.reasons)


class BudgetError(RapportError):
    """A stage spent its budget before it had anything to keep."""

    code = "budget"

    def __init__(self, stage: str, budget_s: float) -> None:
        super().__init__(stage, budget_s)
        self.stage, self.budget_s = stage, budget_s

    def __str__(self) -> str:
        return f"{self.stage} had nothing to keep after its {self.budget_s:g} s; raise budget_s"


class MachineError(RapportError):
    """The machine refuses: no space, no memory, no permission."""

    code = "machine"

    def __init__(self, reason: str, place: str, remedy: str) -> None:
        super().__init__(reason, place, remedy)
        self.reason, self.place, self.remedy = reason, place, remedy

    def __str__(self) -> str:
        where = f" at {self.place!r}" if self.place else ""
        return f"{self.reason}{where}; {self.remedy}"


class StoppedError(RapportError):
    """Somebody asked for the end; what was done is kept."""

    code = "stopped"

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number

    def __str__(self) -> str:
        how = "interrupted" if self.exit_code == 130 else "terminated"
        return f"{how}; nothing is left half-done, and the same command goes on from here"


class ServingError(RapportError):
    """A request cannot be answered; becomes an HTTP error body."""

    code = "invalid_request"
    status = 400
    retry_after_s: float | None = None
    """Seconds after which trying again may help, none where it will not."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message, param)
        self.message, self.param = message, param

    def __str__(self) -> str:
        return self.message


class UnauthorizedError(ServingError):
    """The key is missing, unknown, expired or revoked."""

    code = "unauthorized"
    status = 401


class ForbiddenError(ServingError):
    """The key is valid, but lacks the scope or is bound to other agents."""

    code = "forbidden"
    status = 403


class NotFoundError(ServingError):
    """The id named in the request was not issued here."""

    code = "not_found"
    status = 404


class SlowRequestError(ServingError):
    """The request's body did not arrive in time."""

    code = "request_timeout"
    status = 408


class ConflictError(ServingError):
    """The request contradicts what is on record under the same id."""

    code = "conflict"
    status = 409


class TooLargeError(ServingError):
    """The request's body is beyond the limit."""

    code = "too_large"
    status = 413


class TooManyRequestsError(ServingError):
    """A key asks faster, or more at once, than it may."""

    code = "rate_limited"
    status = 429

    def __init__(self, message: str, retry_after_s: float) -> None:
        RapportError.__init__(self, message, retry_after_s)
        self.message, self.param, self.retry_after_s = message, None, retry_after_s


class UnavailableError(ServingError):
    """Something the answer needs is down; the caller may try again."""

    code = "unavailable"
    status = 503
    retry_after_s = 2.0


class StoreDownError(UnavailableError):
    """The store does not answer; nothing was written."""

    code = "store_unavailable"


class UpstreamDownError(UnavailableError):
    """The model server that is attached did not answer, or not to the end.

    Raised by `language.upstream`; serving answers with an approved reply where it may.
    """

    code = "upstream_unavailable"

    def __init__(self, reason: str) -> None:
        RapportError.__init__(self, reason)
        self.reason, self.param = reason, None
        self.message = f"the upstream is {reason}; try again"


class UpstreamSetupError(UnavailableError):
    """The model server refuses Rapport itself: its key, its model, its address."""

    code = "upstream_setup"

    def __init__(self, status: int, setting: str, remedy: str) -> None:
        RapportError.__init__(self, status, setting, remedy)
        self.upstream_status, self.remedy, self.param = status, remedy, None
        self.message = (
            f"the upstream answered {status} to Rapport's own {setting}, not to yours; {remedy}"
        )


class UpstreamRefusedError(ServingError):
    """The model server refuses this request; it says which field, not what was in it."""

    code = "upstream_refused"

    def __init__(self, status: int, reason: str | None, param: str | None) -> None:
        RapportError.__init__(self, status, reason, param)
        self.reason, self.param = reason, param
        self.status = status if status in (408, 413) else 400
        said = ", ".join(
            f"{name} {value!r}" for name, value in (("code", reason), ("field", param)) if value
        )
        self.message = f"the upstream refused the request ({status}{', ' if said else ''}{said})"
