"""The shortest histories known for each trap: what goes wrong, and would without one of the rules."""

from __future__ import annotations

import pytest

from pyf_scrapy.sync.staleness import PATIENCE
from tests.sync.crawler import (
    EMPTY,
    LANES,
    REMOVED,
    VANISHED,
    ModelCrawler,
    T,
    run,
    shown,
    truth,
)
from tests.sync.model import DAY, Lost, ModelCDN, ModelPyPI

NODES = (0, 1)
PROJECT = ("json", "page", "release")


class World:
    """A model of PyPI with `alpha` of profile p, a CDN of two nodes, and a crawler that has fetched it."""

    def __init__(self, *versions: str) -> None:
        self.pypi = ModelPyPI()
        self.cdn = ModelCDN(self.pypi)
        self.crawler = ModelCrawler(self.cdn)
        for version in versions or ("1",):
            self.pypi.release("alpha", version, ("p",))
        self.run("pypi")
        self.run("refresh")

    def run(self, lane: str, node: int = 0) -> object:
        self.crawler.route = node
        return run(LANES[lane](self.crawler), self.crawler)

    def wait(self, seconds: float) -> None:
        self.pypi.now += seconds

    def lose(self, *kinds: str, nodes: tuple[int, ...] = NODES) -> None:
        """From now on purges of such objects are lost."""
        self.cdn.lost = Lost(nodes, kinds)

    @property
    def is_true(self) -> bool:
        return shown(self.crawler) == truth(self.crawler)

    def versions(self, name: str = "alpha") -> list[str]:
        return sorted(self.crawler.documents["p"].get(name, {}))

    def status(self, name: str = "alpha") -> str:
        return self.crawler.store.rows[name].status


@pytest.fixture
def world() -> World:
    return World()


class TestStaleAnswers:
    def test_the_first_asker_after_a_purge_gets_the_new_release_all_the_same(self, world: World) -> None:
        world.pypi.release("alpha", "2", ("p",))
        began = world.pypi.now
        world.run("rss")
        assert world.is_true
        assert world.pypi.now - began < 5

    def test_a_lost_purge_is_gone_round(self, world: World) -> None:
        """Its page and the JSON of the new release are other objects than the project's JSON."""
        world.lose("json")
        world.pypi.release("alpha", "2", ("p",))
        world.wait(2400)
        world.run("pypi")
        assert world.versions() == ["1", "2"]
        assert world.is_true

    def test_where_all_purges_were_lost_the_caches_heal_in_a_day(self, world: World) -> None:
        world.lose(*PROJECT)
        world.pypi.release("alpha", "2", ("p",))
        world.wait(2400)
        world.run("pypi")
        assert world.versions() == ["1"]
        assert world.crawler.store.failures == {"alpha": "stale"}
        world.pypi.now = world.cdn.healed_at
        world.run("pypi")
        assert world.is_true

    def test_what_the_way_round_brings_is_as_old_as_its_oldest_part(self, world: World) -> None:
        """Deleted and made anew with the same version: an old JSON of it is about the old project."""
        world.lose("json", "release")
        world.run("refresh")
        world.cdn.get(("release", "alpha", "1"))
        world.pypi.delete_project("alpha")
        world.pypi.release("alpha", "1", ("q",), "bob")
        world.wait(2400)
        world.run("pypi")
        assert "alpha" not in shown(world.crawler)["q"]
        world.pypi.now = world.cdn.healed_at
        world.run("pypi")
        assert world.is_true
        assert world.crawler.store.rows["alpha"].recreated

    def test_an_owner_who_left_is_not_kept_by_the_way_round(self, world: World) -> None:
        """The JSON of the release is as old as the project's: its page alone does not tell who owns it."""
        world.cdn.get(("release", "alpha", "1"))
        world.lose("json", "release")
        world.pypi.transfer("alpha")
        world.wait(2400)
        world.run("pypi")
        world.pypi.now = world.cdn.healed_at
        world.run("pypi")
        assert world.is_true

    def test_an_answer_between_the_old_and_the_new_is_taken_and_is_not_the_last_word(
        self, world: World
    ) -> None:
        world.pypi.release("alpha", "2", ("p",))
        for kind in PROJECT[:2]:
            world.cdn.get((kind, "alpha"), 1)
        world.lose(*PROJECT)
        world.pypi.release("alpha", "3", ("p",))
        world.wait(2400)
        world.run("pypi", node=1)
        assert world.versions() == ["1", "2"]
        world.pypi.now = world.cdn.healed_at
        world.run("pypi", node=1)
        assert world.is_true

    def test_a_stuck_project_delays_nobody(self, world: World) -> None:
        names = [f"pkg{number}" for number in range(20)]
        world.lose(*PROJECT)
        world.pypi.release("alpha", "2", ("p",))
        for name in names:
            world.pypi.release(name, "1", ("p",))
        world.wait(2400)
        lane, began = LANES["pypi"](world.crawler), world.pypi.now
        while not all(map(world.versions, names)):
            world.pypi.now = max(world.pypi.now, next(lane).until)
        assert world.pypi.now - began < 20
        run(lane, world.crawler)
        assert world.pypi.now - began > PATIENCE
        assert world.crawler.store.failures == {"alpha": "stale"}

    def test_no_older_answer_comes_after_a_newer_one(self, world: World) -> None:
        world.run("refresh", node=1)
        world.lose(*PROJECT, nodes=(1,))
        world.pypi.release("alpha", "2", ("p",))
        world.run("rss", node=0)
        assert world.versions() == ["1", "2"]
        world.run("refresh", node=1)
        assert world.versions() == ["1", "2"]

    def test_an_older_answer_does_not_make_a_member_of_nobody_nor_the_other_way_round(
        self, world: World
    ) -> None:
        world.pypi.release("alpha", "2", ())
        for kind in PROJECT[:2]:
            world.cdn.get((kind, "alpha"), 1)
        world.lose(*PROJECT, nodes=(1,))
        world.pypi.release("alpha", "3", ("p",))
        world.run("rss", node=0)
        assert world.versions() == ["1", "2", "3"]
        world.run("refresh", node=1)
        assert world.versions() == ["1", "2", "3"]

    def test_an_etag_belongs_to_the_facts_that_are_stored(self, world: World) -> None:
        """An older answer of the same serial is stored; the ETag of a newer one must not make it stay."""
        world.run("refresh", node=1)
        world.lose(*PROJECT, nodes=(1,))
        world.pypi.advise("alpha")
        for _ in range(2):
            world.run("refresh", node=0)
        assert world.is_true
        world.crawler.store.dedup.clear()
        world.run("rss", node=1)
        assert not world.is_true
        world.wait(DAY)
        for _ in range(2):
            world.run("refresh", node=0)
        assert world.is_true

    def test_an_etag_is_written_with_its_facts_or_never(self, world: World) -> None:
        """A feed's lane stores what it had read before, between the facts of a refresh and its page."""
        world.crawler.store.dedup.clear()
        feeds, refresh = world.crawler.rss(), world.crawler.refresh()
        for _ in range(4):
            next(feeds)
        world.pypi.advise("alpha")
        world.wait(400)
        row = world.crawler.store.rows["alpha"]
        while row.record and not row.record.vulnerabilities:
            next(refresh)
        run(feeds, world.crawler)
        run(refresh, world.crawler)
        world.run("refresh")
        assert world.is_true


