//! The HTTP server: connections capped in all and per address, slow headers cut off, a soft stop.

use super::StartError;
use super::seats::{Callers, Seat, Seats, affordable};
use crate::config::Server;
use crate::web::Peer;
use crate::web::ended::telling;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::ServiceExt;

/// How many connections, how patient.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub headers: Duration,
    pub connections: usize,
    pub callers: Callers,
}

/// TLS as configured; none if a proxy ends it or everything stays on this machine.
pub(super) fn tls(c: &Server) -> Result<Option<TlsAcceptor>, StartError> {
    let (Some(cert), Some(key)) = (&c.tls_cert_file, &c.tls_key_file) else { return Ok(None) };
    let bad = |e: &dyn std::fmt::Display| StartError::Tls(e.to_string());
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(cert).map_err(|e| bad(&e))?.collect();
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| bad(&e))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(&e))?
        .with_no_client_auth()
        .with_single_cert(chain.map_err(|e| bad(&e))?, key)
        .map_err(|e| bad(&e))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// Serves until `stop` turns true, then lets requests under way finish for up to 20 seconds.
pub(super) async fn run(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let most = affordable(limits.connections);
    if most < limits.connections {
        tracing::warn!(
            connections = most,
            configured = limits.connections,
            "fewer connections than configured: this process may open too few files"
        );
    }
    let seats = Seats::new(most, limits.callers);
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, from) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(a) => a,
                Err(e) => {
                    // Out of file descriptors, usually: take one back, or wait for one.
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    seats.make_room();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = stop.changed() => break,
        };
        let seat = tokio::select! {
            seat = seats.take(from.ip()) => seat,
            _ = stop.changed() => break,
        };
        let Some(seat) = seat.map(Arc::new) else { continue };
        let _ = stream.set_nodelay(true);
        let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
        let mut stopping = stop.clone();
        tokio::spawn(async move {
            let served = async {
                // Somebody who says nothing costs a socket and no more, and is let go at a stop.
                // Looked at, since being told that there is something to read may be an error.
                let mut first = [0];
                let spoken = tokio::time::timeout(limits.headers, stream.peek(&mut first));
                let speaks = tokio::select! {
                    r = spoken => matches!(r, Ok(Ok(1))),
                    _ = stopping.wait_for(|s| *s) => false,
                };
                if !speaks {
                    return;
                }
                // Made only now, and apart, so that waiting takes little memory.
                Box::pin(async {
                    let Some(tls) = tls else {
                        return connection(
                            stream,
                            router,
                            from.ip(),
                            seat.clone(),
                            limits,
                            watcher,
                        )
                        .await;
                    };
                    let shaken = tokio::time::timeout(limits.headers, tls.accept(stream)).await;
                    if let Ok(Ok(stream)) = shaken {
                        connection(stream, router, from.ip(), seat.clone(), limits, watcher).await;
                    }
                })
                .await;
            };
            tokio::select! {
                // First, so that nothing is begun for whoever has to leave.
                biased;
                () = seat.taken_away() => {}
                () = served => {}
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(Duration::from_secs(20), graceful.shutdown()).await;
}

async fn connection<S>(
    stream: S,
    router: Router,
    from: IpAddr,
    seat: Arc<Seat>,
    limits: Limits,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |r: Request<Incoming>| {
        let (router, turn) = (router.clone(), seat.speaks());
        let spoken = seat.has_spoken();
        async move {
            let Some(turn) = turn else {
                return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response());
            };
            let mut r = r.map(|body| telling(Body::new(body), spoken));
            r.extensions_mut().insert(Peer(from));
            let answer: Result<Response, Infallible> = router.oneshot(r).await;
            // Its turn until the last of the answer has gone: a board that updates itself is one
            // long answer.
            answer.map(|a| {
                a.map(|body| {
                    Body::new(body.map_frame(move |frame| {
                        let _ = &turn;
                        frame
                    }))
                })
            })
        }
    });
    let conn = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(64 * 1024)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service);
    // Errors here are clients that went away or spoke nonsense; they got their answer or left.
    let _ = watcher.watch(conn).await;
}
