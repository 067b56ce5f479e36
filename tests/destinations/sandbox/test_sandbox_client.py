"""The sandbox driven by HubSpot's own Python client, as a program that knows nothing of it would.

The client is generated from HubSpot's specification. Its validation of answers is switched on, so a
required field that the sandbox forgets, or a word outside an enumeration, fails the test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from hubspot import HubSpot
from hubspot.crm.contacts import ApiException as ContactsError
from hubspot.crm.lists import ApiException as ListsError
from hubspot.crm.properties import ApiException as PropertiesError

from destinations.sandbox.hubspot import HubSpotSandbox


class Client:
    """HubSpot's API objects, each made once: every access to them opens a connection pool."""

    def __init__(self, url: str, token: str) -> None:
        root = HubSpot(access_token=token, host=url, client_side_validation=True)
        crm = root.crm
        self.batch = crm.contacts.batch_api
        self.basic = crm.contacts.basic_api
        self.search = crm.contacts.search_api
        self.lists = crm.lists.lists_api
        self.memberships = crm.lists.memberships_api
        self.properties = crm.properties.core_api
        self.property_batch = crm.properties.batch_api
        self.groups = crm.properties.groups_api

    def close(self) -> None:
        for api in vars(self).values():
            api.api_client.rest_client.pool_manager.clear()
            api.api_client.close()


@pytest.fixture(scope="module")
def server() -> Iterator[HubSpotSandbox]:
    with HubSpotSandbox(per_10s=100_000, search_per_s=100_000) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: HubSpotSandbox) -> HubSpotSandbox:
    """The module's server, emptied."""
    controls = server.controls
    controls.clear_faults()
    controls.omit_empty_arrays(omit=False)
    controls.delete_contacts(list(controls.contacts()))
    for list_id in controls.lists():
        controls.delete_list(list_id)
    controls.add_token(server.token)
    return server


@pytest.fixture
def client(sandbox: HubSpotSandbox) -> Iterator[Client]:
    with closing(Client(sandbox.url, sandbox.token)) as made:
        yield made


def people(*names: str, trace: bool = False) -> dict[str, Any]:
    inputs = [
        {"properties": {"email": f"{name}@demo.example", "firstname": name}}
        | ({"objectWriteTraceId": f"t-{n}"} if trace else {})
        for n, name in enumerate(names)
    ]
    return {"inputs": inputs}


def body_of(error: Any) -> dict[str, Any]:
    return json.loads(error.value.body)


