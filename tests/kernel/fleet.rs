//! A small fleet: nodes with a `binfmt_misc` of their own, and a resident in each that heals its handlers and no other
//! node's. `cargo xtask bench fleet` measures a large one.

use std::io;
use std::time::Duration;

use tests::fleet::{Loss, Node, processes_in};

use crate::sandbox::{PYTHON, Sandbox};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[test("fleet/each_node_heals_its_own", each_node_heals_its_own)];

const NODES: usize = 8;

/// A resident looks every five seconds; on a machine that is busy with other tests it comes to run late.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Of a resident, in kB.
const MEMORY: u64 = 1024;

fn each_node_heals_its_own(sandbox: &Sandbox) {
    sandbox.add(PYTHON.1);
    let start = || Node::start(sandbox.registrar());
    let mut nodes = (0..NODES).map(|_| start()).collect::<io::Result<Vec<_>>>().expect("nodes");
    let wanted = nodes[0].entries().expect("entries");
    let names: Vec<_> = wanted.keys().collect();
    let is_whole = |node: &Node| node.entries().is_ok_and(|entries| entries == wanted);
    assert!(wanted.len() > 30 && nodes.iter().all(is_whole), "{names:?}");

    // One handler in half of them, all in the others.
    let lost = |index: usize| if index < NODES / 2 { &names[index..=index] } else { &names[..] };
    let lose = |index: usize, node: &Node| node.lose(lost(index).iter().copied());
    let loss = Loss { spread: Duration::ZERO, patience: TIMEOUT };
    let healed = loss.inflict(&nodes, lose, |_, node| Ok(node.count()? == wanted.len())).expect("all heal");
    println!("a node has its handlers again after {:.2} s at most", healed.iter().max().expect("one").as_secs_f64());
    for node in &nodes {
        assert!(is_whole(node) && node.is_ready(sandbox.registrar()).expect("status"));
        let memory = node.memory().expect("its memory");
        assert!(memory.proportional <= MEMORY, "{memory:?}");
    }

    let namespaces = nodes.iter().map(Node::namespace).collect::<io::Result<Vec<_>>>().expect("namespaces");
    for node in &mut nodes {
        node.terminate().expect("it lives");
        assert_eq!(node.wait().expect("it ends").code(), Some(0));
        assert!(node.entries().expect("entries").is_empty());
    }
    assert!(processes_in(&namespaces).expect("processes").is_empty());
    assert_eq!(sandbox.names(), [PYTHON.0], "what is outside of the nodes");
}
