"""One thread for numeric libraries, where the order of a sum may decide on which side a person is.

With several threads, sums are taken in another order each time; the last digit differs, and with it
who is nearest to what. A fit that must be repeatable runs within :func:`one_thread`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits


def one_thread() -> AbstractContextManager[object]:
    """A context in which BLAS and OpenMP use one thread."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limits