class TestContacts:
    def test_created_contacts_are_read_by_id_and_by_any_of_their_addresses(
        self, sandbox: HubSpotSandbox, client: Client
    ) -> None:
        made = client.batch.create(people("ada", "bob"))
        assert made.status == "COMPLETE"
        ids = {each.properties["firstname"]: each.id for each in made.results}
        sandbox.controls.preload_contacts(
            [{"email": "main@demo.example", "hs_additional_emails": "old@demo.example"}]
        )
        asked = {"properties": ["email", "phone", "no_such"], "propertiesWithHistory": []}
        by_id = client.batch.read({**asked, "inputs": [{"id": each} for each in ids.values()]})
        assert {each.id for each in by_id.results} == set(ids.values())
        assert all(each.properties["phone"] is None for each in by_id.results)
        assert all("no_such" not in each.properties for each in by_id.results)
        wanted = ["ADA@demo.example", "OLD@demo.example"]
        by_email = client.batch.read(
            {**asked, "idProperty": "email", "inputs": [{"id": each} for each in wanted]}
        )
        found = {each.properties["email"] for each in by_email.results}
        assert found == {"ada@demo.example", "main@demo.example"}

    def test_missing_records_are_named_in_a_207(self, client: Client) -> None:
        client.batch.create(people("ada"))
        answer, status, _ = client.batch.read_with_http_info(
            {
                "properties": ["email"],
                "propertiesWithHistory": [],
                "idProperty": "email",
                "inputs": [{"id": "ada@demo.example"}, {"id": "nobody@demo.example"}],
            }
        )
        assert status == 207
        assert len(answer.results) == 1
        [error] = answer.errors
        assert answer.num_errors == 1
        assert error.category == "OBJECT_NOT_FOUND"
        assert error.context == {"ids": ["nobody@demo.example"]}

    def test_one_conflict_refuses_a_batch_without_trace_ids(
        self, sandbox: HubSpotSandbox, client: Client
    ) -> None:
        [existing] = sandbox.controls.preload_contacts([{"email": "bob@demo.example"}])
        with pytest.raises(ContactsError) as error:
            client.batch.create(people("ada", "bob"))
        assert error.value.status == 409
        assert body_of(error)["category"] == "CONFLICT"
        assert body_of(error)["message"] == f"Contact already exists. Existing ID: {existing}"
        assert len(sandbox.controls.contacts()) == 1

    def test_with_trace_ids_a_conflict_is_that_records_own(
        self, sandbox: HubSpotSandbox, client: Client
    ) -> None:
        sandbox.controls.preload_contacts(
            [{"email": "x@demo.example", "hs_additional_emails": "bob@demo.example"}]
        )
        answer, status, _ = client.batch.create_with_http_info(
            people("ada", "bob", "ada", trace=True)
        )
        assert status == 207
        assert [each.object_write_trace_id for each in answer.results] == ["t-0"]
        assert {each.context["objectWriteTraceId"][0] for each in answer.errors} == {"t-1", "t-2"}
        assert {each.category for each in answer.errors} == {"CONFLICT"}
        assert answer.num_errors == 2
        assert len(sandbox.controls.contacts()) == 2
        _, status, _ = client.batch.create_with_http_info(people("eve", trace=True))
        assert status == 201

    def test_one_bad_value_refuses_the_whole_batch(
        self, sandbox: HubSpotSandbox, client: Client
    ) -> None:
        [key, other] = sandbox.controls.preload_contacts(
            [{"email": "a@demo.example"}, {"email": "b@demo.example"}]
        )
        for values, code in (
            ({"no_such": "1"}, "PROPERTY_DOESNT_EXIST"),
            ({"email": "not an address"}, "INVALID_EMAIL"),
            ({"lifecyclestage": "champion"}, "INVALID_OPTION"),
            ({"createdate": "2020-01-01"}, "READ_ONLY_VALUE"),
        ):
            inputs = [
                {"id": key, "properties": {"firstname": "kept out"}},
                {"id": other, "properties": values},
            ]
            with pytest.raises(ContactsError) as error:
                client.batch.update({"inputs": inputs})
            body = body_of(error)
            assert (error.value.status, body["category"]) == (400, "VALIDATION_ERROR")
            listed = json.loads(body["message"].removeprefix("Property values were not valid: "))
            assert [(each["isValid"], each["error"]) for each in listed] == [(False, code)]
            assert body["errors"][0]["code"] == code
            assert listed[0]["name"] == next(iter(values))
        assert "firstname" not in sandbox.controls.contacts()[key]["properties"]

    def test_values_must_be_text(self, sandbox: HubSpotSandbox, client: Client) -> None:
        [key] = sandbox.controls.preload_contacts([{"email": "a@demo.example"}])
        for value in (3, 3.5, True, ["a"]):
            with pytest.raises(ContactsError) as error:
                client.batch.update({"inputs": [{"id": key, "properties": {"firstname": value}}]})
            assert error.value.status == 400

    def test_empty_text_and_null_clear(self, sandbox: HubSpotSandbox, client: Client) -> None:
        [key] = sandbox.controls.preload_contacts(
            [{"email": "a@demo.example", "firstname": "A", "lastname": "B"}]
        )
        client.batch.update(
            {"inputs": [{"id": key, "properties": {"firstname": "", "lastname": None}}]}
        )
        read = client.basic.get_by_id(key, properties=["firstname", "lastname"])
        assert not read.properties["firstname"]
        assert read.properties["lastname"] is None

    def test_updates_of_missing_records_are_errors_of_a_207(
        self, sandbox: HubSpotSandbox, client: Client
    ) -> None:
        [key] = sandbox.controls.preload_contacts([{"email": "a@demo.example"}])
        inputs = [{"id": each, "properties": {"firstname": "A"}} for each in (key, "999999")]
        answer, status, _ = client.batch.update_with_http_info({"inputs": inputs})
        assert status == 207
        assert [each.id for each in answer.results] == [key]
        assert answer.errors[0].context == {"ids": ["999999"]}

    def test_batches_have_limits(self, client: Client) -> None:
        with pytest.raises(ContactsError) as error:
            client.batch.create(people(*(f"p{n}" for n in range(101))))
        assert error.value.status == 400
        assert "100" in body_of(error)["message"]
        assert len(client.batch.create(people(*(f"p{n}" for n in range(100)))).results) == 100
        for call, inputs in (
            (client.batch.update, [{"id": "5", "properties": {}}, {"id": "5", "properties": {}}]),
            (client.batch.read, [{"id": "5"}, {"id": "6"}, {"id": "5"}]),
        ):
            with pytest.raises(ContactsError) as error:
                call({"inputs": inputs, "properties": [], "propertiesWithHistory": []})
            assert body_of(error)["message"] == "Duplicate IDs found in batch input: [5]"

    def test_answers_come_in_an_order_of_their_own(self, client: Client) -> None:
        made = client.batch.create(people(*(f"p{n}" for n in range(20))))
        assert [each.properties["firstname"] for each in made.results] != [
            f"p{n}" for n in range(20)
        ]

    def test_upsert_by_email_must_be_whole(self, sandbox: HubSpotSandbox, client: Client) -> None:
        sandbox.controls.preload_contacts([{"email": "a@demo.example", "firstname": "A"}])

        def upsert(values: dict[str, str]) -> Any:
            entry = {"id": "A@demo.example", "idProperty": "email", "properties": values}
            fresh = {"id": "n@demo.example", "idProperty": "email", "properties": {}}
            return client.batch.upsert({"inputs": [entry, fresh]})

        with pytest.raises(ContactsError) as error:
            upsert({"lastname": "B"})
        assert error.value.status == 400
        assert "Partial upserts are not supported" in body_of(error)["message"]
        done = upsert({"firstname": "A", "lastname": "B"})
        assert sorted(each.new for each in done.results) == [False, True]

    def test_upsert_by_a_unique_property_may_be_partial(
        self, sandbox: HubSpotSandbox, client: Client
    ) -> None:
        if "shop_id" not in sandbox.controls.properties():
            sandbox.controls.define_property("shop_id", unique=True)
        sandbox.controls.preload_contacts(
            [{"email": "a@demo.example", "firstname": "A", "shop_id": "c1"}]
        )
        inputs = [
            {"id": each, "idProperty": "shop_id", "properties": {"lastname": "B"}}
            for each in ("c1", "c2")
        ]
        done = client.batch.upsert({"inputs": inputs})
        assert sorted(each.new for each in done.results) == [False, True]
        names = [
            each["properties"].get("firstname") for each in sandbox.controls.contacts().values()
        ]
        assert sorted(names, key=str) == ["A", None]
        with pytest.raises(ContactsError) as error:
            client.batch.upsert(
                {"inputs": [{"id": "A", "idProperty": "firstname", "properties": {}}]}
            )
        assert "non-unique" in body_of(error)["message"]
        with pytest.raises(ContactsError) as error:
            client.batch.create({"inputs": [{"properties": {"shop_id": "c1"}}]})
        assert error.value.status == 409

    def test_batch_update_does_not_go_by_email(self, client: Client) -> None:
        entry = {"id": "a@demo.example", "idProperty": "email", "properties": {"firstname": "A"}}
        with pytest.raises(ContactsError) as error:
            client.batch.update({"inputs": [entry]})
        assert "Unable to perform update/upsert by non-unique" in body_of(error)["message"]

    def test_one_contact_at_a_time(self, client: Client) -> None:
        made = client.basic.create(
            {"properties": {"email": "One@demo.example"}, "associations": []}
        )
        assert made.properties["email"] == "one@demo.example"
        client.basic.update(
            "one@demo.example", {"properties": {"firstname": "O"}}, id_property="email"
        )
        assert client.basic.get_by_id(made.id).properties["firstname"] == "O"
        with pytest.raises(ContactsError) as error:
            client.basic.create({"properties": {"email": "one@demo.example"}, "associations": []})
        assert error.value.status == 409
        client.basic.archive(made.id)
        client.basic.archive(made.id)
        with pytest.raises(ContactsError) as error:
            client.basic.get_by_id(made.id)
        assert error.value.status == 404

    def test_pages_of_contacts(self, sandbox: HubSpotSandbox, client: Client) -> None:
        ids = sandbox.controls.preload_contacts(
            [{"email": f"p{n}@demo.example"} for n in range(25)]
        )
        seen, after = [], None
        while True:
            page = client.basic.get_page(limit=10, **({"after": after} if after else {}))
            seen += [each.id for each in page.results]
            if page.paging is None:
                break
            after = page.paging.next.after
        assert seen == ids

    def test_archived_contacts_leave_their_lists(
        self, sandbox: HubSpotSandbox, client: Client
    ) -> None:
        ids = sandbox.controls.preload_contacts(
            [{"email": "a@demo.example"}, {"email": "b@demo.example"}]
        )
        sandbox.controls.preload_list("all", ids)
        client.batch.archive({"inputs": [{"id": ids[0]}, {"id": "999999"}]})
        assert sandbox.controls.members("all") == ["b@demo.example"]

    @pytest.mark.parametrize("known", [True, False])
    def test_gdpr_deletion_blocks_the_addresses(
        self, sandbox: HubSpotSandbox, client: Client, known: bool
    ) -> None:
        emails = {"g@demo.example"}
        if known:
            emails.add("g2@demo.example")
            sandbox.controls.preload_contacts(
                [{"email": "g@demo.example", "hs_additional_emails": "g2@demo.example"}]
            )
        client.basic.purge({"objectId": "G@demo.example", "idProperty": "email"})
        assert sandbox.controls.contacts() == {}
        assert emails <= set(sandbox.controls.blocklist())
        for email in emails:
            with pytest.raises(ContactsError) as error:
                client.basic.create({"properties": {"email": email}, "associations": []})
            assert error.value.status == 400

    def test_search(self, sandbox: HubSpotSandbox, client: Client) -> None:
        sandbox.controls.preload_contacts(
            [
                {"email": f"p{n}@demo.example", "firstname": "even" if n % 2 == 0 else "odd"}
                for n in range(7)
            ]
        )

        def found(*filters: dict[str, Any], **more: Any) -> Any:
            group = {"filters": list(filters)}
            return client.search.do_search({"filterGroups": [group], "limit": 100, **more})

        even = {"propertyName": "firstname", "operator": "EQ", "value": "EVEN"}
        assert found(even).total == 4
        page = found(even, limit=3)
        assert (len(page.results), page.paging.next.after) == (3, "3")
        assert len(found(even, limit=3, after="3").results) == 1
        emails = ["p1@demo.example", "P2@demo.example"]
        assert found({"propertyName": "email", "operator": "IN", "values": emails}).total == 2
        assert found({"propertyName": "lastname", "operator": "HAS_PROPERTY"}).total == 0
        token = {"propertyName": "email", "operator": "CONTAINS_TOKEN", "value": "p3*"}
        assert (
            found(token, {"propertyName": "firstname", "operator": "NEQ", "value": "even"}).total
            == 1
        )
        either = [{"filters": [{**even, "value": each}]} for each in ("even", "odd")]
        assert client.search.do_search({"filterGroups": either}).total == 7
        with pytest.raises(ContactsError) as error:
            found(even, limit=200, after="9900")
        assert error.value.status == 400
        with pytest.raises(ContactsError):
            client.search.do_search({"filterGroups": [{"filters": [even]}] * 6})


