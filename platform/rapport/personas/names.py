"""Names of personas: short, readable, and saying nothing about the people in them."""

from collections.abc import Collection

import numpy as np

WORDS = (
    "alder", "amber", "aspen", "birch", "brook", "cedar", "cliff", "clover", "coral", "dune",
    "ember", "fern", "fjord", "flint", "glade", "grove", "harbor", "hazel", "heron", "indigo",
    "iris", "ivory", "jade", "juniper", "lagoon", "larch", "linden", "maple", "marsh", "meadow",
    "mesa", "moss", "ochre", "olive", "onyx", "opal", "otter", "pine", "plover", "quartz",
    "reed", "ridge", "river", "robin", "rowan", "sage", "shore", "slate", "sorrel", "swift",
    "tern", "thyme", "topaz", "umber", "vale", "willow", "wren", "yarrow", "yew", "zephyr",
)  # fmt: skip


def new_names(count: int, *, seed: int, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Draw names like `fern-03`, each with a word of its own, none of them taken.

    Args:
        count: How many, at most the 60 words less those taken.
        seed: The same seed and `taken` give the same names.
        taken: Names in use; their words are left alone as well.
    """
    used = {name.partition("-")[0] for name in taken}
    rng = np.random.default_rng(seed)
    free = [word for word in WORDS if word not in used]
    words = rng.permutation(free)[:count]
    numbers = rng.integers(1, 100, len(words))
    return tuple(f"{word}-{number:02d}" for word, number in zip(words, numbers, strict=True))
