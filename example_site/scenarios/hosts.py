"""Requests side by side: threads of a WSGI server, and the event loop of an ASGI server"""

from __future__ import annotations

from django.urls import reverse

from dbroute_panel.stores import get_store
from example_site.at_once import under_asgi, under_wsgi
from example_site.core.side_by_side import views_of
from example_site.scenarios.registry import scenario


@scenario(
    28,
    "The same requests under WSGI and ASGI, at once",
    shows="Each trace has the three queries with its own marker, whatever thread or task ran them.",
)
def at_once(client):
    for host, get in (("WSGI", under_wsgi), ("ASGI", under_asgi)):
        markers = {f"{host.lower()}-{name}": name for name in views_of(host)}
        paths = [reverse(name, args=[marker]) for marker, name in markers.items()]
        for marker, headers in zip(markers, get(paths), strict=True):
            trace_id = headers["Dbroute-Trace-Id"]
            client.traces.append(trace_id)
            queries = get_store().get(trace_id).queries
            own = [query for query in queries if query.params == (marker,)]
            yield f"{host}, {markers[marker]}: of {len(queries)} queries {len(own)} have the marker {marker}"
