//! Whole connections, over a socket in memory and by a clock that stands still unless somebody waits: answers that are taken slowly, or hardly.

use super::*;
use crate::server::answer::PIECE_BYTES_MAX;
use crate::shutdown;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

/// How much of what is written waits for the other side, in bytes.
const SOCKET_BYTES: usize = 64 << 10;

/// A connection whose requests are all answered with so many bytes, and which ends with the task. The senders tell it nothing.
fn served(answer_bytes: usize, http2: bool, crowded: bool) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(SOCKET_BYTES);
    let config = Arc::new(Config::default());
    let serving = tokio::spawn(async move {
        let (_trigger, shutdown) = shutdown::channel();
        let (_sender, crowded) = watch::channel(crowded);
        let activity = Activity::new(Instant::now());
        let context = Context {
            protocols: Arc::new(Protocols::new(&config)),
            service: move |_request| async move { Response::new(Full::new(Bytes::from(vec![b'x'; answer_bytes]))) },
            tls: None,
            peer: "192.0.2.1".parse().unwrap(),
            crowded,
            shutdown,
            config: config.clone(),
        };
        let stream = Watched::new(ours, activity.clone(), Duration::from_millis(config.write_timeout_ms));
        speak(stream, http2, &activity, context).await;
    });
    (theirs, serving)
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_is_no_idleness_however_long_it_takes_to_read() {
    let answer_bytes = 10 << 20;
    for crowded in [false, true] {
        let (mut client, serving) = served(answer_bytes, false, crowded);
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let (began, mut taken) = (Instant::now(), 0);
        // 32 KiB a second: some five minutes, far longer than the connection may be idle.
        let mut piece = vec![0; 32 << 10];
        while taken < answer_bytes {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let read = client.read(&mut piece).await.unwrap();
            assert!(read > 0, "{taken} bytes came in {:?}, and no more; crowded: {crowded}", began.elapsed());
            taken += read;
        }
        serving.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_which_http2_takes_a_byte_is_overdue_whatever_else_is_asked() {
    for answer_bytes in [10, PIECE_BYTES_MAX, 100_000] {
        let (client, serving) = served(answer_bytes, true, false);
        let builder =
            hyper::client::conn::http2::Builder::new(TokioExecutor::new()).initial_stream_window_size(1).clone();
        let (mut sender, connection) = builder.handshake(TokioIo::new(client)).await.unwrap();
        tokio::spawn(connection);
        let (began, mut held) = (Instant::now(), Vec::new());
        let ask = || Request::get("http://x/").body(Full::<Bytes>::default()).unwrap();
        while let Ok(answer) = sender.send_request(ask()).await {
            held.push(answer);
            assert!(began.elapsed() < Duration::from_secs(70), "{answer_bytes} bytes were not taken for that long");
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
        assert!(held.len() > 8, "it had its time");
        serving.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_an_answer_gets_all_of_it() {
    for answer_bytes in [0, 10, 100_000, 1 << 20] {
        let (client, _serving) = served(answer_bytes, true, false);
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client));
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let ask = Request::get("http://x/").body(Full::<Bytes>::default()).unwrap();
        let answer = sender.send_request(ask).await.unwrap();
        let length = answer.headers().get("content-length").map(|length| length.to_str().unwrap().parse().unwrap());
        assert_eq!(length, Some(answer_bytes).filter(|length| *length > 0));
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), answer_bytes);
    }
}
