//! Connections that end when nobody speaks.
//!
//! Owns the idle time-out of the listeners' connections, which covers slow headers, slow bodies and
//! peers that do not read their answer: the server crate has none of its own. Never looks at the
//! bytes. Invariant: a peer is dropped `IDLE_MAX` after the first byte of a question that is not
//! answered by then, and as long after the last byte that it took; a scraper with keep-alive asks
//! more often than that, and a stream of events sends more often.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

pub const IDLE_MAX: Duration = Duration::from_secs(75);

pub struct Listener(pub TcpListener);

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The inner one logs and retries what can go wrong, as its trait asks.
        let (stream, peer) = axum::serve::Listener::accept(&mut self.0).await;
        (Connection::new(stream), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    /// Something was read since we last wrote.
    is_asked: bool,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Connection { stream, idle: Box::pin(sleep(IDLE_MAX)), is_asked: false }
    }

    fn begin_anew(&mut self, is_asked: bool) {
        self.idle = Box::pin(sleep(IDLE_MAX));
        self.is_asked = is_asked;
    }

    fn check_idle<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.idle.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) if !self.is_asked => {
                self.begin_anew(true);
                Poll::Ready(Ok(()))
            }
            // Further bytes of a question win no more time: a letter a minute is no question.
            Poll::Ready(Ok(())) if self.idle.is_elapsed() => self.check_idle(context),
            Poll::Ready(read) => Poll::Ready(read),
            Poll::Pending => self.check_idle(context),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(Ok(written)) => {
                self.begin_anew(false);
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.check_idle(context),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
