//! Logic, shifts and the handling of bits and bytes.

use super::alu::{Map1s, Map2s, Map3s, bin, class, un};
use super::{Act, Lower, Mods, Res, Role, op};
use crate::exec::int;
use crate::exec::lanes::{Map1, Map2, Map3};
use crate::exec::pred::Logic;
use crate::ir::{Class, OpFn};
use crate::parse::ast::{Instr, Operand, Ty};

use Ty::{B16, B32, B64, F32, F64, S16, S32, S64, U16, U32, U64};

impl<'a> Lower<'a, '_> {
    pub(super) fn logic(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let ty = m.ty()?;
        m.done()?;
        if ty == Ty::Pred {
            let one = m.root == "not";
            self.arity(ins, if one { 2 } else { 3 })?;
            let d = self.dst(&ins.operands[0], ty, ins.line)?;
            let (a, na) = self.pred_operand(&ins.operands[1], ins.line)?;
            let (b, nb) = if one { (a, false) } else { self.pred_operand(&ins.operands[2], ins.line)? };
            let what = match m.root {
                "and" => 0,
                "or" => 1,
                "xor" => 2,
                "not" => 3 | 64,
                _ => return m.unknown(),
            };
            return self.emit_logic(ins, d, a, b, what | i64::from(na) << 4 | i64::from(nb) << 5);
        }
        let f = match m.root {
            "and" => bin!(ty, m, B32 | B16 => u32, int::And; B64 => u64, int::And),
            "or" => bin!(ty, m, B32 | B16 => u32, int::Or; B64 => u64, int::Or),
            "xor" => bin!(ty, m, B32 | B16 => u32, int::Xor; B64 => u64, int::Xor),
            "not" => un!(ty, m, B32 => u32, int::Not; B64 => u64, int::Not; B16 => u16, int::Not),
            _ => un!(ty, m, B32 => u32, int::Cnot; B64 => u64, int::Cnot64; B16 => u16, int::Cnot16),
        };
        let n = if matches!(m.root, "not" | "cnot") { 2 } else { 3 };
        self.simple(ins, f, Class::Int, 0, &[ty; 3][..n])
    }

    pub(super) fn emit_logic(&mut self, ins: &Instr<'a>, d: u32, a: u32, b: u32, imm: i64) -> Res<()> {
        let operands = [(d, Role::Def), (a, Role::Use), (b, Role::Use)];
        self.emit(ins, Act::Op(op::<Logic>()), Some(Class::Int), imm, &operands)
    }

    pub(super) fn shift(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        if m.root == "shf" {
            let left = m.one_of(&[("l", true), ("r", false)]);
            let wrap = m.one_of(&[("wrap", true), ("clamp", false)]);
            let ty = m.ty()?;
            m.done()?;
            let f = match (left, wrap, ty) {
                (Some(true), Some(true), B32) => op::<Map3s<u32, int::ShfLWrap>>(),
                (Some(true), Some(false), B32) => op::<Map3s<u32, int::ShfLClamp>>(),
                (Some(false), Some(true), B32) => op::<Map3s<u32, int::ShfRWrap>>(),
                (Some(false), Some(false), B32) => op::<Map3s<u32, int::ShfRClamp>>(),
                _ => return m.unknown(),
            };
            return self.simple(ins, f, Class::Int, 0, &[ty; 4]);
        }
        let ty = m.ty()?;
        m.done()?;
        let f = match (m.root, ty) {
            ("shl", B32) => op::<Map2<u32, u32, u32, int::Shl>>(),
            ("shl", B64) => op::<Map2<u64, u32, u64, int::Shl64>>(),
            ("shl", B16) => op::<Map2<u16, u32, u16, int::Shl16>>(),
            ("shr", U32 | B32) => op::<Map2<u32, u32, u32, int::ShrU>>(),
            ("shr", U64 | B64) => op::<Map2<u64, u32, u64, int::ShrU64>>(),
            ("shr", U16 | B16) => op::<Map2<u16, u32, u16, int::ShrU16>>(),
            ("shr", S32) => op::<Map2<i32, u32, i32, int::ShrS>>(),
            ("shr", S64) => op::<Map2<i64, u32, i64, int::ShrS64>>(),
            ("shr", S16) => op::<Map2<i16, u32, i16, int::ShrS16>>(),
            _ => return m.unknown(),
        };
        self.simple(ins, f, Class::Int, 0, &[ty, ty, U32])
    }

    pub(super) fn bits(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let mut imm = 0;
        let shiftamt = m.take("shiftamt");
        let mode = m.one_of(&[("f4e", 1), ("b4e", 2), ("rc8", 3), ("ecl", 4), ("ecr", 5), ("rc16", 6)]);
        let half = m.one_of(&[("lo", 'l'), ("hi", 'h')]);
        let clamp = m.one_of(&[("clamp", true), ("wrap", false)]);
        if m.root == "dp4a" {
            let b = m.ty()?;
            let a = m.ty()?;
            m.done()?;
            let f = match (a, b) {
                (U32, U32) => op::<Map3s<u32, int::Dp4aUU>>(),
                (S32, S32) => op::<Map3s<u32, int::Dp4aSS>>(),
                (S32, U32) => op::<Map3s<u32, int::Dp4aSU>>(),
                (U32, S32) => op::<Map3s<u32, int::Dp4aUS>>(),
                _ => return m.unknown(),
            };
            return self.simple(ins, f, Class::Int, 0, &[U32; 4]);
        }
        let ty = m.ty()?;
        m.done()?;
        let (f, types): (OpFn, &[Ty]) = match (m.root, ty) {
            ("bfe", U32) => (op::<Map3<u32, u32, u32, u32, int::BfeU>>(), &[U32; 4]),
            ("bfe", S32) => (op::<Map3<i32, u32, u32, i32, int::BfeS>>(), &[S32, S32, U32, U32]),
            ("bfe", U64) => (op::<Map3<u64, u32, u32, u64, int::BfeU64>>(), &[U64, U64, U32, U32]),
            ("bfe", S64) => (op::<Map3<i64, u32, u32, i64, int::BfeS64>>(), &[S64, S64, U32, U32]),
            ("bfi", B32) => (op::<int::Bfi>(), &[B32, B32, B32, U32, U32]),
            ("bfi", B64) => (op::<int::Bfi64>(), &[B64, B64, B64, U32, U32]),
            ("bfind", U32) if shiftamt => (op::<Map1<u32, u32, int::ShiftU>>(), &[U32, U32]),
            ("bfind", U64) if shiftamt => (op::<Map1<u64, u32, int::ShiftU64>>(), &[U32, U64]),
            ("bfind", S32) if shiftamt => (op::<Map1<i32, u32, int::ShiftS>>(), &[U32, S32]),
            ("bfind", S64) if shiftamt => (op::<Map1<i64, u32, int::ShiftS64>>(), &[U32, S64]),
            ("bfind", U32) => (op::<Map1<u32, u32, int::FindU>>(), &[U32, U32]),
            ("bfind", U64) => (op::<Map1<u64, u32, int::FindU64>>(), &[U32, U64]),
            ("bfind", S32) => (op::<Map1<i32, u32, int::FindS>>(), &[U32, S32]),
            ("bfind", S64) => (op::<Map1<i64, u32, int::FindS64>>(), &[U32, S64]),
            ("brev", B32) => (op::<Map1s<u32, int::Brev>>(), &[B32, B32]),
            ("brev", B64) => (op::<Map1s<u64, int::Brev>>(), &[B64, B64]),
            ("clz", B32) => (op::<Map1<u32, u32, int::Clz>>(), &[U32, B32]),
            ("clz", B64) => (op::<Map1<u64, u32, int::Clz>>(), &[U32, B64]),
            ("popc", B32) => (op::<Map1<u32, u32, int::Popc>>(), &[U32, B32]),
            ("popc", B64) => (op::<Map1<u64, u32, int::Popc>>(), &[U32, B64]),
            ("prmt", B32) => {
                imm = mode.unwrap_or(0);
                (op::<int::Prmt>(), &[B32; 4])
            }
            ("lop3", B32) => {
                let Some(Operand::Int(table)) = ins.operands.get(4) else { return m.unknown() };
                imm = (*table & 0xff) as i64;
                let shorter = Instr { operands: ins.operands[..4].to_vec(), ..ins.clone() };
                return self.simple(&shorter, op::<int::Lop3>(), Class::Int, imm, &[B32; 4]);
            }
            ("sad", U32) => (op::<Map3s<u32, int::SadU>>(), &[U32; 4]),
            ("sad", S32) => (op::<Map3s<i32, int::SadS>>(), &[S32; 4]),
            ("mul24", U32) if half == Some('h') => (op::<Map2s<u32, int::Mul24HiU>>(), &[U32; 3]),
            ("mul24", S32) if half == Some('h') => (op::<Map2s<i32, int::Mul24HiS>>(), &[S32; 3]),
            ("mul24", U32) => (op::<Map2s<u32, int::Mul24U>>(), &[U32; 3]),
            ("mul24", S32) => (op::<Map2s<i32, int::Mul24S>>(), &[S32; 3]),
            ("mad24", U32) if half == Some('l') => (op::<Map3s<u32, int::Mad24U>>(), &[U32; 4]),
            ("mad24", S32) if half == Some('l') => (op::<Map3s<i32, int::Mad24S>>(), &[S32; 4]),
            ("copysign", F32) => (op::<Map2s<u32, int::CopySign>>(), &[F32; 3]),
            ("copysign", F64) => (op::<Map2s<u64, int::CopySign64>>(), &[F64; 3]),
            ("bmsk", B32) if clamp == Some(true) => (op::<Map2s<u32, int::BmskClamp>>(), &[U32; 3]),
            ("bmsk", B32) => (op::<Map2s<u32, int::BmskWrap>>(), &[U32; 3]),
            ("szext", S32) if clamp == Some(true) => {
                (op::<Map2<i32, u32, i32, int::Szext>>(), &[S32, S32, U32])
            }
            ("szext", U32) if clamp == Some(true) => (op::<Map2s<u32, int::SzextU>>(), &[U32; 3]),
            _ => return m.unknown(),
        };
        self.simple(ins, f, class(ty), imm, types)
    }
}
