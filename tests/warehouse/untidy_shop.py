"""A small untidy shop: ties, gaps, shared and international addresses, times about DST days."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa


def shop(n: int = 180) -> dict[str, pa.Table]:
    """A small untidy shop: ties, gaps, shared and international addresses, times about DST days."""
    rng = np.random.default_rng(20260301)
    dst = [
        datetime.fromisoformat(text)
        for text in ("2025-03-30 01:00", "2025-10-26 00:30", "2025-03-30 00:59:59")
    ]
    hosts = ["example.com", "b\u00fccher.example", "EXAMPLE.com", "\u4f8b\u5b50.\u5e7f\u544a"]
    names = [
        "Jos\u00e9",
        "jose\u0301",
        "\u00c4nne",
        "\u0130pek",
        "o'neil",
        "\u7528\u6237",
        "x y",
        "STRASSE",
        "stra\u00dfe",
    ]

    def sometimes(values: list[Any], share: float) -> list[Any]:
        return [
            None if gone else v
            for v, gone in zip(values, rng.random(len(values)) < share, strict=True)
        ]

    def moment() -> datetime:
        if rng.random() < 0.15:
            return dst[rng.integers(3)] + timedelta(minutes=int(rng.integers(0, 200)))
        return datetime(2023, 9, 1) + timedelta(seconds=int(rng.integers(0, 79_000_000)))  # noqa: DTZ001

    ids = [f"{['c', 'C', 'k-'][i % 3]}{i}" for i in range(n)]
    emails = [
        f" {names[rng.integers(len(names))]}{rng.integers(0, n // 3)}@{hosts[rng.integers(4)]}"
        for _ in ids
    ]
    twice = [*range(n), 3, 3, 5]
    customers = pa.table(
        {
            "id": [ids[i] for i in twice],
            "email": [sometimes(emails, 0.1)[i] for i in twice],
            "created_at": pa.array([moment() for _ in twice], pa.timestamp("us", "UTC")),
            "updated_at": pa.array(sometimes([moment() for _ in twice], 0.4), pa.timestamp("us")),
            "country": sometimes(
                [["DE", "de", " AT ", "", "\u00d6"][rng.integers(5)] for _ in twice], 0.1
            ),
            "born": pa.array(
                sometimes([int(rng.integers(1930, 2010)) for _ in twice], 0.3), pa.int32()
            ),
        }
    )
    m = n * 6
    buyers = [ids[int(i)] for i in rng.zipf(1.4, m) % n]
    cents = rng.integers(-3_000, 60_000, m) // 50 * 50
    orders = pa.table(
        {
            "no": [f"o{i}" for i in range(m)],
            "who": sometimes(buyers, 0.02),
            "at": pa.array([moment() for _ in range(m)], pa.timestamp("us")),
            "total": pa.array([Decimal(int(c)) / 100 for c in cents], pa.decimal128(12, 2)),
            "off": pa.array(sometimes([float(x) / 1000 for x in rng.integers(0, 5_000, m)], 0.5)),
            "state": [
                ["paid", "void", "Paid"][int(i)] for i in rng.choice(3, m, p=[0.9, 0.06, 0.04])
            ],
        }
    )
    items = pa.table(
        {
            "no": [f"o{int(i)}" for i in rng.integers(0, m + 20, m)],
            "sku": [f"s{int(i)}" for i in rng.integers(0, 40, m)],
            "n": pa.array(sometimes([int(i) for i in rng.integers(-1, 4, m)], 0.05), pa.int64()),
            "price": [float(x) / 100 for x in rng.integers(100, 9_999, m)],
        }
    )
    consents = pa.table(
        {
            "person": [e.upper() if i % 5 == 0 else e for i, e in enumerate(emails + emails[:50])],
            "purpose": sometimes(["marketing"] * (n + 50), 0.05),
            "channel": ["email"] * (n + 50),
            "state": [
                ["yes", "No ", "granted", "maybe"][int(i)]
                for i in rng.choice(4, n + 50, p=[0.6, 0.2, 0.15, 0.05])
            ],
            "at": sometimes([moment().isoformat(sep=" ") for _ in range(n + 50)], 0.05),
        }
    )
    return {"customers": customers, "orders": orders, "items": items, "consents": consents}
