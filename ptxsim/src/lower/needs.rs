//! What an instruction needs of the target and of the PTX version, as an assembler checks it: a kernel that runs
//! here must not be refused by a GPU's driver.

use super::{Lower, Res, bad};
use crate::parse::ast::Instr;

type Version = (u32, u32);

/// The first PTX version that knows a target.
pub fn oldest_version(target: u32) -> Option<Version> {
    Some(match target {
        70 => (6, 0),
        72 => (6, 1),
        75 => (6, 3),
        80 => (7, 0),
        86 => (7, 1),
        87 => (7, 4),
        89 | 90 => (7, 8),
        100 | 101 => (8, 6),
        120 => (8, 7),
        _ => return None,
    })
}

/// Target and version an opcode asks for.
fn needs(op: &str) -> Option<(u32, Version)> {
    let (root, rest) = op.split_once('.').unwrap_or((op, ""));
    let has = |m: &str| rest.split('.').any(|part| part == m);
    let bf16 = has("bf16") || has("bf16x2");
    let f16 = has("f16") || has("f16x2");
    Some(match root {
        "cp" if has("async") => (80, (7, 0)),
        "mma" if has("m16n8k16") || bf16 || has("tf32") => (80, (7, 0)),
        "mma" | "ldmatrix" => (75, (6, 5)),
        "redux" => (80, (7, 0)),
        "elect" => (90, (8, 0)),
        "match" => (70, (6, 0)),
        "activemask" => (30, (6, 2)),
        "tanh" => (75, (7, 0)),
        "copysign" => (20, (2, 0)),
        "bmsk" | "szext" => (70, (7, 6)),
        "cvt" if has("tf32") => (80, (7, 0)),
        "cvt" if has("relu") => (80, (7, 0)),
        // Between bf16 and what is not f32.
        "cvt" if has("bf16") && rest.ends_with("bf16") => (90, (7, 1)),
        "cvt" if bf16 || has("f16x2") => (80, (7, 0)),
        "min" | "max" if has("NaN") || bf16 || f16 => (80, (7, 0)),
        "fma" if has("relu") || bf16 => (80, (7, 0)),
        "add" | "sub" | "mul" | "setp" if bf16 => (90, (7, 8)),
        "neg" | "abs" if bf16 => (80, (7, 0)),
        "dp4a" => (61, (5, 0)),
        "shfl" | "vote" | "bar" | "barrier" if has("sync") => (30, (6, 0)),
        _ => return None,
    })
}

impl<'a> Lower<'a, '_> {
    pub(super) fn check_needs(&self, ins: &Instr<'a>) -> Res<()> {
        let Some((target, version)) = needs(ins.op) else { return Ok(()) };
        if self.module.target < target {
            return bad(ins.line, format!("`{}` needs .target sm_{target} or higher", ins.op));
        }
        if self.module.version < version {
            let (major, minor) = version;
            return bad(ins.line, format!("`{}` needs .version {major}.{minor} or higher", ins.op));
        }
        Ok(())
    }
}
