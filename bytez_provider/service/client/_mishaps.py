"""Why there is no answer, in our own words: the libraries' quote addresses and headers."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, ReadTimeoutError

from bytez_provider.base.errors import printable
from bytez_provider.service.client._watch import Watch

MISHAPS: Final = (requests.RequestException, HTTPError, OSError, ValueError)
"""What requests and urllib3 let out between them; some of it is only a ValueError."""

_CHECK_NETWORK = "Check the network and bytez:endpoint, then try again"
_CHECK_ADDRESS = "Check that bytez:endpoint is the address of the service, and what answers there"
_CHECK_DATE = "Check the date of this machine, then tell those who run the service"
_NAME_AUTHORITY = "Name the right certificate authority with REQUESTS_CA_BUNDLE"
_CERTIFICATE_ACTIONS: Final = {
    # OpenSSL's X509_V_ERR_: not yet valid, expired; of another host, or another address.
    **dict.fromkeys((9, 10), _CHECK_DATE),
    **dict.fromkeys((62, 64), _CHECK_ADDRESS),
}


@dataclass(frozen=True)
class NoAnswer:
    """The exchange ended without an answer."""

    reason: str
    sent: bool
    """Whether the request had gone out whole, so that it may have had its effect."""
    passing: bool = True
    """Whether another try may fare better."""
    silent: bool = False
    """Whether the server said nothing for as long as is waited."""
    action: str = _CHECK_NETWORK


_OF_PROXY: Final[tuple[tuple[type[Exception], str, bool], ...]] = (
    (requests.exceptions.ProxyError, "the proxy let no connection through", True),
    (requests.exceptions.InvalidProxyURL, "the address of the proxy cannot be used", False),
    # Of the proxy too: an endpoint is known to be http or https.
    (requests.exceptions.InvalidSchema, "the address of the proxy cannot be used", False),
)
"""Whether another try may fare better comes last."""

_PASSING: Final[tuple[tuple[type[Exception], str], ...]] = (
    (requests.exceptions.ConnectTimeout, "no connection was made in time"),
    (ReadTimeoutError, "nothing came for {silence:g} s"),
    (NameResolutionError, "its host name has no address"),
    (ConnectionRefusedError, "the connection was refused"),
    (ssl.SSLError, "no TLS connection could be made"),
    (requests.exceptions.ConnectionError, "the connection broke off"),
    (HTTPError, "the connection broke off"),
)
"""The first that occurs in an error is its reason."""


def no_answer(error: Exception, watch: Watch, silence: float) -> NoAnswer:
    """Return what an exception of the libraries means.

    Args:
        error: The exception.
        watch: The watch of the exchange.
        silence: Seconds of silence that were allowed.
    """
    made_of = list(_chain(error))
    for part in made_of:
        if isinstance(part, ssl.SSLCertVerificationError):
            reason = f"its TLS certificate is not accepted ({printable(part.verify_message)})"
            action = _CERTIFICATE_ACTIONS.get(part.verify_code, _NAME_AUTHORITY)
            return NoAnswer(reason, sent=False, passing=False, action=action)
    if watch.fired:
        return out_of_time(watch)
    for kind, reason, passing in _OF_PROXY:
        if isinstance(error, kind):
            action = "Check HTTPS_PROXY and NO_PROXY"
            return NoAnswer(reason, sent=False, passing=passing, action=action)
    for kind, reason in _PASSING:
        if any(isinstance(part, kind) for part in made_of):
            is_silent = kind is ReadTimeoutError
            return NoAnswer(reason.format(silence=silence), watch.sent, silent=is_silent)
    if type(error) is OSError:  # So requests tells of a CA bundle that is not there.
        action = "Check REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE"
        return NoAnswer("the CA bundle cannot be read", sent=False, passing=False, action=action)
    reason = f"the request could not be made ({type(error).__name__})"
    return NoAnswer(reason, watch.sent, passing=False)


def out_of_time(watch: Watch) -> NoAnswer:
    """Return that the watch ended an exchange."""
    return NoAnswer(f"the answer was not whole within {watch.seconds:g} s", watch.sent, silent=True)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything that it was made of."""
    left, seen = [error], set[int]()
    while left:
        one = left.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            inner = [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
            left += [part for part in inner if isinstance(part, BaseException)]
