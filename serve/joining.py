"""The light nodes joined over a home: all of the graph but the writing of replies. No Ray."""

from dataclasses import dataclass

from rapport.affect.scorers import load_scorer
from rapport.errors import ConfigError
from rapport.governance.guard import Guard
from rapport.governance.tenants import load_tenants
from rapport.home import home_of
from rapport.language.upstream import Upstream
from rapport.store import GroupCommitter, Store, open_store
from rapport.text import load_encoder

from .bundle import Bundles
from .doors import Doors
from .exchange import Exchanges
from .feedback import Feedbacks
from .gateway import Gateway
from .ledger import Keeper, Ledger
from .lookback import LookBack
from .metrics import Metrics
from .minds import Minds
from .nudges import NudgeDesk
from .parties import Parties
from .personalizer import Personalizer
from .ranking import Writer
from .reading import Reader
from .settings import AppConfig
from .upstream import UpstreamWriter
from .watch import Watch


@dataclass(frozen=True)
class Light:
    """The light nodes, joined."""

    gateway: Gateway
    exchanges: Exchanges
    watch: Watch
    store: Store
    committer: GroupCommitter
    keeper: Keeper

    def close(self) -> None:
        """Write what waits and give the store back."""
        self.keeper.close()
        self.committer.close()
        self.store.close()


def load_reader(config: AppConfig) -> Reader:
    """Load what reads messages and replies: about 90 MB of encoder, and the affect scorer."""
    encoder = load_encoder(config.encoder)
    scorer = load_scorer(home_of(config).root / "models", encoder_id=encoder.encoder_id)
    return Reader(encoder, scorer, Guard(encoder))


def join(config: AppConfig, writer: Writer | None = None, reader: Reader | None = None) -> Light:
    """Join gateway, router and reranker over a home.

    Args:
        config: The graph's settings.
        writer: What writes replies; needed unless an upstream does, which is asked from here.
        reader: What reads messages; without one it is loaded here.
    """
    home, reader = home_of(config), reader or load_reader(config)
    upstream = config.upstream
    writer = UpstreamWriter(Upstream(upstream)) if upstream else writer
    if writer is None:
        raise ConfigError("upstream", None, "attach one, or give a writer")
    store = open_store(home.store_url)
    encoder_id = reader.encoder.encoder_id
    bundles, minds = Bundles(home.releases), Minds(store, encoder_id)
    tenants, metrics = load_tenants(home.tenants), Metrics()
    committer = GroupCommitter(store, seconds=metrics.commit.observe)
    parties = Parties(
        store,
        secret=home.secret(),
        tenants=tenants,
        base_model=upstream.model if upstream else config.base_model,
    )
    ledger = Ledger(committer, parties, encoder_id=encoder_id, lease_s=config.lease_s)
    exchanges = Exchanges(
        bundles=bundles,
        store=store,
        reader=reader,
        minds=minds,
        parties=parties,
        ledger=ledger,
        writer=writer,
        explore=config.explore,
        mode=config.mode,
        upstream=upstream.model if upstream else None,
        deadline_s=config.deadline_s,
    )
    lookback = LookBack(
        store=store,
        parties=parties,
        minds=minds,
        bundles=bundles,
        releases=home.releases,
        encoder_id=encoder_id,
    )
    nudges = NudgeDesk(store, parties)
    feedbacks = Feedbacks(store, committer, reader.scorer, tenants=tenants, metrics=metrics)
    personalizer = Personalizer(
        exchanges=exchanges, feedbacks=feedbacks, tenants=tenants, metrics=metrics
    )
    gateway = Gateway(
        exchanges=exchanges,
        feedbacks=feedbacks,
        others=[*personalizer.routes(), *lookback.routes(), *nudges.routes()],
        doors=Doors(store, tenants),
        metrics=metrics,
        limits=config.limits,
    )
    watch = Watch(bundles, store, poll_s=config.poll_s)
    keeper = Keeper(ledger, store, lease_s=config.lease_s)
    return Light(gateway, exchanges, watch, store, committer, keeper)
