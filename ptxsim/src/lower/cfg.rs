//! Basic blocks, and where the lanes that part at a branch meet again.

use super::{Act, Low};
use crate::ir::{Class, NOWHERE};

/// A basic block over the lowered instructions: `start..end`, of which the last may be the terminator.
pub struct Node {
    pub start: u32,
    /// End of the plain instructions.
    pub end: u32,
    /// The terminator, if one is written.
    pub term: Option<u32>,
    pub next: Vec<u32>,
    pub join: u32,
}

pub struct Flow {
    pub nodes: Vec<Node>,
}

/// Cuts instructions into blocks. The block after the last instruction is empty and leaves the kernel.
pub fn build(insts: &[Low], labels: &[Option<u32>]) -> Flow {
    let n = insts.len();
    let mut leader = vec![false; n + 1];
    leader[0] = true;
    leader[n] = true;
    for at in labels.iter().flatten() {
        leader[*at as usize] = true;
    }
    for (at, i) in insts.iter().enumerate() {
        if !matches!(i.act, Act::Op(_)) {
            leader[at + 1] = true;
        }
    }
    let mut block_at = vec![NOWHERE; n + 1];
    let starts: Vec<usize> = (0..=n).filter(|&at| leader[at]).collect();
    for (b, &at) in starts.iter().enumerate() {
        block_at[at] = b as u32;
    }
    let target = |label: u32| labels[label as usize].map_or(NOWHERE, |at| block_at[at as usize]);
    let mut nodes = vec![];
    for (b, &start) in starts.iter().enumerate() {
        let end = starts.get(b + 1).copied().unwrap_or(n);
        let last = (end > start).then(|| end - 1).filter(|&at| !matches!(insts[at].act, Act::Op(_)));
        let after = b as u32 + 1;
        let next = match last.map(|at| &insts[at]) {
            _ if start == n => vec![],
            None => vec![after],
            Some(i) => match &i.act {
                Act::Branch(label) if i.guard.is_some() => vec![target(*label), after],
                Act::Branch(label) => vec![target(*label)],
                Act::Table(labels) => labels.iter().map(|&l| target(l)).collect(),
                Act::Exit if i.guard.is_none() => vec![],
                _ => vec![after],
            },
        };
        nodes.push(Node {
            start: start as u32,
            end: last.unwrap_or(end) as u32,
            term: last.map(|at| at as u32),
            next,
            join: NOWHERE,
        });
    }
    let mut flow = Flow { nodes };
    joins(&mut flow, insts);
    flow
}

/// Immediate post-dominators. Ways that only lead out of the kernel do not count where there is another:
/// lanes that leave need not be waited for, so those that stay can meet before the kernel's end. Such a way is
/// a bare `ret`, and, seen from the result of a first pass, a straight stretch to the end at which no branch's
/// lanes meet (an early return with something to do before it).
fn joins(flow: &mut Flow, insts: &[Low]) {
    let n = flow.nodes.len();
    let ends = |b: &Node| b.next.is_empty() && b.term.is_none_or(|t| insts[t as usize].guard.is_none());
    let mut leaves: Vec<bool> = flow.nodes.iter().map(|b| ends(b) && b.start == b.end).collect();
    let first = dominators(flow, &leaves);
    let mut meets = vec![false; n + 1];
    for (b, node) in flow.nodes.iter().enumerate() {
        if node.next.len() > 1 && first[b] <= n {
            meets[first[b]] = true;
        }
    }
    // Backwards, since a stretch mostly runs forward; one that does not is merely not seen as one.
    for b in (0..n).rev() {
        let node = &flow.nodes[b];
        let together = insts[node.start as usize..node.end as usize]
            .iter()
            .any(|i| matches!(i.class, Some(Class::Warp | Class::Barrier)));
        let straight = node.next.len() == 1 && leaves[node.next[0] as usize];
        let barrier = node.term.is_some_and(|t| matches!(insts[t as usize].act, Act::Bar(_)));
        leaves[b] |= (ends(node) || straight) && !together && !barrier && !meets[b] && b != 0;
    }
    let idom = dominators(flow, &leaves);
    for (node, join) in flow.nodes.iter_mut().zip(idom) {
        node.join = if join >= n { NOWHERE } else { join as u32 };
    }
}

/// Immediate post-dominators, where ways into blocks that leave do not count. The block past the last one
/// stands for the kernel's end.
fn dominators(flow: &Flow, leaves: &[bool]) -> Vec<usize> {
    let exit = flow.nodes.len();
    let all: Vec<Vec<usize>> = flow
        .nodes
        .iter()
        .map(|b| if b.next.is_empty() { vec![exit] } else { b.next.iter().map(|&s| s as usize).collect() })
        .collect();
    let mut next: Vec<Vec<usize>> = all
        .iter()
        .map(|list| {
            let staying: Vec<usize> = list.iter().copied().filter(|&s| s == exit || !leaves[s]).collect();
            if staying.is_empty() { list.clone() } else { staying }
        })
        .collect();
    // A loop that only such ways lead out of keeps them.
    let order = loop {
        let mut before = vec![vec![]; exit + 1];
        for (b, list) in next.iter().enumerate() {
            for &s in list {
                before[s].push(b);
            }
        }
        let order = postorder(exit, &before);
        let mut reached = vec![false; exit + 1];
        order.iter().for_each(|&b| reached[b] = true);
        let stuck: Vec<usize> = (0..exit).filter(|&b| !reached[b] && next[b].len() < all[b].len()).collect();
        if stuck.is_empty() {
            break order;
        }
        stuck.into_iter().for_each(|b| next[b].clone_from(&all[b]));
    };
    let mut rank = vec![usize::MAX; exit + 1];
    for (r, &b) in order.iter().enumerate() {
        rank[b] = r;
    }
    let mut idom = vec![usize::MAX; exit + 1];
    idom[exit] = exit;
    let mut changed = true;
    while changed {
        changed = false;
        for &b in order.iter().rev().filter(|&&b| b != exit) {
            let mut new = usize::MAX;
            for &s in &next[b] {
                if idom[s] == usize::MAX {
                    continue;
                }
                new = if new == usize::MAX { s } else { meet(new, s, &idom, &rank) };
            }
            if new != usize::MAX && idom[b] != new {
                idom[b] = new;
                changed = true;
            }
        }
    }
    idom.truncate(exit);
    idom
}

fn meet(mut a: usize, mut b: usize, idom: &[usize], rank: &[usize]) -> usize {
    while a != b {
        while rank[a] < rank[b] {
            a = idom[a];
        }
        while rank[b] < rank[a] {
            b = idom[b];
        }
    }
    a
}

fn postorder(root: usize, next: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; next.len()];
    let (mut out, mut stack) = (vec![], vec![(root, 0)]);
    seen[root] = true;
    while let Some((node, at)) = stack.pop() {
        match next[node].get(at) {
            Some(&s) => {
                stack.push((node, at + 1));
                if !seen[s] {
                    seen[s] = true;
                    stack.push((s, 0));
                }
            }
            None => out.push(node),
        }
    }
    out
}
