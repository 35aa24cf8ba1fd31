"""Basic authentication (RFC 7617), and what redirects to another origin take away, on each face."""

from __future__ import annotations

import base64
import logging
import ssl

import pytest

from sunsocket import TLS, HandshakeError, InvalidURL, WebSocket
from tests.servers.hops import Hops, end, hops, redirect, refused, secure

__all__ = ["hops", "secure"]


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("auth", "userinfo", "expected"),
    [
        (("user", "pass:word"), "", basic("user", "pass:word")),
        (None, "us%40er:p%2Fss@", basic("us@er", "p/ss")),
        (("a", "b"), "user:pass@", basic("a", "b")),
        (("Ünal", "пароль £"), "", basic("Ünal", "пароль £")),
        (("", ""), "", basic("", "")),
        (None, "", None),
    ],
)
def test_credentials_are_sent_with_the_first_request(face, hops, auth, userinfo, expected):
    server = hops()

    async def test():
        ws = await face.connect(server.url.replace("//", f"//{userinfo}"), auth=auth)
        assert ws.url == server.url + "/"
        assert "pass" not in repr(ws) + str(ws.url)
        await end(face, ws)

    face.run(test)
    assert server.requests[0].headers.get("authorization") == expected


@pytest.mark.parametrize(
    ("auth", "kind"),
    [
        (("us:er", "Q-Q"), ValueError),
        (("user", "Q-Q\r\nX: y"), ValueError),
        (("user\0", "Q-Q"), ValueError),
        (("user", "Q-Q\udc80"), ValueError),
        (("user", b"Q-Q"), TypeError),
        (("user", "Q-Q", "x"), TypeError),
        ("user:Q-Q", TypeError),
        (5, TypeError),
    ],
)
def test_credentials_that_cannot_be_sent_are_refused_and_not_shown(auth, kind):
    with pytest.raises(kind, match="auth") as error:
        WebSocket.connect("ws://127.0.0.1:1/", auth=auth)
    assert "Q-Q" not in str(error.value)


def test_an_address_with_a_user_name_that_cannot_be_sent_is_refused_and_not_shown():
    for url in ("ws://us%3Aer:Q-Q@127.0.0.1:1/", "ws://user:Q-Q%0D%0A@127.0.0.1:1/", "ws://user:1/Q-Q@127.0.0.1:1x"):
        with pytest.raises(InvalidURL) as error:
            WebSocket.connect(url + "/ ")
        assert "Q-Q" not in str(error.value)


def test_auth_and_a_header_of_ones_own_exclude_each_other():
    with pytest.raises(ValueError, match=r"auth.*Authorization") as error:
        WebSocket.connect("ws://127.0.0.1:1/", auth=("user", "Q-Q"), headers={"AUTHORIZATION": "Bearer Q-Q"})
    assert "Q-Q" not in str(error.value)


@pytest.mark.parametrize(
    ("challenge", "auth", "words"),
    [
        ("WWW-Authenticate: Basic realm=x", None, ["option auth", "ws://user:password@"]),
        ("X: y", None, ["option auth"]),
        ("WWW-Authenticate: Basic realm=x", ("user", "Q-Q"), ["does not accept the credentials"]),
        ("WWW-Authenticate: Digest realm=x, qop=auth", None, ["option auth"]),
        ("WWW-Authenticate: Digest realm=x, nonce=y, qop=auth-int", ("user", "Q-Q"), ["does not accept"]),
        ("WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM", ("user", "Q-Q"), ["Negotiate or NTLM"]),
    ],
)
def test_a_401_names_what_to_do(face, hops, challenge, auth, words):
    server = hops({"/": f"401 Unauthorized\r\n{challenge}\r\nContent-Length: 0"})
    error = refused(face, server.url, auth=auth)
    assert error.status == 401
    for word in words:
        assert word in str(error)
    assert "Q-Q" not in f"{error!r} {error} {error.headers} {error.body!r}"
    assert len(server.requests) == 1


@pytest.mark.parametrize("given", ["auth", "headers", "url"])
def test_credentials_go_on_within_an_origin(face, hops, given):
    server = hops({"/a": redirect("/b")})
    connect(face, server, given)
    for request in server.requests:
        assert request.headers["authorization"] == ("Bearer Q-Q" if given == "headers" else basic("user", "Q-Q"))
        assert request.headers.get("cookie") == (None if given == "url" else "a=Q-Q")
    assert server.paths == ["/a", "/b"]


