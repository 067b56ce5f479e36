"""Runs the official ``hubspot-api-client`` over our HTTP client.

Why: the generated client knows every path and encoding, but it brings urllib3 with a retry of its
own that no limiter sees, opens a connection pool at every attribute access, and raises exceptions
whose text is the whole answer. Its constructor's ``api_factory`` hook lets each API object be made
once, over a ``rest_client`` of ours, so that one limiter, one retry policy and one redaction see
every call. ``_preload_content=False`` leaves out its models, nine tenths of the CPU time of a call.

The token is known to our HTTP client only. The client speaks v3 paths; a dated version of the API
differs by prefix, so it is a rewrite here and one setting for the user.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from destinations.http import USER_AGENT, HttpClient
from destinations.hubspot.answers import Answer, read

V3 = "v3"
_READ_BY_CALLER = (400, 404, 409)
_V3_PATH = re.compile(r"/crm/v3/([a-z]+)")
_VARIABLES = (
    (re.compile(r"/name/.+"), "/name/{name}"),
    (re.compile(r"/groups/[^/]+"), "/groups/{name}"),
    (re.compile(r"/\d+(?=/|$)"), "/{id}"),
)


def versioned(path: str, version: str) -> str:
    """A v3 path in another version of the API: ``/crm/lists/2026-09/...``.

    The v3 client ends the path of the list collection with a slash that dated paths do not have.
    """
    if version == V3:
        return path
    return _V3_PATH.sub(rf"/crm/\1/{version}", path, count=1).rstrip("/")


def template_of(path: str) -> str:
    """A path without what varies, for messages and counts."""
    for pattern, replacement in _VARIABLES:
        path = pattern.sub(replacement, path)
    return path


class _RestClient:
    """What a generated ``ApiClient`` calls instead of urllib3; the names are the generator's."""

    def __init__(self, http: HttpClient, version: str) -> None:
        self._http = http
        self._version = version

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        query_params: Sequence[tuple[str, object]] | None,
        body: object = None,
    ) -> httpx.Response:
        path = versioned(url, self._version)
        return self._http.request(
            method,
            path,
            template=template_of(path),
            content=None if body is None else json.dumps(body, separators=(",", ":")).encode(),
            params=[(key, _text(value)) for key, value in query_params or ()],
            headers=headers,
            accept=_READ_BY_CALLER,
        )

    def GET(  # noqa: N802
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        query_params: Sequence[tuple[str, object]] | None = None,
        _preload_content: object = None,
        _request_timeout: object = None,
    ) -> httpx.Response:
        return self._send("GET", url, headers, query_params)

    def POST(  # noqa: N802
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        query_params: Sequence[tuple[str, object]] | None = None,
        post_params: object = None,
        body: object = None,
        _preload_content: object = None,
        _request_timeout: object = None,
    ) -> httpx.Response:
        return self._send("POST", url, headers, query_params, body)

    def PUT(  # noqa: N802
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        query_params: Sequence[tuple[str, object]] | None = None,
        post_params: object = None,
        body: object = None,
        _preload_content: object = None,
        _request_timeout: object = None,
    ) -> httpx.Response:
        return self._send("PUT", url, headers, query_params, body)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Api:
    """The calls that the adapter makes, by name; safe to share among threads.

    Making it imports the generated code, which takes a moment: the adapter does so at its first
    call.
    """

    def __init__(self, name: str, http: HttpClient, version: str) -> None:
        from hubspot import HubSpot as OfficialClient

        self._name = name
        rest_client = _RestClient(http, version)

        def factory(package: Any, api_name: str, config: Mapping[str, Any]) -> Any:  # noqa: ANN401
            del config  # credentials and retries are the HTTP client's
            configuration = package.Configuration()
            configuration.host = ""
            api_client = package.ApiClient(configuration=configuration)
            api_client.rest_client = rest_client
            api_client.user_agent = USER_AGENT
            return getattr(package, api_name)(api_client=api_client)

        crm = OfficialClient(api_factory=factory).crm
        # Every access to such an attribute makes a new object, so each is made once and kept.
        self._contacts = crm.contacts.basic_api
        self._batch = crm.contacts.batch_api
        self._lists = crm.lists.lists_api
        self._memberships = crm.lists.memberships_api
        self._properties = crm.properties.core_api
        self._property_batch = crm.properties.batch_api
        self._groups = crm.properties.groups_api
        self._rest = rest_client

    def _read(self, response: httpx.Response) -> Answer:
        return read(self._name, response)

    def read_contacts(
        self, ids: Sequence[str], *, id_property: str | None, properties: Sequence[str]
    ) -> Answer:
        """Up to 100 contacts by record id, or by the value of a unique property."""
        body: dict[str, Any] = {
            "inputs": [{"id": one} for one in ids],
            "properties": list(properties),
            "propertiesWithHistory": [],
        }
        if id_property is not None:
            body["idProperty"] = id_property
        return self._read(self._batch.read(body, _preload_content=False))

    def update_contacts(self, wanted: Mapping[str, Mapping[str, str]]) -> Answer:
        """Write properties of up to 100 contacts by record id."""
        inputs = [{"id": one, "properties": dict(values)} for one, values in wanted.items()]
        return self._read(self._batch.update({"inputs": inputs}, _preload_content=False))

    def create_contacts(self, wanted: Mapping[str, Mapping[str, str]]) -> Answer:
        """Create up to 100 contacts; the keys are trace ids, by which errors name them."""
        inputs = [
            {"objectWriteTraceId": trace, "properties": dict(values), "associations": []}
            for trace, values in wanted.items()
        ]
        return self._read(self._batch.create({"inputs": inputs}, _preload_content=False))

    def one_contact(self) -> Answer:
        """Read a single contact, to see whether contacts may be read."""
        return self._read(self._contacts.get_page(limit=1, _preload_content=False))

    def list_by_id(self, list_id: str) -> Answer:
        """One list."""
        return self._read(self._lists.get_by_id(list_id, _preload_content=False))

    def list_by_name(self, name: str, object_type: str) -> Answer:
        """One list of a type of record."""
        return self._read(self._lists.get_by_name(name, object_type, _preload_content=False))

    def search_lists(self, text: str, *, offset: int, count: int) -> Answer:
        """One page of the lists whose names hold the text."""
        body = {"query": text, "offset": offset, "count": count}
        return self._read(self._lists.do_search(body, _preload_content=False))

    def create_list(self, name: str, object_type: str, processing_type: str) -> Answer:
        """Create a list."""
        body = {"name": name, "objectTypeId": object_type, "processingType": processing_type}
        return self._read(self._lists.create(body, _preload_content=False))

    def change_members(self, list_id: str, *, add: list[str], remove: list[str]) -> Answer:
        """Add and remove members of a list by record id."""
        body = {"recordIdsToAdd": add, "recordIdsToRemove": remove}
        return self._read(self._memberships.add_and_remove(list_id, body, _preload_content=False))

    def members(self, list_id: str, *, after: str | None, limit: int) -> Answer:
        """One page of a list's members."""
        if after is None:
            page = self._memberships.get_page(list_id, limit=limit, _preload_content=False)
        else:
            page = self._memberships.get_page(
                list_id, limit=limit, after=after, _preload_content=False
            )
        return self._read(page)

    def all_properties(self) -> Answer:
        """Every contact property."""
        return self._read(self._properties.get_all("contacts", _preload_content=False))

    def create_properties(self, inputs: list[dict[str, Any]]) -> Answer:
        """Create contact properties."""
        body = {"inputs": inputs}
        return self._read(self._property_batch.create("contacts", body, _preload_content=False))

    def property_group(self, name: str) -> Answer:
        """One group of contact properties."""
        return self._read(self._groups.get_by_name("contacts", name, _preload_content=False))

    def create_property_group(self, name: str, label: str) -> Answer:
        """Create a group of contact properties."""
        body = {"name": name, "label": label, "displayOrder": -1}
        return self._read(self._groups.create("contacts", body, _preload_content=False))

    # The official client lacks the two calls below.

    def property_limits(self) -> Answer:
        """How many custom properties there may be, and are."""
        return self._read(self._rest.GET("/crm/v3/limits/custom-properties"))

    def token_info(self, token: str) -> Answer:
        """What a private app's token may do."""
        path = "/oauth/v2/private-apps/get/access-token-info"
        headers = {"Content-Type": "application/json"}
        return self._read(self._rest.POST(path, headers=headers, body={"tokenKey": token}))
