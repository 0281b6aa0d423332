//! A recorded load, played live: what a Prometheus scrapes as if it happened now.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A scraper that has not asked after this will not.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A gauge on loopback that takes one value of a trace after another. Once the trace has ended, or while it has a gap
/// (NaN), the gauge is absent. It ends with this value.
#[derive(Debug)]
pub struct Exporter {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

/// What is played, and since when.
struct Playing {
    name: String,
    values: Vec<f64>,
    step: Duration,
    begun: Instant,
}

impl Exporter {
    /// Plays `values` from now on, each for `step`, under a metric's name such as `load`.
    ///
    /// # Errors
    /// No port or no thread.
    pub fn start(name: &str, values: Vec<f64>, step: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let playing = Playing {
            name: name.to_owned(),
            values,
            step,
            begun: Instant::now(),
        };
        let told = Arc::clone(&stopped);
        let serve = move || {
            for stream in listener.incoming() {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                // A scraper that went away asks again.
                let _ = stream.and_then(|stream| playing.answer(&stream));
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
    fn now(&self) -> Option<f64> {
        let place = self.begun.elapsed().as_secs_f64() / self.step.as_secs_f64();
        let value = self.values.get(place as usize)?;
        value.is_finite().then_some(*value)
    }

    /// Whatever is asked for, the answer is the gauge in Prometheus's text format.
    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        for line in BufReader::new(stream).lines() {
            if line?.is_empty() {
                break;
            }
        }
        let name = &self.name;
        let mut body = format!("# TYPE {name} gauge\n");
        if let Some(value) = self.now() {
            body.push_str(&format!("{name} {value}\n"));
        }
        let mut stream = stream;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }
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
        for (begun_ms, seen) in [(0, Some(1.0)), (30_500, None), (65_000, None)] {
            let playing = Playing {
                name: "load".to_owned(),
                values: vec![1.0, f64::NAN],
                step: Duration::from_secs(30),
                begun: Instant::now() - Duration::from_millis(begun_ms),
            };
            assert_eq!(playing.now(), seen);
        }
    }
}
