"""Django's own tasks, in the order of decorators that the documentation gives."""

from __future__ import annotations

from django.tasks import task

from dbroute_panel import trace
from example_site.library.models import Tag


@task
@trace("look for a tag", kind="task")
def look_for(marker):
    return Tag.objects.using("archive").filter(name=marker).count()


@task
@trace("look in async", kind="task")
async def look_in_async(marker):
    return await Tag.objects.using("archive").filter(name=marker).acount()


@task(takes_context=True)
@trace("look and fail", kind="task")
def look_and_fail(context, marker):
    Tag.objects.using("archive").filter(name=marker).count()
    raise LookupError(f"attempt {context.attempt} of a task that fails, on purpose")
