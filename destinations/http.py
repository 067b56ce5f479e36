"""The one way out to a vendor: time-outs, retries, rate limits, errors and redaction over httpx.

An adapter makes one :class:`HttpClient` and sends everything through it, so every rule below holds
for every vendor and every thread, and is tested once.

Retries. One policy (:class:`RetryPolicy`), bounded in attempts and in total time, exponential with
jitter. Pushes are idempotent by contract, so a connection that breaks is retried whether or not the
write may have happened: **only send requests that are safe to repeat**. What cannot be retried into
an answer becomes a :class:`~connector.errors.TransientError`; its ``applied`` says whether any
attempt may have been carried out.

Rates. Departures are paced so that the vendor never counts too many arrivals; the argument is in
:mod:`destinations.pacing`.

Pauses. A 429 or 423 stops *all* workers, not the one that met it: the others would only collect
more refusals. An exhausted daily quota stops the client for good, with the same error for every
later call.

Privacy. Nothing that a vendor sends back is quoted: messages are made of our own words, the path's
template, the status and machine codes that match a strict pattern. Exceptions of httpx, which carry
URLs and headers, never become the cause or context of ours. The loggers of httpx and httpcore print
URLs at INFO and are set to WARNING.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx
import tenacity

from connector.domain import Rate
from connector.errors import (
    AuthenticationError,
    BatchRejectedError,
    DestinationError,
    PermanentError,
    TransientError,
)
from destinations.pacing import Clock, Gate, Pause, Stop, SystemClock
from destinations.traffic import Call, Traffic

USER_AGENT = "liftline"
_TOO_MANY, _LOCKED, _MIGRATING, _TIMEOUT = 429, 423, 477, 408
_REFUSED_CONTENT = frozenset({400, 409, 413, 422})
_CONNECT_TIMEOUT_S = 10.0
_KEEPALIVE_S = 30.0

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_UNKNOWN = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
)

_MACHINE_WORD = re.compile(r"(?=.{1,80}$)[A-Z][A-Z0-9]*(?:[_.][A-Z0-9]+)*")
_REQUEST_ID = re.compile(r"[0-9A-Za-z-]{8,64}")


def machine_word(text: object) -> str:
    """``text`` when it is a machine's code such as ``INVALID_EMAIL``, else ``""``."""
    return text if isinstance(text, str) and _MACHINE_WORD.fullmatch(text) else ""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long one request is tried.

    Attributes:
        attempts: Most tries, the first included.
        total_s: No further try starts after this many seconds.
        first_wait_s: Scale of the exponential wait.
        longest_wait_s: Its cap.
    """

    attempts: int = 5
    total_s: float = 90.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What an error answer says, free of personal data.

    Attributes:
        code: Machine word, may be empty.
        hint: What to do about it, may be empty.
    """

    code: str = ""
    hint: str = ""


