//! A load that a test makes up or a recorded one, played live: what a Prometheus scrapes as if it happened now.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A scraper that has not asked after this will not.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Metrics on loopback. It ends with this value.
#[derive(Debug)]
pub struct Exporter {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

/// A trace, as a gauge.
struct Playing {
    name: String,
    values: Vec<f64>,
    step: Duration,
}

impl Exporter {
    /// Plays `values` from now on, each for `step`, under a metric's name such as `load`. Once they have ended, and while
    /// there is a gap (NaN), the gauge is absent.
    ///
    /// # Errors
    /// No port or no thread.
    pub fn start(name: &str, values: Vec<f64>, step: Duration) -> io::Result<Self> {
        let name = name.to_owned();
        let playing = Playing { name, values, step };
        Self::serve(move |elapsed| playing.page(elapsed))
    }

    /// A counter of a name such as `requests_total`, by its value at each scrape; absent while there is none.
    ///
    /// # Errors
    /// No port or no thread.
    pub fn counter(
        name: &str,
        read: impl Fn() -> Option<f64> + Send + 'static,
    ) -> io::Result<Self> {
        let name = name.to_owned();
        Self::serve(move |_| page_of(&name, "counter", read()))
    }

    /// Serves what `page` makes of the time since the start, in Prometheus's text format, one caller after the other.
    ///
    /// # Errors
    /// No port or no thread.
    pub fn serve(page: impl Fn(Duration) -> String + Send + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        let told = Arc::clone(&stopped);
        let serve = move || {
            for stream in listener.incoming() {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                // A scraper that went away asks again.
                let _ = stream.and_then(|stream| answer(&stream, || page(begun.elapsed())));
            }
        };
        let server = thread::Builder::new()
            .name("exporter".to_owned())
            .spawn(serve)?;
        Ok(Self {
            address,
            stopped,
            server: Some(server),
        })
    }

    /// Where `/metrics` is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // It waits for a caller: this is the last one.
        let _ = TcpStream::connect_timeout(&self.address, TIMEOUT);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

impl Playing {
    fn at(&self, elapsed: Duration) -> Option<f64> {
        let place = elapsed.as_secs_f64() / self.step.as_secs_f64();
        let value = self.values.get(place as usize)?;
        value.is_finite().then_some(*value)
    }

    fn page(&self, elapsed: Duration) -> String {
        page_of(&self.name, "gauge", self.at(elapsed))
    }
}

/// One metric in Prometheus's text format; while there is no value, it is absent.
fn page_of(name: &str, kind: &str, value: Option<f64>) -> String {
    let value = value.map(|value| format!("{name} {value}\n"));
    format!("# TYPE {name} {kind}\n{}", value.unwrap_or_default())
}

/// Whatever is asked for, the answer is the page.
fn answer(mut stream: &TcpStream, page: impl FnOnce() -> String) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    for line in BufReader::new(stream).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let body = page();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Api;

    #[test]
    fn values_follow_each_other_and_then_there_is_none() {
        let exporter = Exporter::start("load", vec![1.0, f64::NAN], Duration::from_secs(3600));
        let exporter = exporter.unwrap();
        let api = Api::plain(format!("http://{}", exporter.address()));
        assert_eq!(api.text("/metrics").unwrap(), "# TYPE load gauge\nload 1\n");
        // In the first value, in the gap, and beyond the end.
        for (elapsed_ms, seen) in [(0, Some(1.0)), (30_500, None), (65_000, None)] {
            let playing = Playing {
                name: "load".to_owned(),
                values: vec![1.0, f64::NAN],
                step: Duration::from_secs(30),
            };
            assert_eq!(playing.at(Duration::from_millis(elapsed_ms)), seen);
        }
    }
}
