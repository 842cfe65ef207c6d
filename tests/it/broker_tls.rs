//! A broker with a certificate of a private authority: `[broker] ca_file`.
//!
//! `tests/it/tls` has the authority's certificate, and the key and the certificate of a server.
//! They are of these tests alone, and valid until 2126.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use jobcast::realtime::broker::valkey::{PREFIX, Valkey};
use jobcast::realtime::broker::{Broker, BrokerError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::kit::{Home, soon};

const AUTHORITY: &[u8] = include_bytes!("tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/server.pem");
const KEY: &[u8] = include_bytes!("tls/server.key");

/// A server at a free port that answers every command with `OK`.
fn server() -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            std::thread::spawn(move || answer(StreamOwned::new(connection, stream)));
        }
    });
    format!("rediss://{address}")
}

fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        // Each command is an array, which begins with `*` at the start of a line.
        let commands = buffer[..read].iter().filter(|byte| **byte == b'*').count();
        if stream.write_all(&b"+OK\r\n".repeat(commands)).is_err() {
            return;
        }
    }
}

async fn connects(broker: &Valkey) -> Result<(), BrokerError> {
    soon("an answer of the broker", broker.connect())
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_trusted_where_it_is_configured() {
    let url = server();
    let trusting = Valkey::trusting(&url, PREFIX, AUTHORITY.to_vec()).unwrap();
    connects(&trusting).await.unwrap();
    let public = Valkey::new(&url, PREFIX).unwrap();
    let error = connects(&public).await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_connects_with_the_authority_of_its_file_or_of_the_variable() {
    let url = server();
    let broker = format!("[broker]\nurl = \"{url}\"");
    let configured = Home::simple().config(&format!("{broker}\nca_file = \"ca.pem\""));
    std::fs::write(configured.path("ca.pem"), AUTHORITY).unwrap();
    let by_variable = Home::simple().config(&broker);
    std::fs::write(by_variable.path("ca.pem"), AUTHORITY).unwrap();
    let path = by_variable.path("ca.pem").display().to_string();
    let by_variable = by_variable.variable("SSL_CERT_FILE", &path);
    for home in [configured, by_variable] {
        let server = home.start().await;
        let connected = async {
            while !home.log().contains("connected to the other nodes") {
                tokio::task::yield_now().await;
            }
        };
        soon("a line about the broker", connected).await;
        assert!(!home.log().contains("UnknownIssuer"), "{}", home.log());
        drop(server);
    }
    let lacking = Home::simple().config(&format!("{broker}\nca_file = \"none.pem\""));
    let (status, said) = lacking.refuses(&[]).await;
    assert!(
        !status.success() && said.contains("none.pem: it cannot be read"),
        "{said}"
    );
}
