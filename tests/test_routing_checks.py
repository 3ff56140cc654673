"""``manage.py check --tag dbroute`` and ``check --deploy``: the static findings as system checks."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core import checks
from django.core.management import CommandError, call_command

from dbroute_panel.inspection.lints import run_lints

pytestmark = pytest.mark.usefixtures("site")


def ours(messages):
    return [message for message in messages if message.id and "-" in message.id]


def test_the_tag_shows_what_lint_shows():
    shown = {(m.id, m.obj, m.msg) for m in ours(checks.run_checks(tags=["dbroute"]))}
    expected = {
        (f"dbroute_panel.{f.code}", f.subject, f.message) for f in run_lints() if f.code != "random-route"
    }
    assert expected <= shown  # the shares of random-route differ from one asking to the next
    assert {code for code, _, _ in shown} == {f"dbroute_panel.{f.code}" for f in run_lints()}


def test_levels_are_those_of_the_findings(settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {}}  # nobody says what is random then
    levels = {m.id: m.level for m in ours(checks.run_checks(tags=["dbroute"]))}
    assert levels["dbroute_panel.manager-ignores-db"] == checks.ERROR
    assert levels["dbroute_panel.random-route"] == checks.INFO


def test_deploy_shows_them_too():
    assert ours(checks.run_checks(include_deployment_checks=True))


@pytest.mark.parametrize("arguments", [{}, {"tags": ["models"]}, {"databases": ["primary"]}])
def test_no_other_check_asks_the_routers(arguments, settings):
    class Asked:
        def db_for_read(self, model, **hints):
            raise AssertionError("a plain check asked the routers")

    settings.DATABASE_ROUTERS = [Asked()]
    assert ours(checks.run_checks(**arguments)) == []


def test_the_command_names_model_and_code(capsys):
    with pytest.raises(CommandError, match=r"library\.Book: \(dbroute_panel\.manager-ignores-db\)"):
        call_command("check", tags=["dbroute"], stdout=StringIO(), stderr=StringIO())


def test_django_silences_them(settings):
    settings.SILENCED_SYSTEM_CHECKS = ["dbroute_panel.manager-ignores-db"]
    message = next(
        m for m in checks.run_checks(tags=["dbroute"]) if m.id == "dbroute_panel.manager-ignores-db"
    )
    assert message.is_silenced()