class TestRefresh:
    def test_what_moves_no_serial_is_found(self, world: World) -> None:
        world.pypi.archive("alpha")
        world.pypi.advise("alpha")
        world.wait(400)
        world.run("pypi")
        assert not world.is_true
        world.run("refresh")
        assert world.is_true

    def test_all_else_costs_two_answers_without_a_body(self, world: World) -> None:
        world.run("refresh")
        row, before = world.crawler.store.rows["alpha"], world.crawler.requests
        revision = row.revision
        world.run("refresh")
        assert world.crawler.requests == before + 2
        assert row.revision == revision

    def test_a_page_older_than_the_facts_does_not_take_back_what_it_said(self, world: World) -> None:
        world.run("refresh", node=1)
        world.lose(*PROJECT, nodes=(1,))
        world.pypi.archive("alpha")
        world.pypi.release("alpha", "2", ("p",))
        world.run("rss", node=0)
        world.run("refresh", node=0)
        world.run("refresh", node=0)
        assert world.is_true
        world.run("refresh", node=1)
        assert world.is_true

    def test_a_page_that_is_newer_hastens_the_fetch(self, world: World) -> None:
        world.lose("json")
        world.pypi.release("alpha", "2", ("p",))
        world.wait(400)
        world.run("refresh")
        assert world.versions() == ["1", "2"]


