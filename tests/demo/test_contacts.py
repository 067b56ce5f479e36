"""The vendor's account: some consenting customers missing, some strangers present."""

from __future__ import annotations

from connector.demo.contacts import N_LEADS, account_contents
from tests.demo.conftest import SEED


def test_the_stated_share_of_consenting_customers_is_missing(shop):
    account = account_contents(shop.path, seed=SEED)
    known = {contact["email"] for contact in account.contacts}
    rows = shop.table("consents").query("purpose == 'marketing' and channel == 'email'")
    rows = rows.assign(email=rows.email.str.strip().str.lower())
    staff = rows.email.str.endswith("@northwind-home.example")
    stranger = rows.email.str.startswith("reader")
    last = rows[~staff & ~stranger].sort_values("changed_at").drop_duplicates("email", keep="last")
    agreed = set(last.email[last.status == "granted"])
    assert len(agreed) == shop.summary.n_emails_granted
    assert len(agreed - known) == account.n_missing == round(0.04 * len(agreed))


def test_contacts_are_unique_and_have_plain_texts(shop):
    account = account_contents(shop.path, seed=SEED)
    emails = [contact["email"] for contact in account.contacts]
    assert len(set(emails)) == len(emails)
    assert all(email == email.strip().lower() and email.endswith(".example") for email in emails)
    assert not any("northwind-home.example" in email for email in emails)
    assert all(isinstance(value, str) for contact in account.contacts for value in contact.values())
    assert (
        sum(c["lifecyclestage"] == "lead" for c in account.contacts) == account.n_leads == N_LEADS
    )


def test_foreign_members_are_contacts_some_of_them_customers(shop):
    account = account_contents(shop.path, seed=SEED)
    members = set(account.list_members)
    assert len(members) == len(account.list_members)
    kinds = {c["lifecyclestage"] for c in account.contacts if c["email"] in members}
    assert kinds == {"lead", "customer"}
    assert members <= {contact["email"] for contact in account.contacts}


def test_the_account_is_the_same_for_the_same_seed(shop):
    first, again, other = (account_contents(shop.path, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other
