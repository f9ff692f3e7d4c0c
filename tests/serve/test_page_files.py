"""The files of the page at `/`: who gets them, how they are guarded, and that all are there."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "serve" / "ui"
FILES = sorted(file.name for file in FOLDER.iterdir())


@pytest.mark.parametrize("path", ["/", *(f"/ui/{name}" for name in FILES)])
def test_every_file_needs_no_key_and_forbids_what_it_does_not_need(fast, path):
    answer = fast.api.get(path, headers={"accept": "application/json"})
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_what_the_page_names_is_there_and_comes_from_here():
    for file in (file for file in FOLDER.iterdir() if file.suffix in (".html", ".js")):
        text = file.read_text(encoding="utf-8")
        named = re.findall(r'(?:src|href)="ui/([\w.]+)"', text) + re.findall(r'"\./([\w.]+)"', text)
        assert set(named) <= set(FILES)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
        assert len(text.splitlines()) < 200
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! type=\"module\" src=)", page)


def test_nothing_else_is_opened_by_it(fast):
    for path in ("/ui/../page.py", "/ui/..%2fpage.py", "/ui/", "/ui/none.js"):
        assert fast.api.get(path).status_code in (401, 404)
    assert fast.api.post("/").status_code == 405
    assert fast.api.head("/").status_code == 200
    assert fast.api.get("/v1/models").status_code == 401


def test_it_is_no_part_of_the_api_and_counts_under_two_names(fast):
    document = fast.api.get("/openapi.json").json()
    assert not [path for path in document["paths"] if path == "/" or path.startswith("/ui")]
    for name in FILES:
        fast.api.get(f"/ui/{name}")
    routes = set(re.findall(r'route="(/ui[^"]*)"', fast.api.get("/metrics").text))
    assert routes == {"/ui/{name}"}
