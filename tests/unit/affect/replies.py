"""Made-up labelled texts for tests of the scorers: two moods, three kinds of reply."""

import numpy as np

GLAD = ("great", "lovely", "happy", "wonderful", "glad", "delighted")
LOW = ("awful", "sad", "terrible", "lonely", "hopeless", "worried")
SUBJECTS = ("my work", "the exam", "our house", "this week", "the city", "her letter", "the dog")
TEMPLATES = {
    "question": ("What do you think of {}?", "How long has it been about {}?", "Who knows of {}?"),
    "suggestion": ("You could try {} again.", "Maybe take a walk past {}.", "Try to put {} aside."),
    "reflection": ("It sounds as if {} weighs on you.", "I hear how much {} hurts."),
}


def messages(count, *, seed=0):
    """Texts and whether each is glad (1) or low (0)."""
    rng = np.random.default_rng(seed)
    glad = rng.integers(2, size=count)
    texts = [
        f"I feel {rng.choice(GLAD if mood else LOW)} about {rng.choice(SUBJECTS)}" for mood in glad
    ]
    return texts, glad.astype(np.float32)


def replies(count, *, seed=0):
    """Texts of replies and the arm of each."""
    rng = np.random.default_rng(seed)
    arms = rng.choice(sorted(TEMPLATES), size=count).tolist()
    texts = [str(rng.choice(TEMPLATES[arm])).format(rng.choice(SUBJECTS)) for arm in arms]
    return texts, arms


def unit_vectors(count, *, dim=8, seed=0):
    """Random directions [N, D] float32."""
    drawn = np.random.default_rng(seed).normal(size=(count, dim))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
