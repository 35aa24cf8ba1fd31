"""The class for threads: a handler for messages, one for the end."""

import threading

from sunsocket import TLS, WebSocket
from sunsocket.echo import EchoServer

answered = threading.Event()

with EchoServer(tls=True) as server:
    ws = WebSocket.connect(server.url, tls=TLS(ca_data=server.ca_pem))

    @ws.OnMessage.Connect
    def on_message(message: str | bytes) -> None:
        print(message, flush=True)
        answered.set()

    ws.OnClose.Connect(lambda: print("Closed", flush=True))
    ws.Send("Hello")
    answered.wait()
    ws.Close()
    ws.OnClose.Wait()
