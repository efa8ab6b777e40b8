//! Random lives of control and data plane, with few numbers, so that they soon come again.

use super::*;
use crate::{Lowered, Observed, lower};
use proptest::prelude::*;

const SERVICES: u32 = 5;
const BACKENDS: u32 = 12;

/// Services with the real servers of each, by number: address and name follow from it.
type Shape = BTreeMap<u8, BTreeSet<u8>>;

/// Service and backend, each as a number and what had it when the connection was made.
#[derive(Clone, Debug)]
struct Connection {
    service: (ServiceId, String),
    backend: (BackendId, String),
    /// Made in the life of the control process that runs now, or known to it.
    known: bool,
}

fn config(shape: &Shape) -> Config {
    let mut text = String::from(
        "[[interface]]\nname = \"eth0\"\nport = \"null\"\naddresses = [\"10.0.0.1/8\"]\n",
    );
    for (service, real_servers) in shape {
        text += &format!(
            "[[service]]\nname = \"S{service}\"\nmode = \"l4-nat\"\n\
             address = \"10.1.0.{service}\"\nports = \"80\"\nfallback = \"none\"\n"
        );
        for real_server in real_servers {
            text += &format!(
                "[[service.real_server]]\nname = \"R{real_server}\"\n\
                 address = \"10.2.{service}.{real_server}\"\n"
            );
        }
    }
    config::parse(&text, "lb.toml").unwrap_or_else(|findings| panic!("{findings}")).config
}

fn services(snapshot: &Snapshot) -> BTreeMap<ServiceId, String> {
    snapshot.services.iter().map(|service| (service.id, service.name.clone())).collect()
}

fn backends(snapshot: &Snapshot) -> BTreeMap<BackendId, String> {
    let named = |service: &api::Service| {
        let name = service.name.clone();
        let backends = service.backends.clone().into_iter();
        backends.map(move |it| (it.id, format!("{name}/{}/{}", it.name, it.address)))
    };
    snapshot.services.iter().flat_map(named).collect()
}

/// Connections of every backend there is; the caller picks one.
fn possible(snapshot: &Snapshot) -> Vec<Connection> {
    let (services, mut all) = (services(snapshot), Vec::new());
    for service in &snapshot.services {
        for backend in &service.backends {
            all.push(Connection {
                service: (service.id, services[&service.id].clone()),
                backend: (backend.id, backends(snapshot)[&backend.id].clone()),
                known: true,
            });
        }
    }
    all
}

fn ask(running: &Snapshot, connections: &[Connection]) -> Carrying {
    Carrying {
        generation: running.generation,
        backends: connections.iter().map(|connection| connection.backend.0).collect(),
    }
}

/// What happens to control and data plane, one after the other.
#[derive(Clone, Debug)]
enum Event {
    /// The operator's file changes; the data plane applies what comes of it.
    Apply(Shape),
    /// The same, and the data plane refuses it.
    Refused(Shape),
    /// A client connects to some backend of the running snapshot.
    Connect(usize),
    /// Some connection ends.
    End(usize),
    /// Control asks which backends carry connections.
    Ask,
    /// Control is killed, its successor takes the running snapshot up and asks.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let real_servers = prop::collection::btree_set(1..6_u8, 0..4);
    let shape = prop::collection::btree_map(1..5_u8, real_servers, 0..4);
    prop_oneof![
        4 => shape.clone().prop_map(Event::Apply),
        1 => shape.prop_map(Event::Refused),
        4 => any::<usize>().prop_map(Event::Connect),
        2 => any::<usize>().prop_map(Event::End),
        2 => Just(Event::Ask),
        1 => Just(Event::Restart),
    ]
}

/// Control, data plane and clients.
struct World {
    ids: Ids,
    carrying: Carrying,
    running: Snapshot,
    connections: Vec<Connection>,
    generation: u64,
    /// How often a number came to a second owner.
    reused: usize,
    seen: BTreeMap<BackendId, String>,
}

impl World {
    fn new() -> Self {
        Self {
            ids: Ids::below(SERVICES, BACKENDS),
            carrying: Carrying::default(),
            running: Snapshot::default(),
            connections: Vec::new(),
            generation: 0,
            reused: 0,
            seen: BTreeMap::new(),
        }
    }

    fn lower(&mut self, shape: &Shape) -> Option<Lowered> {
        self.generation += 1;
        let (config, observed) = (config(shape), Observed::default());
        let once = lower(&config, &observed, &self.ids, &self.carrying, self.generation);
        let again = lower(&config, &observed, &self.ids, &self.carrying, self.generation);
        assert_eq!(once, again, "the same arguments, the same snapshot");
        once.ok()
    }

    fn apply(&mut self, shape: &Shape) {
        let Some(lowered) = self.lower(shape) else { return };
        (self.running, self.ids) = (lowered.snapshot, lowered.ids);
        for (id, what) in backends(&self.running) {
            let before = self.seen.insert(id, what.clone());
            self.reused += usize::from(before.is_some_and(|before| before != what));
        }
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Apply(shape) => self.apply(shape),
            Event::Refused(shape) => drop(self.lower(shape)),
            Event::Connect(which) => {
                let all = possible(&self.running);
                self.connections.extend(all.get(which % all.len().max(1)).cloned());
            }
            Event::End(which) => {
                if !self.connections.is_empty() {
                    self.connections.swap_remove(which % self.connections.len());
                }
            }
            Event::Ask => self.carrying = ask(&self.running, &self.connections),
            Event::Restart => {
                self.ids = Ids::below(SERVICES, BACKENDS).with_snapshots(&self.running, None);
                self.carrying = ask(&self.running, &self.connections);
                let live = backends(&self.running);
                for connection in &mut self.connections {
                    connection.known = live.contains_key(&connection.backend.0);
                }
            }
        }
    }

    fn check(&self) {
        let (services, backends) = (services(&self.running), backends(&self.running));
        let configured = self.running.services.iter().map(|service| service.backends.len());
        assert_eq!(backends.len(), configured.sum::<usize>(), "two backends share a number");
        assert_eq!(services.len(), self.running.services.len(), "two services share a number");
        for Connection { service, backend, known } in &self.connections {
            let now = backends.get(&backend.0);
            assert!(now.is_none_or(|now| *now == backend.1), "{backend:?} is now {now:?}");
            let now = services.get(&service.0);
            assert!(
                !known || now.is_none_or(|now| *now == service.1),
                "{service:?} is now {now:?}"
            );
        }
    }
}

proptest! {
    /// A connection remembers whom it was given to. Whoever has its number now is the same one.
    #[test]
    fn no_connection_ever_changes_hands(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new();
        for event in &events {
            world.happens(event);
            world.check();
        }
    }
}

/// The property above says something only if numbers do come again.
#[test]
fn numbers_come_again_in_these_lives() {
    let mut world = World::new();
    for round in 0..40_u8 {
        world.apply(&Shape::from([(round % 9, BTreeSet::from([round, round + 1]))]));
        world.happens(&Event::Connect(0));
        world.happens(&Event::Ask);
        world.check();
        if round % 4 == 3 {
            world.connections.clear();
            world.happens(&Event::Ask);
        }
    }
    assert!(world.reused > 10, "{}", world.reused);
}
