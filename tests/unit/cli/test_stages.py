from rapport.cli.stages import settings_for


def test_a_setting_with_a_jobs_name_before_it_is_for_that_job_alone():
    sets = ["seed=3", "gate.margin=0.1", "train_policy.trials=2", "train_adapters.replies=15"]
    assert settings_for("train_policy", sets) == ["seed=3", "gate.margin=0.1", "trials=2"]
    assert settings_for("embed_users", sets) == ["seed=3", "gate.margin=0.1"]