class TestLists:
    def make(self, client: Client, name: str, kind: str = "MANUAL") -> Any:
        request = {"name": name, "objectTypeId": "0-1", "processingType": kind}
        return client.lists.create(request).list

    def test_create_find_rename_delete(self, client: Client) -> None:
        made = self.make(client, "At risk")
        assert (made.processing_type, made.processing_status) == ("MANUAL", "COMPLETE")
        assert client.lists.get_by_id(made.list_id).list.name == "At risk"
        assert client.lists.get_by_name("at RISK", "0-1").list.list_id == made.list_id
        assert [each.name for each in client.lists.get_all(list_ids=[made.list_id]).lists] == [
            "At risk"
        ]
        client.lists.update_name(made.list_id, list_name="Gone soon")
        client.lists.remove(made.list_id)
        for call in (
            lambda: client.lists.get_by_id(made.list_id),
            lambda: client.lists.get_by_name("Gone soon", "0-1"),
            lambda: client.memberships.add(made.list_id, ["1"]),
        ):
            with pytest.raises(ListsError) as error:
                call()
            assert error.value.status == 404

    def test_names_are_unique(self, client: Client) -> None:
        self.make(client, "Twice")
        with pytest.raises(ListsError) as error:
            self.make(client, "twice")
        assert error.value.status == 400
        assert body_of(error)["subCategory"] == "ILS.DUPLICATE_LIST_NAMES"
        assert body_of(error)["category"] == "VALIDATION_ERROR"

    def test_search_pages(self, client: Client) -> None:
        for n in range(5):
            self.make(client, f"Segment {n}", "SNAPSHOT" if n == 0 else "MANUAL")
        page = client.lists.do_search(
            {"query": "segment", "count": 2, "processingTypes": ["MANUAL"]}
        )
        assert (page.total, page.offset, page.has_more, len(page.lists)) == (4, 2, True, 2)
        assert page.lists[0].additional_properties == {"hs_list_size": "0"}

    def test_membership_calls_say_what_they_did(
        self, sandbox: HubSpotSandbox, client: Client
    ) -> None:
        ids = sandbox.controls.preload_contacts([{"email": f"p{n}@demo.example"} for n in range(4)])
        key = self.make(client, "L").list_id
        done = client.memberships.add(key, [*ids[:2], "999999"])
        assert done.records_ids_added == ids[:2]
        assert done.record_ids_missing == ["999999"]
        again = client.memberships.add(key, ids[:2])
        assert (again.records_ids_added, again.record_ids_removed, again.record_ids_missing) == (
            [],
            [],
            [],
        )
        both = client.memberships.add_and_remove(
            key, {"recordIdsToAdd": [ids[2]], "recordIdsToRemove": [ids[0], ids[3]]}
        )
        assert (both.records_ids_added, both.record_ids_removed) == ([ids[2]], [ids[0]])
        assert client.memberships.remove(key, [ids[1]]).record_ids_removed == [ids[1]]
        assert sandbox.controls.lists()[key]["members"] == [ids[2]]
        assert sandbox.controls.contacts()[ids[1]]["member_writes"] == 2
        lists = client.memberships.get_lists("0-1", ids[2])
        assert [each.list_id for each in lists.results] == [key]
        client.memberships.remove_all(key)
        assert sandbox.controls.members("L") == []

    def test_members_come_in_pages_of_250(self, sandbox: HubSpotSandbox, client: Client) -> None:
        ids = sandbox.controls.preload_contacts(
            [{"email": f"p{n}@demo.example"} for n in range(601)]
        )
        key = sandbox.controls.preload_list("many", ids)
        seen, sizes, after = [], [], None
        while True:
            page = client.memberships.get_page(
                key, limit=250, **({"after": after} if after else {})
            )
            sizes.append(len(page.results))
            seen += [each.record_id for each in page.results]
            if page.paging is None:
                break
            after = page.paging.next.after
        assert sizes == [250, 250, 101]
        assert sorted(seen) == sorted(ids)
        with pytest.raises(ListsError) as error:
            client.memberships.get_page(key, limit=251)
        assert error.value.status == 400

    def test_dynamic_lists_cannot_be_edited(self, sandbox: HubSpotSandbox, client: Client) -> None:
        [one] = sandbox.controls.preload_contacts([{"email": "a@demo.example"}])
        key = sandbox.controls.preload_list("rule", [one], "DYNAMIC")
        for call in (client.memberships.add, client.memberships.remove):
            with pytest.raises(ListsError) as error:
                call(key, [one])
            assert error.value.status == 400
        assert sandbox.controls.lists()[key]["members"] == [one]
        snapshot = self.make(client, "frozen", "SNAPSHOT").list_id
        assert client.memberships.add(snapshot, [one]).records_ids_added == [one]

    def test_empty_arrays_can_be_left_out(self, sandbox: HubSpotSandbox) -> None:
        [one] = sandbox.controls.preload_contacts([{"email": "a@demo.example"}])
        key = sandbox.controls.preload_list("L")
        sandbox.controls.omit_empty_arrays()
        answer = httpx.put(
            f"{sandbox.url}/crm/lists/2026-09/{key}/memberships/add",
            json=[one],
            headers={"Authorization": f"Bearer {sandbox.token}"},
        )
        assert answer.json() == {"recordsIdsAdded": [one]}


