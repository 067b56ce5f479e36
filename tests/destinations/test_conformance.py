"""Every destination of ours keeps the shipped laws."""

from __future__ import annotations

import csv
import logging
from dataclasses import replace

import pytest

from connector.domain import Action, Change, Kind, Outcome
from connector.ports import Destination
from destinations.conformance import DestinationConformance
from destinations.csvfile import CsvFile
from destinations.hubspot import HubSpot
from destinations.webhook import Webhook

from .receiver import Receiver


class HubSpotVendor:
    def __init__(self, sandbox, api_version):
        self.sandbox = sandbox
        self.api_version = api_version

    def destination(self, creates):
        return self._made(self.sandbox.token, creates)

    def _made(self, token, creates):
        return HubSpot.from_options(
            "hubspot",
            {
                "token": token,
                "create_missing": creates,
                "base_url": self.sandbox.url,
                "api_version": self.api_version,
                "rate_limit": {"per_10s": 1000},
            },
        )

    def stranger(self):
        return self._made("pat-revoked", False)

    def know(self, match_values):
        self.sandbox.controls.preload_contacts([{"email": one} for one in match_values])

    def properties(self, match_value):
        for contact in self.sandbox.controls.contacts().values():
            if contact["properties"].get("email") == match_value:
                return contact["properties"]
        return None

    def members(self, audience):
        return set(self.sandbox.controls.members(audience.name))

    def n_writes(self):
        reads = ("/batch/read", "/search", "/access-token-info")
        return sum(
            one["method"] != "GET" and not one["path"].endswith(reads)
            for one in self.sandbox.controls.log()
        )


class TestHubSpot(DestinationConformance):
    @pytest.fixture(params=["v3", "2026-09"])
    def vendor(self, request, start_hubspot):
        sandbox = start_hubspot(per_10s=100_000)
        yield HubSpotVendor(sandbox, request.param)
        sandbox.request_stop()


class CsvVendor:
    def __init__(self, folder):
        self.folder = folder

    def destination(self, creates):
        return CsvFile.from_options("files", {"path": str(self.folder)})

    def stranger(self):
        return None

    def know(self, match_values):
        pass

    def _rows(self, stem):
        path = self.folder / f"{stem}.csv"
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def properties(self, match_value):
        return next((row for row in self._rows("properties") if row["email"] == match_value), None)

    def members(self, audience):
        return {row["email"] for row in self._rows(audience.audience_id)}

    def n_writes(self):
        return sum(path.stat().st_mtime_ns for path in self.folder.glob("*"))


class TestCsvFile(DestinationConformance):
    @pytest.fixture
    def vendor(self, tmp_path):
        return CsvVendor(tmp_path / "audiences")


class WebhookVendor:
    def __init__(self, receiver):
        self.receiver = receiver

    def destination(self, creates):
        return self._made(self.receiver.token)

    def _made(self, token):
        return Webhook.from_options(
            "hook", {"url": self.receiver.url, "token": token, "rate_limit": {"per_1s": 1000}}
        )

    def stranger(self):
        return self._made("wrong")

    def know(self, match_values):
        for one in match_values:
            self.receiver.people.setdefault(one, {})

    def properties(self, match_value):
        return self.receiver.people.get(match_value)

    def members(self, audience):
        return self.receiver.lists.get(audience.audience_id, set())

    def n_writes(self):
        return self.receiver.n_writes


class TestWebhook(DestinationConformance):
    @pytest.fixture
    def vendor(self):
        with Receiver() as receiver:
            yield WebhookVendor(receiver)


@pytest.mark.parametrize("kind", [HubSpot, CsvFile, Webhook])
def test_adapters_are_destinations(kind):
    assert {name for name in vars(Destination) if not name.startswith("_")} - {"name"} <= set(
        dir(kind)
    )


class Broken(Webhook):
    """A destination that breaks the law under test."""

    fault = ""

    def push(self, audience, changes):
        if self.fault == "keeps cleared":
            changes = [
                replace(one, properties={k: v for k, v in one.properties.items() if v is not None})
                for one in changes
            ]
        if self.fault == "logs people":
            logging.getLogger("broken").info("pushing %s", changes[0].match_value)
        if self.fault == "counts on order":
            changes = [replace(one, properties=changes[0].properties) for one in changes]
        results = super().push(audience, changes)
        if self.fault == "loses the last":
            return results[:-1]
        if self.fault == "answers twice":
            return results + results[:1]
        if self.fault == "refuses removals of strangers":
            return [
                replace(one, outcome=Outcome.REJECTED) if change.action is Action.REMOVE else one
                for one, change in zip(results, changes, strict=True)
            ]
        return results

    def check(self):
        self.push(None, [Change(1, Kind.RECORD, Action.ADD, "p", "x@example.org")])
        return super().check()


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("loses the last", "test_every_change_gets_one_result"),
        ("answers twice", "test_every_change_gets_one_result"),
        ("keeps cleared", "test_none_clears"),
        ("counts on order", "test_order_within_a_batch_does_not_matter"),
        ("refuses removals of strangers", "test_removing_a_stranger_is_delivered"),
        ("writes in check", "test_check_writes_nothing"),
    ],
)
def test_the_suite_catches(fault, law):
    """A suite that passes everything proves nothing."""
    with Receiver() as receiver:
        vendor = WebhookVendor(receiver)
        broken = Broken.from_options(
            "hook", {"url": receiver.url, "token": receiver.token, "rate_limit": {"per_1s": 1000}}
        )
        broken.fault = fault
        with pytest.raises(AssertionError):
            getattr(DestinationConformance(), law)(vendor, broken)
        broken.close()


def test_the_suite_catches_talk_about_people(caplog):
    with Receiver() as receiver:
        broken = Broken.from_options(
            "hook", {"url": receiver.url, "token": receiver.token, "rate_limit": {"per_1s": 1000}}
        )
        broken.fault = "logs people"
        with pytest.raises(AssertionError):
            DestinationConformance().test_it_is_silent_about_people(
                WebhookVendor(receiver), broken, caplog
            )
        broken.close()