@pytest.mark.parametrize("given", ["auth", "headers", "url"])
@pytest.mark.parametrize("other", ["port", "host"])
def test_credentials_stay_behind_at_another_origin_and_do_not_come_back(face, hops, given, other):
    first, second = hops(), hops()
    host = "127.0.0.1" if other == "port" else "localhost"
    first.answers["/a"] = redirect(f"http://{host}:{second.port}/b")
    second.answers["/b"] = redirect(f"{first.url}/c")
    connect(face, first, given)
    assert first.paths == ["/a", "/c"]
    assert "authorization" in first.requests[0].headers
    for request in (second.requests[0], first.requests[1]):
        for name in ("authorization", "cookie", "proxy-authorization", "proxy-x"):
            assert name not in request.headers
        assert "Q-Q" not in request.head
        assert "x-own" not in request.headers
        assert request.headers["accept-language"] == "eo"


def test_wss_on_the_same_host_is_another_origin(face, hops, secure, tls):
    last = hops(**secure)
    first = hops({"/a": redirect(f"wss://localhost:{last.port}/b")})
    connect(face, first, "auth", host="localhost", tls=tls)
    assert "authorization" in first.requests[0].headers
    assert "authorization" not in last.requests[0].headers
    assert "cookie" not in last.requests[0].headers


def connect(face, server: Hops, given: str, host: str = "127.0.0.1", **options) -> None:
    headers = {"Proxy-Authorization": "x", "Proxy-X": "x", "X-Own": "1", "Accept-Language": "eo"}
    url = f"ws://{host}:{server.port}/a"
    if given == "auth":
        options |= {"auth": ("user", "Q-Q"), "cookies": {"a": "Q-Q"}}
    elif given == "headers":
        headers |= {"authorization": "Bearer Q-Q", "COOKIE": "a=Q-Q"}
    else:
        url = url.replace("//", "//user:Q-Q@")

    async def test():
        await end(face, await face.connect(url, headers=headers, **options))

    face.run(test)


def test_a_refusal_by_another_origin_says_what_was_not_sent_on(face, hops):
    last = hops({"/b": "401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0"})
    first = hops({"/a": redirect(last.url + "/b")})
    error = refused(face, first.url.replace("//", "//user:Q-Q@") + "/a", headers={"X-Api-Key": "Q-Q", "Accept": "Q"})
    way = f"redirected: {first.url}/a -> {last.url}/b"
    assert f"{way}; not sent on to another origin: X-Api-Key, the credentials. Connect there" in str(error)
    assert "Q-Q" not in str(error)


def test_a_header_goes_on_to_another_origin_where_the_program_says_so(face, hops):
    last = hops()
    first = hops({"/a": redirect(last.url + "/b")})

    async def test():
        headers = {"X-Api-Key": "k", "X-Own": "1", "Cookie": "c=d"}
        ws = await face.connect(first.url + "/a", headers=headers, redirect_headers=["x-api-key", "Cookie"])
        await end(face, ws)

    face.run(test)
    sent = last.requests[0].headers
    assert (sent["x-api-key"], sent["cookie"], "x-own" in sent) == ("k", "c=d", False)


@pytest.mark.parametrize("names", ["X-Own", [1], 7])
def test_names_of_headers_are_a_sequence_of_str(names):
    with pytest.raises(TypeError, match=r"redirect_headers|a header's name"):
        WebSocket.connect("ws://127.0.0.1:1/", redirect_headers=names)


