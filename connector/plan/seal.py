"""A digest of a plan's files: what a person has looked at is what is carried out.

A plan lies in a folder, and a copy of it travels. Whoever takes the guards out of a copy's header
must not be able to have it carried out; so the state keeps a digest of what was written. It hinders
mistakes and scripts, not somebody who can write to the state.
"""

from __future__ import annotations

import hashlib

from connector.errors import PlanError
from connector.plan.document import SIDE_TABLES, Plan

FILES = ("plan.json", "changes.parquet", *(f"{name}.parquet" for name in SIDE_TABLES))
"""What is sealed; reports that a run publishes beside them are not."""


def seal(plan: Plan) -> str:
    """The digest of the plan's files as they are on disk.

    Raises:
        PlanError: One of them is missing.
    """
    whole = hashlib.sha256()
    for name in FILES:
        try:
            with (plan.folder / name).open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        except FileNotFoundError as error:
            raise PlanError(
                f"the plan in {plan.folder} has no {name}.", hint="Make the plan again."
            ) from error
    return whole.hexdigest()
