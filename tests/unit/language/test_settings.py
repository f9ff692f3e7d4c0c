import pytest

from rapport.config import resolve
from rapport.errors import BrokenReleaseError
from rapport.language.settings import PROMPT_FILE, PromptSettings
from rapport.pipeline.settings import TrainPolicyConfig


def test_a_release_of_before_has_the_default_prompt(tmp_path):
    assert PromptSettings.load(tmp_path) == PromptSettings(level="role", upstream_model=None)


def test_a_release_says_which_prompts_and_which_upstream_it_was_made_for(tmp_path):
    sets = ["prompt.level=few_shot", "prompt.upstream_model=their-model:8b"]
    asked = resolve(TrainPolicyConfig, sets=sets).prompt
    (tmp_path / PROMPT_FILE).write_text(asked.model_dump_json())
    assert PromptSettings.load(tmp_path) == asked
    assert asked.upstream_model == "their-model:8b"


@pytest.mark.parametrize("text", ["{", '{"level": "all"}', '{"levle": "role"}'])
def test_a_broken_file_breaks_the_release(tmp_path, text):
    (tmp_path / PROMPT_FILE).write_text(text)
    with pytest.raises(BrokenReleaseError, match=PROMPT_FILE):
        PromptSettings.load(tmp_path)