class TestProperties:
    def definition(self, name: str, /, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "label": name,
            "type": "string",
            "fieldType": "text",
            "groupName": "contactinformation",
            **more,
        }

    def test_create_read_change_archive(self, sandbox: HubSpotSandbox, client: Client) -> None:
        choice = {"label": "Champions", "value": "champions", "displayOrder": 1, "hidden": False}
        group = self.definition(
            "rfm_group_x", type="enumeration", fieldType="select", options=[choice]
        )
        made = client.properties.create("contacts", group)
        assert (made.type, made.options[0].value, made.hubspot_defined) == (
            "enumeration",
            "champions",
            False,
        )
        assert client.properties.get_by_name("0-1", "rfm_group_x").label == "rfm_group_x"
        assert "email" in {each.name for each in client.properties.get_all("contacts").results}
        changed = client.properties.update("contact", "rfm_group_x", {"label": "Group"})
        assert changed.label == "Group"
        with pytest.raises(PropertiesError) as error:
            client.properties.create("contacts", group)
        assert error.value.status == 409
        assert body_of(error)["category"] == "OBJECT_ALREADY_EXISTS"
        client.properties.archive("contacts", "rfm_group_x")
        with pytest.raises(PropertiesError) as error:
            client.properties.get_by_name("contacts", "rfm_group_x")
        assert error.value.status == 404

    def test_batch_create_names_those_that_exist(self, client: Client) -> None:
        inputs = [self.definition("orders_y"), self.definition("email")]
        answer, status, _ = client.property_batch.create_with_http_info(
            "contacts", {"inputs": inputs}
        )
        assert status == 207
        assert [each.name for each in answer.results] == ["orders_y"]
        assert answer.errors[0].category == "OBJECT_ALREADY_EXISTS"
        names = {"inputs": [{"name": "orders_y"}], "archived": False}
        assert len(client.property_batch.read("contacts", names).results) == 1

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": "Upper Case"},
            {"type": "money"},
            {"type": "number", "fieldType": "text"},
            {"groupName": "no_such_group"},
            {"type": "enumeration", "fieldType": "select"},
        ],
    )
    def test_impossible_definitions_are_refused(
        self, client: Client, wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(PropertiesError) as error:
            client.properties.create("contacts", self.definition("fine_z", **wrong))
        assert error.value.status == 400

    def test_groups(self, client: Client) -> None:
        made = client.groups.create("contacts", {"name": "liftline", "label": "Liftline"})
        assert client.groups.get_by_name("contacts", "liftline") == made
        assert made.name in {each.name for each in client.groups.get_all("contacts").results}
        with pytest.raises(PropertiesError) as error:
            client.groups.create("contacts", {"name": "liftline", "label": "Liftline"})
        assert error.value.status == 409

    def test_the_number_of_custom_properties_is_limited(
        self, sandbox: HubSpotSandbox, client: Client
    ) -> None:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        for path in ("/crm/v3/limits/custom-properties", "/crm/limits/2026-03/custom-properties"):
            told = httpx.get(sandbox.url + path, headers=headers).json()
            [contacts] = told["byObjectType"]
            assert contacts["objectTypeId"] == "0-1"
        sandbox.controls.set_custom_property_limit(contacts["usage"])
        with pytest.raises(PropertiesError) as error:
            client.properties.create("contacts", self.definition("one_too_many"))
        assert error.value.status == 400
        sandbox.controls.set_custom_property_limit(1000)


class TestCredentials:
    def test_unknown_and_revoked_tokens(self, sandbox: HubSpotSandbox) -> None:
        sandbox.controls.add_token("pat-other")
        with closing(Client(sandbox.url, "pat-other")) as other:
            other.basic.get_page()
            sandbox.controls.revoke_token("pat-other")
            with pytest.raises(ContactsError) as error:
                other.basic.get_page()
        assert error.value.status == 401
        assert body_of(error)["category"] == "INVALID_AUTHENTICATION"
        assert httpx.get(f"{sandbox.url}/crm/v3/objects/contacts").status_code == 401

    @pytest.mark.parametrize(
        ("scope", "method", "path"),
        [
            ("crm.objects.contacts.read", "POST", "/crm/v3/objects/contacts/batch/read"),
            ("crm.objects.contacts.read", "POST", "/crm/v3/objects/contacts/search"),
            ("crm.objects.contacts.write", "POST", "/crm/v3/objects/contacts/batch/update"),
            ("crm.objects.contacts.write", "POST", "/crm/v3/objects/contacts/gdpr-delete"),
            ("crm.lists.read", "GET", "/crm/v3/lists/1"),
            ("crm.lists.write", "PUT", "/crm/v3/lists/1/memberships/add"),
            ("crm.schemas.contacts.write", "POST", "/crm/v3/properties/contacts"),
        ],
    )
    def test_missing_scopes(
        self, sandbox: HubSpotSandbox, scope: str, method: str, path: str
    ) -> None:
        sandbox.controls.add_token("narrow")
        sandbox.controls.drop_scope("narrow", scope)
        answer = httpx.request(
            method, sandbox.url + path, headers={"Authorization": "Bearer narrow"}, json={}
        )
        assert answer.status_code == 403
        assert answer.json()["category"] == "MISSING_SCOPES"
        assert scope in answer.json()["errors"][0]["context"]["requiredGranularScopes"]

    def test_what_a_token_may_do_can_be_asked(self, sandbox: HubSpotSandbox) -> None:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        told = httpx.post(
            f"{sandbox.url}/oauth/v2/private-apps/get/access-token-info",
            json={"tokenKey": sandbox.token},
            headers=headers,
        ).json()
        assert "crm.lists.write" in told["scopes"]
        details = httpx.get(f"{sandbox.url}/account-info/v3/details", headers=headers).json()
        assert details["portalId"] == told["hubId"]


class TestPaths:
    @pytest.mark.parametrize("prefix", ["v3/objects", "objects/2026-03", "objects/2026-09"])
    @pytest.mark.parametrize("kind", ["contacts", "contact", "CONTACT", "CONTACTS", "0-1"])
    def test_versions_and_object_types_are_aliases(
        self, sandbox: HubSpotSandbox, prefix: str, kind: str
    ) -> None:
        [key] = sandbox.controls.preload_contacts([{"email": "a@demo.example"}])
        answer = httpx.post(
            f"{sandbox.url}/crm/{prefix}/{kind}/batch/read",
            json={"inputs": [{"id": key}], "properties": []},
            headers={"Authorization": f"Bearer {sandbox.token}"},
        )
        assert answer.status_code == 200
        assert answer.json()["results"][0]["id"] == key

    @pytest.mark.parametrize(
        ("version", "status"), [("v3", 207), ("2026-03", 207), ("2026-09", 200)]
    )
    def test_newer_versions_hide_errors_in_a_200(
        self, sandbox: HubSpotSandbox, version: str, status: int
    ) -> None:
        area = "v3/objects" if version == "v3" else f"objects/{version}"
        for call, entry in (("read", {"id": "9"}), ("update", {"id": "9", "properties": {}})):
            answer = httpx.post(
                f"{sandbox.url}/crm/{area}/contacts/batch/{call}",
                json={"inputs": [entry]},
                headers={"Authorization": f"Bearer {sandbox.token}"},
            )
            assert answer.status_code == status
            assert answer.json()["numErrors"] == 1

    @pytest.mark.parametrize(
        "path",
        [
            "/crm/v4/objects/contacts",
            "/crm/v3/objects/deals",
            "/crm/lists/2026-01",
            "/crm/v3/owners",
            "/",
        ],
    )
    def test_anything_else_is_not_there(self, sandbox: HubSpotSandbox, path: str) -> None:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        assert httpx.get(sandbox.url + path, headers=headers).status_code == 404

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"inputs": 3}', b'{"inputs": [7]}', b"null"])
    def test_malformed_requests_are_400(self, sandbox: HubSpotSandbox, body: bytes) -> None:
        for call in ("batch/read", "batch/update", "batch/upsert", "batch/archive", "search"):
            if call == "search" and b"inputs" in body:
                continue
            answer = httpx.post(
                f"{sandbox.url}/crm/v3/objects/contacts/{call}",
                content=body,
                headers={"Authorization": f"Bearer {sandbox.token}"},
            )
            assert answer.status_code == 400, call
            assert re.search("Invalid input JSON", answer.json()["message"])
