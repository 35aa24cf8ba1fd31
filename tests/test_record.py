"""``TLS`` and ``Deflate``: small frozen objects, as dataclasses are."""

from __future__ import annotations

import copy
import pickle
import sys

import pytest

from sunsocket import TLS, Deflate


def test_records_are_equal_where_their_fields_are():
    assert Deflate() == Deflate(6, 8) != Deflate(level=1)
    assert TLS("a.pem") == TLS(ca_file="a.pem") != TLS()
    assert TLS() != Deflate()
    assert TLS() != ()
    assert len({TLS(), TLS(), TLS(verify=False), Deflate(), Deflate()}) == 3


def test_a_record_shows_its_fields():
    assert repr(Deflate(level=1)) == (
        "Deflate(level=1, memory_level=8, client_window_bits=15, server_window_bits=15, "
        "client_context_takeover=True, server_context_takeover=True)"
    )
    assert repr(TLS(verify=False)).endswith("server_hostname=None, verify=False)")
    # Not a key in a log.
    assert "key" not in repr(TLS(cert_data="c", key_data="secret")).replace("key_file=None", "")


def test_a_record_does_not_change():
    tls = TLS("a.pem")
    with pytest.raises(AttributeError, match="cannot assign to 'verify': a TLS does not change"):
        tls.verify = False
    with pytest.raises(AttributeError, match="cannot assign to 'other'"):
        tls.other = 1
    with pytest.raises(AttributeError, match="cannot delete 'ca_file': a TLS does not change"):
        del tls.ca_file
    assert tls == TLS("a.pem")


def test_a_record_is_copied_and_pickled():
    for record in (TLS(ca_data=b"x", verify=False), Deflate(client_window_bits=None)):
        for again in (copy.copy(record), copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
            assert (type(again), again) == (type(record), record)
    assert Deflate().__replace__(level=9) == Deflate(level=9)
    if sys.version_info >= (3, 13):
        assert copy.replace(Deflate(), level=9) == Deflate(level=9)


def test_a_field_that_is_none_of_its_is_refused():
    with pytest.raises(TypeError, match="ca_path"):
        TLS(ca_path="x")
