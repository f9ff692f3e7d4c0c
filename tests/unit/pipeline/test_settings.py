from rapport.language.settings import TrainingSettings
from rapport.pipeline.settings import AdaptersConfig


def test_the_settings_of_a_job_reach_both_trainings():
    config = AdaptersConfig(shared_tokens=9, persona_tokens=7, batch_tokens=5, seed=3, budget_s=60)
    made = config.curriculum
    for training, tokens in ((made.shared, 9), (made.persona, 7)):
        assert (training.tokens, training.batch_tokens, training.seed) == (tokens, 5, 3)
    assert made.budget_s == 60
    assert AdaptersConfig().batch_tokens == TrainingSettings().batch_tokens
