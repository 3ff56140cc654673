"""Celery tasks in the order of decorators that the documentation gives."""

from __future__ import annotations

from celery import shared_task
from django.http import HttpResponse

from dbroute_panel import trace
from example_site.library.models import Tag


@shared_task
@trace("look for a tag", kind="task")
def look_for(marker, alias="archive"):
    return Tag.objects.using(alias).filter(name=marker).count()


@shared_task(bind=True, max_retries=1)
@trace("look and retry", kind="task")
def look_and_retry(self, marker):
    Tag.objects.using("archive").filter(name=marker).count()
    if self.request.retries < 1:
        raise self.retry(countdown=0)


@shared_task
@trace("look and fail", kind="task")
def look_and_fail(marker):
    Tag.objects.using("archive").filter(name=marker).count()
    raise LookupError("a task that fails, on purpose")


def view(request, marker):
    """Looks, and has the task look too."""
    Tag.objects.using("primary").filter(name=marker).count()
    return HttpResponse(str(look_for.delay(marker).get(disable_sync_subtasks=False)))
