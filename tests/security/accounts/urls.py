"""Django's own views for accounts, and views that do with a session's key what projects do."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import connections, router
from django.http import HttpResponse
from django.urls import include, path, re_path

from tests.security.accounts.models import Basket, Change
from tests.security.authtoken.models import Token


def basket(request):
    """The visitor's basket, in every way in which a query can be told whose."""
    if request.session.session_key is None:
        request.session.create()
    key = request.session.session_key
    mine, _made = Basket.objects.get_or_create(session_key=key)
    mine.save()
    router.db_for_write(Basket, instance=mine, visitor=key)
    with connections["archive"].cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM accounts_basket WHERE session_key = '{key}'")
        cursor.execute("SELECT COUNT(*) FROM accounts_basket WHERE session_key = %s", [key])
    return HttpResponse("basket")


def log_change(request):
    """An application's log of changes, which has the whole row in it, the hash of the password too."""
    Change.objects.create(fields={"username": request.user.username, "password": request.user.password})
    return HttpResponse("logged")


def give_token(request):
    token, _made = Token.objects.get_or_create(user=request.user)
    return HttpResponse(token.key)


def api(request):
    """Who is it? As Django REST framework finds out."""
    _scheme, _space, key = request.headers["Authorization"].partition(" ")
    token = Token.objects.select_related("user").get(key=key)
    with connections["auth_db"].cursor() as cursor:
        cursor.execute(f"SELECT username FROM auth_user WHERE '{key}' = 'x'")
    return HttpResponse(token.user.username)


def broken_reset(request, **kwargs):
    """A view of a project for the same link, with an argument of another name; it fails."""
    User.objects.get(username="fred")
    raise LookupError("on purpose")


urlpatterns = [
    path("basket/", basket),
    path("log-change/", log_change),
    path("give-token/", give_token),
    path("api/", api),
    re_path("^own-reset/(?P<key>.+)/$", broken_reset),
    path("accounts/", include("django.contrib.auth.urls")),
    path("", include("example_site.urls")),
]
