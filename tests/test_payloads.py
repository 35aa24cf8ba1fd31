"""What can be sent of a buffer: its bytes, unless they are addresses of this process."""

from __future__ import annotations

import array
import ctypes

import pytest


def test_a_buffer_of_addresses_is_refused(face, raw_server):
    class Fields(ctypes.Structure):
        _fields_ = (("number", ctypes.c_int), ("thing", ctypes.py_object))

    class Harmless(ctypes.Structure):
        _fields_ = (("Object", ctypes.c_int), ("z", ctypes.c_int))

    def script(peer):
        peer.accept()
        assert [peer.recv().payload for _ in range(2)] == [bytes(Harmless(1, 2)), bytes(array.array("d", [1.5]))]
        peer.finish()

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        for kind, what in [
            (ctypes.py_object, "Python objects"),
            (Fields, "Python objects"),
            (ctypes.c_void_p, "pointers"),
            (ctypes.POINTER(ctypes.c_int), "pointers"),
            (ctypes.CFUNCTYPE(None), "pointers"),
            (ctypes.c_char_p, "pointers"),
            (ctypes.c_wchar_p, "pointers"),
        ]:
            with pytest.raises(ValueError, match=f"a buffer that holds {what}"):
                ws.Send((kind * 2)())
        ws.Send(Harmless(1, 2))
        ws.Send(array.array("d", [1.5]))
        ws.Close()
        server.join()

    face.run(test)


def test_arrays_of_numpy_are_sent_but_for_those_of_objects(face, raw_server):
    numpy = pytest.importorskip("numpy")
    arrays = [
        numpy.arange(3, dtype="<i4"),
        numpy.array([1 + 2j, 3], dtype="complex128"),
        numpy.array([("O", 1)], dtype=[("Object", "S1"), ("z", "<i4")]),
        numpy.arange(6).reshape(2, 3).T,
    ]

    def script(peer):
        peer.accept()
        assert [peer.recv().payload for _ in arrays] == [array.tobytes() for array in arrays]
        peer.finish()

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        for dtype in (object, [("number", "<i4"), ("thing", object)]):
            with pytest.raises(ValueError, match="holds Python objects"):
                ws.Send(numpy.zeros(2, dtype=dtype))
        for message in arrays:
            ws.Send(message)
        ws.Close()
        server.join()

    face.run(test)
