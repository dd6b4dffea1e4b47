//! A web server that misbehaves on demand. It serves a folder, and single files that a test writes, notes each request
//! and counts connections. How one request is answered is in `answer`.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fedora_mirror::Certificate;
use xtask::system;

mod answer;

/// Where nobody listens: a connection is refused.
pub(crate) const NOBODY: &str = "http://127.0.0.1:9";

/// What is wrong with an answer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Takes the request and never answers.
    Silent,
    /// Answers well, after a while.
    Late(Duration),
    /// So many bytes a second.
    Slow(usize),
    /// This status and no file; asks to be left alone for so many seconds.
    Status(u16, Option<u64>),
    /// Promises so many bytes more (or fewer) than it has.
    Length(i64),
    /// Closes the connection after so many bytes of the body, as if that were all.
    CutAt(usize),
    /// Resets the connection after so many bytes of the body.
    ResetAt(usize),
    /// Another byte at this place of the file.
    FlipAt(usize),
    /// Another byte at the first place, and the connection closed after so many.
    FlipAndCutAt(usize, usize),
    /// This in its place.
    Instead(Vec<u8>),
    /// Elsewhere; `{path}` stands for what was asked for.
    Redirect(String),
    /// Bytes without an end.
    Endless,
    /// Compressed, though nobody asked for it.
    Gzip,
    /// To a question for a part, another part, as long.
    WrongRange,
    /// To a question for a part, the whole.
    NoRanges,
}

/// A request and what was answered.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Path with what follows a question mark.
    pub(crate) path: String,
    /// `bytes=N-`
    pub(crate) range: Option<String>,
    /// What the client has already.
    pub(crate) if_none_match: Option<String>,
    /// 0 for no answer.
    pub(crate) status: u16,
    /// When the request had arrived.
    pub(crate) at: Instant,
}

/// A server while it lives.
pub(crate) struct FaultServer {
    state: Arc<State>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

struct State {
    root: PathBuf,
    files: Mutex<HashMap<String, Vec<u8>>>,
    faults: Mutex<Vec<Planned>>,
    log: Mutex<Vec<Asked>>,
    open: AtomicUsize,
    most: AtomicUsize,
    ending: AtomicBool,
}

struct Planned {
    /// Part of the path.
    path: String,
    left: usize,
    fault: Fault,
}

impl FaultServer {
    /// Serves a folder, well at first.
    pub(crate) fn new(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(State {
            root: root.into(),
            files: Mutex::default(),
            faults: Mutex::default(),
            log: Mutex::default(),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            ending: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&state);
        let acceptor = thread::spawn(move || accept(&listener, &accepting));
        Self { state, address, acceptor: Some(acceptor) }
    }

    /// URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Serves this at a path (with what follows a question mark), whatever is in the folder.
    pub(crate) fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        locked(&self.state.files).insert(format!("/{path}"), content.into());
    }

    /// Misbehaves from now on, where the path contains this.
    pub(crate) fn always(&self, path: &str, fault: Fault) {
        self.times(usize::MAX, path, fault);
    }

    /// Misbehaves so many times; faults that were planned earlier come first.
    pub(crate) fn times(&self, times: usize, path: &str, fault: Fault) {
        locked(&self.state.faults).push(Planned { path: path.into(), left: times, fault });
    }

    /// Behaves from now on.
    pub(crate) fn recover(&self) {
        locked(&self.state.faults).clear();
    }

    /// What was asked whose path contains this, in order.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        locked(&self.state.log).iter().filter(|asked| asked.path.contains(path)).cloned().collect()
    }

    /// Forgets what was asked.
    pub(crate) fn forget(&self) {
        locked(&self.state.log).clear();
    }

    /// The most connections that were open at the same time.
    pub(crate) fn most_connections(&self) -> usize {
        self.state.most.load(Ordering::SeqCst)
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.state.ending.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            // A panic there has been printed; a test that is about to fail says why itself.
            drop(acceptor.join());
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    let mut connections = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if state.ending.load(Ordering::SeqCst) {
            break;
        }
        let state = Arc::clone(state);
        connections.push(thread::spawn(move || {
            let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
            state.most.fetch_max(open, Ordering::SeqCst);
            // A client that goes away in the middle is nothing unusual here.
            let _ = answer::connection(&stream, &state);
            state.open.fetch_sub(1, Ordering::SeqCst);
        }));
    }
    for connection in connections {
        drop(connection.join());
    }
}

impl State {
    /// The fault that is due for a path.
    fn fault(&self, path: &str) -> Option<Fault> {
        let mut faults = locked(&self.faults);
        let planned = faults.iter_mut().find(|planned| planned.left > 0 && path.contains(&planned.path))?;
        planned.left -= 1;
        Some(planned.fault.clone())
    }

    /// The content at a path.
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

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }
}

/// The content of a lock, also after a panic elsewhere.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A certificate for 127.0.0.1 that nobody but itself has signed.
pub(crate) fn certificate(folder: &Path) -> Certificate {
    system::require(&[system::Tool::OPENSSL]).expect("the tool that makes certificates");
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let mut openssl = system::command("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]);
    openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
    system::run(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate)).expect("a certificate");
    Certificate { certificate, key }
}
