"""Scenario 28 by one click on the front page of the example site, under Django's own server."""

from __future__ import annotations

import html
import re

import httpx

from tests.waiting import PATIENCE_SECONDS


def test_the_button_of_scenario_28_runs_it_under_runserver(demo):
    with httpx.Client(base_url=demo.url, timeout=PATIENCE_SECONDS, follow_redirects=True) as browser:
        page = browser.get("/").text
        (form,) = re.findall(r'<form[^>]*action="/scenarios/28/run/".*?</form>', page, re.DOTALL)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]
        answer = browser.post(
            "/scenarios/28/run/", data={"csrfmiddlewaretoken": token}, headers={"Referer": demo.url}
        )
        links = re.findall(r'href="(/admin/dbroute_panel/trace/\w+/change/)"', answer.text)
        login = browser.get(links[0])
    assert (answer.status_code, login.status_code) == (200, 200)
    text = html.unescape(re.sub(r"<[^>]+>", "", answer.text))
    assert len(re.findall(r"(?:WSGI|ASGI), [\w-]+: of 3 queries 3 have the marker", text)) == 12
    assert len(set(links)) == 12
    assert len([trace for trace in demo.store.traces() if "/side-by-side/" in trace.name]) == 12