class Answers:
    """How a vendor words its answers; an adapter overrides what its vendor does differently."""

    request_id_header = "x-request-id"

    def pause(self, response: httpx.Response) -> Pause | Stop | None:
        """What a 429 or 423 asks for; None leaves it to ``Retry-After`` or the exponential wait."""
        del response
        return None

    def fault(self, response: httpx.Response) -> Fault:
        """The machine-readable part of an error answer."""
        del response
        return Fault()

    def request_id(self, response: httpx.Response) -> str:
        """The vendor's id of this call, for its support desk."""
        found = response.headers.get(self.request_id_header, "")
        return found if _REQUEST_ID.fullmatch(found) else ""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one try came to: an answer, the name of a failure, or a stop."""

    response: httpx.Response | None = None
    failure: str = ""
    stop: Stop | None = None
    applied: bool = False
    again: bool = False
    wait_s: float = 0.0


class HttpClient:
    """Sends requests to one vendor; safe to share among threads.

    Args:
        name: The destination, for messages.
        base_url: Where paths start.
        headers: Sent with every request; holds the credentials.
        rates: The vendor's limits, all of which hold at once.
        workers: How many requests may be in flight; also the size of the connection pool.
        timeout_s: Time-out of one read or write.
        retry: How long one request is tried.
        answers: How the vendor words its answers.
        recorder: Told of every attempt.
        transport: The seam for tests.
        clock: Likewise.
    """

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        rates: Sequence[Rate] = (),
        workers: int = 1,
        timeout_s: float = 30.0,
        retry: RetryPolicy | None = None,
        answers: Answers | None = None,
        recorder: Callable[[Call], None] | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        for noisy in ("httpx", "httpcore"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self.name = name
        self._clock = clock or SystemClock()
        self._retry = retry or RetryPolicy()
        self._answers = answers or Answers()
        self._record = recorder or Traffic()
        self._gate = Gate(rates, workers=workers, clock=self._clock)
        self._in_flight = threading.BoundedSemaphore(workers)
        url = httpx.URL(base_url)
        self._client = httpx.Client(
            base_url=url,
            headers={"User-Agent": USER_AGENT, **headers},
            timeout=httpx.Timeout(
                timeout_s,
                connect=min(timeout_s, _CONNECT_TIMEOUT_S),
                pool=self._retry.total_s,
            ),
            limits=httpx.Limits(
                max_connections=workers,
                max_keepalive_connections=workers,
                keepalive_expiry=_KEEPALIVE_S,
            ),
            transport=transport,
            trust_env=not is_loopback(url.host),
            follow_redirects=False,
        )

    def __repr__(self) -> str:
        return f"HttpClient({self.name!r})"

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        template: str,
        content: bytes | None = None,
        params: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> httpx.Response:
        """Send one request until there is an answer that tells something.

        Args:
            method: ``GET``, ``POST`` and so on; the request must be safe to repeat.
            path: Path below the base URL. May hold personal data; never shown.
            template: The path without its variable parts, for messages and counts.
            content: Body, already encoded.
            params: Query parameters.
            headers: Besides the client's own.
            accept: Error statuses that the caller reads itself.

        Returns:
            An answer with a 2xx status, or one of ``accept``.

        Raises:
            AuthenticationError: 401 or 403.
            BatchRejectedError: 400, 409, 413 or 422: the content is refused.
            PermanentError: Any other status that will not change by itself.
            TransientError: No answer, or a refusal for now, after all retries.
        """
        started = self._clock.now()
        tried: list[_Attempt] = []

        def once() -> _Attempt:
            attempt = self._attempt(method, path, template, content, params, headers)
            tried.append(attempt)
            return attempt

        def last(state: tenacity.RetryCallState) -> _Attempt:
            del state
            return tried[-1]

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda attempt: attempt.again),
            stop=lambda state: (
                state.attempt_number >= self._retry.attempts
                or self._clock.now() - started >= self._retry.total_s
            ),
            wait=lambda state: self._wait_s(state, tried[-1]),
            sleep=self._clock.sleep,
            retry_error_callback=last,
        )
        attempt: _Attempt = retrying(once)
        applied = any(one.applied for one in tried)
        response = attempt.response
        if response is None:
            raise self._unanswered(
                f"{method} {template}", attempt, applied=applied, tries=len(tried)
            )
        if response.is_success or (response.status_code in accept and not attempt.again):
            return response
        raise self._error(f"{method} {template}", response, attempt, applied=applied)

    def _wait_s(self, state: tenacity.RetryCallState, attempt: _Attempt) -> float:
        if attempt.response is not None and attempt.response.status_code in (_TOO_MANY, _LOCKED):
            return 0.0  # the gate holds this thread as it holds the others
        jitter = tenacity.wait_random_exponential(
            multiplier=self._retry.first_wait_s, max=self._retry.longest_wait_s
        )
        return max(attempt.wait_s, jitter(state))

    def _attempt(
        self,
        method: str,
        path: str,
        template: str,
        content: bytes | None,
        params: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None,
    ) -> _Attempt:
        with self._in_flight:  # the pacing counts on it, whoever calls from however many threads
            stop = self._gate.enter()
            if stop is not None:
                return _Attempt(stop=stop)
            return self._send(method, path, template, content, params, headers)

    def _send(
        self,
        method: str,
        path: str,
        template: str,
        content: bytes | None,
        params: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None,
    ) -> _Attempt:
        started = self._clock.now()
        response: httpx.Response | None = None
        failure, again, applied = "", False, False
        try:
            response = self._client.request(
                method, path, content=content, params=list(params) or None, headers=headers
            )
        except _NOT_SENT as error:
            failure, again = type(error).__name__, True
        except _UNKNOWN as error:
            failure, again, applied = type(error).__name__, True, True
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
            failure = type(error).__name__
        status = None if response is None else response.status_code
        self._record(Call(method, template, status, self._clock.now() - started))
        if response is None:
            return _Attempt(failure=failure, again=again, applied=applied)
        return self._judge(response)

    def _judge(self, response: httpx.Response) -> _Attempt:
        status = response.status_code
        if status in (_TOO_MANY, _LOCKED):
            asked = self._answers.pause(response)
            wait_s = retry_after_s(response)
            if asked is None:
                asked = Pause(wait_s if wait_s is not None else self._retry.first_wait_s)
            if isinstance(asked, Pause) and asked.seconds > self._retry.total_s:
                asked = Stop(f"it asks for a pause of {asked.seconds:.0f} s", asked.seconds)
            if isinstance(asked, Stop):
                self._gate.stop(asked)
                return _Attempt(response, stop=asked)
            self._gate.pause(max(asked.seconds, wait_s or 0.0))
            return _Attempt(response, again=True)
        if status in (_MIGRATING, _TIMEOUT) or status >= 500:
            return _Attempt(
                response, again=True, applied=True, wait_s=retry_after_s(response) or 0.0
            )
        return _Attempt(response)

    def _unanswered(
        self, what: str, attempt: _Attempt, *, applied: bool, tries: int
    ) -> DestinationError:
        if attempt.stop is not None:
            return self._stopped(attempt.stop, applied=applied)
        if not attempt.again:
            return PermanentError(
                f"{self.name}: {what} could not be sent ({attempt.failure}).",
                hint="Check the URL and the credentials for stray characters.",
            )
        return TransientError(
            f"{self.name}: {what} got no answer in {tries} tries ({attempt.failure}).",
            hint="Check the network and the vendor's status page, then run again.",
            applied=applied,
        )

    def _stopped(self, stop: Stop, *, applied: bool, status: int | None = None) -> TransientError:
        return TransientError(
            f"{self.name}: {stop.message}.",
            hint="Run again then; what was not sent stays planned.",
            status=status,
            retry_after_s=stop.retry_after_s,
            applied=applied,
        )

    def _error(
        self, what: str, response: httpx.Response, attempt: _Attempt, *, applied: bool
    ) -> DestinationError:
        status = response.status_code
        if attempt.stop is not None:
            return self._stopped(attempt.stop, applied=applied, status=status)
        fault = self._answers.fault(response)
        request_id = self._answers.request_id(response)
        code = f" {fault.code}" if fault.code else ""
        message = f"{self.name}: {what} was answered with {status}{code}."
        if attempt.again:
            return TransientError(
                message,
                hint=fault.hint or "Run again later.",
                status=status,
                request_id=request_id,
                retry_after_s=retry_after_s(response),
                applied=applied,
            )
        kind: type[DestinationError] = PermanentError
        hint = fault.hint
        if status in (401, 403):
            kind = AuthenticationError
            hint = hint or "Check the credentials and their scopes."
        elif status in _REFUSED_CONTENT:
            kind = BatchRejectedError
        return kind(message, hint=hint, status=status, request_id=request_id)


def retry_after_s(response: httpx.Response) -> float | None:
    """Seconds that ``Retry-After`` asks for: a number, or a date against the answer's own."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        answered = parsedate_to_datetime(response.headers.get("date", ""))
        return max(0.0, (until - answered).total_seconds())
    except (TypeError, ValueError):
        return None


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine, where plain http and no proxy are right."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None
