//! Puts a kernel together once every register has its slot.

use std::sync::Arc;

use super::cfg::Flow;
use super::regalloc::Alloc;
use super::{Act, Low, Lower, Role, Width};
use crate::ir::{Block, Inst, Kernel, Term};
use crate::parse::ast::Func;

pub(super) fn assemble(
    l: Lower<'_, '_>,
    func: &Func<'_>,
    flow: Flow,
    alloc: Alloc,
    shared: u32,
    files: &Arc<Vec<(u32, String)>>,
) -> Kernel {
    let plain = |i: &Low| matches!(i.act, Act::Op(_));
    let count = l.insts.iter().filter(|i| plain(i)).count() as u32;
    let slot = |v: u32| alloc.slot[v as usize];
    let invert = |negated: bool| if negated { u32::MAX } else { 0 };
    let guard = |i: &Low| i.guard.map_or((0, 0), |(v, negated)| (slot(v), invert(negated)));
    let (mut code, mut blocks, mut bars, mut targets) = (vec![], vec![], vec![], vec![]);
    let (mut places, mut classes) = (vec![], vec![]);
    let (mut term_places, mut term_classes) = (vec![], vec![]);
    for (b, node) in flow.nodes.iter().enumerate() {
        let start = code.len() as u32;
        for i in &l.insts[node.start as usize..node.end as usize] {
            let Act::Op(f) = i.act else { continue };
            let (guard, invert) = guard(i);
            let mut r = [0; crate::ir::OPERANDS];
            for n in 0..r.len() {
                r[n] = match i.roles[n] {
                    Role::None => 0,
                    Role::Raw => i.regs[n] as u16,
                    _ => slot(i.regs[n]),
                };
            }
            code.push(Inst { f, imm: i.imm, r, guard, mem: i.mem as u16, invert });
            places.push(i.place);
            classes.push(i.class);
        }
        let next = b as u32 + 1;
        let term = match node.term.map(|at| &l.insts[at as usize]) {
            None if node.next.is_empty() => Term::Exit { pred: 0, invert: 0, next },
            None => Term::Next(next),
            Some(i) => {
                let (pred, invert) = guard(i);
                match &i.act {
                    Act::Branch(_) if i.guard.is_none() => Term::Next(node.next[0]),
                    Act::Branch(_) => Term::Branch {
                        pred,
                        invert,
                        taken: node.next[0],
                        next: node.next[1],
                        join: node.join,
                    },
                    Act::Table(_) => {
                        let first = targets.len() as u32;
                        targets.extend(&node.next);
                        Term::Table {
                            index: slot(i.regs[0]),
                            first,
                            count: node.next.len() as u32,
                            join: node.join,
                        }
                    }
                    Act::Bar(bar) => {
                        let mut bar = *bar;
                        bar.id = slot(i.regs[0]);
                        bar.count = bar.count.map(|_| slot(i.regs[1]));
                        bar.dst = slot(i.regs[2]);
                        bar.vote = slot(i.regs[3]);
                        bars.push(bar);
                        Term::Bar { pred, invert, bar: bars.len() as u32 - 1, next }
                    }
                    _ => Term::Exit { pred, invert, next },
                }
            }
        };
        let term_at = count + term_places.len() as u32;
        let written = node.term.map(|at| &l.insts[at as usize]);
        term_places.push(written.map(|i| i.place).unwrap_or_default());
        term_classes.push(written.and_then(|i| i.class));
        blocks.push(Block { start, end: code.len() as u32, term, term_at });
    }
    places.extend(term_places);
    classes.extend(term_classes);
    let mut consts: Vec<(u16, bool, u64)> = l
        .consts
        .iter()
        .filter(|((width, _), _)| *width != Width::Pred)
        .map(|(&(width, value), &v)| (slot(v), width == Width::W64, value))
        .collect();
    consts.extend(
        l.dynamic
            .into_iter()
            .flatten()
            .map(|v| (slot(v), l.widths[v as usize] == Width::W64, u64::from(shared))),
    );
    consts.sort_unstable();
    let mut specials: Vec<_> = l.specials.iter().map(|(&s, &v)| (slot(v), s)).collect();
    specials.sort_unstable_by_key(|&(slot, _)| slot);
    let (mut cleared, mut cleared_preds) = (vec![], vec![]);
    for &v in &alloc.cleared {
        match l.widths[v as usize] {
            Width::Pred => cleared_preds.push(slot(v)),
            Width::W32 => cleared.push(slot(v)),
            Width::W64 => cleared.extend([slot(v), slot(v) + 1]),
        }
    }
    Kernel {
        name: func.name.to_owned(),
        blocks,
        code,
        bars,
        table: targets,
        places,
        classes,
        slots: alloc.slots,
        preds: alloc.preds,
        consts,
        specials,
        cleared,
        cleared_preds,
        mems: l.mems,
        mem_shared: l.mem_shared,
        shared_grain: l.shared_grain,
        params: l.params,
        param_bytes: l.param_bytes,
        shared,
        local: (l.local as u32).next_multiple_of(16),
        maxntid: func.maxntid,
        reqntid: func.reqntid,
        pressure: alloc.pressure,
        files: files.clone(),
    }
}
