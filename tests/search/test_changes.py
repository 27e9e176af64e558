"""What is sent and what is deleted: a mistake here leaves a stale document in the index for good."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.search.changes import change
from pyf_scrapy.search.documents import document_hash

ids = st.sampled_from(["a==1", "a==2", "a==3", "a==4"])
texts = st.sampled_from(["x", "y"])


@given(wanted=st.dictionaries(ids, texts), held=st.dictionaries(ids, texts), unknown=st.sets(ids))
def test_afterwards_the_collection_holds_exactly_what_is_wanted(
    wanted: dict[str, str], held: dict[str, str], unknown: set[str]
) -> None:
    documents = [{"id": id_, "summary": text} for id_, text in wanted.items()]
    before = {
        id_: b"" if id_ in unknown else document_hash({"id": id_, "summary": text})
        for id_, text in held.items()
    }
    made = change(documents, before)
    after = dict(held)
    for document in made.documents:
        after[document["id"]] = document["summary"]
    for id_ in made.deleted:
        del after[id_]
    assert after == wanted
    assert set(made.hashes) == set(wanted)
    assert set(made.touched) == {id_ for id_ in {*wanted, *held} if wanted.get(id_) != held.get(id_)} | (
        unknown & held.keys()
    )
