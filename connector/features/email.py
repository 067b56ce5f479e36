"""How somebody answers e-mails.

A mail that a system reports as sent and as delivered is one mail: the larger of the two counts is
taken. Opens and clicks are counted as they are reported, so a rate passes 1 for somebody who opens
each mail twice; and some mail programs open every mail by themselves, so a click says more.
"""

from __future__ import annotations

from connector.features.pack import DerivedColumn, FeatureColumn, FeaturePack, Rows
from connector.features.shares import preferred_hour

TABLE, TIME = "clean_events", "occurred_at"
WINDOWS_DAYS = (30, 90)


def email_pack(timezone: str = "UTC") -> FeaturePack:
    """E-mails sent, opened and clicked.

    Args:
        timezone: Zone that hours are meant in.
    """
    columns: list[FeatureColumn] = []
    for days in WINDOWS_DAYS:
        columns += [
            FeatureColumn(
                f"email_sends_{days}d",
                "greatest(count_if(meaning = 'email_sent'), count_if(meaning = 'email_delivered'))",
                "e-mails",
                f"e-mails sent in the last {days} days",
                window_days=days,
            ),
            *(
                FeatureColumn(
                    f"{name}_{days}d",
                    "count(*)",
                    "events",
                    f"{words} of e-mails in the last {days} days",
                    where=f"meaning = '{meaning}'",
                    window_days=days,
                )
                for name, meaning, words in (
                    ("opens", "email_open", "opens"),
                    ("clicks", "email_click", "clicks in links"),
                )
            ),
        ]
    columns += [
        FeatureColumn(
            f"days_since_last_{name}",
            "days_between(max(occurred_at), as_of)",
            "days",
            f"whole days since the last {words}",
            where=f"meaning = '{meaning}'",
            empty="NULL",
        )
        for name, meaning, words in (
            ("email_open", "email_open", "opening of an e-mail"),
            ("email_click", "email_click", "click in an e-mail"),
        )
    ]
    columns.append(
        FeatureColumn(
            "email_bounces_90d",
            "count(*)",
            "e-mails",
            "e-mails of the last 90 days that came back",
            where="meaning = 'email_bounce'",
            window_days=90,
        )
    )
    return FeaturePack(
        name="email_engagement",
        table=TABLE,
        time=TIME,
        columns=tuple(columns),
        derived=(
            *(
                DerivedColumn(
                    f"email_{name}_rate_90d",
                    f"{plural}_90d / nullif(email_sends_90d, 0)",
                    f"{plural} an e-mail",
                    f"{plural} for each e-mail sent in the last 90 days; NULL when none was sent",
                    type="DOUBLE",
                )
                for name, plural in (("open", "opens"), ("click", "clicks"))
            ),
            DerivedColumn(
                "email_open_velocity",
                "opens_30d / nullif(opens_90d / 3, 0)",
                "ratio",
                "opens of the last 30 days for each in an average 30 of the last 90; above 1 is"
                " rising; NULL without opens",
                type="DOUBLE",
            ),
        ),
        levels=(
            preferred_hour(
                "preferred_email_hour",
                Rows(TABLE, TIME),
                zone=timezone,
                where="r.meaning IN ('email_open', 'email_click')",
                meaning="hour at which e-mails are opened most",
            ),
        ),
        needs=("events",),
    )
