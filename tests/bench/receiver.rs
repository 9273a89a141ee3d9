//! A receiver over loopback with as little around it as can be.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;

/// Answers 202 to whatever comes, after `heard` had its body.
pub(crate) async fn serve(listener: TcpListener, heard: impl Fn(&[u8]) + Clone + Send + Sync + 'static) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let heard = heard.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let heard = &heard;
                async move {
                    if let Ok(body) = request.into_body().collect().await {
                        heard(&body.to_bytes());
                    }
                    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
                    *response.status_mut() = StatusCode::ACCEPTED;
                    Ok::<_, Infallible>(response)
                }
            });
            let _ = server::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
