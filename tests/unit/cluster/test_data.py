import numpy as np

from rapport.cluster.data import embed_texts_ray, map_parts, stream_texts
from rapport.cluster.session import ray_session
from rapport.home import Home
from rapport.testing import tiny_encoder
from rapport.text import load_encoder
from rapport.users.embed import embed_turns


def test_both_runners_give_the_same_vectors_in_the_same_order(tmp_path):
    folder = tiny_encoder(tmp_path / "encoder")
    uri = f"file:{folder}"
    texts = [f"{'word ' * (i % 9)}number {i}" for i in range(150)]
    here = embed_turns(texts, load_encoder(uri))
    with ray_session(Home(tmp_path / "home"), cpus=2):
        there = embed_texts_ray(texts, encoder_uri=uri, batch_size=32)
        assert list(stream_texts([], encoder_uri=uri)) == []
    assert there.dtype == np.float32
    # Batches differ between the runners, and bf16 keeps 8 bits: cosine is what must agree.
    assert ((here * there).sum(axis=1) > 0.9999).all()


def test_parts_come_back_in_order_whoever_runs_them(tmp_path):
    items = [(n, f"{'long ' * n}") for n in range(9)]

    def measured(item):
        return item[0], len(item[1])

    with ray_session(Home(tmp_path / "home"), cpus=2):
        assert list(map_parts(measured, items, tasks=4)) == list(map(measured, items))
