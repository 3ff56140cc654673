"""Whose code a file is: the project's packages are the user's, installed or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from importlib import import_module
from pathlib import Path

import pytest
from django.test import Client

from dbroute_panel.recording import frame_kinds
from dbroute_panel.recording.frame_kinds import FrameKind, classify_file
from dbroute_panel.recording.traces import trace
from tests.recording.installed import install

LIBRARY, PYTHON, USER = FrameKind.LIBRARY, FrameKind.PYTHON, FrameKind.USER

UTILITY = {
    "hierarkey_/proxy.py": """
        def counted(queryset):
            return queryset.count()
    """,
}
VIEWS = """
    from django.http import HttpResponse
    from example_site.library.models import Tag
    from hierarkey_.proxy import counted

    def home(request):
        return HttpResponse(str(counted(Tag.objects.using("primary"))))
"""
URLS = """
    from django.urls import path
    from shop_.views import home

    urlpatterns = [path("home/", home)]
"""


def called_from(url):
    with trace("test", keep=False) as t:
        assert Client().get(url).status_code == 200
    [site] = {query.callsite for query in t.queries}
    return site


def kinds(installed, *names):
    return [classify_file((installed / name).as_posix()) for name in names]


def test_the_package_of_the_root_urlconf_is_the_users_where_it_is_installed(site, installed, settings):
    installed(UTILITY | {"shop_/views.py": VIEWS, "shop_/conf/urls.py": URLS})
    settings.MIDDLEWARE, settings.ROOT_URLCONF = [], "shop_.conf.urls"
    where = called_from("/home/")
    assert (where.file.rpartition("lib/site-packages/")[2], where.function) == ("shop_/views.py", "home")


def test_a_package_that_is_neither_is_a_library_until_it_is_named(site, installed, settings):
    folder = installed(UTILITY | {"shop_/views.py": VIEWS, "urls_.py": URLS})
    names = ("shop_/views.py", "hierarkey_/proxy.py", "hierarkey_/other.py")
    settings.MIDDLEWARE, settings.ROOT_URLCONF = [], "urls_"
    assert kinds(folder, *names) == [LIBRARY, LIBRARY, LIBRARY]
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"USER_PACKAGES": ["shop_"]}
    assert kinds(folder, *names) == [USER, LIBRARY, LIBRARY]
    assert called_from("/home/").file.endswith("shop_/views.py")
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"USER_PACKAGES": ["hierarkey_.proxy"]}
    assert kinds(folder, *names) == [LIBRARY, USER, LIBRARY]
    assert called_from("/home/").file.endswith("hierarkey_/proxy.py")
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"USER_PACKAGES": []}
    assert kinds(folder, *names) == [LIBRARY, LIBRARY, LIBRARY]


PROGRAM = """
import json, sys
import django
django.setup()
from dbroute_panel.recording.frame_kinds import classify_file, FrameKind
kinds = {FrameKind.LIBRARY: "library", FrameKind.USER: "user"}
print(json.dumps([kinds.get(classify_file(file)) for file in sys.argv[1:]]))
"""
SETTINGS = """
    INSTALLED_APPS = ["dbroute_panel"]
    DATABASES = {}
    ROOT_URLCONF = "urls_.main"
"""


@pytest.mark.parametrize(
    "module", ["shop_.settings", "shop_.conf.settings.production", "config_.settings", "settings_"]
)
def test_the_package_of_the_settings_module_is_the_users(tmp_path, module):
    """In a process of its own, which has these settings from the start."""
    settings_file = f"{module.replace('.', '/')}.py"
    installed = install(
        tmp_path, {settings_file: SETTINGS, "shop_/views.py": "", "urls_/main.py": "", "urls_/more/x.py": ""}
    )
    asked = [
        settings_file,
        "shop_/views.py",
        "urls_/main.py",
        "urls_/more/x.py",
        "shop_more/x.py",
        "shop_.py",
    ]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": module,
        "PYTHONPATH": os.pathsep.join([str(installed), *filter(None, sys.path)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *(str(installed / name) for name in asked)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shop = "user" if module.startswith("shop_") else "library"
    assert json.loads(done.stdout) == ["user", shop, "user", "user", "library", "library"]


def test_all_folders_of_a_namespace_package_are_the_users(installed, settings, tmp_path, monkeypatch):
    folder = installed({"namespace_/shop/urls.py": "urlpatterns = []", "namespace_other/x.py": ""})
    (folder / "namespace_" / "__init__.py").unlink()
    second = install(tmp_path / "second", {"namespace_/reports/x.py": ""})
    (second / "namespace_" / "__init__.py").unlink()
    monkeypatch.syspath_prepend(second)
    settings.ROOT_URLCONF = "namespace_.shop.urls"
    assert kinds(folder, "namespace_/shop/views.py", "namespace_other/x.py") == [USER, LIBRARY]
    assert kinds(second, "namespace_/reports/x.py") == [USER]


def test_libraries_in_a_virtual_environment_inside_of_the_project_are_none_of_it(
    tmp_path, settings, monkeypatch
):
    project = tmp_path / "backend_"
    project.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    settings.ROOT_URLCONF = "backend_.urls"
    (project / "__init__.py").touch()
    inside = f"{project.as_posix()}/"
    assert inside in frame_kinds.find_user_paths()
    assert classify_file(inside + "views.py") == USER
    assert classify_file(inside + ".venv/lib/python3.11/site-packages/x/views.py") == LIBRARY
    assert classify_file(inside + "site-packages/views.py") == LIBRARY


def test_urls_that_are_a_module_or_a_list_of_patterns(installed, settings):
    folder = installed({"shop_/urls.py": "urlpatterns = []"})
    settings.ROOT_URLCONF = import_module("shop_.urls")
    assert kinds(folder, "shop_/views.py") == [USER]
    settings.ROOT_URLCONF = ()
    assert kinds(folder, "shop_/views.py") == [LIBRARY]
    del settings.ROOT_URLCONF
    assert kinds(folder, "shop_/views.py") == [LIBRARY]


def test_django_is_no_users_code_whose_urls_it_may_have(settings):
    import django.contrib.auth.urls
    import django.db.models.manager

    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    assert classify_file(django.contrib.auth.urls.__file__) is FrameKind.CONTRIB
    assert classify_file(django.db.models.manager.__file__) is FrameKind.FRAMEWORK


def test_what_an_installed_package_is_started_with_is_nobodys_line():
    scripts = Path(sysconfig.get_path("scripts"))
    assert classify_file(str(scripts / "celery")) == PYTHON
    assert classify_file(str(scripts / "gunicorn.exe" / "__main__.py")) == PYTHON
    assert classify_file(str(scripts / "nightly.py")) == USER
