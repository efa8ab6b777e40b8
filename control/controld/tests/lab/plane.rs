//! A data plane that forwards nothing and remembers every snapshot.

use super::PATIENCE;
use api::{Backend, BackendState, PersistenceRow, PortStatus, Reply, Request, Snapshot, Status};
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

#[derive(Default)]
struct Books {
    /// The life it is; connections of earlier lives are over.
    life: u32,
    running: Option<Snapshot>,
    history: Vec<Snapshot>,
    hellos: u32,
    /// Requests taken in and not answered yet.
    waiting: u32,
    held: bool,
    refuse: Option<String>,
    peers: Vec<UnixStream>,
}

/// See the module.
pub struct Plane {
    path: PathBuf,
    books: Arc<(Mutex<Books>, Condvar)>,
}

impl Plane {
    pub fn new(dir: &Path) -> Self {
        let plane = Self { path: dir.join("dataplane.sock"), books: Arc::default() };
        plane.listen();
        plane
    }

    /// `kill -9`: connections break, the socket's file stays.
    pub fn kill(&self) {
        self.with(|books| {
            books.life += 1;
            for peer in books.peers.drain(..) {
                let _ = peer.shutdown(Shutdown::Both);
            }
        });
        // Wakes the listener, so that it sees that its life is over.
        let _ = UnixStream::connect(&self.path);
    }

    /// A new life, which knows the last snapshot, as from its file.
    pub fn revive(&self) {
        self.listen();
    }

    /// Takes requests in, and answers none of them until [`Plane::release`].
    pub fn hold(&self) {
        self.with(|books| books.held = true);
    }

    pub fn release(&self) {
        self.with(|books| books.held = false);
    }

    pub fn refuse(&self, reason: Option<&str>) {
        self.with(|books| books.refuse = reason.map(str::to_owned));
    }

    pub fn history(&self) -> Vec<Snapshot> {
        self.with(|books| books.history.clone())
    }

    pub fn running(&self) -> Snapshot {
        self.with(|books| books.running.clone()).expect("something was applied")
    }

    pub fn hellos(&self) -> u32 {
        self.with(|books| books.hellos)
    }

    /// Waits until the snapshot that runs is so, and returns it.
    pub fn wait(&self, what: &str, so: impl Fn(&Snapshot) -> bool) -> Snapshot {
        self.wait_for(what, |books| books.running.as_ref().is_some_and(&so));
        self.running()
    }

    pub fn wait_for_hello(&self, number: u32) {
        self.wait_for("it is greeted", |books| books.hellos >= number);
    }

    pub fn wait_for_request(&self) {
        self.wait_for("a request waits", |books| books.waiting > 0);
    }

    fn wait_for(&self, what: &str, so: impl Fn(&Books) -> bool) {
        let (books, changed) = &*self.books;
        let guard = books.lock().unwrap();
        let (books, late) =
            changed.wait_timeout_while(guard, PATIENCE, |books| !so(books)).unwrap();
        assert!(!late.timed_out(), "in vain: {what}; it runs {:#?}", books.running);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Books) -> T) -> T {
        let (books, changed) = &*self.books;
        let result = work(&mut books.lock().unwrap());
        changed.notify_all();
        result
    }

    fn listen(&self) {
        let _ = fs::remove_file(&self.path);
        let listener = UnixListener::bind(&self.path).expect("a socket");
        let books = self.books.clone();
        let life = self.with(|books| books.life);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut guard = books.0.lock().unwrap();
                if guard.life != life {
                    return;
                }
                guard.peers.push(stream.try_clone().expect("a second end"));
                drop(guard);
                let books = books.clone();
                thread::spawn(move || converse(stream, &books));
            }
        });
    }
}

/// Real servers that may get new connections and that frames can be sent to.
pub fn online(snapshot: &Snapshot) -> usize {
    let backends = snapshot.services.iter().flat_map(|s| &s.backends);
    backends.filter(|b| b.state == BackendState::Online && b.hop.is_some()).count()
}

pub fn state(snapshot: &Snapshot, name: &str) -> BackendState {
    let mut backends = snapshot.services.iter().flat_map(|s| &s.backends);
    backends.find(|b| b.name == name).expect("it is in the snapshot").state
}

fn converse(mut stream: UnixStream, books: &(Mutex<Books>, Condvar)) {
    while let Some(request) = receive(&mut stream) {
        let mut guard = books.0.lock().unwrap();
        guard.waiting += 1;
        books.1.notify_all();
        guard = books.1.wait_while(guard, |books| books.held).unwrap();
        guard.waiting -= 1;
        let reply = answer(&mut guard, request);
        drop(guard);
        books.1.notify_all();
        if stream.write_all(&api::encode(&reply).expect("it encodes")).is_err() {
            return;
        }
    }
}

fn receive(stream: &mut UnixStream) -> Option<Request> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).ok()?;
    let mut body = vec![0; api::read_frame_len(header).ok()?];
    stream.read_exact(&mut body).ok()?;
    Some(api::decode(&body).expect("control speaks by the contract"))
}

fn answer(books: &mut Books, request: Request) -> Reply {
    match request {
        Request::Hello => {
            books.hellos += 1;
            let snapshot = books.running.clone().map(Box::new);
            Reply::Hello { pid: 1_000 + books.life, snapshot, ports: vec![port()] }
        }
        Request::Apply(snapshot) => {
            if let Some(reason) = &books.refuse {
                return Reply::Refused { reason: reason.clone() };
            }
            let generation = snapshot.generation;
            books.history.push((*snapshot).clone());
            books.running = Some(*snapshot);
            Reply::Applied { generation }
        }
        Request::Status => {
            let generation = books.running.as_ref().map_or(0, |s| s.generation);
            let ports = vec![port()];
            Reply::Status(Status {
                generation,
                published: generation,
                workers: 1,
                uptime_s: 1,
                ports,
            })
        }
        Request::Counters => Reply::Counters(Box::default()),
        Request::Persistence { service, cursor, .. } => {
            // Two parts of a table, the first one without anybody.
            let mut services = books.running.iter().flat_map(|s| &s.services);
            let asked = services.find(|it| it.id == service).filter(|_| cursor > 0);
            let rows = asked.into_iter().flat_map(|it| it.backends.first());
            let row = |backend: &Backend| PersistenceRow {
                client: [192, 0, 2, 0].into(),
                backend: backend.id,
                idle_s: 7,
                expires_s: 53,
            };
            let next = (cursor == 0).then_some(8);
            Reply::Persistence { rows: rows.map(row).collect(), next }
        }
        Request::Forget { client, cursor, .. } => {
            let next = (cursor == 0).then_some(8);
            Reply::Forgotten { clients: if client.is_some() { cursor / 8 } else { 3 }, next }
        }
        Request::Connections { .. } => Reply::Connections { rows: Vec::new(), next: None },
    }
}

fn port() -> PortStatus {
    PortStatus {
        name: "eth0".into(),
        device: "null".into(),
        driver: "net_null".into(),
        mac: [2, 0, 0, 0, 0, 1],
        link_up: true,
        companion: true,
        removed: false,
    }
}