class TestRemovals:
    def test_documents_leave_with_the_first_index_and_a_second_makes_the_tombstone(
        self, world: World
    ) -> None:
        world.pypi.delete_project("alpha")
        world.wait(2400)
        world.run("pypi")
        assert world.versions() == []
        assert world.status() == VANISHED
        world.wait(2300)
        world.run("pypi")
        assert world.status() == VANISHED
        world.wait(200)
        world.run("pypi")
        assert world.status() == REMOVED
        world.run("pypi")
        assert world.status() == REMOVED

    def test_quarantine_is_found_by_a_refresh_and_its_end_by_the_index(self, world: World) -> None:
        world.pypi.quarantine("alpha")
        world.wait(400)
        world.run("refresh")
        assert world.versions() == []
        world.pypi.clear_quarantine("alpha")
        world.wait(2400)
        world.run("pypi")
        assert world.is_true
        assert world.versions() == ["1"]
        assert not world.crawler.store.rows["alpha"].recreated

    def test_an_index_says_nothing_about_what_is_newer(self, world: World) -> None:
        """Made anew and fetched by a feed, while another node of the CDN remembers that it was gone."""
        world.pypi.delete_project("alpha")
        world.wait(2400)
        world.run("pypi", node=1)
        assert world.versions() == []
        world.pypi.release("alpha", "1", ("p",), "bob")
        world.run("rss", node=0)
        assert world.versions() == ["1"]
        world.run("pypi", node=1)
        assert world.versions() == ["1"]

    def test_removal_does_not_touch_what_was_fetched_while_it_was_looked_into(self, world: World) -> None:
        world.pypi.delete_project("alpha")
        world.wait(2400)
        lane, removing = LANES["pypi"](world.crawler), world.crawler.store
        while ("page", "alpha") not in world.cdn.nodes[1] or world.cdn.nodes[1]["page", "alpha"].is_found:
            world.crawler.route = 1
            next(lane)
        world.pypi.release("alpha", "1", ("p",), "bob")
        world.run("rss", node=0)
        run(lane, world.crawler)
        assert removing.rows["alpha"].status != VANISHED
        assert world.versions() == ["1"]

    def test_a_cache_does_not_bring_back_what_vanished(self, world: World) -> None:
        world.run("refresh", node=1)
        world.lose(*PROJECT, "updates", nodes=(1,))
        world.crawler.route = 1
        run(world.crawler.rss(), world.crawler)
        world.pypi.delete_project("alpha")
        world.wait(2400)
        world.run("pypi", node=0)
        assert world.versions() == []
        world.crawler.store.dedup.clear()
        world.run("rss", node=1)
        assert world.versions() == []
        assert world.status() == VANISHED

    def test_nor_does_an_answer_that_came_before_it_vanished_and_is_stored_after(self, world: World) -> None:
        world.crawler.store.dedup.clear()
        lane: T = world.crawler.rss()
        for _ in range(4):
            next(lane)  # it has the project's JSON now, and has not stored it
        world.pypi.delete_project("alpha")
        world.wait(2400)
        world.run("pypi", node=1)
        assert world.versions() == []
        run(lane, world.crawler)
        assert world.versions() == []
        assert world.status() == VANISHED

    def test_a_quarantine_that_is_over_is_not_one(self, world: World) -> None:
        world.run("refresh", node=1)
        world.pypi.quarantine("alpha")
        world.wait(400)
        world.run("refresh", node=1)
        assert world.versions() == []
        world.lose("page", nodes=(1,))
        world.pypi.clear_quarantine("alpha")
        world.wait(2400)
        world.run("pypi", node=0)
        assert world.versions() == ["1"]
        world.cdn.nodes[1]["json", "alpha"].expires = world.pypi.now + 50  # a 404 that it was given just now
        world.run("refresh", node=1)
        assert world.versions() == ["1"]

    @pytest.mark.parametrize("lane", sorted(LANES))
    def test_an_outage_deletes_nothing(self, lane: str) -> None:
        world = World("1", "2")
        before = shown(world.crawler)
        world.pypi.delete_project("alpha")
        world.wait(2 * DAY)
        world.cdn.is_down = True
        world.run(lane)
        assert shown(world.crawler) == before
        assert world.status() == "active"

    def test_an_index_without_some_names_deletes_nothing(self, world: World) -> None:
        world.cdn.cut = ("alpha",)
        world.wait(2400)
        world.run("pypi")
        assert world.versions() == ["1"]
        assert world.status() == "active"

    def test_a_project_without_releases_is_not_gone(self, world: World) -> None:
        world.pypi.delete_release("alpha", "1")
        world.wait(2400)
        world.run("pypi")
        assert world.versions() == []
        assert world.status() == EMPTY
        world.cdn.cut = ("alpha",)
        world.wait(2400)
        world.run("pypi")
        assert world.status() == EMPTY
        world.cdn.cut = ()
        world.pypi.release("alpha", "2", ("p",))
        world.wait(2400)
        world.run("pypi")
        assert world.is_true

    def test_what_was_removed_wrongly_comes_back_with_the_serial_it_had(self, world: World) -> None:
        """PyPI itself loses a project for an hour, in its index and everywhere, and finds it again."""
        project = world.pypi.projects.pop("alpha")
        world.pypi.serial += 1
        world.pypi.gone["alpha"] = world.pypi.serial
        world.pypi.purge("alpha")
        world.wait(2400)
        world.run("pypi")
        assert world.versions() == []
        world.crawler.watch.shown.clear()  # there is no newer fact than the one that comes back
        world.pypi.projects["alpha"] = project
        world.wait(2400)
        world.run("pypi")
        assert world.versions() == ["1"]

    def test_many_at_once_are_refused_until_somebody_says_that_it_is_true(self, world: World) -> None:
        names = [f"pkg{number:02}" for number in range(40)]
        for name in names:
            world.pypi.release(name, "1", ("p",))
        world.wait(2400)
        world.run("pypi")
        for name in names[:12]:
            world.pypi.delete_project(name)
        world.wait(2400)
        assert world.run("pypi") is False
        world.wait(2400)
        assert world.run("pypi") is False
        assert all(map(world.versions, names))
        world.wait(2400)
        assert run(world.crawler.pypi(accept_removals=True), world.crawler) is True
        assert world.is_true

    def test_a_name_recreated_by_another_is_flagged_and_inherits_nothing(self) -> None:
        world = World("1", "2")
        world.pypi.delete_project("alpha")
        world.wait(2400)
        world.run("pypi")
        world.pypi.release("alpha", "1", ("p",), "bob")
        world.pypi.release("alpha", "2", ("p",), "bob")
        world.wait(2400)
        world.run("pypi")
        world.run("refresh")
        assert world.is_true
        assert world.crawler.store.rows["alpha"].recreated

    def test_a_release_made_again_has_the_metadata_of_the_new_one(self) -> None:
        world = World("1", "2")
        world.pypi.delete_release("alpha", "1")
        world.pypi.release("alpha", "1", ("p",))
        world.wait(2400)
        world.run("pypi")
        assert world.is_true

    def test_a_404_from_before_a_release_was_made_is_not_its_last_word(self, world: World) -> None:
        world.cdn.get(("release", "alpha", "2"), 1)
        world.pypi.release("alpha", "2", ("p",))
        world.pypi.release("alpha", "3", ("p",))
        world.run("rss", node=1)
        assert world.versions() == ["1", "3"]
        world.wait(2400)
        world.run("pypi", node=1)
        assert world.is_true

    def test_a_cached_release_of_the_project_before_is_not_believed(self) -> None:
        world = World("1", "2")
        world.lose("release")
        world.pypi.delete_project("alpha")
        world.pypi.release("alpha", "1", ("p",), "bob")
        world.pypi.release("alpha", "2", ("p",), "bob")
        world.wait(2400)
        world.run("pypi")
        assert world.versions() == ["2"]
        world.pypi.now = world.cdn.healed_at
        world.run("pypi")  # the first asker gets the old answer once more
        world.run("pypi")
        assert world.is_true


