from __future__ import annotations

import gc

from dbroute_panel.records import dumps, loads
from tests.traces import a_decision, a_finding, a_query, a_trace, a_transaction


def test_the_collector_looks_at_no_record():
    # It would look at each of a trace's 10,000 again and again, while the next trace is made.
    trace = a_trace(events=[a_decision(1), a_query(2), a_transaction(3)], findings=[a_finding()])

    for document in (trace, loads(dumps(trace))):
        decision = document.events[0]
        records = [document, *document.events, *document.findings, document.request, document.dropped]
        records += [decision.steps[0], decision.hints["instance"], decision.callsite]
        records += document.databases.values()
        assert not [record for record in records if gc.is_tracked(record)]
