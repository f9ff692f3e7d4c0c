import pytest

from rapport.errors import ConfigError
from rapport.language.settings import UpstreamSettings
from serve.attaching import check_upstream
from serve.launch import _file, _parser
from tests.serve.other_server import KEY, MODEL, other_server


@pytest.fixture(scope="module")
def other():
    with other_server() as found:
        yield found


def settings(url, **more):
    return UpstreamSettings.model_validate({"url": url, "model": MODEL, **more})


def test_a_right_key_and_model_need_no_word(other, monkeypatch, capsys):
    monkeypatch.setenv("THEIR_KEY", KEY)
    check_upstream(settings(other.url, key_env="THEIR_KEY"))
    assert capsys.readouterr().err == ""


def test_a_wrong_key_ends_the_start_and_is_not_told(other, monkeypatch):
    monkeypatch.setenv("THEIR_KEY", "sk-wrong")
    with pytest.raises(ConfigError, match="THEIR_KEY") as refused:
        check_upstream(settings(other.url, key_env="THEIR_KEY"))
    assert "sk-wrong" not in str(refused.value)


def test_an_unlisted_model_and_a_silent_upstream_are_told(other, monkeypatch, capsys):
    monkeypatch.setenv("THEIR_KEY", KEY)
    check_upstream(settings(other.url, key_env="THEIR_KEY", model="other"))
    assert MODEL in capsys.readouterr().err
    check_upstream(settings("http://127.0.0.1:9/v1"))
    assert "does not answer" in capsys.readouterr().err


def test_flags_win_over_what_the_file_says_of_an_upstream(tmp_path):
    file = tmp_path / "serve.yaml"
    file.write_text(
        "applications:\n- args: {upstream: {url: 'http://a/v1', model: m, read_s: 9}}\n"
    )
    given = ["--home", str(tmp_path), "--config", str(file), "--model", "other", "--mode", "rerank"]
    args = _file(_parser().parse_args(given)).application.args
    assert args.upstream == UpstreamSettings(url="http://a/v1", model="other", read_s=9)
    assert args.mode == "rerank"


@pytest.mark.parametrize(
    ("flags", "setting"),
    [
        (["--model", "m"], "upstream.url"),
        (["--upstream", "host", "--model", "m"], "upstream.url"),
        (["--upstream", "http://host/v1"], "upstream.model"),
        (["--mode", "obsrve"], "mode"),
    ],
)
def test_a_flag_that_does_not_fit_is_named(tmp_path, flags, setting):
    with pytest.raises(ConfigError, match=f"^{setting}"):
        _file(_parser().parse_args(["--home", str(tmp_path), *flags]))
