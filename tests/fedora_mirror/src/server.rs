//! The one web server of tests and of `cargo xtask mirror --serve`: it serves a folder and single files by http or https,
//! logs each request, counts connections, and misbehaves where a test asks for that. How one request is answered is in
//! `answer`; a real server can be asked for none of these faults.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

mod answer;

/// A URL at which no server listens: connections are refused.
pub const REFUSED: &str = "http://127.0.0.1:9";

/// What is wrong with an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Takes the request and never answers.
    Silent,
    /// Answers well, after this pause.
    Late(Duration),
    /// Sends this many bytes a second.
    Slow(usize),
    /// This status and no file; `Retry-After` with this many seconds.
    Status(u16, Option<u64>),
    /// States a length that differs from the file's by this many bytes.
    Length(i64),
    /// Closes the connection after this many bytes of the body.
    CutAt(usize),
    /// Resets the connection after this many bytes of the body.
    ResetAt(usize),
    /// Changes the byte at this place of the file.
    FlipAt(usize),
    /// Changes the byte at the first place, and closes the connection after the second.
    FlipAndCutAt(usize, usize),
    /// Sends this content instead.
    Instead(Vec<u8>),
    /// Redirects to this URL; `{path}` stands for the requested path.
    Redirect(String),
    /// Sends bytes without an end.
    Endless,
    /// Sends gzip, which no request accepts.
    Gzip,
    /// Answers a range with another one, as long.
    WrongRange,
    /// Answers a range with the whole file.
    NoRanges,
}

/// A request and the status of its answer.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// Path with its query.
    pub path: String,
    /// `bytes=N-`
    pub range: Option<String>,
    /// `ETag` of the file that the client has already.
    pub if_none_match: Option<String>,
    /// 0 where none was sent.
    pub status: u16,
    /// When the request had arrived.
    pub at: Instant,
}

/// What a server proves itself with.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its secret key, in PEM.
    pub key: PathBuf,
}

/// A server; dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Server {
    state: Arc<State>,
    scheme: &'static str,
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

/// What servers of the same files share.
#[derive(Debug)]
struct State {
    root: PathBuf,
    files: Mutex<HashMap<String, Vec<u8>>>,
    faults: Mutex<Vec<Planned>>,
    log: Mutex<Vec<LoggedRequest>>,
    open: AtomicUsize,
    most: AtomicUsize,
}

#[derive(Debug)]
struct Planned {
    /// Part of the path.
    path: String,
    left: usize,
    fault: Fault,
}

impl Server {
    /// Serves a folder by http, on a port of the kernel's choice.
    ///
    /// # Errors
    /// If the kernel gives no port.
    pub fn new(root: &Path) -> Result<Self> {
        Self::on_port(root, 0)
    }

    /// Serves a folder by http on a port of 127.0.0.1.
    ///
    /// # Errors
    /// If the port is taken.
    pub fn on_port(root: &Path, port: u16) -> Result<Self> {
        let state = Arc::new(State {
            root: std::path::absolute(root).context("finding the folder to serve")?,
            files: Mutex::default(),
            faults: Mutex::default(),
            log: Mutex::default(),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        Self::start(state, port, None)
    }

    /// Serves the same files with the same faults and log by https, on a port of the kernel's choice.
    ///
    /// # Errors
    /// If the certificate or its key cannot be used.
    pub fn with_tls(&self, certificate: &Certificate) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(&certificate.certificate).and_then(Iterator::collect);
        let key = PrivateKeyDer::from_pem_file(&certificate.key).context("reading a secret key")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choosing versions of TLS")?
            .with_no_client_auth()
            .with_single_cert(chain.context("reading a certificate")?, key)
            .context("taking a certificate")?;
        Self::start(Arc::clone(&self.state), 0, Some(Arc::new(config)))
    }

    fn start(state: Arc<State>, port: u16, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = listener.with_context(|| format!("listening on 127.0.0.1:{port}"))?;
        let address = listener.local_addr().context("finding a server's port")?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let ending = Arc::new(AtomicBool::new(false));
        let acceptor = {
            let (state, ending) = (Arc::clone(&state), Arc::clone(&ending));
            thread::spawn(move || accept(&listener, &state, &ending, tls.as_ref()))
        };
        Ok(Self { state, scheme, address, ending, acceptor: Some(acceptor) })
    }

    /// URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}/{path}", self.scheme, self.address)
    }

    /// Serves this at a path with its query, in place of a file of the folder.
    pub fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        locked(&self.state.files).insert(format!("/{path}"), content.into());
    }

    /// Misbehaves from now on, where the path contains this.
    pub fn always(&self, path: &str, fault: Fault) {
        self.times(usize::MAX, path, fault);
    }

    /// Misbehaves this often; faults that were planned earlier come first.
    pub fn times(&self, times: usize, path: &str, fault: Fault) {
        locked(&self.state.faults).push(Planned { path: path.into(), left: times, fault });
    }

    /// Behaves from now on.
    pub fn recover(&self) {
        locked(&self.state.faults).clear();
    }

    /// The requests whose path contains this, in order.
    pub fn requests(&self, path: &str) -> Vec<LoggedRequest> {
        locked(&self.state.log).iter().filter(|request| request.path.contains(path)).cloned().collect()
    }

    /// Forgets all requests.
    pub fn clear_log(&self) {
        locked(&self.state.log).clear();
    }

    /// The most connections that were open at the same time.
    pub fn most_connections(&self) -> usize {
        self.state.most.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            // A panic there has been printed; a test that is about to fail says why itself.
            drop(acceptor.join());
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>, ending: &Arc<AtomicBool>, tls: Option<&Arc<ServerConfig>>) {
    let mut connections = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if ending.load(Ordering::SeqCst) {
            break;
        }
        let (state, ending, tls) = (Arc::clone(state), Arc::clone(ending), tls.cloned());
        connections.push(thread::spawn(move || {
            let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
            state.most.fetch_max(open, Ordering::SeqCst);
            // Clients that close a connection early, or refuse the certificate, are what tests are about.
            let _ = connection(stream, &state, &ending, tls);
            state.open.fetch_sub(1, Ordering::SeqCst);
        }));
    }
    for connection in connections {
        drop(connection.join());
    }
}

fn connection(mut stream: TcpStream, state: &State, ending: &AtomicBool, tls: Option<Arc<ServerConfig>>) -> Result<()> {
    stream.set_read_timeout(Some(answer::TICK))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    let Some(config) = tls else { return Ok(answer::requests(&mut stream, state, ending)?) };
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, stream);
    answer::requests(&mut stream, state, ending)?;
    stream.conn.send_close_notify();
    Ok(stream.flush()?)
}

impl State {
    /// The fault that is due for a path.
    fn fault(&self, path: &str) -> Option<Fault> {
        let mut faults = locked(&self.faults);
        let planned = faults.iter_mut().find(|planned| planned.left > 0 && path.contains(&planned.path))?;
        planned.left -= 1;
        Some(planned.fault.clone())
    }

    /// The content at a path. Hidden files are not served: the mirror's secret key is one.
    fn content(&self, path: &str) -> Option<Vec<u8>> {
        if let Some(content) = locked(&self.files).get(path) {
            return Some(content.clone());
        }
        let path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
        if path.split('/').any(|part| part.starts_with('.')) {
            return None;
        }
        std::fs::read(self.root.join(path)).ok()
    }
}

/// The content of a lock, also after a panic elsewhere.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
