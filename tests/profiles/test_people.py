from datetime import timedelta

from connector.profiles.spec import ConsentSpec, PersonKey
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import KEY, put, put_keys, understand, utc

T = utc(2025, 3, 1)


def two_addresses(consents, key=PersonKey.EMAIL):
    """One person who was merged long ago and has two addresses, of which the later is new@x.de."""
    import hashlib

    with DuckDBWarehouse() as warehouse:
        put_keys(
            warehouse,
            [
                ("customer_id", hashlib.md5(f"{KEY}:customer_id:{c}".encode()).hexdigest(), "p_1")
                for c in "12"
            ],
        )
        put(
            warehouse,
            "customers",
            [
                {
                    "customer_id": "1",
                    "email": "old@x.de",
                    "created_at": T,
                    "country": "DE",
                    "city": "Ulm",
                },
                {
                    "customer_id": "2",
                    "email": "new@x.de",
                    "created_at": T + timedelta(days=1),
                    "country": "AT",
                    "birth_year": 1970,
                },
            ],
        )
        put(
            warehouse,
            "consents",
            [
                {
                    "person": person,
                    "purpose": "marketing",
                    "channel": "email",
                    "status": status,
                    "at": T,
                }
                for person, status in consents.items()
            ],
        )
        understand(warehouse, consent=ConsentSpec(key=key))
        profiles = warehouse.rows(
            "SELECT p.profile_id, p.customer_id, p.email, p.created_at, p.country, p.n_customers"
            " FROM profiles AS p"
        )
        permissions = warehouse.rows("SELECT p.profile_id, p.status FROM permissions AS p")
        emails = warehouse.rows("SELECT e.email, e.last_seen_at FROM profile_emails AS e")
    return profiles, permissions, sorted(emails)


def test_without_consent_the_latest_address_is_the_primary_one():
    profiles, permissions, emails = two_addresses({})
    assert profiles == [("p_1", "2", "new@x.de", T, "AT", 2)]
    assert permissions == []
    assert emails == [("new@x.de", T + timedelta(days=1)), ("old@x.de", T)]


def test_an_address_with_consent_comes_before_a_later_one_without():
    profiles, permissions, _ = two_addresses({"old@x.de": "granted"})
    assert profiles == [("p_1", "1", "old@x.de", T, "DE", 2)]
    assert permissions == [("p_1", "granted")]


def test_the_primary_address_alone_speaks():
    _, permissions, _ = two_addresses({"old@x.de": "withdrawn", "new@x.de": "granted"})
    assert permissions == [("p_1", "granted")]
    profiles, permissions, _ = two_addresses({"old@x.de": "withdrawn"})
    assert profiles[0][2] == "new@x.de"
    assert permissions == []


def test_with_consent_by_customer_the_address_of_the_consenting_customer_is_primary():
    profiles, permissions, _ = two_addresses({"1": "granted"}, PersonKey.CUSTOMER_ID)
    assert profiles[0][1:3] == ("1", "old@x.de")
    assert permissions == [("p_1", "granted")]