def test_a_client_s_certificate_is_not_shown_to_another_origin(face, hops, certificates, secure):
    context = secure["context"]
    context.load_verify_locations(certificates.ca_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    last = hops(**secure)
    first = hops({"/a": redirect("/b"), "/b": redirect(f"wss://127.0.0.1:{last.port}/c")}, **secure)
    tls = TLS(ca_file=certificates.ca_file, cert_file=certificates.good, key_file=certificates.good)

    async def test():
        await end(face, await face.connect(f"wss://localhost:{first.port}/a", tls=tls))

    face.run(test)
    assert [certificate is not None for certificate in first.certificates] == [True, True]
    assert last.certificates == [None]


def test_nothing_that_is_logged_or_shown_holds_the_password(face, hops, caplog):
    caplog.set_level(logging.DEBUG)
    server = hops({"/a": redirect("/b"), "/b": redirect("/a")})
    error = refused(face, server.url.replace("//", "//user:Q-Q@") + "/a", auth=("user", "Q-Q"), cookies={"c": "Q-Q"})
    assert isinstance(error, HandshakeError)
    assert "Q-Q" not in f"{error!r} {error} {caplog.text}"


def test_scripts_log_in_by_the_address_and_keep_their_secrets_at_home(run_luau, hops):
    last = hops()
    first = hops({"/a": redirect(last.url + "/b")})
    url = first.url.replace("//", "//user:Q-Q@")
    script = f'local ws = WebSocket.connect("{url}/a") print(ws) ws:Close()'
    headers = ["--header", "Cookie: a=Q-Q", "--header", "X-Own: 1", "--header", "X-Left: 2"]
    outcome = run_luau(script, *headers, "--redirect-header", "x-own")
    assert outcome.stdout == f"WebSocket {last.url}/b\n", outcome
    assert first.requests[0].headers["authorization"] == basic("user", "Q-Q")
    assert first.requests[0].headers["cookie"] == "a=Q-Q"
    assert last.requests[0].headers["x-own"] == "1"
    assert not {"authorization", "cookie", "x-left"} & last.requests[0].headers.keys()


def test_a_function_gives_credentials_or_a_token_afresh_for_each_connect(face, hops):
    server = hops()
    tokens = iter(["Bearer first", ("user", "second"), None])

    async def test():
        for _ in range(3):
            await end(face, await face.connect(server.url, auth=lambda: next(tokens)))

    face.run(test)
    sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == ["Bearer first", basic("user", "second"), None]


def test_a_token_stays_with_its_origin(face, hops):
    last = hops()
    first = hops({"/": redirect(last.url + "/b")})

    async def test():
        await end(face, await face.connect(first.url, auth=lambda: "Bearer Q-Q", headers={"X-Own": "1"}))

    face.run(test)
    assert first.requests[0].headers["authorization"] == "Bearer Q-Q"
    assert "authorization" not in last.requests[0].headers


async def token() -> str:
    return "Bearer Q-Q"


class Promised:
    """What can be awaited and is no coroutine."""

    def __await__(self):
        yield


@pytest.mark.parametrize(
    ("auth", "kind", "words"),
    [
        (lambda: 5, TypeError, "what the function auth returns is"),
        (lambda: ("user", 5), TypeError, "what the function auth returns is"),
        (lambda: ("user", "Q-Q\udc80"), ValueError, "has no UTF-8 form"),
        (lambda: "Bearer Q-Q\udc80", ValueError, "has no UTF-8 form"),
        (lambda: "Bearer Q-Q\r\nX: y", ValueError, "Authorization"),
        (token, TypeError, "get a token first"),
        (Promised, TypeError, "get a token first"),
    ],
)
def test_what_a_function_returns_is_checked_and_not_shown(auth, kind, words):
    with pytest.raises(kind, match=words) as error:
        WebSocket.connect("ws://127.0.0.1:1/", auth=auth)
    assert "Q-Q" not in f"{error.value!r} {error.value.__context__!r}"


def test_a_token_and_a_header_of_ones_own_exclude_each_other():
    with pytest.raises(ValueError, match=r"auth.*Authorization"):
        WebSocket.connect("ws://127.0.0.1:1/", auth=lambda: "Bearer a", headers={"AUTHORIZATION": "Bearer b"})


def test_credentials_may_come_from_a_netrc_file(face, hops, tmp_path, monkeypatch):
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login user password Q-Q\nmachine localhost\nmachine other login x password y\n")
    monkeypatch.setenv("NETRC", str(file))
    server = hops()

    async def test():
        await end(face, await face.connect(server.url, auth="netrc"))
        await end(face, await face.connect(server.url.replace("127.0.0.1", "localhost"), auth="netrc"))
        await end(face, await face.connect(server.url))

    face.run(test)
    sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == [basic("user", "Q-Q"), None, None]


def test_a_netrc_file_that_cannot_be_used_is_said_and_not_shown(tmp_path, monkeypatch):
    file = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(file))
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        WebSocket.connect("ws://127.0.0.1:1/", auth="netrc")
    file.write_text("machine 127.0.0.1 login user Q-Q Q-Q\n")
    with pytest.raises(ValueError, match="is wrong in line 1") as error:
        WebSocket.connect("ws://127.0.0.1:1/", auth="netrc")
    assert "Q-Q" not in str(error.value)
    file.write_bytes(b"machine 127.0.0.1 login user password Q-Q\xff\n")
    with pytest.raises(ValueError, match="is not UTF-8") as error:
        WebSocket.connect("ws://127.0.0.1:1/", auth="netrc")
    assert "Q-Q" not in f"{error.value!r} {error.value.__context__!r}"
    file.write_text("")
    with pytest.raises(InvalidURL):
        WebSocket.connect("ws://[::1/", auth="netrc")
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"\.netrc' cannot be read"):
        WebSocket.connect("ws://127.0.0.1:1/", auth="netrc")
