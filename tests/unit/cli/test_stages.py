from rapport.cli.stages import JOBS, NEEDS, PIPELINE, settings_for, skipped_for


def test_a_setting_with_a_jobs_name_before_it_is_for_that_job_alone():
    sets = ["seed=3", "gate.margin=0.1", "train_policy.trials=2", "train_adapters.replies=15"]
    assert settings_for("train_policy", sets) == ["seed=3", "gate.margin=0.1", "trials=2"]
    assert settings_for("embed_users", sets) == ["seed=3", "gate.margin=0.1"]


def test_what_a_job_needs_comes_before_it():
    for job, needed in NEEDS.items():
        assert all(PIPELINE.index(one) < PIPELINE.index(job) for one in needed)
    assert set(NEEDS) < set(JOBS)


def test_a_job_is_skipped_after_what_it_needs_and_says_so():
    assert skipped_for("train_adapters", {"segment_personas"}) == (
        "it needs segment_personas, skipped above"
    )
    assert skipped_for(
        "train_adapters", {"segment_personas", "compute_rewards", "train_scorers"}
    ) == ("it needs compute_rewards, train_scorers and segment_personas, skipped above")
    assert skipped_for("label_arms", {"segment_personas"}) is None
