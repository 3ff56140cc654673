"""What does this finding mean, how does it come about, what is to be changed? A page of the documentation."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from dbroute_panel.presentation import documented_codes, read_finding_doc
from dbroute_panel.suggestions import did_you_mean

from .rendering import Admin, render_message, render_page


def finding_page(admin: Admin, request: HttpRequest, code: str) -> HttpResponseBase:
    """The page about the finding ``code``."""
    blocks = read_finding_doc(code)
    if blocks is None:
        text = _("There is no page about a finding “%(code)s”. %(hint)s") % {
            "code": code,
            "hint": did_you_mean(code, documented_codes()),
        }
        return render_message(admin, request, title=_("No such finding"), text=text, status=404)
    # The admin's title is the page's first heading already.
    return render_page(admin, request, "finding.html", {"code": code, "blocks": blocks[1:]}, title=code)