class TestFeeds:
    def test_more_releases_than_a_window_are_missed_by_the_feed_and_found_by_the_index(
        self, world: World
    ) -> None:
        world.run("rss")
        names = [f"pkg{number:03}" for number in range(150)]
        for name in names:
            world.pypi.release(name, "1", ("p",))
        world.wait(2400)
        assert world.run("rss") is True, "it must say so"
        assert sum(map(bool, map(world.versions, names))) == 100
        world.run("pypi")
        world.run("refresh")
        assert world.is_true

    def test_a_release_that_could_not_be_fetched_is_news_again(self, world: World) -> None:
        etags: dict[str, object] = {}
        run(world.crawler.rss(etags), world.crawler)
        world.lose(*PROJECT)
        world.pypi.release("alpha", "2", ("p",))
        world.wait(400)
        run(world.crawler.rss(etags), world.crawler)
        assert world.versions() == ["1"]
        world.pypi.now = world.cdn.healed_at
        run(world.crawler.rss(etags), world.crawler)
        assert world.versions() == ["1", "2"]

    def test_a_poll_that_was_killed_is_repeated(self, world: World) -> None:
        world.pypi.release("alpha", "2", ("p",))
        world.wait(400)
        lane: T = world.crawler.rss()
        for _ in range(6):
            next(lane)
        lane.close()
        assert world.versions() == ["1"]
        world.run("rss")
        assert world.versions() == ["1", "2"]


class TestCrashes:
    def test_killed_anywhere_in_a_run_the_next_one_ends_at_the_truth(self) -> None:
        steps, at = 0, 0
        while steps == at:
            world = World("1", "2")
            world.pypi.delete_release("alpha", "1")
            world.pypi.release("alpha", "3", ("p", "q"))
            world.pypi.release("beta", "1", ("q",))
            world.wait(2400)
            lane, at = LANES["pypi"](world.crawler), at + 1
            steps = sum(1 for _ in zip(range(at), lane, strict=False))
            lane.close()
            world.run("pypi")
            assert world.is_true, f"killed after step {at}"
        assert at > 20
