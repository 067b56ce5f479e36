"""The HTTP client: what is retried, for how long, what becomes of it, and what is never said."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from connector.domain import Rate
from connector.errors import (
    AuthenticationError,
    BatchRejectedError,
    DestinationError,
    PermanentError,
    TransientError,
)
from destinations.http import (
    Answers,
    Fault,
    HttpClient,
    RetryPolicy,
    is_loopback,
    machine_word,
    retry_after_s,
)
from destinations.pacing import Pause, Stop
from destinations.traffic import Traffic

from .clock import FakeClock


def client(handler, **options):
    options.setdefault("clock", FakeClock())
    return HttpClient(
        name="vendor",
        base_url="https://api.vendor.example",
        headers={"Authorization": "Bearer pat-canary-token"},
        transport=httpx.MockTransport(handler),
        **options,
    )


def script(*steps):
    """A handler that plays statuses, responses and exceptions in turn, the last one for ever."""
    left = list(steps)
    seen = []

    def handler(request):
        seen.append(request)
        step = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, httpx.Response) else httpx.Response(step, json={})

    handler.seen = seen
    return handler


def send(http, **options):
    return http.request("POST", "/things", template="/things", **options)


class TestRetries:
    @pytest.mark.parametrize(
        "failure",
        [
            httpx.ConnectError("refused"),
            httpx.ConnectTimeout("slow"),
            httpx.ReadError("reset"),
            httpx.ReadTimeout("slow"),
            httpx.WriteError("broken pipe"),
            httpx.RemoteProtocolError("closed"),
            500,
            502,
            503,
            504,
            408,
            477,
        ],
        ids=str,
    )
    def test_a_passing_failure_is_retried(self, failure):
        handler = script(failure, failure, 200)
        with_answer = send(client(handler))
        assert with_answer.status_code == 200
        assert len(handler.seen) == 3

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422, 301])
    def test_a_lasting_refusal_is_not_retried(self, status):
        handler = script(status)
        with pytest.raises(DestinationError):
            send(client(handler))
        assert len(handler.seen) == 1

    def test_attempts_are_bounded(self):
        handler = script(503)
        with pytest.raises(TransientError):
            send(client(handler, retry=RetryPolicy(attempts=4)))
        assert len(handler.seen) == 4

    def test_total_time_is_bounded(self):
        clock = FakeClock()

        def slow(request):
            clock.sleep(20.0)
            raise httpx.ReadTimeout("slow", request=request)

        with pytest.raises(TransientError):
            send(client(slow, clock=clock, retry=RetryPolicy(attempts=100, total_s=90.0)))
        assert clock.now() - 1000.0 <= 90.0 + 20.0 + 10.0

    def test_waits_grow_and_vary(self):
        waits = []
        for seed in range(20):
            random.seed(seed)
            clock = FakeClock()
            with pytest.raises(TransientError):
                send(client(script(503), clock=clock))
            waits.append(clock.sleeps)
        means = [sum(column) / len(column) for column in zip(*waits, strict=True)]
        assert means == sorted(means)
        assert len({tuple(one) for one in waits}) > 1

    def test_retry_after_of_an_unavailable_vendor_is_honoured(self):
        clock = FakeClock()
        busy = httpx.Response(503, headers={"Retry-After": "7"})
        send(client(script(busy, 200), clock=clock))
        assert sum(clock.sleeps) >= 7.0

    @pytest.mark.parametrize(
        ("failures", "applied"),
        [
            ([httpx.ConnectError("refused")], False),
            ([httpx.ConnectTimeout("slow")], False),
            ([429], False),
            ([423], False),
            ([httpx.ReadTimeout("slow")], True),
            ([503], True),
            # One attempt that may have been applied is enough, whatever came afterwards.
            ([httpx.ReadTimeout("slow"), httpx.ConnectError("refused")], True),
        ],
        ids=str,
    )
    def test_it_says_whether_the_request_may_have_been_carried_out(self, failures, applied):
        with pytest.raises(TransientError) as caught:
            send(client(script(*failures)))
        assert caught.value.applied is applied

    def test_a_body_is_sent_again_whole(self):
        handler = script(httpx.ReadError("reset"), 200)
        send(client(handler), content=b'{"a": 1}')
        assert [request.content for request in handler.seen] == [b'{"a": 1}'] * 2

    def test_a_status_that_the_caller_reads_itself_comes_back(self):
        assert send(client(script(404)), accept=(404,)).status_code == 404

    def test_what_cannot_be_sent_at_all_is_permanent(self):
        with pytest.raises(PermanentError):
            send(client(script(httpx.LocalProtocolError("illegal header value b'secret'"))))


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, BatchRejectedError),
            (409, BatchRejectedError),
            (413, BatchRejectedError),
            (422, BatchRejectedError),
            (401, AuthenticationError),
            (403, AuthenticationError),
            (404, PermanentError),
            (405, PermanentError),
            (302, PermanentError),
            (429, TransientError),
            (500, TransientError),
        ],
    )
    def test_each_status_has_its_consequence(self, status, kind):
        with pytest.raises(DestinationError) as caught:
            send(client(script(status)))
        assert type(caught.value) is kind
        assert caught.value.status == status

    def test_the_vendors_words_reach_the_message_only_as_codes(self):
        class Words(Answers):
            def fault(self, response):
                return Fault(machine_word(response.json()["category"]), "Do this.")

        answer = httpx.Response(
            400,
            json={"category": "BAD_THING", "message": "ada@example.org is bad"},
            headers={"X-Request-Id": "0123-4567-89ab"},
        )
        with pytest.raises(BatchRejectedError) as caught:
            send(client(script(answer), answers=Words()))
        assert "BAD_THING" in str(caught.value)
        assert caught.value.hint == "Do this."
        assert caught.value.request_id == "0123-4567-89ab"

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("INVALID_EMAIL", "INVALID_EMAIL"),
            ("ILS.DUPLICATE_LIST_NAMES", "ILS.DUPLICATE_LIST_NAMES"),
            ("ada@example.org", ""),
            ("Ada Lovelace", ""),
            ("", ""),
            (None, ""),
            (17, ""),
            ("A" * 500, ""),
        ],
    )
    def test_only_codes_are_machine_words(self, text, word):
        assert machine_word(text) == word


class TestThrottling:
    def test_a_429_pauses_every_thread(self):
        """Eight threads, one 429: nobody sends before the pause is over."""
        clock = FakeClock()
        lock = threading.Lock()
        arrivals = []

        def handler(request):
            with lock:
                arrivals.append(clock.now())
                first = len(arrivals) == 1
            return httpx.Response(429 if first else 200, headers={"Retry-After": "9"})

        http = client(handler, clock=clock, workers=8, rates=(Rate(190, 10.0),))
        send(http)
        threads = [threading.Thread(target=send, args=(http,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(arrivals) == 10
        assert all(at >= arrivals[0] + 9.0 for at in arrivals[1:])

    def test_the_vendors_own_pause_counts_where_there_is_no_retry_after(self):
        class Words(Answers):
            def pause(self, response):
                return Pause(4.0)

        clock = FakeClock()
        send(client(script(429, 200), clock=clock, answers=Words()))
        assert clock.now() >= 1004.0

    def test_a_used_up_quota_stops_the_client_for_good(self):
        class Words(Answers):
            def pause(self, response):
                return Stop("the quota is used up; it resets at midnight", 3600.0)

        handler = script(429, 200)
        http = client(handler, answers=Words())
        for _ in range(3):
            with pytest.raises(TransientError, match="resets at midnight") as caught:
                send(http)
            assert caught.value.retry_after_s == 3600.0
            assert caught.value.applied is False
        assert len(handler.seen) == 1

    def test_a_pause_longer_than_patience_is_a_stop(self):
        clock = FakeClock()
        handler = script(httpx.Response(429, headers={"Retry-After": "3600"}))
        with pytest.raises(TransientError) as caught:
            send(client(handler, clock=clock))
        assert caught.value.retry_after_s == 3600.0
        assert clock.sleeps == []

    def test_a_quota_is_never_exceeded(self):
        handler = script(200)
        http = client(handler, rates=(Rate(2, 86_400.0),))
        send(http)
        send(http)
        with pytest.raises(TransientError, match="used up"):
            send(http)
        assert len(handler.seen) == 2

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "12"}, 12.0),
            (
                {
                    "Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT",
                    "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
                },
                30.0,
            ),
            ({"Retry-After": "soon"}, None),
            ({"Retry-After": "-5"}, None),
            ({}, None),
        ],
    )
    def test_retry_after_is_read_in_both_forms(self, headers, seconds):
        assert retry_after_s(httpx.Response(429, headers=headers)) == seconds

    def test_no_more_are_in_flight_than_the_pacing_counts_on(self):
        lock, busy, most = threading.Lock(), [0], [0]

        def handler(request):
            with lock:
                busy[0] += 1
                most[0] = max(most[0], busy[0])
            time.sleep(0.005)
            with lock:
                busy[0] -= 1
            return httpx.Response(200)

        http = client(handler, workers=3)
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: send(http), range(24)))
        assert most[0] == 3


class TestTraffic:
    def test_every_attempt_is_counted_by_template_and_status(self):
        traffic = Traffic()
        http = client(script(httpx.ReadError("reset"), 429, 200), recorder=traffic)
        send(http)
        assert traffic.summary() == {"POST /things": {"no answer": 1, "429": 1, "200": 1}}
        assert (traffic.requests, traffic.throttled) == (3, 1)


class TestPrivacy:
    EMAIL = "canary.person@example.org"
    VALUE = "Canary-Value-4711"
    TOKEN = "pat-canary-token"

    def outcomes(self):
        says = f"{self.EMAIL} has {self.VALUE} and {self.TOKEN}"
        headers = {"X-Request-Id": self.EMAIL, "Retry-After": self.EMAIL, "Location": self.EMAIL}
        for status in (301, 400, 401, 403, 404, 409, 413, 418, 422, 423, 429, 477, 500, 503):
            yield httpx.Response(status, text=says, headers=headers)
            yield httpx.Response(status, json={"message": says, "category": says}, headers=headers)
        for kind in (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.ReadError,
            httpx.ReadTimeout,
            httpx.WriteError,
            httpx.RemoteProtocolError,
            httpx.LocalProtocolError,
            httpx.ProxyError,
            httpx.UnsupportedProtocol,
            httpx.DecodingError,
            httpx.TooManyRedirects,
        ):
            yield kind(says)
        yield httpx.InvalidURL(says)

    def test_no_failure_repeats_what_it_was_about(self, caplog):
        n = 0
        with caplog.at_level(logging.DEBUG):
            for outcome in self.outcomes():
                with pytest.raises(DestinationError) as caught:
                    client(script(outcome)).request(
                        "POST",
                        f"/people/{self.EMAIL}",
                        template="/people/{email}",
                        params=[("q", self.VALUE)],
                        content=self.VALUE.encode(),
                    )
                n += 1
                error = caught.value
                assert error.__cause__ is None
                assert error.__context__ is None
                told = "".join(traceback.format_exception(error))
                told += repr(error) + str(vars(error))
                for canary in (self.EMAIL, self.VALUE, self.TOKEN, "canary"):
                    assert canary not in told.replace("test_http.py", "")
        assert n == 40
        for canary in (self.EMAIL, self.VALUE, self.TOKEN):
            assert canary not in caplog.text

    def test_a_client_does_not_show_its_headers(self):
        assert "canary" not in repr(client(script(200)))

    def test_the_loggers_that_print_urls_are_quiet(self):
        logging.getLogger("httpx").setLevel(logging.DEBUG)
        client(script(200))
        for name in ("httpx", "httpcore"):
            assert logging.getLogger(name).level == logging.WARNING


class TestSocket:
    def test_a_server_that_hangs_up_mid_answer_is_retried(self):
        """A real socket: the first connection is cut after the request was read."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]

            def serve():
                for n in range(2):
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        if n == 1:
                            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

            thread = threading.Thread(target=serve)
            thread.start()
            http = HttpClient(
                name="vendor", base_url=f"http://127.0.0.1:{port}", headers={}, clock=FakeClock()
            )
            assert http.request("GET", "/x", template="/x").json() == {}
            http.close()
            thread.join()

    def test_redirects_are_not_followed(self):
        """A redirect could carry the token and people's data to somebody else."""
        handler = script(httpx.Response(307, headers={"Location": "https://elsewhere.example/"}))
        with pytest.raises(PermanentError):
            send(client(handler))
        assert [request.url.host for request in handler.seen] == ["api.vendor.example"]

    @pytest.mark.parametrize(
        ("host", "local"),
        [
            ("localhost", True),
            ("127.0.0.1", True),
            ("127.8.9.1", True),
            ("::1", True),
            ("127.0.0.1.example.org", False),
            ("10.0.0.1", False),
            ("example.org", False),
        ],
    )
    def test_loopback_is_this_machine_only(self, host, local):
        assert is_loopback(host) is local
