// The servers of coder/websocket and gorilla/websocket (see the README of the folder above).
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

const largest = 32 << 20

func serveCoder(w http.ResponseWriter, r *http.Request) {
	ws, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: coder.CompressionContextTakeover})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(largest)
	for {
		kind, message, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		if r.URL.Path == "/close" {
			ws.Close(4001, "enough")
			return
		}
		if ws.Write(context.Background(), kind, message) != nil {
			return
		}
	}
}

var upgrader = gorilla.Upgrader{EnableCompression: true}

func serveGorilla(w http.ResponseWriter, r *http.Request) {
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	ws.SetReadLimit(largest)
	for {
		kind, message, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if r.URL.Path == "/close" {
			message = gorilla.FormatCloseMessage(4001, "enough")
			kind = gorilla.CloseMessage
		}
		if ws.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func main() {
	handlers := map[string]http.HandlerFunc{"coder": serveCoder, "gorilla": serveGorilla}
	handler, address := handlers[os.Args[1]], "127.0.0.1:"+os.Args[2]
	if len(os.Args) > 4 {
		log.Fatal(http.ListenAndServeTLS(address, os.Args[3], os.Args[4], handler))
	}
	log.Fatal(http.ListenAndServe(address, handler))
}
