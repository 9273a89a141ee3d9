//! The backup of the whole store, as one answer that is as long as it takes. What goes wrong after its beginning ends it before its end mark.

use super::Api;
use crate::problem::Problem;
use crate::store::{Backup, BackupError};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use hyper::body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the backup waits for somebody to take its next piece.
const TAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// `GET /v1/operator/backup`.
pub(super) async fn backup(State(api): State<Api>) -> Result<Response, Problem> {
    let parts = api.parts();
    let backup = parts.store.backup(parts.files.clone(), parts.clock.clone()).await?;
    // One piece waits while another is sent.
    let (pieces, body) = mpsc::channel(1);
    tokio::spawn(send(backup, pieces));
    let media_type = (header::CONTENT_TYPE, "application/octet-stream");
    Ok(([media_type], Body::new(Pieces(body))).into_response())
}

async fn send(mut backup: Backup, pieces: mpsc::Sender<Bytes>) {
    let began = tokio::time::Instant::now();
    loop {
        match backup.next().await {
            Ok(Some(piece)) => match pieces.send_timeout(piece, TAKE_TIMEOUT).await {
                Ok(()) => {}
                Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                    return tracing::warn!("a backup was not fetched to its end");
                }
                Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                    return tracing::warn!(timeout = ?TAKE_TIMEOUT, "a backup was given up: nobody took its next piece");
                }
            },
            Ok(None) => return tracing::info!(took = ?began.elapsed(), "a backup was fetched"),
            Err(error) => {
                tracing::error!(%error, code = error.code(), "a backup failed");
                // Where nobody is there to read it, the log has it.
                let _ = pieces.send_timeout(backup.failure(&error), TAKE_TIMEOUT).await;
                return;
            }
        }
    }
}

/// Pieces as a body. One that ends without the end mark is no backup, so its end says nothing more.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        let status = match error {
            BackupError::DiskFull(full) => return full.into(),
            BackupError::Running => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.code(), error.to_string())
    }
}
