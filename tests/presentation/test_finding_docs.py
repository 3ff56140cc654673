"""The documents of the findings, as the package has them."""

from __future__ import annotations

import pytest

from dbroute_panel import findings
from dbroute_panel.inspection.lints import LINTS
from dbroute_panel.presentation import finding_docs


@pytest.fixture
def no_documents(monkeypatch, tmp_path):
    monkeypatch.setattr(finding_docs, "DOCS_FOLDER", tmp_path / "not packed")
    finding_docs.documented_codes.cache_clear()
    yield
    monkeypatch.undo()
    finding_docs.documented_codes.cache_clear()


def test_every_code_has_its_document_and_no_document_is_left_over():
    assert finding_docs.documented_codes() == {*findings.REGISTRY, *LINTS}
    assert len(finding_docs.documented_codes()) == 40


@pytest.mark.parametrize("code", sorted({*findings.REGISTRY, *LINTS}))
def test_a_document_has_cause_example_and_remedy(code):
    headings = [block for block in finding_docs.read_finding_doc(code) if block.kind == "heading"]
    titles = ["".join(piece.text for piece in block.pieces) for block in headings]
    assert titles[0] == code
    assert {"Cause", "Example", "Remedy"} <= set(titles)


def test_without_its_documents_the_tool_has_no_links_and_goes_on(no_documents):
    assert finding_docs.documented_codes() == frozenset()
    assert finding_docs.read_finding_doc("stale-read") is None
