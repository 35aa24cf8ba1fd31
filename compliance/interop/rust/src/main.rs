//! The server of tokio-tungstenite (see the README of the folder above).

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};

const LARGEST: usize = 32 << 20;

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let path = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&path);
    let config =
        WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let note = move |request: &Request, response: Response| {
        *seen.lock().unwrap() = request.uri().path().to_owned();
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async_with_config(stream, note, Some(config)).await else { return };
    let closes = *path.lock().unwrap() == "/close";
    while let Some(Ok(message)) = socket.next().await {
        let answer = if closes && !message.is_close() {
            Message::Close(Some(CloseFrame { code: CloseCode::from(4001), reason: "enough".into() }))
        } else if message.is_text() || message.is_binary() {
            message
        } else {
            continue;
        };
        if socket.send(answer).await.is_err() {
            return;
        }
    }
}

fn acceptor(files: &[String]) -> Option<TlsAcceptor> {
    let [certificate, key] = files else { return None };
    let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    Some(TlsAcceptor::from(Arc::new(config)))
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let tls = acceptor(&args[1..]);
    let listener = TcpListener::bind(("127.0.0.1", args[0].parse().unwrap())).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let tls = tls.clone();
        tokio::spawn(async move {
            stream.set_nodelay(true).unwrap();
            match tls {
                None => serve(stream).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream).await;
                    }
                }
            }
        });
    }
}
